"""Relief (height) and log-darkness of the skin by identity and light; what stands still: redness and beard."""

from __future__ import annotations

import torch
from torch import Tensor

from fbu.data.faces.randomness import normal, smooth_noise
from fbu.data.faces.shapes import Pair, Shapes, split_sides
from fbu.data.faces.wrinkles import unit_relief

_NOISE_ROWS = (9, 14, 40, 110)


def _crow_feet(shapes: Shapes, spread: float) -> Tensor:
    crease = shapes.crease
    return (
        crease(0.012, (0.46, -0.03), (0.565, -0.075 * spread))
        + crease(0.012, (0.46, 0), (0.575, 0.01))
        + crease(0.012, (0.45, 0.03), (0.555, 0.095 * spread))
    )


def _base(shapes: Shapes) -> Pair:
    """What everybody has: eye sockets, nostrils, the dip under the lower lip."""
    bump, crease = shapes.bump, shapes.crease
    relief = (
        -0.012 * bump(0.14, -0.03, 0.05, 0.05) + 0.030 * bump(0.29, -0.02, 0.10, 0.055)
        - 0.014 * bump(0, 0.50, 0.022, 0.05) + 0.05 * bump(0, -0.45, 0.35, 0.22) - 0.02 * bump(0.56, -0.25, 0.08, 0.15)
        - 0.034 * bump(0, 0.735, 0.14, 0.03) + 0.02 * bump(0.20, 0.80, 0.2, 0.1)
    )  # fmt: skip
    dark = (
        0.10 * bump(0.29, -0.075, 0.12, 0.035) + 0.40 * bump(0.135, -0.035, 0.030, 0.050)
        + 0.13 * bump(0.27, 0.075, 0.10, 0.025) + 0.08 * bump(0, 0.725, 0.11, 0.022)
        + 1.5 * bump(0.053, 0.408, 0.021, 0.0105) + 0.30 * bump(0, 0.428, 0.07, 0.012)
        + 0.15 * bump(0.257, 0.597, 0.020, 0.014) + 0.12 * bump(0.40, 1.02, 0.3, 0.08)
        + 0.22 * crease(0.016, (0.14, 0.30), (0.163, 0.355), (0.148, 0.41))
    )  # fmt: skip
    return relief, dark


def _nose(shapes: Shapes) -> dict[str, Pair]:
    u, v, bump, none = shapes.u, shapes.v, shapes.bump, torch.zeros_like(shapes.u)
    lower_edge = 0.397 + 0.022 * torch.exp(-((u / 0.05) ** 2)) - v
    profile = torch.sigmoid((v + 0.07) / 0.035) * (0.055 + 0.30 * (v + 0.06).clamp(0))
    profile = profile * torch.sigmoid(lower_edge / 0.014)
    ridge = profile * torch.exp(-0.5 * (u / (0.050 + 0.075 * (v + 0.05).clamp(0, 0.36))) ** 2)
    wings = 0.062 * bump(0.105, 0.362, 0.036, 0.040) * torch.sigmoid((0.412 - v) / 0.010)
    wings = wings - 0.014 * shapes.crease(0.014, (0.135, 0.31), (0.160, 0.355), (0.150, 0.405))
    return {
        "nose_h": (ridge, 0.08 * bump(0.075, 0.18, 0.03, 0.14)),
        "bridge": (0.020 * bump(0, 0.08, 0.05, 0.06), none),
        "tip": (0.055 * bump(0, 0.335, 0.062, 0.055), none),
        "wing": (wings, none),
    }


def _bones(shapes: Shapes) -> dict[str, Pair]:
    bump, crease, none = shapes.bump, shapes.crease, torch.zeros_like(shapes.u)
    columns = crease(0.020, (0.032, 0.44), (0.044, 0.535)) - crease(0.020, (0, 0.44), (0, 0.535))
    return {
        "ridge": (0.045 * bump(0.24, -0.165, 0.17, 0.045), none),
        "socket": (-0.050 * bump(0.27, -0.075, 0.15, 0.06), 0.16 * bump(0.26, -0.085, 0.14, 0.045)),
        "cheekbone": (0.050 * bump(0.42, 0.13, 0.14, 0.09), none),
        "hollow": (-0.040 * bump(0.43, 0.42, 0.10, 0.13), none),
        "muzzle": (0.055 * bump(0, 0.58, 0.24, 0.13), none),
        "chin": (0.060 * bump(0, 0.865, 0.13, 0.07), none),
        "cleft": (-0.014 * crease(0.022, (0, 0.80), (0, 0.95)), 0.10 * crease(0.018, (0, 0.81), (0, 0.94))),
        "philtrum": (0.006 * columns, 0.03 * crease(0.018, (0, 0.44), (0, 0.53))),
    }


def _lips(shapes: Shapes) -> dict[str, Pair]:
    taper = (1 - (shapes.u / 0.26) ** 2).clamp(0) ** 1.7

    def lobe(height: float, width: float) -> Tensor:
        return torch.exp(-0.5 * ((shapes.v - height) / width) ** 2) * taper

    return {
        "lip_u": (0.035 * lobe(0.572, 0.024), 0.10 * lobe(0.585, 0.015)),
        "lip_l": (0.052 * lobe(0.645, 0.028), torch.zeros_like(shapes.u)),
    }


