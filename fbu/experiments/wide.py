"""Tables with many columns, as papers print them: one row per method, one column per class or action unit."""

from __future__ import annotations

import numpy as np
import pandas as pd

from fbu import figures
from fbu.experiments.common import Cell, Table, points
from fbu.ledger import reference

REPORTED, REFERENCE, RUN = "reported", "reference", "this run"


def wide(table: Table, last: str = "Avg") -> pd.DataFrame:
    """Reported, reference and this run of every method, over the columns of the table, in points.

    Args:
        table: with its runs collected.
        last: the column of averages, if there is one. Beside it ``recomputed`` gives the mean of the row's other
            columns: printed averages are not always those of the printed values.

    Returns:
        Rows (method, reported | reference | this run), in the table's order; rows without a number are left out.
    """
    values: dict[tuple[str, str], dict[str, float]] = {}
    for cell in table.cells:
        for kind, value in _numbers(table, cell).items():
            values.setdefault((cell.label, kind), {})[cell.column] = value
    frame = pd.DataFrame.from_dict(values, orient="index", columns=table.columns())
    frame.index = pd.MultiIndex.from_tuples(frame.index, names=["method", ""])
    frame = frame.dropna(how="all")
    if last in frame:
        frame["recomputed"] = frame.drop(columns=last).mean(axis=1, skipna=False).round(2)
    return frame.round(dict.fromkeys(table.columns(), _digits(table)))


def _digits(table: Table) -> int:
    """Decimals that the paper prints, 1 or 2."""
    printed = np.array([10 * cell.reported for cell in table.cells if cell.reported is not None])
    printed = printed[~np.isnan(printed)]
    return 1 if np.allclose(printed, printed.round(), atol=1e-6) else 2


def run_here(table: Table, column: str) -> Table:
    """One column of a table without the rows that are only quoted."""
    part = table.part(column)
    part.cells = [cell for cell in part.cells if cell.recipes]
    return part


def _numbers(table: Table, cell: Cell) -> dict[str, float]:
    runs = table.results(cell)
    return {
        REPORTED: np.nan if cell.reported is None else cell.reported,
        REFERENCE: reference(table.name, table.profile, cell)["reference"],
        RUN: float(np.mean([points(r, cell.metric) for r in runs])) if runs else np.nan,
    }


def by_unit(table: Table, label: str, *, last: str = "Avg", title: str = "") -> figures.PageFigure:
    """Bars of one method over the columns: reported, reference and this run side by side.

    Args:
        table: with its runs collected.
        label: the method's row.
        last: column of averages, drawn as the others.
        title: heading.

    Raises:
        ValueError: the table has no such row.
    """
    frame = wide(table, last).drop(columns="recomputed", errors="ignore")
    if label not in frame.index.get_level_values(0):
        raise ValueError(f"{table.name} has no numbers of {label!r}")
    rows = frame.loc[label].rename_axis("group").reset_index().melt("group", var_name="label").dropna()
    order = [name for name in (REPORTED, REFERENCE, RUN) if name in set(rows["group"])]
    rows["group"] = pd.Categorical(rows["group"], order)
    rows = rows.sort_values("group", kind="stable").astype({"group": str})
    place = {name: i for i, name in enumerate(table.columns())}
    rows = rows.sort_values("label", key=lambda s: s.map(place), kind="stable")
    return figures.bars(rows, "points", title)


def sweep_frame(table: Table, values: dict[str, float]) -> pd.DataFrame:
    """Rows for :func:`fbu.figures.sweep`: reference where the ledger has it, otherwise this run.

    Args:
        table: with its runs collected.
        values: setting of each label.
    """
    rows = []
    for cell in table.cells:
        if cell.label not in values:
            continue
        found = _numbers(table, cell)
        for kind in (REFERENCE, RUN):
            if found[kind] == found[kind]:
                rows.append({"x": values[cell.label], "y": found[kind], "series": f"{cell.column}, {kind}"})
    return pd.DataFrame(rows, columns=["x", "y", "series"])
