"""How well classes lie apart in a model's features: what a t-SNE plot hints at, measured where the features are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from fbu.data.dataset import Dataset
from fbu.data.specs import load_spec
from fbu.runs import Run

Measure = Callable[[NDArray[Any], Dataset], NDArray[np.float64]]
Features = Callable[[Any, Dataset], NDArray[Any]]


def silhouettes(features: ArrayLike, classes: ArrayLike) -> NDArray[np.float64]:
    """Silhouette of every sample under cosine distance, ``[N]``: -1 (amid another class) to 1 (apart).

    Args:
        features: ``[N, d]``, any scale.
        classes: ``[N]``.

    Raises:
        ValueError: fewer than two classes.
    """
    from sklearn.metrics import silhouette_samples

    names = np.unique(np.asarray(classes))
    if len(names) < 2:
        raise ValueError(f"silhouettes need at least two classes, got {names.tolist()}")
    return silhouette_samples(np.asarray(features, dtype=np.float64), classes, metric="cosine")


def of_pictures(task: Any, tested: Dataset) -> NDArray[Any]:
    """Features (n, d) of the test pictures, by a task that has ``features``."""
    return task.features(tested.images).numpy()


def looked(runs: Sequence[Run], measure: Measure, features: Features = of_pictures) -> pd.DataFrame:
    """A number of every test sample in the features that each run looks at; samples without one are left out.

    Args:
        runs: one per seed.
        measure: from features (n, d) and the test split to (n,), NaN where there is none.
        features: from a run's task and the test split to (n, d).

    Returns:
        Columns sample, subject, seed, target (what is shown) and value.
    """
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    parts = []
    for run in runs:
        tested = load_spec(run.recipe.data, "test")
        value = measure(features(run.task(device), tested), tested)
        frame = tested.records[["sample", "subject"]]
        frame = frame.assign(seed=run.recipe.seed, target=tested.shown, value=value)
        parts.append(frame[np.isfinite(value)])
    return pd.concat(parts, ignore_index=True)


def silhouette_frame(runs: Sequence[Run], features: Features = of_pictures) -> pd.DataFrame:
    """Silhouette of every test sample among what is shown; args and columns as :func:`looked`."""
    return looked(runs, lambda z, tested: silhouettes(z, tested.shown), features)
