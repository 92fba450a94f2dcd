"""Worlds of single pictures that ten annotators vote on, each with doubts and confusions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import torch

from fbu.data.faces import uniform
from fbu.data.worlds import drawing, wild
from fbu.data.worlds.population import Display, Look, Wild
from fbu.data.worlds.world import World

ANNOTATORS = 10
_PICTURES, _VOTES = 701, 711
#: What annotators may say beside a class.
UNKNOWN, NO_FACE = "unknown", "NF"


@dataclass(frozen=True)
class Voted:
    """Single pictures of different people, and votes on what they show.

    Attributes:
        classes: in the order of the votes.
        counts: pictures per shown class in the real set, by part (train, val, test).
        pictures: pictures per part, by size; val is cut from the end of train.
        doubt: by shown class, mean chance that an annotator says something else; single pictures have half to
            one and a half times that.
        confusion: by shown class, how such answers spread over the others.
        rivals: share of such answers that go to one other class, the picture's own (drawn by ``confusion``).
        nameless: share of pictures that all annotators call no face.
        unknown: share of pictures that most annotators cannot judge.
    """

    name: str
    first_identity: int
    classes: tuple[str, ...]
    counts: Mapping[str, Mapping[str, int]]
    pictures: Mapping[str, Mapping[str, int]]
    doubt: Mapping[str, float]
    confusion: Mapping[str, Mapping[str, float]]
    rivals: float
    nameless: float
    unknown: float
    display: Display = field(default_factory=Display)
    look: Look = field(default_factory=Look)

    @property
    def answers(self) -> tuple[str, ...]:
        """What an annotator may say, in the order of the votes."""
        return (*self.classes, UNKNOWN, NO_FACE)


def draw(population: Voted, size: str, seed: int) -> World:
    """Draw faces, then votes on them; parts follow each other.

    Records have ``votes_<answer>``, ``emotion`` (what one more annotator says, who knows neither contempt nor doubt)
    and for ``label`` the class with most votes.
    """
    pictures, counts = population.pictures[size], population.counts
    both = {name: counts["train"][name] + counts["val"][name] for name in population.classes}
    faces = Wild(
        name=population.name,
        first_identity=population.first_identity,
        counts={"train": both, "test": counts["test"]},
        pictures={size: {"train": pictures["train"] + pictures["val"], "test": pictures["test"]}},
        names={"train": "train_{:05d}", "test": "test_{:04d}"},
        display=population.display,
        look=population.look,
    )
    world = wild.draw(faces, size, seed)
    records = world.records
    split = np.repeat(["train", "val", "test"], [pictures[part] for part in ("train", "val", "test")])
    index = drawing.numbers(population.first_identity, torch.arange(len(records)))
    said = _said(population, seed, index, records["expression"].to_numpy())
    votes = np.stack([(said[:, :ANNOTATORS] == i).sum(1) for i in range(len(population.answers))], axis=1)
    names = np.array(population.classes, dtype=object)
    one_more = np.array(
        [*("neutral" if name == "contempt" else name for name in names), "neutral", "neutral"]
    )
    records = records.assign(
        split=split, label=names[votes[:, : len(names)].argmax(1)], emotion=one_more[said[:, ANNOTATORS]]
    )
    columns = [f"votes_{name}" for name in population.answers]
    records = pd.concat([records, pd.DataFrame(votes, columns=columns)], axis=1)
    return World(population.name, size, seed, population, records, world.scenes)


def _said(population: Voted, seed: int, index: torch.Tensor, shown: np.ndarray) -> np.ndarray:
    """Answer of each annotator, and of one more: int64 ``[n, 11]``, positions in ``answers``."""
    people = ANNOTATORS + 1
    answers = list(population.answers)
    true = np.array([answers.index(name) for name in shown])
    rows = [
        [population.confusion[name].get(answer, 0.0) for answer in answers] for name in population.classes
    ]
    spread = np.cumsum(rows, axis=1)[true]  # [n, answers]
    u = uniform(seed, index, 3, _PICTURES).numpy()
    rival = _drawn(spread, u[:, :1])
    doubt = np.array([population.doubt[name] for name in population.classes])[true] * (0.5 + u[:, 1])
    w, v, x = (uniform(seed, index, people, _VOTES + i).numpy() for i in range(3))
    said = np.where(v < population.rivals, rival, _drawn(spread, x))
    said = np.where(w < doubt[:, None], said, true[:, None])
    judged = u[:, 2]
    hard = (judged < population.nameless + population.unknown)[:, None]
    said = np.where(hard & (w < 0.8), answers.index(UNKNOWN), said)
    return np.where((judged < population.nameless)[:, None], answers.index(NO_FACE), said)


def _drawn(cumulative: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Answers by cumulative shares ``[n, answers]`` and numbers in [0, 1) ``[n, k]``: ``[n, k]``."""
    found = (u[:, :, None] * cumulative[:, None, -1:] >= cumulative[:, None, :]).sum(2)
    return np.minimum(found, cumulative.shape[1] - 1)
