"""KE-FER's Tables 1 to 5 and Figures 4 and 5: accuracy of trainings that differ in one thing."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product
from typing import Any

from fbu import reported
from fbu.experiments.common import Cell, Table
from fbu.experiments.ke_fer.stages import (
    CLASSIFIER,
    COLUMNS,
    ENCODERS,
    LOSSES,
    NAMES,
    OPEN,
    TEXT,
    WHOLE,
    Source,
    seeds_of,
    spec_of,
    training,
)
from fbu.experiments.profiles import Profile, few_seeds, looked_at, profile_named
from fbu.labels import prompting
from fbu.recipes import Recipe
from fbu.reported import Printed

QUOTED = "quoted by the paper, not run here"
_QUICK = ("RAF-DB", "ResNet-18")  # what most tables run in quick
_TWO = ("ResNet-18", "Swin-T")  # encoders of Tables 1, 3, 4 and 5
_FAMILY = {"ResNet-18": "ResNet", "Swin-T": "ViT"}


def _columns(source: Source, wanted: Iterable[str]) -> list[str]:
    return [OPEN] if source == "open" else list(wanted)


def _printed(table: str, encoder: str, variant: str, column: str, metric: str = "accuracy") -> Printed | None:
    return None if column == OPEN else Printed(table, f"KE-FER {encoder}", column, metric, variant)


def _step(printed: Printed | None, base: Printed | None) -> float | None:
    return None if printed is None or base is None else printed.value - base.value


def _cell(
    p: Profile,
    row: str,
    column: str,
    recipes: Iterable[Recipe],
    printed: Printed | None = None,
    against: str | None = None,
    step: float | None = None,
    why_empty: str = "",
) -> Cell:
    """Accuracy of a row on a data set."""
    value = printed.value if printed else None
    why_empty = why_empty or f"not run in {p.name}"
    return Cell(row, column, "accuracy", tuple(recipes), value, against, step, why_empty, printed)


def table2_losses(profile: str = "quick", source: Source = "twin", seeds: int | None = None) -> Table:
    """Table 2: a classifier on labels, and the three losses one after the other, with three encoders.

    Args:
        profile: quick (a few rows on RAF-DB), demo, full or paper.
        source: "twin", "real", "open" (``facial_expressions``: first and last row per encoder), or one per dataset.
        seeds: number of seeds. Default: the profile's for ResNet-18 on RAF-DB; all else one in quick and demo.
    """
    p, cells, table = profile_named(profile), [], "ke_fer_table2_losses"
    columns = _columns(source, ("RAF-DB", "AffectNet-8"))
    for column, encoder, losses in product(columns, ENCODERS, LOSSES):
        count = seeds_of(p, encoder, seeds, column, run=_in_table2(p, column, encoder, losses))
        recipes = (training(p, column, source, s, encoder, losses) for s in range(count))
        base, against, step = _base(column, losses), None, None
        if base:
            # Photographs stand in for RAF-DB, whose step theirs is held against.
            there = "RAF-DB" if column == OPEN else column
            against = f"{encoder} {NAMES[base]}"
            step = _step(_printed(table, encoder, losses, there), _printed(table, encoder, base, there))
        printed = _printed(table, encoder, losses, column)
        empty = "not run on open data" if column == OPEN else ""
        row = f"{encoder} {NAMES[losses]}"
        cells.append(_cell(p, row, column, recipes, printed, against, step, empty))
    return Table("ke_fer.table2_losses", profile, cells)


def _base(column: str, losses: str) -> str | None:
    """The row that a row's step is measured from: the first loss, and for it the classifier."""
    if losses == CLASSIFIER:
        return None
    return CLASSIFIER if losses == TEXT or (column == OPEN and losses == WHOLE) else TEXT


def _in_table2(p: Profile, column: str, encoder: str, losses: str) -> bool:
    if column == OPEN:
        return losses in (CLASSIFIER, WHOLE)
    if p.name != "quick":
        return True
    return column == "RAF-DB" and encoder == "ResNet-18" and NAMES[losses] in ("labels", "Ls", "Ls Lt Lc")


