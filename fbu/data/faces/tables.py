"""Shape tables for one picture size, area-averaged from finer grids so that small pictures do not alias."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from fbu.data.faces.hair import hair_tables
from fbu.data.faces.randomness import normal
from fbu.data.faces.relief import paint, skin_shapes
from fbu.data.faces.shapes import HEAD, SKIN_U, SKIN_V, Pair, grid
from fbu.data.faces.warps import warp_shapes

BROW_UNITS = ("1", "2", "4", "5", "9")  # units that slide the skin over the eyeballs
ZOOM = 1.12  # half picture heights per face unit
NOISE_SIZE = 768
BLUR_LEVELS = 4
_BROW_TABLE = 48
_FACE_U, _FACE_V = 0.85, 1.2  # the face and a margin: beyond, displacements are never seen


@dataclass(frozen=True)
class Tables:
    """Everything that depends on the picture size only."""

    size: int
    skin_names: tuple[str, ...]
    skin: Tensor  # [K, 3 * h * w] gradient (u, v) of the relief, log-darkness
    paint: Tensor  # [2, h, w] redness, beard
    warp_names: tuple[str, ...]
    warp: Tensor  # [D, 2 * h * w] displacement
    warp_shape: tuple[int, int]  # h, w
    warp_half: tuple[float, float]  # half ranges (u, v)
    hair: Tensor  # [2 * styles, 3, H, H]
    brow: Tensor  # [units, 2 * 48 * 48] the displacements of BROW_UNITS
    brow_rows: Tensor  # [units] their rows among warp_names
    noise: Tensor  # [3, 768, 768]
    cubic: Tensor  # [size, 5] bicubic interpolation of backgrounds
    blur: Tensor  # [levels + 1, size, size] down and up again

    @property
    def pixel(self) -> float:
        """Width of a pixel in face units (of a face of scale 1)."""
        return 2 / self.size / ZOOM

    @property
    def skin_shape(self) -> tuple[int, int]:
        """Rows and columns of a skin table."""
        return self.paint.shape[1], self.paint.shape[2]


def _flush(x: Tensor) -> Tensor:
    """Zero the far tails of Gaussians: denormal numbers are slow."""
    return torch.where(x.abs() < 1e-5, 0.0, x)


def _skin_table(height: int, fine: int) -> tuple[tuple[str, ...], Tensor, Tensor]:
    width = int(height * 0.7)
    u, v = grid(height * fine, width * fine, SKIN_V, SKIN_U)
    du, dv = 2 * SKIN_U / (width * fine), 2 * SKIN_V / (height * fine)

    def pool(*planes: Tensor) -> Tensor:
        return F.avg_pool2d(torch.stack(planes)[None], fine)[0]

    table = {}
    for name, (height_map, dark) in skin_shapes(u, v).items():
        slope_v, slope_u = torch.gradient(height_map)
        table[name] = pool(slope_u / du, slope_v / dv, dark)
    return tuple(table), _flush(torch.stack(list(table.values()))), _flush(pool(*paint(u, v)))


def _stack(shapes: dict[str, Pair]) -> Tensor:
    return _flush(torch.stack([torch.stack(pair) for pair in shapes.values()]))


def _blur_matrices(size: int) -> Tensor:
    """[levels + 1, size, size]: shrink by 1 + level / 4 with antialiasing, then enlarge, as one matrix."""
    identity = torch.eye(size)[None, None]
    matrices = [torch.eye(size)]
    for level in range(1, BLUR_LEVELS + 1):
        small = max(8, round(size / (1 + level / 4)))
        shrunk = F.interpolate(identity, (small, size), mode="bilinear", antialias=True, align_corners=False)
        matrices.append(F.interpolate(shrunk, (size, size), mode="bilinear", align_corners=False)[0, 0])
    return torch.stack(matrices)


@lru_cache(maxsize=8)
def tables(size: int, device: str) -> Tables:
    """All tables for pictures of `size` pixels, made on the CPU once and kept on `device`."""
    height = max(64, min(208, size))
    skin_names, skin, painted = _skin_table(height, 3 if size <= 96 else 2)
    texel = 2 * HEAD / height
    cut_u, cut_v = (int((HEAD - half) / texel) for half in (_FACE_U, _FACE_V))
    inner = slice(cut_v, height - cut_v), slice(cut_u, height - cut_u)
    warps = warp_shapes(*(x[inner] for x in grid(height, height, HEAD, HEAD)))
    brow_rows = [row for row, name in enumerate(warps) if name[1:] in BROW_UNITS]
    brow = _stack(warp_shapes(*grid(_BROW_TABLE, _BROW_TABLE, HEAD, HEAD)))[brow_rows]
    cubic = F.interpolate(torch.eye(5)[None, None], (5, size), mode="bicubic")[0, 0].T

    def keep(x: Tensor) -> Tensor:
        return x.contiguous().to(device)

    return Tables(
        size=size,
        skin_names=skin_names,
        skin=keep(skin.flatten(1)),
        paint=keep(painted),
        warp_names=tuple(warps),
        warp=keep(_stack(warps).flatten(1)),
        warp_shape=(height - 2 * cut_v, height - 2 * cut_u),
        warp_half=(HEAD - cut_u * texel, HEAD - cut_v * texel),
        hair=keep(hair_tables(height)),
        brow=keep(brow.flatten(1)),
        brow_rows=keep(torch.tensor(brow_rows)),
        noise=keep(normal(17, torch.arange(3 * NOISE_SIZE), NOISE_SIZE, 6).view(3, NOISE_SIZE, NOISE_SIZE)),
        cubic=keep(cubic),
        blur=keep(_blur_matrices(size)),
    )
