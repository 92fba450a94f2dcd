"""KE-FER's claims about figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fbu import evaluation
from fbu.claims.comparing import (
    apart,
    best_of_sweep,
    listed_in,
    runs_in_common,
    settings_of,
    silhouettes_in_common,
)
from fbu.claims.decision import Part
from fbu.claims.reading import Claim
from fbu.claims.rules import Finding, Rule
from fbu.claims.separation import looked
from fbu.data.dataset import Dataset
from fbu.errors import DataError
from fbu.evaluation.bootstrap import paired_difference
from fbu.evaluation.tallies import tally_values
from fbu.experiments.common import Cell, Table
from fbu.experiments.ke_fer.stages import CLASSIFIER, NAMES, TEXT, WHOLE
from fbu.runs import Run

LABELS, TEXTS, ALL = (f"ResNet-18 {NAMES[losses]}" for losses in (CLASSIFIER, TEXT, WHOLE))
SWIN, SWIN_LABELS, SWIN_TEXTS = (f"Swin-T {NAMES[losses]}" for losses in (WHOLE, CLASSIFIER, TEXT))
VIT = f"ViT-B/16 {NAMES[WHOLE]}"
NEUTRAL = "neutral"


def texts_against_labels(claim: Claim, table: Table, cells: list[Cell]) -> Finding:
    """ke_fer-01: silhouettes of the expressions after training on texts and on labels, all classes and those named."""
    return _separable(claim, silhouettes_in_common(table, cells), TEXTS, {LABELS: ""})


def whole_on_ckplus(claim: Claim, table: Table, cells: list[Cell]) -> Finding:
    """ke_fer-19: silhouettes on CK+ of the whole method with Swin-T, against two baselines and against ViT-B/16."""
    bases = {SWIN_LABELS: "anger", SWIN_TEXTS: "anger", VIT: "fear"}
    return _separable(claim, silhouettes_in_common(table, cells), SWIN, bases)


def _separable(claim: Claim, frames: dict[str, pd.DataFrame], ours: str, bases: dict[str, str]) -> Finding:
    """One row's silhouettes against others', over all classes and in the class that the paper points at.

    Args:
        claim: names the classes.
        frames: silhouettes by row.
        ours: the row that is claimed to be more separable.
        bases: other rows -> class that is looked at; "" for all that the claim names.
    """
    named = listed_in(settings_of(claim), "classes")
    classes = sorted(frames[ours]["target"].unique())
    parts, said, people = [], [], 0
    for base, one in bases.items():
        tallied = tally_values([frames[ours], frames[base]], classes)
        people = len(tallied.units)
        parts.append(apart(f"silhouette, {ours} - {base}", tallied))
        here, there = tallied.observed()
        said.append(f"{there:.3f} ({base})")
        for name in [one] if one else named:
            if name in classes:
                single = tally_values([frames[ours], frames[base]], [name])
                parts.append(apart(f"silhouette of {name}, {ours} - {base}", single))
    return Finding(parts, people, f"mean silhouettes {here:.3f} ({ours}), {', '.join(said)}")


def away_from_neutral(claim: Claim, table: Table, cells: list[Cell]) -> Finding:
    """ke_fer-09: cosine of every face with the mean neutral face, the whole method against the first loss."""
    found = runs_in_common(table, cells)
    frames = {label: neutral_cosines(runs) for label, runs in found.items()}
    classes = sorted(frames[ALL]["target"].unique())
    tallied = tally_values([frames[ALL], frames[TEXTS]], classes)
    part = Part(
        f"cosine with neutral, {ALL} - {TEXTS}", "<", "decided", paired_difference(tallied), unit="plain"
    )
    a, b = tallied.observed()
    return Finding([part], len(tallied.units), f"mean cosines {a:.3f} ({ALL}), {b:.3f} ({TEXTS})")


def neutral_cosines(runs: Sequence[Run]) -> pd.DataFrame:
    """Cosine of every test picture that shows an expression with the mean vector of the neutral ones.

    Args:
        runs: of ``ke_fer.look``, one per seed.

    Returns:
        Columns sample, subject, seed, target (class) and value.

    Raises:
        DataError: nobody in the pictures is neutral.
    """
    return looked(runs, _cosines)


def _cosines(z: NDArray[Any], tested: Dataset) -> NDArray[np.float64]:
    calm = tested.shown == NEUTRAL
    if not calm.any():
        raise DataError(f"{tested.name} has no neutral faces to be away from")
    middle = z[calm].mean(0)
    return np.where(calm, np.nan, z @ (middle / np.linalg.norm(middle)))


def loss_weights(claim: Claim, table: Table, cells: list[Cell]) -> Finding:
    """ke_fer-12: equal weights against the best other ratio, on each dataset."""
    return best_of_sweep(table, cells, claim.statement.value if claim.statement is not None else "")


def well_and_badly_recognised(claim: Claim, table: Table, cells: list[Cell]) -> Finding:
    """ke_fer-16: recall of happiness less the mean recall of those classes that the paper calls worst."""
    best, worst = (listed_in(settings_of(claim), name) for name in ("a", "b"))
    parts, said, people = [], [], {}
    for cell in cells:
        place, runs = f"{cell.column}, {cell.label}", table.results(cell)
        if not runs:
            what = f"recall of {', '.join(best)} - mean of {', '.join(worst)}, {place}"
            parts.append(Part(what, ">", "not run", missing=(f"{cell.label} on {cell.column}",)))
            continue
        frame = pd.concat([r.predictions for r in runs], ignore_index=True)
        hit = np.asarray(evaluation.predicted(frame)) == frame["target"].to_numpy()
        frame = frame[["sample", "subject", "seed", "fold", "target"]].assign(value=hit.astype(float))
        there = set(frame["target"])
        good, bad = ([name for name in names if name in there] for names in (best, worst))
        # Held against nothing: the score is itself a difference of classes of one training.
        tallied = tally_values([frame, frame.assign(value=0.0)], good, bad)
        what = f"recall of {', '.join(good)} - mean of {', '.join(bad)}, {place}"
        parts.append(Part(what, ">", "decided", paired_difference(tallied)))
        recalls = frame.groupby("target")["value"].mean()
        said.append(f"best {recalls.idxmax()}, worst {recalls.idxmin()} ({place})")
        people[cell.column] = len(tallied.units)
    return Finding(parts, int(np.sum(list(people.values()))), "; ".join(said))


RULES = {
    "ke_fer-01": Rule(
        "ke_fer.fig1_text_vs_discrete",
        "silhouette (cosine) of the expressions in the vectors of the test pictures, not in their t-SNE; mean over "
        "classes, and of the class that is named; people and seeds are resampled 1000 times, each picture's "
        "silhouette is held fixed",
        texts_against_labels,
        columns=("silhouette",),
    ),
    "ke_fer-09": Rule(
        "ke_fer.fig3_tsne",
        "cosine of each test picture's vector with the mean vector of the neutral ones, mean over the other classes; "
        "people and seeds are resampled 1000 times, the mean neutral vector is held fixed",
        away_from_neutral,
        columns=("silhouette",),
    ),
    "ke_fer-12": Rule(
        "ke_fer.fig5_loss_weights",
        "paired bootstrap over (seed, person) of the ratio 1:1 against the best other ratio of each draw, 1000 draws; "
        "the ratios beside 1:1 are ours",
        loss_weights,
        partial=True,
    ),
    "ke_fer-16": Rule(
        "ke_fer.fig6_confusion",
        "recall of happiness less the mean recall of fear, disgust and contempt, as far as the dataset has them; "
        "people and seeds are resampled 1000 times",
        well_and_badly_recognised,
        partial=True,
    ),
    "ke_fer-19": Rule(
        "ke_fer.fig7_tsne_ckplus",
        "silhouette (cosine) of the expressions in the vectors of CK+, not in their t-SNE: mean over classes, and of "
        "the class that the paper points at (anger against the baselines, fear against ViT-B/16); people and seeds "
        "are resampled 1000 times, each picture's silhouette is held fixed",
        whole_on_ckplus,
        columns=("silhouette",),
    ),
}
