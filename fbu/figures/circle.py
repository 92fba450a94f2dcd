"""Classes of a learned space beside Russell's circle of affect."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike, NDArray

from fbu.evaluation.circumplex import RUSSELL
from fbu.figures.style import COLOURS, PALE, PageFigure, page, styled


def placed(means: Mapping[str, ArrayLike]) -> dict[str, NDArray[np.float64]]:
    """Places of class vectors in the plane, turned and mirrored onto Russell's circle as well as they fit.

    The plane is that of the largest spread of the classes on the circle; the map onto the circle keeps angles
    (orthogonal Procrustes with one scale).

    Args:
        means: a vector ``[d]`` per expression, of which at least three are on the circle.

    Returns:
        A point ``[2]`` for each; the circle has radius 1 and its centre in the mean of the classes on it.

    Raises:
        ValueError: fewer than three classes of the circle.
    """
    from scipy.linalg import orthogonal_procrustes

    anchors = [name for name in RUSSELL if name in means]
    if len(anchors) < 3:
        raise ValueError(f"a circle needs three of {', '.join(RUSSELL)}, got {', '.join(means)}")
    vectors = {name: np.asarray(v, dtype=np.float64) for name, v in means.items()}
    own = np.stack([vectors[name] for name in anchors])
    centre = own.mean(axis=0)
    _, _, axes = np.linalg.svd(own - centre, full_matrices=False)
    flat = (own - centre) @ axes[:2].T
    angles = np.radians([RUSSELL[name] for name in anchors])
    target = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    middle = target.mean(axis=0)
    turn, gain = orthogonal_procrustes(flat, target - middle)
    turn = turn * gain / max(float((flat**2).sum()), 1e-12)
    return {name: (v - centre) @ axes[:2].T @ turn + middle for name, v in vectors.items()}


@styled
def circle(panels: Mapping[str, Mapping[str, ArrayLike]]) -> PageFigure:
    """One panel per model: where its classes fall (filled) and where Russell's circle has them (open).

    Args:
        panels: name of the panel -> vector ``[d]`` per expression; see :func:`placed`.

    Raises:
        ValueError: no panel, or one with fewer than three classes of the circle.
    """
    if not panels:
        raise ValueError("there is no panel to draw")
    figure = page(0.6 + 7.2 / len(panels))
    for axes, (name, means) in zip(
        figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True
    ):
        _panel(axes, name, placed(means))
    return figure


def _panel(axes: Axes, name: str, points: Mapping[str, NDArray[np.float64]]) -> None:
    turn = np.linspace(0, 2 * np.pi, 200)
    axes.plot(np.cos(turn), np.sin(turn), color=PALE, linewidth=1.0, zorder=0)
    axes.axhline(0, color=PALE, linewidth=0.7, zorder=0)
    axes.axvline(0, color=PALE, linewidth=0.7, zorder=0)
    for number, (label, (x, y)) in enumerate(sorted(points.items())):
        colour = COLOURS[number % len(COLOURS)]
        if label in RUSSELL:
            angle = np.radians(RUSSELL[label])
            there = float(np.cos(angle)), float(np.sin(angle))
            axes.plot([x, there[0]], [y, there[1]], color=colour, linewidth=0.8, alpha=0.6)
            axes.plot(
                *there, marker="o", color=colour, markerfacecolor="white", markersize=5, linestyle="none"
            )
        axes.plot(x, y, marker="o", color=colour, markersize=5, linestyle="none")
        axes.annotate(label, (float(x), float(y)), xytext=(4, 3), textcoords="offset points", fontsize=7)
    axes.set_title(name)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.set_aspect("equal", adjustable="box")
    axes.set_xlim(-1.6, 1.6)
    axes.set_ylim(-1.6, 1.6)
