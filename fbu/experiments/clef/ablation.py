"""Table 7: which of PA, PI, I, N and D helps."""

from __future__ import annotations

from fbu.experiments.clef.stages import FULL, Source, finetuning
from fbu.experiments.common import Cell, Table
from fbu.experiments.profiles import Profile, profile_named
from fbu.recipes import Recipe
from fbu.reported import Printed

# Table 7, in the paper's order: starting weights, then the letters that are ticked.
ROWS = (
    ("CLIP", "I"),
    ("CLIP", "I,N"),
    ("CLIP", "I,N,D"),
    ("FaRL", "I"),
    ("FaRL", "I,N"),
    ("FaRL", "I,N,D"),
    ("CLEF", "PI,I"),
    ("CLEF", "PA,PI,I"),
    ("CLEF", "PI,I,N"),
    ("CLEF", "PA,PI,I,N"),
    ("CLEF", "PI,I,N,D"),
    ("CLEF", "PA,PI,I,D"),
    ("CLEF", "PA,PI,I,N,D"),
)
# The row that each row's step is measured from: text against none, pre-training against FaRL.
AGAINST = {
    "CLIP I,N": "CLIP I",
    "CLIP I,N,D": "CLIP I",
    "FaRL I,N": "FaRL I",
    "FaRL I,N,D": "FaRL I",
    "CLEF PI,I": "FaRL I",
    "CLEF PA,PI,I": "CLEF PI,I",
    "CLEF PI,I,N": "CLEF PI,I",
    "CLEF PA,PI,I,N": "CLEF PA,PI,I",
    "CLEF PI,I,N,D": "CLEF PI,I",
    "CLEF PA,PI,I,D": "CLEF PA,PI,I",
    FULL: "FaRL I,N,D",
}
QUICK_ROWS = ("FaRL I", "FaRL I,N,D", "CLEF PI,I", FULL)
OPEN_ROWS = ("CLIP I", "FaRL I,N,D", "CLEF PI,I", FULL)


def table7_ablation(profile: str = "quick", source: Source = "twin", seeds: int | None = None) -> Table:
    """Table 7: which of PA, PI, I, N, D helps, on action units (BP4D) and on expressions (RAF-DB).

    Args:
        profile: quick, demo, full or paper.
        source: "twin", "real", "open" (expressions on ``facial_expressions``, four rows), or one per dataset.
        seeds: number of seeds; seed s is scored on fold s mod k. Default: the profile's.
    """
    p = profile_named(profile)
    columns = [("BP4D", "bp4d", "f1"), ("RAF-DB", "rafdb", "accuracy")]
    if source == "open":
        columns = [("facial_expressions", "facial_expressions", "accuracy")]
    cells = []
    for column, dataset, metric in columns:
        for method, letters in ROWS:
            cells.append(
                _ablation_cell(p, column, dataset, metric, method, letters, source, seeds or p.seeds)
            )
    return Table("clef.table7_ablation", profile, cells)


def _ablation_cell(
    p: Profile, column: str, dataset: str, metric: str, method: str, letters: str, source: Source, seeds: int
) -> Cell:
    label = f"{method} {letters}"
    stood_for = "RAF-DB" if column == "facial_expressions" else column
    printed = printed_row(stood_for, method, letters)
    chosen = OPEN_ROWS if source == "open" else QUICK_ROWS if p.name == "quick" else None
    recipes: tuple[Recipe, ...] = ()
    if chosen is None or label in chosen:
        recipes = tuple(finetuning(p, dataset, source, s, method, letters) for s in range(seeds))
    against = AGAINST.get(label)
    if source == "open" and against not in OPEN_ROWS:
        against = {"FaRL I,N,D": "CLIP I", "CLEF PI,I": "CLIP I"}.get(label)
    return Cell(
        label=label,
        column=column,
        metric=metric,
        recipes=recipes,
        reported=printed.value if stood_for == column else None,
        against=against,
        step=printed.value - printed_row(stood_for, *against.split(" ")).value if against else None,
        why_empty="not run on open data" if source == "open" else f"not run in {p.name}",
        printed=printed,
    )


def printed_row(dataset: str, method: str, letters: str) -> Printed:
    """Where Table 7 prints a row's number for BP4D or RAF-DB."""
    ticked = letters.split(",")
    variant = ";".join(f"{k}={int(k in ticked)}" for k in ("PA", "PI", "I", "N", "D"))
    metric = "f1" if dataset == "BP4D" else "accuracy"
    return Printed("clef_table7_ablation", method, dataset, metric, variant)
