"""FERPlus: the lines of the pictures, the votes row by row, and the votes by name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fbu.data.checks import Copy, Row
from fbu.data.checks.text import fields_of, table_of, whole
from fbu.data.layouts.ferplus import (
    EMOTIONS,
    HEADER,
    NAMES,
    PICTURES,
    USAGES,
    VOTED,
    checked,
    ends_of,
    has_header,
    label_file,
    read,
)
from fbu.errors import DataError
from fbu.wording import counted, some

_RESTORE = "restore the file from its source"
_VOTES = 10


def examine(copy: Copy) -> None:
    """Check options and files; what they hold together is left to the reader, once they are sound."""
    try:
        options = checked(copy.manifest)
    except DataError as error:
        copy.error("wrong option", copy.root, None, str(error), "correct the option in fbu.yml")
        return
    usages = _pictures(copy, copy.root / PICTURES)
    if options["labels"] == "ferplus":
        names = _named(copy, copy.root / NAMES, usages)
        if options["votes_file"] == "label":
            for part in USAGES.values():
                _label_file(copy, part, names.get(part, set()))
    known = {"data", *(folder for part in USAGES.values() for folder in copy.manifest.tree.folders[part])}
    copy.extra_folders(copy.root, known)
    if not any(problem.severity == "error" for problem in copy.problems):
        _rows(copy)


def _rows(copy: Copy) -> None:
    try:
        table = read(copy.root, copy.manifest)
    except DataError:
        return  # reported for every dataset alike
    columns = table[["sample", "path", "subject", "expression", "part", "line"]]
    for sample, path, subject, expression, part, line in columns.itertuples(index=False):
        copy.rows.append(Row(sample, path, subject, expression, part, path, int(line)))


def _pictures(copy: Copy, path: Path) -> list[str]:
    """Usage of each row; everything wrong but for the pixels, which are decoded later, is reported."""
    if not path.is_file():
        copy.error("missing file", path, None, "the file is missing", "take it from the Kaggle competition")
        return []
    found = []
    with path.open("rb") as file:
        first = file.readline()
        if not has_header(first):
            what = f"expected the header {','.join(HEADER)}, found {first[:60].decode('ascii', 'replace').strip()!r}"
            copy.error("unknown header", path, 1, what, _RESTORE)
            return []
        for at, line in enumerate(file, start=2):
            fields = ends_of(line) if line.strip() else None
            if fields is None:
                if line.strip():
                    what = f"{line.count(b',') + 1} fields where the header has {len(HEADER)}"
                    copy.error("wrong number of fields", path, at, what, "restore the line")
                continue
            code, usage = fields
            if code not in EMOTIONS:
                what = f"unknown label code {code!r}: known are {', '.join(EMOTIONS)}"
                copy.error("unknown label code", path, at, what, "restore the line")
            if usage not in USAGES:
                what = f"unknown Usage {usage!r}: known are {', '.join(USAGES)}"
                copy.error("unknown part", path, at, what, "restore the line")
            found.append(usage)
    if not found:
        copy.error("empty file", path, 1, "there is a header and no row below it", _RESTORE)
    return found


def _named(copy: Copy, path: Path, usages: Sequence[str]) -> dict[str, set[str]]:
    """Part -> names of its pictures."""
    rows = table_of(copy, path, ["Usage", "Image name", *VOTED])
    names: dict[str, set[str]] = {}
    if rows and usages and len(rows) != len(usages):
        what = f"{counted(len(rows), 'row', 'rows')} where {PICTURES} has {len(usages):,}"
        copy.error("row too many or too few", path, None, what, "restore both files: they go row by row")
        usages = ()
    odd = []
    for row, (line, fields) in enumerate(rows):
        usage = fields["Usage"]
        if usage not in USAGES:
            what = f"unknown Usage {usage!r}: known are {', '.join(USAGES)}"
            copy.error("unknown part", path, line, what, "restore the line")
        elif usages and usage != usages[row]:
            what = f"Usage is {usage!r} here and {usages[row]!r} in {PICTURES}"
            copy.error("parts differ", path, line, what, "restore both files: they go row by row")
        if fields["Image name"]:
            names.setdefault(USAGES.get(usage, ""), set()).add(fields["Image name"])
        if _votes(copy, path, line, [fields[name] for name in VOTED]) not in (None, _VOTES):
            odd.append(line)
    _odd_votes(copy, path, odd)
    return names


def _label_file(copy: Copy, part: str, names: set[str]) -> None:
    path = label_file(copy.root, copy.manifest, part)
    first: dict[str, int] = {}
    odd = []
    for line, row in fields_of(copy, path):
        if len(row) != 2 + len(VOTED):
            what = f"{len(row)} fields instead of {2 + len(VOTED)}: a name, a box in quotes and ten votes"
            copy.error("wrong number of fields", path, line, what, "restore the line")
            continue
        if row[0] in first:
            what = f"{row[0]!r} is listed twice (first in line {first[row[0]]})"
            copy.error("duplicate row", path, line, what, "remove one of the lines")
        first.setdefault(row[0], line)
        if _votes(copy, path, line, row[2:]) not in (None, _VOTES):
            odd.append(line)
    _odd_votes(copy, path, odd)
    strange, without = sorted(first.keys() - names), sorted(names - first.keys())
    if strange and names:
        what = f"{counted(len(strange), 'name is', 'names are')} not in {NAMES} and not read: {some(strange)}"
        copy.warning("votes of no picture", path, first[strange[0]], what, "restore the two files together")
    if without and first:
        what = f"{counted(len(without), 'picture has', 'pictures have')} no votes here: {some(without)}"
        copy.warning(
            "picture without votes", path, None, what, "restore the file; they are left out and counted"
        )


def _votes(copy: Copy, path: Path, line: int, texts: Sequence[str]) -> int | None:
    """Sum of the votes of a row; None, and an error, where one is no number."""
    found = [
        whole(copy, path, line, text, f"votes for {name}") for name, text in zip(VOTED, texts, strict=True)
    ]
    return None if None in found else sum(vote or 0 for vote in found)


def _odd_votes(copy: Copy, path: Path, odd: Sequence[int]) -> None:
    """Warn of rows that are not ten votes; the owner's file has one with nine."""
    if len(odd) > 1:
        what = f"{len(odd)} rows do not have {_VOTES} votes: lines {some([str(line) for line in odd])}"
        copy.warning("not ten votes", path, odd[0], what, "restore the file; the owner's has one such row")
