"""What the renderer needs to know of each face, as numbers, colours and table weights."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from fbu.data.faces.identity import COLS, GAIN, POSITIVE, RGB, SCARF, STYLES
from fbu.data.faces.scene import LIGHT, POSE, STATE, Scene
from fbu.data.faces.shapes import HALF_WIDTH
from fbu.data.faces.tables import ZOOM, Tables
from fbu.data.faces.units import AUS

CENTRE = 0.18  # face height at the picture's centre

Numbers = dict[str, Tensor]


@dataclass
class Coefficients:
    """Per face; `rows` cuts the chunks that are drawn together."""

    number: Tensor  # [numbers, B], named by `names`
    names: tuple[str, ...]
    colour: dict[str, Tensor]  # name -> [B, 3, 1], linear light
    warp: Tensor  # [B, D] weights of the displacement tables
    skin: Tensor  # [B, K] weights of the skin tables
    cut: Tensor  # [B] row of the hair table
    background: Tensor  # [B, 3, 5, 5], linear light

    def rows(self, start: int, stop: int) -> Coefficients:
        """Faces start .. stop - 1."""
        colour = {name: x[start:stop] for name, x in self.colour.items()}
        number = self.number[:, start:stop].contiguous()
        rest = (x[start:stop] for x in (self.warp, self.skin, self.cut, self.background))
        return Coefficients(number, self.names, colour, *rest)

    def numbers(self) -> Numbers:
        """name -> [B, 1]."""
        return dict(zip(self.names, self.number[..., None].unbind(0), strict=True))


def _head_turn(n: Numbers) -> None:
    """Rotation matrix view <- head (rows r0., r1., r2.), and roll and scale of the picture."""
    cy, sy, cp, sp = n["yaw"].cos(), n["yaw"].sin(), n["pitch"].cos(), n["pitch"].sin()
    none = torch.zeros_like(cy)
    matrix = (cy, sy * sp, sy * cp, none, cp, -sp, -sy, cy * sp, cy * cp)
    n.update({f"r{k // 3}{k % 3}": entry for k, entry in enumerate(matrix)})
    n["turned"] = 1 / cy - 1  # hair outside the outline does not turn
    n["cos_roll"] = n["roll"].cos() / (ZOOM * n["scale"])
    n["sin_roll"] = n["roll"].sin() / (ZOOM * n["scale"])


def _unit(x: Tensor, y: Tensor, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    scale = (x * x + y * y + z * z).rsqrt()
    return x * scale, y * scale, z * scale


def _lights(n: Numbers) -> None:
    """Light and highlight directions in the head's frame (l0 l1 l2, h0 h1 h2), and derived brightness."""
    light = _unit(n["lx"], n["ly"], n["lz"])
    half_way = _unit(light[0], light[1], light[2] + 1)  # between the light and the viewer
    for name, (x, y, z) in (("l", light), ("h", half_way)):
        for k in range(3):
            n[f"{name}{k}"] = x * n[f"r0{k}"] + y * n[f"r1{k}"] + z * n[f"r2{k}"]
    for k in range(3):  # of hair, for products with the unturned (xn, yn, depth)
        n[f"k{k}"] = n["l0"] * n[f"r{k}0"] + n["l1"] * n[f"r{k}1"] + 0.9 * n["l2"] * n[f"r{k}2"]
    n["k_flat"] = 0.2 * n["l2"]
    none = torch.zeros_like(n["l0"])
    wrapped, shadowed = n["strength"] / 1.22, -0.20 * n["ambient"]
    for k in range(3):
        n[f"w{k}"], n[f"a{k}"] = n[f"l{k}"] * wrapped, shadowed if k == 1 else none
    n["w_flat"], n["a_flat"] = 0.22 * wrapped, 0.80 * n["ambient"]
    n["bright"] = n["ambient"] + n["strength"]
    n["bright_mouth"] = 0.72 * n["bright"]
    n["bright_eye"] = n["ambient"] + 0.62 * n["strength"]
    n["side_light"] = 1.2 * n["strength"] * n["lx"]
    n["flat_light"] = n["ambient"] + 0.55 * n["strength"]
    n["hair_light"] = 0.75 * n["strength"]
    n["sheen"] = 0.06 * n["strength"] * (n["style"] != SCARF)
    n["gloss_light"] = (0.05 + 0.10 * n["gloss"]) * n["strength"]


def _eyelids(n: Numbers, k: dict[int, Tensor], side: str) -> None:
    """Upper and lower lid heights of one side."""
    lower = (1 - 0.62 * k[7] - 0.60 * k[6] - 0.25 * k[9] + 0.12 * k[5]).clamp(0.10)
    upper = (
        1 + 0.52 * k[5] + 0.08 * k[1] - 0.46 * k[7] - 0.16 * k[6] - 0.22 * k[9] - 0.12 * k[4] - 0.08 * k[12]
    )
    lower, upper = n["eye_l"] * lower, n["eye_h"] * upper.clamp(0.25, 1.75)
    n["lid_low_" + side], n["lid_up_" + side] = lower, torch.lerp(upper, -0.92 * lower, n["blink"])


