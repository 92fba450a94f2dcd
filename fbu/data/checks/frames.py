"""Frames of the BP4D family: every occurrence and intensity file, and the frames that they speak of."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fbu.data.checks import Copy, Row
from fbu.data.checks.text import fields_of, has_width, whole
from fbu.data.layouts.files import optional_folder
from fbu.data.layouts.frames import (
    PICTURE,
    SEQUENCE,
    STRONGEST,
    SUBJECT,
    intensity_name,
    unit_columns,
    whole_option,
)
from fbu.data.manifest import Coding
from fbu.errors import DataError
from fbu.wording import counted, some

_ENDINGS = (".jpg", ".jpeg", ".png")
_CODES = "write 0 (absent), 1 (present) or 9 (not coded)"
# A shift of the numbers shows at the ends of most sequences; a lost frame shows at few.
_FEWEST_FOR_SHIFT = 3


@dataclass(frozen=True)
class Form:
    """What tells one set of the family from another.

    Attributes:
        tasks: those that were filmed.
        coded: those that have occurrence files.
        is_header: whether the first line of an occurrence file has a known form.
        header: the owner's header, for people.
    """

    tasks: tuple[str, ...]
    coded: tuple[str, ...]
    is_header: Callable[[list[str]], bool]
    header: str


@dataclass
class Frames:
    """Frames of one sequence.

    Attributes:
        labelled: line of each labelled frame.
        named: frames with a row of any kind.
        pictures: file name of each number.
    """

    labelled: dict[int, int] = field(default_factory=dict)
    named: set[int] = field(default_factory=set)
    pictures: dict[int, str] = field(default_factory=dict)


def examine_frames(copy: Copy, form: Form) -> None:
    """Check occurrence files, intensity files and frames."""
    sound_offset(copy)
    images, occurrence = copy.folder("images"), copy.folder("occurrence")
    found: dict[tuple[str, str], Frames] = {}
    if occurrence is not None:
        for subject, task, path in _sequences(copy, occurrence, form):
            frames = found[subject, task] = Frames()
            _occurrence(copy, path, frames, form)
            if images is not None:
                frames.pictures = numbered_pictures(copy, images / subject / task)
            _match(copy, frames, subject, task, path, images)
        _intensities(copy, found)
    if images is not None:
        _strange_folders(copy, images, found, form)
        if occurrence is not None:
            unlabelled(copy, images, {f"{subject}/{task}": one for (subject, task), one in found.items()})
            shift(copy, images, found.values())


def sound_offset(copy: Copy) -> None:
    """Report an option ``offset`` that is no number, and go on without it."""
    try:
        whole_option(copy.manifest, "offset")
    except DataError as error:
        copy.error(
            "wrong option", copy.root, None, str(error), "write a number such as -1, or remove the option"
        )
        copy.manifest = copy.manifest.with_options({"offset": 0})


def _sequences(copy: Copy, occurrence: Path, form: Form) -> list[tuple[str, str, Path]]:
    found, strange = [], []
    for path in sorted(occurrence.iterdir()):
        match = SEQUENCE.fullmatch(path.name)
        if match is not None and path.is_file():
            found.append((match[1], match[2], path))
            if match[2] not in form.coded:
                what = f"nobody coded a task {match[2]}: known are {', '.join(form.coded)}"
                copy.warning(
                    "unknown task", path, None, what, "correct the file's name, or move it elsewhere"
                )
        elif path.is_file() and not path.name.startswith("."):
            strange.append(path.name)
    strange_files(copy, occurrence, strange, "F001_T1.csv")
    if not found:
        mend = "restore the occurrence files"
        copy.error("missing file", occurrence, None, "there is no file like F001_T1.csv", mend)
    return found


def strange_files(
    copy: Copy,
    folder: Path,
    names: Sequence[str],
    example: str,
    mend: str = "rename or move them; small letters count",
) -> None:
    """Warn once about files that a reader passes over because of their names."""
    if names:
        n = counted(len(names), "file is", "files are")
        what = f"{n} not named like {example} and not read: {some(names)}"
        copy.warning("strange file name", folder, None, what, mend)


def _occurrence(copy: Copy, path: Path, frames: Frames, form: Form) -> None:
    """Note the frames of one occurrence file; everything wrong in it is reported."""
    rows = fields_of(copy, path)
    if not rows:
        return
    (first, header), *rest = rows
    if not form.is_header(header):
        what = f"unknown header {','.join(header[:6])}... with {len(header)} columns"
        copy.error("unknown header", path, first, what, f"restore the owner's header {form.header}")
        return
    where = unit_columns(header, copy.manifest)
    for unit in copy.manifest.aus:
        if unit not in where:
            what = f"column {str(unit)!r} (AU{unit}) is missing"
            mend = "restore the column; action units are found by name"
            copy.error("missing column", path, first, what, mend)
    if not rest:
        copy.error("empty file", path, first, "there is a header and no frame below it", "restore the file")
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


def numbered_pictures(copy: Copy, directory: Path) -> dict[int, str]:
    """Number -> name of the pictures of a folder; reports what is not named by a number."""
    strange = [
        name
        for name in _names(directory)
        if name.lower().endswith(_ENDINGS) and not name.startswith(".") and not PICTURE.fullmatch(name)
    ]
    if strange:
        what = f"{counted(len(strange), 'picture has', 'pictures have')} no frame number for a name: {some(strange)}"
        copy.warning("strange file name", directory, None, what, "name frames by their number, e.g. 2440.jpg")
    return numbered(copy, directory, PICTURE)


def numbered(copy: Copy, directory: Path, pattern: re.Pattern[str]) -> dict[int, str]:
    """As `fbu.data.layouts.frames.numbered_files`, and reports two files of one number."""
    found: dict[int, str] = {}
    for name in _names(directory):
        if match := pattern.fullmatch(name):
            first = found.setdefault(int(match[1]), name)
            if first != name:
                what = f"{first} and {name} have the same number"
                copy.error("number twice", directory / name, None, what, "remove one of the two files")
    return found


def _names(directory: Path) -> list[str]:
    return sorted(os.listdir(directory)) if directory.is_dir() else []


def _match(copy: Copy, frames: Frames, subject: str, task: str, path: Path, images: Path | None) -> None:
    """Add the rows of one sequence, and report labelled frames without a picture."""
    copy.sequences.add(f"{subject}/{task}")
    file = copy.relative(path)
    base = "" if images is None else f"{copy.relative(images)}/{subject}/{task}"
    for frame, line in frames.labelled.items():
        picture = picture_of(copy, frames, frame, base)
        copy.rows.append(Row(f"{subject}/{task}/{frame:04d}", picture, subject, "", "", file, line))
    if images is not None:
        without_picture(copy, frames, path, base)


def picture_of(copy: Copy, frames: Frames, frame: int, base: str) -> str:
    """Path of a frame's picture, empty if there is none."""
    name = frames.pictures.get(frame + whole_option(copy.manifest, "offset"))
    return f"{base}/{name}" if name else ""


