"""Table 6: expressions that were never trained on, found by their descriptions."""

from __future__ import annotations

from fbu.experiments.clef.stages import Source, finetuning, pretraining, split_of, untrained
from fbu.experiments.common import Cell, Table
from fbu.experiments.profiles import Profile, few_seeds, profile_named, tower
from fbu.labels.names import EXPRESSIONS
from fbu.recipes import Recipe
from fbu.reported import Printed

UNSEEN = ("sadness", "surprise", "disgust", "anger")
ROWS = ("FaRL as it is", "FaRL", "CLEF")
SETTINGS = {"unseen": "unseen_expressions", "AU model": "au_to_fer"}
_DATASETS = {"RAF-DB": "rafdb", "FERPlus": "ferplus"}


def table6_zero_shot(profile: str = "quick", source: Source = "twin", seeds: int | None = None) -> Table:
    """Table 6: trained on three expressions and tested on four others; trained on action units, tested on all.

    Every row starts from a FaRL stand-in whose captions named no expression at all. "FaRL as it is" is not trained
    further; "FaRL" is trained on the same labels as CLEF, without its stage 1. The paper does not say which of the
    two its baseline is.

    Args:
        profile: quick (the first setting only), demo, full or paper.
        source: "twin" or "real", or one per dataset.
        seeds: number of seeds. Default: 1 in quick and demo, where the tower is one of its own.
    """
    p = profile_named(profile)
    count = few_seeds(p, seeds)
    cells = []
    for setting, variant in SETTINGS.items():
        for title, dataset in _DATASETS.items():
            for label in ROWS:
                printed = None
                if label in ("FaRL", "CLEF"):
                    printed = Printed("clef_table6_zeroshot", label, title, "accuracy", f"zeroshot={variant}")
                recipes: tuple[Recipe, ...] = ()
                if p.name != "quick" or setting == "unseen":
                    recipes = tuple(_scored(p, source, s, label, setting, dataset) for s in range(count))
                against = {"CLEF": "FaRL", "FaRL": "FaRL as it is"}.get(label)
                cells.append(
                    Cell(
                        label,
                        f"{title}, {setting}",
                        "accuracy",
                        recipes,
                        printed.value if printed else None,
                        against if label == "CLEF" else None,
                        _step(printed) if label == "CLEF" else None,
                        why_empty=f"not run in {p.name}",
                        printed=printed,
                    )
                )
    return Table("clef.table6_zero_shot", profile, cells)


def _step(printed: Printed | None) -> float | None:
    if printed is None:
        return None
    base = Printed(printed.table, "FaRL", printed.dataset, printed.metric, printed.variant)
    return printed.value - base.value


def _scored(p: Profile, source: Source, seed: int, label: str, setting: str, dataset: str) -> Recipe:
    spec = split_of(p, dataset, source, seed, protocol="clef" if dataset == "ferplus" else None)
    classes = list(UNSEEN) if setting == "unseen" else []
    return untrained(
        "frozen.zero_shot", p, spec, _model(p, source, seed, label, setting), seed, classes=classes
    )


def _model(p: Profile, source: Source, seed: int, label: str, setting: str) -> Recipe | None:
    """What is scored: the tower, or the tower with stage 2 on other labels, for CLEF after stage 1."""
    silent = tower("FaRL", p, omit=EXPRESSIONS)
    if label == "FaRL as it is":
        return silent
    start = silent
    if label == "CLEF":
        start = pretraining(p, source, seed, text=True, dataset="bp4dplus", start=silent)
    if setting == "unseen":
        return finetuning(
            p, "affectnet", source, seed, "FaRL", "I,N,D", protocol="clef_zero_shot", start=start
        )
    return finetuning(p, "bp4dplus", source, seed, "FaRL", "I,N,D", start=start)
