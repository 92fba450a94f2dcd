"""From a claim's side to what is run here: rows of a printed table, and the cells that print them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from fbu.claims.grammar import Side
from fbu.experiments.common import Cell, Table
from fbu.provenance import sources
from fbu.recipes import Recipe
from fbu.reported import Printed
from fbu.runs import Run

_AVERAGE = "avg"
# Scores that a paper prints beside another -> the other, whose predictions hold it too, and its name in them.
_BESIDE = {"mean_accuracy": ("accuracy", "mean_class_accuracy")}


@dataclass(frozen=True)
class Match:
    """A printed row and what stands for it here.

    Attributes:
        printed: the row.
        metric: number of the cell's predictions that it is, e.g. "f1" or "f1/AU4".
        table: the table of the cell; None where no cell prints the row.
        cell: the cell.
        planned: whether any profile runs it.
        known: whether any experiment prints rows of the same reported table at all.
        elsewhere: whether the method is run in another row of it, e.g. on another dataset.
    """

    printed: Printed
    metric: str
    table: Table | None
    cell: Cell | None
    planned: bool
    known: bool
    elsewhere: bool

    @property
    def runs(self) -> list[Run]:
        """Finished runs, one per seed."""
        return self.table.results(self.cell) if self.table is not None and self.cell is not None else []

    @property
    def testable(self) -> bool:
        """Whether the row is run here, if not in this profile; a table that is not built yet may run it one day."""
        return self.planned or not self.known

    @property
    def label(self) -> str:
        """The row in words: as the cell names it, or by its method and what tells it from the method's other rows."""
        if self.cell is not None:
            return self.cell.label
        if not self.elsewhere:
            return self.printed.method
        variant = f" ({self.printed.variant})" if self.printed.variant else ""
        return f"{self.printed.method}{variant} on {self.printed.dataset}"

    @property
    def place(self) -> str:
        """The dataset, the class or action unit if it is about one alone, and which score where it is not the usual."""
        part = "" if self.printed.class_or_au == _AVERAGE else f" {self.printed.class_or_au}"
        beside = ", mean accuracy" if self.printed.metric in _BESIDE else ""
        return f"{self.dataset}{part}{beside}"

    @property
    def dataset(self) -> str:
        """The dataset as the paper names it; on open photographs, what stands in for it."""
        if self.cell is not None and any(r.data.source == "open" for r in self.cell.recipes):
            return self.cell.column
        return self.printed.dataset


class Cells:
    """Cells by what they print.

    Args:
        tables: of the profile in question, with the runs that are finished.
        planned: the same tables in a profile that runs all there is, to tell what is not run yet from what never is;
            runs are not needed. Default: ``tables``.
    """

    def __init__(self, tables: Sequence[Table], planned: Sequence[Table] | None = None) -> None:
        self._found: dict[Printed, tuple[Table, Cell]] = {}
        for table, cell, printed in _printing(tables):
            other = self._found.get(printed)
            # One number may stand in several tables; take it where it has been run.
            if other is None or len(table.results(cell)) > len(other[0].results(other[1])):
                self._found[printed] = table, cell
        everything = [*tables, *(planned or ())]
        self._planned = {printed for _, cell, printed in _printing(everything) if cell.recipes}
        self._known = {printed.table for _, _, printed in _printing(everything)}
        self._methods = {(printed.table, printed.method) for printed in self._planned}

    def match(self, side: Side) -> list[Match]:
        """Every row that a side names, in the order of the printed table.

        Raises:
            DataError: the side fits no row.
        """
        names = ["method", "dataset", "metric", "variant", "class_or_au"]
        rows = side.rows()[names].to_dict("records")
        return [self._one(Printed(side.table, **{str(k): str(v) for k, v in row.items()})) for row in rows]

    def _one(self, printed: Printed) -> Match:
        # A class or action unit, and the mean over classes, are read from the predictions of the whole.
        main, beside = _BESIDE.get(printed.metric, (printed.metric, printed.metric))
        whole = replace(printed, class_or_au=_AVERAGE, metric=main)
        key = printed if printed in self._found else whole
        table, cell = self._found.get(key, (None, None))
        metric = printed.metric if cell is None else cell.metric
        if key.class_or_au != printed.class_or_au and cell is not None:
            metric = part_metric(printed.class_or_au)
        elif key.metric != printed.metric and cell is not None:
            metric = beside
        return Match(
            printed,
            metric,
            table,
            cell,
            planned=bool({printed, whole} & self._planned),
            known=printed.table in self._known,
            elsewhere=(printed.table, printed.method) in self._methods,
        )


def part_metric(name: str) -> str:
    """The score of one action unit or class beside the score over all.

    Example:
        >>> part_metric("AU4"), part_metric("Anger")
        ('f1/AU4', 'recall/anger')
    """
    return f"f1/{name}" if name.startswith("AU") else f"recall/{name.lower()}"


def _printing(tables: Iterable[Table]) -> Iterable[tuple[Table, Cell, Printed]]:
    for table in tables:
        for cell in table.cells:
            if cell.printed is not None:
                yield table, cell, cell.printed


def recipes_of(matches: Iterable[Match]) -> list[Recipe]:
    """Recipes behind the cells of matches, finished or not."""
    return [recipe for match in matches if match.cell is not None for recipe in match.cell.recipes]


def sources_of(runs: Iterable[Run]) -> str:
    """Sources of runs, e.g. "twin" or "twin; twin -> real"."""
    return "; ".join(dict.fromkeys(sources(run.recipe) for run in runs))
