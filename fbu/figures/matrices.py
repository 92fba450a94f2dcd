"""Matrices with their numbers: similarities and confusions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from numpy.typing import ArrayLike, NDArray

from fbu.figures.style import PAGE_WIDTH, PageFigure, page, signed, styled

_ROTATE_ABOVE = 4  # characters of a column label that fit beside each other


def similarity_matrix(
    matrix: ArrayLike,
    row_labels: Sequence[str],
    column_labels: Sequence[str] | None = None,
    title: str = "",
    *,
    limits: tuple[float, float] | None = None,
    label: str = "cosine similarity",
) -> PageFigure:
    """One matrix ``[R, C]`` with its values; see ``similarity_matrices``."""
    return similarity_matrices({title: matrix}, row_labels, column_labels, limits=limits, label=label)


@styled
def similarity_matrices(
    matrices: Mapping[str, ArrayLike],
    row_labels: Sequence[str],
    column_labels: Sequence[str] | None = None,
    *,
    limits: tuple[float, float] | None = None,
    label: str = "cosine similarity",
) -> PageFigure:
    """Matrices ``[R, C]`` side by side on one colour scale, at most three to a line.

    Args:
        matrices: values by title.
        row_labels: R names.
        column_labels: C names; the rows' if omitted.
        limits: ends of the colour scale; the smallest and largest value if omitted.
        label: what the values are.

    Raises:
        ValueError: no matrix, or one whose shape is not that of the labels.
    """
    columns = list(row_labels if column_labels is None else column_labels)
    arrays = {name: np.asarray(values, dtype=np.float64) for name, values in matrices.items()}
    for name, values in arrays.items():
        if values.shape != (len(row_labels), len(columns)):
            expected = (len(row_labels), len(columns))
            raise ValueError(f"matrix {name!r} has shape {values.shape}, its labels need {expected}")
    if not arrays:
        raise ValueError("matrices is empty")
    low, high = limits or (min(a.min() for a in arrays.values()), max(a.max() for a in arrays.values()))
    across = 2 if len(arrays) == 4 else min(3, len(arrays))
    lines = -(-len(arrays) // across)
    side = min(0.52, (PAGE_WIDTH - 1.6) / (across * len(columns)))
    tall = side * len(row_labels) + 0.075 * max(map(len, columns)) + 0.45
    width = min(PAGE_WIDTH, across * side * len(columns) + 0.1 * max(map(len, row_labels)) + 1.3)
    figure = page(max(tall * lines, 1.8), width)
    grid = figure.subplots(lines, across, squeeze=False, sharey=True).ravel()
    for axes, (name, values) in zip(grid, arrays.items(), strict=False):
        text = np.vectorize(_short)(values)
        image = _heat(axes, values, text, row_labels, columns, (low, high), side)
        axes.set_title(name)
    for axes in grid[len(arrays) :]:
        axes.set_visible(False)
    figure.colorbar(image, ax=list(grid), label=label, shrink=0.8, aspect=25, pad=0.02)
    return figure


@styled
def confusion(matrix: ArrayLike, labels: Sequence[str], title: str = "") -> PageFigure:
    """Confusion counts ``[C, C]``, rows = truth, coloured and labelled by the share of their row in per cent.

    The number of samples of each class stands beside its name; rows without samples stay empty.
    """
    counts = np.asarray(matrix, dtype=np.float64)
    if counts.shape != (len(labels), len(labels)):
        raise ValueError(f"matrix has shape {counts.shape}, {len(labels)} labels need a square of that size")
    support = counts.sum(axis=1)
    share = 100 * counts / np.where(support > 0, support, 1)[:, None]
    text = np.where(counts > 0, np.vectorize(lambda v: f"{v:.0f}")(share), "")
    rows = [f"{name} (n = {count:.0f})" for name, count in zip(labels, support, strict=True)]
    side = min(0.62, (PAGE_WIDTH - 2.6) / len(labels))
    figure = page(side * len(labels) + 1.3, min(PAGE_WIDTH, side * len(labels) + 3.0))
    axes = figure.subplots()
    image = _heat(axes, share, text, rows, list(labels), (0, 100), side)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.set_title(title)
    figure.colorbar(
        image, ax=axes, label="share of the true class, per cent", shrink=0.8, aspect=25, pad=0.02
    )
    return figure


def _heat(
    axes: Axes,
    values: NDArray[np.float64],
    text: NDArray,
    rows: Sequence[str],
    columns: Sequence[str],
    limits: tuple[float, float],
    side: float,
) -> AxesImage:
    image = axes.imshow(values, cmap="Blues", vmin=limits[0], vmax=limits[1], aspect="equal")
    slanted = max(map(len, columns)) > _ROTATE_ABOVE
    axes.set_xticks(
        range(len(columns)), columns, rotation=45 if slanted else 0, ha="right" if slanted else "center"
    )
    axes.set_yticks(range(len(rows)), rows)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    middle = limits[0] + 0.68 * (limits[1] - limits[0])  # where white reads better than black on this map
    size = min(8.5, 26 * side)
    if size >= 5.5:  # smaller numbers cannot be read; the colour remains
        for (row, column), value in np.ndenumerate(values):
            colour = "white" if value > middle else "#222222"
            axes.text(
                column, row, str(text[row, column]), ha="center", va="center", color=colour, fontsize=size
            )
    return image


def _short(value: float) -> str:
    """Two decimals without the leading zero, as in a correlation table."""
    return signed(f"{value:.2f}".replace("0.", ".", 1) if abs(value) < 0.995 else f"{value:.1f}")
