"""Heatmaps over pictures, words shaded by relevance, and scores beside their own chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.layout_engine import ConstrainedLayoutEngine
from numpy.typing import ArrayLike, NDArray

from fbu.figures.style import COLOURS, MARKERS, PAGE_WIDTH, PALE, PageFigure, grid, page, styled

_SHOWN = 0.5  # how much of the heatmap's colour lies over the picture
_GREEN = (0.0, 0.50, 0.22)
_LINE = 0.21  # inches per line of shaded text
_DARK = 0.5  # relative luminance below which white text reads better


@styled
def heatmap_sheet(
    pictures: ArrayLike | None,
    maps: Mapping[str, ArrayLike],
    titles: Sequence[str],
    *,
    masks: ArrayLike | None = None,
    columns: int = 8,
) -> PageFigure:
    """Heatmaps over pictures: one column per picture, one row per kind of map, blue low, red high.

    Each map has its own scale, as relevance has no unit: dark blue is its smallest value, dark red its largest.

    Args:
        pictures: uint8 ``[n, 3, S, S]``, or None to show the maps alone.
        maps: row name -> ``[n, h, w]``, any values; drawn smoothly between the patches' centres.
        titles: n headings, one above each picture.
        masks: bool ``[n, S, S]``: regions outlined on the pictures.
        columns: pictures side by side; more begin a new block.

    Raises:
        ValueError: no map, or another number of pictures, maps, masks or titles.
    """
    arrays = {name: np.asarray(values, dtype=np.float64) for name, values in maps.items()}
    shown = None if pictures is None else np.asarray(pictures)
    outlines = None if masks is None else np.asarray(masks, dtype=bool)
    if not arrays or not len(titles):
        raise ValueError("give at least one kind of map and one picture")
    for name, values in {**arrays, "pictures": shown, "masks": outlines}.items():
        if values is not None and len(values) != len(titles):
            raise ValueError(f"{name}: {len(values)} for {len(titles)} titles")
    names = [*(["picture"] if shown is not None else []), *arrays]
    across = min(columns, len(titles))
    blocks = -(-len(titles) // across)
    side = min(1.1, (PAGE_WIDTH - 0.9) / across)
    deepest = max(title.count("\n") + 1 for title in titles)
    figure = page(blocks * (side * len(names) + 0.17 * deepest), side * across + 0.9)
    cells = figure.subplots(blocks * len(names), across, squeeze=False)
    for axes in cells.ravel():
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_visible(False)
    for number, title in enumerate(titles):
        block, column = divmod(number, across)
        for line, name in enumerate(names):
            axes = cells[block * len(names) + line, column]
            grey = None if shown is None else _grey(shown[number])
            if name == "picture" and shown is not None:
                axes.imshow(shown[number].transpose(1, 2, 0))
                if outlines is not None and outlines[number].any():
                    axes.contour(outlines[number], levels=[0.5], colors="white", linewidths=1.6)
                    axes.contour(outlines[number], levels=[0.5], colors="black", linewidths=0.7)
            else:
                _overlay(axes, arrays[name][number], grey)
            if line == 0:
                axes.set_title(title, fontsize=8)
            if column == 0:
                axes.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=8.5)
    for axes in cells.ravel():
        if not axes.has_data():
            axes.set_visible(False)
    figure.set_layout_engine(ConstrainedLayoutEngine(w_pad=0.02, h_pad=0.02, wspace=0.02, hspace=0.02))
    return figure


def _grey(picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Luminance ``[S, S]`` in 0..1."""
    return np.tensordot([0.299, 0.587, 0.114], picture / 255, axes=1)


def _overlay(axes: Axes, values: NDArray[np.float64], grey: NDArray[np.float64] | None) -> None:
    low, high = float(values.min()), float(values.max())
    scaled = (values - low) / (high - low) if high > low else np.full(values.shape, 0.5)
    extent = (0, 1, 1, 0)
    if grey is not None:
        axes.imshow(grey, cmap="gray", vmin=0, vmax=1, extent=extent)
    alpha = 1.0 if grey is None else _SHOWN
    axes.imshow(scaled, cmap="RdYlBu_r", vmin=0, vmax=1, alpha=alpha, interpolation="bilinear", extent=extent)


