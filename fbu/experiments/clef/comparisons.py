"""Tables 2 to 5: the whole method beside what the paper compares it with.

Methods that the paper quotes stay reported rows. What runs here is the method itself and starting points without it,
so that a number on drawn faces has something to be held against.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fbu import reported
from fbu.experiments.clef.stages import LETTERS, Source, finetuning
from fbu.experiments.common import Cell, Table
from fbu.experiments.profiles import Profile, profile_named
from fbu.recipes import Recipe
from fbu.reported import Printed

QUOTED = "quoted by the paper, not run here"
UNSTATED_VIT = "not run in paper: which weights its ViT starts from is not said"


@dataclass(frozen=True)
class Row:
    """A method that is run: label here, name in the paper's table ("" if it is not there), weights and letters."""

    label: str
    printed: str
    method: str
    letters: str
    seeds: int | None = None  # at most so many; None: as many as the profile has


OURS = Row("CLEF", "CLEF", "CLEF", LETTERS)
FARL = Row("FaRL I", "", "FaRL", "I")


def table2_bp4d(profile: str = "quick", source: Source = "twin", seeds: int | None = None) -> Table:
    """Table 2: F1 of 12 action units on BP4D; the rows run here are those of Table 7.

    Args:
        profile: quick, demo, full or paper.
        source: "twin" or "real", or one per dataset.
        seeds: number of seeds; seed s is scored on fold s mod 3. Default: the profile's.
    """
    return _units("clef.table2_bp4d", "bp4d", "BP4D", [FARL, OURS], profile, source, seeds)


def table3_disfa(profile: str = "quick", source: Source = "twin", seeds: int | None = None) -> Table:
    """Table 3: F1 of 8 action units on DISFA; training goes on from the model of BP4D (Sec. 4.1.1).

    Args and returns as :func:`table2_bp4d`.
    """
    rows = [Row("FaRL I", "", "FaRL", "I", seeds=1), OURS]
    return _units("clef.table3_disfa", "disfa", "DISFA", rows, profile, source, seeds)


def table4_bp4dplus(profile: str = "quick", source: Source = "twin", seeds: int | None = None) -> Table:
    """Table 4: F1 of 12 action units on BP4D+, with the paper's own baselines ViT and CLIP.

    Both are read as the picture tower with a linear head, which the paper does not say. Args as :func:`table2_bp4d`;
    seed s is scored on fold s mod 4.
    """
    rows = [Row("ViT", "ViT", "ViT", "I"), Row("CLIP", "CLIP", "CLIP", "I"), OURS]
    return _units("clef.table4_bp4dplus", "bp4dplus", "BP4D+", rows, profile, source, seeds)


def table5_fer(profile: str = "quick", source: Source = "twin", seeds: int | None = None) -> Table:
    """Table 5: accuracy on AffectNet (7 and 8 classes), RAF-DB and FERPlus, after stage 1 on BP4D+.

    Args:
        profile: quick, demo, full or paper.
        source: "twin", "real", "open" (``facial_expressions`` in the place of the four), or one per dataset.
        seeds: number of seeds. Default: the profile's.
    """
    p = profile_named(profile)
    columns = {
        "AffectNet-7": ("affectnet", "clef_7"),
        "AffectNet-8": ("affectnet", "clef_8"),
        "RAF-DB": ("rafdb", None),
        "FERPlus": ("ferplus", "clef"),
    }
    if source == "open":
        columns = {"facial_expressions": ("facial_expressions", None)}
    cells = []
    for column, (dataset, protocol) in columns.items():
        quoted = [] if source == "open" else _quoted("clef_table5_fer", column, "accuracy")
        rows = [Row("FaRL I,N,D", "", "FaRL", "I,N,D", None if dataset in _IN_TABLE7 else 1), OURS]
        cells += [_quoted_cell("clef_table5_fer", m, column, "accuracy", "avg", column) for m in quoted]
        for row in rows:
            if (
                p.name == "quick"
                and dataset not in _IN_TABLE7
                and (row is not OURS or column in _NOT_IN_QUICK)
            ):
                recipes: tuple[Recipe, ...] = ()
            else:
                recipes = _recipes(p, dataset, source, row, seeds, protocol)
            printed = None
            if row.printed and source != "open":
                printed = Printed("clef_table5_fer", row.printed, column, "accuracy")
            cells.append(_run_cell(p, row, column, "accuracy", recipes, printed))
    return Table("clef.table5_fer", profile, cells)


_IN_TABLE7 = ("rafdb", "facial_expressions")  # whose rows are trained anyhow
_NOT_IN_QUICK = ("AffectNet-8",)


def _units(
    name: str, dataset: str, column: str, rows: Sequence[Row], profile: str, source: Source, seeds: int | None
) -> Table:
    p, table = profile_named(profile), name.replace(".", "_")
    units = [u for u in _printed_units(table) if u != "avg"]
    recipes: list[tuple[Recipe, ...]] = [
        () if row.method == "ViT" and p.name == "paper" else _recipes(p, dataset, source, row, seeds)
        for row in rows
    ]
    cells = []
    for unit in [*units, "avg"]:
        title, metric = ("Avg", "f1") if unit == "avg" else (unit, f"f1/{unit}")
        run_here = {row.printed for row in rows}
        for method in _quoted(table, column, "f1"):
            if method not in run_here:
                cells.append(_quoted_cell(table, method, column, "f1", unit, title))
        for row, of_row in zip(rows, recipes, strict=True):
            printed = Printed(table, row.printed, column, "f1", class_or_au=unit) if row.printed else None
            cells.append(_run_cell(p, row, title, metric, of_row, printed))
    return Table(name, profile, cells)


def _printed_units(table: str) -> list[str]:
    return list(dict.fromkeys(reported.table(table)["class_or_au"]))


def _quoted(table: str, dataset: str, metric: str) -> list[str]:
    """Methods of a printed table that are not run here, in its order."""
    frame = reported.table(table)
    rows = frame[(frame["dataset"] == dataset) & (frame["metric"] == metric) & (frame["method"] != "CLEF")]
    return list(dict.fromkeys(rows["method"]))


def _quoted_cell(table: str, method: str, dataset: str, metric: str, unit: str, column: str) -> Cell:
    printed = Printed(table, method, dataset, metric, class_or_au=unit)
    shown = metric if unit == "avg" else f"{metric}/{unit}"
    return Cell(method, column, shown, (), printed.value, why_empty=QUOTED, printed=printed)


def _recipes(
    p: Profile, dataset: str, source: Source, row: Row, seeds: int | None, protocol: str | None = None
) -> tuple[Recipe, ...]:
    count = seeds or p.seeds
    if row.seeds is not None and p.name in ("quick", "demo"):
        count = min(count, row.seeds)
    return tuple(
        finetuning(p, dataset, source, s, row.method, row.letters, protocol=protocol) for s in range(count)
    )


def _run_cell(
    p: Profile, row: Row, column: str, metric: str, recipes: tuple[Recipe, ...], printed: Printed | None
) -> Cell:
    value = printed.value if printed else None
    empty = UNSTATED_VIT if row.method == "ViT" and p.name == "paper" else f"not run in {p.name}"
    return Cell(row.label, column, metric, recipes, value, why_empty=empty, printed=printed)
