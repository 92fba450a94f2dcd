"""What the writers of twins share: fixed draws by name, steps of intensity, and intensity files."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from fbu.data.layouts.files import write_lines
from fbu.data.layouts.frames import STRONGEST, intensity_name

#: FACS intensity from which a unit is present ("B or above").
PRESENT = 2.0


def draw(name: str) -> int:
    """A fixed number below 2^32 that looks random, for the peculiarities of one subject, sequence or frame."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")


def whole_steps(intensity: ArrayLike) -> np.ndarray:
    """Intensities 0-5 as coders write them: whole steps downwards, as grades A to E begin at 1 to 5.

    So step 2 and `PRESENT` agree.

    >>> whole_steps([0.4, 1.9, 2.0, 5.0]).tolist()
    [0, 1, 2, 5]
    """
    return np.floor(np.asarray(intensity, float)).astype(int).clip(0, STRONGEST)


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
            steps = whole_steps(part[f"AU{unit}_intensity"])
            text = [f"{frame},{step}" for frame, step in zip(part["frame"], steps, strict=True)]
            write_lines(folder / intensity_name(sequence, unit), text)
