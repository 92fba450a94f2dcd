"""Access to the tables by name, and to single numbers by what they describe."""

from __future__ import annotations

import difflib
import re
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import pandas as pd

from fbu.reported.rows import SCHEMAS, ResultRow, read_rows
from fbu.resources import resource

PAPERS = {"clef": "CLEF", "ke_fer": "KE-FER", "dk_clip": "DK-CLIP", "emoco": "EmoCo"}
"""The papers' short names, by the name under which their tables are filed."""


def names(results_only: bool = False) -> list[str]:
    """Names of all tables, or of those with results."""
    found = sorted(path.stem for path in resource("reported").glob("*.csv"))
    return [name for name in found if not (results_only and name in SCHEMAS)]


def table(name: str) -> pd.DataFrame:
    """A table by the name of its file, in the printed order; empty text is ``""``, an empty number NaN.

    Raises:
        ValueError: unknown name; the message lists close ones.
        DataError: the file is malformed; the message names its line.
    """
    if name not in names():
        close = difflib.get_close_matches(name, names(), n=4, cutoff=0.3) or names()
        raise ValueError(f"no reported table {name!r}; did you mean {', '.join(close)}?")
    return _cached(resource(f"reported/{name}.csv")).copy()


@lru_cache(maxsize=64)
def _cached(path: Path) -> pd.DataFrame:
    return read_rows(path, SCHEMAS.get(path.stem, ResultRow))


def value(
    table_name: str,
    *,
    method: str | None = None,
    variant: str | None = None,
    dataset: str | None = None,
    class_or_au: str | None = "avg",
    metric: str | None = None,
) -> float:
    """The one number that fits; a filter left at None fits every row. NaN where the paper prints a dash.

    Raises:
        ValueError: no row, or more than one; the message lists the nearest rows.
    """
    filters = {"method": method, "variant": variant, "dataset": dataset, "metric": metric}
    filters["class_or_au"] = class_or_au
    wanted = {column: text for column, text in filters.items() if text is not None}
    fitting = _index(resource("reported") / f"{table_name}.csv", tuple(wanted)).get(
        tuple(wanted.values()), ()
    )
    if len(fitting) == 1:
        return fitting[0]
    frame = table(table_name)
    if "variant" not in frame:
        raise ValueError(f"{table_name} is not a table of results; use table({table_name!r})")
    hits = pd.DataFrame({column: frame[column] == text for column, text in wanted.items()}, index=frame.index)
    rows = frame[hits.all(axis=1)]
    if len(rows) != 1:
        nearest = rows if len(rows) else frame[hits.sum(axis=1) == hits.sum(axis=1).max()]
        unknown = [name for name in wanted if not hits[name].any()]
        hints = "".join(_hint(name, wanted[name], frame[name].unique().tolist()) for name in unknown)
        raise ValueError(f"{len(rows)} rows of {table_name} fit {wanted}; {hints}nearest: {_listed(nearest)}")
    return float(rows["value"].iloc[0])


@lru_cache(maxsize=512)
def _index(path: Path, columns: tuple[str, ...]) -> dict[tuple[str, ...], tuple[float, ...]]:
    """Values of a table by the text of some columns; empty for what is no table of results.

    Tables of experiments ask for thousands of numbers, and comparing whole columns for each takes minutes.
    """
    if not path.is_file() or not {"value", *columns} <= set(_cached(path)):
        return {}
    found: dict[tuple[str, ...], list[float]] = {}
    frame = _cached(path)
    for *key, number in frame[[*columns, "value"]].itertuples(index=False, name=None):
        found.setdefault(tuple(key), []).append(float(number))
    return {key: tuple(values) for key, values in found.items()}


@dataclass(frozen=True)
class Printed:
    """Where a paper prints a number: the columns of its row in a reported table.

    Attributes:
        table: name of the table, e.g. "clef_table7_ablation".
        method: e.g. "CLEF".
        dataset: as the paper names it, e.g. "BP4D".
        metric: e.g. "f1".
        variant: as the table spells it; "" where it has none.
        class_or_au: "avg", or one class or action unit.
    """

    table: str
    method: str
    dataset: str
    metric: str
    variant: str = ""
    class_or_au: str = "avg"

    @property
    def value(self) -> float:
        """The number; ValueError as :func:`value`."""
        filters = asdict(self)
        return value(filters.pop("table"), **filters)


def _hint(column: str, text: str, known: list[str]) -> str:
    close = difflib.get_close_matches(text, known, n=3) or known[:8]
    return f"no {column} {text!r}, but {', '.join(map(repr, close))}; "


def _listed(rows: pd.DataFrame) -> str:
    columns = ["method", "variant", "dataset", "class_or_au", "metric"]
    return "; ".join(str(row) for row in rows[columns].head(6).itertuples(index=False, name=None))


def hyperparameters(paper: str) -> pd.DataFrame:
    """Settings of a paper: columns ``stage, name, value, where``; ``not stated`` where the paper omits one.

    Raises:
        ValueError: unknown paper.
    """
    frame = table("hyperparameters")
    known = sorted(set(frame["paper"]))
    if paper not in known:
        raise ValueError(f"no hyperparameters of {paper!r}; known papers: {', '.join(known)}")
    return frame[frame["paper"] == paper].drop(columns="paper").reset_index(drop=True)


def paper_of(table_name: str) -> str:
    """The paper that a table of results belongs to; ValueError for the files that hold several."""
    for paper in PAPERS:
        if table_name.startswith(f"{paper}_"):
            return paper
    raise ValueError(f"{table_name!r} belongs to no paper; papers are {', '.join(PAPERS)}")


def title(table_name: str) -> str:
    """Name of a table as a reader knows it, e.g. "CLEF, Table 3".

    Example:
        >>> title("emoco_table2_disfa"), title("ke_fer_fig4_selfcontrast_text")
        ('EmoCo, Table II', 'KE-FER, Figure 4')
    """
    paper = paper_of(table_name)
    found = re.match(rf"{paper}_(table|fig)(\d)_", table_name)
    if not found:
        return f"{PAPERS[paper]}, text"
    kind, number = found.groups()
    if paper == "emoco":
        number = ("I", "II", "III", "IV")[int(number) - 1]
    return f"{PAPERS[paper]}, {'Table' if kind == 'table' else 'Figure'} {number}"


def results() -> pd.DataFrame:
    """All tables of results in one frame, with the columns ``paper`` and ``table`` in front."""
    parts = [table(name).assign(paper=paper_of(name), table=name) for name in names(results_only=True)]
    frame = pd.concat(parts, ignore_index=True)
    front = ["paper", "table"]
    return frame[front + [column for column in frame.columns if column not in front]]
