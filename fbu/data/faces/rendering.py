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

from fbu.data.faces.backdrop import Rows, background, draw_ears, draw_near_ear, draw_neck, find_ears
from fbu.data.faces.camera import degrade
from fbu.data.faces.coefficients import Coefficients, Numbers, coefficients
from fbu.data.faces.eyes import paint_eyes, paint_glasses
from fbu.data.faces.head import Head, locate
from fbu.data.faces.mouth import open_mouth, paint_mouth
from fbu.data.faces.occluders import draw_hand, draw_strands
from fbu.data.faces.pixels import Frame, blend, block_rows, look_up, look_up_stack, matrix, over, soft
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
        rows, columns = self.tables.skin_shape
        self._warp = torch.empty(chunk, 2, *self.tables.warp_shape, device=device)
        self._skin = torch.empty(chunk, 5, rows, columns, device=device)
        self._skin[:, 3:] = self.tables.paint

    def draw(self, face: Coefficients, n: Numbers) -> Tensor:
        """Clean pictures [B, 3, N], linear light before the final square root, values 0-1."""
        px, t = self.pixel, self.tables
        head = locate(n, self.size)
        front, back, tone = look_up(t.hair.index_select(0, face.cut), head.u, head.sy, HEAD, HEAD)
        lambert = head.turned[:, 3].add_(n["k_flat"]).clamp_(0)  # hair does not show the skin's relief
        lit = (lambert * n["hair_light"]).add_(n["ambient"]).mul_(tone)
        sheen = lambert.square_().square_().mul_(tone.sub_(0.5).mul_(n["sheen"]))
        hair = torch.addcmul(sheen[:, None], face.colour["cap"], lit[:, None])
        picture = background(face, t)
        behind = soft(back, px * 2)[:, None]
        picture.addcmul_(behind, picture, value=-1).addcmul_(behind, hair, value=0.4)
        rows = Rows(head, self.size)
        draw_neck(face, n, head, rows, picture, px)
        ears = find_ears(face, n, head, rows, px)
        draw_ears(ears, picture)
        frame = Frame(self.size, head.r.amin(0) < 1 + 0.8 * px)
        skin = self._face(face, n, head, frame)
        target, inside = frame.cut(picture), soft(1 - frame.cut(head.r), px * 1.5)
        over(target, skin.view_as(target), inside)
        over(picture, hair, soft(front, px * 1.6))
        draw_near_ear(ears, picture)
        draw_hand(face, n, head, picture, px)
        draw_strands(face, n, head, picture, lit, px)
        return picture.clamp_(0, 1).sqrt_()

    def _face(self, face: Coefficients, n: Numbers, head: Head, frame: Frame) -> Tensor:
        """The face [B, 3, M] at the pixels of the frame."""
        t, px = self.tables, self.pixel
        u0, v0 = frame.cut(head.u).flatten(1), frame.cut(head.sy).flatten(1)
        warp = self._warp[: len(face.cut)]
        blend(face.warp, t.warp, self.block, warp.flatten(1))
        du, dv = look_up(warp, u0, v0, *t.warp_half)
        u, v = torch.sub(u0, du, out=du), torch.sub(v0, dv, out=dv)
        mouth = open_mouth(n, u, v, px)
        table = self._skin[: len(face.cut)]
        blend(face.skin, t.skin, self.block, table.flatten(1)[:, : t.skin.shape[1]])
        relief = look_up_stack(table, u, v, SKIN_U, SKIN_V)
        flat = torch.tensor([0.92, 0.72, 0.85], device=u.device)[:, None, None]
        normal = (frame.cut(head.turned[:, :3]) * flat).flatten(2)
        shade, highlight = _shade(n, normal, relief)
        albedo = _albedo(face, n, relief[:, 3:], normal)
        skin = (albedo, shade, highlight)
        paint_mouth(n, face.colour["lip"], mouth, skin, px)
        paint_eyes(face, n, t, (u, v, u0, v0), skin, px)
        paint_glasses(face, n, u0, v0, skin, px)
        return albedo.mul_(shade[:, None]).add_(highlight[:, None])


def _shade(n: Numbers, normal: Tensor, relief: Tensor) -> tuple[Tensor, Tensor]:
    """Lambert light with wrap, and a highlight: of the flattened sphere [B, 3, M] with relief, both used up."""
    normal[:, :2].sub_(relief[:, :2])
    normal[:, 2].add_(0.22)
    lights = matrix(n, "w0 w1 w2", "h0 h1 h2", "a0 a1 a2") @ normal
    x, y, z = normal.unbind(1)
    length = x.square_().addcmul_(y, y).addcmul_(z, z).rsqrt_()
    lambert, highlight, ambient = lights.mul_(length[:, None]).unbind(1)
    highlight.clamp_(0).square_().square_().square_().square_().mul_(n["gloss_light"])
    lambert.add_(n["w_flat"]).clamp_(0).add_(ambient.add_(n["a_flat"]))
    return lambert.mul_(relief[:, 2].neg_().exp_()), highlight


def _albedo(face: Coefficients, n: Numbers, paint: Tensor, out: Tensor) -> Tensor:
    """Skin [B, 3, M] with redness and beard (paint [B, 2, M], used up), written to `out`."""
    red, beard = paint.unbind(1)
    skin = face.colour["skin"]
    tint = torch.tensor([0, -0.28, -0.24], device=red.device)[:, None]
    albedo = torch.addcmul(skin, skin * tint, red.mul_(n["flush_red"])[:, None], out=out)
    over(albedo, face.colour["hair"] * 0.7, beard.mul_(n["beard_dense"]).clamp_(0, 1))
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
        numbers = face.numbers()
        picture = painter.draw(face, numbers).unflatten(2, (size, size))
        if nuisance:
            picture = degrade(numbers, picture, painter.tables)
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
