"""Uncertainty from a handful of numbers, where no predictions of people are kept: seeds, or classes.

Both intervals say what they assume. With three seeds or seven classes they are wide, and should be.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fbu.evaluation.bootstrap import PairedDifference


def paired_t(differences: Sequence[float], n: int = 1000, seed: int = 0) -> PairedDifference:
    """Mean of paired differences, one per seed, with Student's 95 % interval.

    Assumes that the differences of the seeds scatter normally. One seed alone has no interval (NaN limits).

    Args:
        differences: one per seed, as fractions.
        n: length of ``draws``: the quantiles of Student's distribution, in random order.
        seed: of that order; give terms that are judged jointly different ones, so that they count as independent.

    Raises:
        ValueError: no difference.
    """
    from scipy.stats import t as student

    values = np.asarray(differences, dtype=np.float64)
    if not len(values):
        raise ValueError("paired_t needs at least one difference")
    mean, size = float(values.mean()), {"seeds": len(values), "subjects": 0, "samples": 0}
    if len(values) == 1:
        nan = float("nan")
        return PairedDifference(mean, nan, nan, nan, **size, draws=np.full(n, np.nan))
    error, free = float(values.std(ddof=1) / np.sqrt(len(values))), len(values) - 1
    quantiles = student.ppf((np.arange(n) + 0.5) / n, free)
    draws = mean + error * np.random.default_rng(seed).permutation(quantiles)
    reach = error * float(student.ppf(0.975, free))
    above = float(student.cdf(mean / error, free)) if error else float((np.sign(mean) + 1) / 2)
    return PairedDifference(mean, mean - reach, mean + reach, above, **size, draws=draws)


def sign_test(values: Sequence[float], seeds: int = 1, n: int = 1000, seed: int = 0) -> PairedDifference:
    """Median of a number per class (or whatever else is independent), with the exact interval of the sign test.

    The interval runs between two of the sorted values and covers the median in at least 95 % of cases; fewer than
    six values have none (NaN limits). ``probability`` is 1 - p of "more than half are positive". Nothing is assumed
    but that the values are independent.

    Args:
        values: one per class.
        seeds: over how many seeds each value is a mean.
        n: length of ``draws``, which are positive in a share of ``probability``, in random order.
        seed: of that order; terms that are judged jointly need different ones.

    Raises:
        ValueError: no value.
    """
    from scipy.stats import binom

    ordered = np.sort(np.asarray(values, dtype=np.float64))
    size = len(ordered)
    if not size:
        raise ValueError("sign_test needs at least one value")
    cut = int(binom.ppf(0.025, size, 0.5))  # smallest count that is not in the lower 2.5 %
    low, high = (float(ordered[cut - 1]), float(ordered[size - cut])) if cut else (float("nan"),) * 2
    above = 1 - float(binom.sf(int((ordered > 0).sum()) - 1, size, 0.5))
    signs = np.where((np.arange(n) + 0.5) / n < above, 1.0, -1.0)
    draws = np.random.default_rng(seed).permutation(signs)
    return PairedDifference(float(np.median(ordered)), low, high, above, seeds, 0, 0, draws=draws)
