"""FERPlus: FER2013's pictures, written as numbers in one csv, and ten votes for each in others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from fbu.data.layouts.ferplus_twin import write
from fbu.data.layouts.ferplus_votes import SOFT, USAGES, VOTED, VOTES, targets
from fbu.data.layouts.files import label, number, numbered, table
from fbu.data.manifest import Manifest
from fbu.data.media.pixels import PixelRows
from fbu.errors import DataError
from fbu.labels.orders import ORDERS

__all__ = ["media", "read", "write"]

SIDE = 48
media = PixelRows(SIDE, 1)

PICTURES, NAMES = "fer2013.csv", "fer2013new.csv"
HEADER = ("emotion", "pixels", "Usage")
#: FER2013's codes, in another order than those of FERPlus.
EMOTIONS = {str(code): name for code, name in enumerate(ORDERS["fer2013"])}
KNOWN = {"labels": ("ferplus", "fer2013"), "votes_file": ("label", "new"), "public_test": ("train", "val")}
#: Reasons that the reader counts.
NO_NAME = "rows without an image name"
OVERWRITTEN = "rows whose picture a later row of the same name replaces"
NO_VOTES = "pictures without votes in label.csv"
NO_CLASS = "pictures that voters did not agree on, or that show no known expression"
_FIELDS_OF_VOTES = 2 + len(VOTED)


class Picture(NamedTuple):
    """One line of the pictures: its number in the file, FER2013's code, and the value of Usage."""

    line: int
    code: str
    usage: str


def read(root: Path, manifest: Manifest) -> pd.DataFrame:
    """Read the pictures' lines and, unless option ``labels`` is ``fer2013``, the votes.

    Names and pictures belong together row by row: the number in a name is not the row's number. With ``votes_file``
    ``label``, votes come from the three label.csv by name, and of rows that share a name the last counts; with
    ``new``, each row has its own votes in fer2013new.csv. Option ``rule`` says how votes become a label (see
    `fbu.data.layouts.ferplus_votes.targets`); as in the owner's code, pictures that are not trained on go by majority,
    but for the rule ``most``, which holds for all. With ``public_test`` ``train``, PublicTest is trained on.

    Returns:
        sample (``Training/00000``: Usage and row from 0), path, line (of the pictures, the header is 1), subject,
        expression, part (``train``, ``val``, ``test``), emotion (FER2013's label); with votes also image (name),
        votes_neutral ... votes_unknown, votes_NF, and for rules of several classes p_neutral ... What is left out is
        counted.

    Raises:
        DataError: a missing file, a malformed line, rows that do not belong together, a wrong option.
    """
    options = checked(manifest)
    found: list[tuple[int, Picture]] = []
    for row, picture in enumerate(pictures(root / PICTURES)):
        where = root / PICTURES, picture.line
        label(picture.code, EMOTIONS, *where)
        if picture.usage not in USAGES:
            raise DataError(
                f"{where[0]}:{where[1]}: unknown Usage {picture.usage!r}: known are {', '.join(USAGES)}"
            )
        found.append((row, picture))
    frame = pd.DataFrame(
        {
            "sample": [f"{picture.usage}/{row:05d}" for row, picture in found],
            "path": PICTURES,
            "line": [picture.line for _, picture in found],
        }
    )
    frame["subject"] = frame["sample"]
    frame["expression"] = frame["emotion"] = [EMOTIONS[picture.code] for _, picture in found]
    usage = pd.Series([picture.usage for _, picture in found], dtype=object)
    frame["part"] = usage.map(USAGES | ({"PublicTest": "train"} if options["public_test"] == "train" else {}))
    if options["labels"] == "fer2013":
        frame.attrs["skipped"] = {}
        return frame
    return _voted(frame, usage, root, manifest)


def checked(manifest: Manifest) -> dict[str, str]:
    """Options with a list of values, by name.

    Raises:
        DataError: another value.
    """
    options = {name: str(manifest.options[name]) for name in (*KNOWN, "rule")}
    for name, known in KNOWN.items():
        if options[name] not in known:
            raise DataError(f"ferplus: option {name} is {options[name]!r}: known are {', '.join(known)}")
    targets(np.zeros((0, len(VOTED))), options["rule"])
    return options


def pictures(path: Path) -> Iterator[Picture]:
    """Lines of the pictures. Pixels are not looked at: the file has 280 MB.

    Raises:
        DataError: the file is missing, has another header, or a line with fewer than three fields.
    """
    if not path.is_file():
        raise DataError(
            f"{path} is missing: take it from the Kaggle competition, see `obtain` of the manifest"
        )
    with path.open("rb") as file:
        header = file.readline()
        if not has_header(header):
            told = header[:60].decode("ascii", "replace").strip()
            raise DataError(f"{path}:1: expected the header {','.join(HEADER)}, found {told!r}")
        for at, line in enumerate(file, start=2):
            if line.strip():
                fields = ends_of(line)
                if fields is None:
                    n = line.count(b",") + 1
                    raise DataError(f"{path}:{at}: {n} fields where the header has {len(HEADER)}")
                yield Picture(at, *fields)


def has_header(line: bytes) -> bool:
    """Whether a first line names the three columns."""
    return tuple(_text(field) for field in line.removeprefix(b"\xef\xbb\xbf").split(b",")) == HEADER