@styled
def shaded_words(
    texts: Sequence[Sequence[tuple[str, float]]], labels: Sequence[str], title: str = ""
) -> PageFigure:
    """Texts with every word shaded green by its value, the largest of each text darkest.

    Args:
        texts: per text its words in order, each with a value of at least 0.
        labels: a name for each text, on its left.
        title: heading.

    Raises:
        ValueError: no text, another number of labels, or a negative value.
    """
    if not texts or len(texts) != len(labels):
        raise ValueError(f"{len(labels)} labels for {len(texts)} texts")
    if any(value < 0 for text in texts for _, value in text):
        raise ValueError("values of words must not be negative")
    left = 0.095 * max(map(len, labels)) + 0.2
    measure = PageFigure(figsize=(PAGE_WIDTH, 1))
    renderer = FigureCanvasAgg(measure).get_renderer()
    placed: list[tuple[int, float, float, str, float]] = []  # line, left edge, width in inches, word, share
    tops, line = [], 0
    for text in texts:
        tops.append(line)
        x, highest = left, max((value for _, value in text), default=0.0) or 1.0
        for word, value in text:
            box = measure.text(0, 0, word, fontsize=8.5).get_window_extent(renderer)
            width = box.width / measure.dpi + 0.06
            if x + width > PAGE_WIDTH - 0.05:
                line, x = line + 1, left
            placed.append((line, x, width, word, value / highest))
            x += width + 0.03
        line += 1
    height = _LINE * line + 0.06 * len(texts) + 0.35 * bool(title)
    figure = PageFigure(figsize=(PAGE_WIDTH, height))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, PAGE_WIDTH), ylim=(height, 0))
    axes.set_axis_off()
    if title:
        axes.text(PAGE_WIDTH / 2, 0.16, title, ha="center", va="center", fontsize=10)

    def middle(at: int) -> float:
        before = sum(top <= at for top in tops) - 1
        return 0.35 * bool(title) + _LINE * (at + 0.5) + 0.06 * before + 0.03

    for label, top in zip(labels, tops, strict=True):
        axes.text(left - 0.1, middle(top), label, ha="right", va="center", fontsize=8.5, color="#333333")
    for at, x, width, word, share in placed:
        colour = tuple(1 - share * (1 - c) for c in _GREEN)
        dark = float(np.dot([0.2126, 0.7152, 0.0722], colour)) < _DARK
        y = middle(at)
        axes.fill_between([x, x + width], y - 0.088, y + 0.088, color=colour, linewidth=0)
        axes.text(
            x + width / 2,
            y,
            word,
            ha="center",
            va="center",
            fontsize=8.5,
            color="white" if dark else "#222222",
        )
    return figure


@styled
def against_chance(frame: pd.DataFrame, xlabel: str, title: str = "") -> PageFigure:
    """Scores of several kinds by label as dots, each label with its own chance as a bar.

    Args:
        frame: columns ``label``, ``group``, ``value``, and ``chance`` (one value per label); NaN is left out.
        xlabel: what the values are, with the unit.
        title: heading.

    Raises:
        ValueError: no row, a missing column, or (label, group) twice.
    """
    missing = [name for name in ("label", "group", "value", "chance") if name not in frame]
    if missing or frame.empty:
        raise ValueError(f"the frame lacks {missing or 'rows'}")
    if frame.duplicated(["label", "group"]).any():
        raise ValueError("each (label, group) may occur once")
    labels, groups = list(dict.fromkeys(frame["label"])), list(dict.fromkeys(frame["group"]))
    chance = frame.groupby("label")["chance"].first()
    figure = page(1.15 + 0.27 * len(labels))
    axes = figure.subplots()
    where = {name: y for y, name in enumerate(labels)}
    axes.barh(range(len(labels)), [chance[name] for name in labels], height=0.62, color=PALE, label="chance")
    for number, group in enumerate(groups):
        part = frame[frame["group"] == group].dropna(subset="value")
        shift = 0.34 * ((number + 0.5) / len(groups) - 0.5) * 2
        axes.plot(
            part["value"],
            [where[name] + shift for name in part["label"]],
            linestyle="none",
            marker=MARKERS[number % len(MARKERS)],
            color=COLOURS[number % len(COLOURS)],
            markersize=5,
            label=group,
            clip_on=False,  # a score of zero lies on the frame
            zorder=3,
        )
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.45, -0.55)
    axes.set_xlim(left=0)
    axes.margins(x=0.06)
    grid(axes, "x")
    axes.set_xlabel(xlabel)
    axes.set_title(title)
    handles, names = axes.get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=min(4, len(names)))
    return figure
