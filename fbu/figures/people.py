"""Scores of single people: a dot each, with mean and spread."""

from __future__ import annotations

import numpy as np
import pandas as pd

from fbu.figures.style import COLOURS, PALE, PageFigure, grid, page, styled

_HEIGHT = 0.3  # of the band in which a row's dots lie, as a share of the distance between rows


@styled
def people_dots(frame: pd.DataFrame, xlabel: str, title: str = "") -> PageFigure:
    """A faint dot per person, a line from the 10th to the 90th percentile and a diamond at the mean, by row.

    Args:
        frame: one row per person: ``label`` and ``score``; ``column`` separates panels. NaN scores are left out.
        xlabel: what the scores are, with the unit.
        title: heading.

    Raises:
        ValueError: a column is missing, or there is no score.
    """
    missing = [name for name in ("label", "score") if name not in frame]
    if missing:
        raise ValueError(f"the frame lacks the columns {missing}; it has {list(frame.columns)}")
    frame = frame.assign(column=frame["column"] if "column" in frame else "").dropna(subset="score")
    if frame.empty:
        raise ValueError("the frame has no score of a person to draw")
    labels, columns = list(dict.fromkeys(frame["label"])), list(dict.fromkeys(frame["column"]))
    figure = page(1.2 + 0.36 * len(labels))
    panels = figure.subplots(1, len(columns), squeeze=False, sharey=True)[0]
    rng, drawn = np.random.default_rng(0), []
    for axes, column in zip(panels, columns, strict=True):
        for y, label in enumerate(labels):
            score = frame["score"][(frame["column"] == column) & (frame["label"] == label)].to_numpy(float)
            axes.axhline(y, color=PALE, linewidth=0.6, zorder=0)
            if not len(score):
                continue
            where = y + _HEIGHT * (rng.random(len(score)) - 0.5) * 2
            ends = np.quantile(score, [0.1, 0.9])
            drawn = [
                *axes.plot(
                    score, where, ".", color=COLOURS[0], alpha=0.45, markersize=4.5, markeredgewidth=0
                ),
                *axes.plot(ends, [y, y], color="#222222", linewidth=1.4),
                *axes.plot(score.mean(), y, "D", color=COLOURS[1], markersize=5),
            ]
        axes.set_title(column)
        axes.set_xlabel(xlabel)
        grid(axes, "x")
    panels[0].set_yticks(range(len(labels)), labels)
    panels[0].set_ylim(len(labels) - 0.5, -0.5)
    if title:
        figure.suptitle(title, fontsize=10)
    names = ["a person", "10th to 90th percentile", "mean over people"]
    figure.legend(drawn, names, loc="outside lower center", ncols=3)
    return figure
