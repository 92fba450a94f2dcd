"""People: a row of named parameters, colours and action unit gains for every identity number."""

from __future__ import annotations

import torch
from torch import Tensor

from fbu.data.faces.randomness import normal, uniform
from fbu.data.faces.units import AUS

# name: mean, standard deviation, effect of sex (+ = female), effect of age (-1 young .. 1 old)
TRAITS: dict[str, tuple[float, float, float, float]] = {
    # displacements of the face plane
    "eye_sep": (0, 1, 0, 0),
    "eye_y": (0, 1, 0, 0),
    "brow_y": (-0.25, 0.9, -0.7, 0.2),
    "nose_len": (0, 1, -0.4, 0.5),
    "nose_wid": (0, 1, -0.4, 0.3),
    "mouth_y": (0, 1, 0, 0.3),
    "mouth_wid": (0.3, 0.9, -0.3, 0),
    "chin_len": (0, 1, -0.4, 0),
    "skew": (0, 0.8, 0, 0),
    "skew2": (0, 0.8, 0, 0),
    # outline
    "width": (1, 0.045, -0.01, 0),
    "height": (1, 0.03, -0.01, 0),
    "jaw": (0, 0.10, -0.09, 0.03),
    "cheek_w": (0, 0.03, 0, 0),
    # relief and darkness of the skin
    "nose_h": (1, 0.22, -0.10, 0.05),
    "bridge": (0, 1, -0.3, 0),
    "tip": (1, 0.35, 0, 0.2),
    "wing": (1, 0.25, -0.1, 0),
    "ridge": (0.6, 0.45, -0.55, 0.1),
    "socket": (0.75, 0.3, 0, 0.25),
    "cheekbone": (1, 0.5, 0.15, 0),
    "hollow": (0, 0.7, 0, 0.35),
    "muzzle": (1, 0.3, 0, 0),
    "chin": (1, 0.4, -0.2, 0),
    "cleft": (-0.4, 0.6, -0.4, 0),
    "philtrum": (1, 0.4, 0, -0.3),
    "fold": (0.32, 0.2, -0.08, 0.5),
    "bags": (0.28, 0.25, -0.05, 0.5),
    "lines": (0.1, 0.15, 0, 0.6),
    "glab": (0.0, 0.15, -0.05, 0.22),
    "crow": (0, 0.1, 0, 0.6),
    "marion": (0, 0.12, 0, 0.3),
    "mottle1": (0, 1, 0, 0),
    "mottle2": (0, 1, 0, 0),
    "mottle3": (0, 1, 0, 0.5),
    # eyes, lips, brows
    "eye_w": (0.147, 0.007, 0.005, -0.003),
    "eye_h": (0.060, 0.006, 0.006, -0.006),
    "eye_l": (0.034, 0.004, 0.001, 0),
    "tilt": (0.010, 0.012, 0.006, -0.006),
    "crease": (0.030, 0.011, 0.004, -0.006),
    "iris_r": (0.061, 0.003, 0.001, 0),
    "lash": (0.5, 0.12, 0.45, -0.1),
    "lip_u": (1, 0.2, 0.16, -0.22),
    "lip_l": (1, 0.2, 0.12, -0.18),
    "lip_curve": (-0.036, 0.009, -0.003, 0.003),
    "brow_w": (0.029, 0.006, -0.007, 0),
    "brow_arch": (0.035, 0.018, 0.012, 0),
    "brow_tilt": (0.0, 0.014, -0.003, 0.002),
    "brow_len": (0.30, 0.02, 0, 0),
    "brow_in": (0.105, 0.018, 0.01, 0),
    "brow_d": (0.88, 0.08, -0.02, -0.08),
}
# Traits that are clamped at zero where they weight a shape.
POSITIVE = ("lip_u", "lip_l", "fold", "bags", "lines", "glab", "crow", "marion", "freckle", "ridge", "cleft")
OTHER = (
    "sex", "age", "melanin", "style", "beard", "stubble", "glasses", "gloss", "lipstick", "flush",
    "freckle", "grey", "part",
)  # fmt: skip
COLOURS = ("skin", "hair", "iris", "lip", "cloth", "frame")

COLS = {name: column for column, name in enumerate((*TRAITS, *OTHER))}
RGB = {name: len(COLS) + 3 * k for k, name in enumerate(COLOURS)}
GAIN = len(COLS) + 3 * len(RGB)  # last 17 columns: how strongly this person shows each unit
WIDTH = GAIN + len(AUS)

STYLES = ("bald", "short", "receding", "long", "bangs", "swept", "curly", "bob", "bun", "quiff", "scarf")
SCARF = STYLES.index("scarf")
SHOWS_EARS = ("bald", "short", "receding", "swept", "bun", "quiff")
_STYLE_SHARE = (
    (0.10, 0.36, 0.14, 0.04, 0.02, 0.12, 0.07, 0.0, 0.0, 0.15, 0.0),  # men
    (0.0, 0.06, 0.0, 0.26, 0.14, 0.12, 0.12, 0.14, 0.10, 0.0, 0.06),  # women
)
_SKIN = (
    (0.97, 0.80, 0.71),
    (0.92, 0.71, 0.58),
    (0.83, 0.60, 0.45),
    (0.68, 0.46, 0.32),
    (0.50, 0.32, 0.21),
    (0.34, 0.21, 0.145),
)
_HAIR = (
    (0.07, 0.06, 0.06),
    (0.16, 0.10, 0.07),
    (0.30, 0.18, 0.10),
    (0.50, 0.34, 0.18),
    (0.78, 0.62, 0.38),
    (0.50, 0.20, 0.08),
)
_IRIS = (
    (0.20, 0.11, 0.06),
    (0.30, 0.18, 0.08),
    (0.40, 0.36, 0.18),
    (0.30, 0.45, 0.42),
    (0.32, 0.45, 0.60),
)