def _age(shapes: Shapes) -> dict[str, Pair]:
    bump, crease, none = shapes.bump, shapes.crease, torch.zeros_like(shapes.u)
    fold = crease(0.026, (0.165, 0.37), (0.215, 0.43), (0.27, 0.52), (0.30, 0.61))
    bags = crease(0.024, (0.15, 0.06), (0.26, 0.125), (0.38, 0.10))
    lines = shapes.furrows(0.36, 0.016, -0.36, -0.45, -0.54)
    frown = ((0.045, -0.10), (0.055, -0.24))
    puppet = ((0.265, 0.63), (0.29, 0.74))
    return {
        "fold": (-0.020 * fold + 0.016 * bump(0.31, 0.42, 0.075, 0.085, 0.9), 0.26 * fold),
        "bags": (0.016 * bump(0.28, 0.085, 0.10, 0.030) - 0.010 * bags, 0.22 * bags),
        "lines": (-0.007 * lines, 0.17 * lines),
        "crow": (none, 0.22 * _crow_feet(shapes, 1.0)),
        "glab": (-0.012 * crease(0.016, *frown), 0.32 * crease(0.014, *frown)),
        "marion": (-0.012 * crease(0.02, *puppet), 0.25 * crease(0.018, *puppet)),
    }


def _texture(shapes: Shapes, noise: list[Tensor]) -> dict[str, Pair]:
    none = torch.zeros_like(shapes.u)
    return {
        "mottle1": (0.004 * noise[0], 0.025 * noise[0]),
        "mottle2": (0.003 * noise[1], 0.025 * noise[1]),
        "mottle3": (none, 0.018 * noise[2]),
        "freckle": (none, 0.9 * (noise[3] - 1.2).clamp(0, 0.5) * shapes.bump(0.2, 0.16, 0.26, 0.11)),
    }


def _cast_shadows(shapes: Shapes) -> dict[str, Pair]:
    """Shadows of nose, brow and lip, for light from the left, the right and the top."""
    bump, none = shapes.bump, torch.zeros_like(shapes.u)
    nose_side = 0.60 * bump(0.115, 0.22, 0.05, 0.14, -0.18) + 0.30 * bump(0.16, -0.02, 0.05, 0.06)
    top = (
        0.42 * bump(0.27, -0.07, 0.13, 0.045) + 0.50 * bump(0, 0.452, 0.09, 0.026)
        + 0.18 * bump(0, 0.735, 0.12, 0.026) + 0.10 * bump(0.33, 0.52, 0.1, 0.1)
    )  # fmt: skip
    return {
        "sh_l": (none, (shapes.u > 0) * nose_side),
        "sh_r": (none, (shapes.u < 0) * nose_side),
        "sh_t": (none, top),
    }


def skin_shapes(u: Tensor, v: Tensor) -> dict[str, Pair]:
    """All skin shapes on a grid: name -> (relief, log-darkness); units as L<number> and R<number>."""
    shapes = Shapes(u, v)
    noise = [
        smooth_noise(stream, rows, rows, (u.shape[0], u.shape[1])) for stream, rows in enumerate(_NOISE_ROWS)
    ]
    shared = {
        "base": _base(shapes),
        **_nose(shapes),
        **_bones(shapes),
        **_lips(shapes),
        **_age(shapes),
        **_texture(shapes, noise),
        **_cast_shadows(shapes),
    }
    return split_sides(shared, unit_relief(shapes, noise[2], _crow_feet(shapes, 1.05)), u, 0.012)


def paint(u: Tensor, v: Tensor) -> Pair:
    """Redness, and where a beard grows (cheeks, chin, round the mouth, moustache)."""
    shapes = Shapes(u, v)
    bump, a, sig = shapes.bump, shapes.a, torch.sigmoid
    red = (
        0.5 * bump(0.36, 0.24, 0.16, 0.13) + 0.55 * bump(0, 0.33, 0.07, 0.06) + 0.35 * bump(0, 0.82, 0.12, 0.08)
        + 0.4 * bump(0.29, -0.06, 0.11, 0.03) + 0.35 * bump(0.28, 0.07, 0.10, 0.03)
    )  # fmt: skip
    cheeks = sig((a - 0.50 + 0.10 * (v - 0.3)) / 0.03) * sig((v - 0.05) / 0.05)
    chin = sig((v - 0.655 - 0.25 * (0.3 - a).clamp(0) * sig((0.2 - a) / 0.02)) / 0.02)
    beard = torch.maximum(torch.maximum(cheeks, chin), bump(0.30, 0.62, 0.055, 0.12))
    beard = beard * (1 - 0.9 * bump(0, 0.70, 0.10, 0.022))
    moustache = sig((v - 0.465) / 0.012) * sig((0.57 - v) / 0.012) * torch.exp(-((a / 0.27) ** 6))
    moustache = moustache * (1 - 0.5 * torch.exp(-((u / 0.02) ** 2)))
    grain = normal(11, torch.arange(u.shape[0]), u.shape[1], 5)
    strokes = torch.zeros_like(grain)  # short hairs that run down and outwards
    for shift in ((0, 0), (1, 1), (2, 1), (3, 2), (4, 2), (5, 3)):
        strokes = strokes + torch.roll(grain, shift, (0, 1))
    return red, torch.maximum(beard, moustache) * (0.75 + 0.12 * strokes)
