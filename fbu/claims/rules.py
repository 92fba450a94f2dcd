"""Claims about figures: what each reads, and the statistic that decides it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fbu.claims.decision import Label, Part
from fbu.claims.reading import Claim
from fbu.experiments.common import Cell, Table


@dataclass(frozen=True)
class Finding:
    """What a rule found.

    Attributes:
        parts: terms, measured.
        subjects: people tested; 0 where people are not the unit.
        note: what the intervals do not say.
        label: the label, where the intervals cannot know it, e.g. for a measure at its ceiling; "" otherwise.
    """

    parts: Sequence[Part]
    subjects: int = 0
    note: str = ""
    label: Label | None = None


@dataclass(frozen=True)
class Rule:
    """How a claim about a figure is decided.

    Attributes:
        table: experiment that it reads, e.g. "clef.fig1_pairing".
        statistic: what is computed, in words.
        judge: finds the terms from the table and the cells read, all of which have finished runs unless ``partial``.
        rows: labels of the cells read; all where empty.
        columns: columns of the cells read; all where empty.
        partial: whether the rule can judge without cells that have no runs, whose terms it then gives as "not run".
    """

    table: str
    statistic: str
    judge: Callable[[Claim, Table, list[Cell]], Finding]
    rows: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    partial: bool = False

    def cells(self, tables: Sequence[Table]) -> list[Cell]:
        """The cells that the rule reads, in the table's order; none where the table is not there."""
        return [
            cell
            for table in tables
            if table.name == self.table
            for cell in table.cells
            if (not self.rows or cell.label in self.rows)
            and (not self.columns or cell.column in self.columns)
        ]
