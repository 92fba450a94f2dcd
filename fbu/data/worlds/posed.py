"""Worlds of posed sequences: each starts at a neutral face and ends at the height of one expression."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import torch

from fbu.data.faces import AUS, uniform
from fbu.data.worlds import drawing
from fbu.data.worlds.drawing import EXPRESSION_ROWS
from fbu.data.worlds.population import Display, Look
from fbu.data.worlds.world import World, attributes, intensities

_PLAN, _LENGTH, _UNITS = 501, 521, 531
_MOST_SEQUENCES, _MOST_FRAMES = 32, 4096
#: Part of the apex from which a face shows its expression.
_SHOWN = 0.35


@dataclass(frozen=True)
class Posed:
    """Known people who pose expressions, filmed in one session each.

    Attributes:
        subjects: names.
        labelled: sequences per expression in the real set; nobody poses one twice.
        unlabelled: sequences that show loose units and carry no expression.
        frames: fewest and most frames per sequence, by size.
    """

    name: str
    first_identity: int
    subjects: tuple[str, ...]
    labelled: Mapping[str, int]
    unlabelled: int
    frames: Mapping[str, tuple[int, int]]
    display: Display = field(default_factory=Display)
    look: Look = field(default_factory=Look)


@dataclass(frozen=True)
class _Sequences:
    """Per sequence: subject and number within the subject (from 0), expression (-1: loose units), frames."""

    subject: torch.Tensor
    place: torch.Tensor
    expression: torch.Tensor
    frames: torch.Tensor


def draw(population: Posed, size: str, seed: int) -> World:
    """Draw a posed world; pictures are ordered by subject, sequence, frame."""
    plan = _plan(population, size, seed)
    at = torch.arange(len(plan.subject)).repeat_interleave(plan.frames)
    step = torch.cat([torch.arange(int(n)) for n in plan.frames])
    first = population.first_identity
    subject = plan.subject[at]
    session = drawing.numbers(first, subject)
    sequence = drawing.numbers(first, plan.subject * _MOST_SEQUENCES + plan.place)
    number = drawing.numbers(first, (subject * _MOST_SEQUENCES + plan.place[at]) * _MOST_FRAMES + step)
    rise = drawing.smoothstep(step / (plan.frames[at] - 1))
    au = drawing.tidy(_apex(population, plan, seed, sequence)[at] * rise[:, None])
    contempt = plan.expression == EXPRESSION_ROWS.index("contempt")
    asym = drawing.one_sided(contempt, seed, sequence)[at]
    around = drawing.surroundings(population.look, seed, number, session=session)
    still = drawing.surroundings(population.look, seed, sequence[at] + 10**8, session=session)["pose"]
    around["pose"] = still + 0.25 * (around["pose"] - still)
    scene = drawing.assemble(drawing.people(first, seed, subject), au, asym, around)
    records = _records(population, plan, at, step, rise)
    records = pd.concat([records, intensities(scene), attributes(scene)], axis=1)
    return World(population.name, size, seed, population, records, scene)


def _plan(population: Posed, size: str, seed: int) -> _Sequences:
    """Who poses what: each expression by as many people as in the real set, loose units in turn by all."""
    everyone = torch.arange(len(population.subjects))

    def shuffled(stream: int) -> torch.Tensor:
        return uniform(seed, everyone, 1, _PLAN + stream)[:, 0].argsort(stable=True)

    chosen = [shuffled(i)[:n] for i, n in enumerate(population.labelled.values())]
    rounds = -(-population.unlabelled // len(everyone))
    loose = shuffled(len(chosen)).repeat(rounds)[: population.unlabelled]
    subject = torch.cat([*chosen, loose])
    names = [name for name, people in zip(population.labelled, chosen, strict=True) for _ in people]
    expression = torch.tensor([EXPRESSION_ROWS.index(name) for name in names] + [-1] * len(loose))
    # The number of a sequence within its subject says nothing about its expression.
    key = uniform(seed, torch.arange(len(subject)), 1, _PLAN + len(chosen) + 1)[:, 0]
    order = torch.as_tensor(np.lexsort((key.numpy(), subject.numpy())))
    subject, expression = subject[order], expression[order]
    starts = torch.searchsorted(subject, everyone)
    place = torch.arange(len(subject)) - starts[subject]
    fewest, most = population.frames[size]
    u = uniform(
        seed, drawing.numbers(population.first_identity, subject * _MOST_SEQUENCES + place), 1, _LENGTH
    )
    return _Sequences(subject, place, expression, fewest + (u[:, 0] * (most - fewest + 1)).long())


def _apex(population: Posed, plan: _Sequences, seed: int, sequence: torch.Tensor) -> torch.Tensor:
    """Intensities at the last frame of each sequence ``[sequences, 17]``."""
    posed = drawing.express(plan.expression.clamp(min=0), population.display, seed, sequence)
    u = uniform(seed, sequence, 2 * len(AUS), _UNITS)
    loose = (u[:, : len(AUS)] < 0.15) * (2 + 2.8 * u[:, len(AUS) :])
    return torch.where((plan.expression >= 0)[:, None], posed, loose)


def _records(
    population: Posed, plan: _Sequences, at: torch.Tensor, step: torch.Tensor, rise: torch.Tensor
) -> pd.DataFrame:
    names = np.array([*EXPRESSION_ROWS, ""])[plan.expression[at].numpy()]  # -1 is the last: no expression
    shown = np.where(rise.numpy() > _SHOWN, names, "neutral")
    last = (step == plan.frames[at] - 1).numpy()
    label = np.where(last, names, np.where((step == 0).numpy() & (names != ""), "neutral", ""))
    subject = np.array(population.subjects)[plan.subject[at].numpy()]
    place, frame = (plan.place[at] + 1).numpy(), (step + 1).numpy()
    sample = [f"{s}/{k:03d}/{n:08d}" for s, k, n in zip(subject, place, frame, strict=True)]
    records = pd.DataFrame(
        {"sample": sample, "split": "test", "subject": subject, "expression": shown, "label": label}
    )
    records["activity"], records["frame"] = "", frame
    return records
