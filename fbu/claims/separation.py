"""How well classes lie apart in a model's features: what a t-SNE plot hints at, measured where the features are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from fbu.data.specs import load_spec
from fbu.runs import Run


def silhouettes(features: ArrayLike, classes: ArrayLike) -> NDArray[np.float64]:
    """Silhouette of every sample under cosine distance, ``[N]``: -1 (amid another class) to 1 (apart).

    (b - a) / max(a, b), with a the mean distance to the sample's own class and b that to the nearest other class. The
    mean distance to a class follows from the class's mean unit vector, so no distance matrix is needed. A sample that
    is alone in its class gets 0, as is usual.

    Args:
        features: ``[N, d]``, any scale.
        classes: ``[N]``.

    Raises:
        ValueError: fewer than two classes.
    """
    z = np.asarray(features, dtype=np.float64)
    z = z / np.maximum(np.linalg.norm(z, axis=1, keepdims=True), 1e-12)
    names, index = np.unique(np.asarray(classes), return_inverse=True)
    if len(names) < 2:
        raise ValueError(f"silhouettes need at least two classes, got {names.tolist()}")
    member = np.eye(len(names))[index]  # (N, C)
    sizes = member.sum(axis=0)
    similarity = z @ (member.T @ z).T  # (N, C), summed over each class
    own = (similarity[np.arange(len(z)), index] - (z * z).sum(axis=1)) / np.maximum(sizes[index] - 1, 1)
    other = np.where(member > 0, -np.inf, similarity / sizes).max(axis=1)
    a, b = 1 - own, 1 - other
    widest = np.maximum(a, b)
    value = np.where(widest > 0, (b - a) / np.where(widest > 0, widest, 1), 0.0)
    return np.where(sizes[index] > 1, value, 0.0)


def silhouette_frame(runs: Sequence[Run]) -> pd.DataFrame:
    """Silhouette of every test picture in the features that each run looks at.

    Args:
        runs: of a task that has ``features``, e.g. ``frozen.probe`` or ``clef.finetune``, one per seed.

    Returns:
        Columns sample, subject, seed, target (class) and value.
    """
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    parts = []
    for run in runs:
        task: Any = run.task(device)
        tested = load_spec(run.recipe.data, "test")
        shown = tested.records["expression"].to_numpy()
        value = silhouettes(task.features(tested.images).numpy(), shown)
        frame = tested.records[["sample", "subject"]].assign(seed=run.recipe.seed, target=shown, value=value)
        parts.append(frame)
    return pd.concat(parts, ignore_index=True)
