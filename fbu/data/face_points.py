"""Boxes and landmarks that a preset needs: often a file per frame, so they are read only to fill the cache."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from filelock import FileLock

from fbu.config import home

# Raised when the same files give other points.
_VERSION = 1


@dataclass(frozen=True, eq=False)
class FacePoints:
    """Boxes (two corners) or landmarks of a table's rows, read when they are asked for.

    Attributes:
        read: gives float ``[N, P, 2]`` in pixels, NaN where a row has none.
        files: of each row the file that it reads, None: none; empty if the points are at hand.
    """

    read: Callable[[], np.ndarray]
    files: Sequence[Path | None] = ()

    @cached_property
    def array(self) -> np.ndarray:
        """The points."""
        return self.read()

    @cached_property
    def digest(self) -> str:
        """Sha256 of the points; remembered as long as the files have the same sizes and times."""
        if not any(self.files):
            return _digest(self.array)
        folder = home() / "cache"
        folder.mkdir(parents=True, exist_ok=True)
        known = folder / f"points-{_state(self.files)}.txt"
        with FileLock(known.with_suffix(".lock")):
            if not known.is_file():
                draft = known.with_suffix(".draft")
                draft.write_text(_digest(self.array))
                os.replace(draft, known)
            return known.read_text()


def _digest(points: np.ndarray) -> str:
    return hashlib.sha256(points.astype("<f8").tobytes()).hexdigest()


def _state(files: Sequence[Path | None]) -> str:
    """What tells whether files were changed, without reading them."""
    found = hashlib.sha256(f"{_VERSION}\n".encode())
    for path in files:
        status = None if path is None else path.stat()
        found.update(f"{path}\t{status and (status.st_size, status.st_mtime_ns)}\n".encode())
    return found.hexdigest()[:24]
