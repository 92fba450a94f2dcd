"""The head's geometry: from picture positions to positions on a sphere-like head and its face plane."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from fbu.data.faces.coefficients import CENTRE, Numbers
from fbu.data.faces.pixels import matrix
from fbu.data.faces.shapes import HALF_WIDTH


@dataclass
class Head:
    """Planes [B, N] over the picture."""

    x: Tensor  # face units, before the head's rotation; right
    y: Tensor  # down
    xn: Tensor  # the same after width, jaw and cheeks: the head is the unit disk
    yn: Tensor
    r: Tensor  # distance from the head's centre, 1 at the outline
    u: Tensor  # position on the unwarped face plane (with sy)
    turned: Tensor  # [B, 4, N] point on the unit sphere in the head's frame: right, down, towards the viewer;
    # and the part of the hair's light that depends on it

    @property
    def sy(self) -> Tensor:
        """Height on the unwarped face plane."""
        return self.turned[:, 1]

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
    ball = torch.empty(len(x), 3, x.shape[1], device=x.device)  # point on the unit sphere, unturned
    xn, yn, depth = ball.unbind(1)
    drop = (jaw * -2).add_(3).mul_(jaw).mul_(jaw)  # smooth step: the lower face follows the jaw
    torch.addcmul(y, drop, n["jaw_drop"], value=-1, out=yn).mul_(n["per_height"])
    shape = jaw.mul_(n["jaw_wide"])
    shape.addcmul_(torch.sub(yn, 0.12, out=drop).clamp_(0).square_(), n["jaw_taper"])
    shape.addcmul_(torch.sub(yn, 0.2, out=drop).abs_().mul_(-2).add_(1).clamp_(0), n["cheek_w"])
    torch.mul(shape.add_(1).mul_(n["per_width"]), x, out=xn)
    r2 = torch.mul(xn, xn, out=drop).addcmul_(yn, yn)
    torch.sub(1, r2, out=depth).clamp_(0).sqrt_()
    turned = matrix(n, "r00 r10 r20", "r01 r11 r21", "r02 r12 r22", "k0 k1 k2") @ ball
    r = r2.sqrt_()
    return Head(x, y, xn, yn, r, _face_plane(n, r, turned, shape), turned)


def _face_plane(n: Numbers, r: Tensor, turned: Tensor, spare: Tensor) -> Tensor:
    """Horizontal position on the face plane; behind the ears it runs on, so that there is hair and not face.

    `spare` is overwritten: on the CPU, a new plane costs as much time as several sums.
    """
    sx, sy, sz, _ = turned.unbind(1)
    stretch = torch.mul(r, 16, out=spare).sub_(16).clamp_(0, 1).mul_(n["turned"]).add_(1)
    a = sx.abs().mul_(stretch)
    rim = torch.mul(sy, sy, out=spare).mul_(-0.97).add_(0.97).clamp_(0).sqrt_()
    runs_on = torch.minimum(torch.sub(a, sz), rim, out=rim)
    return torch.maximum(a, runs_on, out=a).copysign_(sx).mul_(HALF_WIDTH)
