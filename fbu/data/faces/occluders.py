"""A hand, or strands of hair, in front of everything."""

from __future__ import annotations

import torch
from torch import Tensor

from fbu.data.faces.coefficients import Coefficients, Numbers
from fbu.data.faces.head import Head
from fbu.data.faces.pixels import over, soft


def _place(n: Numbers, head: Head, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Coordinates turned by `oa`, scaled by `os`, from (ox, oy)."""
    x, y = head.x[rows] - n["ox"][rows], head.y[rows] - n["oy"][rows]
    c, s = n["oa"][rows].cos() / n["os"][rows], n["oa"][rows].sin() / n["os"][rows]
    return c * x + s * y, c * y - s * x


def _hand(n: Numbers, head: Head, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Signed inside of palm and of four fingers, each [R, N]."""
    a, b = _place(n, head, rows)
    palm = 0.34 - ((a * 0.9).square_() + (b - 0.62).square_()).sqrt_()
    straight, fingers = b.clamp(max=0.6), torch.full_like(a, -9.0)
    for k in range(4):
        middle, tip = -0.27 + 0.18 * k, -0.235 + 0.07 * (k - 1.55) ** 2
        across = a - middle * (1 - 0.15 * b)
        finger = 0.088 - (across.square_() + (b - straight.clamp(min=tip)).square_()).sqrt_()
        fingers = torch.maximum(fingers, finger)
    return palm, fingers


def hand_cover(n: Numbers, head: Head, pixel: float) -> tuple[Tensor, Tensor]:
    """Rows [R] with a hand, and its opacity [R, N]."""
    rows = (n["occluder"][:, 0] == 1).nonzero()[:, 0]
    palm, fingers = _hand(n, head, rows)
    return rows, soft(torch.maximum(palm, fingers) * n["os"][rows], pixel * 1.5)


def draw_hand(face: Coefficients, n: Numbers, head: Head, picture: Tensor, pixel: float) -> None:
    """Palm and four fingers, in place."""
    rows = (n["occluder"][:, 0] == 1).nonzero()[:, 0]
    if not len(rows):
        return
    palm, fingers = _hand(n, head, rows)
    round_ = 0.62 + 0.40 * (fingers * 11).clamp_(0, 1).sqrt_()
    shade = (
        torch.where(fingers > palm.clamp(0), round_, 0.95)
        * (0.95 * n["ambient"] + 0.66 * n["strength"])[rows]
    )
    part = picture[rows]
    cover = soft(torch.maximum(palm, fingers) * n["os"][rows], pixel * 1.5)
    over(part, face.colour["skin"][rows] * shade[:, None], cover)
    picture[rows] = part


def draw_strands(
    face: Coefficients, n: Numbers, head: Head, picture: Tensor, light: Tensor, pixel: float
) -> None:
    """Four strands of hair, lit by `light` [B, N], in place."""
    rows = (n["occluder"][:, 0] == 3).nonzero()[:, 0]
    if not len(rows):
        return
    a, b = _place(n, head, rows)
    cover = torch.zeros_like(a)
    for k in range(4):
        distance = (a - 0.1 * k + 0.15 + 0.10 * (b * 2 + k * 1.7).sin_()).abs_()
        cover = torch.maximum(cover, soft(0.008 + 0.003 * k - distance, pixel))
    part = picture[rows]
    over(part, face.colour["cap"][rows] * light[rows][:, None], cover * 0.9)
    picture[rows] = part
