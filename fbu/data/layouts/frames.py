"""Numbered frames in folders, and action units coded by sequence, in the form that BP4D and BP4D+ share.

GFT and AffectNet (array release) number their pictures in the same way.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import pandas as pd

from fbu.data.layouts.files import folder, number, numbered, optional_folder
from fbu.data.manifest import Coding, Manifest
from fbu.errors import DataError

#: Name of an occurrence file: subject and task.
SEQUENCE = re.compile(r"([FM]\d{3})_(T\d{1,2})\.csv")
SUBJECT = re.compile(r"[FM]\d{3}")
#: Name of a frame: its number, zero-padded or not.
PICTURE = re.compile(r"(\d+)\.(?:jpg|jpeg|png)", re.IGNORECASE | re.ASCII)
#: Reason that the reader counts.
LOST = "labelled frames without a picture"
#: Highest intensity (FACS grade E).
STRONGEST = 5


def read_frames(
    root: Path,
    manifest: Manifest,
    is_header: Callable[[list[str]], bool],
    filmed: Collection[tuple[str, str]] | None = None,
) -> pd.DataFrame:
    """Read the occurrence files, and the intensity files where they are.

    Frame n is the picture whose file number is n + ``offset``; zero padding varies, so folders go by number.

    Args:
        root: the dataset's folder.
        manifest: folders ``images``, ``occurrence`` and ``intensity``, units, option ``offset``.
        is_header: whether the first line of an occurrence file has the dataset's form.
        filmed: subject and task of sequences whose pictures are listed although nobody coded them, with -1; the
            uncoded pictures of coded sequences are listed too. None: coded frames only.

    Returns:
        sample (``F001/T1/2440``), path, subject, activity (``T1``), frame, AU1 ... (1, 0, -1 = not coded) and
        AU6_intensity ... (0-5, -1 = not coded or no file). Labelled frames without a picture are counted.

    Raises:
        DataError: missing folder, unknown header, bad value, or a frame listed twice.
    """
    images = folder(root, manifest, "images")
    coded = {(subject, task): path for subject, task, path in sequences(folder(root, manifest, "occurrence"))}
    graded = optional_folder(root, manifest, "intensity")
    units = manifest.intensity_aus if graded is not None else ()
    offset = whole_option(manifest, "offset")
    found: list[list[str | int]] = []
    lost = 0
    for subject, task in sorted(coded.keys() | set(filmed or ())):
        path = coded.get((subject, task))
        rows = occurrence(path, manifest, is_header) if path is not None else {}
        pictures = numbered_files(images / subject / task)
        base = (images / subject / task).relative_to(root).as_posix()
        grades = [
            intensity(graded, f"{subject}_{task}", unit, manifest) for unit in units if graded is not None
        ]
        others = set() if filmed is None else {n - offset for n in pictures}
        for frame in sorted(rows.keys() | others):
            if frame + offset not in pictures:
                lost += 1
                continue
            sample = f"{subject}/{task}/{frame:04d}"
            who: list[str | int] = [sample, f"{base}/{pictures[frame + offset]}", subject, task, frame]
            values = rows.get(frame, [-1] * len(manifest.aus))
            found.append([*who, *values, *(grade.get(frame, -1) for grade in grades)])
    small = [*manifest.labels, *(f"AU{unit}_intensity" for unit in units)]
    table = pd.DataFrame(found, columns=["sample", "path", "subject", "activity", "frame", *small])
    table = table.astype(dict.fromkeys(small, "int8"))
    table.attrs["skipped"] = {LOST: lost}
    return table


def whole_option(manifest: Manifest, name: str) -> int:
    """Value of a reader option that is a whole number.

    Raises:
        DataError: it is something else.
    """
    value = manifest.options[name]
    try:
        if int(value) == float(value):
            return int(value)
    except ValueError:
        pass
    raise DataError(f"{manifest.name}: option {name} is {value!r}: it must be a whole number")


def numbered_files(directory: Path, pattern: re.Pattern[str] = PICTURE) -> dict[int, str]:
    """Number -> name of the files of one form; an absent folder holds none.

    Args:
        directory: where they lie.
        pattern: form of the whole name; its first group is the number.

    Raises:
        DataError: two files with the same number.
    """
    found: dict[int, str] = {}
    for name in sorted(os.listdir(directory)) if directory.is_dir() else ():
        if match := pattern.fullmatch(name):
            at = int(match[1])
            if at in found:
                raise DataError(
                    f"{directory}: {found[at]} and {name} have the same frame number: remove one of them"
                )
            found[at] = name
    return found


def sequences(occurrences: Path) -> Iterator[tuple[str, str, Path]]:
    """Subject, task and occurrence file of each coded sequence, in the order of the names.

    Raises:
        DataError: there is none.
    """
    found = [
        (match, path) for path in sorted(occurrences.iterdir()) if (match := SEQUENCE.fullmatch(path.name))
    ]
    if not found:
        raise DataError(f"{occurrences}: no file like F001_T1.csv")
    for match, path in found:
        yield match[1], match[2], path


def occurrence(
    path: Path, manifest: Manifest, is_header: Callable[[list[str]], bool]
) -> dict[int, list[int]]:
    """Frame -> values (1, 0, -1) of the manifest's units, of one occurrence file.

    The first column is the frame number whatever it is called; units go by name in the others.

    Raises:
        DataError: unknown header, a missing unit, a malformed row, an unknown code, a frame listed twice.
    """
    rows = numbered(path)
    _, header = next(rows, (1, []))
    if not is_header(header):
        raise DataError(f"{path}:1: unknown header {','.join(header[:6])}... with {len(header)} columns")
    for unit in manifest.aus:
        if str(unit) not in header[1:]:
            raise DataError(f"{path}:1: column {str(unit)!r} (AU{unit}) is missing")
    where = unit_columns(header, manifest)
    coding = manifest.coding or Coding.model_validate({})
    meaning = {str(coding.absent): 0, str(coding.present): 1, str(coding.not_coded): -1}
    found: dict[int, list[int]] = {}
    for line, row in rows:
        if len(row) != len(header):
            raise DataError(f"{path}:{line}: {len(row)} fields where the header has {len(header)}")
        frame = number(row[0], path, line, "frame number")
        if frame in found:
            raise DataError(f"{path}:{line}: frame {frame} is listed twice")
        try:
            found[frame] = [meaning[row[at]] for at in where.values()]
        except KeyError as error:
            unit = next(unit for unit, at in where.items() if row[at] not in meaning)
            known = f"AU{unit}: known are {', '.join(meaning)}"
            raise DataError(f"{path}:{line}: unknown label code {error.args[0]!r} for {known}") from None
    return found


def unit_columns(header: list[str], manifest: Manifest) -> dict[int, int]:
    """Column of each unit that the header of an occurrence file names; column 0 is the frame number."""
    return {unit: header.index(str(unit), 1) for unit in manifest.aus if str(unit) in header[1:]}


def intensity_name(sequence: str, unit: int) -> str:
    """Name of a sequence's (``F001_T1``) intensity file below the folder of intensities."""
    return f"AU{unit:02d}/{sequence}_AU{unit:02d}.csv"


def intensity(graded: Path, sequence: str, unit: int, manifest: Manifest) -> dict[int, int]:
    """Frame -> intensity 0-5, or -1 where not coded; empty without a file.

    Raises:
        DataError: a malformed row or an unknown intensity.
    """
    path = graded / intensity_name(sequence, unit)
    found: dict[int, int] = {}
    if not path.is_file():
        return found
    not_coded = (manifest.coding or Coding.model_validate({})).not_coded
    for line, row in numbered(path):
        if len(row) != 2:
            raise DataError(f"{path}:{line}: expected 'frame,intensity', found {','.join(row)!r}")
        value = number(row[1], path, line, "intensity")
        if value != not_coded and not 0 <= value <= STRONGEST:
            known = f"known are 0 to {STRONGEST} and {not_coded}"
            raise DataError(f"{path}:{line}: unknown intensity {value}: {known}")
        found[number(row[0], path, line, "frame number")] = -1 if value == not_coded else value
    return found
