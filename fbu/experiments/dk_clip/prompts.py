"""How alike the class texts of DK-CLIP's Table 6 are to the text tower: the paper's argument for action units."""

from __future__ import annotations

from textwrap import wrap

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from fbu import figures
from fbu.evaluation.predictions import classes_of
from fbu.experiments.common import Table
from fbu.experiments.dk_clip.pictures import model_of
from fbu.figures import PageFigure
from fbu.runs import Run

_TITLE = 24  # characters of a line


@torch.no_grad()
def text_similarity(run: Run) -> NDArray[np.float64]:
    """Cosines ``[C, C]`` between the class texts of a finished training, before they look at a clip.

    Texts without a learned context are as the frozen tower reads them; a context is as it was learned.
    """
    z = F.normalize(model_of(run, _classes(run)).texts().double(), dim=-1)
    return (z @ z.T).numpy()


def prompt_similarity(table: Table) -> pd.DataFrame:
    """How alike different classes' texts are, by row of Table 6: mean over seeds and pairs, and the closest pair.

    Args:
        table: :func:`fbu.experiments.dk_clip.table6_prompts` with its runs.

    Returns:
        One row per kind of text that was run: ``mean``, ``highest`` (cosines), ``closest`` (the two classes) and
        ``seeds``.
    """
    rows = {}
    for label, (classes, found) in _similarities(table).items():
        mean = np.mean(found, axis=0)
        above = np.triu_indices(len(classes), 1)
        i, j = (place[int(np.argmax(mean[above]))] for place in above)
        rows[label] = {
            "mean": round(float(mean[above].mean()), 3),
            "highest": round(float(mean[i, j]), 3),
            "closest": f"{classes[i]}, {classes[j]}",
            "seeds": len(found),
        }
    columns = ["mean", "highest", "closest", "seeds"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("class texts")


def prompt_matrices(table: Table) -> PageFigure:
    """Cosines between the class texts of each row of Table 6, mean over seeds."""
    found = _similarities(table)
    classes = next(iter(found.values()))[0]
    matrices = {"\n".join(wrap(label, _TITLE)): np.mean(each, axis=0) for label, (_, each) in found.items()}
    return figures.similarity_matrices(matrices, list(classes))


def _similarities(table: Table) -> dict[str, tuple[tuple[str, ...], list[NDArray[np.float64]]]]:
    """Classes, and the matrix of each seed, by row."""
    found = {}
    for cell in table.part(table.columns()[0]).cells:
        runs = table.results(cell)
        if runs:
            found[cell.label] = (_classes(runs[0]), [text_similarity(run) for run in runs])
    return found


def _classes(run: Run) -> tuple[str, ...]:
    return tuple(classes_of(run.predictions))
