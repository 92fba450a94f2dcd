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
