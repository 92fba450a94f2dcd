"""How often pairs of pictures agree in something, exactly, with the uncertainty of who was recorded."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fbu.evaluation.bootstrap import PairedDifference


def agreement_gain(
    keys: ArrayLike, groups: ArrayLike, people: ArrayLike, n: int = 1000, seed: int = 0
) -> tuple[PairedDifference, float, float]:
    """Share of pairs that agree in their key, among pairs of one group, less the share among all pairs.

    Every pair of different pictures counts once; none is drawn at random. The bootstrap resamples people, and never
    pairs a picture with itself: two copies of a person are no pair.

    Args:
        keys: ``[N]`` what should agree, e.g. expression.
        groups: ``[N]`` what makes a pair, e.g. activity.
        people: ``[N]`` who is shown.
        n: number of draws.
        seed: of the random numbers.

    Returns:
        The difference, the share within groups and the share among all pairs.

    Raises:
        ValueError: lengths that differ, or no pair within a group.
    """
    key, group, person = (np.unique(np.asarray(x), return_inverse=True)[1] for x in (keys, groups, people))
    if not len(key) == len(group) == len(person):
        raise ValueError(
            f"one key, group and person per picture, got {len(key)}, {len(group)}, {len(person)}"
        )
    units, width = int(person.max()) + 1, int(group.max()) + 1
    both = key * width + group
    parts = [_counts(person, cell, units) for cell in (both, group, key, np.zeros_like(key))]
    ones = np.ones((1, units))
    weights = np.random.default_rng(seed).multinomial(units, np.full(units, 1 / units), size=n).astype(float)
    inside, overall = _shares(parts, ones)
    if np.isnan(inside[0]):
        raise ValueError("no two pictures share a group, so there is no pair")
    drawn_inside, drawn_overall = _shares(parts, weights)
    draws = drawn_inside - drawn_overall
    low, high = np.nanquantile(draws, [0.025, 0.975]) if units > 1 else (np.nan, np.nan)
    above = float(np.mean((draws > 0) + 0.5 * (draws == 0)))
    difference = PairedDifference(
        float(inside[0] - overall[0]), float(low), float(high), above, 1, units, len(key), draws=draws
    )
    return difference, float(inside[0]), float(overall[0])


def _counts(person: NDArray, cell: NDArray, units: int) -> NDArray[np.float64]:
    """Pictures of each person in each cell, ``[U, K]``."""
    cells = int(cell.max()) + 1
    return np.bincount(person * cells + cell, minlength=units * cells).reshape(units, cells).astype(float)


def _shares(parts: list[NDArray], weights: NDArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Agreeing share within groups and among all pairs, for each weighting ``[D, U]`` of the people."""
    agreeing_inside, inside, agreeing, every = (_pairs(counts, weights) for counts in parts)
    return (
        np.where(inside > 0, agreeing_inside / np.where(inside > 0, inside, 1), np.nan),
        np.where(every > 0, agreeing / np.where(every > 0, every, 1), np.nan),
    )


def _pairs(counts: NDArray, weights: NDArray) -> NDArray[np.float64]:
    """Ordered pairs of different pictures in the same cell, ``[D]``: of two people, and of one person."""
    of_two = ((weights @ counts) ** 2).sum(axis=1) - weights**2 @ (counts**2).sum(axis=1)
    return of_two + weights @ (counts * (counts - 1)).sum(axis=1)
