"""What a second processor says: the same recipes and seeds, run again where numbers are rounded in another way."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from fbu import experiments, ledger
from fbu.claims import record
from fbu.experiments.common import Cell, Table
from fbu.figures import PageFigure, bars

CELL = ["table", "label", "column", "metric", "source"]
"""What names a cell of the ledger; its rows are seeds."""
FIRST, SECOND = "reference", "second processor"


def machines(profile: str) -> pd.DataFrame:
    """Where both ledgers were made, by paper: numbers in common, machine, library, commits, speed of the middle run."""
    rows, found = ledger.repeated(profile), []
    for paper, part in rows.groupby(rows["table"].str.split(".").str[0]):
        trained = part[(part["images_per_second"] > 0) & (part["images_per_second_again"] > 0)]
        for name, end in ((FIRST, ""), (SECOND, "_again")):
            about = {
                "paper": paper,
                "": name,
                "numbers": len(part),
                "machine": "; ".join(sorted(set(part[f"machine{end}"]))),
                "torch": ", ".join(sorted(set(part[f"torch{end}"]))),
                "commits": ", ".join(sorted(set(part[f"commit{end}"]))),
                "pictures a second": f"{trained[f'images_per_second{end}'].median():.0f}",
            }
            found.append(about)
    columns = ["paper", "", "numbers", "machine", "torch", "commits", "pictures a second"]
    return pd.DataFrame(found, columns=columns).set_index(["paper", ""])


def by_table(profile: str) -> pd.DataFrame:
    """How far single runs, and means over seeds, lie apart on two processors, in points, by table and source.

    Returns:
        Columns: numbers in common; the mean difference, second processor minus reference; the root mean square
        difference of one number and of means over three seeds; the latter as spreads of the seeds alone would have it,
        ``sqrt(2 / 3)`` of their standard deviation; the largest difference of one number.
    """
    rows = ledger.repeated(profile)
    rows = rows.assign(difference=rows["value_again"] - rows["value"])
    found = []
    for (name, source), part in rows.groupby(["table", "source"]):
        cells = part.groupby(CELL).agg(
            n=("seed", "size"), mean=("difference", "mean"), spread=("value", "std")
        )
        three = cells[cells["n"] == 3]
        numbers = (
            part["difference"].mean(),
            _rms(part["difference"]),
            _rms(three["mean"]),
            np.sqrt(2 / 3) * _rms(three["spread"]),
            part["difference"].abs().max(),
        )
        shown = ("" if np.isnan(n) else round(float(n), 1) for n in numbers)  # no cell has three seeds
        found.append([str(name) if source == "twin" else f"{name} ({source})", len(part), *shown])
    columns = ["table", "numbers", "mean difference", "one seed", "mean of three seeds"]
    columns += ["expected from the seeds", "largest, one seed"]
    return pd.DataFrame(found, columns=columns).set_index("table")


def _rms(values: pd.Series) -> float:
    return float(np.sqrt((values**2).mean())) if len(values) else np.nan


def steps(profile: str, name: str, source: str = "twin") -> pd.DataFrame:
    """Every step that a paper's rows imply, on both processors: means over seeds, in points.

    Args:
        profile: of the ledger.
        name: of a table, e.g. "clef.table7_ablation".
        source: of its runs, as the ledger writes it, e.g. "twin" or "twin -> open".
    """
    rows = ledger.repeated(profile)
    rows = rows[rows["source"] == source]
    table = experiments.table(name, profile=profile, source=source.split(" -> ")[-1])
    found = []
    for cell, base in _stepping(table):
        both = [ledger.step_in(rows, name, cell, base, value) for value in ("value", "value_again")]
        if not all(map(len, both)):
            continue
        first, second = (float(one.mean()) for one in both)
        found.append(
            {
                "column": cell.column,
                "step": f"{base.label} → {cell.label}",
                "reported (paper)": np.nan if cell.step is None else cell.step,
                FIRST: first,
                SECOND: second,
                "seeds of one sign on both": f"{_alike(both)} of {len(both[0])}",
                "same sign": np.sign(first) == np.sign(second),
            }
        )
    columns = ["column", "step", "reported (paper)", FIRST, SECOND, "seeds of one sign on both", "same sign"]
    return pd.DataFrame(found, columns=columns).set_index(["column", "step"])


def signs(profile: str, source: str = "twin", limit: float = 4.0) -> pd.DataFrame:
    """In how many steps both processors agree on the sign of the mean, by table.

    Args:
        profile: of the ledger.
        source: of the runs, as the ledger writes it.
        limit: points from which a step of the reference counts as large.
    """
    rows, found = ledger.repeated(profile), []
    for name in rows[rows["source"] == source]["table"].unique():
        frame = steps(profile, name, source)
        if len(frame):
            large = frame[FIRST].abs() > limit
            counts = (len(frame), frame["same sign"].sum(), large.sum(), frame["same sign"][large].sum())
            found.append([name, *map(int, counts)])
    columns = ["table", "steps", "of one sign", f"above {limit:g} points", "of these, of one sign"]
    return pd.DataFrame(found, columns=columns).set_index("table")


def _stepping(table: Table) -> Iterator[tuple[Cell, Cell]]:
    for cell in table.cells:
        if cell.against is not None:
            yield cell, table.cell(cell.against, cell.column)


def _alike(both: list[np.ndarray]) -> int:
    return int((np.sign(both[0]) == np.sign(both[1])).sum())


def steps_figure(profile: str, name: str, column: str, source: str = "twin") -> PageFigure:
    """Bars of one column's steps: the paper's, the reference's, the second processor's.

    Args as :func:`steps`; ValueError where no step of the column was run twice.
    """
    frame = steps(profile, name, source).reset_index()
    frame = frame[frame["column"] == column]
    if frame.empty:
        raise ValueError(f"no step of {name} ({source}) in column {column!r} was run on two processors")
    parts = [
        pd.DataFrame({"label": frame["step"], "value": frame[how], "group": how})
        for how in ("reported (paper)", FIRST, SECOND)
    ]
    return bars(pd.concat(parts, ignore_index=True), "step, points", column)


def decisions(profile: str, source: str = "twin") -> pd.DataFrame:
    """Claims that runs on both processors decided, by the same code: decisions and differences with intervals."""
    first, second = (_decided(path, profile, source) for path in ("", ledger.REPEATED))
    both = first.merge(second, on="claim", suffixes=("", "_again"))
    both = both[both["code"] == both["code_again"]]
    return pd.DataFrame(
        {
            FIRST: both["label"],
            SECOND: both["label_again"],
            f"differences, {FIRST}": both["differences"],
            f"differences, {SECOND}": both["differences_again"],
        }
    )


def _decided(folder: str, profile: str, source: str) -> pd.DataFrame:
    rows = record.read(folder)
    return rows[(rows["profile"] == profile) & (rows["source"] == source)].set_index("claim")


def otherwise(profile: str, source: str = "twin") -> pd.DataFrame:
    """Those of :func:`decisions` that differ."""
    both = decisions(profile, source)
    return both[both[FIRST] != both[SECOND]]
