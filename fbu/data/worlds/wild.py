"""Worlds of single pictures of different people, one expression label each."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import torch

from fbu.data.faces import uniform
from fbu.data.worlds import drawing
from fbu.data.worlds.drawing import EXPRESSION_ROWS
from fbu.data.worlds.population import Wild
from fbu.data.worlds.world import World, attributes, intensities

_ORDER, _ERRORS = 301, 302


def draw(population: Wild, size: str, seed: int) -> World:
    """Draw a world of single pictures; splits follow each other, pictures in order of their number."""
    split, label, number = _labels(population, size, seed)
    # A picture's number does not move when another split grows, so it can be the person's number, too.
    person = torch.as_tensor(number + np.where(split == "test", 15_000, 0))
    index = drawing.numbers(population.first_identity, person)
    classes = sorted(next(iter(population.counts.values())))
    errors = population.label_errors
    shown = drawing.with_label_errors(label, classes, errors, seed=seed, index=index, stream=_ERRORS)
    code = torch.tensor([EXPRESSION_ROWS.index(name) for name in shown])
    who = drawing.people(population.first_identity, seed, person)
    au = drawing.express(code, population.display, seed, index)
    asym = drawing.one_sided(code == EXPRESSION_ROWS.index("contempt"), seed, index)
    around = drawing.surroundings(population.look, seed, index, session=index)
    scene = drawing.assemble(who, au, asym, around)
    sample = [population.names[s].format(n) for s, n in zip(split, number, strict=True)]
    records = pd.DataFrame(
        {"sample": sample, "split": split, "subject": sample, "expression": shown, "label": label}
    )
    records["activity"], records["frame"] = "", 0
    records = pd.concat([records, intensities(scene), attributes(scene)], axis=1)
    return World(population.name, size, seed, population, records, scene)


def apportion(counts: Mapping[str, int], total: int) -> dict[str, int]:
    """Scale class counts to a total by largest remainders, every class at least once.

    Raises:
        ValueError: fewer pictures than classes.
    """
    if total < len(counts):
        raise ValueError(f"total is {total}, fewer than the {len(counts)} classes")
    spare = total - len(counts)
    exact = {name: spare * n / sum(counts.values()) for name, n in counts.items()}
    if total == sum(counts.values()):
        return dict(counts)
    out = {name: int(x) for name, x in exact.items()}
    for name in sorted(exact, key=lambda name: out[name] - exact[name])[: spare - sum(out.values())]:
        out[name] += 1
    return {name: n + 1 for name, n in out.items()}


def _labels(population: Wild, size: str, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Split, written label and number (from 1) of each picture; exact class counts, shuffled order."""
    parts = []
    for i, (split, total) in enumerate(population.pictures[size].items()):
        counts = apportion(population.counts[split], total)
        label = np.repeat(list(counts), list(counts.values()))
        order = uniform(seed, torch.arange(total), 1, _ORDER + 10 * i)[:, 0].argsort(stable=True).numpy()
        parts.append((np.full(total, split), label[order], np.arange(1, total + 1)))
    splits, labels, numbers = zip(*parts, strict=True)
    return np.concatenate(splits), np.concatenate(labels), np.concatenate(numbers)
