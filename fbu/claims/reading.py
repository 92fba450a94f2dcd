"""The claims of ``data_manifests/claims.csv``, and whether the papers' own tables agree with them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict

from fbu import reported
from fbu.claims.grammar import Mode, Statement, Term, parse
from fbu.errors import DataError
from fbu.resources import resource


@dataclass(frozen=True)
class Claim:
    """One row of ``claims.csv``, with its comparison parsed: terms, or a statement."""

    id: str
    paper: str
    where: str
    claim: str
    comparison: str
    datasets: tuple[str, ...]
    reported_difference: tuple[float, ...]
    mode: Mode
    terms: tuple[Term, ...]
    statement: Statement | None

    @property
    def numeric(self) -> bool:
        """Whether the claim compares numbers of tables."""
        return bool(self.terms)


@dataclass(frozen=True)
class Evaluation:
    """A claim on the paper's own numbers: difference and truth of each term, and of the whole."""

    differences: tuple[float, ...]
    right: tuple[bool, ...]
    holds: bool


class ClaimRow(BaseModel):
    """A row of ``claims.csv`` as it is written."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    paper: Literal["clef", "ke_fer", "dk_clip", "emoco"]
    where: str
    claim: str
    comparison: str
    dataset: str
    reported_difference: str


def claims(paper: str | None = None) -> tuple[Claim, ...]:
    """All claims, or those of one paper, in the order of the file."""
    return tuple(claim for claim in _read() if paper in (None, claim.paper))


def claim(identifier: str) -> Claim:
    """The claim with this id, e.g. ``"clef-01"``.

    Raises:
        ValueError: unknown id.
    """
    for found in _read():
        if found.id == identifier:
            return found
    raise ValueError(f"no claim {identifier!r}; ids run like {', '.join(c.id for c in _read()[:3])} ...")


@lru_cache(maxsize=1)
def _read() -> tuple[Claim, ...]:
    path = resource("claims.csv")
    out = []
    for row in reported.read_rows(path, ClaimRow).to_dict("records"):
        try:
            out.append(_claim(ClaimRow.model_validate(row)))
        except ValueError as error:
            raise DataError(f"{path.name}, claim {row['id']}: {error}") from None
    return tuple(out)


def _claim(row: ClaimRow) -> Claim:
    mode, terms, statement = parse(row.comparison)
    return Claim(
        id=row.id,
        paper=row.paper,
        where=row.where,
        claim=row.claim,
        comparison=row.comparison,
        datasets=_listed(row.dataset),
        reported_difference=tuple(map(float, _listed(row.reported_difference))),
        mode=mode,
        terms=terms,
        statement=statement,
    )


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(";") if part.strip())


def evaluate(claim: Claim) -> Evaluation | None:
    """The claim on the paper's own numbers, or None for one without table numbers."""
    if not claim.numeric:
        return None
    differences = tuple(term.difference() for term in claim.terms)
    right = tuple(term.holds(d) for term, d in zip(claim.terms, differences, strict=True))
    enough = {"ALL": all(right), "MOST": 2 * sum(right) > len(right), "SOME": any(right)}
    return Evaluation(differences, right, enough[claim.mode])


def contradicted(paper: str | None = None) -> pd.DataFrame:
    """Claims that the paper's own tables do not support.

    Returns:
        Columns ``id, paper, where, claim, terms, wrong`` (how many terms have the other sign) and
        ``differences`` (left minus right of each term).
    """
    rows = []
    for one in claims(paper):
        result = evaluate(one)
        if result is None or result.holds:
            continue
        wrong = len(result.right) - sum(result.right)
        listed = "; ".join(f"{difference:+.2f}" for difference in result.differences)
        rows.append((one.id, one.paper, one.where, one.claim, len(result.right), wrong, listed))
    columns = ["id", "paper", "where", "claim", "terms", "wrong", "differences"]
    return pd.DataFrame(rows, columns=columns)
