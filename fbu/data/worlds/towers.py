"""Endless scenes of people from nowhere else, for pre-training the stand-in towers."""

from __future__ import annotations

import numpy as np
import torch

from fbu.data.faces import AUS, Scene, uniform
from fbu.data.worlds import drawing
from fbu.data.worlds.drawing import EXPRESSION_ROWS
from fbu.data.worlds.population import TOWER_FIRST_IDENTITY, Display, Look

_PLAN = 401
#: Share of scenes that show a random set of units instead of an expression.
LOOSE_UNITS = 0.30
#: Share of neutral faces among the expressions, on top of the even share.
EXTRA_NEUTRAL = 0.10
_DISPLAY = Display(strength=(0.55, 1.05), mild=0.10)
_LOOK = Look(turn=0.08)


def tower_scenes(
    index: np.ndarray | torch.Tensor, *, seed: int = 0, people: np.ndarray | torch.Tensor | None = None
) -> tuple[Scene, np.ndarray]:
    """Random scenes for pre-training: any expression, or any set of units, of people from 5,000,000 on.

    Args:
        index: numbers of the pictures, 0 or more; each decides its scene, whatever the others are.
        seed: another seed has other scenes (of the same people).
        people: numbers of the people, 0 or more; default: a person of its own for every picture.

    Returns:
        The scenes, and what each shows: an expression's name, or "" for loose units.

    Raises:
        ValueError: a negative number.
    """
    number = torch.as_tensor(np.ascontiguousarray(index), dtype=torch.int64)
    person = number if people is None else torch.as_tensor(np.ascontiguousarray(people), dtype=torch.int64)
    if len(number) and (number.min() < 0 or person.min() < 0):
        raise ValueError("index and people must hold numbers of 0 or more")
    number = drawing.numbers(TOWER_FIRST_IDENTITY, number)
    u = uniform(seed, number, 3, _PLAN)
    code = (u[:, 1] * len(EXPRESSION_ROWS)).long()
    code = torch.where(u[:, 2] < EXTRA_NEUTRAL, EXPRESSION_ROWS.index("neutral"), code)
    loose = u[:, 0] < LOOSE_UNITS
    shown = drawing.express(code, _DISPLAY, seed, number)
    v = uniform(seed, number, 2 * len(AUS), _PLAN + 1)
    units = (v[:, : len(AUS)] < 0.15) * (2 + 2.8 * v[:, len(AUS) :])
    au = drawing.tidy(torch.where(loose[:, None], units, shown))
    contempt = ~loose & (code == EXPRESSION_ROWS.index("contempt"))
    asym = drawing.one_sided(contempt, seed, number)
    around = drawing.surroundings(_LOOK, seed, number, session=number)
    scene = drawing.assemble(TOWER_FIRST_IDENTITY + person, au, asym, around)
    return scene, np.where(loose.numpy(), "", np.array(EXPRESSION_ROWS)[code.numpy()])
