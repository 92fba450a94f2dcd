"""Draws shared by all worlds; every number is a pure function of (seed, index), never of the batch."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch

from fbu.data.faces import AUS, COLUMN, POSE, PROTOTYPES, STATE, Identity, Scene, normal, uniform
from fbu.data.worlds.population import SEED_BLOCK, SPAN, Display, Look

EXPRESSION_ROWS = tuple(PROTOTYPES)
# Streams of the hash; the renderer keeps those below 100.
DISPLAY, NUISANCE, EXTRA = 101, 111, 121


def people(first: int, seed: int, offset: torch.Tensor) -> torch.Tensor:
    """Identity numbers of a data set; raises ValueError when the seed's block lies outside its span."""
    if not 0 <= seed < SPAN // SEED_BLOCK:
        raise ValueError(f"seed is {seed}; worlds have seeds 0 to {SPAN // SEED_BLOCK - 1}")
    return first + seed * SEED_BLOCK + offset


def numbers(first: int, offset: torch.Tensor) -> torch.Tensor:
    """Numbers of pictures that no other data set uses, so that no two share a background or a pose."""
    return first * 1000 + offset


def with_label_errors(
    label: np.ndarray, classes: Iterable[str], share: float, *, seed: int, index: torch.Tensor, stream: int
) -> np.ndarray:
    """What pictures or clips show: the written label, except for a share of errors, which show any other class.

    Args:
        label: written names ``[n]``.
        classes: all names; their order decides which one an error shows.
        share: of errors.
        seed: seed of the world.
        index: number of each picture.
        stream: of the hash; two numbers are drawn.
    """
    names = np.array(list(classes))
    place = {name: i for i, name in enumerate(names.tolist())}
    code = np.array([place[name] for name in label.tolist()])
    u = uniform(seed, index, 2, stream).numpy()
    other = (code + 1 + (u[:, 1] * (len(names) - 1)).astype(int)) % len(names)
    return np.where(u[:, 0] < share, names[other], label)


def express(expression: torch.Tensor, display: Display, seed: int, index: torch.Tensor) -> torch.Tensor:
    """Intensities of posed or spontaneous prototypes.

    Args:
        expression: rows of ``EXPRESSION_ROWS``, int64 ``[n]``.
        display: strength and spread.
        seed: seed of the world.
        index: number of each picture.

    Returns:
        float ``[n, 17]`` in 0..5.
    """
    common = uniform(seed, index, 2, DISPLAY)
    keep, vary, stray = (uniform(seed, index, len(AUS), DISPLAY + i) for i in (1, 2, 3))
    table = torch.tensor([[float(units.get(a, 0)) for a in AUS] for units in PROTOTYPES.values()])
    prototype = table[expression]
    mild = (common[:, 1] < display.mild)[:, None]
    low = torch.where(mild, display.mild_strength[0], display.strength[0])
    high = torch.where(mild, display.mild_strength[1], display.strength[1])
    strength = low + (high - low) * common[:, :1]
    shown = prototype * (keep < display.keep) * strength * (1 + display.vary * (2 * vary - 1))
    return tidy(torch.where(prototype > 0, shown, (stray < display.stray) * (2 + 2.5 * vary)))


def tidy(au: torch.Tensor) -> torch.Tensor:
    """Keep intensities in 0..5 and possible: pressed lips do not part, a dropped jaw parts them."""
    au = au.clamp(0, 5)
    au[:, COLUMN[25]] *= au[:, COLUMN[24]] <= 1
    au[:, COLUMN[26]] *= au[:, COLUMN[25]] > 0.5
    return torch.where(au < 0.4, 0.0, au)


def one_sided(contempt: torch.Tensor, seed: int, index: torch.Tensor) -> torch.Tensor:
    """Left-right asymmetry ``[n, 17]``: slight for most people, full for the dimple of contempt."""
    u = uniform(seed, index, 2, DISPLAY + 4)
    asym = 0.25 * normal(seed, index, len(AUS), DISPLAY + 5) * (u[:, :1] < 0.6)
    side = (u[:, 1] < 0.5) * 2.0 - 1
    asym[:, COLUMN[14]] = torch.where(contempt, side, asym[:, COLUMN[14]])
    return asym.clamp(-1, 1)


def surroundings(
    look: Look, seed: int, index: torch.Tensor, session: torch.Tensor
) -> dict[str, torch.Tensor]:
    """Pose, light, state and background of pictures.

    Args:
        look: the data set's look.
        seed: seed of the world.
        index: number of each picture: decides pose, blur, noise, gaze, blink and occluder.
        session: number of each recording: decides light and background.
    """
    moment = Scene.sample(seed, index + NUISANCE * SPAN, people=index, nuisance=1.0)
    room = Scene.sample(seed, session + EXTRA * SPAN, people=session, nuisance=1.0)
    u, z = uniform(seed, index, 4, NUISANCE), normal(seed, index, 1, NUISANCE + 1)
    still = torch.zeros_like(moment.pose)
    still[:, POSE.index("scale")] = 1
    pose = still + look.pose * (moment.pose - still)
    pose[:, POSE.index("yaw")] += look.turn * z[:, 0]
    even = torch.tensor([-0.15, -0.45, 0.9, 0.40, 0.70, 0.0])
    state = moment.state.clone()
    columns = {name: i for i, name in enumerate(STATE)}
    state[:, columns["blur"]] = (u[:, 0] < look.blur) * u[:, 1] * 0.8
    state[:, columns["noise"]] *= look.noise
    covered = u[:, 2] < look.occluders
    state[:, columns["occluder"]] = covered * (1 + (u[:, 3] * 3).floor())
    return dict(pose=pose, light=torch.lerp(even, room.light, look.light), state=state, bg=room.bg)


def smoothstep(x: torch.Tensor) -> torch.Tensor:
    """0 below 0, 1 above 1, smooth between."""
    x = x.clamp(0, 1)
    return x * x * (3 - 2 * x)


def assemble(
    who: torch.Tensor, au: torch.Tensor, asym: torch.Tensor, around: dict[str, torch.Tensor]
) -> Scene:
    """A scene of identity numbers, intensities and surroundings."""
    return Scene(
        Identity.sample(who), au, asym, around["pose"], around["light"], around["state"], around["bg"]
    )
