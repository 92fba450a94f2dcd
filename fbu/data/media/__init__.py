"""Where the pictures of a dataset come from: one file per row, unless its layout module says otherwise.

A layout module may offer ``media``, an object of the protocol here: `fbu.data.media.pixels.PixelRows` for pictures
written as numbers in a table, `fbu.data.media.videos` for frames of videos and for whole clips.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import pandas as pd
from PIL import Image

from fbu.data.decoding import UNREADABLE


class Media(Protocol):
    """Opens what the rows of a table point to."""

    @property
    def name(self) -> str:
        """Kind and settings, part of the cache's key."""
        ...

    @property
    def clips(self) -> bool:
        """Whether a row is a clip of several frames."""
        ...

    @property
    def block(self) -> int:
        """Rows that are opened together."""
        ...

    def sizes(self, root: Path, paths: Sequence[str]) -> list[int]:
        """Bytes of each row's file, -1 where there is none."""
        ...

    def content(self, root: Path, path: str) -> bytes:
        """A part of a row's file that tells it from others of the same size; raises OSError."""
        ...

    def open(self, root: Path, rows: pd.DataFrame) -> Iterator[list[Image.Image | str]]:
        """Per row its frames, one for a picture; a text is the reason why a frame cannot be read.

        A picture is used and closed before the next is asked for.
        """
        ...


class Pictures:
    """One picture file per row, at column path."""

    name, clips, block = "pictures", False, 64

    def sizes(self, root: Path, paths: Sequence[str]) -> list[int]:
        """Bytes of each file, -1 where there is none."""
        return file_sizes(root, paths)

    def content(self, root: Path, path: str) -> bytes:
        """The whole file."""
        return (root / path).read_bytes()

    def open(self, root: Path, rows: pd.DataFrame) -> Iterator[list[Image.Image | str]]:
        """One picture per row; its pixels are read by whoever uses it."""
        for path in rows["path"]:
            try:
                image = Image.open(root / path)
            except UNREADABLE as error:
                yield [reason(error)]
            else:
                with image:
                    yield [image]


PICTURES = Pictures()


def reason(error: BaseException) -> str:
    """Why a picture cannot be read, in a word or a short sentence."""
    if isinstance(error, FileNotFoundError):
        return "missing"
    own = type(error) is ValueError and str(error)  # the presets' own sentences
    return own if own else type(error).__name__


def file_sizes(root: Path, paths: Sequence[str]) -> list[int]:
    """Bytes of each file, -1 where there is none; a file that many rows share is asked once."""
    known: dict[str, int] = {}
    for path in paths:
        if path not in known:
            try:
                known[path] = os.stat(os.path.join(root, path)).st_size
            except OSError:
                known[path] = -1
    return [known[path] for path in paths]


def head_of(path: Path, limit: int = 1 << 20) -> bytes:
    """First bytes of a large file."""
    with path.open("rb") as file:
        return file.read(limit)
