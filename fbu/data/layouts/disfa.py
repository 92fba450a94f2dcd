"""DISFA: videos of people who watch a film, from two cameras, and a text file of intensities for each unit."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd

from fbu.data.face_points import FacePoints
from fbu.data.layouts.disfa_twin import write
from fbu.data.layouts.files import in_any_case, lines
from fbu.data.layouts.frames import STRONGEST, numbered_files
from fbu.data.manifest import Manifest
from fbu.data.media.videos import VideoFrames, count_frames
from fbu.errors import DataError

__all__ = ["media", "points", "read", "write"]

media = VideoFrames()

VIEWS = ("left", "right")
SUBJECT = re.compile(r"SN\d{3}", re.IGNORECASE)
VIDEO = re.compile(r"(left|right)video(SN\d{3})_comp\.avi", re.IGNORECASE)
LABEL = re.compile(r"(SN\d{3})_au(\d+)\.txt", re.IGNORECASE)
#: Names of landmark files; the number counts from 0.
LANDMARKS = re.compile(r"(?:SN\d{3}_|l)(\d+)_lm\.mat", re.IGNORECASE)
LANDMARK_FOLDER = "tmp_frame_lm"
#: Landmarks of a face.
POINTS = 66
#: Reasons that the reader counts.
AFTER_THE_END = "labelled frames after the end of the video"
UNLABELLED = "video frames without a label"
NO_VIDEO = "labelled subjects without a video"
LEFT_OUT = "subjects left out by option"

K = TypeVar("K")


def read(root: Path, manifest: Manifest) -> pd.DataFrame:
    """Read the intensities of every subject, and pair label n with frame n - 1 of the decoded video.

    Names are matched without regard to case. Option ``view`` names the camera (one set of labels serves both), a unit
    is on from intensity ``threshold``, and ``leave_out`` names subjects that do not count ("SN001 SN002").

    Returns:
        sample (``SN001/0857``), path (of the video), subject, frame (from 1), frame_at (from 0), AU1 ... (1 or 0) and
        AU1_intensity ... (0-5) of all coded units. Labels and frames that have no counterpart are counted.

    Raises:
        DataError: a missing folder or file, a malformed line, files of one subject with different frames, a file that
            is not a video, a wrong option.
    """
    view, threshold = view_of(manifest), threshold_of(manifest)
    labels, films = needed(root, manifest, "labels"), needed(root, manifest, view)
    filmed, folders = videos(films, view), people(labels)
    left_out = _left_out(manifest, folders)
    skipped = Counter({LEFT_OUT: len(left_out)})
    found = []
    for subject, folder in folders.items():
        if subject in left_out:
            continue
        if subject not in filmed:
            skipped[NO_VIDEO] += 1
            continue
        path = filmed[subject]
        try:
            count = frames_in(path)
        except OSError as error:
            mend = "restore it, or leave its subject out with option leave_out"
            raise DataError(f"{path} cannot be opened ({error}): {mend}") from error
        frames, values = _subject(folder, subject, manifest)
        there = frames <= count
        skipped[AFTER_THE_END] += int((~there).sum())
        skipped[UNLABELLED] += count - int(there.sum())
        part = pd.DataFrame({"frame": frames[there]})
        part.insert(0, "sample", [f"{subject}/{frame:04d}" for frame in part["frame"]])
        part.insert(1, "path", path.relative_to(root).as_posix())
        part.insert(2, "subject", subject)
        part["frame_at"] = part["frame"] - 1
        coded = dict(zip(manifest.intensity_aus, values[there].T, strict=True))
        for unit in manifest.aus:
            part[f"AU{unit}"] = (coded[unit] >= threshold).astype("int8")
        for unit, own in coded.items():
            part[f"AU{unit}_intensity"] = own
        found.append(part)
    table = pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=["sample", "path"])
    table.attrs["skipped"] = dict(skipped)
    return table


def view_of(manifest: Manifest) -> str:
    """Camera that the option names.

    Raises:
        DataError: there is no such camera.
    """
    view = str(manifest.options["view"])
    if view not in VIEWS:
        raise DataError(f"disfa: option view is {view!r}: known are {', '.join(VIEWS)}")
    return view


def threshold_of(manifest: Manifest) -> int:
    """Intensity from which a unit is on.

    Raises:
        DataError: it is none of 1 to 5.
    """
    threshold = manifest.options["threshold"]
    if threshold not in range(1, STRONGEST + 1):
        raise DataError(f"disfa: option threshold is {threshold!r}: known are 1 to {STRONGEST}")
    return int(threshold)


def folder_of(parent: Path, names: Sequence[str]) -> Path | None:
    """First of some folders that is there, whatever the case of its letters."""
    return next((path for name in names for path in in_any_case(parent, name) if path.is_dir()), None)


def needed(root: Path, manifest: Manifest, role: str) -> Path:
    """Folder of a role, whatever the case of its letters.

    Raises:
        DataError: there is none.
    """
    accepted = manifest.tree.folders[role]
    found = folder_of(root, accepted)
    if found is None:
        what = f"folder {' or '.join(accepted)} ({role}) is missing"
        raise DataError(f"{root}: {what}: {manifest.title} lies as\n{manifest.tree.text}")
    return found


def people(labels: Path) -> dict[str, Path]:
    """Subject (in capitals) -> folder of its label files.

    Raises:
        DataError: two folders of a subject, or none at all.
    """
    found = _each_once(labels, person_of, "subject")
    if not found:
        raise DataError(f"{labels}: no folder like SN001")
    return found


def person_of(path: Path) -> str | None:
    """Subject (in capitals) whose label files are in a folder; None for anything else."""
    return path.name.upper() if SUBJECT.fullmatch(path.name) and path.is_dir() else None


def videos(folder: Path, view: str) -> dict[str, Path]:
    """Subject -> video of one camera.

    Raises:
        DataError: two videos of a subject.
    """
    return _each_once(folder, lambda path: filmed_in(path, view), "video: remove one")


def filmed_in(path: Path, view: str) -> str | None:
    """Subject (in capitals) of a video of one camera; None for anything else."""
    match = VIDEO.fullmatch(path.name)
    return match[2].upper() if match is not None and match[1].lower() == view else None


def label_files(folder: Path, subject: str) -> dict[int, Path]:
    """Unit -> label file of a subject.

    Raises:
        DataError: two files of a unit.
    """
    return _each_once(folder, lambda path: unit_of(path, subject), "file: remove one")


def unit_of(path: Path, subject: str) -> int | None:
    """Unit of a label file of a subject; None for anything else."""
    match = LABEL.fullmatch(path.name)
    return int(match[2]) if match is not None and match[1].upper() == subject else None


def _each_once(folder: Path, key: Callable[[Path], K | None], what: str) -> dict[K, Path]:
    """Key -> path of all in a folder that have one; ``what`` says what two of a key are.

    Raises:
        DataError: two of a key.
    """
    found: dict[K, Path] = {}
    for path in sorted(folder.iterdir()):
        own = key(path)
        if own in found:
            raise DataError(f"{folder}: {found[own].name} and {path.name} are one {what}")
        if own is not None:
            found[own] = path
    return found


def grades(path: Path) -> dict[int, int]:
    """Frame (from 1) -> intensity 0-5 of one label file.

    Raises:
        DataError: a malformed line, an unknown intensity, a frame below 1 or listed twice.
    """
    found: dict[int, int] = {}
    for at, text in enumerate(lines(path), start=1):
        if not text.strip():
            continue
        left, _, right = text.partition(",")
        try:
            frame, grade = int(left), int(right)
        except ValueError:
            raise DataError(f"{path}:{at}: expected 'frame,intensity' like 857,3, found {text!r}") from None
        if not 0 <= grade <= STRONGEST:
            raise DataError(f"{path}:{at}: unknown intensity {grade}: known are 0 to {STRONGEST}")
        if frame < 1:
            raise DataError(f"{path}:{at}: frame number is {frame}: frames count from 1")
        if frame in found:
            raise DataError(f"{path}:{at}: frame {frame} is listed twice")
        found[frame] = grade
    return found


def frames_in(path: Path) -> int:
    """Frames of a video, counted once as long as its file is the same.

    Raises:
        OSError: missing, or not a video.
    """
    status = path.stat()
    return _counted(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=256)
def _counted(path: Path, mtime: int, size: int) -> int:
    return count_frames(path)


def _left_out(manifest: Manifest, folders: dict[str, Path]) -> set[str]:
    wanted = {name.upper() for name in str(manifest.options["leave_out"]).split()}
    unknown = sorted(wanted - folders.keys())
    if unknown:
        known = f"known are {', '.join(folders)}"
        raise DataError(f"disfa: option leave_out names {', '.join(unknown)}, who has no labels: {known}")
    return wanted


def _subject(folder: Path, subject: str, manifest: Manifest) -> tuple[np.ndarray, np.ndarray]:
    """Frames of a subject in rising order, int64 ``[n]``, and intensities, int8 ``[n, units]``."""
    files = label_files(folder, subject)
    first: dict[int, int] = {}
    columns = []
    for unit in manifest.intensity_aus:
        if unit not in files:
            raise DataError(
                f"{folder}: {subject}_au{unit}.txt is missing: restore it from ActionUnit_Labels.zip"
            )
        own = grades(files[unit])
        first = first or own
        if own.keys() != first.keys():
            other = min(own.keys() ^ first.keys())
            where = files[manifest.intensity_aus[0]].name
            raise DataError(
                f"{files[unit]}: frame {other} is in this file or in {where} only: restore both from one delivery"
            )
        columns.append(own)
    frames = np.array(sorted(first), dtype=np.int64)
    values = [[own[frame] for own in columns] for frame in frames.tolist()]
    return frames, np.array(values, dtype=np.int8).reshape(len(frames), len(columns))


def points(root: Path, table: pd.DataFrame, manifest: Manifest, needs: str) -> FacePoints | None:
    """The owner's landmarks of some rows, 66 each, NaN where a frame has no file; None without a folder of them.

    File number n is frame n + 1.

    Raises:
        DataError: landmarks of the other camera; once they are read, a file without 66 points under the key ``pts``.
    """
    base = folder_of(root, manifest.tree.folders["landmarks"])
    if needs != "landmarks" or base is None:
        return None
    view, own = view_of(manifest), str(manifest.options["landmarks"])
    if view != own:
        raise DataError(
            f"disfa: the landmarks are taken to be of the {own} view, not of the {view} one: set option landmarks to "
            f"{view} if they are, or choose the preset none, centre or mtcnn"
        )
    files: list[Path | None] = [None] * len(table)
    for subject, rows in table.groupby("subject", sort=False).indices.items():
        person = folder_of(base, [str(subject)])
        inner = None if person is None else folder_of(person, [LANDMARK_FOLDER])
        if inner is not None:
            there = numbered_files(inner, LANDMARKS)
            for row, at in zip(rows, table["frame_at"].iloc[rows], strict=True):
                if at in there:
                    files[row] = inner / there[at]
    return FacePoints(partial(_all_landmarks, files), files)


def _all_landmarks(files: Sequence[Path | None]) -> np.ndarray:
    nowhere = np.full((POINTS, 2), np.nan)
    return np.array([nowhere if path is None else _landmarks(path) for path in files]).reshape(-1, POINTS, 2)


def _landmarks(path: Path) -> np.ndarray:
    from scipy.io import loadmat

    try:
        found = np.asarray(loadmat(path, variable_names=["pts"])["pts"], float)
    # The reader of MAT files raises whatever it stumbles over.
    except Exception as error:
        raise DataError(f"{path} has no landmarks ({type(error).__name__}): restore or remove it") from error
    if found.shape != (POINTS, 2):
        raise DataError(f"{path}: pts is {list(found.shape)}, not [{POINTS}, 2]: restore or remove it")
    return found
