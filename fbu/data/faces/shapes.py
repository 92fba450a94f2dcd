"""A small vocabulary of hand-made shapes on the face plane.

Face units: u right, v down, in half head heights (chin at v = 1, eyes near v = 0, mouth near v = 0.6); the head
is 2 * HALF_WIDTH wide.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

HALF_WIDTH = 0.68  # of the head, in face units
SKIN_U, SKIN_V = 0.80, 1.15  # half ranges of the skin tables
HEAD = 1.6  # half range of the warp and hair tables

Pair = tuple[Tensor, Tensor]


def grid(rows: int, columns: int, half_v: float, half_u: float) -> Pair:
    """Pixel centres (u, v), each [rows, columns], of a table."""
    v = (torch.arange(rows) + 0.5) / rows * 2 * half_v - half_v
    u = (torch.arange(columns) + 0.5) / columns * 2 * half_u - half_u
    return u[None].expand(rows, columns), v[:, None].expand(rows, columns)


class Shapes:
    """Left-right symmetric shapes (functions of a = |u| and v), evaluated on one grid."""

    def __init__(self, u: Tensor, v: Tensor, soft: float = 0.0) -> None:
        """`soft` rounds |u| near the middle, so that warps have no kink there."""
        self.u, self.v, self.a = u, v, (u * u + soft * soft).sqrt()

    def bump(self, cu: float, cv: float, su: float, sv: float, angle: float = 0.0) -> Tensor:
        """Gaussian at (cu, cv) with standard deviations su and sv, turned by `angle`."""
        c, s, x, y = math.cos(angle), math.sin(angle), self.a - cu, self.v - cv
        return torch.exp(-0.5 * (((c * x + s * y) / su) ** 2 + ((c * y - s * x) / sv) ** 2))

    def crease(self, width: float, *points: tuple[float, float]) -> Tensor:
        """Line through points of the right half, tapered towards both ends."""
        nearest, taper = torch.full_like(self.u, 9.0), torch.zeros_like(self.u)
        pieces = len(points) - 1
        for k in range(pieces):
            (x0, y0), (x1, y1) = points[k], points[k + 1]
            dx, dy = x1 - x0, y1 - y0
            t = (((self.a - x0) * dx + (self.v - y0) * dy) / (dx * dx + dy * dy)).clamp(0, 1)
            distance = ((self.a - x0 - t * dx) ** 2 + (self.v - y0 - t * dy) ** 2).sqrt()
            along = torch.sin(math.pi * (0.06 + 0.88 * (k + t) / pieces))
            taper = torch.where(distance < nearest, along, taper)
            nearest = torch.minimum(nearest, distance)
        return torch.exp(-((nearest / width) ** 2)) * taper

    def furrows(self, half_width: float, width: float, *heights: float, bend: float = 0.25) -> Tensor:
        """Horizontal furrows at `heights`, bent down or up towards the sides by `bend`."""
        total = torch.zeros_like(self.u)
        for height in heights:
            total = total + torch.exp(-(((self.v - height - bend * self.u**2) / width) ** 2))
        return total * torch.exp(-((self.u / half_width) ** 4))


def split_sides(shared: dict[str, Pair], units: dict[int, Pair], u: Tensor, width: float) -> dict[str, Pair]:
    """Add each action unit's shape as a left (L12) and a right (R12) half, blended over `width`."""
    halves = {"L": torch.sigmoid(-u / width), "R": torch.sigmoid(u / width)}
    split = {
        f"{side}{number}": (first * half, second * half)
        for number, (first, second) in units.items()
        for side, half in halves.items()
    }
    return {**shared, **split}
