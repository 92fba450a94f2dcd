"""Draw scenes: `render_scene` and `render`.

A face is a sphere-like head (outline, coarse normals, yaw, pitch) that carries a face plane. Everything smooth
is linear: tables of hand-made shapes (displacement, relief, darkness) are blended per face by one matrix product.
Everything sharp (lids, iris, brows, lips, teeth, hair edge, glasses) is analytic per pixel. No pixel depends on
the other faces of a batch: a scene's picture is the same, bit for bit, in any batch and order.
"""

from __future__ import annotations

from typing import Literal, overload

import torch
from torch import Tensor

from fbu.data.faces.backdrop import Rows, background, draw_ears, draw_near_ear, draw_neck
from fbu.data.faces.camera import degrade
from fbu.data.faces.coefficients import Coefficients, Numbers, coefficients
from fbu.data.faces.eyes import paint_eyes, paint_glasses
from fbu.data.faces.head import Head, locate
from fbu.data.faces.mouth import open_mouth, paint_mouth
from fbu.data.faces.occluders import draw_hand, draw_strands
from fbu.data.faces.pixels import Frame, blend, block_rows, dot, look_up, over, soft
from fbu.data.faces.scene import Scene
from fbu.data.faces.shapes import HEAD, SKIN_U, SKIN_V
from fbu.data.faces.tables import NOISE_SIZE, Tables, tables
from fbu.data.faces.units import AUS

_CHUNK_PIXELS = 262144  # drawn together: small chunks waste calls, large ones leave the processor's cache


class _Painter:
    """Buffers and tables for chunks of `chunk` faces of one size on one device."""

    def __init__(self, size: int, chunk: int, device: torch.device) -> None:
        self.size, self.block = size, block_rows(size)
        self.tables: Tables = tables(size, str(device))
        self.pixel = self.tables.pixel
        side, (rows, columns) = self.tables.hair.shape[-1], self.tables.skin_shape
        self._head = torch.empty(chunk, 5, side, side, device=device)
        self._skin = torch.empty(chunk, 5, rows, columns, device=device)
        self._skin[:, 3:] = self.tables.paint

    def draw(self, face: Coefficients) -> Tensor:
        """Clean pictures [B, 3, N], linear light before the final square root, values 0-1."""
        n, px, t = face.numbers(), self.pixel, self.tables
        head = locate(n, self.size)
        table = self._head[: len(face.cut)]
        blend(face.warp, t.warp, self.block, table.flatten(1)[:, : t.warp.shape[1]])
        table[:, 2:] = t.hair[face.cut]
        du, dv, front, back, tone = look_up(table, head.u, head.sy, HEAD, HEAD)
        # Hair does not show the skin's relief.
        lambert = dot((head.sx, n["l0"]), (head.sy, n["l1"]), (head.sz.mul(0.9).add_(0.2), n["l2"])).clamp_(0)
        lit = (lambert * n["hair_light"]).add_(n["ambient"]).mul_(tone)
        sheen = lambert.square_().square_() * (tone - 0.5).mul_(n["sheen"])
        hair = torch.addcmul(sheen[:, None], face.colour["cap"], lit[:, None])
        picture = background(face, t)
        over(picture, hair * 0.4, soft(back, px * 2))
        rows = Rows(head, self.size)
        draw_neck(face, n, head, rows, picture, px)
        draw_ears(face, n, head, rows, picture, px)
        frame = Frame(self.size, head.r.amin(0) < 1 + 0.8 * px)
        skin = self._face(face, n, head, du, dv, frame)
        target, inside = frame.cut(picture), soft(1 - frame.cut(head.r), px * 1.5)
        over(target, skin.view_as(target), inside)
        over(picture, hair, soft(front, px * 1.6))
        draw_near_ear(face, n, head, rows, picture, px)
        draw_hand(face, n, head, picture, px)
        draw_strands(face, n, head, picture, lit, px)
        return picture.clamp_(0, 1).sqrt_()

    def _face(
        self, face: Coefficients, n: Numbers, head: Head, du: Tensor, dv: Tensor, frame: Frame
    ) -> Tensor:
        """The face [B, 3, M] at the pixels of the frame."""
        t, px = self.tables, self.pixel
        u0, v0 = frame.cut(head.u), frame.cut(head.sy)
        u, v = (u0 - frame.cut(du)).flatten(1), (v0 - frame.cut(dv)).flatten(1)
        u0, v0 = u0.flatten(1), v0.flatten(1)
        mouth = open_mouth(n, u, v, px)
        table = self._skin[: len(face.cut)]
        blend(face.skin, t.skin, self.block, table.flatten(1)[:, : t.skin.shape[1]])
        slope_u, slope_v, dark, red, beard = look_up(table, u, v, SKIN_U, SKIN_V)
        sphere = [
            (frame.cut(x) * k).flatten(1) for x, k in ((head.sx, 0.92), (head.sy, 0.72), (head.sz, 0.85))
        ]
        shade, highlight = _shade(n, sphere, (slope_u, slope_v, dark))
        albedo = _albedo(face, n, red, beard)
        skin = (albedo, shade, highlight)
        paint_mouth(n, face.colour["lip"], mouth, skin, px)
        paint_eyes(face, n, t, (u, v, u0, v0), skin, px)
        paint_glasses(face, n, u0, v0, skin, px)
        return albedo.mul_(shade[:, None]).add_(highlight[:, None])


