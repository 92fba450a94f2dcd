"""GFT: frames by participant, csv files of action units, and a list of train and test participants.

No public text gives the names of the owner's annotation files, so they are reader options.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from fbu.data.layouts.files import (
    World,
    folder,
    inside,
    number,
    numbered,
    table,
    write_lines,
    write_twin_pictures,
)
from fbu.data.layouts.frames import LOST, numbered_files, whole_option
from fbu.data.layouts.twin_frames import PRESENT, draw
from fbu.data.manifest import Manifest
from fbu.errors import DataError

#: Units of a public reader's table; the twin writes these.
UNITS = (1, 2, 4, 5, 6, 7, 9, 10, 11, 12, 14, 15, 17, 23, 24)
#: Name of a participant's file.
PARTICIPANT = re.compile(r"(\d{3}[A-Z])\D*\.csv")
SUBJECT = re.compile(r"\d{3}[A-Z]")
UNIT = re.compile(r"(?:AU)?0*([1-9]\d*)", re.IGNORECASE)
#: Values that are codes; anything else is not coded.
VALUES = {"0": 0, "1": 1, "0.0": 0, "1.0": 1}
_UNCODED = "frames without any valid code"

#: File, line, frame and values of the manifest's units.
_Row = tuple[Path, int, int, list[int]]


def read(root: Path, manifest: Manifest) -> pd.DataFrame:
    """Read one csv per participant, or one csv of all, and the list of train and test participants.

    Option ``annotations`` names the folder (files ``001A.csv`` ...) or the csv (with a column
    ``subject_column``) below root. The frame number is in ``frame_column``; where that option is empty, rows
    count from 1. Unit columns may be called ``AU1``, ``AU01`` or ``1``; whatever is not 0 or 1 is not coded.
    Option ``split`` names a csv ``subject,split`` with ``train`` or ``test``.

    Returns:
        sample (``001A/0001``), path, subject, frame, part, AU1 ... (1, 0, -1 = not coded). Frames without a
        picture or without any valid code are counted and left out.

    Raises:
        DataError: a missing file or column, a frame listed twice, a participant without a split.
    """
    images = folder(root, manifest, "images")
    parts, listing = _parts(root, manifest)
    offset = whole_option(manifest, "offset")
    found: list[list[str | int]] = []
    lost = uncoded = 0
    for subject, rows in _by_participant(root, manifest).items():
        if subject not in parts:
            raise DataError(
                f"{listing}: participant {subject!r} is missing: add a line {subject},train or test"
            )
        pictures = numbered_files(images / subject)
        base = (images / subject).relative_to(root).as_posix()
        seen: set[int] = set()
        for path, line, frame, values in rows:
            if frame in seen:
                raise DataError(f"{path}:{line}: frame {frame} of {subject} is listed twice")
            seen.add(frame)
            if all(value < 0 for value in values):
                uncoded += 1
            elif frame + offset not in pictures:
                lost += 1
            else:
                picture = f"{base}/{pictures[frame + offset]}"
                found.append([f"{subject}/{frame:04d}", picture, subject, frame, parts[subject], *values])
    columns = ["sample", "path", "subject", "frame", "part", *manifest.labels]
    frames = pd.DataFrame(found, columns=columns).astype(dict.fromkeys(manifest.labels, "int8"))
    frames.attrs["skipped"] = {LOST: lost, _UNCODED: uncoded}
    return frames


def _parts(root: Path, manifest: Manifest) -> tuple[dict[str, str], Path]:
    """Participant -> ``train`` or ``test``, and the file that says so."""
    path = root / inside(str(manifest.options["split"]), root, "gft: option split")
    if not path.is_file():
        raise DataError(
            f"{path} is missing: the train and test participants are not public; write the owner's list there as "
            "subject,split with a line like 001A,train for each, or name another file with option split"
        )
    found: dict[str, str] = {}
    for line, row in table(path, ["subject", "split"]):
        if row["split"] not in ("train", "test"):
            raise DataError(f"{path}:{line}: unknown split {row['split']!r}: known are train, test")
        if row["subject"] in found:
            raise DataError(f"{path}:{line}: participant {row['subject']!r} is listed twice")
        found[row["subject"]] = row["split"]
    return found, path


def _by_participant(root: Path, manifest: Manifest) -> dict[str, list[_Row]]:
    where = root / inside(str(manifest.options["annotations"]), root, "gft: option annotations")
    found: dict[str, list[_Row]] = {}
    if where.is_dir():
        for path in sorted(where.iterdir()):
            if match := PARTICIPANT.fullmatch(path.name):
                if match[1] in found:
                    raise DataError(
                        f"{where}: two files of participant {match[1]}, the second is {path.name}"
                    )
                found[match[1]] = [row for _, row in _rows(path, "", manifest)]
        if not found:
            raise DataError(
                f"{where}: no file like 001A.csv; option annotations names another folder or file"
            )
    elif where.is_file():
        for subject, row in _rows(where, str(manifest.options["subject_column"]), manifest):
            found.setdefault(subject, []).append(row)
    else:
        raise DataError(
            f"{where} is missing: option annotations names the folder or file; GFT lies as\n{manifest.tree.text}"
        )
    return found


def _rows(path: Path, subject_column: str, manifest: Manifest) -> Iterator[tuple[str, _Row]]:
    """Participant ("" without a column of it) and row, in the order of the file."""
    rows = numbered(path)
    _, header = next(rows, (1, []))
    frame_column = str(manifest.options["frame_column"])
    for column in filter(None, (subject_column, frame_column)):
        if column not in header:
            known = ", ".join(header) or "an empty file"
            raise DataError(f"{path}:1: column {column!r} is missing; found {known}; an option names it")
    units = {unit: places[-1] for unit, places in unit_columns(header).items()}
    for unit in manifest.aus:
        if unit not in units:
            raise DataError(f"{path}:1: no column of AU{unit} (AU{unit}, AU{unit:02d} or {unit})")
    count: dict[str, int] = {}
    for line, row in rows:
        if len(row) != len(header):
            raise DataError(f"{path}:{line}: {len(row)} fields where the header has {len(header)}")
        subject = row[header.index(subject_column)] if subject_column else ""
        count[subject] = count.get(subject, 0) + 1
        frame = count[subject]
        if frame_column:
            frame = number(row[header.index(frame_column)], path, line, "frame number")
        yield subject, (path, line, frame, [VALUES.get(row[units[unit]], -1) for unit in manifest.aus])


def unit_columns(header: Sequence[str]) -> dict[int, list[int]]:
    """Columns of each unit, called ``AU1``, ``AU01`` or ``1``; more than one where a unit comes up again."""
    found: dict[int, list[int]] = {}
    for at, name in enumerate(header):
        if match := UNIT.fullmatch(name):
            found.setdefault(int(match[1]), []).append(at)
    return found


def write(world: World, root: Path, *, image_size: int) -> None:
    """Write frames, one csv per participant and the list of train and test participants.

    About a quarter of the frames has no valid code, and a few have one unit that is not coded. 6 of 32 groups are for
    testing.

    Args:
        world: records with subject (``001A``), frame and ``AU<n>_intensity``.
        root: the dataset's folder.
        image_size: side of the pictures in pixels.
    """
    records = world.records.reset_index(drop=True)
    header = ",".join(["frame", *(f"AU{unit}" for unit in UNITS)])
    split = ["subject,split"]
    for subject, part in records.groupby("subject", sort=True):
        text = [header]
        for record in part.sort_values("frame").to_dict("records"):
            text.append(
                ",".join(map(str, [record["frame"], *_codes(f"{subject}/{record['frame']}", record)]))
            )
        write_lines(root / "annotations" / f"{subject}.csv", text)
        split.append(f"{subject},{'test' if int(str(subject)[:3]) * 3 % 16 < 3 else 'train'}")
    write_lines(root / "split.csv", split)
    who = list(zip(records["subject"], records["frame"], strict=True))
    samples = [f"{subject}/{frame:04d}" for subject, frame in who]
    paths = [f"images/{subject}/{frame}.jpg" for subject, frame in who]
    write_twin_pictures(world, root, samples, paths, image_size)


def _codes(name: str, record: dict) -> list[int]:
    """Values of `UNITS` in one frame: -1 throughout where the face is out of view, 9 for single units."""
    drawn = draw(name) % 1000
    if drawn < 230:
        return [-1] * len(UNITS)
    values = np.array([record.get(f"AU{unit}_intensity", -1.0) for unit in UNITS])
    codes = np.where(values < 0, -1, values >= PRESENT)
    if drawn < 250:
        codes[drawn % len(UNITS)] = 9
    return [int(code) for code in codes]
