"""From paired differences to a verdict on a claim: supported, not supported, or inconclusive."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fbu.evaluation.bootstrap import PairedDifference

Sign = Literal[">", "<", "~"]
Mode = Literal["ALL", "MOST", "SOME"]
Label = Literal["supported", "not supported", "inconclusive"]


@dataclass(frozen=True)
class Verdict:
    """The label, the joint probability of the claim, and how many terms have the claimed sign."""

    label: Label
    probability: float
    right: int
    terms: int


def verdict(
    terms: Sequence[PairedDifference],
    signs: Sequence[Sign] | None = None,
    mode: Mode = "ALL",
    *,
    confidence: float = 0.95,
    margin: float = math.inf,
) -> Verdict:
    """Judge a claim of one or more directions.

    Supported: enough terms have the claimed sign and the claim holds in at least ``confidence`` of the joint
    resamples. Not supported: so many 95 % intervals lie wholly on the wrong side that the claim cannot hold
    (one is enough when all terms are claimed). Inconclusive: neither.

    Args:
        terms: left minus right of each term, drawn with the same seed and number of draws.
        signs: claimed relation of each term; ``>`` for all if omitted.
        mode: whether ALL, MOST (more than half) or SOME (at least one) of the terms are claimed.
        confidence: least joint probability.
        margin: ``~`` holds while the difference is at most this large; by default it always holds.

    Raises:
        ValueError: no terms, or numbers of signs or draws that differ.
    """
    signs = [">"] * len(terms) if signs is None else list(signs)
    if not terms or len(signs) != len(terms):
        raise ValueError(f"need one sign per term and at least one term, got {len(signs)} and {len(terms)}")
    if len({len(term.draws) for term in terms}) > 1:
        raise ValueError("terms must have the same number of draws to be judged jointly")
    pairs = list(zip(terms, signs, strict=True))
    right = [bool(holds(np.asarray([term.difference]), sign, margin)[0]) for term, sign in pairs]
    drawn = np.stack([holds(term.draws, sign, margin) for term, sign in pairs])  # (terms, n)
    joint = float(np.mean([enough(int(count), len(terms), mode) for count in drawn.sum(axis=0)]))
    wrong = sum(_wholly_wrong(term, sign, margin) for term, sign in pairs)
    label: Label = "inconclusive"
    if not enough(len(terms) - wrong, len(terms), mode):
        label = "not supported"
    elif enough(sum(right), len(terms), mode) and joint >= confidence and _measured(terms):
        label = "supported"
    return Verdict(label, joint, sum(right), len(terms))


def enough(right: int, terms: int, mode: Mode) -> bool:
    """Whether so many right terms are what a mode claims."""
    return {"ALL": right == terms, "MOST": 2 * right > terms, "SOME": right > 0}[mode]


def _measured(terms: Sequence[PairedDifference]) -> bool:
    """Whether every term has an interval; one tested person gives none."""
    return not any(math.isnan(term.low) for term in terms)


def holds(values: NDArray[np.float64], sign: Sign, margin: float) -> NDArray[np.bool_]:
    """Whether each difference has the claimed sign; ``~`` holds up to the margin."""
    if sign == ">":
        return values > 0
    return values < 0 if sign == "<" else np.abs(values) <= margin


def _wholly_wrong(term: PairedDifference, sign: Sign, margin: float) -> bool:
    if sign == ">":
        return term.high < 0
    return term.low > 0 if sign == "<" else term.low > margin or term.high < -margin
