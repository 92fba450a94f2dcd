"""CLEF's claims about figures and CLEF's arguments that its paper does not measure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fbu.claims.comparing import (
    apart,
    best_of_sweep,
    common_seeds,
    listed_in,
    settings_of,
    silhouettes_in_common,
)
from fbu.claims.decision import Part
from fbu.claims.reading import Claim
from fbu.claims.rules import Finding, Rule
from fbu.data.dataset import expression_key
from fbu.data.specs import load_spec
from fbu.errors import DataError
from fbu.evaluation.few import paired_t, sign_test
from fbu.evaluation.pairs import agreement_gain
from fbu.evaluation.tallies import tally_values
from fbu.experiments.clef.heatmap_notes import answered, means_apart
from fbu.experiments.clef.stages import FULL
from fbu.experiments.common import Cell, Table
from fbu.runs import Run

TRAINED, UNTRAINED = "FaRL I,N,D", "FaRL as it is"
BEFORE, AFTER = "before (FaRL)", "stage 1, PA and PI"
CEILING = 0.99
"""Share of people told apart above which two probes cannot be told apart."""


def separability(claim: Claim, table: Table, cells: list[Cell]) -> Finding:
    """clef-18: silhouettes of the expressions in CLEF's features and in those of FaRL, trained alike or as it is."""
    frames = silhouettes_in_common(table, cells)
    ours, trained = frames[FULL], frames[TRAINED]
    classes = sorted(ours["target"].unique())
    named = [c for c in classes if c in listed_in(settings_of(claim), "classes")]
    others = [c for c in classes if c not in named]
    parts, said = [], []
    for base in (TRAINED, UNTRAINED):
        tallied = tally_values([ours, frames[base]], classes)
        parts.append(apart(f"silhouette, CLEF - {base}", tallied))
        a, b = tallied.observed()
        said.append(f"{b:.3f} ({base})")
    if named and others:
        what = f"gain over {TRAINED} in {', '.join(named)} - gain in the others"
        parts.append(apart(what, tally_values([ours, trained], named, others)))
    return Finding(parts, len(tallied.units), f"mean silhouettes {a:.3f} (CLEF), {', '.join(said)}")


def relevancy(claim: Claim, table: Table, cells: list[Cell]) -> Finding:
    """clef-19: whether heatmaps of names and descriptions find what changed, agree, and light up the right words."""
    by_data: dict[str, list[pd.DataFrame]] = {}
    for run in (r for c in cells for r in table.results(c)):
        by_data.setdefault(run.recipe.data.name, []).append(answered(run))
    parts: list[Part] = []
    people = 0
    for name, frames in by_data.items():
        items = pd.concat(frames, ignore_index=True)
        people += items["subject"].nunique()
        for what, (ours, base) in _ASKED.items():
            parts.append(_held_against(items, f"{what}, {name}", ours, base))
    return Finding(parts, people)


# What is asked of heatmaps -> the numbers whose mean counts, and those that it is held against.
_ASKED: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "region by name - chance": (("auc/name",), ("auc/chance",)),
    "region by description - chance": (("auc/description",), ("auc/chance",)),
    "likeness of maps, own description - others": (("agreement/own",), ("agreement/other",)),
    "label's words - chance": (
        ("words/name", "words/description"),
        ("words/name-chance", "words/description-chance"),
    ),
}


def _held_against(items: pd.DataFrame, what: str, ours: Sequence[str], base: Sequence[str]) -> Part:
    """A difference of two columns' means over pictures, then labels; people are resampled."""
    measured = means_apart(items, ours, base)
    if measured is None:
        return Part(what, ">", "not testable here", why="nobody knows the true region of a photograph")
    return Part(what, ">", "decided", measured)


def own_description(claim: Claim, table: Table, cells: list[Cell]) -> Finding:
    """clef-20: a name's own description against the best other, and descriptions before and after training."""
    runs = [r for c in cells for r in table.results(c)]
    cosines = np.stack([np.asarray(r.extra["description_name_cosine"]) for r in runs])  # (S, C, C)
    own = np.diagonal(cosines, axis1=1, axis2=2)
    eye = np.eye(cosines.shape[1], dtype=bool)
    best = np.where(eye, -np.inf, cosines).max(axis=1)  # of the other descriptions, for each name
    margin = (own - best).mean(axis=0)
    moved = np.mean(
        [_others(_descriptions(r, True)) - _others(_descriptions(r, False)) for r in runs], axis=0
    )
    apart = sign_test(moved, len(runs), seed=1)
    parts = [
        Part(
            "own description - best other, median over names",
            ">",
            "decided",
            sign_test(margin, len(runs)),
            unit="plain",
        ),
        Part(
            "cosine with the other descriptions, after - before training, median",
            "<",
            "decided",
            apart,
            unit="plain",
        ),
    ]
    names = np.stack([np.asarray(r.extra["name_correlation"]) for r in runs])[:, ~eye].mean()
    closest = int((margin > 0).sum())
    return Finding(
        parts,
        note=f"for {closest} of {len(margin)} names the own description is the closest (mean over seeds); "
        f"names of different classes correlate {names:.2f}",
    )


