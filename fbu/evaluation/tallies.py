"""Counts per (seed, fold, subject) from which a metric follows under any weighting of subjects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fbu.evaluation.metrics import au_counts, f1_from_counts
from fbu.evaluation.predictions import au_arrays, classes_of, keyed, kind_of, predicted

_ALIASES = {"war": "accuracy", "uar": "mean_class_accuracy", "mean_accuracy": "mean_class_accuracy"}
_FOLD = "_per_fold"
# of each kind of frame: scores over everything, and the score of one class or action unit
_METRICS = {"expression": (("accuracy", "mean_class_accuracy"), "recall"), "au": (("f1",), "f1")}

Statistic = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def countable(predictions: pd.DataFrame, metric: str) -> bool:
    """Whether a number can be counted again from predictions; others, such as a rank correlation, cannot."""
    kind = kind_of(predictions)
    whole, parts = _METRICS[kind]
    name = metric.removesuffix(_FOLD)
    main, _, part = name.partition("/")
    if part:
        return main == parts and part in classes_of(predictions)
    return _ALIASES.get(main.lower(), main) in whole


@dataclass(frozen=True)
class Tallies:
    """Counts of several methods on the same samples.

    ``counts[m]`` is ``[U, G, K]``: what unit u adds to score group g (a seed, or a fold of a seed).
    ``seed_of_group`` is ``[G]``; ``strata`` groups the units by the seeds under which they were tested.
    """

    counts: tuple[NDArray[np.float32], ...]
    seed_of_group: NDArray[np.int64]
    seeds: tuple[str, ...]
    units: tuple[str, ...]
    strata: tuple[NDArray[np.int64], ...]
    samples: int
    formula: Statistic

    def statistic(self, weights: NDArray[np.float32], times: NDArray[np.float64]) -> NDArray[np.float64]:
        """Score of every method under every weighting, ``[M, D]``.

        Args:
            weights: ``[D, U]``, how often each unit counts.
            times: ``[D, S]``, how often each seed counts.
        """
        return np.stack([self._one(counts, weights, times) for counts in self.counts])

    def observed(self) -> NDArray[np.float64]:
        """Score of every method with each unit and seed once, ``[M]``."""
        weights = np.ones((1, len(self.units)), dtype=np.float32)
        return self.statistic(weights, np.ones((1, len(self.seeds))))[:, 0]

    def _one(
        self, counts: NDArray[np.float32], weights: NDArray[np.float32], times: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        units, groups, kinds = counts.shape
        # float32 holds these sums exactly: they are whole numbers below 2 ** 24
        sums = (weights @ counts.reshape(units, -1)).reshape(len(weights), groups, kinds)
        scores = self.formula(sums.astype(np.float64))  # (D, G)
        per_seed = [nan_mean(scores[:, self.seed_of_group == s]) for s in range(len(self.seeds))]
        return nan_mean(np.stack(per_seed, axis=1), times)


def nan_mean(values: NDArray[np.float64], weights: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
    """Weighted mean over the last axis of the values that are not NaN; NaN where none is left."""
    weight = np.where(np.isnan(values), 0.0, 1.0 if weights is None else weights)
    total = weight.sum(axis=-1)
    mean = (np.nan_to_num(values) * weight).sum(axis=-1) / np.where(total > 0, total, 1)
    return np.where(total > 0, mean, np.nan)


def tally(
    frames: Sequence[pd.DataFrame],
    metric: str,
    *,
    unit: Literal["subject", "sample"] = "subject",
    classes: Sequence[str] | None = None,
) -> Tallies:
    """Counts of each frame on the samples that all of them hold.

    Raises:
        ValueError: unknown metric, another kind of frame, no common sample, or targets that differ.
    """
    frames = _matched(frames)
    first = frames[0]
    per_fold = metric.endswith(_FOLD)
    name = metric.removesuffix(_FOLD)
    count, formula = _recipe(first, _ALIASES.get(name.lower(), name), classes)
    units, unit_names = pd.factorize(first[unit].astype(str), sort=True)
    seeds, seed_names = pd.factorize(first["seed"], sort=True)
    folds = pd.factorize(first["fold"])[0] if per_fold else np.zeros_like(seeds)
    group_keys, group = np.unique(np.stack([seeds, folds], axis=1), axis=0, return_inverse=True)
    cell = units * len(group_keys) + group.ravel()
    shape = (len(unit_names), len(group_keys), -1)
    return Tallies(
        counts=tuple(_sum_cells(count(frame), cell, shape[0] * shape[1]).reshape(shape) for frame in frames),
        seed_of_group=group_keys[:, 0],
        seeds=tuple(map(str, seed_names)),
        units=tuple(map(str, unit_names)),
        strata=_strata(seeds, units, len(unit_names)),
        samples=first["sample"].nunique(),
        formula=formula,
    )


def tally_values(frames: Sequence[pd.DataFrame], of: Sequence[str], against: Sequence[str] = ()) -> Tallies:
    """Sums of a number that every sample has, e.g. its silhouette, of each frame on the samples of all.

    The score is the mean over the classes ``of`` of their samples' mean; less that over ``against``, if given.

    Args:
        frames: one per method; columns ``sample``, ``subject``, ``seed``, ``target`` (class) and ``value``.
        of: classes that count, each alike.
        against: classes to hold them against.

    Raises:
        ValueError: no class, no common sample, or targets that differ.
    """
    if not of:
        raise ValueError("tally_values needs at least one class to average over")
    frames = _matched(frames)
    first, names = frames[0], [*of, *against]
    units, unit_names = pd.factorize(first["subject"].astype(str), sort=True)
    seeds, seed_names = pd.factorize(first["seed"], sort=True)
    cell = units * len(seed_names) + seeds
    present = first["target"].to_numpy(dtype=object)[:, None] == np.asarray(names, dtype=object)
    shape = (len(unit_names), len(seed_names), -1)

    def counted(frame: pd.DataFrame) -> NDArray[np.float32]:
        values = present * frame["value"].to_numpy(dtype=np.float64)[:, None]
        both = np.concatenate([values, present], axis=1)  # float32 later: a share's last digits, no more
        return _sum_cells(both, cell, shape[0] * shape[1]).reshape(shape)

    def formula(sums: NDArray) -> NDArray[np.float64]:
        mean = _share(*np.split(sums, 2, axis=-1))
        ours = nan_mean(mean[..., : len(of)])
        return ours - nan_mean(mean[..., len(of) :]) if against else ours

    return Tallies(
        counts=tuple(counted(frame) for frame in frames),
        seed_of_group=np.arange(len(seed_names)),
        seeds=tuple(map(str, seed_names)),
        units=tuple(map(str, unit_names)),
        strata=_strata(seeds, units, len(unit_names)),
        samples=first["sample"].nunique(),
        formula=formula,
    )


def _sum_cells(values: NDArray, cell: NDArray[np.int64], cells: int) -> NDArray[np.float32]:
    columns = [np.bincount(cell, weights=column, minlength=cells) for column in values.T]
    return np.stack(columns, axis=1).astype(np.float32)


def _strata(seeds: NDArray, units: NDArray, count: int) -> tuple[NDArray[np.int64], ...]:
    """Units grouped by the set of seeds under which they occur."""
    seen = np.zeros((count, int(seeds.max()) + 1), dtype=bool)
    seen[units, seeds] = True
    _, which = np.unique(seen, axis=0, return_inverse=True)
    which = which.ravel()
    return tuple(np.flatnonzero(which == s) for s in range(int(which.max()) + 1))


def _matched(frames: Sequence[pd.DataFrame]) -> list[pd.DataFrame]:
    """The frames on their common (seed, fold, sample) rows, in one order, with equal targets."""
    indexed = [keyed(frame).set_index(["seed", "fold", "sample"], drop=False) for frame in frames]
    common = indexed[0].index
    for frame in indexed[1:]:
        common = common.intersection(frame.index)
    if len(common) == 0:
        raise ValueError("the prediction frames have no (seed, fold, sample) in common")
    out = [frame.loc[common.sort_values()].reset_index(drop=True) for frame in indexed]
    truth = [name for name in out[0].columns if str(name).startswith("target")]
    expected = out[0][truth].fillna(-1).to_numpy()
    for frame in out[1:]:
        if not np.array_equal(expected, frame.reindex(columns=truth).fillna(-1).to_numpy()):
            raise ValueError("the prediction frames disagree on the targets of their common samples")
    return out


def _recipe(
    frame: pd.DataFrame, metric: str, classes: Sequence[str] | None
) -> tuple[Callable[[pd.DataFrame], NDArray], Statistic]:
    """How to count a frame's rows, and the score from summed counts ``[..., K]``."""
    names, kind = classes_of(frame), kind_of(frame)
    main, _, part = metric.partition("/")
    whole, parts = _METRICS[kind]
    if (part and (main != parts or part not in names)) or (not part and main not in whole):
        options = ", ".join([*whole, *(f"{parts}/{name}" for name in names)])
        raise ValueError(f"metric {metric!r} does not apply here; known: {options}")
    keep = [names.index(part)] if part else list(range(len(names)))
    if kind == "au":
        return _count_aus, lambda sums: _mean_f1(sums, keep)
    if main == "accuracy":
        return _count_classes, _overall
    if classes is not None and not part:
        keep = [names.index(name) for name in classes]
    return _count_classes, lambda sums: _mean_recall(sums, keep)


