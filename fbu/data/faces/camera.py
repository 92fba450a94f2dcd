"""What the camera adds: blur and sensor noise."""

from __future__ import annotations

from torch import Tensor

from fbu.data.faces.coefficients import Numbers
from fbu.data.faces.tables import BLUR_LEVELS, NOISE_SIZE, Tables

_SHIFTS = 251  # noise is cut from a fixed texture at one of 251**2 places


def degrade(n: Numbers, picture: Tensor, tables: Tables) -> Tensor:
    """Blur and noise pictures [B, 3, S, S], in place."""
    level = (n["blur"][:, 0] * BLUR_LEVELS).ceil().long().clamp(0, BLUR_LEVELS)
    rows = (level > 0).nonzero()[:, 0]
    if len(rows):
        # Columns, then rows: each time one product per face with its three channels stacked.
        blur, blurred = tables.blur[level[rows]].transpose(1, 2), picture[rows]
        for _ in range(2):
            blurred = (blurred.flatten(1, 2) @ blur).view_as(blurred).transpose(2, 3)
        picture[rows] = blurred
    size, limit = picture.shape[-1], min(_SHIFTS, NOISE_SIZE - picture.shape[-1] + 1)
    for image, strength, seed in zip(
        picture, n["noise"].flatten().tolist(), n["seed"].flatten().tolist(), strict=True
    ):
        if strength > 0:
            top, left = int(seed) % _SHIFTS % limit, int(seed) // _SHIFTS % _SHIFTS % limit
            image.add_(tables.noise[:, top : top + size, left : left + size], alpha=strength)
    return picture.clamp_(0, 1)
