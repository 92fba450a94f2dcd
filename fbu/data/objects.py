"""Drawn things other than faces, with captions: the rest of what the CLIP stand-in sees.

Every thing is a stack of simple shapes (signed distances) in a unit square, at any size, place and angle.
All randomness is counter-based, so a picture does not depend on the batch that it is drawn in.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from fbu.data.faces import uniform

_STREAM, _DRAWS, _CHUNK = 601, 16, 256

COLOURS: dict[str, tuple[float, float, float]] = {
    "red": (0.82, 0.14, 0.12),
    "green": (0.16, 0.60, 0.22),
    "blue": (0.15, 0.30, 0.80),
    "yellow": (0.95, 0.82, 0.15),
    "orange": (0.95, 0.50, 0.10),
    "purple": (0.50, 0.20, 0.65),
    "pink": (0.95, 0.55, 0.68),
    "brown": (0.45, 0.28, 0.14),
    "white": (0.93, 0.93, 0.92),
    "black": (0.08, 0.08, 0.09),
}
_MAIN, _DARK, _WOOD, _PALE = "main", "dark", "wood", "pale"
_FIXED = {_WOOD: (0.42, 0.27, 0.14), _PALE: (0.92, 0.90, 0.84)}

_Part = tuple[str, Callable[[Tensor, Tensor], Tensor]]


def _disc(cx: float, cy: float, r: float) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda x, y: r - ((x - cx) ** 2 + (y - cy) ** 2).sqrt()


def _oval(cx: float, cy: float, rx: float, ry: float) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda x, y: (1 - (((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2).sqrt()) * min(rx, ry)


def _ring(cx: float, cy: float, r: float, width: float) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda x, y: width - (((x - cx) ** 2 + (y - cy) ** 2).sqrt() - r).abs()


def _arc(cx: float) -> Callable[[Tensor, Tensor], Tensor]:
    """A seam of a ball: the part of a ring that lies on the disc."""
    ring, disc = _ring(cx, 0, 0.7, 0.04), _disc(0, 0, 0.6)
    return lambda x, y: torch.minimum(ring(x, y), disc(x, y))


def _box(cx: float, cy: float, hx: float, hy: float) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda x, y: torch.minimum(hx - (x - cx).abs(), hy - (y - cy).abs())


def _polygon(*points: tuple[float, float]) -> Callable[[Tensor, Tensor], Tensor]:
    """Convex, corners in clockwise order on the page (y points down)."""

    def inside(x: Tensor, y: Tensor) -> Tensor:
        out = torch.full_like(x, 9.0)
        for (ax, ay), (bx, by) in zip(points, (*points[1:], points[0]), strict=True):
            length = math.hypot(bx - ax, by - ay)
            out = torch.minimum(out, ((bx - ax) * (y - ay) - (by - ay) * (x - ax)) / length)
        return out

    return inside


def _star(tips: int, inner: float, outer: float) -> Callable[[Tensor, Tensor], Tensor]:
    def inside(x: Tensor, y: Tensor) -> Tensor:
        wave = torch.acos((torch.cos(torch.atan2(x, -y) * tips)).clamp(-1, 1)) / math.pi
        return outer + (inner - outer) * wave - (x * x + y * y).sqrt()

    return inside


def _blossom(x: Tensor, y: Tensor) -> Tensor:
    return 0.22 + 0.12 * torch.cos(5 * torch.atan2(x, y + 0.2)) - (x * x + (y + 0.2) ** 2).sqrt()


#: Thing -> parts from back to front: colour role and signed distance (positive inside), in a square of -1..1.
THINGS: dict[str, tuple[_Part, ...]] = {
    "ball": (
        (_MAIN, _disc(0, 0, 0.6)),
        (_DARK, _arc(-0.6)),
        (_DARK, _arc(0.6)),
    ),
    "house": (
        (_PALE, _box(0, 0.3, 0.5, 0.4)),
        (_MAIN, _polygon((-0.7, -0.1), (0, -0.7), (0.7, -0.1))),
        (_WOOD, _box(0.2, 0.45, 0.12, 0.25)),
        (_DARK, _box(-0.22, 0.2, 0.12, 0.12)),
    ),
    "tree": (
        (_WOOD, _box(0, 0.45, 0.1, 0.4)),
        (_MAIN, _oval(0, -0.2, 0.5, 0.5)),
        (_DARK, _disc(-0.12, -0.3, 0.12)),
    ),
    "cup": (
        (_MAIN, _ring(0.42, 0.05, 0.25, 0.06)),
        (_MAIN, _box(0, 0.1, 0.4, 0.45)),
        (_DARK, _oval(0, -0.33, 0.4, 0.1)),
    ),
    "car": (
        (_MAIN, _polygon((-0.5, 0), (-0.3, -0.38), (0.3, -0.38), (0.5, 0))),
        (_PALE, _polygon((-0.36, -0.04), (-0.24, -0.3), (-0.04, -0.3), (-0.04, -0.04))),
        (_PALE, _polygon((0.04, -0.04), (0.04, -0.3), (0.24, -0.3), (0.36, -0.04))),
        (_MAIN, _box(0, 0.14, 0.8, 0.2)),
        (_DARK, _disc(-0.45, 0.36, 0.18)),
        (_DARK, _disc(0.45, 0.36, 0.18)),
    ),
    "fish": (
        (_MAIN, _polygon((0.35, 0), (0.8, -0.35), (0.8, 0.35))),
        (_MAIN, _oval(-0.1, 0, 0.6, 0.36)),
        (_PALE, _disc(-0.42, -0.08, 0.09)),
        (_DARK, _disc(-0.44, -0.08, 0.045)),
    ),
    "star": ((_MAIN, _star(5, 0.28, 0.75)),),
    "flower": ((_WOOD, _box(0, 0.4, 0.035, 0.45)), (_MAIN, _blossom), (_PALE, _disc(0, -0.2, 0.11))),
    "boat": (
        (_WOOD, _box(0, -0.2, 0.03, 0.5)),
        (_PALE, _polygon((0.06, 0.15), (0.06, -0.65), (0.5, 0.15))),
        (_MAIN, _polygon((-0.7, 0.25), (0.7, 0.25), (0.45, 0.6), (-0.45, 0.6))),
    ),
    "book": (
        (_MAIN, _box(0, 0, 0.5, 0.65)),
        (_PALE, _box(0.5, 0, 0.04, 0.6)),
        (_DARK, _box(-0.4, 0, 0.04, 0.65)),
    ),
    "clock": (
        (_MAIN, _disc(0, 0, 0.65)),
        (_PALE, _disc(0, 0, 0.52)),
        (_DARK, _box(0, -0.18, 0.035, 0.22)),
        (_DARK, _box(0.14, 0, 0.16, 0.035)),
    ),
    "apple": (
        (_WOOD, _box(0.02, -0.55, 0.04, 0.2)),
        (_MAIN, _disc(-0.2, 0, 0.42)),
        (_MAIN, _disc(0.2, 0, 0.42)),
    ),
    "chair": (
        (_MAIN, _box(-0.38, -0.2, 0.07, 0.55)),
        (_MAIN, _box(0, 0.1, 0.45, 0.07)),
        (_DARK, _box(-0.38, 0.45, 0.05, 0.3)),
        (_DARK, _box(0.38, 0.45, 0.05, 0.3)),
    ),
    "key": (
        (_MAIN, _ring(-0.42, 0, 0.24, 0.08)),
        (_MAIN, _box(0.22, 0, 0.45, 0.06)),
        (_MAIN, _box(0.58, 0.14, 0.06, 0.14)),
        (_MAIN, _box(0.36, 0.12, 0.05, 0.12)),
    ),
}
_NAMES, _COLOURS = tuple(THINGS), tuple(COLOURS)
_PATTERNS = ("a drawing of {}", "a picture of {}", "{}", "a photo of {}")


def _plan(index: np.ndarray | Tensor, seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Thing, colour and background colour of each picture, and the draws they came from."""
    u = uniform(seed, torch.as_tensor(index), _DRAWS, _STREAM)
    thing, colour = (u[:, 0] * len(_NAMES)).long(), (u[:, 1] * len(_COLOURS)).long()
    ground = (colour + 1 + (u[:, 2] * (len(_COLOURS) - 1)).long()) % len(_COLOURS)
    return thing, colour, ground, u


