"""More of what frozen features hold: how well classes separate, what people look like, how strong a unit is."""

from __future__ import annotations

import numpy as np
import pandas as pd

from fbu.data.dataset import Dataset
from fbu.evaluation import metrics
from fbu.probes import Probe, neighbour_hits

_MOST = 2000  # samples whose pairwise distances a silhouette takes


def class_purity(features: np.ndarray, keys: np.ndarray, groups: np.ndarray) -> dict[str, float]:
    """Share of each class's samples whose nearest neighbour from another group is of the same class.

    Args:
        features: (n, d), any scale; cosine similarity is used.
        keys: (n,) class of each sample.
        groups: (n,) e.g. subject.
    """
    hits, _ = neighbour_hits(features, keys, groups)
    return {str(name): float(hits[keys == name].mean()) for name in np.unique(keys)}


def silhouettes(features: np.ndarray, keys: np.ndarray) -> dict[str, float]:
    """Mean silhouette by cosine distance: ``""`` over all samples, ``"/<class>"`` over each class.

    Between -1 and 1; at 0 a sample is as close to another class as to its own. Of more than 2,000 samples an even
    part is taken.

    Args:
        features: (n, d).
        keys: (n,) class of each sample; classes with one sample are left out.
    """
    from sklearn.metrics import silhouette_samples

    names, counts = np.unique(keys, return_counts=True)
    rows = np.flatnonzero(np.isin(keys, names[counts > 1]))
    rows = rows[:: max(1, -(-len(rows) // _MOST))]
    kept = keys[rows]
    if len(np.unique(kept)) < 2 or len(np.unique(kept)) >= len(kept):
        return {"": float("nan")}
    each = silhouette_samples(features[rows], kept, metric="cosine")
    return {"": float(each.mean())} | {
        f"/{name}": float(each[kept == name].mean()) for name in np.unique(kept)
    }


#: Columns of a twin's truth that say what a person looks like, and how they are cut into classes.
LOOKS = {"sex": "true_sex", "age": "true_age", "skin": "true_skin"}


def looks(records: pd.DataFrame) -> dict[str, np.ndarray]:
    """What a twin's people look like, by attribute: two classes each; age and skin are cut at the middle person.

    Real sets do not come with these, so nothing is returned for them.
    """
    found = {}
    for name, column in LOOKS.items():
        if column not in records:
            continue
        values = records[column]
        if name != "sex":
            middle = values.groupby(records["subject"]).first().median()
            values = (values > middle).map({True: "more", False: "less"})
        found[name] = values.to_numpy(str)
    return found


def attribute_probe(features: np.ndarray, classes: np.ndarray, people: np.ndarray, folds: int = 5) -> Probe:
    """Balanced accuracy of a linear probe for an attribute, on people that the probe was not fitted on.

    Args:
        features: (n, d).
        classes: (n,) the attribute.
        people: (n,) who is shown; a person is in one fold only.
        folds: cross-validation folds, at most one per person.

    Returns:
        Mean recall over classes, of all folds together; chance is one over the number of classes. NaN where a class
        has fewer people than there are folds.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    names = np.unique(classes)
    enough = min(len(np.unique(people[classes == name])) for name in names)
    folds = min(folds, enough)
    if len(names) < 2 or folds < 2:
        return Probe(float("nan"), 1 / max(len(names), 1), len(classes))
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=1.0, max_iter=300, class_weight="balanced"))
    parts = StratifiedGroupKFold(folds, shuffle=True, random_state=0)
    said = cross_val_predict(probe, features, classes, groups=people, cv=parts)
    return Probe(metrics.mean_class_accuracy(classes, said), 1 / len(names), len(classes))


def spread(keys: np.ndarray, count: int, seed: int) -> np.ndarray:
    """At most ``count`` positions, drawn evenly over the classes as far as they reach; sorted."""
    rng = np.random.default_rng(seed)
    names = np.unique(keys)
    each = -(-count // len(names))
    rows = [rng.permutation(np.flatnonzero(keys == name))[:each] for name in names]
    return np.sort(np.concatenate(rows))


def embed(features: np.ndarray, seed: int) -> np.ndarray:
    """Places (n, 2) by t-SNE on cosine distances (van der Maaten and Hinton 2008), as CLEF's Fig. 4 draws them."""
    from sklearn.manifold import TSNE

    perplexity = min(30.0, max(2.0, (len(features) - 1) / 3))
    settings = {
        "perplexity": perplexity,
        "init": "pca",
        "metric": "cosine",
        "random_state": seed,
        "n_jobs": 1,
    }
    return TSNE(2, **settings).fit_transform(features)


def graded(loaded: Dataset, lead: np.ndarray) -> dict[str, float]:
    """How well a lead of the strong wording over the weak one follows a unit's intensity.

    Pictures count where the unit is coded as present. The intensity is the twin's true one (0 to 5, continuous), or
    the coders' where only these are known.

    Args:
        loaded: split with action units.
        lead: (N, A) similarity to the strong wording minus that to the weak one.

    Returns:
        ``rank_correlation`` (Spearman's, mean over units), ``strong_auc`` (chance that the lead is larger for a unit
        at 3.5 or more than for a weaker one), ``units`` that could be judged, and both by unit as ``.../AU<n>``.
        Chance is 0 and 0.5.
    """
    from scipy.stats import spearmanr
    from sklearn.metrics import roc_auc_score

    found: dict[str, float] = {}
    for i, name in enumerate(loaded.labels):
        truth = loaded.intensity(name)
        if truth is None:
            continue
        rows = (loaded.targets[:, i] == 1) & (truth >= 0)
        strong = truth[rows] >= 3.5
        if rows.sum() < 10 or not 0 < strong.sum() < rows.sum():
            continue
        found[f"rank_correlation/{name}"] = float(spearmanr(lead[rows, i], truth[rows]).statistic)
        found[f"strong_auc/{name}"] = float(roc_auc_score(strong, lead[rows, i]))
    means = {
        measure: float(np.mean([v for k, v in found.items() if k.startswith(f"{measure}/")] or [np.nan]))
        for measure in ("rank_correlation", "strong_auc")
    }
    return {**means, "units": len(found) / 2, "score": means["rank_correlation"], **found}
