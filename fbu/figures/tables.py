"""A table of the book as dots: reported, reference and this run in one picture."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from fbu.figures.style import COLOURS, GREY, PALE, PageFigure, grid, page, styled

_REPORTED: dict[str, Any] = {
    "marker": "D",
    "color": "none",
    "markeredgecolor": "black",
    "markersize": 5.5,
    "linestyle": "none",
}
_REFERENCE: dict[str, Any] = {
    "marker": "|",
    "color": GREY,
    "markersize": 10,
    "markeredgewidth": 2,
    "linestyle": "none",
}
_RUN: dict[str, Any] = {"marker": "o", "color": COLOURS[0], "markersize": 6.5, "linestyle": "none"}
_OFFSET = 0.16  # rows of the reference and of this run, above and below the middle


@styled
def ablation_dots(
    frame: pd.DataFrame, title: str = "", *, baseline: str | None = None, xlabel: str = "points"
) -> PageFigure:
    """Reported value, reference and this run of every row, one panel per dataset.

    Args:
        frame: as from ``Table.frame()``: ``label, column, reported, reference, reference_spread, value, low,
            high, source``, and ``note`` for rows that were not run; all but the first two may be missing.
        title: heading.
        baseline: label of a row; all numbers become differences from it, each from its own source, and
            intervals are left out, since those of a difference are not those of its parts.
        xlabel: unit of the numbers.

    Raises:
        ValueError: no row, or ``baseline`` is no label.
    """
    frame = _complete(frame)
    if frame.empty:
        raise ValueError("the frame has no row to draw")
    if baseline is not None:
        frame = _differences(frame, baseline)
        xlabel = f"{xlabel} above {baseline}"
    labels, columns = list(dict.fromkeys(frame["label"])), list(dict.fromkeys(frame["column"]))
    figure = page(1.25 + 0.42 * len(labels))
    panels = figure.subplots(1, len(columns), squeeze=False, sharey=True)[0]
    for axes, column in zip(panels, columns, strict=True):
        _panel(axes, frame[frame["column"] == column], labels)
        axes.set_title(column)
        axes.set_xlabel(xlabel)
        if baseline is not None:
            axes.axvline(0, color=GREY, linewidth=0.8)
    panels[0].set_yticks(range(len(labels)), [_row_label(frame, name) for name in labels])
    panels[0].set_ylim(len(labels) - 0.5, -0.5)
    if title:
        figure.suptitle(title, fontsize=10)
    handles = _legend(frame, intervals=baseline is None)
    wide = sum(len(str(handle.get_label())) for handle in handles) > 95
    figure.legend(handles=handles, loc="outside lower center", ncols=1 if wide else len(handles))
    return figure


def _complete(frame: pd.DataFrame) -> pd.DataFrame:
    missing = [name for name in ("label", "column") if name not in frame]
    if missing:
        raise ValueError(f"the frame lacks the columns {missing}; it has {list(frame.columns)}")
    numbers = ("reported", "reference", "reference_spread", "value", "low", "high")
    frame = frame.assign(**{name: "" for name in ("source", "note") if name not in frame})
    return frame.assign(
        **{name: pd.to_numeric(frame[name]) if name in frame else np.nan for name in numbers},
        source=frame["source"].fillna(""),
        note=frame["note"].fillna(""),
    )


def _differences(frame: pd.DataFrame, baseline: str) -> pd.DataFrame:
    base = frame[frame["label"] == baseline].set_index("column")
    if base.empty:
        known = ", ".join(dict.fromkeys(frame["label"]))
        raise ValueError(f"baseline {baseline!r} is no label; labels are {known}")
    out = frame.assign(low=np.nan, high=np.nan, reference_spread=np.nan)
    for name in ("reported", "reference", "value"):
        out[name] = frame[name] - frame["column"].map(base[name])
    return out


def _panel(axes: Axes, rows: pd.DataFrame, labels: list[str]) -> None:
    for row in rows.to_dict("records"):
        y = labels.index(row["label"])
        axes.axhline(y, color=PALE, linewidth=0.6, zorder=0)
        if not np.isnan(row["reference"]):
            spread = 0.0 if np.isnan(row["reference_spread"]) else row["reference_spread"]
            ends = (row["reference"] - spread, row["reference"] + spread)
            axes.plot(ends, [y - _OFFSET] * 2, color=GREY, linewidth=1.4)
            axes.plot(row["reference"], y - _OFFSET, **_REFERENCE)
        if not np.isnan(row["reported"]):
            axes.plot(row["reported"], y, **_REPORTED)
        if not np.isnan(row["value"]):
            if not np.isnan(row["low"]):
                axes.plot([row["low"], row["high"]], [y + _OFFSET] * 2, color=COLOURS[0], linewidth=1.4)
            axes.plot(row["value"], y + _OFFSET, **_RUN)
    axes.margins(x=0.08)
    grid(axes, "x")


def _row_label(frame: pd.DataFrame, label: str) -> str:
    """The label, and below it why no dataset has a number of this run."""
    rows = frame[frame["label"] == label]
    notes = [note for note in rows["note"] if note]
    return f"{label}\n({notes[0]})" if rows["value"].isna().all() and notes else label


def _legend(frame: pd.DataFrame, intervals: bool) -> list[Line2D]:
    """Only what is drawn, each with where it comes from."""
    known = "; ".join(dict.fromkeys(source for source in frame["source"] if source))
    sources = f", {known}" if known else ""
    entries = []
    if frame["reported"].notna().any():
        entries.append((_REPORTED, "paper, on its data"))
    if frame["reference"].notna().any():
        spread = " ± SD over seeds" if intervals and frame["reference_spread"].notna().any() else ""
        entries.append((_REFERENCE, f"reference{sources}{spread}"))
    if frame["value"].notna().any():
        limits = ", 95 % interval" if intervals and frame["low"].notna().any() else ""
        entries.append((_RUN, f"this run{sources}{limits}"))
    return [Line2D([], [], label=text, **style) for style, text in entries]
