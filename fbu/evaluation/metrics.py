"""Metrics on arrays: accuracy, mean class accuracy, F1 of action units, calibration.

Shapes: N samples, C classes, A action units. Plain names where the field has two: WAR is accuracy, UAR is
mean class accuracy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray


def accuracy(targets: ArrayLike, predictions: ArrayLike) -> float:
    """Share of samples whose predicted label is the target (WAR); NaN without samples.

    Args:
        targets: labels ``[N]``, names or numbers; integer targets of -1 are ignored.
        predictions: predicted labels ``[N]`` of the same kind.
    """
    targets, predictions = _pair(targets, predictions)
    return float(np.mean(targets == predictions)) if len(targets) else float("nan")


def class_recall(
    targets: ArrayLike, predictions: ArrayLike, classes: Sequence[object] | None = None
) -> pd.DataFrame:
    """Recall of each class: columns ``recall`` (NaN for a class without samples) and ``support``."""
    targets, predictions = _pair(targets, predictions)
    known = sorted(set(targets.tolist())) if classes is None else list(classes)
    support = [int(np.sum(targets == label)) for label in known]
    hits = [int(np.sum((targets == label) & (predictions == label))) for label in known]
    recall = [hit / count if count else float("nan") for hit, count in zip(hits, support, strict=True)]
    return pd.DataFrame({"recall": recall, "support": support}, index=pd.Index(known, name="class"))


def mean_class_accuracy(
    targets: ArrayLike, predictions: ArrayLike, classes: Sequence[object] | None = None
) -> float:
    """Mean over classes of the recall (UAR); classes without samples do not count; NaN if none is left.

    Args:
        targets: labels ``[N]``; integer targets of -1 are ignored.
        predictions: predicted labels ``[N]``.
        classes: average over these classes only; all that occur in ``targets`` if omitted.
    """
    recall = class_recall(targets, predictions, classes)["recall"]
    return float(recall.mean()) if recall.notna().any() else float("nan")


war = accuracy
uar = mean_class_accuracy


def confusion(targets: ArrayLike, predictions: ArrayLike, labels: Sequence[object]) -> NDArray[np.int64]:
    """Counts ``[C, C]``: row = target, column = prediction, in the order of ``labels``.

    Raises:
        ValueError: a target or prediction is not among ``labels``.
    """
    targets, predictions = _pair(targets, predictions)
    index = {label: position for position, label in enumerate(labels)}
    unknown = (set(targets.tolist()) | set(predictions.tolist())) - set(index)
    if unknown:
        raise ValueError(f"labels {sorted(map(str, unknown))} are not among {list(labels)}")
    cells = [
        index[t] * len(index) + index[p] for t, p in zip(targets.tolist(), predictions.tolist(), strict=True)
    ]
    counts = np.bincount(np.asarray(cells, dtype=np.int64), minlength=len(index) ** 2)
    return counts.reshape(len(index), len(index)).astype(np.int64)


def f1_from_counts(tp: ArrayLike, fp: ArrayLike, fn: ArrayLike) -> NDArray[np.float64]:
    """2 tp / (2 tp + fp + fn); NaN where the truth holds no positive (tp + fn = 0)."""
    tp, fp, fn = (np.asarray(count, dtype=np.float64) for count in (tp, fp, fn))
    positives = tp + fn
    return np.where(positives > 0, 2 * tp / np.where(positives > 0, 2 * tp + fp + fn, 1), np.nan)


def au_f1(
    targets: ArrayLike, scores: ArrayLike, threshold: float = 0.5, names: Sequence[str] | None = None
) -> pd.DataFrame:
    """F1 of each action unit.

    Without a positive in the truth F1 is 0 however careful the model is, so it is NaN here rather than
    a drag on the mean; ``support`` and ``predicted`` show such cases.

    Args:
        targets: ``[N, A]`` of 0, 1 and -1 (or NaN) = not coded.
        scores: ``[N, A]``; positive when at or above ``threshold``.
        threshold: decision threshold.
        names: row names; 0..A-1 if omitted.

    Returns:
        One row per action unit: ``f1``, ``precision``, ``recall``, ``support`` (true positives of the truth),
        ``predicted`` (predicted positives among the coded), ``coded``.

    Raises:
        ValueError: shapes differ, targets other than -1, 0, 1, or a score that is NaN where coded.
    """
    tp, fp, fn, coded = au_counts(targets, scores, threshold).sum(axis=0)
    with np.errstate(invalid="ignore"):
        columns = {
            "f1": f1_from_counts(tp, fp, fn),
            "precision": np.where(tp + fp > 0, tp / np.maximum(tp + fp, 1), np.nan),
            "recall": np.where(tp + fn > 0, tp / np.maximum(tp + fn, 1), np.nan),
            "support": tp + fn,
            "predicted": tp + fp,
            "coded": coded,
        }
    index = pd.Index(range(len(tp)) if names is None else list(names), name="au")
    return pd.DataFrame(columns, index=index)


def au_counts(targets: ArrayLike, scores: ArrayLike, threshold: float = 0.5) -> NDArray[np.int64]:
    """Indicators ``[N, 4, A]``: true positive, false positive, false negative, coded."""
    truth, score = np.asarray(targets, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    if truth.ndim != 2 or truth.shape != score.shape:
        raise ValueError(f"targets and scores must be [N, A] alike, got {truth.shape} and {score.shape}")
    truth = np.where(np.isnan(truth), -1, truth)
    if not np.isin(truth, (-1, 0, 1)).all():
        raise ValueError("targets must be 0, 1 or -1 (not coded); binarise intensities first")
    coded = truth >= 0
    if np.isnan(score[coded]).any():
        raise ValueError("scores hold NaN for coded samples")
    said = coded & (score >= threshold)
    positive = truth == 1
    hits = np.stack([said & positive, said & ~positive, ~said & positive, coded], axis=1)
    return hits.astype(np.int64)


class MeanF1(NamedTuple):
    """Mean over the defined action units, and how many were left out."""

    value: float
    undefined: int


def mean_f1(table: pd.DataFrame) -> MeanF1:
    """Mean of the ``f1`` column of ``au_f1`` over the defined rows; NaN if none is defined."""
    defined = table["f1"].dropna()
    value = float(defined.mean()) if len(defined) else float("nan")
    return MeanF1(value, len(table) - len(defined))


def calibration_error(correct: ArrayLike, confidence: ArrayLike, bins: int = 15) -> float:
    """Expected calibration error (Guo et al. 2017): mean ``|accuracy - confidence|`` over equal-width bins.

    Args:
        correct: ``[N]`` of 0 and 1: whether the prediction was right, or the action unit present.
        confidence: ``[N]`` in 0..1: the highest class probability, or the probability of presence.
        bins: number of bins of equal width, each closed on the right, as in the paper.
    """
    hit, sure = np.asarray(correct, dtype=np.float64), np.asarray(confidence, dtype=np.float64)
    if hit.shape != sure.shape or hit.ndim != 1:
        raise ValueError(f"correct and confidence must be [N] alike, got {hit.shape} and {sure.shape}")
    if len(hit) == 0:
        return float("nan")
    if not ((sure >= 0) & (sure <= 1)).all():
        raise ValueError("confidence must lie in 0..1")
    slot = np.clip(np.ceil(sure * bins).astype(np.int64) - 1, 0, bins - 1)
    gap = np.bincount(slot, weights=hit - sure, minlength=bins)
    return float(np.abs(gap).sum() / len(hit))


def _pair(targets: ArrayLike, predictions: ArrayLike) -> tuple[NDArray, NDArray]:
    """Both as arrays ``[N]`` without the rows whose integer target is -1."""
    truth, said = np.asarray(targets), np.asarray(predictions)
    if truth.ndim != 1 or truth.shape != said.shape:
        raise ValueError(f"targets and predictions must be [N] alike, got {truth.shape} and {said.shape}")
    if np.issubdtype(truth.dtype, np.integer):
        keep = truth != -1
        return truth[keep], said[keep]
    return truth, said
