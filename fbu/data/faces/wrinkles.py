"""Relief and log-darkness that each action unit adds to the skin: furrows, folds, bulges."""

from __future__ import annotations

import torch
from torch import Tensor

from fbu.data.faces.shapes import Pair, Shapes


def _upper(shapes: Shapes, crow: Tensor) -> dict[int, Pair]:
    """Forehead and eyes."""
    bump, crease = shapes.bump, shapes.crease
    inner = shapes.furrows(0.26, 0.018, -0.40, -0.48, -0.56)
    outer = shapes.furrows(0.55, 0.018, -0.43, -0.52, bend=0.1) * torch.sigmoid((shapes.a - 0.2) / 0.05)
    under = crease(0.017, (0.16, 0.075), (0.28, 0.10), (0.42, 0.057))
    lid = crease(0.014, (0.16, 0.055), (0.28, 0.078), (0.41, 0.05))
    frown = crease(0.020, (0.040, -0.07), (0.052, -0.26)), crease(0.017, (0.040, -0.08), (0.055, -0.26))
    return {
        1: (-0.010 * inner, 0.36 * inner),
        2: (-0.010 * outer, 0.34 * outer),
        4: (
            -0.020 * frown[0] + 0.022 * bump(0.12, -0.13, 0.06, 0.05),
            0.70 * frown[1] + 0.25 * bump(0.14, -0.08, 0.06, 0.03),
        ),
        5: (torch.zeros_like(shapes.u), -0.12 * bump(0.29, -0.10, 0.12, 0.03)),
        6: (0.064 * bump(0.33, 0.15, 0.10, 0.055) - 0.016 * under, 0.46 * under + 0.50 * crow),
        7: (0.014 * bump(0.29, 0.045, 0.11, 0.022), 0.40 * lid + 0.14 * bump(0.29, -0.08, 0.12, 0.03)),
    }


def _middle(shapes: Shapes) -> dict[int, Pair]:
    """Nose and the folds from the nose to the mouth."""
    bump, crease = shapes.bump, shapes.crease
    bunny = torch.zeros_like(shapes.u)  # wrinkles across the side of the nose
    for k, height in enumerate((-0.02, 0.045, 0.128)):
        bunny = bunny + crease(0.0125, (0.015 + k * 0.006, 0.02 + 0.06 * k), (0.105 + 0.008 * k, height))
    fold9 = crease(0.022, (0.16, 0.36), (0.24, 0.44), (0.28, 0.52))
    wing9 = crease(0.020, (0.15, 0.30), (0.20, 0.38), (0.27, 0.50))
    fold10 = crease(0.022, (0.165, 0.37), (0.24, 0.425), (0.30, 0.525))
    fold12 = crease(0.024, (0.17, 0.37), (0.235, 0.44), (0.31, 0.54), (0.345, 0.615))
    dimple = crease(0.019, (0.280, 0.52), (0.315, 0.60), (0.290, 0.68))
    return {
        9: (
            -0.014 * bunny - 0.024 * fold9 + 0.02 * bump(0.20, 0.30, 0.06, 0.06),
            0.55 * bunny + 0.45 * wing9,
        ),
        10: (-0.022 * fold10 + 0.02 * bump(0.30, 0.36, 0.08, 0.06), 0.52 * fold10),
        12: (
            -0.030 * fold12 + 0.055 * bump(0.38, 0.34, 0.085, 0.09),
            0.42 * fold12 + 0.50 * bump(0.27, 0.60, 0.018, 0.025),
        ),
        14: (
            -0.045 * bump(0.315, 0.595, 0.026, 0.040) + 0.042 * bump(0.38, 0.55, 0.05, 0.07),
            1.4 * dimple + 0.45 * bump(0.29, 0.60, 0.04, 0.05),
        ),
    }


def _lower(shapes: Shapes, noise: Tensor) -> dict[int, Pair]:
    """Mouth and chin."""
    bump, crease = shapes.bump, shapes.crease
    pebble = noise * bump(0, 0.86, 0.09, 0.05)
    boss = 0.8 * bump(0, 0.86, 0.09, 0.05)
    tight = torch.zeros_like(shapes.u)  # short vertical lines around tightened lips
    for x0, y0, x1, y1 in (
        (0.05, 0.51, 0.05, 0.56), (0.11, 0.52, 0.105, 0.57), (0.17, 0.54, 0.155, 0.585),
        (0.06, 0.70, 0.06, 0.65), (0.12, 0.69, 0.115, 0.645),
    ):  # fmt: skip
        tight = tight + crease(0.010, (x0, y0), (x1, y1))
    groove = crease(0.02, (0.32, 0.52), (0.35, 0.60), (0.33, 0.70))
    line = crease(0.018, (0.32, 0.53), (0.348, 0.60), (0.33, 0.69))
    return {
        15: (
            -0.020 * crease(0.020, (0.26, 0.64), (0.285, 0.75)) + 0.016 * bump(0.30, 0.70, 0.05, 0.05),
            0.50 * crease(0.017, (0.262, 0.63), (0.285, 0.75)) + 0.20 * bump(0, 0.70, 0.14, 0.02),
        ),
        17: (
            0.030 * bump(0, 0.83, 0.10, 0.06) + 0.010 * pebble - 0.022 * bump(0, 0.735, 0.13, 0.022),
            0.50 * bump(0, 0.735, 0.12, 0.020) + 0.15 * (pebble + boss).clamp(0),
        ),
        20: (
            -0.014 * groove - 0.015 * bump(0, 0.72, 0.2, 0.03),
            0.30 * line + 0.12 * bump(0, 0.73, 0.18, 0.02),
        ),
        23: (0.016 * shapes.furrows(0.20, 0.02, 0.525, 0.70, bend=0), 0.40 * tight),
        24: (
            0.032 * shapes.furrows(0.20, 0.024, 0.515, 0.695, bend=0),
            0.22 * shapes.furrows(0.22, 0.016, 0.745, bend=-0.3) + 0.30 * bump(0.245, 0.60, 0.03, 0.035),
        ),
        26: (-0.02 * bump(0.36, 0.55, 0.06, 0.14), 0.14 * bump(0.37, 0.55, 0.05, 0.13)),
    }


def unit_relief(shapes: Shapes, noise: Tensor, crow: Tensor) -> dict[int, Pair]:
    """Unit number -> (relief, log-darkness), both sides together."""
    return {**_upper(shapes, crow), **_middle(shapes), **_lower(shapes, noise)}