def draw_objects(index: np.ndarray | Tensor, size: int, *, seed: int = 0) -> np.ndarray:
    """Pictures of things, uint8 ``[n, 3, size, size]``; each depends on its number and the seed only."""
    index = np.ascontiguousarray(index)
    out = np.empty((len(index), 3, size, size), np.uint8)
    for start in range(0, len(index), _CHUNK):
        part = index[start : start + _CHUNK]
        thing, colour, ground, u = _plan(part, seed)
        for kind in thing.unique().tolist():
            rows = thing == kind
            pictures = _draw(_NAMES[kind], colour[rows], ground[rows], u[rows], size)
            out[start + np.flatnonzero(rows.numpy())] = pictures.numpy()
    return out


def _draw(name: str, colour: Tensor, ground: Tensor, u: Tensor, size: int) -> Tensor:
    palette = torch.tensor(list(COLOURS.values()))
    main = (palette[colour] * (0.85 + 0.3 * u[:, 3:4])).clamp(0, 1)
    centre = (torch.arange(size) + 0.5) * (2 / size) - 1
    scale, angle = (0.75 + 0.5 * u[:, 4])[:, None, None], ((u[:, 5] - 0.5) * 0.6)[:, None, None]
    px = centre[None, None, :] - (u[:, 6] - 0.5)[:, None, None] * 0.5
    py = centre[None, :, None] - (u[:, 7] - 0.5)[:, None, None] * 0.5
    mirror = torch.where(u[:, 8] < 0.5, -1.0, 1.0)[:, None, None]
    x = (px * angle.cos() + py * angle.sin()) / scale * mirror
    y = (py * angle.cos() - px * angle.sin()) / scale
    pale = 0.35 * palette[ground] + 0.5 * u[:, 9:10]
    tilt = centre[None, :, None] * (u[:, 10] - 0.5)[:, None, None] * 0.2
    image = (pale[:, :, None, None] + tilt[:, None]).expand(-1, -1, -1, size).clone()
    dark = (main * 0.25 + 0.25 * (main.mean(1, keepdim=True) < 0.25)).clamp(0, 1)
    for role, inside in THINGS[name]:
        fixed = torch.tensor(_FIXED.get(role, (0.0, 0.0, 0.0))).expand_as(main)
        paint = {_MAIN: main, _DARK: dark}.get(role, fixed)
        cover = (inside(x, y) * scale * (size / 2) + 0.5).clamp(0, 1)[:, None]
        image = torch.lerp(image, paint[:, :, None, None].expand_as(image), cover)
    return (image.clamp(0, 1) * 255 + 0.5).to(torch.uint8)


def object_captions(index: np.ndarray | Tensor | Sequence[int], *, seed: int = 0) -> list[str]:
    """Captions of `draw_objects` with the same numbers and seed, e.g. "a drawing of a red car."."""
    thing, colour, _, u = _plan(torch.as_tensor(index), seed)
    out = []
    for kind, paint, v in zip(thing.tolist(), colour.tolist(), u[:, 11:13].tolist(), strict=True):
        what = f"{_COLOURS[paint]} {_NAMES[kind]}" if v[0] < 0.8 else _NAMES[kind]
        text = f"{'an' if what[0] in 'aeiou' else 'a'} {what}"
        out.append(_PATTERNS[int(v[1] * len(_PATTERNS))].format(text) + ".")
    return out
