"""Text files line by line: every line that cannot be used is reported, the others are handed on."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from fbu.data.checks import Copy

_RESTORE = "restore the file from the owner's delivery"


def text_lines(copy: Copy, path: Path) -> list[tuple[int, str]]:
    """Numbered lines of a UTF-8 file, a byte-order mark dropped; reports a missing, empty or wrongly coded file."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        copy.error("missing file", path, None, "the file is missing", _RESTORE)
        return []
    except OSError as error:
        why = error.strerror or type(error).__name__
        copy.error("unreadable file", path, None, f"the file cannot be read: {why}", _RESTORE)
        return []
    if not raw.strip():
        copy.error("empty file", path, None, "the file is empty", _RESTORE)
        return []
    found = []
    for number, line in enumerate(raw.removeprefix(b"\xef\xbb\xbf").splitlines(), start=1):
        try:
            found.append((number, line.decode("utf-8")))
        except UnicodeDecodeError as error:
            what = f"byte {error.start + 1} of the line is not UTF-8 text"
            copy.error("not UTF-8", path, number, what, "save the file as UTF-8")
    return found


def fields_of(copy: Copy, path: Path) -> list[tuple[int, list[str]]]:
    """Fields of each line of a CSV file that is not blank, with the line's number."""
    found = []
    for number, line in text_lines(copy, path):
        # Line by line, because an open quote would otherwise swallow the rest of the file.
        try:
            fields = next(csv.reader([line], strict=True), [])
        except csv.Error as error:
            copy.error(
                "malformed line", path, number, f"the line is not CSV: {error}", "close or remove the quote"
            )
            continue
        if fields:
            found.append((number, [field.strip() for field in fields]))
    return found


def table_of(copy: Copy, path: Path, columns: Sequence[str]) -> list[tuple[int, dict[str, str]]]:
    """Rows of a CSV file with a header; reports missing columns and rows with another number of fields."""
    rows = fields_of(copy, path)
    if not rows:
        return []
    (first, header), *rest = rows
    missing = [column for column in columns if column not in header]
    for column in missing:
        has = f"column {column!r} is missing; found {', '.join(header)}"
        copy.error("missing column", path, first, has, f"name the columns {', '.join(columns)}")
    if missing:
        return []
    if not rest:
        copy.error("empty file", path, first, "there is a header and no row below it", _RESTORE)
    found = []
    for number, row in rest:
        if has_width(copy, path, number, row, len(header)):
            found.append((number, dict(zip(header, row, strict=True))))
    return found


def has_width(copy: Copy, path: Path, line: int, row: Sequence[str], width: int) -> bool:
    """Whether a row has as many fields as its header; reports it otherwise."""
    if len(row) != width:
        what = f"{len(row)} fields where the header has {width}"
        copy.error(
            "wrong number of fields", path, line, what, "restore the line; a comma may be missing or too many"
        )
    return len(row) == width


def whole(copy: Copy, path: Path, line: int, text: str, what: str) -> int | None:
    """A whole number of at least 0; reports anything else and gives None."""
    # int() alone would also take "1_0", "+1" and Arabic digits.
    if text.isascii() and text.isdigit():
        return int(text)
    mend = "write it as a whole number, as the owner's file does"
    copy.error("not a whole number", path, line, f"{what} is {text!r}, not a whole number from 0 up", mend)
    return None
