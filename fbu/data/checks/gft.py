"""GFT: one csv per participant or one of all, the list of parts, and frames."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fbu.data.checks import Copy, Row
from fbu.data.checks.frames import (
    Frames,
    numbered_pictures,
    picture_of,
    shift,
    sound_offset,
    strange_files,
    unlabelled,
    without_picture,
)
from fbu.data.checks.text import fields_of, has_width, table_of, whole
from fbu.data.layouts.files import inside
from fbu.data.layouts.gft import PARTICIPANT, SUBJECT, VALUES, unit_columns
from fbu.errors import DataError
from fbu.wording import counted, some

#: Ways to say that nobody coded a unit, which no public text fixes.
_NOT_CODED = {"", "nan", "-1", "-9", "-999", "9", "99", "999"}


@dataclass
class _Participant:
    """Frames of one participant, the file that tells of them, and how many have no valid code."""

    path: Path
    frames: Frames = field(default_factory=Frames)
    uncoded: int = 0


def examine(copy: Copy) -> None:
    """Check the list of parts, the annotations and the frames."""
    sound_offset(copy)
    images, parts = copy.folder("images"), _parts(copy)
    found: dict[str, _Participant] = {}
    for path, column in _files(copy):
        _annotations(copy, path, column, found)
    for subject, one in found.items():
        if not one.frames.named:
            continue
        if images is not None:
            one.frames.pictures = numbered_pictures(copy, images / subject)
        _add(copy, subject, one, parts, images)
    if parts is not None and found:
        _without_annotations(copy, sorted(parts.keys() - found.keys()))
    if images is not None and found:
        copy.extra_folders(images, list(found))
        frames = {subject: one.frames for subject, one in found.items()}
        unlabelled(copy, images, frames)
        shift(copy, images, frames.values())


def _place(copy: Copy, option: str) -> Path | None:
    """File or folder that a reader option names."""
    try:
        return copy.root / inside(str(copy.manifest.options[option]), copy.root)
    except DataError:
        what = (
            f"option {option} is {copy.manifest.options[option]!r}, which is empty or leads out of the folder"
        )
        copy.error("wrong option", copy.root, None, what, "name a file or folder below the dataset's folder")
        return None


def _parts(copy: Copy) -> dict[str, str] | None:
    """Part of each participant; None without a list."""
    path = _place(copy, "split")
    if path is None:
        return None
    if not path.is_file():
        mend = (
            "write the owner's list there as subject,split with a line like 001A,train for each participant"
        )
        copy.error("missing file", path, None, "the list of train and test participants is missing", mend)
        return None
    found: dict[str, tuple[str, int]] = {}
    for line, row in table_of(copy, path, ["subject", "split"]):
        subject, part = row["subject"], row["split"]
        if part not in ("train", "test"):
            what = f"unknown split {part!r}: known are train, test"
            copy.error("unknown split", path, line, what, "write train or test, in small letters")
        elif subject in found:
            before, first = found[subject]
            kind = "duplicate row" if before == part else "subject in two parts"
            what = f"participant {subject} is in {part} here and in {before} in line {first}"
            copy.error(kind, path, line, what, "keep one of the lines")
        # Listed all the same, so that the annotations do not complain about it, too.
        found.setdefault(subject, (part, line))
    return {subject: part for subject, (part, _) in found.items()}


def _files(copy: Copy) -> Iterator[tuple[Path, str]]:
    """Annotation files, each with its column of participants (empty: the name says who it is)."""
    where = _place(copy, "annotations")
    if where is None:
        return
    if where.is_file():
        yield where, str(copy.manifest.options["subject_column"])
        return
    if not where.is_dir():
        mend = "put it there, or name another folder or file with option annotations"
        copy.error("missing folder", where, None, "there is neither a folder nor a file of annotations", mend)
        return
    files = sorted(path for path in where.iterdir() if path.is_file() and not path.name.startswith("."))
    good = [path for path in files if PARTICIPANT.fullmatch(path.name)]
    strange_files(copy, where, [path.name for path in files if path not in good], "001A.csv")
    if not good:
        copy.error(
            "missing file", where, None, "there is no file like 001A.csv", "restore the annotation files"
        )
    first: dict[str, Path] = {}
    for path in good:
        subject = path.name[:4]
        if first.setdefault(subject, path) is path:
            yield path, ""
        else:
            what = f"participant {subject} has two files, the other is {first[subject].name}"
            copy.error("two files of a participant", path, None, what, "keep one of them")


def _annotations(copy: Copy, path: Path, column: str, found: dict[str, _Participant]) -> None:
    """Note the frames of one file; everything wrong in it is reported."""
    rows = fields_of(copy, path)
    if not rows:
        return
    (first, header), *rest = rows
    units = _units(copy, path, first, header, column)
    if units is None:
        return
    if not rest:
        copy.error("empty file", path, first, "there is a header and no frame below it", "restore the file")
    frame_column = str(copy.manifest.options["frame_column"])
    unknown: dict[str, list[int]] = {}
    not_coded: Counter[int] = Counter()
    count: Counter[str] = Counter()
    for line, row in rest:
        if not has_width(copy, path, line, row, len(header)):
            continue
        subject = row[header.index(column)] if column else path.name[:4]
        if not SUBJECT.fullmatch(subject) and not _odd(copy, path, line, subject, subject in count):
            continue
        count[subject] += 1
        frame: int | None = count[subject]
        if frame_column:
            frame = whole(copy, path, line, row[header.index(frame_column)], "frame number")
        for unit, at in units.items():
            if row[at] not in VALUES:
                not_coded[unit] += 1
                if row[at].removesuffix(".0").lower() not in _NOT_CODED:
                    unknown.setdefault(row[at], []).append(line)
        if frame is not None:
            one = found.setdefault(subject, _Participant(path))
            _note(copy, one, path, line, frame, any(row[at] in VALUES for at in units.values()))
    _codes(copy, path, len(rest), unknown, not_coded)


def _units(copy: Copy, path: Path, line: int, header: Sequence[str], column: str) -> dict[int, int] | None:
    """Column of each unit; None, and errors, where the header lacks something."""
    good = True
    for name in filter(None, (column, str(copy.manifest.options["frame_column"]))):
        if name not in header:
            what = f"column {name!r} is missing; found {some(header, 6)}"
            copy.error(
                "missing column", path, line, what, "restore the header; a reader option names the column"
            )
            good = False
    places = unit_columns(header)
    for unit in copy.manifest.aus:
        if unit not in places:
            what = f"there is no column of AU{unit} (AU{unit}, AU{unit:02d} or {unit})"
            copy.error("missing column", path, line, what, "restore the column")
            good = False
        elif len(places[unit]) > 1:
            what = f"AU{unit} has {len(places[unit])} columns: {', '.join(header[at] for at in places[unit])}"
            copy.error("column twice", path, line, what, "keep the column that the owner's file has")
    return {unit: places[unit][-1] for unit in copy.manifest.aus} if good else None


def _odd(copy: Copy, path: Path, line: int, subject: str, known: bool) -> bool:
    """Report a participant of another form; whether its rows can be read all the same."""
    if not subject or "/" in subject or "\\" in subject or ".." in subject:
        what = f"participant {subject!r} is empty or a path"
        copy.error("path leaves the folder", path, line, what, "write a name like 001A")
        return False
    if not known:
        what = f"participant {subject!r} is not called like 001A"
        copy.warning("strange subject", path, line, what, "nothing to do if it is the owner's name")
    return True


def _note(copy: Copy, one: _Participant, path: Path, line: int, frame: int, coded: bool) -> None:
    if frame in one.frames.named:
        before = one.frames.labelled.get(frame)
        what = f"frame {frame} is listed twice" + (f" (first in line {before})" if before else "")
        copy.error("frame twice", path, line, what, "remove one of the lines")
        return
    one.frames.named.add(frame)
    if coded:
        one.frames.labelled[frame] = line
    else:
        one.uncoded += 1


def _codes(copy: Copy, path: Path, rows: int, unknown: dict[str, list[int]], not_coded: Counter[int]) -> None:
    for value, lines in unknown.items():
        n = counted(len(lines), "place", "places")
        what = f"unknown label code {value!r} in {n}: known are 0 and 1, and e.g. -1 or 9 for not coded"
        copy.warning("unknown label code", path, lines[0], what, "correct it; it is read as not coded")
    for unit, times in not_coded.items():
        if times == rows:
            what = f"AU{unit} is not coded in any frame"
            copy.warning("unit not coded", path, None, what, "nothing to do if the owner's file has it so")


def _add(
    copy: Copy, subject: str, one: _Participant, parts: dict[str, str] | None, images: Path | None
) -> None:
    """Add the rows of one participant."""
    copy.sequences.add(subject)
    if parts is not None and subject not in parts:
        line = next(iter(one.frames.labelled.values()), None)
        what = f"participant {subject} is not in the list of train and test participants"
        mend = f"add a line {subject},train or {subject},test to {copy.manifest.options['split']}"
        copy.error("unknown subject", one.path, line, what, mend)
    if not one.frames.labelled:
        what = f"none of the {one.uncoded} frames of {subject} has a valid code, so none is read"
        copy.warning("no valid code", one.path, None, what, "nothing to do if the owner's file has it so")
        return
    base = "" if images is None else f"{copy.relative(images)}/{subject}"
    part = (parts or {}).get(subject, "")
    for frame, line in one.frames.labelled.items():
        picture = picture_of(copy, one.frames, frame, base)
        copy.rows.append(
            Row(f"{subject}/{frame:04d}", picture, subject, "", part, copy.relative(one.path), line)
        )
    if images is not None:
        without_picture(copy, one.frames, one.path, base)


def _without_annotations(copy: Copy, subjects: Sequence[str]) -> None:
    if subjects:
        n = counted(len(subjects), "participant", "participants")
        what = f"{n} of the list of parts without annotations: {some(subjects)}"
        path = copy.root / str(copy.manifest.options["split"])
        copy.warning("subject without labels", path, None, what, "restore the annotation files")
