"""Prediction frames: what kind they are, what they predict, and all their scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fbu.evaluation import metrics

if TYPE_CHECKING:
    from fbu.data.dataset import Dataset

Kind = Literal["expression", "au"]


def prediction_frame(loaded: Dataset, scores: NDArray) -> pd.DataFrame:
    """Prediction frame of a scored split: sample, subject, target and score of every class or action unit.

    Args:
        loaded: the split that was scored.
        scores: ``[N, C]`` probabilities.
    """
    frame = loaded.records[["sample", "subject"]].copy()
    if loaded.kind == "expression":
        frame["target"] = loaded.records["expression"].to_numpy()
    else:
        for i, name in enumerate(loaded.labels):
            frame[f"target_{name}"] = loaded.targets[:, i]
    for i, name in enumerate(loaded.labels):
        frame[f"p_{name}"] = scores[:, i]
    return frame


def kind_of(predictions: pd.DataFrame) -> Kind:
    """``expression`` for a frame with ``target``, ``au`` for one with ``target_AU...``.

    Raises:
        ValueError: neither, or no ``p_`` column.
    """
    names = list(map(str, predictions.columns))
    if not any(name.startswith("p_") for name in names):
        raise ValueError(f"a prediction frame needs p_<class> or p_AU<n> columns, got {names}")
    if "target" in names:
        return "expression"
    if any(name.startswith("target_AU") for name in names):
        return "au"
    raise ValueError(f"a prediction frame needs a target or target_AU<n> column, got {names}")


def classes_of(predictions: pd.DataFrame) -> list[str]:
    """Class names, or ``AU<n>``, in column order; both target and score must be there.

    Raises:
        ValueError: an action unit lacks its target or its score, or a target is no known class.
    """
    names = [str(name)[2:] for name in predictions.columns if str(name).startswith("p_")]
    if kind_of(predictions) == "au":
        truth = [str(name)[7:] for name in predictions.columns if str(name).startswith("target_")]
        if set(names) != set(truth):
            raise ValueError(
                f"p_ columns {names} and target_ columns {truth} must name the same action units"
            )
    else:
        unknown = set(predictions["target"]) - set(names)
        if unknown:
            raise ValueError(f"targets {sorted(map(str, unknown))} have no p_ column among {names}")
    return names


def predicted(predictions: pd.DataFrame) -> NDArray:
    """Predicted class name of each row ``[N]``: the highest ``p_``; the first of equal ones."""
    names = classes_of(predictions)
    scores = predictions[[f"p_{name}" for name in names]].to_numpy(dtype=np.float64)
    if np.isnan(scores).any():
        raise ValueError(f"scores hold NaN in row {int(np.isnan(scores).any(axis=1).argmax())}")
    return np.asarray(names, dtype=object)[scores.argmax(axis=1)]


def au_arrays(predictions: pd.DataFrame) -> tuple[NDArray[np.float64], NDArray[np.float64], list[str]]:
    """Targets ``[N, A]``, scores ``[N, A]`` and the action units' names."""
    names = classes_of(predictions)
    targets = predictions[[f"target_{name}" for name in names]].to_numpy(dtype=np.float64)
    return targets, predictions[[f"p_{name}" for name in names]].to_numpy(dtype=np.float64), names


