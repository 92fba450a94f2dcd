"""Numbers of heatmaps: one picture and label against a region, a text against its label, and their means."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import torch
from torch import Tensor

from fbu.localisation import area, energy_inside, localisation_auc, pointing_game, upsample

MEASURES = {"pointing": pointing_game, "energy": energy_inside, "auc": localisation_auc}


def localised(maps: dict[str, Tensor], label: int, absent: Sequence[int], mask: Tensor) -> dict[str, float]:
    """Every measure of every map of one label against one mask ``[S, S]``.

    Relevance has no unit and no zero that means something, so energy is counted from each map's smallest value,
    which is where its colours begin in a figure; the other measures do not depend on it.
    """
    kinds = list(maps)
    asked = torch.cat([torch.stack([maps[kind][label] for kind in kinds]), maps["name"][list(absent)]])
    pixels = upsample(asked, (mask.shape[0], mask.shape[1]))
    pixels = pixels - pixels.amin((1, 2), keepdim=True)
    masks = mask.expand(len(pixels), -1, -1)
    found: dict[str, float] = {}
    for measure, score in MEASURES.items():
        values = score(pixels, masks)
        found |= {f"{measure}/{kind}": float(v) for kind, v in zip(kinds, values, strict=False)}
        found[f"{measure}/absent"] = float(values[len(kinds) :].mean())
        found[f"{measure}/chance"] = 0.5 if measure == "auc" else float(area(mask[None]))
    return found


def on_label(values: Tensor, ids: Tensor, slot: tuple[int, int]) -> tuple[float, float]:
    """Share of a text's relevance on the label's tokens, and their share of all tokens; start and end do not count."""
    inner, (first, last) = values[1 : int(ids.argmax())].double(), slot
    chance = (last - first) / len(inner)
    total = float(inner.sum())
    return (float(inner[first - 1 : last - 1].sum()) / total if total > 0 else chance), chance


def means(table: pd.DataFrame) -> dict[str, float]:
    """Means over the pictures of each label, and of these over labels; numbers of pictures as ``pictures``.

    Args:
        table: one row per picture and label: label, sample, subject, and numbers (NaN where there is no truth).
    """
    numbers = table.drop(columns=["sample", "subject"]).groupby("label", sort=False).mean()
    counts = table["label"].value_counts()
    found = {str(name): float(value) for name, value in numbers.mean().items()}
    for label, row in numbers.iterrows():
        found |= {f"{name}/{label}": float(value) for name, value in row.items() if value == value}
        found[f"pictures/{label}"] = float(counts[str(label)])
    found["pictures"] = float(len(table))
    found["samples"], found["subjects"] = float(table["sample"].nunique()), float(table["subject"].nunique())
    return found
