"""Writes a drawn population as BP4D lies on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from fbu.data.layouts.files import World, write_lines, write_twin_pictures
from fbu.data.layouts.twin_frames import PRESENT, draw, write_intensities
from fbu.data.manifest import load_manifest

IMAGES = "Sequences_2D+3D"
OCCURRENCE, INTENSITY = "AUCoding/AU_OCC", "AUCoding/AU_INT"
COLUMNS = 100
#: Units that the owner's files code at all; the rest of the 100 columns is 9 throughout.
CODED = (1, 2, 4, 5, 6, 7, *range(9, 21), 22, 23, 24, 27, 28, 32, 38, 39)


def write(world: World, root: Path, *, image_size: int) -> None:
    """Write frames, occurrence and intensity files; a unit is present from intensity 2.

    As in the real set, zero padding differs between sequences, and about one sequence in twenty ends with a
    labelled frame that has no picture.

    Args:
        world: records with subject, activity, frame and ``AU<n>_intensity``.
        root: the dataset's folder.
        image_size: side of the pictures in pixels.
    """
    records = world.records.reset_index(drop=True)
    samples, paths = [], []
    for subject, task, frame in zip(records["subject"], records["activity"], records["frame"], strict=True):
        width = 3 if task in ("T3", "T8") or draw(f"{subject}_{task}") % 8 == 1 else 4
        samples.append(f"{subject}/{task}/{frame:04d}")
        paths.append(f"{IMAGES}/{subject}/{task}/{frame:0{width}d}.jpg")
    graded = load_manifest("bp4d").intensity_aus
    for (subject, task), part in records.groupby(["subject", "activity"], sort=True):
        part = part.sort_values("frame")
        sequence = f"{subject}_{task}"
        _write_occurrence(root / OCCURRENCE / f"{sequence}.csv", part, lost_frame=draw(sequence) % 20 == 0)
        write_intensities(root / INTENSITY, sequence, part, graded)
    write_twin_pictures(world, root, samples, paths, image_size)


def _write_occurrence(path: Path, part: pd.DataFrame, *, lost_frame: bool) -> None:
    """Occurrence file of one sequence."""
    values = np.full((len(part), COLUMNS), 9, dtype=int)
    values[:, 0] = part["frame"].to_numpy(int)
    for unit in CODED:
        if f"AU{unit}_intensity" in part:
            values[:, unit] = part[f"AU{unit}_intensity"].to_numpy() >= PRESENT
    if lost_frame:
        values = np.concatenate([values, values[-1:]])
        values[-1, 0] += 1
    write_lines(path, [",".join(map(str, row)) for row in [np.arange(COLUMNS), *values]])
