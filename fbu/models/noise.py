"""How well snippet scores tell noisy frames, on twins of clips, which know which frames are noise."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

_NOISY, _ONSET, _OFFSET = "true_noisy", "true_onset", "true_offset"


def noisy_share(records: pd.DataFrame, at: NDArray[np.int64]) -> NDArray[np.float64]:
    """Share of noisy frames among those of each snippet that are looked at.

    Args:
        records: one row per clip.
        at: ``[n, N, t]`` frames looked at, counted from 0 in each clip.

    Returns:
        ``[n, N]``; NaN where the frames' noise is unknown.
    """
    if _NOISY not in records:
        return np.full(at.shape[:2], np.nan)
    shares = np.zeros(at.shape[:2])
    for i, text in enumerate(records[_NOISY].fillna("")):
        noisy = [int(item.split(":")[0]) for item in text.split()]
        shares[i] = np.isin(at[i], noisy).mean(1)
    return shares


def shown_share(records: pd.DataFrame, at: NDArray[np.int64]) -> NDArray[np.float64]:
    """Share of the frames of each snippet that show the clip's expression at half its height or more, and no noise.

    Args:
        records: one row per clip.
        at: ``[n, N, t]`` frames looked at.

    Returns:
        ``[n, N]``; NaN for neutral clips, which have no height, and where it is unknown.
    """
    if _ONSET not in records:
        return np.full(at.shape[:2], np.nan)
    first, last = (records[name].to_numpy(float)[:, None, None] for name in (_ONSET, _OFFSET))
    inside = (at >= first) & (at <= last)
    for i, text in enumerate(records[_NOISY].fillna("")):
        inside[i] &= ~np.isin(at[i], [int(item.split(":")[0]) for item in text.split()])
    return np.where(first[:, :, 0] >= 0, inside.mean(2), np.nan)


def noise_metrics(
    records: pd.DataFrame, at: NDArray[np.int64], scores: NDArray, right: NDArray[np.bool_]
) -> dict[str, float]:
    """Snippet scores against the truth of a twin; nothing where there is no truth.

    Args:
        records: one row per clip.
        at: ``[n, N, t]`` frames looked at.
        scores: ``[n, N]`` a*.
        right: ``[n]`` whether a clip was recognised.

    Returns:
        ``noise_auroc``: chance that a snippet of mostly noise has a lower score than one without any (0.5: the scores
        say nothing); ``noise_auroc_within``: the same between snippets of one clip, mean over clips that have both;
        ``shown_correlation``: Pearson's, of scores with the share of a snippet's frames that show the expression,
        within clips (each clip's mean taken off both); ``accuracy_clean`` and ``accuracy_noisy``: of clips without and
        with noisy frames among those looked at; ``noisy_snippets``: share of mostly noise. NaN where one kind is
        missing.
    """
    if _NOISY not in records:
        return {}
    share, shown = noisy_share(records, at), shown_share(records, at)
    clean = share.max(1) == 0
    return {
        "noise_auroc": auroc(share >= 0.5, share == 0, scores),
        "noise_auroc_within": _mean(
            [auroc(share[i] >= 0.5, share[i] == 0, scores[i]) for i in range(len(share))]
        ),
        "shown_correlation": _correlation(scores, shown),
        "accuracy_clean": _mean(right[clean]),
        "accuracy_noisy": _mean(right[~clean]),
        "noisy_snippets": float((share >= 0.5).mean()),
    }


def auroc(noisy: NDArray[np.bool_], clean: NDArray[np.bool_], scores: NDArray) -> float:
    """Chance that a noisy snippet has a lower score than a clean one; ties count half, NaN where one kind is missing.

    Args:
        noisy: which snippets are noise.
        clean: which are not; some may be neither.
        scores: a* of each.
    """
    from sklearn.metrics import roc_auc_score

    if not noisy.any() or not clean.any():
        return float("nan")
    known = noisy | clean
    return float(roc_auc_score(noisy[known], -scores[known]))


def _correlation(scores: NDArray, shown: NDArray[np.float64]) -> float:
    known = ~np.isnan(shown).any(1)
    a, b = (z[known] - z[known].mean(1, keepdims=True) for z in (scores.astype(float), shown))
    length = np.sqrt((a**2).sum() * (b**2).sum())
    return float((a * b).sum() / length) if length > 0 else float("nan")


def _mean(values: NDArray | list[float]) -> float:
    known = [v for v in np.asarray(values, float) if not np.isnan(v)]
    return float(np.mean(known)) if known else float("nan")