def table1_text_encoders(profile: str = "quick", source: Source = "twin", seeds: int | None = None) -> Table:
    """Table 1: text embeddings of ALIGN, BLIP and CLIP, with the first loss alone, two encoders.

    Args as :func:`table2_losses`; on open data every row runs.
    """
    p, cells = profile_named(profile), []
    columns = _columns(source, ("RAF-DB", "AffectNet-7", "AffectNet-8", "FERPlus"))
    for column, encoder, text in product(columns, _TWO, ("ALIGN", "BLIP", "CLIP")):
        run = p.name != "quick" or ((column, encoder) == _QUICK and text != "BLIP")
        count = seeds_of(p, encoder, seeds, column, run=run)
        recipes = (training(p, column, source, s, encoder, TEXT, text=text) for s in range(count))
        printed = _printed("ke_fer_table1_text_encoders", encoder, f"vlm={text};{TEXT}", column)
        cells.append(_cell(p, f"{encoder} {text}", column, recipes, printed))
    return Table("ke_fer.table1_text_encoders", profile, cells)


def table3_prompts(profile: str = "quick", source: Source = "twin", seeds: int | None = None) -> Table:
    """Table 3: nine prompt templates, two encoders, all losses.

    Args as :func:`table2_losses`; one seed in quick and demo.
    """
    p, cells = profile_named(profile), []
    known = [t.text for t in prompting.templates("ke_fer", "category")]
    columns = _columns(source, ("RAF-DB", "AffectNet-7", "FERPlus"))
    for column, encoder, template in product(columns, _TWO, (*range(1, len(known)), 0)):
        run = p.name != "quick" or ((column, encoder) == _QUICK and template in (0, 1))
        options = {"template": template} if template else {}
        count = few_seeds(p, seeds) if run else 0
        recipes = (training(p, column, source, s, encoder, **options) for s in range(count))
        variant = known[template].replace("{}", "[CLS]")
        printed = _printed("ke_fer_table3_prompts", encoder, variant, column)
        cells.append(_cell(p, f"{encoder}: {variant}", column, recipes, printed))
    return Table("ke_fer.table3_prompts", profile, cells)


def table4_comparison(profile: str = "quick", source: Source = "twin", seeds: int | None = None) -> Table:
    """Table 4: the whole method and the first loss alone, on three data sets, beside what the paper quotes.

    Args as :func:`table2_losses`.
    """
    p, cells, table = profile_named(profile), [], "ke_fer_table4_sota"
    for column in _columns(source, ("RAF-DB", "AffectNet-7", "AffectNet-8", "FERPlus")):
        cells += [] if column == OPEN else _quoted(table, column)
        for encoder, losses in product(_TWO, (TEXT, WHOLE)):
            run = p.name != "quick" or (column, encoder) == _QUICK
            count = seeds_of(p, encoder, seeds, column, run=run)
            recipes = (training(p, column, source, s, encoder, losses) for s in range(count))
            cells.append(_compared(p, table, encoder, losses, column, recipes))
    return Table("ke_fer.table4_comparison", profile, cells)


def _compared(
    p: Profile, table: str, encoder: str, losses: str, column: str, recipes: Iterable[Recipe]
) -> Cell:
    """A row of Table 4 or 5; the step of the whole method is measured from the first loss."""

    def printed(which: str) -> Printed | None:
        return _printed(table, encoder, f"encoder={_FAMILY[encoder]};text=1;{which}", column)

    against = step = None
    if losses == WHOLE:
        against, step = f"{encoder} {NAMES[TEXT]}", _step(printed(WHOLE), printed(TEXT))
    return _cell(p, f"{encoder} {NAMES[losses]}", column, recipes, printed(losses), against, step)


def _quoted(table: str, column: str) -> list[Cell]:
    frame = reported.table(table)
    rows = frame[
        (frame["dataset"] == column)
        & (frame["metric"] == "accuracy")
        & ~frame["method"].str.startswith("KE-FER")
        & frame["value"].notna()
    ]
    cells = []
    for method, variant in zip(rows["method"], rows["variant"], strict=True):
        printed = Printed(table, method, column, "accuracy", variant)
        cells.append(Cell(method, column, "accuracy", (), printed.value, why_empty=QUOTED, printed=printed))
    return cells


