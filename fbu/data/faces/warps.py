"""Displacements (du, dv) of the face plane by identity, parallax and action units."""

from __future__ import annotations

import torch
from torch import Tensor

from fbu.data.faces.shapes import Pair, Shapes, split_sides


def _identity_warps(shapes: Shapes) -> dict[str, Pair]:
    u, bump, none = shapes.u, shapes.bump, torch.zeros_like(shapes.u)
    outward = torch.tanh(u / 0.03)
    return {
        "eye_sep": (outward * 0.016 * bump(0.29, -0.08, 0.2, 0.2), none),
        "eye_y": (none, 0.020 * bump(0.26, -0.03, 0.3, 0.14)),
        "brow_y": (none, 0.022 * bump(0.26, -0.19, 0.25, 0.09)),
        "nose_len": (none, 0.028 * bump(0, 0.36, 0.22, 0.12)),
        "nose_wid": (outward * 0.016 * bump(0.13, 0.34, 0.08, 0.10), none),
        "mouth_y": (none, 0.018 * bump(0, 0.60, 0.34, 0.12)),
        "mouth_wid": (outward * 0.022 * bump(0.24, 0.60, 0.12, 0.13), none),
        "chin_len": (none, 0.02 * bump(0, 0.82, 0.3, 0.14)),
        "skew": (0.012 * bump(0, 0.5, 0.3, 0.25), none),
        "skew2": (none, 0.010 * u / 0.3 * torch.exp(-((u / 0.5) ** 2))),
    }


def _parallax(shapes: Shapes) -> dict[str, Pair]:
    """What stands out of the sphere by z moves by z times the head's turn: >x... and >y... ."""
    bump, none = shapes.bump, torch.zeros_like(shapes.u)
    depth = {
        "nose_h": 0.17 * bump(0, 0.31, 0.10, 0.12) + 0.06 * bump(0, 0.1, 0.09, 0.15),
        "muzzle": 0.05 * bump(0, 0.6, 0.22, 0.14),
        "chin": 0.05 * bump(0, 0.86, 0.16, 0.09),
        "ridge": 0.04 * bump(0.2, -0.17, 0.2, 0.06),
    }
    warps: dict[str, Pair] = {}
    for name, z in depth.items():
        warps[">x" + name], warps[">y" + name] = (z, none), (none, z)
    return warps


def _upper_units(shapes: Shapes, outward: Tensor) -> dict[int, Pair]:
    """Brows, lids, cheeks and nose."""
    bump, none = shapes.bump, torch.zeros_like(shapes.u)
    limit = 0.52 * (shapes.v - 0.055).clamp(0)  # cheeks must not drag the eyes
    return {
        1: (none, -0.090 * bump(0.10, -0.26, 0.11, 0.13)),
        2: (none, -0.094 * bump(0.38, -0.26, 0.14, 0.13)),
        4: (-outward * 0.050 * bump(0.15, -0.19, 0.10, 0.10), 0.066 * bump(0.13, -0.19, 0.17, 0.11)),
        5: (none, -0.016 * bump(0.29, -0.13, 0.13, 0.04)),
        6: (
            outward * 0.010 * bump(0.36, 0.2, 0.2, 0.1),
            -torch.minimum(0.070 * bump(0.34, 0.20, 0.17, 0.10), limit),
        ),
        7: (none, -torch.minimum(0.014 * bump(0.29, 0.08, 0.13, 0.04), limit)),
        9: (
            -outward * 0.012 * bump(0.12, 0.34, 0.06, 0.08),
            -0.050 * bump(0.08, 0.33, 0.11, 0.13) + 0.038 * bump(0.10, -0.18, 0.13, 0.08),
        ),
        10: (none, -0.066 * bump(0.09, 0.54, 0.13, 0.06) - 0.026 * bump(0.14, 0.38, 0.06, 0.05)),
    }


def _lower_units(shapes: Shapes, outward: Tensor) -> dict[int, Pair]:
    """Mouth, chin and jaw; unit 25 parts the lips analytically and has no warp of its own."""
    bump, none = shapes.bump, torch.zeros_like(shapes.u)
    return {
        12: (
            outward * 0.090 * bump(0.32, 0.53, 0.17, 0.12),
            -0.125 * bump(0.37, 0.53, 0.17, 0.115) - 0.018 * bump(0.37, 0.33, 0.15, 0.12),
        ),
        14: (outward * 0.080 * bump(0.27, 0.60, 0.13, 0.10), -0.082 * bump(0.29, 0.60, 0.11, 0.09)),
        15: (outward * 0.006 * bump(0.24, 0.62, 0.1, 0.1), 0.080 * bump(0.26, 0.63, 0.11, 0.10)),
        17: (none, -0.066 * bump(0, 0.76, 0.17, 0.11) - 0.018 * bump(0, 0.64, 0.12, 0.05)),
        20: (outward * 0.085 * bump(0.26, 0.61, 0.17, 0.12), 0.022 * bump(0.26, 0.63, 0.13, 0.09)),
        23: (-outward * 0.038 * bump(0.22, 0.60, 0.12, 0.08), none),
        24: (-outward * 0.030 * bump(0.24, 0.60, 0.12, 0.08), -0.014 * bump(0, 0.72, 0.15, 0.07)),
        26: (-outward * 0.03 * bump(0.26, 0.62, 0.14, 0.12), none),
    }


def warp_shapes(u: Tensor, v: Tensor) -> dict[str, Pair]:
    """All displacement shapes on a grid: name -> (du, dv); units as L<number> and R<number>."""
    shapes = Shapes(u, v, 0.06)
    outward = torch.tanh(u / 0.03)
    units = {**_upper_units(shapes, outward), **_lower_units(shapes, outward)}
    return split_sides({**_identity_warps(shapes), **_parallax(shapes)}, units, u, 0.05)