def without_picture(copy: Copy, frames: Frames, path: Path, base: str) -> None:
    """Report the labelled frames of one sequence that have no picture."""
    lost = [frame for frame in frames.labelled if not picture_of(copy, frames, frame, base)]
    if not lost:
        return
    line = frames.labelled[lost[0]]
    if len(lost) == len(frames.labelled):
        n = counted(len(lost), "labelled frame", "labelled frames")
        what, mend = f"the sequence has {n} and no picture of them in {base}", "restore the frames"
        if (archive := copy.root / f"{base.rpartition('/')[0]}.zip").is_file():
            mend = f"unpack {copy.relative(archive)}"
        copy.error("sequence without pictures", path, line, what, mend)
        return
    n = counted(len(lost), "labelled frame has", "labelled frames have")
    what = f"{n} no picture: {some([str(frame) for frame in lost])}"
    mend = "nothing to do for single frames: they are left out and counted"
    copy.warning("frame without picture", path, line, what, mend)


def _intensities(copy: Copy, found: dict[tuple[str, str], Frames]) -> None:
    folder = optional_folder(copy.root, copy.manifest, "intensity")
    if folder is None:
        names = " or ".join(copy.manifest.tree.folders["intensity"])
        what = f"there is no folder {names}, so no intensities are read"
        copy.warning("no intensities", copy.root, None, what, "needed only for what uses intensities")
        return
    units = {f"AU{unit:02d}": unit for unit in copy.manifest.intensity_aus}
    copy.extra_folders(folder, tuple(units))
    for name, unit in units.items():
        if not (folder / name).is_dir():
            what = f"folder {name} is missing, so {name} has no intensities"
            copy.warning("no intensities", folder, None, what, "restore the folder")
            continue
        _intensity_folder(copy, folder / name, unit, found)


