"""Points in two dimensions, coloured by class: t-SNE and the like."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from fbu.figures.style import COLOURS, MARKERS, PageFigure, page, styled


@styled
def clouds(parts: Mapping[str, pd.DataFrame], title: str = "") -> PageFigure:
    """One panel per model, one colour and marker per class.

    Args:
        parts: name of the panel -> frame with columns ``x``, ``y``, ``label``. Places mean nothing from one panel to
            the other, so each has its own scale and no ticks.
        title: heading.

    Raises:
        ValueError: no panel, or a column is missing.
    """
    if not parts:
        raise ValueError("there is no panel to draw")
    for name, frame in parts.items():
        missing = {"x", "y", "label"} - set(frame)
        if missing:
            raise ValueError(f"panel {name!r} lacks the columns {sorted(missing)}")
    labels = list(dict.fromkeys(np.concatenate([frame["label"].to_numpy() for frame in parts.values()])))
    labels.sort()
    figure = page(1.0 + 7.2 / len(parts))
    panels = figure.subplots(1, len(parts), squeeze=False)[0]
    for axes, (name, frame) in zip(panels, parts.items(), strict=True):
        for number, label in enumerate(labels):
            rows = frame[frame["label"] == label]
            colour, marker = _look(number)
            axes.scatter(rows["x"], rows["y"], s=7, color=colour, marker=marker, linewidths=0, alpha=0.75)
        axes.set_title(name)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[["left", "bottom"]].set_visible(False)
        axes.set_aspect("equal", adjustable="datalim")
    if title:
        figure.suptitle(title, fontsize=10)
    handles = []
    for number, label in enumerate(labels):
        colour, marker = _look(number)
        handles.append(
            Line2D([], [], linestyle="none", color=colour, marker=marker, markersize=5, label=label)
        )
    figure.legend(handles=handles, loc="outside lower center", ncols=min(4, len(labels)))
    return figure


def _look(number: int) -> tuple[str, str]:
    return COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