def table5_cross_dataset(profile: str = "quick", source: Source = "twin", seeds: int | None = None) -> Table:
    """Table 5: trained on RAF-DB, tested on CK+.

    Args as :func:`table2_losses`; there is no open CK+.
    """
    p, table = profile_named(profile), "ke_fer_table5_crossdataset"
    cells = _quoted(table, "CK+")
    for encoder, losses in product(_TWO, (TEXT, WHOLE)):
        count = seeds_of(p, encoder, seeds, run=p.name != "quick" or encoder == "ResNet-18")
        recipes = (crossed(p, source, s, encoder, losses) for s in range(count))
        cells.append(_compared(p, table, encoder, losses, "CK+", recipes))
    return Table("ke_fer.table5_cross_dataset", profile, cells)


def crossed(p: Profile, source: Source, seed: int, encoder: str, losses: str) -> Recipe:
    """A training on RAF-DB, scored on CK+."""
    trained = training(p, "RAF-DB", source, seed, encoder, losses)
    return looked_at(trained, "ke_fer.score", spec_of(p, "ckplus", "ke_fer", source, encoder))


def fig4_self_contrast_vs_contrastive(
    profile: str = "quick", source: Source = "twin", seeds: int | None = None
) -> Table:
    """Figure 4: self-contrast against contrastive learning, three encoders, RAF-DB and AffectNet-7.

    The text prints one pair of numbers (Swin-T on RAF-DB); the figure's bars cannot be read off. Args as
    :func:`table2_losses`.
    """
    p, cells, table = profile_named(profile), [], "ke_fer_fig4_selfcontrast_text"
    stated = ("RAF-DB", "Swin-T")
    # The paper's step there is its claim everywhere.
    margin = Printed(
        table, "KE-FER Swin-T", "RAF-DB", "accuracy_difference", "Lc=self-contrast minus contrastive"
    ).value
    columns = _columns(source, ("RAF-DB", "AffectNet-7"))
    for column, encoder, name in product(columns, ENCODERS, ("contrastive", "self-contrast")):
        ours = name == "self-contrast"
        options = {} if ours else {"kind": "batch"}
        run = p.name != "quick" or (column, encoder) == _QUICK
        count = seeds_of(p, encoder, seeds, column, run=run)
        recipes = (training(p, column, source, s, encoder, **options) for s in range(count))
        printed = _printed(table, encoder, f"Lc={name}", column) if (column, encoder) == stated else None
        against, step = (f"{encoder} contrastive", margin) if ours else (None, None)
        cells.append(_cell(p, f"{encoder} {name}", column, recipes, printed, against, step))
    return Table("ke_fer.fig4_self_contrast_vs_contrastive", profile, cells)


#: lambda_t : lambda_c of Figure 5; the text names 1:1 as the best, the other ratios are ours.
RATIOS = ((0.5, 1.0), (1.0, 0.5), (1.0, 1.0), (1.0, 2.0), (2.0, 1.0))


def fig5_loss_weights(profile: str = "quick", source: Source = "twin", seeds: int | None = None) -> Table:
    """Figure 5: weights of the transformation and of the contrast, Swin-T, on three data sets.

    Args as :func:`table2_losses`; one seed in quick and demo.
    """
    p, cells = profile_named(profile), []
    encoder = "ResNet-18" if p.name == "quick" else "Swin-T"  # quick has no tower of the other family
    columns = _columns(source, ("RAF-DB", "AffectNet-8", "FERPlus"))
    for column, (transformation, contrast) in product(columns, RATIOS):
        equal = (transformation, contrast) == (1.0, 1.0)
        run = p.name != "quick" or (
            column == "RAF-DB" and (transformation, contrast) in ((1.0, 1.0), (2.0, 1.0))
        )
        options: dict[str, Any] = {} if equal else {"transformation": transformation, "contrast": contrast}
        count = few_seeds(p, seeds) if run else 0
        recipes = (training(p, column, source, s, encoder, **options) for s in range(count))
        cells.append(_cell(p, f"{transformation:g}:{contrast:g}", column, recipes))
    return Table("ke_fer.fig5_loss_weights", profile, cells)


__all__ = [
    "COLUMNS",
    "crossed",
    "fig4_self_contrast_vs_contrastive",
    "fig5_loss_weights",
    "table1_text_encoders",
    "table2_losses",
    "table3_prompts",
    "table4_comparison",
    "table5_cross_dataset",
]
