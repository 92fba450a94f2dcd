"""The head's geometry: from picture positions to positions on a sphere-like head and its face plane."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from fbu.data.faces.coefficients import CENTRE, Numbers
from fbu.data.faces.pixels import dot
from fbu.data.faces.shapes import HALF_WIDTH


@dataclass
class Head:
    """Planes [B, N] over the picture."""

    x: Tensor  # face units, before the head's rotation; right
    y: Tensor  # down
    xn: Tensor  # the same after width, jaw and cheeks: the head is the unit disk
    yn: Tensor
    r: Tensor  # distance from the head's centre, 1 at the outline
    sx: Tensor  # point on the unit sphere, in the head's frame: right,
    sy: Tensor  # down,
    sz: Tensor  # towards the viewer
    u: Tensor  # position on the unwarped face plane (with sy)

    def rows(self, index: Tensor) -> Head:
        """The heads of some rows."""
        return Head(**{field.name: getattr(self, field.name)[index] for field in fields(self)})


def _picture_position(n: Numbers, size: int) -> tuple[Tensor, Tensor]:
    """Face units of every pixel: roll, scale and shift undone."""
    t = (torch.arange(size, device=n["tx"].device) + 0.5) * (2 / size) - 1
    across, down, co, si = t - n["tx"], t - n["ty"], n["cos_roll"], n["sin_roll"]
    x = (co * across)[:, None] + (si * down)[:, :, None]
    y = (co * down + CENTRE)[:, :, None] - (si * across)[:, None]
    return x.flatten(1), y.flatten(1)


def locate(n: Numbers, size: int) -> Head:
    """Project every pixel onto the head (inverse of yaw, pitch, jaw drop, head shape)."""
    x, y = _picture_position(n, size)
    jaw = (y - 0.46).mul_(1 / 0.64).clamp_(0, 1)
    drop = (jaw * -2).add_(3).mul_(jaw).mul_(jaw)  # smooth step: the lower face follows the jaw
    yn = torch.addcmul(y, drop, n["jaw_drop"], value=-1).mul_(n["per_height"])
    shape = dot(
        ((yn - 0.12).clamp_(0).square_(), n["jaw_taper"]),
        (jaw, n["jaw_wide"]),
        ((yn - 0.2).abs_().mul_(-2).add_(1).clamp_(0), n["cheek_w"]),
    )
    xn = shape.add_(1).mul_(x).mul_(n["per_width"])
    r2 = dot((xn, xn), (yn, yn))
    depth, r = (1 - r2).clamp_(0).sqrt_(), r2.sqrt_()
    sx, sy, sz = (dot((xn, n[f"r0{k}"]), (yn, n[f"r1{k}"]), (depth, n[f"r2{k}"])) for k in range(3))
    return Head(x, y, xn, yn, r, sx, sy, sz, _face_plane(n, r, sx, sy, sz))


def _face_plane(n: Numbers, r: Tensor, sx: Tensor, sy: Tensor, sz: Tensor) -> Tensor:
    """Horizontal position on the face plane; behind the ears it runs on, so that there is hair and not face."""
    outside = (r - 1).mul_(16).clamp_(0, 1)
    a = sx.abs().mul_(outside.mul_(n["turned"]).add_(1))
    rim = sy.square().mul_(-0.97).add_(0.97).clamp_(0).sqrt_()
    return torch.maximum(a, torch.minimum(a - sz, rim)).copysign_(sx).mul_(HALF_WIDTH)
