"""FERPlus's votes as its files name them, and the rules that make ten of them a label, written as tables.

The rules are those of microsoft/FERPlus, ``src/ferplus.py``; Barsoum et al., Training deep networks for facial
expression recognition with crowd-sourced label distribution, ICMI 2016. Columns of votes are the eight classes of
FERPlus, then unknown, then NF (no face).
"""

from __future__ import annotations

import numpy as np

from fbu.errors import DataError
from fbu.labels.orders import ORDERS

#: Value of Usage -> part.
USAGES = {"Training": "train", "PublicTest": "val", "PrivateTest": "test"}
#: Columns of votes as the owner calls them, and as the records do.
VOTED = (*ORDERS["ferplus"], "unknown", "NF")
VOTES = [f"votes_{name}" for name in VOTED]
RULES = ("majority", "most", "probability", "crossentropy", "multi_target")
#: Rules whose target is more than one class.
SOFT = ("probability", "crossentropy", "multi_target")
#: Classes that count; the two columns after them are unknown and NF.
CLASSES = 8
_UNKNOWN, _COLUMNS = 8, 10
#: Target of a class that nobody chose, in the rule multi_target.
SMOOTHING = 0.001


def targets(votes: np.ndarray, rule: str) -> np.ndarray:
    """What a picture is trained on, by one rule.

    A single vote is no vote (but in the rule ``most``, which is not the owner's: most of ten votes, the lower class of
    equals). With S votes left:

    * ``majority``: the first column, if it has more than S / 2;
    * ``probability``, ``crossentropy``: columns from the highest down, equals together, until they hold 3/4 S or are
      three; unknown and NF end the list, and are no part of it where other columns came first. More than three columns
      (equals can make that) or not more than S / 2 votes: unknown;
    * ``multi_target``: all columns with at least 3/10 S, unless they hold not more than S / 2.

    Args:
        votes: whole numbers ``[n, 10]``, of each class, unknown and NF.
        rule: one of `RULES`.

    Returns:
        float64 ``[n, 8]``: one-hot, shares that sum to 1, or for multi_target 1 for each class and `SMOOTHING` for the
        others. A row of NaN is a picture that is left out: its strongest column is unknown or NF.

    Raises:
        DataError: an unknown rule.
        ValueError: votes of another shape.
    """
    if rule not in RULES:
        raise DataError(f"ferplus: option rule is {rule!r}: known are {', '.join(RULES)}")
    votes = np.asarray(votes, dtype=np.int64)
    if votes.ndim != 2 or votes.shape[1] != _COLUMNS:
        raise ValueError(f"votes are {list(votes.shape)}, not [n, {_COLUMNS}]")
    counted = votes if rule == "most" else np.where(votes <= 1, 0, votes)
    kept = _kept(counted, rule)
    out = np.full((len(votes), CLASSES), np.nan)
    chosen = kept.argmax(1) < CLASSES
    chosen &= kept.any(1)
    own = kept[chosen, :CLASSES].astype(float)
    out[chosen] = own / own.sum(1, keepdims=True)
    if rule == "multi_target":
        out[chosen] = (1 - SMOOTHING) * (own > 0) + SMOOTHING
    return out


def _kept(votes: np.ndarray, rule: str) -> np.ndarray:
    """Votes of the columns that a rule keeps ``[n, 10]``; none in a row that is unknown by it."""
    total = votes.sum(1)
    if rule in ("majority", "most"):
        kept = np.zeros_like(votes)
        top = votes.argmax(1)
        kept[np.arange(len(votes)), top] = votes.max(1, initial=0)
        good = 2 * kept.sum(1) > total if rule == "majority" else total > 0
    elif rule == "multi_target":
        kept = np.where(10 * votes >= 3 * total[:, None], votes, 0)
        good = 2 * kept.sum(1) > total
    else:
        kept = _from_the_top(votes, total)
        good = (2 * kept.sum(1) > total) & ((kept > 0).sum(1) <= 3)
    return np.where(good[:, None], kept, 0)


def _from_the_top(votes: np.ndarray, total: np.ndarray) -> np.ndarray:
    """Votes of the highest columns, level by level."""
    kept = np.zeros_like(votes)
    ended = np.zeros(len(votes), dtype=bool)
    for level in range(int(votes.max(initial=0)), 0, -1):
        ended |= (4 * kept.sum(1) >= 3 * total) | ((kept > 0).sum(1) >= 3)
        equal = (votes == level) & ~ended[:, None]
        faceless = equal[:, _UNKNOWN:].any(1)
        kept[:, :_UNKNOWN] += np.where(equal[:, :_UNKNOWN], level, 0)
        alone = faceless & ~kept.any(1)
        # The first of the two is enough: it makes the picture one to leave out.
        kept[alone, _UNKNOWN + equal[alone, _UNKNOWN:].argmax(1)] = level
        ended |= faceless
    return kept
