"""EmoCo's claims about figures, and its arguments that the paper does not measure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fbu.claims.comparing import apart, common_seeds, runs_in_common
from fbu.claims.decision import Label, Part
from fbu.claims.reading import Claim
from fbu.claims.rules import Finding, Rule
from fbu.claims.separation import looked, silhouettes
from fbu.data.dataset import Dataset
from fbu.errors import DataError
from fbu.evaluation.bootstrap import PairedDifference, paired_bootstrap, paired_difference
from fbu.evaluation.few import paired_t
from fbu.evaluation.tallies import tally_values
from fbu.experiments.common import Cell, Table
from fbu.experiments.emoco.figures import epochs_needed, trained_for
from fbu.experiments.emoco.stages import COLUMNS, EMOTION, FINETUNE, LINEAR, MOCO, NAMES, WHOLE
from fbu.experiments.emoco.tables import CHOSEN
from fbu.models.emoco_units import SHOWN_UNIT
from fbu.probes import neighbour_hits

OURS, CLASSIFIER, PLAIN = NAMES[WHOLE], NAMES[EMOTION], NAMES[MOCO]
TUNED, TUNED_MOCO, SUPERVISED = f"EmoCo {FINETUNE}", f"MoCo {FINETUNE}", "ResNet-50 supervised"
INTRA, L2 = "intra-class", "L2"
EPOCHS = 5
"""The paper: fewer than this many epochs of finetuning are enough."""
NOT_RUN = ("Fab-Net", "TAE", "Temporal Ranking")
"""Self-supervised methods that the paper quotes or ran, and that are not run here."""
CEILING = 0.99
"""Share of people told apart above which two probes cannot be told apart."""
LEAST = 10
"""Pictures with and without the unit that an emotion must have to count."""


def largest_margin(claim: Claim, table: Table, cells: list[Cell]) -> Finding:
    """emoco-03: the best other method may be one that is not run, so that only the lead over MoCo can be told."""
    said = []
    for column in dict.fromkeys(c.column for c in cells):
        row = {c.label: c for c in cells if c.column == column}
        if all(table.results(row[label]) for label in (TUNED, TUNED_MOCO)):
            found = table.difference(row[TUNED], row[TUNED_MOCO])
            low, high = 100 * found.low, 100 * found.high
            said.append(f"{100 * found.difference:+.1f} ({low:+.1f} to {high:+.1f}) on {column}")
    parts = [
        Part(f"lead on GFT - lead on {other}", ">", "not testable here", missing=NOT_RUN)
        for other in COLUMNS
        if other != "GFT"
    ]
    return Finding(parts, note=f"over MoCo alone: {', '.join(said)}" if said else "")


def converges(claim: Claim, table: Table, cells: list[Cell]) -> Finding:
    """emoco-05: epoch of the best validation F1 of finetuning, against five and against supervised training."""
    parts, said = [], []
    for number, column in enumerate(dict.fromkeys(c.column for c in cells)):
        row = {c.label: c for c in cells if c.column == column}
        tuned, scratch = (table.results(row[label]) for label in (TUNED, SUPERVISED))
        early, later = f"epochs of finetuning - {EPOCHS}, {column}", f"finetuned - supervised, {column}"
        lacking = [label for label, runs in ((TUNED, tuned), (SUPERVISED, scratch)) if not runs]
        names = tuple(f"{label} on {column}" for label in lacking)
        if not lacking and min(trained_for(r) for r in tuned) <= EPOCHS:
            names = (f"more than {EPOCHS} epochs on {column}",)  # otherwise the claim could not fail
        if names:
            parts += [Part(what, "<", "not run", missing=names) for what in (early, later)]
            continue
        epochs = {
            label: {r.recipe.seed: epochs_needed(r) for r in runs}
            for label, runs in ((TUNED, tuned), (SUPERVISED, scratch))
        }
        seeds = common_seeds(epochs.values())
        ours, theirs = (np.array([epochs[label][s] for s in seeds]) for label in (TUNED, SUPERVISED))
        for offset, (what, values) in enumerate({early: ours - EPOCHS, later: ours - theirs}.items()):
            measured = paired_t(list(values), seed=2 * number + offset)
            parts.append(Part(what, "<", "decided", measured, unit="plain"))
        said.append(f"{ours.mean():.1f} epochs finetuned, {theirs.mean():.1f} supervised ({column})")
    return Finding(parts, note="; ".join(said))


def steady_when_finetuned(claim: Claim, table: Table, cells: list[Cell]) -> Finding:
    """emoco-14: highest less lowest F1 over lambda, finetuned, with both normalisations."""
    parts, people = [], {}
    for column in dict.fromkeys(c.column for c in cells):
        for series in (INTRA, L2):
            what = f"highest - lowest over λ, {series}, {column}"
            frames = _frames(table, cells, column, series)
            if isinstance(frames, tuple):
                parts.append(Part(what, "~", "not run", missing=frames))
                continue
            measured = range_over(list(frames.values()))
            people[column] = measured.subjects
            parts.append(Part(what, "~", "decided", measured))
    return Finding(parts, sum(people.values()))


def steady_and_higher(claim: Claim, table: Table, cells: list[Cell]) -> Finding:
    """emoco-15: a smaller range over lambda than with L2, and at the chosen lambda no less than L2 at its best."""
    parts, people = [], {}
    for column in dict.fromkeys(c.column for c in cells):
        whats = (
            f"range over λ, {INTRA} - {L2}, {column}",
            f"{INTRA} at λ = {CHOSEN:g} - best {L2}, {column}",
        )
        intra, plain = (_frames(table, cells, column, series) for series in (INTRA, L2))
        if isinstance(intra, tuple) or isinstance(plain, tuple):
            lacking = tuple(name for f in (intra, plain) if isinstance(f, tuple) for name in f)
            parts += [
                Part(whats[0], "<", "not run", missing=lacking),
                Part(whats[1], ">", "not run", missing=lacking),
            ]
            continue
        narrower = _minus(range_over(list(intra.values())), range_over(list(plain.values())))
        higher = paired_bootstrap(intra[f"{CHOSEN:g}"], list(plain.values()), "f1")
        people[column] = higher.subjects
        parts += [Part(whats[0], "<", "decided", narrower), Part(whats[1], ">", "decided", higher)]
    return Finding(parts, sum(people.values()))


def _frames(
    table: Table, cells: Sequence[Cell], column: str, series: str
) -> dict[str, pd.DataFrame] | tuple[str, ...]:
    """Predictions by lambda, on the seeds that all values have; or the names of what is not run, if only one is."""
    chosen = [c for c in cells if c.column == column and c.label.startswith(f"{series}, λ = ")]
    there = [c for c in chosen if table.results(c)]
    if len(there) < 2:
        return tuple(f"{c.label} ({column})" for c in chosen if c not in there)
    found = runs_in_common(table, there)
    return {
        label.rpartition("= ")[2]: pd.concat([r.predictions for r in runs]) for label, runs in found.items()
    }


def range_over(frames: Sequence[pd.DataFrame], metric: str = "f1") -> PairedDifference:
    """Highest less lowest score of several methods, of the same draws of people and seeds.

    A draw's range is wider than the true one, the more so the fewer people: both extremes are chosen from noisy scores.

    Args:
        frames: predictions of each, two or more.
        metric: as in :func:`fbu.evaluation.bootstrap`.
    """
    found = [paired_bootstrap(frame, frames[0], metric) for frame in frames[1:]]
    apart_from_first = np.array([0.0, *(f.difference for f in found)])
    draws = np.ptp(np.stack([np.zeros_like(found[0].draws), *(f.draws for f in found)]), axis=0)
    return _measured(found[0], float(np.ptp(apart_from_first)), draws)


def _minus(a: PairedDifference, b: PairedDifference) -> PairedDifference:
    return _measured(a, a.difference - b.difference, a.draws - b.draws)


def _measured(like: PairedDifference, value: float, draws: NDArray[np.float64]) -> PairedDifference:
    low, high = np.nanquantile(draws, [0.025, 0.975]) if like.low == like.low else (np.nan, np.nan)
    above = float(np.mean((draws > 0) + 0.5 * (draws == 0)))
    return replace(like, difference=value, low=float(low), high=float(high), probability=above, draws=draws)


def emotions_apart(claim: Claim, table: Table, cells: list[Cell]) -> Finding:
    """emoco-16: neighbours of both models show the same emotion more often than by chance; EmoCo's lie less apart."""
    found = runs_in_common(table, cells)
    classes: list[str] = []
    parts, said = [], []
    for label in (OURS, CLASSIFIER):
        hits, chances = (looked(found[label], measure) for measure in (_hits, _chances))
        classes = sorted(hits["target"].unique())
        measured = paired_difference(tally_values([hits, chances], classes))
        parts.append(Part(f"neighbour shows the same emotion - chance, {label}", ">", "decided", measured))
    frames = [looked(found[label], _emotion_silhouettes) for label in (OURS, CLASSIFIER)]
    tallied = tally_values(frames, classes)
    parts.append(
        Part(
            f"silhouette of emotions, {OURS} - {CLASSIFIER}",
            "<",
            "decided",
            paired_difference(tallied),
            unit="plain",
        )
    )
    here, there = tallied.observed()
    said.append(f"mean silhouettes {here:.3f} ({OURS}), {there:.3f} ({CLASSIFIER})")
    return Finding(parts, len(tallied.units), "; ".join(said))


