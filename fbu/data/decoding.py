"""One picture file to an array: which part of it is kept, and how it is resized."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from fbu.errors import DataError

Box = tuple[float, float, float, float]


def _whole(width: int, height: int) -> Box:
    return 0, 0, width, height


def _centre(width: int, height: int) -> Box:
    side = min(width, height)
    return (width - side) / 2, (height - side) / 2, (width + side) / 2, (height + side) / 2


#: Name -> part of a picture of (width, height) that is kept, as left, top, right, bottom in pixels.
PRESETS: dict[str, Callable[[int, int], Box]] = {"none": _whole, "centre": _centre}
#: What Pillow raises on a picture that it cannot read.
UNREADABLE = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)


def decode(path: Path, image_size: int, preset: str = "none") -> np.ndarray:
    """One picture as uint8 ``[3, S, S]``: RGB, cropped by the preset, resized with antialias.

    Raises:
        DataError: unknown preset. OSError and the others of `UNREADABLE`: not a picture.
    """
    crop = check_preset(preset)
    with Image.open(path) as image:
        width, height = image.size
        # JPEG decodes large pictures faster at a fraction of their size; twice the target keeps it smooth.
        image.draft(None, (2 * image_size, 2 * image_size))
        x, y = image.size[0] / width, image.size[1] / height
        left, top, right, bottom = crop(width, height)
        box = (left * x, top * y, min(right * x, image.size[0]), min(bottom * y, image.size[1]))
        side = (image_size, image_size)
        small = image.convert("RGB").resize(side, Image.Resampling.BILINEAR, box=box)
    return np.asarray(small).transpose(2, 0, 1)


def check_preset(name: str) -> Callable[[int, int], Box]:
    """The crop of a preset, or a DataError with the known ones."""
    if name not in PRESETS:
        raise DataError(f"unknown alignment preset {name!r}: known are {', '.join(PRESETS)}")
    return PRESETS[name]


def sizes(root: Path, paths: Sequence[str]) -> list[int]:
    """Bytes of each file, -1 where there is none."""
    found = []
    for path in paths:
        try:
            found.append(os.stat(os.path.join(root, path)).st_size)
        except OSError:
            found.append(-1)
    return found
