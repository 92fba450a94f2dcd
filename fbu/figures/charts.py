"""Charts of numbers with their uncertainty: bars, lines over a setting, deviations from zero."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from fbu.figures.style import COLOURS, GREY, MARKERS, PageFigure, grid, page, signed, styled


@styled
def bars(frame: pd.DataFrame, xlabel: str, title: str = "", *, chance: float | None = None) -> PageFigure:
    """Horizontal bars from zero with 95 % intervals and their values.

    Args:
        frame: columns ``label`` and ``value``; ``low`` and ``high`` draw intervals; ``group`` colours
            bars and puts those of one label side by side. NaN values leave a gap.
        xlabel: what the values are, with the unit.
        title: heading.
        chance: score of a guess, drawn as a dashed line.

    Raises:
        ValueError: a column is missing, or (label, group) occurs twice.
    """
    frame = _with_columns(frame, ("label", "value"), {"group": "", "low": np.nan, "high": np.nan})
    if frame.duplicated(["label", "group"]).any():
        raise ValueError("each (label, group) of bars may occur once")
    labels, groups = list(dict.fromkeys(frame["label"])), list(dict.fromkeys(frame["group"]))
    thick = 0.8 / len(groups)
    figure = page(
        0.75 + max(0.3, 0.24 * len(groups)) * len(labels) + 0.25 * (len(groups) > 1 or chance is not None)
    )
    axes = figure.subplots()
    for number, group in enumerate(groups):
        part = frame[frame["group"] == group].dropna(subset="value")
        where = np.array([labels.index(name) for name in part["label"]]) + thick * (
            number - (len(groups) - 1) / 2
        )
        value = part["value"].to_numpy(dtype=np.float64)
        colour = COLOURS[number % len(COLOURS)]
        axes.barh(where, value, height=thick * 0.9, color=colour, alpha=0.85, label=group or None)
        _intervals(axes, part, where)
        _print_values(axes, part, where)
    if chance is not None:
        axes.axvline(chance, color=GREY, linestyle="--", linewidth=1, label="chance")
    axes.set_yticks(range(len(labels)), labels)
    axes.invert_yaxis()
    axes.margins(x=0.1)
    axes.set_xlim(left=min(0, axes.get_xlim()[0]) if (frame["value"] < 0).any() else 0)
    _finish(figure, axes, xlabel, title)
    return figure


@styled
def sweep(
    frame: pd.DataFrame,
    xlabel: str,
    ylabel: str,
    title: str = "",
    *,
    marked: float | str | None = None,
    log: bool = False,
) -> PageFigure:
    """Lines over the values of a setting, each named at its right end.

    Args:
        frame: columns ``x`` and ``y``; ``series`` separates lines; ``low`` and ``high`` draw a band.
            ``x`` may be text; its order is then that of the rows.
        xlabel: the setting.
        ylabel: the score, with the unit.
        title: heading.
        marked: value that the paper chose, drawn as a dotted line.
        log: logarithmic axis for a numeric setting.
    """
    frame = _with_columns(frame, ("x", "y"), {"series": "", "low": np.nan, "high": np.nan})
    numeric = pd.api.types.is_numeric_dtype(frame["x"])
    ticks = list(dict.fromkeys(frame["x"]))
    figure = page(2.9)
    axes = figure.subplots()
    ends = []
    for number, (name, part) in enumerate(frame.groupby("series", sort=False)):
        part = part.dropna(subset="y").sort_values("x") if numeric else part.dropna(subset="y")
        x = part["x"].to_numpy() if numeric else np.array([ticks.index(value) for value in part["x"]])
        colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
        axes.plot(x, part["y"], color=colour, marker=marker, markersize=5, label=str(name) or None)
        if part["low"].notna().any():
            low, high = (part[side].to_numpy(dtype=np.float64) for side in ("low", "high"))
            axes.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
        if name and len(part):
            ends.append((float(part["y"].iloc[-1]), str(name), colour))
    if log:
        axes.set_xscale("log")
    if numeric:
        axes.set_xticks(sorted(ticks), [f"{tick:g}" for tick in sorted(ticks)])
        axes.minorticks_off()
    else:
        axes.set_xticks(range(len(ticks)), ticks)
    if marked is not None:
        at = float(marked) if numeric else ticks.index(marked)
        axes.axvline(at, color=GREY, linestyle=":", linewidth=1.2)
        axes.text(
            at,
            1.01,
            "paper's choice",
            transform=axes.get_xaxis_transform(),
            ha="center",
            fontsize=8,
            color=GREY,
        )
    grid(axes, "y")
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    axes.set_title(title, pad=16 if marked is not None else 6)
    _name_ends(axes, ends)
    return figure


@styled
def deviations(
    labels: Sequence[str],
    values: Sequence[float],
    xlabel: str,
    title: str = "",
    *,
    limit: float | None = None,
) -> PageFigure:
    """Signed deviations from zero with their values; ``limit`` shades what needs no explanation."""
    numbers = np.asarray(values, dtype=np.float64)
    if len(labels) != len(numbers):
        raise ValueError(f"{len(labels)} labels for {len(numbers)} values")
    where = np.arange(len(numbers))
    figure = page(0.8 + 0.27 * max(len(numbers), 1))
    axes = figure.subplots()
    if limit is not None:
        axes.axvspan(-limit, limit, color=GREY, alpha=0.25, linewidth=0, label=f"within {limit:g}")
    axes.axvline(0, color=GREY, linewidth=0.8)
    axes.hlines(where, 0, numbers, color=COLOURS[0], linewidth=2)
    axes.plot(numbers, where, "o", color=COLOURS[0], markersize=5)
    for y, value in zip(where, numbers, strict=True):
        _beside(axes, signed(f"{value:+.2f}"), (value, float(y)), 6 if value >= 0 else -6)
    axes.set_yticks(where, list(labels))
    axes.invert_yaxis()
    axes.margins(x=0.14)
    _finish(figure, axes, xlabel, title)
    return figure


def _with_columns(frame: pd.DataFrame, needed: Sequence[str], optional: dict[str, Any]) -> pd.DataFrame:
    missing = [name for name in needed if name not in frame]
    if missing:
        raise ValueError(f"the frame lacks the columns {missing}; it has {list(frame.columns)}")
    return frame.assign(**{name: value for name, value in optional.items() if name not in frame})


def _intervals(axes: Axes, part: pd.DataFrame, where: NDArray[np.float64]) -> None:
    known = part["low"].notna().to_numpy()
    if known.any():
        low, high = (part[side].to_numpy(dtype=np.float64)[known] for side in ("low", "high"))
        axes.hlines(where[known], low, high, color="#222222", linewidth=1.2)


def _print_values(axes: Axes, part: pd.DataFrame, where: NDArray[np.float64]) -> None:
    """Each value beyond the end of its bar and interval."""
    for y, row in zip(where, part.to_dict("records"), strict=True):
        side = 1 if row["value"] >= 0 else -1
        end = np.fmax(row["value"], row["high"]) if side > 0 else np.fmin(row["value"], row["low"])
        _beside(axes, signed(f"{row['value']:.1f}"), (end, y), 3 * side)


def _beside(axes: Axes, text: str, point: tuple[float, float], shift: float) -> None:
    """Small text to the right (positive shift, in points) or left of a point."""
    align: Literal["left", "right"] = "left" if shift > 0 else "right"
    axes.annotate(text, point, (shift, 0), textcoords="offset points", va="center", ha=align, fontsize=8)


def _name_ends(axes: Axes, ends: list[tuple[float, str, str]]) -> None:
    """Names beside the last points, moved apart where lines end close together."""
    low, high = axes.get_ylim()
    gap = 0.075 * (high - low)
    place = -np.inf
    for y, name, colour in sorted(ends):
        place = max(y, place + gap)
        axes.text(1.01, place, name, transform=axes.get_yaxis_transform(), va="center", color=colour)


def _finish(figure: PageFigure, axes: Axes, xlabel: str, title: str) -> None:
    grid(axes, "x")
    axes.set_xlabel(xlabel)
    axes.set_title(title)
    handles, names = axes.get_legend_handles_labels()
    if names:
        figure.legend(handles, names, loc="outside lower center", ncols=min(4, len(names)))
