"""What lies behind the face: background, hair behind the head, neck, clothes, ears."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from fbu.data.faces.coefficients import Coefficients, Numbers
from fbu.data.faces.head import Head
from fbu.data.faces.identity import SHOWS_EARS, STYLES
from fbu.data.faces.pixels import Pixels, over, soft
from fbu.data.faces.tables import Tables


def background(face: Coefficients, tables: Tables) -> Tensor:
    """Blurred colours [B, 3, N] in linear light."""
    return (tables.cubic @ face.background @ tables.cubic.T).flatten(2)


class Rows:
    """Which rows of the picture can hold given heights (in face units) in any face of the chunk."""

    def __init__(self, head: Head, size: int) -> None:
        """Heights are linear along a row, so its two ends tell."""
        ends = head.y.unflatten(1, (size, size))[:, :, [0, -1]]
        self.size, self.top, self.bottom = size, ends.amin((0, 2)), ends.amax((0, 2))

    def between(self, low: float, high: float) -> slice:
        """Pixels of the rows that can hold heights low .. high."""
        first, last = (self.bottom < low).sum(), (self.top < high).sum()
        return slice(int(first) * self.size, int(last) * self.size)


def draw_neck(face: Coefficients, n: Numbers, head: Head, rows: Rows, picture: Tensor, pixel: float) -> None:
    """Neck and clothes, in place."""
    part = rows.between(0.45, 9.0)
    x, y, r = head.x[:, part], head.y[:, part], head.r[:, part]
    a = x.abs()
    light = x * n["side_light"] + n["flat_light"]
    half = (y - 1.05).clamp_(0).mul_(0.25).add_(n["neck_w"])
    neck = soft(half - a, pixel * 1.5) * soft(y - 0.5, 0.1)
    round_ = 1 - (a * 2.5).square_().clamp_(max=0.6)
    shade = (light * (0.42 + (r - 1).clamp_(0, 0.35)) * round_).clamp_(0)
    over(picture[:, :, part], face.colour["skin"] * shade[:, None], neck)
    part = rows.between(1.165 - pixel, 9.0)  # the collar begins there
    if part.start == part.stop:
        return
    x, y = head.x[:, part], head.y[:, part]
    a, light = x.abs(), x * n["side_light"] + n["flat_light"]
    collar = y - 1.19 + 0.06 * (1 - 9 * (a - 0.4).square_()).clamp_(0) - 0.10 * a
    over(
        picture[:, :, part],
        face.colour["cloth"] * (light * 0.8).clamp_(0)[:, None],
        soft(collar, pixel * 1.5),
    )


@dataclass
class Ears:
    """Both ears, at their places on the turned head."""

    window: Pixels
    colour: Tensor  # [B, 3, M]
    cover: Tensor  # opacity
    near: Tensor  # how far the ear lies before face and hair


def find_ears(face: Coefficients, n: Numbers, head: Head, rows: Rows, pixel: float) -> Ears:
    """Where the ears are, and their colour."""
    part, reach = rows.between(-0.27 - pixel, 0.31 + pixel), (1 + 9 * pixel) ** 0.5
    turn, bare = n["r02"], torch.tensor([style in SHOWS_EARS for style in STYLES], device=head.x.device)
    across, down = head.xn[:, part].abs() - n["r00"], head.yn[:, part] - 0.02
    half_u = 0.115 * reach + 0.15 * turn.abs()
    window = Pixels.near(across, down, half_u, 0.23 * reach, part.start)
    x, xn, yn = (window.get(plane) for plane in (head.x, head.xn, head.yn))
    side = xn.sign()
    ex, ey = (xn - side * n["r00"] + 0.15 * turn) * side, yn - 0.02
    e = (ex * (1 / 0.115)).square() + ((ey + 0.25 * ex) * (1 / 0.20)).square_()
    light = x * n["side_light"] + n["flat_light"]
    shade = light * (0.44 + 0.6 * (e - 0.35).abs_()).clamp_(max=0.85)
    tint = torch.tensor([1, 0.86, 0.86], device=x.device)[:, None]
    # Long hair covers the near ear of a turned head.
    before = ((turn.abs() - 0.16) * 8).clamp_(0, 1) * bare[n["style"].long()]
    cover = soft((1 - e) * 0.09, pixel * 1.5)
    return Ears(window, face.colour["skin"] * tint * shade[:, None], cover, (xn * turn < 0) * before)


def draw_ears(ears: Ears, picture: Tensor) -> None:
    """Ears behind the face, in place: a turned head hides the far one."""
    ears.window.paint(picture, ears.colour, ears.cover)


def draw_near_ear(ears: Ears, picture: Tensor) -> None:
    """The near ear of turned heads, before face and hair, in place."""
    ears.window.paint(picture, ears.colour, ears.cover * ears.near)
