"""Smooth, filled regions in which action units act, as targets for localisation.

`change_masks` follow edges (a raised lip lights its border, not its inside) and depend on the other units; a region
is where FACS places the unit's muscles and skin (Ekman, Friesen and Hager, 2002; the ellipses are ours), carried
along with the head's pose and shape.
"""

from __future__ import annotations

import torch
from torch import Tensor

from fbu.data.faces.coefficients import Numbers, coefficients
from fbu.data.faces.head import Head, locate
from fbu.data.faces.identity import GAIN
from fbu.data.faces.occluders import hand_cover
from fbu.data.faces.pixels import block_rows, look_up, soft
from fbu.data.faces.rendering import check_scene, pad_rows
from fbu.data.faces.scene import Scene
from fbu.data.faces.shapes import HEAD
from fbu.data.faces.tables import tables
from fbu.data.faces.units import AUS

# Ellipses on the right half of the face plane, mirrored: centre (u, v), half axes (u, v).
_Ellipse = tuple[float, float, float, float]
REGIONS: dict[int, tuple[_Ellipse, ...]] = {
    1: ((0.13, -0.26, 0.17, 0.15), (0.12, -0.46, 0.26, 0.15)),
    2: ((0.35, -0.22, 0.22, 0.17), (0.38, -0.46, 0.22, 0.13)),
    4: ((0.14, -0.18, 0.24, 0.13),),
    5: ((0.29, -0.06, 0.20, 0.12),),
    6: ((0.33, 0.09, 0.27, 0.19),),
    7: ((0.29, 0.00, 0.20, 0.11),),
    9: ((0.09, 0.24, 0.19, 0.34), (0.16, -0.13, 0.22, 0.15)),
    10: ((0.12, 0.49, 0.22, 0.15),),
    12: ((0.27, 0.54, 0.22, 0.21), (0.00, 0.61, 0.24, 0.15)),
    14: ((0.28, 0.59, 0.17, 0.16),),
    15: ((0.22, 0.64, 0.17, 0.15), (0.00, 0.62, 0.20, 0.12)),
    17: ((0.00, 0.78, 0.22, 0.18),),
    20: ((0.25, 0.62, 0.22, 0.15), (0.00, 0.62, 0.22, 0.13)),
    23: ((0.10, 0.61, 0.22, 0.13),),
    24: ((0.10, 0.61, 0.22, 0.14),),
    25: ((0.00, 0.61, 0.28, 0.15),),
    26: ((0.00, 0.80, 0.40, 0.24), (0.00, 0.62, 0.28, 0.15)),
}
_EDGE = 0.35  # share of the half axes over which a region fades out
_FACES = 64  # located together


def _ellipses(device: torch.device) -> Tensor:
    """[17, 2, 4]; units with one ellipse repeat it."""
    rows = [(REGIONS[number] * 2)[:2] for number in AUS]
    return torch.tensor(rows, device=device)


def _visible(n: Numbers, head: Head, front: Tensor, pixel: float) -> Tensor:
    """Share [B, N] of each pixel that shows the face: not outside, under hair, a hand or sunglasses."""
    seen = soft(1 - head.r, pixel * 1.5) * (1 - soft(front.clone(), pixel * 1.6))
    rows, cover = hand_cover(n, head, pixel)
    seen[rows] *= 1 - cover
    across, along = ((head.u.abs() - 0.29) * 5).square(), ((head.sy - 0.02) * 6.9).square()
    lens = across.square() + along.square() < 1
    return seen.masked_fill_(lens & (n["occluder"] == 2), 0)


def _unit_regions(head: Head, ellipse: Tensor, sides: tuple[Tensor, Tensor]) -> Tensor:
    """[P, N] for P pairs of a located face and a unit; sides are the shown intensities [P] left and right."""
    a, v = head.u.abs()[:, None], head.sy[:, None]
    centre_u, centre_v, half_u, half_v = ellipse[..., None].unbind(2)
    e = (((a - centre_u) / half_u).square_() + ((v - centre_v) / half_v).square_()).sqrt_().amin(1)
    inside = ((1 - e) / _EDGE + 0.5).clamp_(0, 1)
    right = (head.u / 0.04 + 0.5).clamp_(0, 1)
    left_on, right_on = (side[:, None] > 0 for side in sides)
    return inside * torch.where(left_on, torch.where(right_on, torch.ones_like(right), 1 - right), right)


@torch.no_grad()
def region_masks(scene: Scene, size: int = 64) -> Tensor:
    """Where each active unit acts in the picture.

    Args:
        scene: The scene, on any device.
        size: Height and width in pixels.

    Returns:
        float32 [B, 17, size, size] in 0-1: 1 inside the unit's region, fading at its edge; 0 everywhere for units
        of intensity 0, on the side that an asymmetric unit spares, and where hair, a hand or sunglasses cover it.

    Raises:
        ValueError: As `render_scene`.
    """
    check_scene(scene, size)
    device, block = scene.au.device, block_rows(size)
    masks = torch.zeros(len(scene), len(AUS), size * size, device=device)
    shown = scene.au * scene.identity[:, GAIN:]
    left, right = shown * (1 - scene.asym).clamp(0, 1), shown * (1 + scene.asym).clamp(0, 1)
    table, ellipses = tables(size, str(device)), _ellipses(device)
    for start in range(0, len(scene), _FACES):
        part = scene[start : start + _FACES]
        face = coefficients(part[pad_rows(len(part), block, device)], table).rows(0, len(part))
        n = face.numbers()
        head = locate(n, size)
        (front, *_) = look_up(table.hair[face.cut], head.u, head.sy, HEAD, HEAD)
        seen = _visible(n, head, front, table.pixel)
        row, unit = (part.au > 0).nonzero(as_tuple=True)
        pairs = (left[start + row, unit], right[start + row, unit])
        masks[start + row, unit] = _unit_regions(head.rows(row), ellipses[unit], pairs) * seen[row]
    return masks.unflatten(2, (size, size))
