"""One style: sizes, colours, and the figure that a notebook displays by itself."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

PAGE_WIDTH = 7.2
"""Width of a page's text column in inches; fonts below are sized for it."""

# Okabe and Ito's palette: distinct under the common colour deficiencies; markers differ as well.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
GREY = "#6E6E6E"
PALE = "#D9D9D9"

_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.labelsize": 9,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.linewidth": 0.8,
    "axes.axisbelow": True,
    "xtick.color": "#333333",
    "ytick.color": "#333333",
    "lines.linewidth": 1.6,
    "figure.dpi": 100,
}

P = ParamSpec("P")
R = TypeVar("R")


class PageFigure(Figure):
    """A figure that Jupyter displays without pyplot."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        with rc_context(_STYLE):
            self.savefig(buffer, format="png", dpi=144, facecolor="white")
        return buffer.getvalue()


def styled(function: Callable[P, R]) -> Callable[P, R]:
    """Run a drawing function under the house style, whatever the caller's settings are."""

    @functools.wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        with rc_context(_STYLE):
            return function(*args, **kwargs)

    return wrapped


def page(height: float, width: float = PAGE_WIDTH) -> PageFigure:
    """An empty figure whose layout keeps labels from overlapping."""
    return PageFigure(figsize=(width, height), layout=ConstrainedLayoutEngine(h_pad=0.06, w_pad=0.06))


def signed(text: str) -> str:
    """The text of a number with a true minus sign, as on the axes."""
    return text.replace("-", "\u2212")


def grid(axes: Axes, axis: str = "x") -> None:
    """Faint lines along one axis, and no ticks on the other."""
    axes.grid(axis=axis, color=PALE, linewidth=0.7)  # type: ignore[arg-type]
    axes.tick_params(axis="y" if axis == "x" else "x", length=0)
