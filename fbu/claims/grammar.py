"""Comparisons of claims, parsed.

The grammar of the column ``comparison``::

    comparison = [("MOST: " | "SOME: ")] term {" AND " term}
    term       = side (" > " | " < " | " ~ ") side          # ~ is "comparable" and never fails
    side       = number | ("metric" | "max" | "min") "(" filter {";" filter} ")"
    filter     = field ("=" | "!=" | "~=") text             # ~= is "contains"

``table`` names the CSV; ``variant`` comes last and runs to the closing parenthesis. ``max`` and ``min`` go
over all rows that match. Without a prefix all terms are claimed; MOST: more than half; SOME: at least one.
``qualitative(...)``, ``sweep(...)`` and ``argmax(...) = value`` describe figures and statements without a
table; they have no terms.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

import pandas as pd

from fbu import reported
from fbu.errors import DataError

Sign = Literal[">", "<", "~"]
Mode = Literal["ALL", "MOST", "SOME"]

_FIELDS = ("table", "method", "dataset", "class_or_au", "metric", "variant")
_FILTER = re.compile(r"(\w+)(!=|~=|=)(.*)$", re.DOTALL)
_VARIANT = re.compile(r"(?:^|;)variant(!=|~=|=)(.*)$", re.DOTALL)
_SIDE = re.compile(r"(metric|max|min)\((.*)\)$", re.DOTALL)
_TERM = re.compile(r"(.*\)) ([><~]) (.*)$", re.DOTALL)
_STATEMENT = re.compile(r"(qualitative|argmax|sweep)\((.*)\)(?: = (.*))?$", re.DOTALL)


@dataclass(frozen=True)
class Filter:
    """A condition on one column of a table."""

    field: str
    operator: Literal["=", "!=", "~="]
    text: str

    def __call__(self, cell: str) -> bool:
        """Whether the cell passes."""
        if self.operator == "~=":
            return self.text in cell
        return (cell == self.text) == (self.operator == "=")


@dataclass(frozen=True)
class Side:
    """A number, one cell of a table (``metric``), or the best of the cells that match (``max``, ``min``)."""

    kind: Literal["number", "metric", "max", "min"]
    table: str = ""
    filters: tuple[Filter, ...] = ()
    number: float = float("nan")

    def rows(self) -> pd.DataFrame:
        """Rows of the reported table that match and have a value.

        Raises:
            DataError: none matches, or several where one is meant.
        """
        frame = reported.table(self.table).dropna(subset="value")
        keep = pd.Series(True, index=frame.index)
        for test in self.filters:
            keep &= frame[test.field].map(test).astype(bool)
        rows = frame[keep]
        if rows.empty or (self.kind == "metric" and len(rows) != 1):
            raise DataError(
                f"{len(rows)} rows of {self.table} fit {self.filters}; change the filters of the claim"
            )
        return rows

    def reported(self) -> float:
        """The number in the paper's table."""
        if self.kind == "number":
            return self.number
        values = self.rows()["value"]
        return float(values.min() if self.kind == "min" else values.max())


@dataclass(frozen=True)
class Term:
    """One comparison: left, sign, right."""

    left: Side
    sign: Sign
    right: Side

    def difference(self) -> float:
        """Left minus right by the paper's own numbers."""
        return round(self.left.reported() - self.right.reported(), 4)

    def holds(self, difference: float) -> bool:
        """Whether a difference has the claimed sign."""
        return {">": difference > 0, "<": difference < 0, "~": True}[self.sign]


@dataclass(frozen=True)
class Statement:
    """A claim without table numbers: kind, its ``key=value`` settings, and the value that argmax names."""

    kind: Literal["qualitative", "argmax", "sweep"]
    settings: dict[str, str] = field(hash=False)
    value: str = ""


def parse(comparison: str) -> tuple[Mode, tuple[Term, ...], Statement | None]:
    """Mode and terms of a comparison, or its statement (then no terms).

    Raises:
        ValueError: the text does not follow the grammar; names the part that does not.
    """
    found = _STATEMENT.fullmatch(comparison.strip())
    if found:
        kind, body, value = found.groups()
        return "ALL", (), Statement(kind, _settings(body), value or "")  # type: ignore[arg-type]
    mode: Mode = "ALL"
    for prefix in ("MOST", "SOME"):
        if comparison.startswith(f"{prefix}: "):
            mode, comparison = prefix, comparison.removeprefix(f"{prefix}: ")
    return mode, tuple(_term(text) for text in comparison.split(" AND ")), None


def _settings(body: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in body.split(";"))
    return {name.strip(): text.strip() for name, _, text in pairs}


def _term(text: str) -> Term:
    found = _TERM.fullmatch(text.strip())
    if not found:
        raise ValueError(f"not a term 'side > side': {text!r}")
    left, sign, right = found.groups()
    return Term(_side(left), sign, _side(right))  # type: ignore[arg-type]


def _side(text: str) -> Side:
    found = _SIDE.fullmatch(text.strip())
    if not found:
        try:
            return Side("number", number=float(text))
        except ValueError:
            raise ValueError(f"neither a number nor metric(...), max(...), min(...): {text!r}") from None
    kind, body = found.groups()
    filters = _filters(body)
    tables = [test.text for test in filters if test.field == "table" and test.operator == "="]
    if len(tables) != 1:
        raise ValueError(f"exactly one table=... is needed: {text!r}")
    return Side(kind, tables[0], tuple(t for t in filters if t.field != "table"))  # type: ignore[arg-type]


def _filters(body: str) -> list[Filter]:
    last = _VARIANT.search(body)  # a variant holds ';' and '=' itself
    parts = [part for part in (body[: last.start()] if last else body).split(";") if part]
    out = []
    for part in parts:
        found = _FILTER.fullmatch(part)
        if not found or found.group(1) not in _FIELDS:
            raise ValueError(f"not a filter on {', '.join(_FIELDS)}: {part!r}")
        out.append(Filter(*found.groups()))  # type: ignore[arg-type]
    if last:
        out.append(Filter("variant", last.group(1), last.group(2)))  # type: ignore[arg-type]
    return out
