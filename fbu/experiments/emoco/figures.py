"""EmoCo's figures that look at one model more closely: its features (Fig. 5), and how fast finetuning converges."""

from __future__ import annotations

import pandas as pd

from fbu.experiments.common import Cell, Table
from fbu.experiments.emoco.stages import (
    COLUMNS,
    EMOTION,
    FINETUNE,
    MOCO,
    NAMES,
    SUPERVISED,
    WHOLE,
    Source,
    detection,
    looked_at,
    pretraining,
    traced,
    units,
)
from fbu.experiments.profiles import few_seeds, profile_named

#: Evaluations of a finetuning: in the paper's profile one after each epoch.
TRACED = 10


def fig5_features(profile: str = "quick", source: Source = "twin", seeds: int | None = None) -> Table:
    """Figure 5: features of BP4D's test people by emotion, and by AU6 within an emotion; MoCo's beside them.

    The paper draws t-SNE pictures of the emotion classifier's features and of EmoCo's, and gives no number. Here are
    neighbours from other people and silhouettes of emotions, a linear probe and the silhouette of AU6 within emotions
    (chance 50 and 0), and how well a person can be recognised.

    Args:
        profile: quick, demo, full or paper.
        source: "twin" or "real", or one per dataset; "open" for the pre-training.
        seeds: number of seeds. Default: the profile's.
    """
    p = profile_named(profile)
    columns = {
        "neighbour purity of emotions": "expression_purity",
        "silhouette of emotions": "silhouette",
        "AU6 within an emotion": "within/AU6",
        "silhouette of AU6": "apart/AU6",
        "all units within an emotion": "within",
        "identity": "identity_leak",
    }
    cells = [
        Cell(
            NAMES[parts],
            column,
            metric,
            tuple(
                looked_at(p, pretraining(p, source, s, parts), units(p, "BP4D", source, s))
                for s in range(seeds or p.seeds)
            ),
        )
        for column, metric in columns.items()
        for parts in (EMOTION, WHOLE, MOCO)
    ]
    return Table("emoco.fig5_features", profile, cells)


def fig_convergence(profile: str = "quick", source: Source = "twin", seeds: int | None = None) -> Table:
    """Section IV.D: F1 by epoch of finetuning and of supervised training; the paper says fewer than 5 epochs.

    Args as :func:`fig5_features`; one seed in quick and demo, quick has BP4D alone. :func:`convergence` reads the
    curves.
    """
    p, cells = profile_named(profile), []
    for column in COLUMNS:
        for label, protocol in (("ResNet-50 supervised", SUPERVISED), ("EmoCo finetune", FINETUNE)):
            count = 0 if p.name == "quick" and column != "BP4D" else few_seeds(p, seeds)
            recipes = tuple(traced(detection(p, column, source, s, protocol), TRACED) for s in range(count))
            cells.append(Cell(label, column, "f1", recipes, why_empty=f"not run in {p.name}"))
    return Table("emoco.fig_convergence", profile, cells)


def convergence(table: Table) -> pd.DataFrame:
    """F1 in points along each training of :func:`fig_convergence`.

    Columns: row, column, seed, epoch (passes over the training split), validation and test F1.
    """
    found = []
    for cell in table.cells:
        for run in table.results(cell):
            pictures = len(run.task().train_split)  # type: ignore[attr-defined]
            for scored in run.extra["history"]:
                found.append(
                    {
                        "row": cell.label,
                        "column": cell.column,
                        "seed": run.recipe.seed,
                        "epoch": scored["step"] * run.recipe.optim.batch_size / pictures,
                        "validation": 100 * scored["val"][cell.metric],
                        "test": 100 * scored["test"][cell.metric],
                    }
                )
    return pd.DataFrame(found, columns=["row", "column", "seed", "epoch", "validation", "test"])
