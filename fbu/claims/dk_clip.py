"""DK-CLIP's claims about figures. What Figure 5 shows (dk_clip-20) has no statistic written down yet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from fbu.claims.comparing import apart, best_of_sweep, runs_in_common
from fbu.claims.reading import Claim
from fbu.claims.rules import Finding, Rule
from fbu.claims.separation import silhouettes
from fbu.data.specs import load_spec
from fbu.evaluation.tallies import tally_values
from fbu.experiments.common import Cell, Table
from fbu.experiments.dk_clip.stages import BASELINE, NAMES, WHOLE
from fbu.experiments.dk_clip.tables import FOUR, SNIPPETS, THETA, THRESHOLDS
from fbu.runs import Run

_THETAS = tuple(f"θ = {value:g}" for value in THRESHOLDS)
_COUNTS = tuple(f"N = {value}" for value in SNIPPETS)
_SWEEP = (
    "paired bootstrap over (seed, clip) of {} against the best other value of each draw, 1000 draws; the other values "
    "are ours"
)


def threshold(claim: Claim, table: Table, cells: list[Cell]) -> Finding:
    """dk_clip-17: theta = 0.15 against the best other threshold, by UAR and by WAR."""
    return best_of_sweep(table, cells, f"θ = {THETA:g}")


def snippets(claim: Claim, table: Table, cells: list[Cell]) -> Finding:
    """dk_clip-18: four snippets against the best other number, by UAR and by WAR."""
    return best_of_sweep(table, cells, f"N = {FOUR}")


def compact(claim: Claim, table: Table, cells: list[Cell]) -> Finding:
    """dk_clip-19: silhouettes of the expressions in the test clips' features, the whole method against the baseline."""
    frames = {label: clip_silhouettes(runs) for label, runs in runs_in_common(table, cells).items()}
    ours, base = NAMES[WHOLE], NAMES[BASELINE]
    tallied = tally_values([frames[ours], frames[base]], sorted(frames[ours]["target"].unique()))
    here, there = tallied.observed()
    part = apart(f"silhouette, {ours} - {base}", tallied)
    return Finding([part], len(tallied.units), f"mean silhouettes {here:.3f} ({ours}), {there:.3f} ({base})")


def clip_silhouettes(runs: Sequence[Run]) -> pd.DataFrame:
    """Silhouette of every test clip in the features that each run of ``dk_clip.look`` sees.

    Returns:
        Columns sample, subject, seed, target (class) and value.
    """
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    parts = []
    for run in runs:
        task: Any = run.task(device)
        tested = load_spec(run.recipe.data, "test")
        value = silhouettes(task.features_of(tested), tested.shown)
        frame = tested.records[["sample", "subject"]]
        parts.append(frame.assign(seed=run.recipe.seed, target=tested.shown, value=value))
    return pd.concat(parts, ignore_index=True)


RULES = {
    "dk_clip-17": Rule(
        "dk_clip.fig3_theta_n", _SWEEP.format("theta = 0.15"), threshold, rows=_THETAS, partial=True
    ),
    "dk_clip-18": Rule("dk_clip.fig3_theta_n", _SWEEP.format("N = 4"), snippets, rows=_COUNTS, partial=True),
    "dk_clip-19": Rule(
        "dk_clip.fig4_tsne",
        "silhouette (cosine) of the expressions in the features of the test clips, not in their t-SNE, against the "
        "baseline: the methods that the figure compares with are not run here; clips and seeds are resampled 1000 "
        "times, each clip's silhouette is held fixed",
        compact,
        rows=(NAMES[BASELINE], NAMES[WHOLE]),
        columns=("silhouette",),
    ),
}
