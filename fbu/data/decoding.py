"""One picture to an array: opened, placed by a preset, resized."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from PIL import Image

from fbu.data.alignment import preset_named

#: What Pillow and the presets raise on a picture that cannot be read or placed.
UNREADABLE = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)


def decode(path: Path, image_size: int, preset: str = "none", points: np.ndarray | None = None) -> np.ndarray:
    """One picture file as uint8 ``[3, S, S]``: see `fit`.

    Raises:
        DataError: unknown preset. OSError and the others of `UNREADABLE`: not a picture, or no face to place.
    """
    with Image.open(path) as image:
        return fit(image, image_size, preset, points)


def fit(
    image: Image.Image, image_size: int, preset: str = "none", points: np.ndarray | None = None
) -> np.ndarray:
    """A picture as uint8 ``[3, S, S]``: RGB, placed by the preset, resized with antialias, black outside.

    Args:
        image: opened, its pixels not read yet if it is a file.
        image_size: S in pixels.
        preset: a name of `fbu.data.alignment.PRESETS`.
        points: what the preset needs, ``[P, 2]`` in pixels of the picture.
    """
    placement = preset_named(preset).place(image, points)
    width, height = image.size
    if image.format == "JPEG":
        # A JPEG of large pictures is read faster at a fraction of its size; twice the target keeps it smooth.
        kept = min(np.hypot(*placement[:, 0]) / width, np.hypot(*placement[:, 1]) / height)
        enough = math.ceil(2 * image_size / max(min(kept, 1.0), 1e-3))
        image.draft(None, (enough, enough))
    placement = placement * np.array([[image.size[0] / width], [image.size[1] / height]])
    (across, skew, left), (tilt, down, top) = placement
    side = (image_size, image_size)
    inside = left >= 0 and top >= 0 and left + across <= image.size[0] and top + down <= image.size[1]
    small = image.convert("RGB")
    if skew == tilt == 0 and inside:
        small = small.resize(side, Image.Resampling.BILINEAR, box=(left, top, left + across, top + down))
    else:
        # A turn samples single pixels: so it goes to a multiple of the size first, which is then averaged.
        times = max(1, math.ceil(max(np.hypot(across, tilt), np.hypot(skew, down)) / image_size))
        fine = times * image_size
        matrix = (across / fine, skew / fine, left, tilt / fine, down / fine, top)
        small = small.transform((fine, fine), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)
        small = small.resize(side, Image.Resampling.BOX) if times > 1 else small
    return np.asarray(small).transpose(2, 0, 1)
