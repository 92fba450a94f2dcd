"""The rule of FERPlus, against a transcription picture by picture."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fbu.data.layouts.ferplus_votes import RULES, SMOOTHING, targets
from fbu.errors import DataError

UNKNOWN = 8


def by_hand(votes: list[int], rule: str) -> list[float] | None:
    """The target of one picture, step by step; None: left out."""
    if rule == "most":
        top = votes.index(max(votes))
        return None if not sum(votes) or top >= UNKNOWN else [float(i == top) for i in range(8)]
    left = [0 if n <= 1 else n for n in votes]
    total = sum(left)
    kept: dict[int, int] = {}
    if rule == "majority":
        kept = {i: n for i, n in enumerate(left) if n > 0.5 * total}
    elif rule == "multi_target":
        kept = {i: n for i, n in enumerate(left) if n and n >= 0.3 * total}
    else:
        rest = dict(enumerate(left))
        ended = False
        while not ended and sum(kept.values()) < 0.75 * total and len(kept) < 3:
            level = max(rest.values())
            for i in [i for i, n in rest.items() if n == level]:
                del rest[i]
                if i < UNKNOWN:
                    kept[i] = level
                elif not ended:
                    ended = True
                    if not kept:
                        kept[i] = level
    if sum(kept.values()) <= 0.5 * total or len(kept) > (
        3 if rule in ("probability", "crossentropy") else 10
    ):
        return None
    strongest = min(kept, key=lambda i: (-kept[i], i))
    if strongest >= UNKNOWN:
        return None
    if rule == "multi_target":
        return [1.0 if i in kept else SMOOTHING for i in range(8)]
    own = {i: n for i, n in kept.items() if i < UNKNOWN}
    return [own.get(i, 0) / sum(own.values()) for i in range(8)]


TEN = st.lists(st.integers(0, 9), min_size=10, max_size=10).map(
    lambda who: [who.count(answer) for answer in range(10)]
)


@settings(max_examples=20, deadline=None)
@given(
    votes=st.lists(
        st.one_of(TEN, st.lists(st.integers(0, 6), min_size=10, max_size=10)), min_size=1, max_size=8
    )
)
@pytest.mark.parametrize("rule", RULES)
def test_rule_is_that_of_the_owner(rule: str, votes: list[list[int]]) -> None:
    found = targets(np.array(votes), rule)
    for row, own in zip(found, votes, strict=True):
        wanted = by_hand(own, rule)
        np.testing.assert_allclose(row, [np.nan] * 8 if wanted is None else wanted, err_msg=str(own))


@pytest.mark.parametrize("rule", RULES)
def test_many_random_votes(rule: str) -> None:
    rng = np.random.default_rng(0)
    votes = np.concatenate(
        [rng.multinomial(10, rng.dirichlet(np.full(10, a)), 700) for a in (0.1, 0.3, 0.3, 1)]
    )
    wanted = [by_hand(row, rule) or [np.nan] * 8 for row in votes.tolist()]
    np.testing.assert_allclose(targets(votes, rule), wanted)


BOTH = {0: 1, 1: 1}
HALVES = {"crossentropy": {0: 0.5, 1: 0.5}, "multi_target": BOTH}
THIRDS = {"probability": dict.fromkeys(range(3), 1 / 3), "multi_target": dict.fromkeys(range(3), 1)}
# Votes for neutral, happiness, surprise, sadness, anger, disgust, fear, contempt, unknown, NF; "most" is left out where
# it is neutral.
CASES = [
    # The owner's example: 4, 3 and 2 of 9 are left; 4 is not more than half, 7 is more than 3/4.
    ([4, 0, 0, 1, 3, 2, 0, 0, 0, 0], {"probability": {0: 4 / 7, 4: 3 / 7}, "multi_target": {0: 1, 4: 1}}),
    ([6, 4, 0, 0, 0, 0, 0, 0, 0, 0], {"majority": {0: 1}, "probability": {0: 0.6, 1: 0.4}, "multi_target": BOTH}),
    # Two that share the highest count never have a majority.
    ([5, 5, 0, 0, 0, 0, 0, 0, 0, 0], HALVES),
    # Single votes do not count: 5 of 5.
    ([5, 1, 1, 1, 1, 1, 0, 0, 0, 0], {rule: {0: 1} for rule in RULES}),
    # 3/4 of the votes are reached by the first.
    ([8, 2, 0, 0, 0, 0, 0, 0, 0, 0], {rule: {0: 1} for rule in RULES}),
    # Unknown ends the list, and is dropped since another came first; 6 are more than half.
    ([6, 0, 0, 0, 0, 0, 0, 0, 4, 0], {rule: {0: 1} for rule in RULES}),
    # As strong as unknown: one of two halves.
    ([5, 0, 0, 0, 0, 0, 0, 0, 5, 0], {"multi_target": {0: 1}}),
    # Four equals are too many, three are not.
    ([2, 2, 2, 2, 1, 1, 0, 0, 0, 0], {}),
    ([3, 3, 3, 1, 0, 0, 0, 0, 0, 0], THIRDS),
    ([1, 1, 1, 1, 1, 1, 1, 1, 1, 1], {}),
]  # fmt: skip
NOTHING = ([2, *[0] * 7, 8, 0], [*[0] * 9, 10], [0, 4, *[0] * 6, 6, 0], [0] * 10)


@pytest.mark.parametrize(("votes", "wanted"), CASES, ids=lambda x: str(x) if isinstance(x, list) else "")
def test_by_hand(votes: list[int], wanted: dict[str, dict[int, float]]) -> None:
    soft = wanted.get("probability") or wanted.get("crossentropy")
    wanted = {"most": {0: 1}, **wanted} | ({"probability": soft, "crossentropy": soft} if soft else {})
    for rule in RULES:
        row = targets(np.array([votes]), rule)[0]
        rest = SMOOTHING if rule == "multi_target" else 0
        given = [wanted[rule].get(i, rest) for i in range(8)] if rule in wanted else [np.nan] * 8
        np.testing.assert_allclose(row, given, err_msg=rule)


@pytest.mark.parametrize("rule", RULES)
def test_no_face_and_no_class(rule: str) -> None:
    assert np.isnan(targets(np.array(NOTHING), rule)).all()


def test_wrong_arguments() -> None:
    with pytest.raises(DataError, match="option rule is 'median': known are majority, most"):
        targets(np.zeros((1, 10)), "median")
    with pytest.raises(ValueError, match=r"votes are \[1, 8\], not \[n, 10\]"):
        targets(np.zeros((1, 8)), "majority")
    assert targets(np.zeros((0, 10)), "probability").shape == (0, 8)
