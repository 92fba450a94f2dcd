"""What the writers of twins share: fixed draws by name, and intensity files."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from fbu.data.layouts.files import write_lines
from fbu.data.layouts.frames import STRONGEST, intensity_name

#: FACS intensity from which a unit is present ("B or above").
PRESENT = 2.0


def draw(name: str) -> int:
    """A fixed number below 2^32 that looks random, for the peculiarities of one subject, sequence or frame."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")


def write_intensities(folder: Path, sequence: str, part: pd.DataFrame, units: Sequence[int]) -> None:
    """Write ``AU06/F001_T1_AU06.csv`` ... of one sequence, for the units that the records have.

    Args:
        folder: of the intensities.
        sequence: ``F001_T1``.
        part: records with frame and ``AU<n>_intensity``.
        units: action units.
    """
    for unit in units:
        if f"AU{unit}_intensity" in part:
            # Whole steps downwards, so that intensity 2 and presence agree.
            steps = np.floor(part[f"AU{unit}_intensity"].to_numpy(float)).astype(int).clip(0, STRONGEST)
            text = [f"{frame},{step}" for frame, step in zip(part["frame"], steps, strict=True)]
            write_lines(folder / intensity_name(sequence, unit), text)
