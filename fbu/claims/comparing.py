"""What rules about figures share: seeds in common, a claim's settings, one value of a sweep against the best other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from fbu.claims.decision import Part
from fbu.claims.reading import Claim
from fbu.claims.rules import Finding
from fbu.claims.separation import silhouette_frame
from fbu.errors import DataError
from fbu.evaluation.bootstrap import paired_bootstrap, paired_difference
from fbu.evaluation.tallies import Tallies
from fbu.experiments.common import Cell, Table
from fbu.runs import Run


def common_seeds(found: Iterable[Mapping[int, object]]) -> list[int]:
    """Seeds that all have; DataError where there is none."""
    seeds = set.intersection(*(set(by_seed) for by_seed in found))
    if not seeds:
        raise DataError("not run: there is no seed that all rows share")
    return sorted(seeds)


def settings_of(claim: Claim) -> dict[str, str]:
    """Settings of a claim about a figure, e.g. ``{"classes": "Disgust"}``."""
    return {} if claim.statement is None else claim.statement.settings


def listed_in(settings: Mapping[str, str], name: str) -> list[str]:
    """A setting that lists classes, in the spelling of the labels."""
    return [part.strip().lower() for part in settings.get(name, "").split(",") if part.strip()]


def runs_in_common(table: Table, cells: Sequence[Cell]) -> dict[str, list[Run]]:
    """Runs of each row of one column, of the seeds that all rows have, in the order of the seeds."""
    found = {cell.label: {r.recipe.seed: r for r in table.results(cell)} for cell in cells}
    seeds = common_seeds(found.values())
    return {label: [by_seed[s] for s in seeds] for label, by_seed in found.items()}


def silhouettes_in_common(table: Table, cells: Sequence[Cell]) -> dict[str, pd.DataFrame]:
    """Silhouette of every test picture, by row, on the seeds that all rows have."""
    return {label: silhouette_frame(runs) for label, runs in runs_in_common(table, cells).items()}


def apart(what: str, tallied: Tallies) -> Part:
    """The first row's mean number less the second's, as a term "greater"; people and seeds are resampled."""
    return Part(what, ">", "decided", paired_difference(tallied), unit="plain")


def best_of_sweep(table: Table, cells: Sequence[Cell], chosen: str) -> Finding:
    """The chosen setting against the best of the others, on each dataset.

    Args:
        table: with its runs.
        cells: one per setting and dataset, labelled by the setting.
        chosen: label of the setting that is claimed to be best.

    Raises:
        DataError: a dataset lacks the setting, or has no other.
    """
    parts, people = [], 0
    for column in dict.fromkeys(c.column for c in cells):
        row = {c.label: c for c in cells if c.column == column}
        if chosen not in row or len(row) < 2:
            raise DataError(f"{table.name} has no cell {chosen} with others beside it, {column}")
        unrun = tuple(f"{label} on {column}" for label, c in row.items() if not table.results(c))
        what = f"{chosen} - best of {len(row) - 1} others, {column}"
        if unrun:
            parts.append(Part(what, ">", "not run", missing=unrun))
            continue
        metric = row[chosen].metric
        found = runs_in_common(table, list(row.values()))
        frames = {label: pd.concat([r.predictions for r in runs]) for label, runs in found.items()}
        ours = frames.pop(chosen)
        measured = paired_bootstrap(ours, list(frames.values()), metric)
        parts.append(Part(what, ">", "decided", measured))
        people += measured.subjects
    return Finding(parts, people)
