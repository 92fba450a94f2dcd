"""Worlds whose records are told otherwise before they are written.

`Placed` is for twins whose pictures share a file: a line of a table, or a frame of a video.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from fbu.data.layouts.files import World


@dataclass(frozen=True)
class Wrapped:
    """What another world draws; subclasses say what the records are.

    Attributes:
        world: draws the pictures.
    """

    world: World

    @property
    def name(self) -> str:
        """Dataset that it imitates."""
        return self.world.name

    @property
    def seed(self) -> int:
        """Seed that it was drawn with."""
        return self.world.seed

    def render(self, rows: np.ndarray, image_size: int) -> np.ndarray:
        """Pictures of some records: uint8 ``[n, 3, S, S]``."""
        return self.world.render(rows, image_size)


@dataclass(frozen=True)
class Placed(Wrapped):
    """A world whose records also say where in its file each picture is, for the truth beside a twin.

    Attributes:
        records: those of the world with a column of `fbu.data.layouts.PLACES` more.
    """

    records: pd.DataFrame
