"""DK-CLIP's Figure 5: the frames of some clips, and what the model says of each snippet."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from fbu import figures
from fbu.data.snippets import gather_snippets
from fbu.data.specs import load_spec
from fbu.data.transforms import Augment
from fbu.experiments.common import Table
from fbu.figures import PageFigure
from fbu.models.clips import Clips, augment_clips
from fbu.models.dk_clip import DKCLIP, trained_model
from fbu.models.noise import noisy_share
from fbu.runs import Run

NO_FACES = "pictures under licence are not drawn into pages: set show_faces=True on your own machine"


@dataclass(frozen=True)
class Shown:
    """Some clips of a run and what its model says of them.

    Attributes:
        samples: their names.
        targets: their classes.
        whole: class that the whole clip is taken for.
        snippets: ``[n, N]`` class that each snippet is taken for.
        scores: ``[n, N]`` a*.
        kept: ``[n, N]``, False for snippets that are erased.
        noise: ``[n, N]`` share of noisy frames; NaN where unknown.
        frames: uint8 ``[n, N, t, 3, S, S]``.
        drawn: whether nobody real is in them.
    """

    samples: tuple[str, ...]
    targets: tuple[str, ...]
    whole: tuple[str, ...]
    snippets: NDArray[np.str_]
    scores: NDArray[np.float64]
    kept: NDArray[np.bool_]
    noise: NDArray[np.float64]
    frames: NDArray[np.uint8]
    drawn: bool


def noisiest(run: Run, clips: int) -> pd.DataFrame:
    """Predictions of those test clips that have most noisy frames; of the first ones where noise is unknown."""
    return run.predictions.sort_values("noise", ascending=False, kind="stable").head(clips)


def model_of(run: Run, classes: tuple[str, ...]) -> DKCLIP:
    """The model of a finished ``dk_clip.train``."""
    with warnings.catch_warnings():
        # A library of the towers asks for widgets as soon as it is imported in a notebook.
        warnings.filterwarnings("ignore", message="IProgress not found")
        return trained_model(run.recipe, load_file(run.folder / "weights.safetensors"), classes)


@torch.no_grad()
def shown(run: Run, clips: int = 4) -> Shown:
    """The clips of :func:`noisiest` through the model of a finished ``dk_clip.train``."""
    tested = load_spec(run.recipe.data, "test")
    place = {str(name): i for i, name in enumerate(tested.records["sample"])}
    rows = np.array([place[str(name)] for name in noisiest(run, clips)["sample"]])
    model = model_of(run, tested.labels)
    looked = Clips(tested, model.settings.frames, model.settings.snippets, torch.device("cpu"))
    frames = gather_snippets(tested, rows, looked.at[rows])
    found = model(augment_clips(frames, Augment.none(), torch.Generator()))
    names, threshold = np.array(tested.labels), model.settings.threshold
    return Shown(
        samples=tuple(map(str, tested.records["sample"].to_numpy()[rows])),
        targets=tuple(map(str, tested.shown[rows])),
        whole=tuple(map(str, names[found.whole.argmax(1).numpy()])),
        snippets=names[found.snippets.argmax(2).numpy()],
        scores=found.scores.numpy().astype(np.float64),
        kept=found.scores.numpy() >= threshold,
        noise=noisy_share(tested.records, looked.at.numpy())[rows],
        frames=frames.numpy(),
        drawn=run.recipe.data.source == "twin",
    )


def snippet_table(table: Table, clips: int = 4) -> pd.DataFrame:
    """Each snippet of some clips of Figure 5, first seed: a*, prediction, erased or not, share of noisy frames."""
    one = shown(table.results(table.cells[0])[0], clips)
    rows = [
        {
            "clip": sample,
            "target": one.targets[i],
            "whole clip": one.whole[i],
            "snippet": n + 1,
            "a*": round(float(one.scores[i, n]), 3),
            "prediction": one.snippets[i, n],
            "erased": "" if one.kept[i, n] else "erased",
            "noisy frames": "unknown" if np.isnan(one.noise[i, n]) else f"{one.noise[i, n]:.0%}",
        }
        for i, sample in enumerate(one.samples)
        for n in range(one.scores.shape[1])
    ]
    return pd.DataFrame(rows).set_index(["clip", "target", "whole clip", "snippet"])


def film(table: Table, clips: int = 4, *, show_faces: bool = False) -> PageFigure | str:
    """Figure 5's pictures, first seed: a row of snippets for each clip.

    Args:
        table: :func:`fbu.experiments.dk_clip.fig5_snippets`, after its run.
        clips: how many.
        show_faces: draw frames of real people, too.

    Returns:
        The figure, or in words why there is none.
    """
    runs = table.results(table.cells[0])
    if not runs:
        return "not run yet"
    if runs[0].recipe.data.source != "twin" and not show_faces:
        return NO_FACES
    return drawn(shown(runs[0], clips))


def drawn(one: Shown) -> PageFigure:
    """One line of snippets per clip, each with a* and prediction above it; a thick frame is one that is erased."""
    places = [range(len(line)) for line in one.scores]
    said = [
        [f"{one.scores[i, n]:.2f} {one.snippets[i, n]}{'' if one.kept[i, n] else ', erased'}" for n in line]
        for i, line in enumerate(places)
    ]
    noise = [
        [f"{one.noise[i, n]:.0%} noise" if one.noise[i, n] > 0 else "" for n in line]
        for i, line in enumerate(places)
    ]
    lines = [f"{target}\n→ {whole}" for target, whole in zip(one.targets, one.whole, strict=True)]
    return figures.film(one.frames, lines, said, ~one.kept, noise)
