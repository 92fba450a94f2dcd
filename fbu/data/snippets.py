"""Which frames of a clip a model sees: a fixed number, in snippets that follow each other.

DK-CLIP (Sec. 3.2 and 4.1) samples T = 16 frames of a clip and divides them evenly into N = 4 snippets. How the 16 are
chosen is not said, nor is it in the facts about the authors' code that this project rests on (which tests with
four clips by three crops at the very end; here a clip is seen once). Here they are drawn as in temporal segment
networks (Wang et al., ECCV 2016): one from each of T equal parts of the clip.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from fbu.data.dataset import Dataset

#: Frames of a clip and snippets that they are divided into (DK-CLIP Sec. 4.1).
FRAMES, SNIPPETS = 16, 4


def clip_lengths(dataset: Dataset) -> Tensor:
    """Frames of each clip, int64 ``[N]``.

    Raises:
        ValueError: a dataset of single pictures.
    """
    return torch.as_tensor(np.diff(_spans(dataset), axis=1)[:, 0], dtype=torch.int64)


def snippet_frames(
    lengths: Tensor | np.ndarray,
    frames: int = FRAMES,
    snippets: int = SNIPPETS,
    *,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Frames of each clip to look at, one from each of ``frames`` equal parts of the clip.

    A part holds whole frames, those from floor(t L / T) up to floor((t + 1) L / T). A clip of fewer than T frames has
    parts without any, which take the frame where they begin: frames are repeated in order, as evenly as can be.

    Args:
        lengths: L, frames per clip ``[n]``, at least 1.
        frames: T, a multiple of snippets.
        snippets: N.
        generator: draws a frame of each part, for training; without it the middle one is taken, for testing.

    Returns:
        int64 ``[n, N, T / N]``, counted from 0 in each clip; along a clip they never fall.

    Raises:
        ValueError: frames is no multiple of snippets, or lengths are not whole numbers ``[n]`` of at least 1.

    Example:
        >>> snippet_frames(torch.tensor([16, 3]), frames=8, snippets=2).tolist()
        [[[1, 3, 5, 7], [9, 11, 13, 15]], [[0, 0, 0, 1], [1, 1, 2, 2]]]
    """
    if snippets < 1 or frames < 1 or frames % snippets:
        raise ValueError(
            f"frames is {frames} and snippets is {snippets}: frames must be a multiple of snippets"
        )
    length = torch.as_tensor(lengths)
    if length.ndim != 1 or length.is_floating_point() or length.dtype == torch.bool:
        raise ValueError(
            f"lengths must be whole numbers [n], got {length.dtype} of shape {tuple(length.shape)}"
        )
    if len(length) and int(length.min()) < 1:
        raise ValueError(f"lengths must be at least 1, got {int(length.min())}")
    length = length.to(torch.int64)[:, None]  # [n, 1]
    part = torch.arange(frames + 1, device=length.device)
    edge = part * length // frames  # [n, T + 1]
    first, width = edge[:, :-1], edge.diff(dim=1).clamp(min=1)  # [n, T]
    if generator is None:
        step = width // 2
    else:
        # Drawn where the generator lives; in float64, so that u * width stays below width.
        u = torch.rand(width.shape, generator=generator, device=generator.device, dtype=torch.float64)
        step = (u.to(length.device) * width).long()
    return (first + step).view(len(length), snippets, frames // snippets)


def gather_snippets(dataset: Dataset, rows: Tensor | np.ndarray, at: Tensor) -> Tensor:
    """Pictures of some clips' frames.

    Args:
        dataset: of clips.
        rows: positions of the clips in the dataset ``[n]``.
        at: frames of each, counted from 0 in the clip, int64 ``[n, N, T / N]``, as `snippet_frames` gives them.

    Returns:
        uint8 ``[n, N, T / N, 3, S, S]``. Each frame is read once, however often it is asked for.

    Raises:
        ValueError: a dataset of single pictures, other shapes, or a frame outside its clip.
    """
    chosen = np.asarray(rows, np.int64)
    wanted = at.cpu().numpy()
    if chosen.ndim != 1 or wanted.ndim != 3 or len(chosen) != len(wanted):
        raise ValueError(f"rows must be [n] and at [n, N, T / N], got {chosen.shape} and {wanted.shape}")
    spans = _spans(dataset)[chosen]
    places = spans[:, :1, None] + wanted
    if (wanted < 0).any() or (places >= spans[:, 1:, None]).any():
        worst = int(np.argmax(((wanted < 0) | (places >= spans[:, 1:, None])).any((1, 2))))
        length = int(spans[worst, 1] - spans[worst, 0])
        raise ValueError(f"at asks for a frame outside clip {int(chosen[worst])}, which has {length}")
    unique, back = np.unique(places, return_inverse=True)
    pictures = torch.from_numpy(np.ascontiguousarray(dataset.images[unique]))
    return pictures[torch.as_tensor(back.reshape(places.shape))]


def _spans(dataset: Dataset) -> np.ndarray:
    if dataset.spans is None:
        raise ValueError(
            f"{dataset.name} holds single pictures: clips are needed, as of dfew, ferv39k or mafw"
        )
    return dataset.spans
