"""Figures 1, 4 and 5: pairs by activity, features in two dimensions, similarities of texts; and who leaks through."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from fbu.data.dataset import expression_key
from fbu.data.specs import load_spec
from fbu.experiments.clef.stages import FULL, Source, finetuning, pretraining, split_of, untrained
from fbu.experiments.common import Cell, Table
from fbu.experiments.profiles import Profile, profile_named, source_of, tower
from fbu.recipes import DataSpec, Recipe


def fig1_pairing(profile: str = "quick", source: Source = "twin", seeds: int | None = None) -> Table:
    """Figure 1: pairs by activity against pairs of views, measured on people that were not trained on.

    For each way of pairing in stage 1: how often the nearest neighbour among *other* people shows the same expression,
    and how well a linear probe tells the people apart. The paper argues for both and measures neither.
    """
    p = profile_named(profile)
    seeds = seeds or p.seeds
    ways: dict[str, Callable[[int], Recipe]] = {
        "before (FaRL)": lambda s: pretraining(p, source, s, text=False, images=0),
        "self-supervised pairs": lambda s: pretraining(p, source, s, text=False, pairing="self"),
        "activity pairs (PI)": lambda s: pretraining(p, source, s, text=False),
        "activity pairs and texts (PA, PI)": lambda s: pretraining(p, source, s, text=True),
    }
    columns = {"expression purity": "expression_purity", "identity leak": "identity_leak"}
    cells = [
        Cell(label, column, metric, tuple(way(s) for s in range(seeds)))
        for column, metric in columns.items()
        for label, way in ways.items()
    ]
    return Table("clef.fig1_pairing", profile, cells)


def pairing_rates(
    profile: str = "quick", source: Source = "twin", batch: int = 64, seed: int = 0
) -> pd.DataFrame:
    """How often pairs of a training batch show the same expression, for both ways of pairing.

    Returns:
        Rows "self-supervised" and "activity"; columns ``pulled together`` (share of positive pairs of *different*
        pictures with the same expression; none exist for self-supervised pairs), ``pushed apart`` (share of
        negative pairs with the same expression) and ``same person pushed apart`` (share of negatives that show one
        person), in percent, expected over random batches.
    """
    records = load_spec(split_of(profile_named(profile), "bp4d", source, 0), "train").records
    expression, activity, person = (
        np.unique(x, return_inverse=True)[1]
        for x in (expression_key(records), records["activity"].to_numpy(), records["subject"].to_numpy())
    )
    rng = np.random.default_rng(seed)
    a, b = rng.integers(len(records), size=(2, 200_000))
    a, b = a[a != b], b[a != b]
    same_expression, same_person = expression[a] == expression[b], person[a] == person[b]
    rows = {}
    for name, positive in (
        ("self-supervised", np.zeros(len(a), bool)),
        ("activity", activity[a] == activity[b]),
    ):
        rows[name] = {
            "pulled together": 100 * same_expression[positive].mean() if positive.any() else np.nan,
            "pushed apart": 100 * same_expression[~positive].mean(),
            "same person pushed apart": 100 * same_person[~positive].mean(),
        }
    return pd.DataFrame(rows).T


def fig5_similarity(profile: str = "quick", source: Source = "twin", seeds: int | None = None) -> Table:
    """Figure 5: similarities of descriptions with names and of names with names, after training on RAF-DB."""
    p = profile_named(profile)
    dataset, column = ("facial_expressions",) * 2 if source == "open" else ("rafdb", "RAF-DB")
    cells = [
        Cell(
            label,
            column,
            "accuracy",
            tuple(finetuning(p, dataset, source, s, *label.split(" ")) for s in range(seeds or p.seeds)),
        )
        for label in ("FaRL I,N,D", FULL)
    ]
    return Table("clef.fig5_similarity", profile, cells)


def fig4_tsne(profile: str = "quick", source: Source = "twin", seeds: int | None = None) -> Table:
    """Figure 4: picture features of RAF-DB's test people, of FaRL and of CLEF, and how well expressions separate.

    The paper draws two pictures and gives no number. Its baseline may be FaRL as it is or trained on RAF-DB; both run.

    Args:
        profile: quick, demo, full or paper.
        source: "twin", "real", "open" (``facial_expressions``), or one per dataset.
        seeds: number of seeds. Default: the profile's.
    """
    p = profile_named(profile)
    dataset = "facial_expressions" if source == "open" else "rafdb"
    models: dict[str, Callable[[int], Recipe | None]] = {
        "FaRL as it is": lambda s: tower("FaRL", p),
        "FaRL I,N,D": lambda s: finetuning(p, dataset, source, s, "FaRL", "I,N,D"),
        FULL: lambda s: finetuning(p, dataset, source, s, *FULL.split(" ")),
    }
    columns = {"neighbour purity": "expression_purity", "silhouette": "silhouette"}
    cells = [
        Cell(
            label,
            column,
            metric,
            tuple(
                probing(p, split_of(p, dataset, source, s), model(s), s, embed=1000)
                for s in range(seeds or p.seeds)
            ),
        )
        for column, metric in columns.items()
        for label, model in models.items()
    ]
    return Table("clef.fig4_tsne", profile, cells)


def identity_leak(profile: str = "quick", source: Source = "twin", seeds: int | None = None) -> Table:
    """Beyond the paper: what the features say of the person after each stage, on BP4D's test people.

    Columns: accuracy of a linear probe for the person across tasks, and balanced accuracy for sex, age and skin on
    people that the probe has not seen (twins only; chance 50), beside the purity of expressions.

    Args:
        profile: quick, demo, full or paper.
        source: "twin" or "real".
        seeds: number of seeds. Default: the profile's.
    """
    p = profile_named(profile)
    models: dict[str, Callable[[int], Recipe | None]] = {
        "before (FaRL)": lambda s: tower("FaRL", p),
        "stage 1, PI": lambda s: pretraining(p, source, s, text=False),
        "stage 1, PA and PI": lambda s: pretraining(p, source, s, text=True),
        "stage 2 from FaRL": lambda s: finetuning(p, "bp4d", source, s, "FaRL", "I,N,D"),
        "stage 2 from stage 1": lambda s: finetuning(p, "bp4d", source, s, *FULL.split(" ")),
    }
    columns = {
        "expression": "expression_purity",
        "person": "identity_leak",
        "sex": "sex_leak",
        "age": "age_leak",
        "skin": "skin_leak",
    }
    if source_of("bp4d", source) == "real":  # nobody wrote down what its people look like
        columns = dict(list(columns.items())[:2])
    cells = [
        Cell(
            label,
            column,
            metric,
            tuple(probing(p, split_of(p, "bp4d", source, s), model(s), s) for s in range(seeds or p.seeds)),
        )
        for column, metric in columns.items()
        for label, model in models.items()
    ]
    return Table("clef.identity_leak", profile, cells)


def probing(p: Profile, spec: DataSpec, start: Recipe | None, seed: int, embed: int = 0) -> Recipe:
    """Features of a model on a test split, looked at without training."""
    return untrained("frozen.probe", p, spec, start, seed, embed=embed)
