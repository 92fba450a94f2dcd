"""One setting changed at a time: lambda, one text tower or two, words of intensity, what the paper leaves open."""

from __future__ import annotations

from typing import Any

from fbu.data.transforms import Augment
from fbu.experiments.clef.stages import LETTERS, Source, finetuning, untrained
from fbu.experiments.common import Cell, Table
from fbu.experiments.profiles import Profile, few_seeds, profile_named
from fbu.recipes import Recipe
from fbu.reported import Printed

LAMBDAS = (0.5, 1.0, 2.0, 4.0, 8.0)
CHOSEN = 2.0
_COLUMNS = {"BP4D": ("bp4d", "f1"), "RAF-DB": ("rafdb", "accuracy")}


def _full(p: Profile, dataset: str, source: Source, seed: int, **options: Any) -> Recipe:
    return finetuning(p, dataset, source, seed, "CLEF", LETTERS, **options)


def lambda_sweep(profile: str = "quick", source: Source = "twin", seeds: int | None = None) -> Table:
    """Section 4.2: the weight of the picture-name loss against the name-description loss, from half to eight.

    The paper chose 2 and shows its sweep in a supplement that is not public.

    Args:
        profile: quick (2 and 8 only, on BP4D), demo, full or paper.
        source: "twin" or "real", or one per dataset.
        seeds: number of seeds. Default: 1 in quick and demo.
    """
    p = profile_named(profile)
    cells = []
    for column, (dataset, metric) in _COLUMNS.items():
        for value in LAMBDAS:
            left_out = p.name == "quick" and (value not in (CHOSEN, 8.0) or column != "BP4D")
            recipes = (
                ()
                if left_out
                else tuple(
                    # The default is left unsaid, so that the run is the one of Table 7.
                    _full(p, dataset, source, s, **({} if value == CHOSEN else {"weight": value}))
                    for s in range(few_seeds(p, seeds))
                )
            )
            cells.append(Cell(f"λ = {value:g}", column, metric, recipes, why_empty=f"not run in {p.name}"))
    return Table("clef.lambda_sweep", profile, cells)


def weight_sharing(profile: str = "quick", source: Source = "twin", seeds: int | None = None) -> Table:
    """Section 4.5: one text tower for names and descriptions, against one for each.

    Args:
        profile: quick, demo, full or paper.
        source: "twin" or "real", or one per dataset.
        seeds: number of seeds. Default: the profile's.
    """
    p = profile_named(profile)
    cells = []
    for label, how in (("one shared tower", "shared"), ("two towers", "separate")):
        printed = Printed("clef_text_separate_encoders", "CLEF", "BP4D", "f1", f"text_encoder={how}")
        options = {} if how == "shared" else {"text_encoder": how}
        recipes = tuple(_full(p, "bp4d", source, s, **options) for s in range(seeds or p.seeds))
        base = Printed("clef_text_separate_encoders", "CLEF", "BP4D", "f1", "text_encoder=separate")
        cells.append(
            Cell(
                label,
                "BP4D",
                "f1",
                recipes,
                printed.value,
                "two towers" if how == "shared" else None,
                printed.value - base.value if how == "shared" else None,
                printed=printed,
            )
        )
    return Table("clef.weight_sharing", profile, cells)


def intensity_words(profile: str = "quick", source: Source = "twin", seeds: int | None = None) -> Table:
    """Section 5: "with low intensity" and "with high intensity" in the label names, which the paper only proposes.

    Rows: the words added to the names when a plainly trained model is tested; names trained with the words; for the
    F1, plain names. Columns: rank correlation of the strong name's lead with the unit's true intensity, chance that
    it is larger for a strong unit than for a weak one (50 is chance), and F1 of presence.

    Args:
        profile: quick (nothing is trained with the words), demo, full or paper.
        source: "twin", or "real" (words at test only: BP4D grades five of its twelve units).
        seeds: number of seeds. Default: 1 in quick and demo.
    """
    p = profile_named(profile)
    plain = tuple(_full(p, "bp4d", source, s) for s in range(few_seeds(p, seeds)))
    asked = tuple(untrained("frozen.intensity", p, r.data, r, r.seed) for r in plain)
    trained = tuple(r.model_copy(update={"task": "intensity.finetune"}) for r in plain)
    graded = f"not run in {p.name}"
    if any(r.data.source == "real" for r in plain):
        trained, graded = (), "BP4D grades five of its twelve units"
    if p.name == "quick":
        trained = ()
    cells = [Cell("plain names", "F1 of presence", "f1", plain)]
    for column, metric in (("rank correlation", "rank_correlation"), ("strong over weak", "strong_auc")):
        cells += [
            Cell("words added at test", column, metric, asked),
            Cell("words trained", column, metric, trained, why_empty=graded),
        ]
    cells.append(Cell("words trained", "F1 of presence", "f1", trained, why_empty=graded))
    return Table("clef.intensity_words", profile, cells)


def assumed_settings(profile: str = "quick", source: Source = "twin", seeds: int | None = None) -> Table:
    """What the paper leaves open, one setting changed at a time, on BP4D.

    Args:
        profile: quick (two rows), demo, full or paper.
        source: "twin" or "real".
        seeds: number of seeds. Default: 1 in quick and demo.
    """
    p = profile_named(profile)
    count = few_seeds(p, seeds)
    rows = {name: tuple(change(p, source, s) for s in range(count)) for name, change in _CHANGES.items()}
    quick = ("as in Table 7", "stage 2: no class weights")
    cells = [
        Cell(
            name,
            "BP4D",
            "f1",
            () if p.name == "quick" and name not in quick else recipes,
            against=None if name == "as in Table 7" else "as in Table 7",
            why_empty=f"not run in {p.name}",
        )
        for name, recipes in rows.items()
    ]
    return Table("clef.assumed_settings", profile, cells)


def _with_optim(recipe: Recipe, **changes: Any) -> Recipe:
    return recipe.model_copy(update={"optim": recipe.optim.model_copy(update=changes)})


def _stage1(p: Profile, source: Source, seed: int, factor: float) -> Recipe:
    whole = _full(p, "bp4d", source, seed)
    assert whole.start is not None
    return whole.model_copy(update={"start": _with_optim(whole.start, lr=whole.start.optim.lr * factor)})


def _stage2(p: Profile, source: Source, seed: int, **changes: Any) -> Recipe:
    return _with_optim(_full(p, "bp4d", source, seed), **changes)


_CHANGES = {
    "as in Table 7": lambda p, source, s: _full(p, "bp4d", source, s),
    "stage 1: rate x 3": lambda p, source, s: _stage1(p, source, s, 3.0),
    "stage 1: rate / 3": lambda p, source, s: _stage1(p, source, s, 1 / 3),
    "stage 2: half the length": lambda p, source, s: _shorter(p, source, s),
    "stage 2: no warm-up": lambda p, source, s: _stage2(p, source, s, warmup=0.0),
    "stage 2: weight decay x 10": lambda p, source, s: _stage2(p, source, s, weight_decay=0.1),
    "stage 2: no augmentation": lambda p, source, s: _full(p, "bp4d", source, s).model_copy(
        update={"augment": Augment.none()}
    ),
    "stage 2: no class weights": lambda p, source, s: _full(p, "bp4d", source, s, class_weight="none"),
}


def _shorter(p: Profile, source: Source, seed: int) -> Recipe:
    whole = _full(p, "bp4d", source, seed)
    if whole.optim.epochs is not None:
        return _with_optim(whole, epochs=whole.optim.epochs / 2)
    return _with_optim(whole, images=(whole.optim.images or 0) // 2)
