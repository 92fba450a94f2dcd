"""Writes pictures and codes by sequence (subject and task), as BP4D and BP4D+ lie on disk."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from fbu.data.layouts.files import World, write_lines, write_twin_pictures
from fbu.data.layouts.frames import intensity_name
from fbu.data.layouts.twin_frames import PRESENT, whole_steps

OCCURRENCE, INTENSITY = "AUCoding/AU_OCC", "AUCoding/AU_INT"


def write_sequences(
    world: World,
    root: Path,
    *,
    images: str,
    digits: Callable[[str, str], int],
    write_codes: Callable[[str, str, pd.DataFrame], None],
    image_size: int,
) -> None:
    """Write the codes of each sequence, then all pictures.

    Args:
        world: records with subject, activity (the task), frame and ``AU<n>_intensity``.
        root: the dataset's folder.
        images: folder of the pictures below it.
        digits: given subject and task, how many digits the names of its pictures are padded to.
        write_codes: given subject, task and the sequence's records by frame, writes what coders said.
        image_size: side of the pictures in pixels.
    """
    records = world.records.reset_index(drop=True)
    samples, paths = [], []
    for subject, task, frame in zip(records["subject"], records["activity"], records["frame"], strict=True):
        samples.append(f"{subject}/{task}/{frame:04d}")
        paths.append(f"{images}/{subject}/{task}/{frame:0{digits(subject, task)}d}.jpg")
    for (subject, task), part in records.groupby(["subject", "activity"], sort=True):
        write_codes(str(subject), str(task), part.sort_values("frame"))
    write_twin_pictures(world, root, samples, paths, image_size)


def with_lost_frame(part: pd.DataFrame) -> pd.DataFrame:
    """A sequence's records and one more, coded as the last one, which has no picture."""
    return pd.concat([part, part[-1:].assign(frame=part["frame"].iloc[-1] + 1)])


def write_occurrence(
    root: Path, sequence: str, part: pd.DataFrame, header: Sequence[int], coded: Collection[int]
) -> None:
    """Write ``F001_T1.csv``: a frame column and one of each unit, 1 from intensity 2, 9 where not coded.

    Args:
        root: the dataset's folder.
        sequence: ``F001_T1``.
        part: records with frame and ``AU<n>_intensity``.
        header: what the frame column is called, then the units.
        coded: units with codes, if the records have them.
    """
    values = np.full((len(part), len(header)), 9)
    values[:, 0] = part["frame"]
    for column, unit in enumerate(header[1:], start=1):
        if unit in coded and f"AU{unit}_intensity" in part:
            values[:, column] = part[f"AU{unit}_intensity"].to_numpy() >= PRESENT
    write_lines(root / OCCURRENCE / f"{sequence}.csv", [",".join(map(str, row)) for row in [header, *values]])


def write_intensities(root: Path, sequence: str, part: pd.DataFrame, units: Sequence[int]) -> None:
    """Write ``AU06/F001_T1_AU06.csv`` ... of one sequence, for the units that the records have.

    Args:
        root: the dataset's folder.
        sequence: ``F001_T1``.
        part: records with frame and ``AU<n>_intensity``.
        units: action units.
    """
    for unit in units:
        if f"AU{unit}_intensity" in part:
            steps = whole_steps(part[f"AU{unit}_intensity"])
            text = [f"{frame},{step}" for frame, step in zip(part["frame"], steps, strict=True)]
            write_lines(root / INTENSITY / intensity_name(sequence, unit), text)