def _mouth(n: Numbers, m: dict[int, Tensor]) -> None:
    """Gap between the lips, jaw, thickness of the lips."""
    n["jaw_drop"] = 0.17 * m[26]
    n["gap_u"] = 0.022 * m[25] * (1 + 0.8 * m[12] + 0.6 * m[10])
    n["gap_l"] = 0.042 * m[25] * (1 + 1.3 * m[12]) + (0.014 + 0.085 * m[25]) * m[26]
    n["teeth"] = 0.050 + 0.030 * m[12]
    n["lip_line"] = 4000 / (1 + 40 * m[25] * m[25])
    n["press"] = (0.5 * m[23] + m[24]).clamp(0, 1)
    n["oval"] = 1.08 + 0.75 * m[26] * m[25]
    thin = 1 - 0.50 * m[23] - 0.66 * m[24] - 0.28 * m[20]
    upper = n["lip_u"].clamp(0.45) * (thin - 0.30 * m[12] - 0.1 * m[15] - 0.12 * m[26])
    lower = n["lip_l"].clamp(0.45) * (thin - 0.18 * m[12] + 0.15 * m[17] - 0.1 * m[26])
    n["squeeze_u"], n["squeeze_l"] = 1 / upper.clamp(0.33), 1 / lower.clamp(0.33)


def _derived(n: Numbers) -> None:
    """Reciprocals and sums that every pixel would otherwise repeat."""
    n["per_width"], n["per_height"] = 1 / (HALF_WIDTH * n["width"]), 1 / n["height"]
    n["jaw_taper"], n["jaw_wide"] = 0.05 - n["jaw"], 0.55 * n["jaw_drop"]
    n["gap_u_line"], n["gap_l_line"] = n["gap_u"] + 0.0035, n["gap_l"] + 0.0035
    n["beard_dense"] = (n["beard"] * 1.4 + n["stubble"] * 0.6).clamp(max=1.4)
    n["flush_red"] = 0.7 + n["flush"]
    n["per_eye_w"], n["per_iris_r"], n["per_brow_len"] = 1 / n["eye_w"], 1 / n["iris_r"], 1 / n["brow_len"]
    n["brow_arch"] = 2.3 * n["brow_arch"]
    n["brow_dark"] = 1 - 0.27 * n["grey"]
    n["neck_w"] = 0.40 + 0.3 * n["jaw"] - 0.04 * n["sex"]


def _skin_weights(n: Numbers, sides: Numbers, names: tuple[str, ...]) -> Tensor:
    across, along = n["l0"] * n["strength"], n["l1"] * n["strength"]
    weight = {name: n[name].clamp(0) for name in POSITIVE}
    # Cast shadows follow the light; wrinkles deepen with age.
    weight |= {"base": torch.ones_like(across), "sh_l": (-across).clamp(0), "sh_r": across.clamp(0)}
    weight["sh_t"] = (-along).clamp(0)
    weight |= {name: x * (0.65 + 0.35 * n["age"]).clamp(0.45) for name, x in sides.items()}
    return torch.stack([weight[name] if name in weight else n[name] for name in names], 1)


def _warp_weights(n: Numbers, sides: Numbers, names: tuple[str, ...]) -> Tensor:
    def weight(name: str) -> Tensor:
        if name.startswith(">"):  # parallax: protrusion times the view's slant
            return n[name[2:]] * n["r02" if name[1] == "x" else "r12"]
        return sides[name] if name in sides else n[name]

    return torch.stack([weight(name) for name in names], 1)


def coefficients(scene: Scene, tables: Tables) -> Coefficients:
    """Numbers, colours and table weights of every face of a scene."""
    person = scene.identity
    n: Numbers = {name: person[:, column] for name, column in COLS.items()}
    drawn = torch.cat([scene.pose, scene.light, scene.state], 1).unbind(1)
    n |= dict(zip(POSE + LIGHT + STATE, drawn, strict=True))
    shown = scene.au / 5 * person[:, GAIN:]
    left, right = shown * (1 - scene.asym).clamp(0, 1), shown * (1 + scene.asym).clamp(0, 1)
    by_side = {
        "L": dict(zip(AUS, left.unbind(1), strict=True)),
        "R": dict(zip(AUS, right.unbind(1), strict=True)),
    }
    sides = {f"{side}{a}": x for side, values in by_side.items() for a, x in values.items()}
    mean = {a: 0.5 * (by_side["L"][a] + by_side["R"][a]) for a in AUS}
    _head_turn(n)
    _lights(n)
    for side, values in by_side.items():
        _eyelids(n, values, side)
    _mouth(n, mean)
    warp, skin = _warp_weights(n, sides, tables.warp_names), _skin_weights(n, sides, tables.skin_names)
    _derived(n)
    warm = torch.stack([1 + 0.10 * n["warm"], torch.ones_like(n["warm"]), 1 - 0.14 * n["warm"]], 1)
    colour = {name: (person[:, k : k + 3].square() * warm)[..., None] for name, k in RGB.items()}
    colour["cap"] = torch.where((n["style"] == SCARF)[:, None, None], colour["cloth"], colour["hair"])
    cut = (n["style"] + len(STYLES) * (n["part"] < 0)).long()
    return Coefficients(torch.stack(list(n.values())), tuple(n), colour, warp, skin, cut, scene.bg.square())
