"""BP4D: frames by subject and task, one occurrence file per sequence, five units with intensities."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from fbu.data.layouts.bp4d_twin import write
from fbu.data.layouts.files import folder, number, numbered, optional_folder
from fbu.data.manifest import Coding, Manifest
from fbu.errors import DataError

__all__ = ["read", "write"]

_SEQUENCE = re.compile(r"([FM]\d{3})_(T\d{1,2})\.csv")
_LEFT_OUT = "labelled frames without a picture"


def read(root: Path, manifest: Manifest) -> pd.DataFrame:
    """Read the occurrence files, and the intensity files where they are.

    Frame n is the picture whose file number is n + ``offset``; zero padding varies, so folders go by number.

    Returns:
        sample (``F001/T1/2440``), path, subject, activity (``T1``), frame, AU1 ... (1, 0, -1 = not coded) and
        AU6_intensity ... (0-5, -1 = not coded or no file). Labelled frames without a picture are counted.

    Raises:
        DataError: missing folder, unknown header, bad value, or a frame listed twice.
    """
    images = folder(root, manifest, "images")
    occurrence = folder(root, manifest, "occurrence")
    intensity = optional_folder(root, manifest, "intensity")
    offset = int(manifest.options["offset"])
    columns = ["sample", "path", "subject", "activity", "frame", *manifest.labels]
    graded = [f"AU{unit}_intensity" for unit in manifest.intensity_aus if intensity is not None]
    found: list[list[str | int]] = []
    left_out = 0
    for subject, task, path in _sequences(occurrence):
        rows = _occurrence(path, manifest)
        pictures = _pictures(images / subject / task)
        base = (images / subject / task).relative_to(root).as_posix()
        grades = [
            _intensity(intensity, subject, task, unit, manifest)
            for unit in manifest.intensity_aus
            if intensity
        ]
        for frame, values in rows.items():
            if frame + offset not in pictures:
                left_out += 1
                continue
            sample = f"{subject}/{task}/{frame:04d}"
            who: list[str | int] = [sample, f"{base}/{pictures[frame + offset]}", subject, task, frame]
            found.append([*who, *values, *(grade.get(frame, -1) for grade in grades)])
    table = pd.DataFrame(found, columns=[*columns, *graded])
    table = table.astype(dict.fromkeys([*manifest.labels, *graded], "int8"))
    table.attrs["skipped"] = {_LEFT_OUT: left_out}
    return table


def _sequences(occurrence: Path) -> Iterator[tuple[str, str, Path]]:
    found = [
        (match, path) for path in sorted(occurrence.iterdir()) if (match := _SEQUENCE.fullmatch(path.name))
    ]
    if not found:
        raise DataError(f"{occurrence}: no file like F001_T1.csv")
    for match, path in found:
        yield match[1], match[2], path


def _pictures(directory: Path) -> dict[int, str]:
    """File number -> file name; an absent folder holds nothing."""
    found: dict[int, str] = {}
    if not directory.is_dir():
        return found
    for name in os.listdir(directory):
        stem, dot, ending = name.rpartition(".")
        if dot and ending.lower() in ("jpg", "jpeg", "png") and stem.isascii() and stem.isdigit():
            if int(stem) in found:
                raise DataError(f"{directory}: {found[int(stem)]} and {name} have the same frame number")
            found[int(stem)] = name
    return found


def _occurrence(path: Path, manifest: Manifest) -> dict[int, list[int]]:
    """Frame -> values of the manifest's units, of one occurrence file."""
    rows = numbered(path)
    _, header = next(rows, (1, []))
    # The long form calls the frame column "0"; the short form "1", as it calls AU1: so it goes by position.
    if not header or header[0] not in ("0", "1") or (header[0] == "1") != (len(header) < 50):
        raise DataError(f"{path}:1: unknown header {','.join(header[:6])}... with {len(header)} columns")
    where = []
    for unit in manifest.aus:
        if str(unit) not in header[1:]:
            raise DataError(f"{path}: column {str(unit)!r} (AU{unit}) is missing")
        where.append(header.index(str(unit), 1))
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
            found[frame] = [meaning[row[i]] for i in where]
        except KeyError as error:
            unit = manifest.aus[[row[i] not in meaning for i in where].index(True)]
            known = f"AU{unit}: known are {', '.join(meaning)}"
            raise DataError(f"{path}:{line}: unknown label code {error.args[0]!r} for {known}") from None
    return found


def _intensity(folder: Path, subject: str, task: str, unit: int, manifest: Manifest) -> dict[int, int]:
    """Frame -> intensity 0-5, or -1 where not coded; empty without a file."""
    path = folder / f"AU{unit:02d}" / f"{subject}_{task}_AU{unit:02d}.csv"
    found: dict[int, int] = {}
    if not path.is_file():
        return found
    not_coded = (manifest.coding or Coding.model_validate({})).not_coded
    for line, row in numbered(path):
        if len(row) != 2:
            raise DataError(f"{path}:{line}: expected 'frame,intensity', found {','.join(row)!r}")
        value = number(row[1], path, line, "intensity")
        if value != not_coded and not 0 <= value <= 5:
            raise DataError(f"{path}:{line}: unknown intensity {value}: known are 0 to 5 and {not_coded}")
        found[number(row[0], path, line, "frame number")] = -1 if value == not_coded else value
    return found
