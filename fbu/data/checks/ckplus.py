"""CK+: sequence by sequence, frames, emotion files and files of action units."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from fbu.data.checks import Copy, Row
from fbu.data.checks.frames import numbered, strange_files
from fbu.data.checks.text import text_lines
from fbu.data.layouts.ckplus import (
    EMOTION,
    FACS,
    FIRST_FRAMES,
    PICTURE,
    SEQUENCE,
    SUBJECT,
    expected,
    first_counts,
    whole_values,
)
from fbu.data.layouts.files import optional_folder
from fbu.data.layouts.frames import STRONGEST
from fbu.wording import counted, some


class _Emotion(NamedTuple):
    """A labelled frame, the class (None: unknown) and where it stands."""

    frame: int
    name: str | None
    path: Path
    line: int | None


def examine(copy: Copy) -> None:
    """Check the frames of each sequence, and the files that code its last one."""
    images, emotions = copy.folder("images"), copy.folder("emotion")
    facs = optional_folder(copy.root, copy.manifest, "facs")
    if facs is None:
        names = " or ".join(copy.manifest.tree.folders["facs"])
        what = f"there is no folder {names}, so no action units are read"
        copy.warning("no action units", copy.root, None, what, "needed only for what uses action units")
    filmed = set(_sequences(copy, images))
    labelled = set(_sequences(copy, emotions))
    uncoded = []
    for sequence in sorted(filmed | labelled):
        emotion = None if emotions is None else _emotion(copy, emotions / sequence)
        pictures = {} if images is None else _pictures(copy, images / sequence)
        coded = {} if facs is None else _coded(copy, facs / sequence, "_facs.txt", FACS)
        for name in coded.values():
            _facs(copy, facs / sequence / name if facs is not None else Path(name))
        if emotion is None:
            continue
        copy.sequences.add(sequence)
        if facs is not None and emotion.frame not in coded:
            uncoded.append(sequence)
        if images is not None:
            _match(copy, images / sequence, emotion, pictures)
    if uncoded and facs is not None:
        n = counted(len(uncoded), "labelled frame has", "labelled frames have")
        what = f"{n} no file of action units: {some(uncoded)}"
        copy.warning(
            "no action units", facs, None, what, "restore the files; action units count as not coded"
        )


def _sequences(copy: Copy, folder: Path | None) -> Iterator[str]:
    """``S005/001`` of each folder of a sequence; other folders are reported."""
    if folder is None:
        return
    people = sorted(path.name for path in folder.iterdir() if path.is_dir())
    copy.extra_folders(folder, [name for name in people if SUBJECT.fullmatch(name)])
    for person in filter(SUBJECT.fullmatch, people):
        inner = sorted(path.name for path in (folder / person).iterdir() if path.is_dir())
        copy.extra_folders(folder / person, [name for name in inner if SEQUENCE.fullmatch(name)])
        yield from (f"{person}/{name}" for name in inner if SEQUENCE.fullmatch(name))


def _coded(copy: Copy, base: Path, ending: str, pattern: re.Pattern[str]) -> dict[int, str]:
    """Frame -> file name; reports other names, files of another sequence and two files of one frame."""
    prefix = f"{base.parent.name}_{base.name}_"
    names = [path.name for path in sorted(base.iterdir()) if path.is_file()] if base.is_dir() else []
    strange = [name for name in names if not pattern.fullmatch(name) and not name.startswith(".")]
    strange_files(copy, base, strange, f"{prefix}00000001{ending}")
    for name in filter(pattern.fullmatch, names):
        if not name.startswith(prefix):
            what = f"{name} lies in the folder of {prefix.rstrip('_')} and would be read as its own"
            copy.error("misplaced file", base / name, None, what, "move it to the folder that its name says")
    return numbered(copy, base, pattern)


def _pictures(copy: Copy, base: Path) -> dict[int, str]:
    """Frame -> name of the frames of a sequence; reports gaps, because the first frame is the neutral face."""
    found = _coded(copy, base, ".png", PICTURE)
    missing = sorted(set(range(1, max(found, default=0) + 1)) - found.keys())
    if missing:
        told = some([str(frame) for frame in missing])
        what = f"{counted(len(missing), 'frame', 'frames')} of 1 to {max(found)} missing: {told}"
        mend = "restore the frames; if the first one is lost, a later one counts as the neutral face"
        copy.warning("frame gap", base, None, what, mend)
    return found


def _emotion(copy: Copy, base: Path) -> _Emotion | None:
    """Label of a sequence, or None: it is not labelled."""
    files = _coded(copy, base, "_emotion.txt", EMOTION)
    if not files:
        return None
    (frame, name), *more = sorted(files.items())
    path = base / name
    if more:
        what = f"the sequence has several emotion files: {some(list(files.values()))}"
        copy.error("two emotion files", path, None, what, "keep the one of the last frame")
        return _Emotion(frame, None, path, None)
    lines = [(line, text) for line, text in text_lines(copy, path) if text.strip()]
    for line, text in lines[1:]:
        what = f"expected one number, found another line {text.strip()!r}"
        copy.error("malformed line", path, line, what, "keep one code")
    if not lines:
        return _Emotion(frame, None, path, None)
    line, text = lines[0]
    code = whole_values(text, 1)
    if code is None:
        what = f"{expected(1)}, found {text.strip()!r}"
        copy.error("malformed line", path, line, what, "restore the owner's file")
    elif str(code[0]) not in copy.manifest.codes:
        what = f"unknown label code '{code[0]}': known are {', '.join(copy.manifest.codes)}"
        copy.error("unknown label code", path, line, what, "restore the owner's file")
    label = copy.manifest.codes.get(str(code[0])) if code is not None else None
    return _Emotion(frame, label, path, line)


def _facs(copy: Copy, path: Path) -> None:
    """Report what is wrong in a file of action units; one with blank lines only says that there is none."""
    seen: dict[int, int] = {}
    if not path.stat().st_size:
        what = "the file has 0 bytes and counts as a face without any action unit"
        copy.warning("empty file", path, None, what, "restore it, unless the owner's file is empty")
        return
    if not path.read_bytes().strip():
        return
    for line, text in text_lines(copy, path):
        if not text.strip():
            continue
        values = whole_values(text, 2)
        if values is None:
            what = f"{expected(2)}, found {text.strip()!r}"
            copy.error("malformed line", path, line, what, "write unit and intensity")
            continue
        unit, intensity = values
        if not 0 <= intensity <= STRONGEST:
            what = f"unknown intensity {intensity}: known are 0 to {STRONGEST}"
            copy.error("unknown intensity", path, line, what, "write 0 where the strength is not given")
        if unit in seen:
            what = f"AU{unit} is listed twice (first in line {seen[unit]})"
            copy.error("unit twice", path, line, what, "remove one of the lines")
        seen.setdefault(unit, line)


def _match(copy: Copy, base: Path, emotion: _Emotion, pictures: dict[int, str]) -> None:
    """Add the last frame of a labelled sequence, and its first where that counts as neutral."""
    last = max(pictures, default=None)
    if last is None:
        what = f"the labelled sequence has no picture in {copy.relative(base)}"
        copy.error("sequence without pictures", emotion.path, None, what, "restore the frames")
        return
    if emotion.frame != last:
        what = f"frame {emotion.frame} is labelled and the sequence ends with {last}, so it is left out"
        copy.error(
            "label of another frame", emotion.path, None, what, "restore the frames, or the file's name"
        )
        return
    if emotion.name is None:
        return
    wanted, first = str(copy.manifest.options["first_frames"]), min(pictures)
    rows = [(last, emotion.name)]
    # A wrong option is the reader's to complain about.
    neutral = wanted in FIRST_FRAMES and first_counts(wanted, (last, emotion.name))
    if neutral and first != last:
        rows.append((first, "neutral"))
    elif neutral:
        what = "the sequence has one picture, so it has no neutral face"
        copy.warning("frame gap", base, None, what, "restore the first frame")
    subject = base.parent.name
    for frame, label in rows:
        sample = f"{subject}/{base.name}/{frame:08d}"
        path = f"{copy.relative(base)}/{pictures[frame]}"
        copy.rows.append(Row(sample, path, subject, label, "test", copy.relative(emotion.path), emotion.line))
