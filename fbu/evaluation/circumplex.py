"""How far the geometry of learned vectors follows Russell's circumplex of affect (1980).

The model puts affective states on a circle, by pleasure (0 degrees) and arousal (90 degrees), with neutral at its
centre; KE-FER takes its neutral reference from there (Sec. 3.3).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

#: Degrees of Russell's circular scaling (1980, Fig. 2), of the adjective that is closest to the expression: happy,
#: astonished, angry, afraid, sad. Those who quote the figure differ by up to six degrees on angry and afraid, which
#: leaves the order alone. His 28 adjectives hold none for disgust or contempt.
RUSSELL = {"happiness": 7.8, "surprise": 69.8, "anger": 99.0, "fear": 116.0, "sadness": 207.5}


def circle_agreement(means: Mapping[str, ArrayLike]) -> float:
    """Spearman's correlation of the distances between class vectors with those between the classes on Russell's circle.

    Distances, because nothing says where the circle's centre lies in a learned space.

    Args:
        means: a vector ``[d]`` per expression; those that the circle lacks are left out.

    Returns:
        -1 to 1, over the pairs of classes; NaN with fewer than four classes, as three make an order of three pairs.
    """
    from scipy.spatial.distance import pdist
    from scipy.stats import spearmanr

    names = [name for name in RUSSELL if name in means]
    if len(names) < 4:
        return float("nan")
    angles = np.radians([RUSSELL[name] for name in names])
    learned = pdist(_stacked(means, names))
    if np.ptp(learned) < 1e-9:
        return float("nan")  # all alike: no order to compare
    return float(spearmanr(learned, pdist(np.stack([np.cos(angles), np.sin(angles)], axis=1))).statistic)


def neutral_offset(means: Mapping[str, ArrayLike], neutral: str = "neutral") -> float:
    """Distance of neutral from the centre of the other classes, in units of their own mean distance from it.

    Args:
        means: a vector ``[d]`` per expression.
        neutral: name of the class that is claimed to be the centre.

    Returns:
        0 for neutral at the centre, about 1 where it is a class like any other; NaN without neutral or without two
        other classes.
    """
    others = [name for name in means if name != neutral]
    if neutral not in means or len(others) < 2:
        return float("nan")
    vectors = _stacked(means, others)
    centre = vectors.mean(axis=0)
    radius = float(np.linalg.norm(vectors - centre, axis=1).mean())
    if radius < 1e-12:
        return float("nan")
    return float(np.linalg.norm(np.asarray(means[neutral], dtype=np.float64) - centre)) / radius


def planarity(means: Mapping[str, ArrayLike], neutral: str = "neutral") -> float:
    """Share of the spread of the class vectors, without neutral, that two dimensions hold.

    Args:
        means: a vector ``[d]`` per expression.
        neutral: name of the class that is left out.

    Returns:
        1 for classes in a plane; ``2 / (C - 1)`` for C classes that are all equally far from each other. NaN with
        fewer than four classes.
    """
    names = [name for name in means if name != neutral]
    if len(names) < 4:
        return float("nan")
    vectors = _stacked(means, names)
    spread = np.linalg.svd(vectors - vectors.mean(axis=0), compute_uv=False) ** 2
    total = float(spread.sum())
    return float(spread[:2].sum()) / total if total > 0 else float("nan")


def _stacked(means: Mapping[str, ArrayLike], names: list[str]) -> NDArray[np.float64]:
    return np.stack([np.asarray(means[name], dtype=np.float64) for name in names])
