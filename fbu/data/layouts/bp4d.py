"""BP4D: frames by subject and task, one occurrence file per sequence, five units with intensities."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from fbu.data.layouts.bp4d_twin import write
from fbu.data.layouts.frames import read_frames
from fbu.data.manifest import Manifest

__all__ = ["TASKS", "is_header", "read", "write"]

TASKS = tuple(f"T{i}" for i in range(1, 9))
#: Later copies have about 35 columns, the owner's long form has 100.
_FEWEST_OF_LONG_FORM = 50


def read(root: Path, manifest: Manifest) -> pd.DataFrame:
    """Read the occurrence files, and the intensity files where they are; see `read_frames`."""
    return read_frames(root, manifest, is_header)


def is_header(header: list[str]) -> bool:
    """Whether the first line of an occurrence file has one of the two known forms.

    The long form calls the frame column "0"; the short form "1", as it calls AU1: so it goes by position.
    """
    return header[:1] in (["0"], ["1"]) and (header[0] == "1") == (len(header) < _FEWEST_OF_LONG_FORM)
