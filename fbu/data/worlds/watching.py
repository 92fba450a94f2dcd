"""Worlds of people who watch a film: mostly calm faces, brief reactions, the same moments seen by several cameras."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import torch

from fbu.data.faces import AUS, COLUMN, POSE, uniform
from fbu.data.worlds import drawing
from fbu.data.worlds.population import Look
from fbu.data.worlds.world import World, attributes, intensities

_REACTIONS, _HABITS, _FRAMES = 601, 621, 631
_MOST_PARTS, _MOST_FRAMES = 32, 8192
#: Part of the apex from which a face shows its expression.
_SHOWN = 0.35

#: Unit -> (chance that it takes part, intensity at the apex).
Reaction = Mapping[int, tuple[float, float]]


@dataclass(frozen=True)
class Watching:
    """Known people who watch one film, filmed in one session each.

    Attributes:
        subjects: names.
        film: reaction that each part of the film may elicit, in order.
        reactions: their units.
        reacts: share of the parts to which a person reacts.
        habits: unit -> (share of people who hold it, most intensity), for what a face does without a reason.
        lapses: chance per frame and unit of a short stray movement.
        cameras: view -> yaw of the head in it, in radians.
        frames: frames per person and view, by size.
    """

    name: str
    first_identity: int
    subjects: tuple[str, ...]
    film: tuple[str, ...]
    reactions: Mapping[str, Reaction]
    reacts: float
    habits: Mapping[int, tuple[float, float]]
    lapses: float
    cameras: Mapping[str, float]
    frames: Mapping[str, int]
    look: Look = field(default_factory=Look)


def draw(population: Watching, size: str, seed: int) -> World:
    """Draw a world of one film; pictures are ordered by view, subject, frame."""
    steps = population.frames[size]
    grid = torch.cartesian_prod(
        torch.arange(len(population.cameras)), torch.arange(len(population.subjects)), torch.arange(steps)
    )
    camera, subject, step = grid.unbind(1)
    first = population.first_identity
    session = drawing.numbers(first, subject)
    # Both cameras see one moment: the same number, hence the same face and gaze.
    number = drawing.numbers(first, subject * _MOST_FRAMES + step)
    part = step * len(population.film) // steps
    sequence = drawing.numbers(first, subject * _MOST_PARTS + part)
    within = step * len(population.film) / steps - part
    au, envelope = _units(population, seed, part, sequence, session, number, within)
    around = drawing.surroundings(population.look, seed, number, session=session)
    still = drawing.surroundings(population.look, seed, sequence + 10**8, session=session)["pose"]
    around["pose"] = still + 0.3 * (around["pose"] - still)
    around["pose"][:, POSE.index("yaw")] += torch.tensor(list(population.cameras.values()))[camera]
    asym = drawing.one_sided(torch.zeros(len(au), dtype=torch.bool), seed, sequence)
    who = drawing.people(first, seed, subject)
    scene = drawing.assemble(who, au, asym, around)
    shown = np.where(envelope.numpy() > _SHOWN, np.array(population.film)[part.numpy()], "neutral")
    records = _records(population, camera, subject, step, shown)
    records = pd.concat([records, intensities(scene), attributes(scene)], axis=1)
    return World(population.name, size, seed, population, records, scene)


def _units(
    population: Watching,
    seed: int,
    part: torch.Tensor,
    sequence: torch.Tensor,
    session: torch.Tensor,
    number: torch.Tensor,
    within: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Action units ``[n, 17]``, and how far the reaction of the moment has risen ``[n]``."""
    count = len(AUS)
    u = uniform(seed, sequence, 4, _REACTIONS)
    chance, apex = _tables(population)
    takes_part, height = (uniform(seed, sequence, count, _REACTIONS + i) for i in (1, 2))
    strength = (takes_part < chance[part]) * apex[part] * (0.6 + 0.6 * height) * (0.8 + 0.4 * u[:, 3:])
    up = drawing.smoothstep((within - 0.25 * u[:, 1]) / 0.15)
    down = drawing.smoothstep((within - 0.45 - 0.35 * u[:, 2]) / 0.15)
    envelope = (u[:, 0] < population.reacts) * up * (1 - down)
    au = strength * envelope[:, None]
    au = torch.maximum(au, _held(population, seed, session, sequence))
    au = au * (0.92 + 0.16 * uniform(seed, number, count, _FRAMES))
    lapse = uniform(seed, number, 2 * count, _FRAMES + 1)
    stray = (lapse[:, :count] < population.lapses) * (1.0 + 2.5 * lapse[:, count:])
    return drawing.tidy(torch.maximum(au, stray)), envelope


def _tables(population: Watching) -> tuple[torch.Tensor, torch.Tensor]:
    """Chance and apex of each unit in each part of the film, ``[parts, 17]`` both."""
    rows = [[population.reactions[name].get(unit, (0.0, 0.0)) for unit in AUS] for name in population.film]
    both = torch.tensor(rows)
    return both[..., 0], both[..., 1]


def _held(population: Watching, seed: int, session: torch.Tensor, sequence: torch.Tensor) -> torch.Tensor:
    """What a person holds, stronger in some parts of the film than in others."""
    out = torch.zeros(len(session), len(AUS))
    who = uniform(seed, session, len(population.habits), _HABITS)
    now = uniform(seed, sequence, len(population.habits), _HABITS + 1)
    for i, (unit, (share, most)) in enumerate(population.habits.items()):
        out[:, COLUMN[unit]] = (who[:, i] < share) * most * now[:, i]
    return out


def _records(
    population: Watching, camera: torch.Tensor, subject: torch.Tensor, step: torch.Tensor, shown: np.ndarray
) -> pd.DataFrame:
    view = np.array(list(population.cameras))[camera.numpy()]
    name = np.array(population.subjects)[subject.numpy()]
    frame = step.numpy() + 1
    sample = [f"{v}/{s}/{n:04d}" for v, s, n in zip(view, name, frame, strict=True)]
    return pd.DataFrame(
        {
            "sample": sample,
            "split": "",
            "subject": name,
            "expression": shown,
            "label": "",
            "activity": "",
            "view": view,
            "frame": frame,
        }
    )
