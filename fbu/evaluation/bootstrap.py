"""Uncertainty over people: bootstrap of subjects, and of (seed, subject) for a paired difference.

A draw does not copy rows. Each subject's counts are made once; a draw is a vector of subject weights, and all
draws together are one matrix product, so a thousand draws cost a fraction of a second.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fbu.evaluation.tallies import Tallies, tally

_CHUNK = 500_000  # subject weights held at once


class Interval(NamedTuple):
    """A score and its 95 % percentile interval; NaN limits when one subject alone was tested."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class PairedDifference:
    """Score of ``a`` minus score of ``b`` on the same samples, with 95 % interval and P(a > b).

    ``draws`` holds the difference of every resample; comparisons on the same people with the same seed share
    their resamples, so several can be judged jointly.
    """

    difference: float
    low: float
    high: float
    probability: float
    seeds: int
    subjects: int
    samples: int
    draws: NDArray[np.float64] = field(repr=False, compare=False)


def bootstrap(
    predictions: pd.DataFrame,
    metric: str,
    unit: Literal["subject", "sample"] = "subject",
    n: int = 1000,
    seed: int = 0,
    *,
    classes: Sequence[str] | None = None,
) -> Interval:
    """A score with its 95 % interval over resampled subjects; the seeds stay as they are.

    Args:
        predictions: prediction frame; with several seeds the score is the mean over seeds.
        metric: ``accuracy`` (war), ``mean_class_accuracy`` (uar, mean_accuracy), ``recall/<class>``, ``f1``,
            ``f1/<AU>``; with ``_per_fold`` for the mean over folds instead of pooled folds.
        unit: what is resampled.
        n: number of draws.
        seed: of the random numbers.
        classes: as in ``score``.
    """
    table = tally([predictions], metric, unit=unit, classes=classes)
    seeds = np.ones(len(table.seeds))
    value = float(table.observed()[0])
    if len(table.units) < 2:
        return Interval(value, float("nan"), float("nan"))
    rng = np.random.default_rng(seed)
    draws = np.concatenate(
        [table.statistic(w, np.tile(seeds, (len(w), 1)))[0] for w in _weights(table, n, rng)]
    )
    return Interval(value, *_limits(draws))


def paired_bootstrap(
    a: pd.DataFrame,
    b: pd.DataFrame | Sequence[pd.DataFrame],
    metric: str,
    n: int = 1000,
    seed: int = 0,
    *,
    classes: Sequence[str] | None = None,
    best: Literal["max", "min"] = "max",
) -> PairedDifference:
    """Difference of two methods, resampling seeds, then subjects, alike for both.

    Subjects tested under several seeds keep one weight in all of them: what is hard about a person is hard
    under every seed. Subjects of different folds are drawn independently.

    Args:
        a: prediction frame of the method in question.
        b: frame of the other method, or several, of which each draw takes the best.
        metric: as in ``bootstrap``.
        n: number of draws.
        seed: of the random numbers.
        classes: as in ``score``.
        best: with several others, whether ``a`` is held against their highest or lowest score.

    Raises:
        ValueError: no sample in common, or targets that differ.
    """
    others = [b] if isinstance(b, pd.DataFrame) else list(b)
    return paired_difference(tally([a, *others], metric, classes=classes), n, seed, best=best)


def paired_difference(
    table: Tallies, n: int = 1000, seed: int = 0, *, best: Literal["max", "min"] = "max"
) -> PairedDifference:
    """The first method of a tally minus the best of the others; see :func:`paired_bootstrap`."""
    value = _minus_best(table.observed(), best)
    # The people name the stream: comparisons on the same people are resampled alike, others independently.
    rng = np.random.default_rng([seed, zlib.crc32("\n".join([*table.seeds, *table.units]).encode())])
    picks = rng.integers(len(table.seeds), size=(n, len(table.seeds)))
    times = (picks[:, :, None] == np.arange(len(table.seeds))).sum(axis=1).astype(np.float64)
    parts, done = [], 0
    for weights in _weights(table, n, rng):
        scores = table.statistic(weights, times[done : done + len(weights)])
        parts.append(_minus_best(scores, best))
        done += len(weights)
    draws = np.concatenate(parts)
    low, high = _limits(draws) if len(table.units) > 1 else (float("nan"), float("nan"))
    above = float(np.mean((draws > 0) + 0.5 * (draws == 0)))
    sizes = (len(table.seeds), len(table.units), table.samples)
    return PairedDifference(float(value), low, high, above, *sizes, draws=draws)


def _minus_best(scores: NDArray[np.float64], best: Literal["max", "min"]) -> NDArray[np.float64]:
    pick = np.max if best == "max" else np.min
    return scores[0] - pick(scores[1:], axis=0)


def _limits(draws: NDArray[np.float64]) -> tuple[float, float]:
    if np.isnan(draws).all():
        return float("nan"), float("nan")
    low, high = np.nanquantile(draws, [0.025, 0.975])
    return float(low), float(high)


def _weights(table: Tallies, n: int, rng: np.random.Generator) -> Iterator[NDArray[np.float32]]:
    """How often each unit is drawn, ``[rows, U]`` in chunks of rows that add up to ``n``.

    Units are drawn within their stratum (the set of seeds under which they were tested), which keeps the
    number of people per seed.
    """
    step = max(1, min(n, _CHUNK // max(len(table.units), 1)))
    for start in range(0, n, step):
        rows = min(step, n - start)
        if len(table.strata) == 1:
            yield _drawn(rows, len(table.units), rng)
            continue
        weights = np.empty((rows, len(table.units)), dtype=np.float32)
        for stratum in table.strata:
            weights[:, stratum] = _drawn(rows, len(stratum), rng)
        yield weights


def _drawn(rows: int, size: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """How often each of ``size`` things comes up in ``size`` draws with replacement, ``[rows, size]``."""
    drawn = rng.integers(size, size=(rows, size), dtype=np.int64)
    drawn += np.arange(rows)[:, None] * size
    counts = np.bincount(drawn.ravel(), minlength=rows * size)
    return counts.reshape(rows, size).astype(np.float32)