def unit_apart(claim: Claim, table: Table, cells: list[Cell]) -> Finding:
    """emoco-17: silhouette of AU6 within emotions, EmoCo against the emotion classifier."""
    found = runs_in_common(table, cells)
    frames = [looked(found[label], _unit_silhouettes) for label in (OURS, CLASSIFIER)]
    classes = sorted(frames[0]["target"].unique())
    if not classes:
        raise DataError(f"no emotion has {LEAST} pictures with {SHOWN_UNIT} and {LEAST} without it")
    tallied = tally_values(frames, classes)
    here, there = tallied.observed()
    note = f"mean silhouettes of {SHOWN_UNIT} {here:.3f} ({OURS}), {there:.3f} ({CLASSIFIER}); in {', '.join(classes)}"
    what = f"silhouette of {SHOWN_UNIT} within an emotion, {OURS} - {CLASSIFIER}"
    return Finding([apart(what, tallied)], len(tallied.units), note)


def _hits(z: NDArray[Any], tested: Dataset) -> NDArray[np.float64]:
    return neighbour_hits(z, tested.shown, tested.records["subject"].to_numpy())[0].astype(np.float64)


def _chances(z: NDArray[Any], tested: Dataset) -> NDArray[np.float64]:
    return neighbour_hits(z, tested.shown, tested.records["subject"].to_numpy())[1]


