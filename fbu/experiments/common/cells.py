"""Tables as rows of recipes: what a notebook asks for, runs, compares and shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from fbu import evaluation
from fbu.provenance import sources
from fbu.recipes import Recipe
from fbu.reported import Printed
from fbu.runs import Progress, Run, find, run_all

NOT_IN_PROFILE = "not run in {profile}"


def points(run: Run, metric: str) -> float:
    """A number of a run's test split in points (0 to 100)."""
    return 100 * run.metrics["test"][metric]


@dataclass(frozen=True)
class Cell:
    """One number of a table.

    Attributes:
        label: row, as the paper names it.
        column: dataset as the paper names it, e.g. "BP4D".
        metric: number of ``Run.metrics["test"]`` that is shown, shown in points.
        recipes: one per (seed, fold); empty when the cell is not run.
        reported: what the paper prints, or None.
        against: label of the row that the paper's step is measured from, or None.
        step: the paper's difference from that row; on open data it is taken from the dataset that is stood in for.
        why_empty: why there are no recipes, in words.
        printed: where the paper prints the number, by which claims find the cell; None for what it does not print.
    """

    label: str
    column: str
    metric: str
    recipes: tuple[Recipe, ...] = ()
    reported: float | None = None
    against: str | None = None
    step: float | None = None
    why_empty: str = ""
    printed: Printed | None = None


@dataclass
class Table:
    """A table or figure of a paper: cells, and after :meth:`run` their results.

    Attributes:
        name: ``"<paper>.<stem>"``, e.g. "clef.table7_ablation".
        profile: quick, demo, full or paper.
        cells: in reading order.
    """

    name: str
    profile: str
    cells: list[Cell]
    runs: dict[str, Run] = field(default_factory=dict)

    def columns(self) -> list[str]:
        """Columns in reading order."""
        return list(dict.fromkeys(c.column for c in self.cells))

    def part(self, column: str) -> Table:
        """The table with one column alone, and the results that are there."""
        return Table(self.name, self.profile, [c for c in self.cells if c.column == column], self.runs)

    def recipes(self) -> list[Recipe]:
        """Every recipe of the table, without duplicates."""
        seen = {r.key(): r for cell in self.cells for r in cell.recipes}
        return list(seen.values())

    def run(self, *, workers: int = 1, device: str = "auto", progress: Progress | None = None) -> Table:
        """Run what is missing and collect the results; returns itself."""
        recipes = self.recipes()
        for recipe, done in zip(
            recipes, run_all(recipes, workers=workers, device=device, progress=progress), strict=True
        ):
            self.runs[recipe.key()] = done
        return self

    def done(self) -> Table:
        """Collect the runs that are finished already, running nothing; returns itself."""
        for recipe in self.recipes():
            found = find(recipe)
            if found is not None:
                self.runs[recipe.key()] = found
        return self

    def results(self, cell: Cell) -> list[Run]:
        """Finished runs of a cell, one per (seed, fold)."""
        return [self.runs[r.key()] for r in cell.recipes if r.key() in self.runs]

    def cell(self, label: str, column: str) -> Cell:
        """The cell of a row and column; ValueError when there is none."""
        for cell in self.cells:
            if (cell.label, cell.column) == (label, column):
                return cell
        rows = ", ".join(dict.fromkeys(c.label for c in self.cells))
        raise ValueError(f"{self.name} has no cell {label!r} / {column!r}; its rows are {rows}")

    def frame(self) -> pd.DataFrame:
        """One row per cell: reported, reference (ledger) and this run, each with its spread, and the verdict.

        Columns: label, column, metric, source, reported, reference, reference_spread, reference_n, stale, value,
        spread, n, low, high, verdict, seconds, memory_mb, commit, note.
        """
        from fbu.ledger import reference

        rows = []
        for cell in self.cells:
            row = {
                "label": cell.label,
                "column": cell.column,
                "metric": cell.metric,
                "reported": cell.reported,
            }
            row |= reference(self.name, self.profile, cell)
            row |= self._measured(cell)
            rows.append(row)
        return pd.DataFrame(rows)

    def _measured(self, cell: Cell) -> dict[str, Any]:
        results = self.results(cell)
        if not results:
            note = (
                "not run yet"
                if cell.recipes
                else cell.why_empty or NOT_IN_PROFILE.format(profile=self.profile)
            )
            return {"source": "", "value": np.nan, "spread": np.nan, "n": 0, "verdict": "", "note": note}
        values = np.array([points(r, cell.metric) for r in results])
        low, high = interval(tuple(results), cell.metric)
        return {
            "source": sources(cell.recipes[0]),
            "value": values.mean(),
            "spread": values.std(ddof=1) if len(values) > 1 else np.nan,
            "n": len(values),
            "low": low,
            "high": high,
            "verdict": self.verdict(cell),
            "seconds": sum(r.provenance["seconds"] for r in results),
            "memory_mb": max(r.provenance["peak_memory_mb"] for r in results),
            "commit": results[0].provenance["commit"],
            "note": ""
            if len(results) == len(cell.recipes)
            else f"{len(results)} of {len(cell.recipes)} runs",
        }

    def verdict(self, cell: Cell) -> str:
        """How a cell stands to the paper.

        On real data: within, above or below the reported value by the interval. On twins and open data values are
        not comparable, only the direction of the paper's step from the row ``cell.against``: "shows", "opposite" or
        "inconclusive" (95 % interval of the paired difference).
        """
        results = self.results(cell)
        if not results:
            return ""
        if all(r.data.source == "real" for r in cell.recipes) and cell.reported is not None:
            low, high = interval(tuple(results), cell.metric)
            return "within" if low <= cell.reported <= high else ("above" if low > cell.reported else "below")
        if cell.against is None or cell.step is None:
            return ""
        base = self.cell(cell.against, cell.column)
        if not self.results(base):
            return ""
        ours = self.difference(cell, base)
        if ours.low > 0 or ours.high < 0:
            return "shows" if np.sign(ours.difference) == np.sign(cell.step) else "opposite"
        return "inconclusive"

    def difference(self, cell: Cell, base: Cell) -> evaluation.PairedDifference:
        """Paired bootstrap over (seed, subject) of a cell minus another, as fractions."""
        return _difference(tuple(self.results(cell)), tuple(self.results(base)), cell.metric)

    def page(self, column: str) -> pd.DataFrame:
        """The table of one column as a page shows it: text cells, sources named in the headings."""
        frame = self.frame()
        frame = frame[frame["column"] == column]
        source = next((s for s in frame["source"] if s), "")
        rows = frame.to_dict("records")
        shown: dict[str, list[str]] = {
            "reported (paper)": [_number(r["reported"]) for r in rows],
            "reference (ledger)": [
                with_spread(r["reference"], r["reference_spread"], r["reference_n"])
                + (" stale" if r["stale"] else "")
                for r in rows
            ],
            f"this run ({source or 'none'})": [
                with_spread(r["value"], r["spread"], r["n"]) if r["n"] else r["note"] for r in rows
            ],
            "95 % interval": [
                f"{r['low']:.1f} to {r['high']:.1f}" if r["n"] and r["low"] == r["low"] else "" for r in rows
            ],
            "direction": [r["verdict"] for r in rows],
            "cost": [f"{r['seconds']:.0f} s, {r['memory_mb']:.0f} MB" if r["n"] else "" for r in rows],
        }
        return pd.DataFrame(shown, index=list(frame["label"])).rename_axis("row")


