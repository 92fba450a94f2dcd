"""Where on a twin's pictures the face changed: the truth that heatmaps are held against.

The files of a twin hold pictures and labels only. What a unit changed follows from the drawn population, which is
drawn again here: the same scene with and without the unit.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from fbu.data import load_manifest, locate, worlds
from fbu.data.faces import AUS, render_scene
from fbu.data.layouts.files import TRUTH
from fbu.errors import DataError
from fbu.recipes import DataSpec

_ROWS = 64  # drawn together with all their masks


class TwinRegions:
    """Changes of a twin's pictures, by sample.

    Args:
        spec: a twin; its image size is that of the changes.

    Raises:
        DataError: the source is not "twin": photographs come without such a truth.
    """

    def __init__(self, spec: DataSpec) -> None:
        if spec.source != "twin":
            raise DataError(
                f"{spec.name}, source {spec.source}: photographs come without regions, twins only"
            )
        folder = locate(load_manifest(spec.name), "twin", size=spec.size, seed=spec.seed)
        # The truth lists the pictures in the order of the world, under the names that reading gives.
        samples = pd.read_csv(folder / TRUTH, usecols=["sample"], dtype=str)["sample"]
        self._place = {sample: row for row, sample in enumerate(samples)}
        self._world = worlds.make(spec.name, size=spec.size, seed=spec.seed)
        self._size = spec.image_size

    def units(self, samples: Sequence[str], numbers: Sequence[int]) -> Tensor:
        """Mean absolute change that one action unit makes to each picture, float32 ``[n, S, S]``.

        Args:
            samples: n names; repeats are drawn once.
            numbers: n action units, 12 for AU12.

        Raises:
            DataError: an unknown sample.
        """
        rows, back = np.unique(self._rows(samples), return_inverse=True)
        columns = torch.tensor([AUS.index(number) for number in numbers])
        out = torch.zeros(len(samples), self._size, self._size)
        for start in range(0, len(rows), _ROWS):
            at = np.flatnonzero((back >= start) & (back < start + _ROWS))
            drawn = torch.from_numpy(self._world.masks(rows[start : start + _ROWS], self._size))
            out[at] = drawn[back[at] - start, columns[at]]
        return out

    def expressions(self, samples: Sequence[str]) -> Tensor:
        """Mean absolute change that all units of a face make together, float32 ``[n, S, S]``.

        Raises:
            DataError: an unknown sample.
        """
        shown = self._world.scene(self._rows(samples))
        neutral = shown.map(lambda x: x.clone())
        neutral.au.zero_()
        with_units, without = (render_scene(s, self._size, degraded=False).float() for s in (shown, neutral))
        return (with_units - without).abs().mean(1) / 255

    def _rows(self, samples: Sequence[str]) -> np.ndarray:
        unknown = [sample for sample in samples if sample not in self._place]
        if unknown:
            raise DataError(f"the twin of {self._world.name} has no picture {unknown[0]!r}")
        return np.array([self._place[sample] for sample in samples], dtype=np.int64)
