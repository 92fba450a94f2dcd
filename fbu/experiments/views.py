"""What notebooks show beside their tables: t-SNE, towers, chance, class by class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from fbu.experiments.common import Cell, Table, points
from fbu.figures import PageFigure
from fbu.figures.scatter import clouds
from fbu.ledger import reference
from fbu.runs import find


def tsne(table: Table) -> PageFigure:
    """The t-SNE pictures of the first seed's runs, a panel for each row of Fig. 4."""
    first = table.columns()[0]
    parts = {}
    for cell in table.cells:
        runs = table.results(cell)
        if cell.column == first and runs and runs[0].extra:
            extra = runs[0].extra
            parts[cell.label] = pd.DataFrame({"x": extra["x"], "y": extra["y"], "label": extra["expression"]})
    return clouds(parts)


def class_by_class(table: Table, prefix: str) -> pd.DataFrame:
    """A number of this run by class, rows as in the table's first column; see :func:`by_class`."""
    return by_class(table, [c for c in table.cells if c.column == table.columns()[0]], prefix)


def by_class(table: Table, cells: Sequence[Cell], prefix: str) -> pd.DataFrame:
    """A number of this run by class or action unit, one row per cell, mean over seeds, in points.

    Args:
        table: with its runs collected.
        cells: of the table; those without runs are left out.
        prefix: e.g. "purity/", "silhouette/" or "rank_correlation/".
    """
    rows = {}
    for cell in cells:
        runs = table.results(cell)
        if runs:
            names = [k for k in runs[0].metrics["test"] if k.startswith(prefix)]
            rows[cell.label] = {k.removeprefix(prefix): np.mean([points(r, k) for r in runs]) for k in names}
    return pd.DataFrame(rows).T.round(1).rename_axis("row")


def by_choice(table: Table, tested: str) -> pd.DataFrame:
    """Scores in points by how the epoch is chosen, one row per row of a table and seed.

    Args:
        table: with runs that were scored on validation and test split on the way (``traced``), collected.
        tested: what the splits are made of, e.g. "people", for the names of columns.

    Returns:
        Columns: last epoch, chosen by validation, best on test, and what the last two gain over the first.
    """
    found = []
    for cell in table.cells:
        for run in table.results(cell):
            best = 100 * max(s["test"][cell.metric] for s in run.extra["history"])
            last, by_val = 100 * run.metrics["last"][cell.metric], points(run, cell.metric)
            found.append(
                {
                    "row": cell.label,
                    "seed": run.recipe.seed,
                    "last epoch": last,
                    f"chosen by validation {tested}": by_val,
                    f"best on test {tested}": best,
                    "gain of validation": by_val - last,
                    "gain of testing": best - last,
                }
            )
    return pd.DataFrame(found).set_index(["row", "seed"]).astype(np.float64).round(2)


def with_chance(table: Table, chance: dict[str, str | float]) -> pd.DataFrame:
    """Reference and this run of every cell, rows by columns, with what guessing gives.

    Args:
        table: with its runs collected.
        chance: by column the number of the runs that holds it, or the value in points.
    """
    parts: dict[tuple[str, str], pd.Series] = {}
    for column in table.columns():
        page = table.page(column)
        ours = next(c for c in page.columns if c.startswith("this run"))
        if any(c.column == column and c.reported is not None for c in table.cells):
            parts[column, "reported"] = page["reported (paper)"]
        parts[column, "reference"] = page["reference (ledger)"]
        parts[column, ours] = page[ours]
        parts[column, "chance"] = pd.Series(
            {label: _chance(table, label, column, chance) for label in page.index}
        )
    return pd.DataFrame(parts)


def _chance(table: Table, label: str, column: str, chance: dict[str, str | float]) -> str:
    known = chance.get(column)
    if known is None:
        return ""
    if not isinstance(known, str):
        return f"{known:.1f}"
    runs = table.results(table.cell(label, column))
    return f"{np.mean([points(r, known) for r in runs]):.1f}" if runs else ""


def towers(table: Table) -> pd.DataFrame:
    """The stand-in towers behind a table: how long they were trained and what they score by themselves."""
    found = {}
    for recipe in (link for r in table.recipes() for link in r.chain()):
        if recipe.data.name == "tower":
            found[recipe.key()] = recipe
    rows = []
    for recipe in found.values():
        run = find(recipe)
        row = {"task": recipe.task, "pictures seen": recipe.optim.images, **recipe.options}
        if isinstance(row.get("omit"), list):
            row["omit"] = ", ".join(row["omit"])
        if run is not None:
            scores = {k: v for k, v in run.metrics["test"].items() if k != "score"}
            row |= {k.replace("_", " "): round(100 * v, 1) for k, v in scores.items()}
        rows.append(row)
    return pd.DataFrame(rows).fillna("").set_index("task") if rows else pd.DataFrame()


def differences(table: Table, label: str, base: str) -> pd.DataFrame:
    """One row minus another in every column: the paper's, the reference's and this run's with its interval."""
    rows = {}
    for column in table.columns():
        ours, other = table.cell(label, column), table.cell(base, column)
        row: dict[str, str] = {}
        if ours.reported is not None and other.reported is not None:
            row["reported"] = f"{ours.reported - other.reported:+.2f}"
        known = [reference(table.name, table.profile, c)["reference"] for c in (ours, other)]
        row["reference"] = "" if any(k != k for k in known) else f"{known[0] - known[1]:+.1f}"
        if table.results(ours) and table.results(other):
            found = table.difference(ours, other)
            row["this run"] = (
                f"{100 * found.difference:+.1f} ({100 * found.low:+.1f} to {100 * found.high:+.1f})"
            )
        else:
            row["this run"] = ours.why_empty or other.why_empty or "not run"
        rows[column] = row
    return pd.DataFrame(rows).T.fillna("").rename_axis("column")
