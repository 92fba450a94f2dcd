"""What frozen features hold: neighbours of the same kind, and the identity of the person."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Probe:
    """A share of hits and what guessing gives, both 0 to 1, over ``n`` samples."""

    value: float
    chance: float
    n: int


def neighbour_purity(features: np.ndarray, keys: np.ndarray, groups: np.ndarray) -> Probe:
    """Share of samples whose nearest neighbour *from another group* has the same key.

    Neighbours from the sample's own group (usually its person) do not count, otherwise recognising the person
    would look like recognising the expression.

    Args:
        features: (n, d), any scale; cosine similarity is used.
        keys: (n,) what should agree, e.g. expression.
        groups: (n,) e.g. subject.

    Returns:
        The share, and chance: the mean probability that a random sample of another group agrees.

    Raises:
        ValueError: fewer than two groups.
    """
    hits, chances = neighbour_hits(features, keys, groups)
    return Probe(float(hits.mean()), float(chances.mean()), len(hits))


def neighbour_hits(
    features: np.ndarray, keys: np.ndarray, groups: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """By sample: whether its nearest neighbour from another group has the same key, and how likely that is by chance.

    Args:
        features: (n, d), any scale; cosine similarity is used.
        keys: (n,) what should agree.
        groups: (n,) neighbours come from another one.

    Returns:
        Hits (n,) bool, and the share (n,) of the samples of other groups that agree.

    Raises:
        ValueError: fewer than two groups.
    """
    keys, groups = np.unique(keys, return_inverse=True)[1], np.unique(groups, return_inverse=True)[1]
    if groups.max() < 1:
        raise ValueError("neighbour_purity needs at least two groups: neighbours come from another one")
    z = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    hits = np.empty(len(z), dtype=bool)
    chances = np.empty(len(z))
    for first in range(0, len(z), 1024):
        rows = slice(first, first + 1024)
        similarity = z[rows] @ z.T
        same_group = groups[rows, None] == groups[None]
        similarity[same_group] = -np.inf
        agree = keys[rows, None] == keys[None]
        hits[rows] = agree[np.arange(len(similarity)), similarity.argmax(1)]
        chances[rows] = (agree & ~same_group).sum(1) / (~same_group).sum(1)
    return hits, chances


def identity_probe(features: np.ndarray, subjects: np.ndarray, fit: np.ndarray) -> Probe:
    """Accuracy of a linear probe for the person, fitted on some sequences and read on the others.

    Args:
        features: (n, d).
        subjects: (n,) who is shown.
        fit: (n,) bool, the samples to fit on; the probe is scored on the rest.

    Returns:
        Accuracy on the rest over the people in both parts; chance is one over their number.

    Raises:
        ValueError: fewer than two people are in both parts.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    both = np.intersect1d(subjects[fit], subjects[~fit])
    if len(both) < 2:
        raise ValueError("identity_probe needs two people who are in the fitted and in the scored part")
    known = np.isin(subjects, both)
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=1.0, max_iter=300))
    probe.fit(features[fit & known], subjects[fit & known])
    rest = ~fit & known
    accuracy = float((probe.predict(features[rest]) == subjects[rest]).mean())
    return Probe(accuracy, 1 / len(both), int(rest.sum()))
