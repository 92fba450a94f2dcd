"""DK-CLIP's claims about figures."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fbu import evaluation
from fbu.claims.comparing import apart, best_of_sweep, runs_in_common
from fbu.claims.decision import COMPARABLE, Part
from fbu.claims.reading import Claim
from fbu.claims.rules import Finding, Rule
from fbu.claims.separation import silhouette_frame
from fbu.data.dataset import Dataset
from fbu.data.snippets import clip_lengths, gather_snippets, snippet_frames
from fbu.data.specs import load_spec
from fbu.errors import DataError
from fbu.evaluation.bootstrap import PairedDifference, paired_difference
from fbu.evaluation.tallies import tally_values
from fbu.experiments.common import Cell, Table
from fbu.experiments.dk_clip.stages import BASELINE, NAMES, WHOLE
from fbu.experiments.dk_clip.tables import FOUR, SNIPPETS, THETA, THRESHOLDS
from fbu.models.dk_clip import Training
from fbu.models.noise import auroc, noisy_share, shown_share
from fbu.runs import Run

_THETAS = tuple(f"θ = {value:g}" for value in THRESHOLDS)
_COUNTS = tuple(f"N = {value}" for value in SNIPPETS)
LEAST = 10
"""Test clips with and without an interference that say something of it, over all seeds."""
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
    found = runs_in_common(table, cells)
    frames = {
        label: silhouette_frame(runs, lambda task, tested: task.features_of(tested))
        for label, runs in found.items()
    }
    ours, base = NAMES[WHOLE], NAMES[BASELINE]
    tallied = tally_values([frames[ours], frames[base]], sorted(frames[ours]["target"].unique()))
    here, there = tallied.observed()
    part = apart(f"silhouette, {ours} - {base}", tallied)
    return Finding([part], len(tallied.units), f"mean silhouettes {here:.3f} ({ours}), {there:.3f} ({base})")


def what_scores_say(claim: Claim, table: Table, cells: list[Cell]) -> Finding:
    """dk_clip-20: noise has lower scores, scores follow the expression, covered and dark clips are recognised as well.

    Raises:
        DataError: nothing is known of the frames, as of real clips.
    """
    frame = pd.concat([snippets_against_truth(run) for run in table.results(cells[0])], ignore_index=True)
    parts, said = [], []
    for name, words, unit in (
        ("noise", "clean above noisy, within a clip - chance", "points"),
        ("follows", "correlation of a* with the expression, within a clip", "plain"),
    ):
        known = frame.dropna(subset=name).rename(columns={name: "value"}).assign(target="clip")
        if known.empty:
            parts.append(Part(words, ">", "not run", missing=("clips in which the two differ",)))
            continue
        parts.append(Part(words, ">", "decided", _above_zero(known, ["clip"]), unit=unit))  # type: ignore[arg-type]
        said.append(f"{len(known)} clips ({name})")
    for name, words in (("covered", "covered faces"), ("dark", "the darkest quarter")):
        what = f"WAR of {words} - of the others + {100 * COMPARABLE:g}"
        if min(frame[name].sum(), (~frame[name]).sum()) < LEAST:
            parts.append(Part(what, ">", "not run", missing=(f"{LEAST} clips with and without {words}",)))
            continue
        target = np.where(frame[name], "these", "others")
        # What is allowed to be lost is taken off the others, so that "as well as" is a difference above zero.
        value = frame["right"] - COMPARABLE * (target == "others")
        known = frame.assign(target=target, value=value)
        parts.append(Part(what, ">", "decided", _above_zero(known, ["these"], ["others"])))
        said.append(f"{int(frame[name].sum())} clips ({name})")
    return Finding(parts, frame["subject"].nunique(), ", ".join(said))


def _above_zero(frame: pd.DataFrame, of: list[str], against: list[str] | None = None) -> PairedDifference:
    """A number of every clip held against nothing: it is itself a difference within one training."""
    return paired_difference(tally_values([frame, frame.assign(value=0.0)], of, against or []))


def snippets_against_truth(run: Run) -> pd.DataFrame:
    """What a training says of its test clips against what a twin knows of them.

    Args:
        run: of ``dk_clip.train``.

    Returns:
        One row per clip: sample, subject, seed; ``noise``, the chance that one of its snippets without noise has a
        higher a* than one of mostly noise, less 0.5; ``follows``, Pearson's correlation of a* with the share of frames
        that show the expression, over snippets without noise; NaN where a clip does not have both, or all are alike;
        ``right``, whether it is recognised; ``covered``, whether something is before the face; ``dark``, whether it is
        in the darkest quarter of the split, by the frames that are no noise.

    Raises:
        DataError: nothing is known of the frames.
    """
    tested = load_spec(run.recipe.data, "test")
    if "true_noisy" not in tested.records:
        raise DataError(
            f"nothing is known of the frames of {tested.name}: real clips do not say what is noise"
        )
    settings = Training.model_validate(run.recipe.options)
    at = snippet_frames(clip_lengths(tested), settings.frames, settings.snippets).numpy()
    told = (
        run.predictions.astype({"sample": str})
        .set_index("sample")
        .loc[list(map(str, tested.records["sample"]))]
    )
    scores = told[[f"a{n + 1}" for n in range(settings.snippets)]].to_numpy(float)
    share, shown = noisy_share(tested.records, at), shown_share(tested.records, at)
    light = _brightness(tested, at)
    frame = tested.records[["sample", "subject"]].reset_index(drop=True)
    return frame.assign(
        seed=run.recipe.seed,
        noise=[auroc(of >= 0.5, of == 0, a) - 0.5 for a, of in zip(scores, share, strict=True)],
        follows=[_correlation(*row) for row in zip(scores, share, shown, strict=True)],
        right=(evaluation.predicted(told) == told["target"].to_numpy()).astype(float),
        covered=tested.records["true_occluder"].to_numpy() != "none",
        dark=light <= np.quantile(light, 0.25),
    )


def _correlation(
    scores: NDArray[np.float64], share: NDArray[np.float64], shown: NDArray[np.float64]
) -> float:
    kept = (share == 0) & ~np.isnan(shown)
    a, b = scores[kept], shown[kept]
    if len(a) < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    return float(np.corrcoef(a, b)[0, 1])


def _brightness(tested: Dataset, at: NDArray[np.int64]) -> NDArray[np.float64]:
    """Mean pixel of each clip over the frames looked at that are no noise; over all of them where all are."""
    import torch

    light = np.empty(len(at))
    for i, places in enumerate(at):
        frames = gather_snippets(tested, np.array([i]), torch.from_numpy(places[None]))[0].flatten(0, 1)
        noisy = noisy_share(tested.records.iloc[[i]], places.reshape(1, -1, 1))[0] > 0
        kept = frames[~torch.from_numpy(noisy)] if not noisy.all() else frames
        light[i] = float(kept.float().mean())
    return light


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
    "dk_clip-20": Rule(
        "dk_clip.noise",
        "on twins, clip by clip: chance that a snippet without noise has a higher a* than one of mostly noise, less a "
        "half; correlation of a* with the share of frames that show the expression, over snippets without noise; WAR "
        "of clips with something before the face, and of the darkest quarter, no more than 2 points below that of the "
        "others; clips and seeds are resampled 1000 times",
        what_scores_say,
        rows=(NAMES[WHOLE],),
        columns=("noise detected",),
    ),
}