def _intensity_folder(copy: Copy, folder: Path, unit: int, found: dict[tuple[str, str], Frames]) -> None:
    expected = {
        Path(intensity_name(f"{subject}_{task}", unit)).name: (subject, task) for subject, task in found
    }
    present = {path.name for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")}
    missing, strange = sorted(expected.keys() - present), sorted(present - expected.keys())
    if missing:
        what = f"{counted(len(missing), 'sequence has', 'sequences have')} no AU{unit} intensities: {some(missing)}"
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
    for line, frame, value in graded_rows(copy, path, not_coded):
        if frame is not None and value is not None:
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


def graded_rows(
    copy: Copy, path: Path, not_coded: int | None
) -> Iterator[tuple[int, int | None, int | None]]:
    """Line, frame and intensity of each row of two fields; what cannot be used is reported, and None.

    ``not_coded`` is the value that stands for no intensity, None where every frame has one.
    """
    if not_coded is None:
        known, mend = f"0 to {STRONGEST}", f"write 0 to {STRONGEST}; nothing is left uncoded"
    else:
        known = f"0 to {STRONGEST} and {not_coded}"
        mend = f"write 0 to {STRONGEST}, or {not_coded} for not coded"
    for line, row in fields_of(copy, path):
        if len(row) != 2:
            what = f"expected 'frame,intensity', found {','.join(row)!r}"
            copy.error("wrong number of fields", path, line, what, "write two fields a line, and no header")
            continue
        frame = whole(copy, path, line, row[0], "frame number")
        value = whole(copy, path, line, row[1], "intensity")
        if value is not None and value != not_coded and value > STRONGEST:
            what = f"unknown intensity {value}: known are {known}"
            copy.error("unknown intensity", path, line, what, mend)
            value = None
        yield line, frame, value


def _strange_folders(copy: Copy, images: Path, found: Mapping[tuple[str, str], Frames], form: Form) -> None:
    """Folders that the layout does not have, and coded sequences whose occurrence file is lost."""
    people = sorted(path.name for path in images.iterdir() if path.is_dir())
    copy.extra_folders(images, [name for name in people if SUBJECT.fullmatch(name)])
    without = []
    for person in filter(SUBJECT.fullmatch, people):
        copy.extra_folders(images / person, form.tasks)
        tasks = {path.name for path in (images / person).iterdir() if path.is_dir()}
        without += [f"{person}/{t}" for t in form.coded if t in tasks and (person, t) not in found]
    if without:
        n = counted(len(without), "sequence of pictures has", "sequences of pictures have")
        what = f"{n} no occurrence file: {some(without)}"
        copy.warning("picture without label", images, None, what, "restore the occurrence files")


def unlabelled(copy: Copy, images: Path, found: Mapping[str, Frames]) -> None:
    """Warn once about pictures outside the coded part; ``found`` is by folder."""
    offset = whole_option(copy.manifest, "offset")
    extra = {
        name: sum(number - offset not in frames.named for number in frames.pictures)
        for name, frames in found.items()
    }
    extra = {name: n for name, n in extra.items() if n}
    if extra:
        what = f"{counted(sum(extra.values()), 'picture has', 'pictures have')} no label row, in {some(list(extra))}"
        copy.warning("picture without label", images, None, what, "nothing to do if only a part was coded")


def shift(copy: Copy, images: Path, found: Collection[Frames]) -> None:
    """Warn when pictures look numbered from another start than the labels."""
    usable = [frames for frames in found if frames.labelled and frames.pictures]
    ends = [(min(frames.labelled), max(frames.labelled), frames) for frames in usable]
    lost = sum(any(not picture_of(copy, one, frame, "") for frame in (low, high)) for low, high, one in ends)
    if len(usable) >= _FEWEST_FOR_SHIFT and lost > len(usable) / 2:
        what = f"the first or last labelled frame has no picture in {lost} of {len(usable)} sequences"
        copy.warning(
            "frame offset", images, None, what, "compare numbers, and set the reader option `offset`"
        )
