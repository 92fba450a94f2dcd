"""BP4D: every occurrence and intensity file, and the frames that they speak of."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fbu.data.checks import Copy, Row
from fbu.data.checks.text import fields_of, has_width, whole
from fbu.data.layouts.files import optional_folder
from fbu.data.manifest import Coding
from fbu.wording import counted, some

_SEQUENCE = re.compile(r"([FM]\d{3})_(T\d{1,2})\.csv")
_SUBJECT = re.compile(r"[FM]\d{3}")
_TASKS = {f"T{n}" for n in range(1, 9)}
_ENDINGS = (".jpg", ".jpeg", ".png")
_CODES = "write 0 (absent), 1 (present) or 9 (not coded)"
# A shift of the numbers shows at the ends of most sequences; a lost frame shows at few.
_FEWEST_FOR_SHIFT = 3


@dataclass
class _Frames:
    """Frames of one sequence: line of each labelled one, all with a row of any kind, file name of each picture."""

    labelled: dict[int, int] = field(default_factory=dict)
    named: set[int] = field(default_factory=set)
    pictures: dict[int, str] = field(default_factory=dict)


def examine(copy: Copy) -> None:
    """Check occurrence files, intensity files and frames."""
    images, occurrence = copy.folder("images"), copy.folder("occurrence")
    found: dict[tuple[str, str], _Frames] = {}
    if occurrence is not None:
        for subject, task, path in _sequences(copy, occurrence):
            frames = found[subject, task] = _Frames()
            _occurrence(copy, path, frames)
            if images is not None:
                frames.pictures = _pictures(copy, images / subject / task)
            _match(copy, frames, subject, task, path, images)
        _intensities(copy, occurrence, found)
    if images is not None:
        _strange_folders(copy, images, found)
        if occurrence is not None:
            _shift(copy, images, found)


def _sequences(copy: Copy, occurrence: Path) -> list[tuple[str, str, Path]]:
    found, strange = [], []
    for path in sorted(occurrence.iterdir()):
        match = _SEQUENCE.fullmatch(path.name)
        if match is not None and path.is_file():
            found.append((match[1], match[2], path))
            if match[2] not in _TASKS:
                what = f"there is no task {match[2]}: known are T1 to T8"
                copy.warning(
                    "unknown task", path, None, what, "correct the file's name, or move it elsewhere"
                )
        elif path.is_file() and not path.name.startswith("."):
            strange.append(path.name)
    if strange:
        n = counted(len(strange), "file is", "files are")
        what = f"{n} not named like F001_T1.csv and not read: {some(strange)}"
        copy.warning("strange file name", occurrence, None, what, "rename or move them")
    if not found:
        mend = "restore the occurrence files"
        copy.error("missing file", occurrence, None, "there is no file like F001_T1.csv", mend)
    return found


def _occurrence(copy: Copy, path: Path, frames: _Frames) -> None:
    """Note the frames of one occurrence file; everything wrong in it is reported."""
    rows = fields_of(copy, path)
    if not rows:
        return
    (first, header), *rest = rows
    # The same two forms as the reader takes; see there.
    if header[0] not in ("0", "1") or (header[0] == "1") != (len(header) < 50):
        what = f"unknown header {','.join(header[:6])}... with {len(header)} columns"
        copy.error(
            "unknown header", path, first, what, "restore the header 0,1,2, ... 99 of the owner's file"
        )
        return
    units = {unit: str(unit) for unit in copy.manifest.aus}
    missing = [unit for unit, column in units.items() if column not in header[1:]]
    for unit in missing:
        what = f"column {str(unit)!r} (AU{unit}) is missing"
        copy.error("missing column", path, first, what, "restore the column; action units are found by name")
    if not rest:
        copy.error("empty file", path, first, "there is a header and no frame below it", "restore the file")
    where = {unit: header.index(units[unit], 1) for unit in units if unit not in missing}
    lines = frames.labelled
    not_coded: Counter[int] = Counter()
    for line, row in rest:
        if not has_width(copy, path, line, row, len(header)):
            continue
        frame = whole(copy, path, line, row[0], "frame number")
        frames.named.update([] if frame is None else [frame])
        if _values(copy, path, line, row, where, not_coded) and frame is not None:
            if frame in lines:
                what = f"frame {frame} is listed twice (first in line {lines[frame]})"
                copy.error("frame twice", path, line, what, "remove one of the lines")
            else:
                lines[frame] = line
    for unit, n in not_coded.items():
        what = f"AU{unit} is not coded (9) in {counted(n, 'frame', 'frames')}; they count for the other units only"
        copy.warning("unit not coded", path, None, what, "nothing to do if the owner's file has it so")


def _values(
    copy: Copy, path: Path, line: int, row: Sequence[str], where: dict[int, int], not_coded: Counter[int]
) -> bool:
    coding = copy.manifest.coding or Coding.model_validate({})
    known = (str(coding.absent), str(coding.present), str(coding.not_coded))
    good = True
    for unit, at in where.items():
        if row[at] not in known:
            what = f"unknown label code {row[at]!r} for AU{unit}: known are {', '.join(known)}"
            copy.error("unknown label code", path, line, what, _CODES)
            good = False
        elif row[at] == known[2]:
            not_coded[unit] += 1
    return good


def _pictures(copy: Copy, directory: Path) -> dict[int, str]:
    """File number -> file name; reports two files of one number, and names that are no numbers."""
    found: dict[int, str] = {}
    strange = []
    for name in sorted(os.listdir(directory)) if directory.is_dir() else []:
        stem, ending = os.path.splitext(name)
        if ending.lower() not in _ENDINGS or name.startswith("."):
            continue
        if not (stem.isascii() and stem.isdigit()):
            strange.append(name)
        elif int(stem) in found:
            what = f"{found[int(stem)]} and {name} have the same frame number"
            copy.error("frame twice", directory / name, None, what, "remove one of the two files")
        else:
            found[int(stem)] = name
    if strange:
        what = f"{counted(len(strange), 'picture has', 'pictures have')} no frame number for a name: {some(strange)}"
        copy.warning("strange file name", directory, None, what, "name frames by their number, e.g. 2440.jpg")
    return found


def _match(copy: Copy, frames: _Frames, subject: str, task: str, path: Path, images: Path | None) -> None:
    """Add the rows of one sequence, and report labelled frames without a picture."""
    offset = int(copy.manifest.options["offset"])
    copy.sequences.add(f"{subject}/{task}")
    file = copy.relative(path)
    base = "" if images is None else f"{copy.relative(images)}/{subject}/{task}"
    lost = []
    for frame, line in frames.labelled.items():
        name = frames.pictures.get(frame + offset, "")
        if not name:
            lost.append(frame)
        picture = f"{base}/{name}" if name else ""
        copy.rows.append(Row(f"{subject}/{task}/{frame:04d}", picture, subject, "", "", file, line))
    if not lost or images is None:
        return
    line = frames.labelled[lost[0]]
    if len(lost) == len(frames.labelled):
        what = f"none of the {len(lost)} labelled frames has a picture in {base}"
        copy.error("sequence without pictures", path, line, what, "restore the frames of this sequence")
    else:
        n = counted(len(lost), "labelled frame has", "labelled frames have")
        what = f"{n} no picture: {some([str(frame) for frame in lost])}"
        copy.warning(
            "frame without picture",
            path,
            line,
            what,
            "nothing to do for single frames: they are left out and counted",
        )


def _intensities(copy: Copy, occurrence: Path, found: dict[tuple[str, str], _Frames]) -> None:
    folder = optional_folder(copy.root, copy.manifest, "intensity")
    if folder is None:
        names = " or ".join(copy.manifest.tree.folders["intensity"])
        what = f"there is no folder {names}, so no intensities are read"
        copy.warning("no intensities", copy.root, None, what, "needed only for what uses intensities")
        return
    units = {f"AU{unit:02d}": unit for unit in copy.manifest.intensity_aus}
    copy.extra_folders(folder, tuple(units))
    for name in units:
        if not (folder / name).is_dir():
            what = f"folder {name} is missing, so {name} has no intensities"
            copy.warning("no intensities", folder, None, what, "restore the folder")
            continue
        _intensity_folder(copy, folder / name, name, found)


def _intensity_folder(copy: Copy, folder: Path, name: str, found: dict[tuple[str, str], _Frames]) -> None:
    expected = {f"{subject}_{task}_{name}.csv": key for key in found for subject, task in [key]}
    present = {path.name for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")}
    missing, strange = sorted(expected.keys() - present), sorted(present - expected.keys())
    if missing:
        what = f"{counted(len(missing), 'sequence has', 'sequences have')} no {name} intensities: {some(missing)}"
        copy.warning("no intensities", folder, None, what, "restore the files")
    if strange:
        what = (
            f"{counted(len(strange), 'file belongs', 'files belong')} to no occurrence file: {some(strange)}"
        )
        copy.warning("strange file name", folder, None, what, "rename them, or restore the occurrence files")
    for file in sorted(present & expected.keys()):
        _intensity(copy, folder / file, found[expected[file]].named)


def _intensity(copy: Copy, path: Path, named: set[int]) -> None:
    not_coded = (copy.manifest.coding or Coding.model_validate({})).not_coded
    seen: dict[int, int] = {}
    unknown = []
    for line, row in fields_of(copy, path):
        if len(row) != 2:
            what = f"expected 'frame,intensity', found {','.join(row)!r}"
            copy.error("wrong number of fields", path, line, what, "write two fields a line, and no header")
            continue
        frame = whole(copy, path, line, row[0], "frame number")
        value = whole(copy, path, line, row[1], "intensity")
        if value is not None and value != not_coded and value > 5:
            what = f"unknown intensity {value}: known are 0 to 5 and {not_coded}"
            copy.error("unknown intensity", path, line, what, f"write 0 to 5, or {not_coded} for not coded")
        elif frame is not None and value is not None:
            # The reader would take the last of two rows without a word.
            if frame in seen:
                what = f"frame {frame} is listed twice (first in line {seen[frame]})"
                copy.error("frame twice", path, line, what, "remove one of the lines")
            seen[frame] = line
            if frame not in named:
                unknown.append((line, frame))
    if unknown:
        frames = some([str(frame) for _, frame in unknown])
        what = f"{counted(len(unknown), 'frame has', 'frames have')} an intensity and no occurrence row: {frames}"
        copy.warning("frame without occurrence", path, unknown[0][0], what, "restore the occurrence file")


def _strange_folders(copy: Copy, images: Path, found: dict[tuple[str, str], _Frames]) -> None:
    """Folders of pictures that no occurrence file speaks of, and frames outside the coded part."""
    people = sorted(path.name for path in images.iterdir() if path.is_dir())
    copy.extra_folders(images, [name for name in people if _SUBJECT.fullmatch(name)])
    without = []
    for person in people:
        if _SUBJECT.fullmatch(person):
            tasks = sorted(path.name for path in (images / person).iterdir() if path.is_dir())
            copy.extra_folders(images / person, [task for task in tasks if task in _TASKS])
            without += [
                f"{person}/{task}" for task in tasks if task in _TASKS and (person, task) not in found
            ]
    if without:
        n = counted(len(without), "sequence of pictures has", "sequences of pictures have")
        what = f"{n} no occurrence file: {some(without)}"
        copy.warning("picture without label", images, None, what, "restore the occurrence files")
    offset = int(copy.manifest.options["offset"])
    extra = {
        f"{subject}/{task}": sum(number - offset not in frames.named for number in frames.pictures)
        for (subject, task), frames in found.items()
    }
    extra = {name: n for name, n in extra.items() if n}
    if extra:
        what = f"{counted(sum(extra.values()), 'picture has', 'pictures have')} no label row, in {some(list(extra))}"
        copy.warning(
            "picture without label", images, None, what, "nothing to do: about 20 s of a video are coded"
        )


def _shift(copy: Copy, images: Path, found: dict[tuple[str, str], _Frames]) -> None:
    """Warn when pictures look numbered from another start than the labels."""
    offset = int(copy.manifest.options["offset"])
    usable = [frames for frames in found.values() if frames.labelled and frames.pictures]
    ends = [(min(frames.labelled), max(frames.labelled), frames.pictures) for frames in usable]
    lost = sum(low + offset not in pictures or high + offset not in pictures for low, high, pictures in ends)
    if len(usable) >= _FEWEST_FOR_SHIFT and lost > len(usable) / 2:
        what = f"the first or last labelled frame has no picture in {lost} of {len(usable)} sequences"
        copy.warning(
            "frame offset", images, None, what, "compare numbers, and set the reader option `offset`"
        )
