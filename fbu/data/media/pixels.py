"""Pictures written as numbers in a table, as in FER2013."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from fbu.data.media import file_sizes, head_of


class PixelRows:
    """Square grey pictures, one per line of a CSV file with a header.

    Rows have path (of the CSV file) and line (its line number, the header is 1).

    Args:
        side: of the pictures in pixels.
        column: place of the field with side * side numbers 0-255, separated by blanks; from 0.
    """

    clips, block = False, 256

    def __init__(self, side: int, column: int) -> None:
        self.side, self.column = side, column
        self.name = f"pixels-{side}"

    def sizes(self, root: Path, paths: Sequence[str]) -> list[int]:
        """Bytes of each row's CSV file, -1 where there is none."""
        return file_sizes(root, paths)

    def content(self, root: Path, path: str) -> bytes:
        """First part of the CSV file."""
        return head_of(root / path)

    def open(self, root: Path, rows: pd.DataFrame) -> Iterator[list[Image.Image | str]]:
        """One grey picture per row."""
        for path, at in zip(rows["path"], rows["line"], strict=True):
            try:
                file = root / path
                yield [self._picture(file, int(at), file.stat())]
            except (OSError, ValueError) as error:
                yield ["missing" if isinstance(error, FileNotFoundError) else str(error)]

    def _picture(self, file: Path, line: int, status: os.stat_result) -> Image.Image:
        starts = _line_starts(file, status.st_mtime_ns, status.st_size)
        if not 1 <= line < len(starts):
            raise ValueError(f"the file has no line {line}")
        with file.open("rb") as stream:
            stream.seek(starts[line - 1])
            fields = stream.read(int(starts[line] - starts[line - 1])).decode("ascii", "replace").split(",")
        text = fields[self.column] if self.column < len(fields) else ""
        try:
            numbers = np.array(text.strip(' "\r\n').split(), dtype=np.int64)
        except ValueError:
            raise ValueError(f"line {line}: pixels are not whole numbers") from None
        if numbers.size != self.side**2:
            raise ValueError(f"line {line}: {numbers.size} pixels instead of {self.side**2}")
        if numbers.min() < 0 or numbers.max() > 255:
            raise ValueError(f"line {line}: a pixel outside 0-255")
        return Image.fromarray(numbers.astype(np.uint8).reshape(self.side, self.side))


@lru_cache(maxsize=4)
def _line_starts(file: Path, mtime: int, size: int) -> np.ndarray:
    """Byte at which each line begins, and the end of the file: FER2013 has 280 MB, so it is not held in memory."""
    starts = [0]
    with file.open("rb") as stream:
        while part := stream.read(1 << 24):
            base = stream.tell() - len(part)
            starts.extend(base + 1 + np.flatnonzero(np.frombuffer(part, np.uint8) == 10))
    if starts[-1] != size:
        starts.append(size)
    return np.array(starts)
