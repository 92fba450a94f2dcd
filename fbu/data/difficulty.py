"""How hard a data set is before any method trains.

The numbers stand on each data set's page. A twin is fair when the linear model is well above the floor, the
oracle well above the linear model, and people are easy to tell apart (identity is a real confounder).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from fbu.errors import DataError

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression

    from fbu.data import Dataset

#: Side of the grey pictures and number of principal components of the linear models.
PIXELS, COMPONENTS = 32, 200
_GREY = np.array([0.299, 0.587, 0.114], np.float32)


def grey_pixels(images: np.ndarray, side: int = PIXELS) -> np.ndarray:
    """Grey pictures, area-averaged to ``side`` and standardised each: float32 ``[n, side * side]``.

    Args:
        images: uint8 ``[n, 3, S, S]``; S must be a multiple of ``side``.
        side: side of the small pictures.

    Raises:
        ValueError: S is not a multiple of ``side``.
    """
    n, size = len(images), images.shape[-1]
    if size % side:
        raise ValueError(f"images have side {size}, not a multiple of {side}")
    out = np.empty((n, side * side), np.float32)
    for start in range(0, n, 512):
        grey = np.einsum("nchw,c->nhw", images[start : start + 512], _GREY)
        small = grey.reshape(-1, side, size // side, side, size // side).mean((2, 4)).reshape(len(grey), -1)
        spread = small.std(1, keepdims=True)
        out[start : start + 512] = (small - small.mean(1, keepdims=True)) / np.maximum(spread, 1e-3)
    return out


def floor(targets: np.ndarray, kind: str) -> dict[str, float]:
    """Scores of answers that ignore the picture.

    Args:
        targets: class indices ``[n]`` (kind "expression") or 0, 1, -1 for not coded ``[n, A]`` (kind "au").
        kind: ``"expression"`` or ``"au"``.

    Returns:
        ``accuracy`` and ``mean_class_accuracy`` of the majority class, or ``mean_f1`` and
        ``balanced_accuracy`` of all units always on.
    """
    if kind == "au":
        return _unit_scores(targets, np.ones(targets.shape, np.int8))
    counts = np.bincount(targets)
    return {
        "accuracy": float(counts.max() / counts.sum()),
        "mean_class_accuracy": 1 / int((counts > 0).sum()),
    }


def oracle(records: pd.DataFrame) -> float:
    """Accuracy of a reader that sees the true expression: what the label errors of a twin leave to reach.

    Args:
        records: a twin's records with ``expression`` and ``true_expression``.

    Raises:
        DataError: the records carry no truth.
    """
    if "true_expression" not in records:
        raise DataError("the records have no column true_expression: only a twin knows the truth")
    return float((records["expression"] == records["true_expression"]).mean())


def pixel_linear(train: Dataset, test: Dataset, *, balanced: bool = True) -> dict[str, float]:
    """Scores of a logistic regression on the principal components of grey 32-pixel pictures.

    Fitted on ``train``, scored on ``test`` (other people), with classes weighted alike unless ``balanced`` is off; the
    scores are those of `floor`.
    """
    (a, b), y = _project(_pictures(train), _pictures(test)), train.targets
    if train.kind == "au":
        answers = [_binary(a, y[:, j], b, balanced) for j in range(y.shape[1])]
        return _unit_scores(test.targets, np.stack(answers, 1))
    answer = _classifier(balanced).fit(a, y).predict(b)
    right = answer == test.targets
    per_class = [right[test.targets == c].mean() for c in np.unique(test.targets)]
    return {"accuracy": float(right.mean()), "mean_class_accuracy": float(np.mean(per_class))}


def measure(name: str, size: str) -> pd.DataFrame:
    """Floor, linear model and oracle of a twin, and how easily its people are told apart, as fractions.

    Of a clip the middle frame is looked at. A set that is only tested on has no linear model.

    Args:
        name: dataset.
        size: of its twin.

    Returns:
        One row per measure: twin, size, measure, floor, linear, oracle (NaN where there is none).
    """
    from fbu import data
    from fbu.data import layouts

    test = data.load(name, "test", size=size)
    lowest = floor(test.targets, test.kind)
    highest = {"accuracy": oracle(test.records)} if test.kind == "expression" else {}
    manifest = data.load_manifest(name)
    table = layouts.read(data.locate(manifest, "twin", size=size), manifest)
    tested_only = "part" in table and not (table["part"] == "train").any()
    linear = {} if tested_only else pixel_linear(data.load(name, "train", size=size), test)
    rows = [(m, lowest[m], linear.get(m, np.nan), highest.get(m, np.nan)) for m in lowest]
    tasks = test.records.get("activity")
    if tasks is not None and tasks.nunique() > 1:
        known = identity_probe(_pictures(test), test.records["subject"].to_numpy(), tasks.to_numpy())
        rows.append(("identity, other tasks", known["chance"], known["accuracy"], np.nan))
    found = pd.DataFrame(rows, columns=["measure", "floor", "linear", "oracle"])
    found.insert(0, "twin", name)
    found.insert(1, "size", size)
    return found


def _pictures(dataset: Dataset) -> np.ndarray:
    """Pictures of a split; of clips the middle frames."""
    if dataset.spans is None:
        return dataset.images
    return dataset.images[dataset.spans.sum(1) // 2]


def identity_probe(images: np.ndarray, subjects: np.ndarray, activities: np.ndarray) -> dict[str, float]:
    """How well a linear model on pixels names a person in tasks that it has not seen them in.

    Args:
        images: uint8 ``[n, 3, S, S]``.
        subjects: who is shown ``[n]``.
        activities: task of each picture ``[n]``; every second task (in sorted order) is held out.

    Returns:
        ``accuracy`` and ``chance`` (1 / people).

    Raises:
        ValueError: fewer than two activities.
    """
    tasks = np.unique(activities)
    if len(tasks) < 2:
        raise ValueError("identity_probe needs at least two activities: one to learn from, one to test on")
    held = np.isin(activities, tasks[1::2])
    a, b = _project(images[~held], images[held])
    answer = _classifier().fit(a, subjects[~held]).predict(b)
    return {"accuracy": float((answer == subjects[held]).mean()), "chance": 1 / len(np.unique(subjects))}


def _project(train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.decomposition import PCA

    a, b = grey_pixels(train), grey_pixels(test)
    pca = PCA(min(COMPONENTS, *a.shape), svd_solver="randomized", random_state=0).fit(a)
    return pca.transform(a), pca.transform(b)


def _classifier(balanced: bool = True) -> LogisticRegression:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=0.01, max_iter=300, class_weight="balanced" if balanced else None)


def _binary(train: np.ndarray, target: np.ndarray, test: np.ndarray, balanced: bool) -> np.ndarray:
    """One unit: fitted on the coded rows; a unit that never changes is answered as it always was."""
    coded = target >= 0
    if len(np.unique(target[coded])) < 2:
        return np.full(len(test), target[coded][0] if coded.any() else 0, np.int8)
    return _classifier(balanced).fit(train[coded], target[coded]).predict(test)


def _unit_scores(targets: np.ndarray, answers: np.ndarray) -> dict[str, float]:
    """Means over the units that occur and also do not: F1, and the mean of both classes' recall."""
    f1, balanced = [], []
    for target, answer in zip(targets.T, answers.T, strict=True):
        on, yes = target[target >= 0] == 1, answer[target >= 0] == 1
        if on.any() and not on.all():
            f1.append(2 * (on & yes).sum() / (on.sum() + yes.sum()))
            balanced.append((yes[on].mean() + (~yes[~on]).mean()) / 2)
    if not f1:
        return {"mean_f1": float("nan"), "balanced_accuracy": float("nan")}
    return {"mean_f1": float(np.mean(f1)), "balanced_accuracy": float(np.mean(balanced))}
