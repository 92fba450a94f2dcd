"""Writes a drawn population as BP4D lies on disk."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from fbu.data.layouts.files import World
from fbu.data.layouts.twin_frames import draw
from fbu.data.layouts.twin_sequences import (
    with_lost_frame,
    write_intensities,
    write_occurrence,
    write_sequences,
)
from fbu.data.manifest import load_manifest

IMAGES = "Sequences_2D+3D"
COLUMNS = 100
#: Units that the owner's files code at all; the rest of the 100 columns is 9 throughout.
CODED = (1, 2, 4, 5, 6, 7, *range(9, 21), 22, 23, 24, 27, 28, 32, 38, 39)


def write(world: World, root: Path, *, image_size: int) -> None:
    """Write frames, occurrence and intensity files; a unit is present from intensity 2.

    As in the real set, zero padding differs between sequences, and about one sequence in twenty ends with a
    labelled frame that has no picture.

    Args:
        world: records with subject, activity, frame and ``AU<n>_intensity``.
        root: the dataset's folder.
        image_size: side of the pictures in pixels.
    """
    graded = load_manifest("bp4d").intensity_aus

    def digits(subject: str, task: str) -> int:
        return 3 if task in ("T3", "T8") or draw(f"{subject}_{task}") % 8 == 1 else 4

    def write_codes(subject: str, task: str, part: pd.DataFrame) -> None:
        sequence = f"{subject}_{task}"
        coded = with_lost_frame(part) if draw(sequence) % 20 == 0 else part
        write_occurrence(root, sequence, coded, range(COLUMNS), CODED)
        write_intensities(root, sequence, part, graded)

    write_sequences(world, root, images=IMAGES, digits=digits, write_codes=write_codes, image_size=image_size)
