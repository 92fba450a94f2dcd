"""Writes a drawn population as BP4D lies on disk."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd

from fbu.data.layouts.files import World, write_lines, write_twin_pictures
from fbu.data.manifest import load_manifest

IMAGES = "Sequences_2D+3D"
COLUMNS = 100
#: Units that the owner's files code at all; the rest of the 100 columns is 9 throughout.
CODED = (1, 2, 4, 5, 6, 7, *range(9, 21), 22, 23, 24, 27, 28, 32, 38, 39)
#: FACS intensity from which a unit is present ("B or above").
PRESENT = 2.0


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
        width = 3 if task in ("T3", "T8") or _draw(f"{subject}_{task}") % 8 == 1 else 4
        samples.append(f"{subject}/{task}/{frame:04d}")
        paths.append(f"{IMAGES}/{subject}/{task}/{frame:0{width}d}.jpg")
    for (subject, task), part in records.groupby(["subject", "activity"], sort=True):
        sequence = f"{subject}_{task}"
        _annotate(root / "AUCoding", sequence, part, lost_frame=_draw(sequence) % 20 == 0)
    write_twin_pictures(world, root, samples, paths, image_size)


def _draw(sequence: str) -> int:
    return int.from_bytes(hashlib.sha256(sequence.encode()).digest()[:4], "big")


def _annotate(folder: Path, sequence: str, part: pd.DataFrame, *, lost_frame: bool) -> None:
    """Occurrence and intensity files of one sequence."""
    part = part.sort_values("frame")
    frames = part["frame"].to_numpy(int)
    values = np.full((len(part), COLUMNS), 9, dtype=int)
    values[:, 0] = frames
    for unit in CODED:
        if f"AU{unit}_intensity" in part:
            values[:, unit] = part[f"AU{unit}_intensity"].to_numpy() >= PRESENT
    if lost_frame:
        values = np.concatenate([values, values[-1:]])
        values[-1, 0] += 1
    lines = [",".join(map(str, row)) for row in [np.arange(COLUMNS), *values]]
    write_lines(folder / "AU_OCC" / f"{sequence}.csv", lines)
    for unit in load_manifest("bp4d").intensity_aus:
        if f"AU{unit}_intensity" in part:
            # Whole steps downwards, so that intensity 2 and presence agree.
            steps = np.floor(part[f"AU{unit}_intensity"].to_numpy(float)).astype(int).clip(0, 5)
            text = [f"{frame},{step}" for frame, step in zip(frames, steps, strict=True)]
            write_lines(folder / "AU_INT" / f"AU{unit:02d}" / f"{sequence}_AU{unit:02d}.csv", text)
