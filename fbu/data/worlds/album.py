"""Worlds of photographs of known people: most have one picture, a few have many."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import torch

from fbu.data.faces import uniform
from fbu.data.worlds import drawing
from fbu.data.worlds.drawing import EXPRESSION_ROWS
from fbu.data.worlds.population import SEED_BLOCK, Display, Look
from fbu.data.worlds.wild import apportion
from fbu.data.worlds.world import World, attributes, intensities

_PEOPLE, _ORDER, _ERRORS = 601, 611, 612
_FIRST = (
    "Ada Ben Cora Dan Eva Finn Gina Hugo Ida Jan Kira Leo Mona Nils Olga Paul Rosa Sam Tina Udo "
    "Anna Bert Clara Dirk Elsa Felix Greta Hans Irma Jonas Karin Lars Maria Noah Otto Petra Ruth Sven Thea Ulf"
).split()
_START = "Al Bar Cas Dor El Far Gor Hal Is Jor Kel Lam Mar Nor Ost Per".split()
_END = "berg dale field ford gate holm land man mont ner stein ter ton vale well wick".split()


@dataclass(frozen=True)
class Album:
    """People and their photographs.

    Attributes:
        counts: pictures per class in the real set; they give the shares of a twin.
        pictures: pictures in all, by size.
        tail: share of people with more than k pictures falls as k to the power of minus this.
        most: pictures that one person has at most, as a share of all.
        label_errors: share of pictures whose written label is not what is shown.
    """

    name: str
    first_identity: int
    counts: Mapping[str, int]
    pictures: Mapping[str, int]
    tail: float
    most: float = 0.02
    label_errors: float = 0.0
    display: Display = field(default_factory=Display)
    look: Look = field(default_factory=Look)


def draw(album: Album, size: str, seed: int) -> World:
    """Draw a world; pictures are ordered by person."""
    total = album.pictures[size]
    person = _owners(album, total, seed)
    index = drawing.numbers(album.first_identity, torch.arange(total))
    counts = apportion(album.counts, total)
    order = uniform(seed, index, 1, _ORDER)[:, 0].argsort(stable=True).numpy()
    label = np.repeat(list(counts), list(counts.values()))[order]
    errors = album.label_errors
    shown = drawing.with_label_errors(label, album.counts, errors, seed=seed, index=index, stream=_ERRORS)
    code = torch.tensor([EXPRESSION_ROWS.index(name) for name in shown])
    who = drawing.people(album.first_identity, seed, person)
    au = drawing.express(code, album.display, seed, index)
    asym = drawing.one_sided(code == EXPRESSION_ROWS.index("contempt"), seed, index)
    scene = drawing.assemble(who, au, asym, drawing.surroundings(album.look, seed, index, session=index))
    subject = [name_of(int(p)) for p in person]
    within = pd.Series(subject).groupby(subject).cumcount() + 1
    sample = [f"{name}_{n:04d}.jpg" for name, n in zip(subject, within, strict=True)]
    records = pd.DataFrame(
        {"sample": sample, "split": "", "subject": subject, "expression": shown, "label": label}
    )
    records["activity"], records["frame"] = "", 0
    records = pd.concat([records, intensities(scene), attributes(scene)], axis=1)
    return World(album.name, size, seed, album, records, scene)


def name_of(person: int) -> str:
    """An invented name without digits, one per person.

    Raises:
        ValueError: there are not that many names.
    """
    rest, first = divmod(person, len(_FIRST))
    end, start = divmod(rest, len(_START))
    if end >= len(_END):
        raise ValueError(f"person {person}: there are {len(_FIRST) * len(_START) * len(_END)} names")
    return f"{_FIRST[first]}_{_START[start]}{_END[end]}"


def _owners(album: Album, total: int, seed: int) -> torch.Tensor:
    """Person of each picture, ascending, int64 ``[total]``."""
    everyone = torch.arange(min(total, SEED_BLOCK))
    u = uniform(seed, everyone, 1, _PEOPLE)[:, 0].double()
    most = max(2, int(album.most * total))
    pictures = (1 - u).clamp(min=1e-12).pow(-1 / album.tail).long().clamp(1, most)
    return everyone.repeat_interleave(pictures)[:total]