def _palette(colours: tuple[tuple[float, ...], ...], t: Tensor) -> Tensor:
    """Piecewise linear colour [B, 3] at t [B] in 0..1."""
    table, t = torch.tensor(colours), t.clamp(0, 0.9999) * (len(colours) - 1)
    return torch.lerp(table[t.long()], table[t.long() + 1], (t - t.floor())[:, None])


def _style(u: Tensor, man: Tensor, age: Tensor) -> Tensor:
    """Hair style [B]; half of the older men are bald or receding."""
    share = torch.tensor(_STYLE_SHARE)[(~man).long()]
    style = (u[:, 4:5] >= share.cumsum(1)[:, :-1]).sum(1)
    return torch.where(man & (age > 0.25) & (u[:, 5] < 0.5), torch.where(u[:, 6] < 0.4, 0, 2), style)


def _colours(u: Tensor, melanin: Tensor, grey: Tensor, stick: Tensor) -> Tensor:
    """The six colours of `RGB`, [B, 18]; eye and hair colour follow the skin loosely."""
    fair = melanin < 0.35
    skin = _palette(_SKIN, melanin) * (1 + 0.05 * (u[:, 20:23] - 0.5))
    hair = _palette(_HAIR, torch.where(fair, u[:, 23], u[:, 23] * 0.45 * (1 - 0.6 * melanin)))
    hair = torch.lerp(hair, torch.tensor([0.72, 0.72, 0.73]) * (0.7 + 0.4 * u[:, 24:25]), grey[:, None])
    iris = _palette(_IRIS, torch.where(fair, u[:, 25], u[:, 25] * 0.25))
    paint = torch.stack([0.55 + 0.3 * u[:, 26], 0.08 + 0.2 * u[:, 27], 0.14 + 0.2 * u[:, 28]], 1)
    bare = skin * torch.tensor([0.86, 0.58, 0.56]) + torch.tensor([0.03, 0.0, 0.01])
    lip = torch.lerp(bare, paint, 0.7 * stick[:, None])
    return torch.cat(
        [skin, hair, iris, lip, 0.1 + 0.8 * u[:, 29:32], 0.05 + 0.3 * u[:, 32:33] * u[:, 33:36]], 1
    )


class Identity:
    """Rows of people: named parameters (`COLS`), colours (`RGB`), action unit gains (`GAIN` and after)."""

    @staticmethod
    def sample(ids: int | Tensor, seed: int = 0) -> Tensor:
        """Draw people; a person depends on its number and the seed only.

        Args:
            ids: Identity numbers [B], or a count n for the numbers 0..n-1.
            seed: Another seed is another population.

        Returns:
            float32 [B, WIDTH] on the CPU.
        """
        ids = torch.arange(ids) if isinstance(ids, int) else torch.as_tensor(ids)
        u = uniform(seed, ids, 40, 1)
        # A person's age leans young: 0.8 u + 0.2 u^2 maps to -1 .. 1.
        man, age, melanin = u[:, 0] >= 0.5, (0.8 * u[:, 1] + 0.2 * u[:, 1].square()) * 2 - 1, u[:, 3]
        sex = 1 - 2 * man.float()
        mean, spread, by_sex, by_age = torch.tensor(list(TRAITS.values())).unbind(1)
        trait = mean + spread * normal(seed, ids, len(TRAITS), 2).clamp(-2, 2)
        trait = trait + (sex * (0.55 + 0.45 * u[:, 2]))[:, None] * by_sex + age[:, None] * by_age
        grey = ((age - 0.1) * 1.3 + 0.5 * (u[:, 11] - 0.5)).clamp(0, 1) * (u[:, 12] < 0.8)
        stick = ~man * (u[:, 14] < 0.55) * (0.3 + 0.7 * u[:, 15])
        beard = man * (u[:, 7] < 0.28) * (0.55 + 0.45 * u[:, 8])
        freckle = (melanin < 0.35) * (u[:, 17] < 0.3) * u[:, 18]
        other = [
            sex, age, melanin, _style(u, man, age).float(), beard, man * u[:, 9] * 0.45, (u[:, 10] < 0.16).float(),
            u[:, 13], stick, u[:, 16] - 0.3, freckle, grey, (u[:, 19] < 0.5) * 2.0 - 1,
        ]  # fmt: skip
        gain = (1 + 0.14 * normal(seed, ids, len(AUS), 3)).clamp(0.65, 1.2)
        return torch.cat([trait, torch.stack(other, 1), _colours(u, melanin, grey, stick), gain], 1)
