"""A contact sheet of a dataset: a look at what a copy holds."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fbu import data
from fbu.data import layouts
from fbu.data.decoding import UNREADABLE, fit
from fbu.data.manifest import Manifest, options_of_copy
from fbu.data.twins import stamp_of
from fbu.errors import DataError
from fbu.figures.sheets import contact_sheet
from fbu.figures.style import PageFigure

#: Printed on, and with, a sheet of a set under licence.
PRIVATE = "for your eyes only: the licence forbids to publish these pictures"
COLUMNS = 8
#: Frames have two lines of text, which need more room.
FRAME_COLUMNS = 6
_UNITS = 5


def preview(
    manifest: Manifest, folder: Path, *, source: str, rows: int = 4, image_size: int = 96, seed: int = 0
) -> PageFigure:
    """Pictures drawn at random: ``rows`` of each class, or ``rows`` lines of frames with their action units.

    Args:
        manifest: of the dataset.
        folder: its files.
        source: twin, open or real; a real set under licence gets a remark that it may not be published.
        rows: pictures of each class, or lines of frames.
        image_size: side in pixels.
        seed: of the draw.

    Raises:
        DataError: files that cannot be read, or rows below 1.
    """
    if rows < 1:
        raise DataError(f"rows is {rows}: it must be at least 1")
    manifest = manifest.with_options(options_of_copy(folder))
    table = layouts.read(folder, manifest)
    chosen, columns = _chosen(table, manifest, rows, np.random.default_rng(seed))
    preset = data.preset_of(manifest, None, folder)
    given = data.points(folder, chosen, manifest, preset)
    points = None if given is None else given.array
    images, captions = [], []
    opened = layouts.media(manifest.name).open(folder, chosen)
    for at, (row, frames) in enumerate(zip(chosen.to_dict("records"), opened, strict=True)):
        frame = frames[len(frames) // 2]  # of a clip the middle one
        try:
            if isinstance(frame, str):
                raise OSError(frame)
            images.append(fit(frame, image_size, preset, None if points is None else points[at]))
        except UNREADABLE:
            images.append(np.full((3, image_size, image_size), 255, np.uint8))
            captions.append("cannot be read")
        else:
            captions.append(_caption(row, manifest))
    drawn = stamp_of(folder) is not None
    what = "pictures" if manifest.kind == "expression" else "frames, with the action units that are on"
    if layouts.media(manifest.name).clips:
        what = "clips, by the middle frame of each"
    title = f"{manifest.title} ({'twin' if drawn else source}), {len(table):,} {what}"
    if is_private(manifest, folder):
        title += f"\n{PRIVATE}"
    return contact_sheet(np.stack(images), captions, columns=columns, title=title)


def is_private(manifest: Manifest, folder: Path) -> bool:
    """Whether a sheet of these files may not be published: a set under licence that is no twin."""
    return not manifest.open and stamp_of(folder) is None


def _chosen(
    table: pd.DataFrame, manifest: Manifest, rows: int, draw: np.random.Generator
) -> tuple[pd.DataFrame, int]:
    """Rows of the sheet in its order, and its number of columns."""
    if manifest.kind == "au":
        n = min(rows * FRAME_COLUMNS, len(table))
        return table.iloc[np.sort(draw.choice(len(table), n, replace=False))], FRAME_COLUMNS
    classes = [name for name in manifest.labels if (table["expression"] == name).any()]
    found = []
    for name in classes:
        at = np.flatnonzero(table["expression"] == name)
        found.append(draw.permutation(at)[:rows])
    # Column by class, as long as every class has enough pictures; otherwise they follow each other.
    if len({len(at) for at in found}) == 1:
        return table.iloc[np.stack(found, axis=1).ravel()], len(classes)
    return table.iloc[np.concatenate(found)], COLUMNS


def _caption(row: Mapping[Hashable, Any], manifest: Manifest) -> str:
    if manifest.kind == "expression":
        return str(row["expression"])
    shown = [label.removeprefix("AU") for label in manifest.labels if row[label] == 1]
    units = " ".join(shown[:_UNITS]) + (" ..." if len(shown) > _UNITS else "")
    return f"{row['sample']}\n{units or 'no unit'}"
