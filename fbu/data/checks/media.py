"""Pictures that are no files of their own: lines of a table, frames of a video, whole clips."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from fbu.data import layouts
from fbu.data.checks import Copy, Problem
from fbu.data.checks.pictures import Progress
from fbu.data.decoding import UNREADABLE, fit
from fbu.data.media import reason
from fbu.wording import counted

_THREADS = 2
_SIDE = 16
_MEND = "restore the file, or load with skip_unreadable=True"


def check_media(copy: Copy, table: pd.DataFrame, chosen: int | None, progress: Progress) -> tuple[int, int]:
    """Open what every row points to, and report what cannot be decoded, row by row.

    Args:
        copy: problems are added to it.
        table: the reader's.
        chosen: about how many rows to open, spread over all; None: all.
        progress: told (done, total).

    Returns:
        Rows whose file is there, and rows opened.
    """
    media = layouts.media(copy.manifest.name)
    sizes = np.array(media.sizes(copy.root, list(table["path"])))
    for path, rows in table[sizes <= 0].groupby("path", sort=True):
        kind, what = (
            ("missing file", "is missing") if (sizes[rows.index] < 0).all() else ("empty file", "is empty")
        )
        message = f"{path} {what}: {counted(len(rows), 'row has', 'rows have')} no picture"
        copy.error(kind, copy.root / str(path), None, message, _MEND)
    there = table[sizes > 0]
    step = 1 if chosen is None else max(1, -(-len(there) // max(1, chosen)))
    sample = there.iloc[::step]

    def block(start: int) -> list[Problem]:
        part = sample.iloc[start : start + media.block]
        return [
            problem
            for row, frames in zip(part.to_dict("records"), media.open(copy.root, part), strict=True)
            if (problem := _judged(row, [_decoded(frame) for frame in frames])) is not None
        ]

    done = 0
    with ThreadPoolExecutor(_THREADS) as pool:
        for found in pool.map(block, range(0, len(sample), media.block)):
            copy.problems.extend(found)
            done = min(done + media.block, len(sample))
            progress(done, len(sample))
    return len(there), len(sample)


def _decoded(frame: Image.Image | str) -> str:
    """Why a frame cannot be decoded; empty if it can."""
    if isinstance(frame, str):
        return frame
    try:
        fit(frame, _SIDE)
    except UNREADABLE as error:
        return reason(error)
    return ""


def _judged(row: Mapping[Hashable, Any], frames: list[str]) -> Problem | None:
    bad = [why for why in frames if why]
    if not bad:
        return None
    path, line = str(row["path"]), row.get("line")
    what = f"{row['sample']}: {bad[0]}"
    if len(frames) > 1:
        what = f"{row['sample']}: {len(bad)} of {counted(len(frames), 'frame', 'frames')} cannot be read ({bad[0]})"
    at = int(str(line)) if line is not None else None
    return Problem("error", "damaged clip" if len(frames) > 1 else "damaged picture", path, at, what, _MEND)
