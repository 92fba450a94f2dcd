"""Pictures in rows, with a caption below each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.layout_engine import ConstrainedLayoutEngine
from numpy.typing import ArrayLike

from fbu.figures.style import PAGE_WIDTH, PageFigure, page, styled


@styled
def contact_sheet(
    images: ArrayLike, labels: Sequence[str] | None = None, columns: int = 8, title: str = ""
) -> PageFigure:
    """Pictures side by side.

    Args:
        images: uint8 ``[N, 3, S, S]``, an array or a tensor on the CPU.
        labels: N captions; a line break starts a second line.
        columns: pictures in a row.
        title: heading.

    Raises:
        ValueError: another type or shape, no picture, or another number of labels.
    """
    pixels = np.asarray(images)
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[1] != 3:
        raise ValueError(f"images must be uint8 [N, 3, S, S], got {pixels.dtype} {list(pixels.shape)}")
    if len(pixels) == 0:
        raise ValueError("images is empty")
    if labels is not None and len(labels) != len(pixels):
        raise ValueError(f"{len(labels)} labels for {len(pixels)} images")
    columns = min(columns, len(pixels))
    lines = -(-len(pixels) // columns)
    side = min(1.4, PAGE_WIDTH / columns)
    deepest = max((text.count("\n") + 1 for text in labels), default=0) if labels is not None else 0
    figure = page(
        lines * (side * pixels.shape[2] / pixels.shape[3] + 0.15 * deepest) + 0.3 * bool(title),
        side * columns,
    )
    cells = figure.subplots(lines, columns, squeeze=False).ravel()
    for number, axes in enumerate(cells):
        axes.set_axis_off()
        if number < len(pixels):
            axes.imshow(pixels[number].transpose(1, 2, 0), interpolation="nearest")
            if labels is not None:
                axes.text(
                    0.5, -0.03, labels[number], ha="center", va="top", fontsize=7.5, transform=axes.transAxes
                )
    figure.set_layout_engine(ConstrainedLayoutEngine(w_pad=0.02, h_pad=0.02, wspace=0.02, hspace=0.02))
    if title:
        figure.suptitle(title, fontsize=10)
    return figure
