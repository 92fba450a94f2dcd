"""A picture of any kind, cut and sized as a run wants it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from fbu.data.alignment import preset_named
from fbu.data.decoding import UNREADABLE
from fbu.data.manifest import load_manifest
from fbu.errors import DataError
from fbu.recipes import DataSpec

_VIDEOS = {".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".flv"}


def read_picture(path: Path) -> Image.Image:
    """A picture file as RGB, upright; transparent parts become black, and of an animation the first frame is taken.

    Raises:
        DataError: no such file, no picture, a damaged one, or a video.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such picture")
    try:
        with Image.open(path) as opened:
            opened.load()
            upright = ImageOps.exif_transpose(opened)
            if upright.mode.startswith("I") or upright.mode == "F":
                return _eight_bits(upright)
            if upright.has_transparency_data:
                cut = upright.convert("RGBA")
                return Image.composite(cut, Image.new("RGBA", cut.size), cut.getchannel("A")).convert("RGB")
            return upright.convert("RGB")
    except UNREADABLE as error:
        if path.suffix.lower() in _VIDEOS:
            raise DataError(f"{path} is a video: name a run on clips, or give a picture") from None
        detail = "" if isinstance(error, Image.UnidentifiedImageError) else f" ({error})"
        raise DataError(f"{path} is no picture that can be read, or is damaged{detail}") from None


def _eight_bits(image: Image.Image) -> Image.Image:
    """A grey picture of more than 8 bits: by its format's range, or by its own where the format has none."""
    values = np.asarray(image, dtype=np.float64)
    top = 65_535.0 if values.min() >= 0 and 255 < values.max() <= 65_535 else max(values.max(), 255.0)
    return Image.fromarray((255 * values.clip(0) / top).round().astype(np.uint8)).convert("RGB")


def placement(spec: DataSpec) -> tuple[str, str]:
    """Alignment preset for a single picture under a run's data, and the sentence that says so.

    A single picture has no box and no landmarks, so presets that need them give way to the middle of the picture. So
    does the preset that takes a whole picture: data sets use it for square pictures, and others would be squeezed.
    """
    manifest = load_manifest(spec.name)
    protocol = manifest.protocols.get(spec.protocol or "")
    name = spec.preset or (protocol.preset if protocol is not None else None) or manifest.preset
    if spec.source == "twin":
        name = spec.preset or "none"  # drawn in place
    if name == "mtcnn":
        return name, "mtcnn: around the largest face found"
    needs = preset_named(name).needs
    middle = "the largest square around the middle"
    wanted = {"box": "a box", "landmarks": "landmarks"}.get(needs)
    return "centre", middle if wanted is None else f"{middle}; the run's preset {name} needs {wanted}"