def score(
    predictions: pd.DataFrame, kind: Kind | None = None, *, classes: Sequence[str] | None = None
) -> dict[str, float]:
    """All scores of a frame, as fractions; with several seeds each score is the mean over seeds.

    Args:
        predictions: prediction frame.
        kind: expected kind; a frame of the other kind is an error.
        classes: for expressions, classes of the mean class accuracy; all that occur if omitted.

    Returns:
        Expressions: ``accuracy``, ``mean_class_accuracy``, ``calibration_error``, ``recall/<class>``.
        Action units: ``f1`` (mean over action units), ``undefined`` (how many have none),
        ``calibration_error``, ``f1/<AU>``. The main scores pool all folds of a seed; ``<name>_per_fold``
        is their mean over folds. ``samples``, ``subjects``, ``seeds`` count.
    """
    found = kind_of(predictions)
    if kind is not None and kind != found:
        raise ValueError(f"kind is {kind!r}, but the frame's columns are those of {found!r}")
    if predictions.empty:
        raise ValueError("the prediction frame is empty")
    per_seed = [_score_seed(part, found, classes) for part in _groups(keyed(predictions), "seed")]
    mean = pd.DataFrame(per_seed).mean().to_dict()
    return {str(name): float(value) for name, value in mean.items()} | {
        "samples": float(predictions["sample"].nunique()),
        "subjects": float(predictions["subject"].nunique()),
        "seeds": float(len(per_seed)),
    }


def keyed(predictions: pd.DataFrame) -> pd.DataFrame:
    """The frame with ``seed`` and ``fold`` everywhere: 0 where a column or an entry is missing.

    Raises:
        ValueError: no ``sample`` or ``subject`` column, or one (seed, fold, sample) twice.
    """
    missing = {"sample", "subject"} - set(predictions.columns)
    if missing:
        raise ValueError(f"a prediction frame needs the columns {sorted(missing)}")
    frame = predictions.copy(deep=False)
    for name in ("seed", "fold"):
        frame[name] = frame[name].fillna(0) if name in frame else 0
    twice = frame.duplicated(["seed", "fold", "sample"])
    if twice.any():
        key = frame.loc[twice, ["seed", "fold", "sample"]].iloc[0].tolist()
        raise ValueError(f"(seed, fold, sample) {key} occurs twice in a prediction frame")
    return frame


def _groups(frame: pd.DataFrame, column: str) -> list[pd.DataFrame]:
    return [part for _, part in frame.groupby(column, sort=True)]


def _score_seed(frame: pd.DataFrame, kind: Kind, classes: Sequence[str] | None) -> dict[str, float]:
    compute = _expression_scores if kind == "expression" else _au_scores
    pooled = compute(frame, classes)
    main = ("accuracy", "mean_class_accuracy") if kind == "expression" else ("f1",)
    folds = pd.DataFrame([compute(part, classes) for part in _groups(frame, "fold")])
    return pooled | {f"{name}_per_fold": float(folds[name].mean()) for name in main}


def _expression_scores(frame: pd.DataFrame, classes: Sequence[str] | None) -> dict[str, float]:
    names, said, truth = classes_of(frame), predicted(frame), frame["target"].to_numpy(dtype=object)
    recall = metrics.class_recall(truth, said, names)["recall"]
    sure = frame[[f"p_{name}" for name in names]].to_numpy(dtype=np.float64).max(axis=1)
    return {
        "accuracy": metrics.accuracy(truth, said),
        "mean_class_accuracy": metrics.mean_class_accuracy(truth, said, classes or names),
        "calibration_error": _calibration(truth == said, sure),
    } | {f"recall/{name}": float(recall[name]) for name in names}


def _au_scores(frame: pd.DataFrame, classes: Sequence[str] | None) -> dict[str, float]:
    if classes is not None:
        raise ValueError("classes selects expressions; it does not apply to action units")
    targets, scores, names = au_arrays(frame)
    table = metrics.au_f1(targets, scores, names=names)
    value, undefined = metrics.mean_f1(table)
    coded = np.isin(targets, (0, 1))
    error = _calibration(targets[coded], scores[coded])
    each = {f"f1/{name}": float(f1) for name, f1 in zip(names, table["f1"].to_numpy(), strict=True)}
    main = {"f1": value, "undefined": float(undefined), "calibration_error": error}
    return main | each


def _calibration(correct: NDArray, sure: NDArray[np.float64]) -> float:
    """Calibration error, or NaN when the scores are no probabilities (beyond rounding of a softmax)."""
    if not ((sure >= -1e-5) & (sure <= 1 + 1e-5)).all():
        return float("nan")
    return metrics.calibration_error(correct, sure.clip(0, 1))
