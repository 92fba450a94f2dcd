"""Hair tables: signed 'inside' of the hair before and behind the head, and its tone."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from fbu.data.faces.identity import SCARF, STYLES
from fbu.data.faces.randomness import smooth_noise
from fbu.data.faces.shapes import HALF_WIDTH, HEAD, grid


class _Cut:
    """Outlines of hair around a head of half width HALF_WIDTH."""

    def __init__(self, size: int) -> None:
        self.u, self.v = grid(size, size, HEAD, HEAD)
        self.x, self.a = self.u / HALF_WIDTH, self.u.abs() / HALF_WIDTH
        self.q = (self.x**2 + self.v**2).sqrt()
        self.noise = smooth_noise(9, 26, 26, (size, size))
        self.crown = torch.sigmoid((-0.2 - self.v) / 0.08)

    def capsule(self, width: float, flare: float = 0.0) -> Tensor:
        """A head-wide shape that hangs down, wider by `flare` at the bottom."""
        return width + flare * self.v.clamp(0, 1) - (self.x**2 + self.v.clamp(max=0) ** 2).sqrt()

    def frame(
        self,
        outer: Tensor,
        side: float | Tensor,
        middle: float,
        high: float | Tensor,
        power: float,
        low: float | Tensor,
        slant: float = 0.0,
        closed: float = 0.0,
    ) -> Tensor:
        """Outline minus a face opening: half width `side`, top at middle - high; no hair below `low`."""
        y = middle - self.v + slant * self.x
        y = y.clamp(min=0) / high + (-y).clamp(min=0) * closed
        opening = ((self.a / side) ** power + y**2 - 1) * 0.35
        return torch.minimum(torch.minimum(outer, opening), low - self.v)


def _front(cut: _Cut) -> dict[str, Tensor]:
    v, n, q = cut.v, cut.noise, cut.q
    recede = 0.82 - 0.105 * torch.cos(cut.a * 6).clamp(min=-0.4)
    knot = 0.30 - ((cut.u / 0.9) ** 2 + (v + 1.12) ** 2).sqrt()
    quiff = 1.035 + 0.14 * (-v - 0.2).clamp(0) - q
    return {
        "bald": torch.full_like(cut.u, -1.0),
        "short": cut.frame(1.03 + 0.05 * cut.crown - q, 0.925, 0.10, 0.66, 3.2, 0.10),
        "receding": cut.frame(1.04 - q, 0.935, 0.10, recede, 3.5, 0.06),
        "long": cut.frame(cut.capsule(1.12, 0.10), 0.82, 0.40, 1.0, 1.5, 1.5),
        "bangs": cut.frame(cut.capsule(1.12, 0.04), 0.82, 0.35, 0.62, 5.0, 0.90 + 0.05 * n),
        "swept": cut.frame(1.03 + 0.09 * cut.crown - q, 0.92, 0.10, 0.56, 2.8, 0.10, slant=0.34),
        "curly": cut.frame(1.27 + 0.05 * n - q, 0.88 + 0.04 * n, 0.15, 0.70 + 0.05 * n, 2.6, 0.45),
        "bob": cut.frame(cut.capsule(1.15, 0.05), 0.84, 0.35, 0.90, 1.7, 0.70 + 0.04 * n, slant=0.30),
        "bun": torch.maximum(cut.frame(1.045 - q, 0.95, 0.10, 0.70, 2.4, 0.0), knot),
        "quiff": cut.frame(quiff, 0.945, 0.10, 0.68 + 0.02 * n, 3.0, 0.05, slant=0.06),
        "scarf": cut.frame(cut.capsule(1.13, 0.1), 0.86, 0.25, 0.78, 2.3, 1.7, closed=1.24),
    }


def _back(cut: _Cut) -> dict[str, Tensor]:
    n, v = cut.noise, cut.v
    return {
        "long": torch.minimum(cut.capsule(1.2, 0.15), 1.7 - v),
        "bangs": torch.minimum(cut.capsule(1.14), 0.98 - v),
        "curly": torch.minimum(1.33 + 0.05 * n - cut.q, 0.8 - v),
        "bob": torch.minimum(cut.capsule(1.16), 0.74 - v),
        "scarf": cut.capsule(1.13, 0.3),
    }


def _strands(cut: _Cut) -> Tensor:
    """Texture along meridians from a parting, then straight down."""
    parting = cut.x - 0.3 * torch.sigmoid((-cut.v - 0.2) / 0.15)
    across = parting / (1 - 0.85 * cut.v.clamp(-1.05, 0) ** 2).clamp(min=0.12).sqrt()
    texture = smooth_noise(13, 7, 260, (28, 1040)) + smooth_noise(14, 7, 60, (28, 1040))
    where = torch.stack([across / 2.4, cut.v / HEAD], -1)[None]
    strand = F.grid_sample(texture[None, None], where, align_corners=False)[0, 0]
    return strand / strand.std()


def hair_tables(size: int) -> Tensor:
    """[styles, then their mirror images, 3, size, size]: inside front, inside back, tone (strands, rim)."""
    cut = _Cut(2 * size)  # area-averaged from twice the resolution
    front_by_style, back_by_style = _front(cut), _back(cut)
    bald = front_by_style["bald"]
    texture = torch.stack([_strands(cut)] * len(STYLES))
    texture[STYLES.index("curly")] = 0.8 * smooth_noise(19, 60, 60, (2 * size, 2 * size))
    texture[SCARF] = 0.25 * texture[SCARF]
    front = torch.stack([front_by_style[style] for style in STYLES]) + 0.008 * texture
    back = torch.stack([back_by_style.get(style, bald) for style in STYLES]) + 0.015 * texture
    rim = ((0.05 - front) / 0.06 + 0.5).clamp(0, 1)
    table = F.avg_pool2d(torch.stack([front, back, 1 + 0.15 * texture - 0.22 * rim], 1), 2)
    return torch.cat([table, table.flip(3)])
