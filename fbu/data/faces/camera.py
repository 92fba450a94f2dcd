"""What the camera adds: blur and sensor noise."""

from __future__ import annotations

import torch
from torch import Tensor

from fbu.data.faces.coefficients import Numbers
from fbu.data.faces.tables import BLUR_LEVELS, NOISE_SIZE, Tables

_SHIFTS = 251  # noise is cut from a fixed texture at one of 251**2 places


def degrade(n: Numbers, picture: Tensor, tables: Tables) -> Tensor:
    """Blur and noise pictures [B, 3, S, S], in place."""
    level = (n["blur"][:, 0] * BLUR_LEVELS).ceil().long().clamp(0, BLUR_LEVELS)
    rows = (level > 0).nonzero()[:, 0]
    if len(rows):
        # Along rows with the three channels stacked, then along columns.
        blur, sharp = tables.blur.index_select(0, level[rows]), picture.index_select(0, rows)
        across = (sharp.flatten(1, 2) @ blur.transpose(1, 2)).view_as(sharp)
        picture.index_copy_(0, rows, torch.matmul(blur[:, None], across))
    size, limit = picture.shape[-1], min(_SHIFTS, NOISE_SIZE - picture.shape[-1] + 1)
    for image, strength, seed in zip(
        picture, n["noise"].flatten().tolist(), n["seed"].flatten().tolist(), strict=True
    ):
        if strength > 0:
            top, left = int(seed) % _SHIFTS % limit, int(seed) // _SHIFTS % _SHIFTS % limit
            image.add_(tables.noise[:, top : top + size, left : left + size], alpha=strength)
    return picture.clamp_(0, 1)