def _number(value: float | None) -> str:
    return "" if value is None or value != value else f"{value:.2f}"


def with_spread(value: float, spread: float, n: int) -> str:
    """Mean, standard deviation and number of seeds as pages print them; "" for NaN."""
    if value != value:
        return ""
    return f"{value:.1f} (n = {n})" if spread != spread else f"{value:.1f} ± {spread:.1f} (n = {n})"


def _stacked(results: Sequence[Run]) -> pd.DataFrame:
    return pd.concat([r.predictions for r in results], ignore_index=True)


def interval(results: tuple[Run, ...], metric: str) -> tuple[float, float]:
    """95 % bootstrap interval over subjects of the mean over seeds, in points.

    NaN where no predictions are kept, or where the number cannot be counted from them.
    """
    unknown = float("nan"), float("nan")
    if not (results[0].folder / "predictions.csv").exists():
        return unknown
    if not evaluation.countable(results[0].predictions, metric):
        return unknown
    key = (_folders(results), metric)
    if key not in _INTERVALS:
        found = evaluation.bootstrap(_stacked(results), metric)
        _INTERVALS[key] = 100 * found.low, 100 * found.high
    return _INTERVALS[key]


_INTERVALS: dict[tuple[tuple[str, ...], str], tuple[float, float]] = {}
_DIFFERENCES: dict[tuple[tuple[str, ...], tuple[str, ...], str], evaluation.PairedDifference] = {}


def _folders(results: Sequence[Run]) -> tuple[str, ...]:
    return tuple(str(r.folder) for r in results)


def _difference(a: tuple[Run, ...], b: tuple[Run, ...], metric: str) -> evaluation.PairedDifference:
    key = (_folders(a), _folders(b), metric)
    if key not in _DIFFERENCES:
        common = {r.recipe.seed for r in a} & {r.recipe.seed for r in b}
        first, second = ([r for r in runs if r.recipe.seed in common] for runs in (a, b))
        _DIFFERENCES[key] = evaluation.paired_bootstrap(_stacked(first), _stacked(second), metric)
    return _DIFFERENCES[key]
