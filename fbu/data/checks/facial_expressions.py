"""facial_expressions: the legend row by row, with the repeats and spellings that its reader copes with."""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path

from fbu.data.checks import Copy, Row
from fbu.data.checks.text import table_of
from fbu.data.layouts.facial_expressions import LEGEND, subject_of
from fbu.data.layouts.files import inside
from fbu.errors import DataError
from fbu.wording import counted


def examine(copy: Copy) -> None:
    """Check the legend, the folder of pictures and the names in it."""
    legend = copy.root / LEGEND
    directory = copy.folder("images")
    spellings: dict[str, list[int]] = defaultdict(list)
    given: dict[str, list[Row]] = defaultdict(list)
    named = set()
    for line, fields in table_of(copy, legend, ["user.id", "image", "emotion"]):
        named.add(fields["image"])
        row = _row(copy, legend, line, fields["image"], fields["emotion"], directory)
        if row is not None:
            given[row.sample].append(row)
            copy.rows.append(row)
            if fields["emotion"] != row.label:
                spellings[fields["emotion"]].append(line)
    for spelling, lines in spellings.items():
        what = f"{spelling!r} in {counted(len(lines), 'row', 'rows')} is read as {spelling.lower()!r}"
        copy.warning(
            "mixed-case label",
            legend,
            lines[0],
            what,
            "nothing to do; write labels in small letters to be rid of it",
        )
    for rows in given.values():
        _repeats(copy, rows)
    if directory is not None:
        pictures = [
            name for name in os.listdir(directory) if (directory / name).suffix.lower() in (".jpg", ".png")
        ]
        copy.unlisted(directory, [name for name in pictures if name not in named])
        subfolders = {Path(sample).parts[0] for sample in given if "/" in sample}
        copy.extra_folders(directory, subfolders)
    copy.extra_folders(copy.root, ("data", "images", "test"))


def _row(copy: Copy, legend: Path, line: int, image: str, emotion: str, directory: Path | None) -> Row | None:
    good = True
    try:
        inside(image, copy.root)
    except DataError:
        what = f"path {image!r} is empty or leads out of the folder"
        copy.error("path leaves the folder", legend, line, what, "write the bare name of a file in images/")
        good = False
    label = copy.manifest.codes.get(emotion.lower())
    if label is None:
        known = ", ".join(copy.manifest.codes)
        what = f"unknown label code {emotion!r}: known are {known}"
        copy.error("unknown label code", legend, line, what, "correct the label, or remove the row")
        good = False
    if not good or label is None:
        return None
    path = "" if directory is None else f"{copy.relative(directory)}/{image}"
    return Row(image, path, subject_of(image), label, "", copy.relative(legend), line)


def _repeats(copy: Copy, rows: list[Row]) -> None:
    """Report a picture that has several rows."""
    first = rows[0]
    if len({row.label for row in rows}) > 1:
        told = " and ".join(f"{row.label} in line {row.line}" for row in rows)
        what = f"{first.sample} is {told}, so all its rows are left out"
        copy.warning(
            "contradicting labels",
            first.file,
            rows[-1].line,
            what,
            "look at the picture and keep one of the rows",
        )
        return
    for row in rows[1:]:
        what = f"{row.sample} is listed again as {row.label} (first in line {first.line}); it counts once"
        copy.warning("duplicate row", row.file, row.line, what, "nothing to do, or remove the row")
