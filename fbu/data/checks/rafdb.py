"""RAF-DB: the list line by line, and what lies beside it."""

from __future__ import annotations

import os
import re

from fbu.data.checks import Copy, Row
from fbu.data.checks.text import text_lines
from fbu.data.layouts.rafdb import LIST
from fbu.wording import some

_NAME = re.compile(r"(train|test)_\d+\.jpg")
_SUFFIXES = {"aligned": "_aligned.jpg", "original": ".jpg"}
_LINE = "write lines as 'train_00001.jpg 5' or 'test_0001.jpg 5'"


def examine(copy: Copy) -> None:
    """Check the list, the folder of the chosen pictures and the names in it."""
    base = copy.folder("base")
    if base is None:
        return
    role = str(copy.manifest.options["images"])
    directory = copy.folder(role, base)
    at = "" if directory is None else f"{copy.relative(directory)}/"
    first: dict[str, Row] = {}
    named: set[str] = set()
    for line, text in text_lines(copy, base / LIST):
        named.update(name.removesuffix(".jpg") + _SUFFIXES[role] for name in text.split()[:1])
        row = _row(copy, base / LIST, line, text, at, _SUFFIXES[role])
        if row is not None and _is_new(copy, row, first):
            # Without the folder, which is reported, not every row is to complain about its picture.
            copy.rows.append(row if directory is not None else row._replace(path=""))
    if directory is not None:
        copy.unlisted(directory, [name for name in os.listdir(directory) if _stray(name, named)])
        copy.extra_folders(directory, ())
    copy.extra_folders(copy.root, ("basic", "compound", "EmoLabel", "Image", "Annotation"))
    if base != copy.root:
        copy.extra_folders(base, ("EmoLabel", "Image", "Annotation"))
    _other_lists(copy, (base / LIST).parent.name)


def _row(copy: Copy, path: os.PathLike[str], line: int, text: str, at: str, suffix: str) -> Row | None:
    file = copy.relative(os.fspath(path))
    fields = text.split()
    if len(fields) != 2:
        what = f"expected a name and a code, found {len(fields)} fields in {text!r}"
        copy.error("wrong number of fields", file, line, what, _LINE)
        return None
    name, code = fields
    if "/" in name or "\\" in name or ".." in name:
        what = f"{name!r} is a path, and the list holds bare names"
        copy.error("path leaves the folder", file, line, what, _LINE)
        return None
    if not _NAME.fullmatch(name):
        mend = (
            "write the name in small letters"
            if _NAME.fullmatch(name.lower())
            else f"{_LINE}, without _aligned"
        )
        copy.error(
            "malformed name",
            file,
            line,
            f"{name!r} is not a name like train_00001.jpg or test_0001.jpg",
            mend,
        )
        return None
    codes = copy.manifest.codes
    if code not in codes:
        mend = "take the owner's list: its codes count from 1" if code == "0" else "take the owner's list"
        what = f"unknown label code {code!r}: known are {', '.join(codes)}"
        copy.error("unknown label code", file, line, what, mend)
        return None
    sample = name.removesuffix(".jpg")
    part = sample.partition("_")[0]
    return Row(sample, f"{at}{sample}{suffix}", sample, codes[code], part, file, line)


def _is_new(copy: Copy, row: Row, first: dict[str, Row]) -> bool:
    """Whether a sample comes up for the first time; reports it otherwise."""
    before = first.setdefault(row.sample, row)
    if before is row:
        return True
    if before.label == row.label:
        what = f"{row.sample}.jpg is listed again (first in line {before.line})"
        copy.error("duplicate row", row.file, row.line, what, "remove one of the lines")
    else:
        what = f"{row.sample}.jpg is {row.label} here and {before.label} in line {before.line}"
        copy.error(
            "contradicting labels", row.file, row.line, what, "keep the line that the owner's list has"
        )
    return False


def _stray(name: str, listed: set[str]) -> bool:
    return name.lower().endswith((".jpg", ".jpeg", ".png")) and name not in listed


def _other_lists(copy: Copy, folder: str) -> None:
    """Public code ships lists with changed labels under other names; say which one counts."""
    for parent in (copy.root / "basic", copy.root):
        if (parent / folder).is_dir():
            listing = parent / LIST
            others = sorted(p.name for p in listing.parent.iterdir() if p.is_file() and p != listing)
            others = [name for name in others if not name.startswith(".")]
            if others:
                what = f"{some(others)} beside {listing.name}: only {listing.name} is read"
                copy.warning("another list", listing.parent, None, what, "move other lists elsewhere")