def identity(claim: Claim, table: Table, cells: list[Cell]) -> Finding:
    """clef-21: how well features tell people, their sex and their skin apart, before and after stage 1, by seed."""
    parts, said, ceiling = [], [], False
    for number, column in enumerate(dict.fromkeys(c.column for c in cells)):
        found = {c.label: _by_seed(table.results(c), c.metric) for c in cells if c.column == column}
        seeds = common_seeds(found.values())
        before, after = (np.array([found[label][s] for s in seeds]) for label in (BEFORE, AFTER))
        measured = paired_t(after - before, seed=number)
        parts.append(Part(f"{column}, after - before", "<", "decided", measured))
        full = min(before.mean(), after.mean()) >= CEILING
        ceiling |= bool(full)
        told = f"{column} {100 * before.mean():.1f} % before, {100 * after.mean():.1f} % after"
        said.append(f"{told} (both at the ceiling)" if full else told)
    if len(parts) < 3:
        said.append("nobody wrote down sex and skin of these people")
    unclear = ceiling and not any(p.wrong for p in parts)
    return Finding(parts, note="; ".join(said), label="inconclusive" if unclear else None)


def pairing(claim: Claim, table: Table, cells: list[Cell]) -> Finding:
    """clef-22: pairs of one activity against all pairs, none of which self-supervision takes for positive."""
    recipes = {r.data.fold: r for c in cells for r in c.recipes}.values()
    records = pd.concat([load_spec(r.data, "train").records for r in recipes]).drop_duplicates("sample")
    keys, groups = expression_key(records), records["activity"].to_numpy()
    people = records["subject"].to_numpy()
    measured, inside, overall = agreement_gain(keys, groups, people)
    note = f"{100 * inside:.1f} % of the pairs of one activity show the same expression, "
    note += f"{100 * overall:.1f} % of all pairs"
    what = "same expression: pairs of one activity - all pairs"
    return Finding([Part(what, ">", "decided", measured)], measured.subjects, note)


def chosen_weight(claim: Claim, table: Table, cells: list[Cell]) -> Finding:
    """clef-23: the chosen lambda against the best of the others, on each dataset."""
    value = claim.statement.value if claim.statement is not None else ""
    return best_of_sweep(table, cells, f"λ = {value}")


def _by_seed(runs: Sequence[Run], metric: str) -> dict[int, float]:
    return {run.recipe.seed: run.metrics["test"][metric] for run in runs}


def _others(features: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean cosine of each unit row with the other rows, ``[C]``."""
    count = len(features)
    return ((features @ features.T).sum(axis=1) - 1) / (count - 1)


def _descriptions(run: Run, trained: bool) -> NDArray[np.float64]:
    """Unit features ``[C, d]`` of the label descriptions, under a run's weights or under those that it started from."""
    import torch
    import torch.nn.functional as F
    from torch import Tensor

    from fbu.recipes import task_type
    from fbu.runs import find

    task: Any
    if trained:
        task = run.task()
    else:
        start = None if run.recipe.start is None else find(run.recipe.start)
        if run.recipe.start is not None and start is None:
            raise DataError(f"the run that {run.folder.name} started from is gone")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(run.recipe.seed)  # an encoder without weights starts from these numbers
            folder = None if start is None else start.folder
            task = task_type(run.recipe.task)(run.recipe, torch.device("cpu"), folder)
            task.model.eval()
    with torch.no_grad():
        described: Tensor = task.model.texts(0)[1]
        return F.normalize(described, dim=-1).double().numpy()


RULES = {
    "clef-18": Rule(
        "clef.fig4_tsne",
        "silhouette (cosine) of the expressions in the features of the test pictures, not in their t-SNE; mean over "
        "classes; people and seeds are resampled 1000 times, each picture's silhouette is held fixed",
        separability,
        columns=("silhouette",),
    ),
    "clef-19": Rule(
        "clef.fig6_relevancy",
        "of heatmaps on test pictures: area under the curve for the region that truly changed, correlation of two "
        "maps, share of a text's relevance on the label's words; mean over labels, people are resampled 1000 times",
        relevancy,
        rows=("CLEF, its own description",),
    ),
    "clef-20": Rule(
        "clef.fig5_similarity",
        "exact sign test over the classes, each averaged over seeds, and the median over classes; texts depend on no "
        "people",
        own_description,
        rows=(FULL,),
    ),
    "clef-21": Rule(
        "clef.identity_leak",
        "linear probes on frozen features of people not trained on: accuracy for the person, balanced accuracy for sex "
        "and skin; Student's interval of the paired difference over seeds, as these runs keep no predictions",
        identity,
        rows=(BEFORE, AFTER),
        columns=("person", "sex", "skin"),
    ),
    "clef-22": Rule(
        "clef.fig1_pairing",
        "exact shares over all pairs of training pictures, people are resampled 1000 times; self-supervision has no "
        "positive pair of two pictures, so the share among all pairs stands for it",
        pairing,
        rows=("activity pairs (PI)",),
        columns=("expression purity",),
    ),
    "clef-23": Rule(
        "clef.lambda_sweep",
        "paired bootstrap over (seed, person) of λ = 2 against the best other value of each draw, 1000 draws",
        chosen_weight,
    ),
}
