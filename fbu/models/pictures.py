"""Pictures on their way into a model: gather, move, augment, normalise."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from fbu.data.transforms import CLIP_MEAN, CLIP_STD, Augment, augment


class Pictures:
    """Decoded pictures and the batches made of them.

    Args:
        images: uint8 (n, 3, S, S), usually a memory map; rows are read when they are needed.
        device: where batches are made. Pictures that fit there should be passed as a tensor on it already.
        mean: of each channel, 0 to 1; CLIP's by default.
        std: deviation of each channel; CLIP's by default.
    """

    def __init__(
        self,
        images: np.ndarray,
        device: torch.device,
        mean: tuple[float, ...] = CLIP_MEAN,
        std: tuple[float, ...] = CLIP_STD,
    ) -> None:
        self.images, self.device, self.mean, self.std = images, device, mean, std

    def batch(self, rows: Tensor, spec: Augment, generator: torch.Generator) -> Tensor:
        """Augmented, normalised pictures (len(rows), 3, S, S) in float32."""
        picked = torch.from_numpy(np.ascontiguousarray(self.images[rows.numpy()])).to(self.device)
        return augment(picked, spec, generator, mean=self.mean, std=self.std)

    def batches(self, size: int) -> Iterator[Tensor]:
        """All pictures in order, normalised, without augmentation."""
        for first in range(0, len(self.images), size):
            chunk = torch.from_numpy(np.array(self.images[first : first + size])).to(self.device)
            yield augment(chunk, Augment.none(), mean=self.mean, std=self.std)
