"""BP4D+: frames of ten tasks, occurrence files for four of them, five units with intensities."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

# The two sets share the form of their intensity files and of their picture folders.
from fbu.data.layouts.bp4d import _intensity, _pictures, _sequences
from fbu.data.layouts.bp4d_twin import PRESENT
from fbu.data.layouts.files import (
    World,
    folder,
    number,
    numbered,
    optional_folder,
    write_lines,
    write_twin_pictures,
)
from fbu.data.manifest import Coding, Manifest, Option, load_manifest
from fbu.errors import DataError

IMAGES = "2D+3D"
TASKS = tuple(f"T{i}" for i in range(1, 11))
#: Tasks with occurrence files.
CODED_TASKS = ("T1", "T6", "T7", "T8")
#: Columns of an occurrence file after the frame number.
UNITS = (1, 2, 4, 5, 6, 7, *range(9, 21), 22, 23, 24, *range(27, 40))
_SUBJECT = re.compile(r"[FM]\d{3}")
_LOST = "labelled frames without a picture"
_STRANGE = "folders of tasks outside T1 to T10"


def read(root: Path, manifest: Manifest) -> pd.DataFrame:
    """Read the occurrence files, and the intensity files where they are.

    Frame n is the picture whose file number is n + ``offset``; zero padding varies, so folders go by number.
    With option ``unlabelled`` every picture of all ten tasks is listed, with -1 where nobody coded it; option
    ``per_task`` (0: all) keeps that many rows of each task, those with the lowest hash of their sample.

    Returns:
        sample (``F001/T1/0318``), path, subject, activity (``T1``), frame, AU1 ... (1, 0, -1 = not coded) and
        AU6_intensity ... (0-5, -1 = not coded or no file). Labelled frames without a picture are counted.

    Raises:
        DataError: missing folder, unknown header, bad value, or a frame listed twice.
    """
    images = folder(root, manifest, "images")
    occurrence = folder(root, manifest, "occurrence")
    intensity = optional_folder(root, manifest, "intensity")
    offset = int(manifest.options["offset"])
    everything = _switch(manifest.options["unlabelled"])
    units = manifest.intensity_aus if intensity is not None else ()
    coded = {(subject, task): path for subject, task, path in _sequences(occurrence)}
    filmed, strange = _filmed(images) if everything else (set(), 0)
    found: list[list[str | int]] = []
    lost = 0
    for subject, task in sorted(coded.keys() | filmed):
        rows = _occurrence(coded[subject, task], manifest) if (subject, task) in coded else {}
        pictures = _pictures(images / subject / task)
        base = (images / subject / task).relative_to(root).as_posix()
        grades = [_intensity(intensity, subject, task, unit, manifest) for unit in units if intensity]
        others = {n - offset for n in pictures} if everything else set()
        for frame in sorted(rows.keys() | others):
            if frame + offset not in pictures:
                lost += 1
                continue
            sample = f"{subject}/{task}/{frame:04d}"
            who: list[str | int] = [sample, f"{base}/{pictures[frame + offset]}", subject, task, frame]
            values = rows.get(frame, [-1] * len(manifest.aus))
            found.append([*who, *values, *(grade.get(frame, -1) for grade in grades)])
    graded = [f"AU{unit}_intensity" for unit in units]
    columns = ["sample", "path", "subject", "activity", "frame", *manifest.labels, *graded]
    table = pd.DataFrame(found, columns=columns)
    table = table.astype(dict.fromkeys([*manifest.labels, *graded], "int8"))
    table = _at_most(table, int(manifest.options["per_task"]))
    table.attrs["skipped"] = {_LOST: lost, _STRANGE: strange}
    return table


def _switch(value: Option) -> bool:
    if value not in (0, 1):
        raise DataError(f"bp4dplus: option unlabelled is {value!r}: known are 0, 1")
    return bool(value)


def _filmed(images: Path) -> tuple[set[tuple[str, str]], int]:
    """Subject and task of every picture folder, and the number of folders of unknown tasks."""
    folders = [
        (subject.name, task.name)
        for subject in images.iterdir()
        if _SUBJECT.fullmatch(subject.name) and subject.is_dir()
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


def _occurrence(path: Path, manifest: Manifest) -> dict[int, list[int]]:
    """Frame -> values of the manifest's units, of one occurrence file."""
    rows = numbered(path)
    _, header = next(rows, (1, []))
    where = _places(header, path, manifest)
    coding = manifest.coding or Coding.model_validate({})
    meaning = {str(coding.absent): 0, str(coding.present): 1, str(coding.not_coded): -1}
    found: dict[int, list[int]] = {}
    for line, row in rows:
        if len(row) != len(header):
            raise DataError(f"{path}:{line}: {len(row)} fields where the header has {len(header)}")
        frame = number(row[0], path, line, "frame number")
        if frame in found:
            raise DataError(f"{path}:{line}: frame {frame} is listed twice")
        for unit, at in zip(manifest.aus, where, strict=True):
            if row[at] not in meaning:
                known = f"known are {', '.join(meaning)}"
                raise DataError(f"{path}:{line}: unknown label code {row[at]!r} for AU{unit}: {known}")
        found[frame] = [meaning[row[at]] for at in where]
    return found