def _count_classes(frame: pd.DataFrame) -> NDArray:
    """Per row ``[N, 2C]``: right, by class; then present, by class."""
    names = np.asarray(classes_of(frame), dtype=object)
    present = frame["target"].to_numpy(dtype=object)[:, None] == names[None]
    right = present & (predicted(frame) == frame["target"].to_numpy(dtype=object))[:, None]
    return np.concatenate([right, present], axis=1).astype(np.float64)


def _count_aus(frame: pd.DataFrame) -> NDArray:
    """Per row ``[N, 3A]``: true positives, false positives, false negatives."""
    targets, scores, _ = au_arrays(frame)
    return au_counts(targets, scores)[:, :3].reshape(len(frame), -1)


def _share(part: NDArray, whole: NDArray) -> NDArray[np.float64]:
    return np.where(whole > 0, part / np.where(whole > 0, whole, 1), np.nan)


def _overall(sums: NDArray) -> NDArray[np.float64]:
    right, present = np.split(sums, 2, axis=-1)
    return _share(right.sum(axis=-1), present.sum(axis=-1))


def _mean_recall(sums: NDArray, keep: list[int]) -> NDArray[np.float64]:
    right, present = np.split(sums, 2, axis=-1)
    return nan_mean(_share(right[..., keep], present[..., keep]))


def _mean_f1(sums: NDArray, keep: list[int]) -> NDArray[np.float64]:
    tp, fp, fn = (part[..., keep] for part in np.split(sums, 3, axis=-1))
    return nan_mean(f1_from_counts(tp, fp, fn))