def _emotion_silhouettes(z: NDArray[Any], tested: Dataset) -> NDArray[np.float64]:
    return silhouettes(z, tested.shown)


def _unit_silhouettes(z: NDArray[Any], tested: Dataset) -> NDArray[np.float64]:
    coded, value = tested.targets[:, tested.labels.index(SHOWN_UNIT)], np.full(len(z), np.nan)
    for emotion in np.unique(tested.shown):
        rows = (tested.shown == emotion) & (coded >= 0)
        if min((coded[rows] == 1).sum(), (coded[rows] == 0).sum()) >= LEAST:
            value[rows] = silhouettes(z[rows], coded[rows])
    return value


def person_removed(claim: Claim, table: Table, cells: list[Cell]) -> Finding:
    """emoco-18: how well features tell people, their sex and their age apart, EmoCo's against MoCo's, by seed."""
    parts, said, ceiling = [], [], False
    columns = list(dict.fromkeys(c.column for c in cells))
    for number, column in enumerate(columns):
        found = {
            c.label: {r.recipe.seed: r.metrics["test"][c.metric] for r in table.results(c)}
            for c in cells
            if c.column == column
        }
        seeds = common_seeds(found.values())
        ours, plain = (np.array([found[label][s] for s in seeds]) for label in (OURS, PLAIN))
        parts.append(
            Part(f"{column}, {OURS} - {PLAIN}", "<", "decided", paired_t(list(ours - plain), seed=number))
        )
        full = bool(min(ours.mean(), plain.mean()) >= CEILING)
        ceiling |= full
        told = f"{column} {100 * ours.mean():.1f} % ({OURS}), {100 * plain.mean():.1f} % ({PLAIN})"
        said.append(f"{told}, both at the ceiling" if full else told)
    if len(columns) < 3:
        said.append("nobody wrote down sex and age of these people")
    unclear = ceiling and not any(p.wrong for p in parts)
    label: Label | None = "inconclusive" if unclear else None
    return Finding(parts, note="; ".join(said), label=label)


RULES = {
    "emoco-03": Rule(
        "emoco.margins",
        "lead over the best other self-supervised method; three of the four are not run here, so that the lead cannot "
        "be taken; paired bootstrap over (seed, person) of the lead over MoCo beside it",
        largest_margin,
        rows=(TUNED, TUNED_MOCO),
        partial=True,
    ),
    "emoco-05": Rule(
        "emoco.fig_convergence",
        "epoch after which the validation people are recognised best, of trainings that are longer than five epochs; "
        "Student's interval over seeds of the difference from 5, and of the paired difference from supervised training",
        converges,
        partial=True,
    ),
    "emoco-14": Rule(
        "emoco.fig4_lambda",
        "highest less lowest F1 over the values of λ in each of 1000 draws over (seed, person); little influence is at "
        "most 2 points apart",
        steady_when_finetuned,
        columns=tuple(f"{column} {FINETUNE}" for column in COLUMNS),
        partial=True,
    ),
    "emoco-15": Rule(
        "emoco.fig4_lambda",
        "of 1000 draws over (seed, person): range of F1 over λ with intra-class less that with L2 normalisation, and "
        "F1 at λ = 1 with intra-class less the best with L2 of any λ",
        steady_and_higher,
        columns=tuple(f"{column} {LINEAR}" for column in COLUMNS),
        partial=True,
    ),
    "emoco-16": Rule(
        "emoco.fig5_features",
        "in the features of BP4D's test pictures, not in their t-SNE: how often the nearest neighbour among other "
        "people shows the same emotion, against chance, and silhouette (cosine) of the emotions, mean over emotions; "
        "people and seeds are resampled 1000 times, each picture's number is held fixed",
        emotions_apart,
        rows=(OURS, CLASSIFIER),
        columns=("silhouette of emotions",),
    ),
    "emoco-17": Rule(
        "emoco.fig5_features",
        "silhouette (cosine) of AU6 on and off among the pictures of one emotion, mean over the emotions that have ten "
        "of each; people and seeds are resampled 1000 times, each picture's silhouette is held fixed",
        unit_apart,
        rows=(OURS, CLASSIFIER),
        columns=("silhouette of AU6",),
    ),
    "emoco-18": Rule(
        "emoco.fig5_features",
        "linear probes on features of people not trained on: accuracy for the person, balanced accuracy for sex and "
        "age; Student's interval of the paired difference over seeds, as these runs keep no predictions",
        person_removed,
        rows=(OURS, PLAIN),
        columns=("identity", "sex", "age"),
    ),
}