def _shade(n: Numbers, sphere: list[Tensor], relief: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Lambert light with wrap, and a highlight, of the flattened sphere (used up) with relief."""
    slope_u, slope_v, dark = relief
    nx, ny, nz = sphere[0].sub_(slope_u), sphere[1].sub_(slope_v), sphere[2].add_(0.22)
    length = dot((nx, nx), (ny, ny), (nz, nz)).rsqrt_()
    lambert = dot((nx, n["l0"]), (ny, n["l1"]), (nz, n["l2"])).mul_(length)
    lambert.add_(0.22).mul_(1 / 1.22).clamp_(0)
    highlight = dot((nx, n["h0"]), (ny, n["h1"]), (nz, n["h2"])).mul_(length).clamp_(0)
    highlight = highlight.square_().square_().square_().square_().mul_(n["gloss_light"])
    ambient = ny.mul_(length).mul_(-0.20).add_(0.80).mul_(n["ambient"])
    return ambient.addcmul_(lambert, n["strength"]).mul_(dark.neg().exp_()), highlight


def _albedo(face: Coefficients, n: Numbers, red: Tensor, beard: Tensor) -> Tensor:
    """Skin with redness and beard [B, 3, M]."""
    skin = face.colour["skin"]
    tint = torch.tensor([0, -0.28, -0.24], device=red.device)[:, None]
    albedo = torch.addcmul(skin, skin * tint, (red * n["flush_red"])[:, None])
    over(albedo, face.colour["hair"] * 0.7, (beard * n["beard_dense"]).clamp_(0, 1))
    return albedo


def check_scene(scene: Scene, size: int) -> None:
    """Raise ValueError where a scene or size cannot be drawn."""
    if not 16 <= size <= NOISE_SIZE:
        raise ValueError(f"size must lie in 16..{NOISE_SIZE} pixels, got {size}")
    for name in ("au", "asym"):
        x, low, high = getattr(scene, name), 0.0 if name == "au" else -1.0, 5.0 if name == "au" else 1.0
        if len(x) and not bool(((x >= low) & (x <= high)).all()):
            raise ValueError(
                f"{name} must lie in {low:g}..{high:g}, got {float(x.min()):g}..{float(x.max()):g}"
            )


def pad_rows(n: int, block: int, device: torch.device) -> Tensor:
    """Rows 0 .. n - 1, the last repeated up to a multiple of `block`."""
    return torch.arange(-(-n // block) * block, device=device).clamp(max=n - 1)


@torch.no_grad()
def _pictures(scene: Scene, size: int, nuisance: bool, as_bytes: bool, chunk: int | None) -> Tensor:
    n, block = len(scene), block_rows(size)
    step = -(-(chunk or _CHUNK_PIXELS // size**2) // block) * block
    padded = pad_rows(n, block, scene.au.device)
    painter = _Painter(size, step, scene.au.device)
    faces = coefficients(scene[padded], painter.tables)
    drawn = []
    for start in range(0, len(padded), step):
        face = faces.rows(start, min(start + step, len(padded)))
        picture = painter.draw(face).unflatten(2, (size, size))
        if nuisance:
            picture = degrade(face.numbers(), picture, painter.tables)
        drawn.append(picture.mul_(255).add_(0.5).to(torch.uint8) if as_bytes else picture)
    return torch.cat(drawn)[:n]


@overload
def render_scene(
    scene: Scene,
    size: int = 64,
    masks: Literal[False] = False,
    *,
    degraded: bool = True,
    chunk: int | None = None,
) -> Tensor: ...
@overload
def render_scene(
    scene: Scene, size: int = 64, *, masks: Literal[True], degraded: bool = True, chunk: int | None = None
) -> tuple[Tensor, Tensor]: ...
def render_scene(
    scene: Scene, size: int = 64, masks: bool = False, *, degraded: bool = True, chunk: int | None = None
) -> Tensor | tuple[Tensor, Tensor]:
    """Draw every row of a scene, on the scene's device.

    Args:
        scene: What to draw.
        size: Height and width in pixels.
        masks: Also return where each action unit changes the picture.
        degraded: Apply the scene's blur and noise.
        chunk: Faces drawn together, rounded up to blocks; any value gives the same picture.

    Returns:
        uint8 [B, 3, size, size]; with masks also float32 [B, 17, size, size], the mean absolute change between
        the clean picture and the same picture without that unit (zero for units of intensity 0).

    Raises:
        ValueError: Intensities outside 0-5, asymmetry outside -1..1, or a size outside 16..768.
    """
    check_scene(scene, size)
    if not len(scene):
        empty = torch.empty(0, 3, size, size, dtype=torch.uint8, device=scene.au.device)
        return (empty, torch.empty(0, len(AUS), size, size, device=scene.au.device)) if masks else empty
    pictures = _pictures(scene, size, degraded, True, chunk)
    return (pictures, change_masks(scene, size, chunk=chunk)) if masks else pictures


def change_masks(scene: Scene, size: int = 64, *, chunk: int | None = None) -> Tensor:
    """Mean absolute change that each active unit makes to the clean picture, float32 [B, 17, size, size]."""
    masks = torch.zeros(len(scene), len(AUS), size, size, device=scene.au.device)
    row, column = (scene.au > 0).nonzero(as_tuple=True)
    if len(row):
        without = scene[row]
        without.au[torch.arange(len(row), device=row.device), column] = 0
        clean = _pictures(scene, size, False, False, chunk)
        less = _pictures(without, size, False, False, chunk)
        masks[row, column] = (less - clean[row]).abs().mean(1)
    return masks


@overload
def render(
    identity: Tensor,
    au: Tensor,
    pose: Tensor | None = None,
    light: Tensor | None = None,
    size: int = 64,
    return_masks: Literal[False] = False,
    asym: Tensor | None = None,
    **given: Tensor,
) -> Tensor: ...
@overload
def render(
    identity: Tensor,
    au: Tensor,
    pose: Tensor | None = None,
    light: Tensor | None = None,
    size: int = 64,
    *,
    return_masks: Literal[True],
    asym: Tensor | None = None,
    **given: Tensor,
) -> tuple[Tensor, Tensor]: ...
def render(
    identity: Tensor,
    au: Tensor,
    pose: Tensor | None = None,
    light: Tensor | None = None,
    size: int = 64,
    return_masks: bool = False,
    asym: Tensor | None = None,
    **given: Tensor,
) -> Tensor | tuple[Tensor, Tensor]:
    """Plain pictures of people [B, *] that show action units [B, 17] (and their masks).

    Args:
        identity: From `Identity.sample`.
        au: Intensities in 0-5, in the order of `AUS`.
        pose: [B, 6] as in `POSE`, default frontal.
        light: [B, 6] as in `LIGHT`, default even light.
        size: Height and width in pixels.
        return_masks: As `masks` of `render_scene`.
        asym: [B, 17] in -1..1, default none.
        **given: Other fields of `Scene`.
    """
    chosen = {name: x for name, x in (("pose", pose), ("light", light)) if x is not None}
    scene = Scene.plain(identity, au, asym, **chosen, **given)
    return render_scene(scene, size, masks=True) if return_masks else render_scene(scene, size)
