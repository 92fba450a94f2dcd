"""Clips on their way into a model: draw frames, move, augment all frames of a clip alike, normalise."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from fbu.data import transforms
from fbu.data.dataset import Dataset
from fbu.data.snippets import clip_lengths, gather_snippets, snippet_frames
from fbu.data.transforms import CLIP_MEAN, CLIP_STD, Augment

#: Clips at a time where nothing is learned.
TESTED = 16


class Clips:
    """Snippets of a split's clips and the batches made of them.

    Args:
        dataset: of clips.
        frames: T of each clip.
        snippets: N of each clip.
        device: where batches are made.

    Attributes:
        at: (clips, N, t) frames that are looked at in testing, counted from 0 in each clip.

    Raises:
        ValueError: a dataset of single pictures, or frames that are no multiple of snippets.
    """

    def __init__(self, dataset: Dataset, frames: int, snippets: int, device: torch.device) -> None:
        self.dataset, self.frames, self.snippets, self.device = dataset, frames, snippets, device
        self.lengths = clip_lengths(dataset)
        self.at = snippet_frames(self.lengths, frames, snippets)

    def batch(self, rows: Tensor, spec: Augment, generator: torch.Generator) -> Tensor:
        """Augmented, normalised frames (len(rows), N, t, 3, S, S), drawn anew from each part of a clip."""
        at = snippet_frames(self.lengths[rows], self.frames, self.snippets, generator=generator)
        return augment_clips(gather_snippets(self.dataset, rows, at).to(self.device), spec, generator)

    def batches(self, size: int = TESTED) -> Iterator[Tensor]:
        """All clips in order, frames from the middle of each part, without augmentation."""
        for rows in torch.arange(len(self.dataset)).split(size):
            clips = gather_snippets(self.dataset, rows, self.at[rows]).to(self.device)
            yield augment_clips(clips, Augment.none(), torch.Generator())


def augment_clips(clips: Tensor, spec: Augment, generator: torch.Generator) -> Tensor:
    """Augment clips, one draw for all frames of each, then normalise as CLIP does.

    Args:
        clips: uint8 (n, N, t, 3, S, S).
        spec: what may happen.
        generator: source of the random numbers, on the CPU.

    Returns:
        float32 of the same shape.
    """
    shape, frames = clips.shape, clips.flatten(0, 2)
    plain = not (spec.flip or spec.warps or spec.colours or spec.erase)
    x = frames.float()
    if not plain:
        each = shape[1] * shape[2]
        table = torch.rand(len(clips), len(transforms._COLUMNS), generator=generator).to(clips.device)
        table = table.repeat_interleave(each, 0)
        for rows in torch.arange(len(frames)).split(64 if clips.device.type == "cpu" else len(frames)):
            some = slice(int(rows[0]), int(rows[-1]) + 1)
            x[some] = transforms._augment(frames[some], spec, table[some])
    mean, std = (x.new_tensor(values).view(-1, 1, 1) for values in (CLIP_MEAN, CLIP_STD))
    return x.div_(255 * std).sub_(mean / std).view(shape)
