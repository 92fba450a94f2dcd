"""Worlds of people in elicitation tasks: each sequence rises to an apex of one pattern and falls again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from fbu.data.faces import AUS, COLS, COLUMN, POSE, Identity, Scene, uniform
from fbu.data.worlds import drawing, patterns
from fbu.data.worlds.population import Laboratory
from fbu.data.worlds.world import World, attributes, intensities

_SEQUENCES, _SUBJECTS, _FRAMES = 201, 202, 203
_MAX_FRAMES = 4096
#: Units that some people hold slightly all the time.
_HABITS = (7, 10, 14, 17)
#: Real frame numbers start at 1 in 118 of 328 sequences; the highest is 2,992.
_STARTS_AT_ONE = 118 / 328


@dataclass(frozen=True)
class _Rows:
    """Per picture: subject, task, frame (positions); session, sequence, picture (numbers for draws)."""

    subject: torch.Tensor
    task: torch.Tensor
    step: torch.Tensor
    session: torch.Tensor
    sequence: torch.Tensor
    number: torch.Tensor


def draw(population: Laboratory, size: str, seed: int) -> World:
    """Draw a laboratory world; sequences are ordered by subject, task, frame."""
    steps = population.frames[size]
    rows = _rows(population, steps)
    who = _subjects(population, seed)
    pattern, second = _plan(population, seed, rows)
    au, envelope = _intensities(population, seed, rows, pattern, second, (rows.step + 0.5) / steps)
    around = drawing.surroundings(population.look, seed, rows.number, session=rows.session)
    around["pose"] = _steady(around["pose"], population, seed, rows)
    asym = drawing.one_sided(torch.zeros(len(au), dtype=torch.bool), seed, rows.sequence)
    scene = drawing.assemble(who[rows.subject], au, asym, around)
    records = _records(population, seed, rows, scene, pattern, envelope)
    return World(population.name, size, seed, population, records, scene)


def _rows(population: Laboratory, steps: int) -> _Rows:
    sizes = len(population.subjects), len(population.tasks), steps
    grid = torch.cartesian_prod(*map(torch.arange, sizes))
    subject, task, step = grid.unbind(1)
    sequence = drawing.numbers(population.first_identity, subject * 16 + task)
    number = drawing.numbers(population.first_identity, (subject * 16 + task) * _MAX_FRAMES + step)
    session = drawing.numbers(population.first_identity, subject)
    return _Rows(subject, task, step, session, sequence, number)


def _subjects(population: Laboratory, seed: int) -> torch.Tensor:
    """An identity number per subject whose sex agrees with the name."""
    numbers = drawing.people(population.first_identity, seed, torch.arange(40 * len(population.subjects)))
    female = Identity.sample(numbers)[:, COLS["sex"]] > 0
    pools = {"F": iter(numbers[female].tolist()), "M": iter(numbers[~female].tolist())}
    return torch.tensor([next(pools[name[0]]) for name in population.subjects])


def _plan(population: Laboratory, seed: int, rows: _Rows) -> tuple[torch.Tensor, torch.Tensor]:
    """The pattern of each picture's sequence, and a second one that is mixed in (-1: none)."""
    u = uniform(seed, rows.sequence, 3, _SEQUENCES)
    target = torch.tensor([patterns.NAMES.index(name) for name in population.tasks.values()])[rows.task]
    smile = torch.full_like(target, patterns.NAMES.index("happiness"))
    other = torch.where(u[:, 1] < 0.5, smile, (u[:, 2] * len(patterns.NAMES)).long())
    aside = (u[:, 0] >= population.on_target) & (u[:, 0] < population.on_target + population.detour)
    mixed = u[:, 0] >= population.on_target + population.detour
    return torch.where(aside, other, target), torch.where(mixed, smile, -1)


