"""DISFA: the label files of every subject line by line, and the videos that they speak of."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from fbu.data.checks import Copy, Row
from fbu.data.checks.frames import graded_rows, strange_files
from fbu.data.layouts.disfa import (
    VIEWS,
    filmed_in,
    folder_of,
    frames_in,
    person_of,
    threshold_of,
    unit_of,
    view_of,
)
from fbu.errors import DataError
from fbu.wording import counted, some

_RESTORE = "restore it from the owner's delivery"
_ONE = "keep one of them; letters do not count"
_RENAME = "rename or move them"

K = TypeVar("K")


def examine(copy: Copy) -> None:
    """Check options, folders, label files, and whether each video is as long as its labels."""
    try:
        view = view_of(copy.manifest)
        threshold_of(copy.manifest)
    except DataError as error:
        copy.error("wrong option", copy.root, None, str(error), "correct the option in fbu.yml")
        return
    labels, films = _folder(copy, "labels"), _folder(copy, view)
    roles = [*VIEWS, "labels", "landmarks"]
    others = [folder_of(copy.root, copy.manifest.tree.folders[role]) for role in roles]
    copy.extra_folders(copy.root, [path.name for path in others if path is not None])
    filmed = {} if films is None else _videos(copy, films, view)
    coded = {} if labels is None else _people(copy, labels)
    for subject, folder in coded.items():
        _subject(copy, subject, folder, filmed.get(subject), films)
    without = sorted(filmed.keys() - coded.keys())
    if films is not None and labels is not None and without:
        what = f"{counted(len(without), 'video has', 'videos have')} no labels: {some(without)}"
        copy.warning(
            "video without labels", films, None, what, "restore the labels, or move the video elsewhere"
        )


def _folder(copy: Copy, role: str) -> Path | None:
    accepted = copy.manifest.tree.folders[role]
    found = folder_of(copy.root, accepted)
    if found is None:
        what = f"folder {' or '.join(accepted)} ({role}) is missing"
        mend = f"{copy.manifest.title} lies as in `tree` of its manifest: put the folder back"
        copy.error("missing folder", copy.root, None, what, mend)
    return found


def _videos(copy: Copy, films: Path, view: str) -> dict[str, Path]:
    """Subject -> video; reports two of a subject, and names that are none."""
    found, strange = _each_once(copy, films, lambda path: filmed_in(path, view), "video")
    strange_files(copy, films, strange, f"{view.capitalize()}VideoSN001_comp.avi", _RENAME)
    return found


def _people(copy: Copy, labels: Path) -> dict[str, Path]:
    """Subject -> folder; reports two of a subject, and names that are none."""
    found, _ = _each_once(copy, labels, person_of, "subject")
    copy.extra_folders(labels, [path.name for path in labels.iterdir() if person_of(path) is not None])
    if not found:
        copy.error(
            "missing file", labels, None, "there is no folder like SN001", "unpack ActionUnit_Labels.zip"
        )
    return found


def _each_once(
    copy: Copy, folder: Path, key: Callable[[Path], K | None], what: str
) -> tuple[dict[K, Path], list[str]]:
    """Key -> path of all in a folder that have one, and names of the others; two of a key are reported."""
    found: dict[K, Path] = {}
    others = []
    for path in sorted(folder.iterdir()):
        own = key(path)
        if own is None:
            others += [] if path.name.startswith(".") else [path.name]
        elif own in found:
            said = f"{found[own].name} and {path.name} are one {what}"
            copy.error(f"{what} twice", path, None, said, _ONE)
        else:
            found[own] = path
    return found, others


def _subject(copy: Copy, subject: str, folder: Path, video: Path | None, films: Path | None) -> None:
    """Check the files of one subject and add its rows."""
    files = _label_files(copy, subject, folder)
    first: dict[int, int] | None = None
    first_file = folder
    for unit in copy.manifest.intensity_aus:
        if unit not in files:
            what = f"{subject}_au{unit}.txt is missing"
            copy.error("missing file", folder, None, what, _RESTORE)
            continue
        frames = _grades(copy, files[unit])
        if first is None:
            first, first_file = frames, files[unit]
        elif other := sorted(first.keys() ^ frames.keys()):
            here = [frame for frame in other if frame in frames]
            what = (
                f"{counted(len(other), 'frame is', 'frames are')} in this file or in {first_file.name} only: "
                f"{some([str(frame) for frame in other])}"
            )
            line = frames[here[0]] if here else None
            copy.error("frames differ", files[unit], line, what, "restore both files from one delivery")
    copy.sequences.add(subject)
    if video is None:
        if films is not None:
            what = f"{subject} has labels and no video, so {counted(len(first or {}), 'row is', 'rows are')} left out"
            copy.error("missing video", films, None, what, _RESTORE)
        return
    length = _length(copy, video)
    if first is None or length is None:
        return
    _compare(copy, video, max(first, default=0), length)
    for frame, line in first.items():
        if frame <= length:
            sample = f"{subject}/{frame:04d}"
            copy.rows.append(
                Row(sample, copy.relative(video), subject, "", "", copy.relative(first_file), line)
            )


def _label_files(copy: Copy, subject: str, folder: Path) -> dict[int, Path]:
    """Unit -> file; reports two of a unit, and names that are none."""

    def coded(path: Path) -> int | None:
        unit = unit_of(path, subject)
        return unit if unit in copy.manifest.intensity_aus else None

    found, strange = _each_once(copy, folder, coded, "file")
    strange_files(copy, folder, strange, f"{subject}_au1.txt", _RENAME)
    return found


def _grades(copy: Copy, path: Path) -> dict[int, int]:
    """Frame -> line of one label file; everything wrong in it is reported."""
    found: dict[int, int] = {}
    for line, frame, _ in graded_rows(copy, path, None):
        if frame == 0:
            copy.error("frame 0", path, line, "frame number is 0: frames count from 1", "restore the numbers")
        elif frame is not None and frame in found:
            what = f"frame {frame} is listed twice (first in line {found[frame]})"
            copy.error("frame twice", path, line, what, "remove one of the lines")
        elif frame is not None:
            found[frame] = line
    return found


def _length(copy: Copy, video: Path) -> int | None:
    try:
        return frames_in(video)
    except OSError as error:
        copy.error("not a video", video, None, f"the video cannot be opened: {error}", _RESTORE)
        return None


def _compare(copy: Copy, video: Path, labelled: int, length: int) -> None:
    """Report a video that is not as long as its labels; both are read up to the shorter end."""
    if labelled == length:
        return
    what = f"the video has {counted(length, 'frame', 'frames')} and the labels go to {labelled:,}"
    if abs(labelled - length) == 1:
        mend = (
            "nothing to do: some of the owner's videos end a frame early; the odd one is left out and counted"
        )
        copy.warning("one frame apart", video, None, what, mend)
    else:
        mend = "restore the video, which may be cut; what has no counterpart is left out and counted"
        copy.warning("video and labels differ", video, None, what, mend)