def _places(header: list[str], path: Path, manifest: Manifest) -> list[int]:
    """Column of each unit. The first column is the frame number although it, too, may be called ``1``."""
    units = header[1:]
    if not all(name.isdecimal() for name in units) or len(set(units)) < max(len(units), 1):
        raise DataError(f"{path}:1: unknown header {','.join(header[:6])}... with {len(header)} columns")
    for unit in manifest.aus:
        if str(unit) not in units:
            raise DataError(f"{path}:1: column {str(unit)!r} (AU{unit}) is missing")
    return [1 + units.index(str(unit)) for unit in manifest.aus]


def write(world: World, root: Path, *, image_size: int) -> None:
    """Write frames of all tasks, and occurrence and intensity files of the coded ones.

    As in the real set, subjects differ in zero padding, and some sequences (F041_T7 and about one in twenty) end
    with a labelled frame that has no picture.

    Args:
        world: records with subject, activity, frame and ``AU<n>_intensity``.
        root: the dataset's folder.
        image_size: side of the pictures in pixels.
    """
    records = world.records.reset_index(drop=True)
    samples, paths = [], []
    for subject, task, frame in zip(records["subject"], records["activity"], records["frame"], strict=True):
        width = 4 if _draw(subject) % 140 < 41 else 3
        samples.append(f"{subject}/{task}/{frame:04d}")
        paths.append(f"{IMAGES}/{subject}/{task}/{frame:0{width}d}.jpg")
    for (subject, task), part in records.groupby(["subject", "activity"], sort=True):
        if task in CODED_TASKS:
            sequence = f"{subject}_{task}"
            lost = sequence == "F041_T7" or _draw(sequence) % 20 == 0
            for name, text in _annotation(part.sort_values("frame"), sequence, lost_frame=lost):
                write_lines(root / "AUCoding" / name, text)
    write_twin_pictures(world, root, samples, paths, image_size)


def _draw(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")


def _annotation(part: pd.DataFrame, sequence: str, *, lost_frame: bool) -> Iterator[tuple[str, list[str]]]:
    """Name and lines of the occurrence file and the intensity files of one sequence."""
    frames = list(part["frame"])
    at = np.arange(len(part))
    if lost_frame:
        frames, at = [*frames, frames[-1] + 1], np.append(at, at[-1])
    values = np.full((len(at), len(UNITS)), 9)
    for column, unit in enumerate(UNITS):
        if f"AU{unit}_intensity" in part:
            values[:, column] = part[f"AU{unit}_intensity"].to_numpy()[at] >= PRESENT
    header = ",".join(map(str, [1, *UNITS]))
    rows = [",".join(map(str, [frame, *row])) for frame, row in zip(frames, values, strict=True)]
    yield f"AU_OCC/{sequence}.csv", [header, *rows]
    for unit in load_manifest("bp4dplus").intensity_aus:
        # Whole steps downwards, so that intensity 2 and presence agree.
        steps = np.floor(part[f"AU{unit}_intensity"].to_numpy(float)).astype(int).clip(0, 5)[at]
        text = [f"{frame},{step}" for frame, step in zip(frames, steps, strict=True)]
        yield f"AU_INT/AU{unit:02d}/{sequence}_AU{unit:02d}.csv", text