def _intensities(
    population: Laboratory,
    seed: int,
    rows: _Rows,
    pattern: torch.Tensor,
    second: torch.Tensor,
    time: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Action units ``[n, 17]`` and the envelope of the main expression ``[n]``."""
    tables, count = patterns.tables(), len(AUS)
    takes_part, height, shift = (uniform(seed, rows.sequence, count, _SEQUENCES + 10 + i) for i in range(3))
    lively = 0.85 + 0.25 * uniform(seed, rows.session, 1, _SUBJECTS)

    def apex(which: torch.Tensor) -> torch.Tensor:
        return (takes_part < tables.chance[which]) * tables.apex[which] * (0.75 + 0.5 * height) * lively

    main = apex(pattern)
    mild = torch.maximum(0.75 * main, 0.75 * apex(second.clamp(min=0)))
    main = torch.where((second >= 0)[:, None], mild, main)
    delayed = time[:, None] - 0.12 * (shift - 0.5)
    au = main * _envelope(delayed, uniform(seed, rows.sequence, 5, _SEQUENCES + 1))
    au = torch.maximum(au, _habits(seed, rows.session))
    jitter = uniform(seed, rows.number, count, _FRAMES)
    au = au * (0.92 + 0.16 * jitter)
    lapse = uniform(seed, rows.number, 2 * count, _FRAMES + 1)
    au = torch.maximum(au, (lapse[:, :count] < population.lapses) * (1.5 + 2.5 * lapse[:, count:]))
    au = _talk(population, seed, rows, au)
    return drawing.tidy(au), _envelope(time[:, None], uniform(seed, rows.sequence, 5, _SEQUENCES + 1))[:, 0]


def _envelope(time: torch.Tensor, u: torch.Tensor) -> torch.Tensor:
    """Onset, apex, offset over time 0..1: up within the first third, down (not always fully) near the end."""
    up = drawing.smoothstep((time - 0.12 * u[:, :1]) / (0.08 + 0.14 * u[:, 1:2]))
    down = drawing.smoothstep((time - 0.72 - 0.22 * u[:, 2:3]) / (0.08 + 0.15 * u[:, 3:4]))
    return up * (1 - down * (1 - 0.5 * u[:, 4:5]))


def _habits(seed: int, session: torch.Tensor) -> torch.Tensor:
    """A unit that a person holds all the time: below or just above the threshold for "present"."""
    u = uniform(seed, session, 2 * len(_HABITS), _SUBJECTS + 1)
    held = torch.zeros(len(session), len(AUS))
    for i, number in enumerate(_HABITS):
        held[:, COLUMN[number]] = (u[:, i] < 0.22) * (1.0 + 1.8 * u[:, i + len(_HABITS)])
    return held


def _talk(population: Laboratory, seed: int, rows: _Rows, au: torch.Tensor) -> torch.Tensor:
    """Speech opens lips and jaw for single frames, which also ends any pressing of the lips."""
    share = torch.tensor([population.talking.get(task, 0.0) for task in population.tasks])[rows.task]
    u = uniform(seed, rows.number, 3, _FRAMES + 2)
    speaks = (u[:, 0] < share)[:, None]
    said = au.clone()
    said[:, COLUMN[25]] = torch.maximum(au[:, COLUMN[25]], 2 + 2 * u[:, 1])
    said[:, COLUMN[26]] = torch.maximum(au[:, COLUMN[26]], 1 + 2 * u[:, 2])
    said[:, COLUMN[24]] = 0
    return torch.where(speaks, said, au)


def _steady(pose: torch.Tensor, population: Laboratory, seed: int, rows: _Rows) -> torch.Tensor:
    """Heads keep about one pose per sequence: the frame's own draw counts for a third."""
    base = drawing.surroundings(population.look, seed, rows.sequence + 10**8, session=rows.session)["pose"]
    out = base + 0.35 * (pose - base)
    out[:, POSE.index("scale")] = base[:, POSE.index("scale")]
    return out


def _records(
    population: Laboratory,
    seed: int,
    rows: _Rows,
    scene: Scene,
    pattern: torch.Tensor,
    envelope: torch.Tensor,
) -> pd.DataFrame:
    u = uniform(seed, rows.sequence, 2, _SEQUENCES + 2)
    start = torch.where(u[:, 0] < _STARTS_AT_ONE, 1, 2 + (u[:, 1] * 2400).long())
    frame = (start + rows.step).numpy()
    subject = np.array(population.subjects)[rows.subject.numpy()]
    activity = np.array(list(population.tasks))[rows.task.numpy()]
    shown = np.where(envelope.numpy() > 0.35, np.array(patterns.NAMES)[pattern.numpy()], "neutral")
    sample = [f"{s}/{t}/{n:04d}" for s, t, n in zip(subject, activity, frame, strict=True)]
    first = pd.DataFrame(
        {"sample": sample, "split": "", "subject": subject, "expression": shown, "label": ""}
    )
    first["activity"], first["frame"] = activity, frame
    return pd.concat([first, intensities(scene), attributes(scene)], axis=1)