def ends_of(line: bytes) -> tuple[str, str] | None:
    """First and last of the three fields of a line; None if there are more or fewer."""
    if line.count(b",") != len(HEADER) - 1:
        return None
    return _text(line.partition(b",")[0]), _text(line.rpartition(b",")[2])


def _text(raw: bytes) -> str:
    return raw.decode("ascii", "replace").strip(' "\r\n')


def votes_of(fields: list[str], path: Path, line: int) -> list[int]:
    """The ten votes of a row.

    Raises:
        DataError: one that is no whole number, or is negative.
    """
    found = [number(text, path, line, f"votes for {name}") for name, text in zip(VOTED, fields, strict=True)]
    if min(found) < 0:
        raise DataError(
            f"{path}:{line}: votes for {VOTED[int(np.argmin(found))]} are {min(found)}: they count from 0"
        )
    return found


def _voted(frame: pd.DataFrame, usage: pd.Series, root: Path, manifest: Manifest) -> pd.DataFrame:
    """Rows that have a label by their votes, with names and votes."""
    names, own = _named(root / NAMES, usage)
    skipped: Counter[str] = Counter()
    if manifest.options["votes_file"] == "new":
        at, votes = np.arange(len(frame)), own
    else:
        given = {part: _label_file(root, manifest, part) for part in USAGES.values()}
        last = {
            (part, name): row for row, (part, name) in enumerate(zip(usage.map(USAGES), names, strict=True))
        }
        chosen: list[tuple[int, list[int]]] = []
        for row, key in enumerate(zip(usage.map(USAGES), names, strict=True)):
            if not key[1]:
                skipped[NO_NAME] += 1
            elif last[key] != row:
                skipped[OVERWRITTEN] += 1
            elif key[1] not in given[key[0]]:
                skipped[NO_VOTES] += 1
            else:
                chosen.append((row, given[key[0]][key[1]]))
        at = np.array([row for row, _ in chosen], dtype=np.int64)
        votes = np.array([own for _, own in chosen], dtype=np.int64).reshape(len(chosen), len(VOTED))
    frame = frame.iloc[at].reset_index(drop=True)
    frame["image"] = np.array(names, dtype=object)[at]
    frame[VOTES] = votes.astype("int8")
    shares = shares_of(votes, frame["part"].to_numpy(), str(manifest.options["rule"]))
    there = ~np.isnan(shares[:, 0])
    skipped[NO_CLASS] = int((~there).sum())
    frame = frame[there].reset_index(drop=True)
    frame["expression"] = np.array(manifest.labels, dtype=object)[shares[there].argmax(1)]
    if manifest.options["rule"] in SOFT:
        frame[[f"p_{name}" for name in manifest.labels]] = shares[there]
    frame.attrs["skipped"] = dict(skipped)
    return frame


def shares_of(votes: np.ndarray, part: np.ndarray, rule: str) -> np.ndarray:
    """Targets of all rows: by the rule where they are trained on, by majority elsewhere; NaN where left out."""
    found = targets(votes, rule)
    if rule != "most":
        held_out = part != "train"
        found[held_out] = targets(votes[held_out], "majority")
    return found


def _named(path: Path, usage: pd.Series) -> tuple[list[str], np.ndarray]:
    """Image name of each row (empty: none), and its votes in the same file, int64 ``[n, 10]``."""
    if not path.is_file():
        raise DataError(
            f"{path} is missing: take it from github.com/microsoft/FERPlus; it names the pictures"
        )
    rows = table(path, ["Usage", "Image name", *VOTED])
    if len(rows) != len(usage):
        raise DataError(
            f"{path}: {len(rows)} rows where {PICTURES} has {len(usage)}: the two belong together row by row"
        )
    for (line, row), wanted in zip(rows, usage, strict=True):
        if row["Usage"] != wanted:
            what = f"Usage is {row['Usage']!r} and {wanted!r} in {PICTURES}"
            raise DataError(f"{path}:{line}: {what}: the two files belong together row by row")
    votes = [votes_of([row[name] for name in VOTED], path, line) for line, row in rows]
    return [row["Image name"] for _, row in rows], np.array(votes, dtype=np.int64).reshape(-1, len(VOTED))


def label_file(root: Path, manifest: Manifest, part: str) -> Path:
    """label.csv of a part, in the first folder that has it (otherwise where it should be)."""
    found = [root / folder / "label.csv" for folder in manifest.tree.folders[part]]
    return next((path for path in found if path.is_file()), found[0])


def _label_file(root: Path, manifest: Manifest, part: str) -> dict[str, list[int]]:
    """Image name -> votes of one part."""
    path = label_file(root, manifest, part)
    if not path.is_file():
        mend = "take it from github.com/microsoft/FERPlus, or set option votes_file to new"
        raise DataError(f"{path} is missing: {mend}")
    found: dict[str, list[int]] = {}
    for line, row in numbered(path):
        if len(row) != _FIELDS_OF_VOTES:
            what = f"{len(row)} fields instead of {_FIELDS_OF_VOTES}"
            raise DataError(f"{path}:{line}: {what}: a name, a box in quotes and ten votes")
        if row[0] in found:
            raise DataError(f"{path}:{line}: {row[0]!r} is listed twice")
        found[row[0]] = votes_of(row[2:], path, line)
    return found
