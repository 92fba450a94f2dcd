"""Reading and writing of text tables and pictures, with errors that name file and line."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pandas as pd

from fbu.errors import DataError

if TYPE_CHECKING:
    from fbu.data.manifest import Manifest

TRUTH = "twin_truth.csv"
JPEG_QUALITY = 95
_RENDER_ROWS = 512


class World(Protocol):
    """What a twin is written from; `fbu.data.worlds.World` is one."""

    @property
    def name(self) -> str:
        """Dataset that it imitates."""
        ...

    @property
    def seed(self) -> int:
        """Seed that it was drawn with."""
        ...

    @property
    def records(self) -> pd.DataFrame:
        """Truth, one row per picture."""
        ...

    def render(self, rows: np.ndarray, image_size: int) -> np.ndarray:
        """Pictures of some records: uint8 ``[n, 3, S, S]``."""
        ...


def lines(path: Path) -> list[str]:
    """Lines of a UTF-8 text file, a byte-order mark dropped.

    Raises:
        DataError: the file is missing or not UTF-8 (names the line).
    """
    try:
        raw = path.read_bytes()
    except (FileNotFoundError, IsADirectoryError):
        raise DataError(f"{path} is missing") from None
    try:
        return raw.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path}:{line}: not UTF-8 text (byte {error.start}): save the file as UTF-8"
        ) from error


def table(path: Path, columns: Sequence[str]) -> list[tuple[int, dict[str, str]]]:
    """Rows of a CSV file with a header, as (line number, column -> text).

    Raises:
        DataError: unreadable text, a missing column, or a row with another number of fields.
    """
    rows = numbered(path)
    _, header = next(rows, (1, []))
    for column in columns:
        if column not in header:
            raise DataError(
                f"{path}: column {column!r} is missing; found {', '.join(header) or 'an empty file'}"
            )
    found = []
    for number, row in rows:
        if len(row) != len(header):
            raise DataError(f"{path}:{number}: {len(row)} fields where the header has {len(header)}")
        found.append((number, dict(zip(header, row, strict=True))))
    return found


def numbered(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Fields of each line of a CSV file that is not blank, with the line's number."""
    reader = csv.reader(lines(path))
    for row in reader:
        if row:
            yield reader.line_num, [field.strip() for field in row]


def number(text: str, path: Path, line: int, what: str) -> int:
    """A whole number, or a DataError with file and line."""
    try:
        return int(text)
    except ValueError:
        raise DataError(f"{path}:{line}: {what} is {text!r}, not a whole number") from None


def label(code: str, codes: dict[str, str], path: Path, line: int) -> str:
    """Class name of a label code, or a DataError with file, line and the known codes."""
    if code not in codes:
        raise DataError(f"{path}:{line}: unknown label code {code!r}: known are {', '.join(codes)}")
    return codes[code]


def inside(relative: str, root: Path, where: str = "") -> str:
    """The path as given, if it stays below root; ``where`` is the file:line that names it."""
    if (
        not relative
        or relative[0] == "/"
        or "\\" in relative
        or ":" in relative
        or ".." in relative.split("/")
    ):
        raise DataError(f"{where or root}: path {relative!r} is empty or leads out of {root}")
    return relative


def folder(root: Path, manifest: Manifest, role: str) -> Path:
    """First existing folder among the accepted names of a role.

    Raises:
        DataError: none exists.
    """
    found = optional_folder(root, manifest, role)
    if found is None:
        accepted = " or ".join(manifest.tree.folders[role])
        raise DataError(
            f"{root}: folder {accepted} ({role}) is missing: {manifest.title} lies as\n{manifest.tree.text}"
        )
    return found


def optional_folder(root: Path, manifest: Manifest, role: str) -> Path | None:
    """As `folder`, but None when there is none."""
    return next((root / name for name in manifest.tree.folders[role] if (root / name).is_dir()), None)


def in_any_case(parent: Path, name: str) -> list[Path]:
    """What lies in a folder under a name, whatever the case of its letters; nothing where there is no folder."""
    there = os.listdir(parent) if parent.is_dir() else ()
    return sorted(parent / other for other in there if other.lower() == name.lower())


def write_lines(path: Path, text: Sequence[str], *, final_newline: bool = True) -> None:
    """Write lines as UTF-8 with \\n, making the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(("\n".join(text) + ("\n" if final_newline else "")).encode())


def save_jpeg(picture: np.ndarray, path: Path, sample: str) -> None:
    """Save a uint8 ``[S, S, 3]`` picture as JPEG, quality 95 and full colour resolution."""
    from PIL import Image

    Image.fromarray(picture).save(path, format="JPEG", quality=JPEG_QUALITY, subsampling=0)


def write_twin_pictures(
    world: World,
    root: Path,
    samples: Sequence[str],
    paths: Sequence[str],
    size: int,
    save: Callable[[np.ndarray, Path, str], None] = save_jpeg,
) -> None:
    """Render every record of a world, save the pictures and write down the truth.

    Args:
        world: what is drawn.
        root: the dataset's folder.
        samples: ids that reading gives, one per record.
        paths: of the pictures, relative to root.
        size: side in pixels.
        save: given a uint8 ``[S, S, 3]`` picture, its path and its sample.
    """
    for parent in {(root / path).parent for path in paths}:
        parent.mkdir(parents=True, exist_ok=True)
    for start in range(0, len(paths), _RENDER_ROWS):
        part = np.arange(start, min(start + _RENDER_ROWS, len(paths)))
        for row, picture in zip(part, world.render(part, size), strict=True):
            save(np.ascontiguousarray(picture.transpose(1, 2, 0)), root / paths[int(row)], samples[int(row)])
    write_truth(world, root, samples, paths)


def write_truth(world: World, root: Path, samples: Sequence[str], paths: Sequence[str]) -> None:
    """Write down the truth about each record, under the sample and path that reading gives."""
    truth = world.records.drop(columns="sample").reset_index(drop=True)
    truth.insert(0, "sample", list(samples))
    truth.insert(1, "path", list(paths))
    truth.to_csv(root / TRUTH, index=False, na_rep="nan", lineterminator="\n")
