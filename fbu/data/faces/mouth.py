"""The mouth: opening along the lip line, lips, teeth, tongue."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from fbu.data.faces.coefficients import Numbers
from fbu.data.faces.pixels import Pixels, bump, over, soft


@dataclass
class Mouth:
    """Planes [B, M] over the pixels around the mouth."""

    window: Pixels
    u: Tensor
    s2: Tensor  # (distance from the middle / half width)**2
    d: Tensor  # below the lip line of the closed mouth
    closed: Tensor  # d of the skin seen there, once the lips have parted
    upper: Tensor  # 1 on the upper lip
    cavity: Tensor  # opacity of the opening


def open_mouth(n: Numbers, u: Tensor, v: Tensor, pixel: float) -> Mouth:
    """Part, thin or thicken the lips: changes `v` (the skin seen at each pixel) in place."""
    window = Pixels.near(u.clone(), v - 0.70, 0.335, 0.29)
    um, vm = window.get(u), window.get(v)
    s2 = um.mul(1 / 0.25).square_()
    d = vm - 0.60 - n["lip_curve"] * (s2.clamp(max=2) - 0.3)
    profile = (1 - s2 * n["oval"]).clamp_(0).sqrt_()
    gap_u, gap_l = n["gap_u_line"] * profile, n["gap_l_line"] * profile
    above, below = (d + gap_u).clamp_(max=0), (d - gap_l).clamp_(min=0)
    # The skin moves by the gap at the lips, and less and less away from them.
    closed = above - gap_u * (1 - (above * 8).exp_()) + below + gap_l * (1 - (below * -6).exp_())
    upper = (closed < 0).float()
    squeeze = torch.lerp(n["squeeze_l"], n["squeeze_u"], upper).sub_(1)
    closed *= 1 + squeeze * bump(closed.square() * 110) * (1.7 - s2).clamp_(0, 1)
    cavity = soft(torch.minimum(d + gap_u, gap_l - d), pixel * 1.4) * (1.02 - s2).mul_(6).clamp_(0, 1)
    window.put(v, vm - d + closed)
    return Mouth(window, um, s2, d, closed, upper, cavity)


def _inside(n: Numbers, mouth: Mouth, profile: Tensor, pixel: float) -> Tensor:
    """Colour of the cavity [B, 3, M]: upper teeth, tongue, darkness."""
    gap_u, gap_l = n["gap_u_line"] * profile, n["gap_l_line"] * profile
    depth = gap_u + mouth.d  # below the upper lip's edge
    teeth = soft(n["teeth"] - 0.030 * mouth.s2 - depth, pixel * 1.2) * soft(
        n["gap_u"] + n["gap_l"] - 0.022, 0.012
    )
    teeth = teeth * (0.90 - 0.35 * mouth.s2) * (0.6 + 12 * depth).clamp_(0, 1)
    teeth = teeth * (1 - 0.25 * (mouth.u * 42).cos_().square_().square_().square_())
    tongue = soft(mouth.d - gap_l + 0.055, 0.03) * soft(n["gap_l"] - 0.07, 0.03)
    red = 0.09 + 0.66 * teeth + 0.125 * tongue
    return torch.stack([red, 0.022 + 0.68 * teeth + 0.03 * tongue, 0.02 + 0.60 * teeth + 0.03 * tongue], 1)


def paint_mouth(
    n: Numbers, lip: Tensor, mouth: Mouth, skin: tuple[Tensor, Tensor, Tensor], pixel: float
) -> None:
    """Colour lips and cavity, in place, in skin = (albedo [B, 3, N], shade, highlight)."""
    albedo, shade, highlight = skin
    window, s2, cavity = mouth.window, mouth.s2, mouth.cavity
    inside = (1 - s2).clamp_(0)
    edge_u = 0.084 * inside.sqrt() * (0.6 + 0.4 * inside)
    edge = torch.lerp(edge_u, 0.062 * inside * (1.06 - 0.30 * bump(s2 * 39)), mouth.upper)
    colour = window.get(albedo)
    over(colour, lip, soft(edge - mouth.closed.abs(), max(pixel, 0.016)) * (inside > 0) * 0.8)
    profile = (1 - s2 * n["oval"]).clamp_(0).sqrt_()
    over(colour, _inside(n, mouth, profile, pixel), cavity * (0.85 + 0.15 * n["press"]))
    window.put(albedo, colour)
    line = (mouth.d.abs() - 0.012 * n["press"]).clamp_(0).square_().mul_(9000)
    dim = window.get(shade) * (1 - 0.35 * n["press"] * bump(line) * inside)
    dim *= 1 - 0.45 * bump(mouth.d.square() * n["lip_line"]) * (1.25 - s2).mul_(4).clamp_(0, 1)
    window.put(shade, dim.lerp_(n["bright_mouth"].expand_as(dim), cavity * 0.8))
    window.put(highlight, window.get(highlight) * (1 - cavity))
