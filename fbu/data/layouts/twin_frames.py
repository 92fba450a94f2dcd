"""What the writers of twins share: fixed draws by name, and what coders make of intensities."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import ArrayLike

from fbu.data.layouts.frames import STRONGEST

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
