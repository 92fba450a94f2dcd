"""Films: the frames of some clips, in snippets, with what is said of each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from fbu.figures.style import COLOURS, GREY, PageFigure, page, styled

_GAP = 2  # pixels between the frames of a snippet


@styled
def film(
    frames: NDArray[np.uint8],
    clips: Sequence[str],
    said: Sequence[Sequence[str]],
    marked: NDArray[np.bool_],
    notes: Sequence[Sequence[str]] | None = None,
) -> PageFigure:
    """One line of snippets per clip.

    Args:
        frames: uint8 ``[n, N, t, 3, S, S]``.
        clips: n names, to the left of each line.
        said: N words above the snippets of each clip.
        marked: ``[n, N]``, True for snippets with a thick frame.
        notes: N words below them; empty ones, or None, for nothing.

    Raises:
        ValueError: shapes that do not fit together.
    """
    count, each = frames.shape[:2]
    if (len(clips), marked.shape, [len(line) for line in said]) != (count, (count, each), [each] * count):
        raise ValueError(f"{count} clips of {each} snippets need as many names, words and marks")
    height, width = frames.shape[-2], frames.shape[2] * (frames.shape[-1] + _GAP) - _GAP
    figure = page(0.35 + count * (0.5 + 1.35 * height / width))
    grid = figure.subplots(count, each, squeeze=False)
    for i, line in enumerate(grid):
        for n, axes in enumerate(line):
            _snippet(axes, frames[i, n], said[i][n], bool(marked[i, n]), notes[i][n] if notes else "")
        line[0].set_ylabel(clips[i], rotation=0, ha="right", va="center", labelpad=6)
    return figure


def _snippet(axes: Axes, frames: NDArray[np.uint8], said: str, marked: bool, note: str) -> None:
    axes.imshow(_side_by_side(frames), interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    colour = COLOURS[1] if marked else GREY
    axes.spines[:].set_visible(True)
    axes.spines[:].set_color(colour)
    axes.spines[:].set_linewidth(2.6 if marked else 0.8)
    axes.set_title(said, fontsize=7.5, color=colour if marked else "black", pad=4)
    if note:
        axes.set_xlabel(note, fontsize=7.5, labelpad=2)


def _side_by_side(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Frames ``[t, 3, S, S]`` as one picture ``[S, width, 3]`` with white gaps."""
    gap = np.full((frames.shape[2], _GAP, 3), 255, np.uint8)
    parts = [part for frame in frames for part in (frame.transpose(1, 2, 0), gap)]
    return np.concatenate(parts[:-1], axis=1)
