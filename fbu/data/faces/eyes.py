"""Brows, eyelids, eyeballs, lashes; glasses and sunglasses."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from fbu.data.faces.coefficients import Coefficients, Numbers
from fbu.data.faces.pixels import Pixels, blend, block_rows, bump, look_up, over, soft
from fbu.data.faces.shapes import HEAD
from fbu.data.faces.tables import Tables

Skin = tuple[Tensor, Tensor, Tensor]  # albedo [B, 3, N], shade [B, N], highlight [B, N]
_BLACK = 0.007


@dataclass
class _Lids:
    """The opening of the eye; s runs from the inner (-1) to the outer (1) corner."""

    s: Tensor
    inside: Tensor  # 1 - s**2
    top: Tensor  # below the upper lid's edge
    bottom: Tensor  # above the lower lid's edge


def _brows(n: Numbers, a: Tensor, v: Tensor, pixel: float) -> Tensor:
    """Opacity of the brows at |u| = a."""
    t = (a - n["brow_in"]) * n["per_brow_len"]
    distance = (v + 0.165 + n["brow_tilt"] * t + n["brow_arch"] * t * (1.25 - t)).abs_()
    width = n["brow_w"] * (1.12 - 0.80 * t).clamp_(0.15, 1) * (t * 5 + 0.6).clamp_(0.3, 1)
    brow = (
        soft(width - distance, pixel * 0.8 + 0.024) * (t * 5 + 0.45).clamp_(0, 1) * ((1 - t) * 8).clamp_(0, 1)
    )
    hairs = n["brow_d"] + 0.07 * (230 * a + 140 * v).sin_()
    return (brow * hairs * n["brow_dark"]).clamp_(0, 1)


def _paint_brows(face: Coefficients, n: Numbers, a: Tensor, v: Tensor, albedo: Tensor, pixel: float) -> None:
    """Brows, in place in `albedo`, at |u| = a."""
    reach = 0.55 / n["per_brow_len"]  # t runs from -0.09 to 1
    arch, tilt = n["brow_arch"], n["brow_tilt"].abs()
    middle = -0.165 - 0.135 * arch
    half = n["brow_w"] + tilt + 0.256 * arch.abs() + 0.013 + 0.4 * pixel
    window = Pixels.near(a - (n["brow_in"] + 0.83 * reach), v - middle, reach, half)
    window.paint(albedo, face.colour["hair"] * 0.40, _brows(n, window.get(a), window.get(v), pixel))


def _eye_heights(n: Numbers, slide: Tensor, pixel: float) -> tuple[Tensor, Tensor]:
    """Middle and half of the heights (v) at which eyes, lids' folds and lashes can lie, for |s| below 1.75."""
    side = slide.shape[-1]
    moved = slide[:, 1, side * 2 // 5 : side * 3 // 5].flatten(1).abs().amax(1, keepdim=True)
    upper = torch.maximum(n["lid_up_L"], n["lid_up_R"])
    # A closing lid's edge bends the other way; beyond the corners it rises to 2.9 times its height.
    upper = torch.maximum(1.02 * upper, -2.9 * torch.minimum(n["lid_up_L"], n["lid_up_R"]))
    lower = 1.02 * torch.maximum(n["lid_low_L"], n["lid_low_R"])
    margin = 0.8 * pixel + 1.75 * n["tilt"].abs() + moved
    above = upper + (1.35 * n["crease"].clamp(0) + 0.032).clamp(min=0.022) + margin
    below = lower + 0.028 + margin
    return 0.5 * (below - above) - 0.015, 0.5 * (below + above)


def _lids(n: Numbers, u: Tensor, v: Tensor) -> _Lids:
    right = (u > 0).float()
    s = (u.abs() - 0.285) * n["per_eye_w"]
    inside = 1 - s * s
    axis = v + 0.015 + n["tilt"] * s
    upper = torch.lerp(n["lid_up_L"], n["lid_up_R"], right)
    lower = torch.lerp(n["lid_low_L"], n["lid_low_R"], right)
    top = axis + upper * inside * (1 - 0.22 * s)
    return _Lids(s, inside, top, lower * inside * (1 + 0.25 * s) - axis)


def _eyeball(
    n: Numbers, iris: Tensor, s: Tensor, u: Tensor, v: Tensor, pixel: float
) -> tuple[Tensor, Tensor]:
    """Colour [B, 3, M] of the eyeball, and its highlight; s as in `_Lids`."""
    outward = u.sign()
    x, y = u.abs() - 0.285 - n["gaze_x"] * outward, v + 0.020 - n["gaze_y"]
    r = (x * x + y * y).sqrt_()
    pink = (0.4 - 2.4 * (s + 1)).clamp_(0, 0.3)
    white = 1 - 0.30 * s.square().clamp_(max=1)
    ball = torch.stack([0.78 * white - 0.25 * pink, 0.73 * white - pink, 0.69 * white - pink], 1)
    # Dark rim of the iris, lighter below.
    depth = 1.35 - 0.85 * (r * n["per_iris_r"]).square_().square_().clamp_(max=1)
    depth = depth + (0.5 * y * n["per_iris_r"]).clamp_(-0.5, 0.5)
    over(ball, iris * depth[:, None], soft(n["iris_r"] - r, pixel))
    over(ball, torch.full_like(iris, _BLACK), soft(0.40 * n["iris_r"] - r, pixel))
    gx = x * outward - 0.3 * n["iris_r"] * n["l0"].sign()
    glint = (gx.square_() + (y + 0.35 * n["iris_r"]).square_()).sqrt_()
    return ball, soft(0.013 - glint, pixel) * 0.9


def _paint_eyeballs(
    face: Coefficients, n: Numbers, lids: _Lids, plane: tuple[Tensor, ...], skin: Skin, pixel: float
) -> None:
    """Eyeballs, in place in `skin`, where they are seen; plane = (u, v, how open the eye is)."""
    seen = Pixels(plane[2] > 0)
    s, top, u, v, is_open, albedo, shade, highlight = (seen.get(x) for x in (lids.s, lids.top, *plane, *skin))
    ball, glint = _eyeball(n, face.colour["iris"], s, u, v, pixel)
    over(albedo, ball, is_open)
    under = (0.50 + 9 * top).clamp_(0, 1)  # shadow of the upper lid
    shade.lerp_(n["bright_eye"] * under, is_open)
    highlight.lerp_(glint * under, is_open)
    for plane_, part in zip(skin, (albedo, shade, highlight), strict=True):
        seen.put(plane_, part)


def _lashes(n: Numbers, lids: _Lids, pixel: float) -> Tensor:
    upper = soft(0.009 + 0.005 * n["lash"] + 0.004 * lids.s - (lids.top + 0.004).abs_(), pixel * 1.3)
    lower = soft(0.004 - lids.bottom.abs(), pixel)
    dark = upper * (0.45 + 0.5 * n["lash"]) + lower * (0.3 * n["lash"])
    return (dark * (lids.inside * 4 + 0.5).clamp_(0, 1)).clamp_(0, 1)


def paint_eyes(
    face: Coefficients, n: Numbers, tables: Tables, plane: tuple[Tensor, ...], skin: Skin, pixel: float
) -> None:
    """Brows and eyes, in place in `skin`; plane = warped (u, v) and unwarped (u, v)."""
    across = plane[0].abs()
    _paint_brows(face, n, across, plane[1], skin[0], pixel)
    # The skin slides over the eyes: undo what the brows' units did to them.
    slide = blend(face.warp[:, tables.brow_rows], tables.brow, block_rows(tables.size))
    side = int((slide.shape[1] // 2) ** 0.5)
    slide = slide.view(-1, 2, side, side)
    middle, half = _eye_heights(n, slide, pixel)
    window = Pixels.near(across.sub_(0.29), plane[1] - middle, 0.255, half)
    u, v, u0, v0, albedo, shade, highlight = (window.get(x) for x in (*plane, *skin))
    du, dv = look_up(slide, u0, v0, HEAD, HEAD)
    u, v = u + du, v + dv
    lids = _lids(n, u, v)
    is_open = soft(torch.minimum(lids.top, lids.bottom), pixel * 1.2)
    fold = lids.top + n["crease"] * (lids.inside + 0.35).clamp_(0)
    around = (lids.inside + 0.3).clamp_(0, 1)
    shade *= 1 - (0.40 * bump(fold.square_() * 2600) + 0.28 * bump(lids.bottom.square() * 3500)) * around
    _paint_eyeballs(face, n, lids, (u, v, is_open), (albedo, shade, highlight), pixel)
    over(albedo, torch.full_like(face.colour["iris"], _BLACK), _lashes(n, lids, pixel))
    for plane_, part in zip(skin, (albedo, shade, highlight), strict=True):
        window.put(plane_, part)


def paint_glasses(face: Coefficients, n: Numbers, u: Tensor, v: Tensor, skin: Skin, pixel: float) -> None:
    """Glasses and sunglasses on the unwarped face plane, in place in `skin`."""
    dark_lens = n["occluder"][:, 0] == 2
    wearers = ((n["glasses"][:, 0] > 0) | dark_lens).nonzero()[:, 0]
    if not len(wearers):
        return
    a, v = u[wearers].abs_(), v[wearers]
    window = Pixels.near(a.clone(), v - 0.02, 0.62, 0.18)
    a, v, albedo, shade, highlight = (window.get(x) for x in (a, v, *(plane[wearers] for plane in skin)))
    lens = (((a - 0.29) * 5).square_().square_() + ((v - 0.02) * 6.9).square_().square_()).sqrt_().sqrt_()
    lens = lens.sub_(1).mul_(0.16)  # signed distance from the frame
    bar = (v + 0.04 - 0.15 * a.square() * (a < 0.1)).abs_()
    bar = soft(0.012 - bar, pixel) * torch.maximum(soft(0.10 - a, pixel), soft(a - 0.49, pixel))
    over(albedo, face.colour["frame"][wearers], torch.maximum(soft(0.013 - lens.abs(), pixel), bar))
    dark = soft(0.01 - lens, pixel) * dark_lens[wearers, None]
    over(albedo, torch.full_like(face.colour["frame"][wearers], 2 * _BLACK), dark)
    reflection = 0.06 * soft(a * 0.06 + v * 0.12 + 0.008, 0.1)
    highlight.lerp_(reflection, dark)
    shade *= 1 - 0.10 * soft(-lens, pixel)
    for plane, part in zip(skin, (albedo, shade, highlight), strict=True):
        rows = plane[wearers]
        window.put(rows, part)
        plane[wearers] = rows
