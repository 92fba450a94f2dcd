"""Alignment presets: which part of a picture is kept, and how it is turned.

A preset gives a placement: the affine map from the unit square (0, 0 top left, 1, 1 bottom right of what is kept)
to pixels of the picture, float64 ``[2, 3]``. Preset, image size and points are part of the cache's key.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import numpy as np
from PIL import Image

from fbu.errors import DataError

#: ArcFace's positions of eyes, nose tip and mouth corners in a picture of 112 x 112 pixels (Deng et al., CVPR 2019).
FIVE_POINTS = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
FIVE_POINTS /= 112  # to the unit square
#: Size of the kept square over the larger of eye distance and eye-to-mouth height, as BP4D's readers have it.
_ENLARGED = 2.9
# Number of landmarks -> where left eye, right eye, nose tip and mouth corners stand; 49 and 51 points leave out the
# jaw of the 68-point scheme, 49 and 66 also two inner mouth corners.
_SCHEMES: dict[int, tuple[slice, slice, int, int, int]] = {
    5: (slice(0, 1), slice(1, 2), 2, 3, 4),
    49: (slice(19, 25), slice(25, 31), 13, 31, 37),
    51: (slice(19, 25), slice(25, 31), 13, 31, 37),
    66: (slice(36, 42), slice(42, 48), 30, 48, 54),
    68: (slice(36, 42), slice(42, 48), 30, 48, 54),
}

Points = np.ndarray | None


@dataclass(frozen=True)
class Preset:
    """One way to place a face.

    Attributes:
        place: picture and its points ``[P, 2]`` in pixels (None without) -> placement ``[2, 3]``.
        needs: what the points are: a box (two corners), facial landmarks, or nothing.
    """

    place: Callable[[Image.Image, Points], np.ndarray]
    needs: Literal["nothing", "box", "landmarks"] = "nothing"


def five_points(landmarks: np.ndarray) -> np.ndarray:
    """Eye centres, nose tip and mouth corners ``[5, 2]`` from 5, 49, 51, 66 or 68 landmarks.

    Raises:
        ValueError: another number of landmarks, or one that is not finite.
    """
    if len(landmarks) not in _SCHEMES:
        raise ValueError(f"{len(landmarks)} landmarks: known are {', '.join(map(str, _SCHEMES))}")
    if not np.isfinite(landmarks).all():
        raise ValueError("no landmarks for this picture")
    left, right, *rest = _SCHEMES[len(landmarks)]
    return np.stack([landmarks[left].mean(0), landmarks[right].mean(0), *(landmarks[at] for at in rest)])


def similarity(template: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Turn, scale and shift ``[2, 3]`` that bring template points closest to points (least squares, no mirror)."""
    # With a = scale * cos, b = scale * sin the map is linear in (a, b, shift).
    x, y = template[:, 0], template[:, 1]
    one, none = np.ones_like(x), np.zeros_like(x)
    rows = np.concatenate([np.stack([x, -y, one, none], 1), np.stack([y, x, none, one], 1)])
    a, b, u, v = np.linalg.lstsq(rows, np.concatenate([points[:, 0], points[:, 1]]), rcond=None)[0]
    return np.array([[a, -b, u], [b, a, v]])


def _square(centre: np.ndarray, side: float, turn: float = 0.0) -> np.ndarray:
    across = side * np.array([np.cos(turn), np.sin(turn)])
    down = side * np.array([-np.sin(turn), np.cos(turn)])
    return np.stack([across, down, centre - (across + down) / 2], 1)


def _whole(image: Image.Image, points: Points) -> np.ndarray:
    return np.array([[image.width, 0, 0], [0, image.height, 0]], float)


def _centre(image: Image.Image, points: Points) -> np.ndarray:
    return _square(np.array([image.width / 2, image.height / 2]), min(image.size))


def _box(image: Image.Image, points: Points) -> np.ndarray:
    (left, top), (right, bottom) = _given(points, "box")
    if not (right > left and bottom > top):
        raise ValueError(f"the box {left:g}, {top:g} to {right:g}, {bottom:g} is empty")
    return np.array([[right - left, 0, left], [0, bottom - top, top]])


def _eyes_level(image: Image.Image, points: Points) -> np.ndarray:
    left, right, _, *corners = five_points(_given(points, "landmarks"))
    mouth = np.mean(corners, axis=0)
    across = right - left
    turn = float(np.arctan2(across[1], across[0]))
    # In a frame with level eyes: halfway between the eyes, and halfway down to the mouth.
    down = np.array([-np.sin(turn), np.cos(turn)])
    height = float((mouth - (left + right) / 2) @ down)
    side = _ENLARGED * max(float(np.hypot(*across)), height)
    return _square((left + right) / 2 + down * height / 2, side, turn)


def _five(image: Image.Image, points: Points) -> np.ndarray:
    return similarity(FIVE_POINTS, five_points(_given(points, "landmarks")))


def _mtcnn(image: Image.Image, points: Points) -> np.ndarray:
    _, _, found = _detector().detect(image.convert("RGB"), landmarks=True)
    if found is None:
        raise ValueError("no face found")
    return similarity(FIVE_POINTS, np.asarray(found[0], float))


@cache
def _detector() -> Any:
    try:
        from facenet_pytorch import MTCNN
    except ImportError:
        raise DataError(
            "preset 'mtcnn' needs facenet-pytorch: pip install --no-deps facenet-pytorch, or choose another preset"
        ) from None
    return MTCNN(select_largest=True, device="cpu")


def _given(points: Points, what: str) -> np.ndarray:
    if points is None or not np.isfinite(points).all():
        raise ValueError(f"no {what} for this picture")
    return points


#: Known presets; `none` squeezes the whole picture into the square.
PRESETS: dict[str, Preset] = {
    "none": Preset(_whole),
    "centre": Preset(_centre),
    "box": Preset(_box, "box"),
    "eyes_level": Preset(_eyes_level, "landmarks"),
    "five_points": Preset(_five, "landmarks"),
    "mtcnn": Preset(_mtcnn),
}


def preset_named(name: str) -> Preset:
    """A preset, or a DataError with the known ones."""
    if name not in PRESETS:
        raise DataError(f"unknown alignment preset {name!r}: known are {', '.join(PRESETS)}")
    return PRESETS[name]
