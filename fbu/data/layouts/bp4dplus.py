"""BP4D+: frames of ten tasks, occurrence files for four of them, five units with intensities."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pandas as pd

from fbu.data.layouts.files import World, folder
from fbu.data.layouts.frames import SUBJECT, read_frames, whole_option
from fbu.data.layouts.twin_frames import draw
from fbu.data.layouts.twin_sequences import (
    with_lost_frame,
    write_intensities,
    write_occurrence,
    write_sequences,
)
from fbu.data.manifest import Manifest, Option, load_manifest
from fbu.errors import DataError

IMAGES = "2D+3D"
TASKS = tuple(f"T{i}" for i in range(1, 11))
#: Tasks with occurrence files.
CODED_TASKS = ("T1", "T6", "T7", "T8")
#: Columns of an occurrence file after the frame number.
UNITS = (1, 2, 4, 5, 6, 7, *range(9, 21), 22, 23, 24, *range(27, 40))
_STRANGE = "folders of tasks outside T1 to T10"


def read(root: Path, manifest: Manifest) -> pd.DataFrame:
    """Read the occurrence files, and the intensity files where they are; see `read_frames`.

    With option ``unlabelled`` every picture of all ten tasks is listed, with -1 where nobody coded it; option
    ``per_task`` (0: all) keeps that many rows of each task, those with the lowest hash of their sample.

    Returns:
        The columns of `read_frames`.

    Raises:
        DataError: missing folder, unknown header, bad value, a frame listed twice, or a wrong option.
    """
    everything = _switch(manifest.options["unlabelled"])
    filmed, strange = _filmed(folder(root, manifest, "images")) if everything else (None, 0)
    table = read_frames(root, manifest, is_header, filmed)
    skipped = {**table.attrs["skipped"], _STRANGE: strange}
    table = _at_most(table, whole_option(manifest, "per_task"))
    table.attrs["skipped"] = skipped
    return table


def is_header(header: list[str]) -> bool:
    """Whether the first line of an occurrence file is a frame column and units, each once.

    The first column is the frame number although it, too, may be called ``1``.
    """
    units = header[1:]
    return bool(units) and all(name.isdecimal() for name in units) and len(set(units)) == len(units)


def _switch(value: Option) -> bool:
    if value not in (0, 1):
        raise DataError(f"bp4dplus: option unlabelled is {value!r}: known are 0, 1")
    return bool(value)


def _filmed(images: Path) -> tuple[set[tuple[str, str]], int]:
    """Subject and task of every picture folder, and the number of folders of unknown tasks."""
    folders = [
        (subject.name, task.name)
        for subject in images.iterdir()
        if SUBJECT.fullmatch(subject.name) and subject.is_dir()
        for task in subject.iterdir()
        if task.is_dir()
    ]
    known = {(subject, task) for subject, task in folders if task in TASKS}
    return known, len(folders) - len(known)


def _at_most(table: pd.DataFrame, per_task: int) -> pd.DataFrame:
    """The rows of each task with the lowest hash of their sample; 0 keeps all."""
    if per_task < 0:
        raise DataError(f"bp4dplus: option per_task is {per_task}: it must be 0 (all) or more")
    if not per_task:
        return table
    rank = [hashlib.sha256(sample.encode()).hexdigest()[:16] for sample in table["sample"]]
    kept = table.assign(_rank=rank).sort_values("_rank").groupby("activity").head(per_task)
    return kept.sort_index().drop(columns="_rank").reset_index(drop=True)


def write(world: World, root: Path, *, image_size: int) -> None:
    """Write frames of all tasks, and occurrence and intensity files of the coded ones.

    As in the real set, subjects differ in zero padding, and some sequences (F041_T7 and about one in twenty) end
    with a labelled frame that has no picture.

    Args:
        world: records with subject, activity, frame and ``AU<n>_intensity``.
        root: the dataset's folder.
        image_size: side of the pictures in pixels.
    """
    graded = load_manifest("bp4dplus").intensity_aus

    def digits(subject: str, task: str) -> int:
        return 4 if draw(subject) % 140 < 41 else 3

    def write_codes(subject: str, task: str, part: pd.DataFrame) -> None:
        if task not in CODED_TASKS:
            return
        sequence = f"{subject}_{task}"
        if sequence == "F041_T7" or draw(sequence) % 20 == 0:
            part = with_lost_frame(part)
        write_occurrence(root, sequence, part, [1, *UNITS], UNITS)
        write_intensities(root, sequence, part, graded)

    write_sequences(world, root, images=IMAGES, digits=digits, write_codes=write_codes, image_size=image_size)
