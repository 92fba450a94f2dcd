"""How well heatmaps find a region that is known: pointing game, energy inside, area under the ROC curve.

All three take maps and masks of one size; :func:`upsample` brings a map from the grid of patches to pixels. None of
them is worth anything without its chance: a map that knows nothing points into a mask, and puts energy there, in
proportion to the mask's :func:`area`, and has an AUC of one half.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def upsample(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Maps on the grid of patches ``[n, h, w]`` to pixels ``[n, H, W]``, bilinear between the patches' centres."""
    if maps.ndim != 3:
        raise ValueError(f"maps must be [n, h, w], got {list(maps.shape)}")
    return F.interpolate(maps[:, None].float(), size=size, mode="bilinear", align_corners=False)[:, 0]


def area(masks: Tensor) -> Tensor:
    """Share of pixels inside each mask, float64 ``[n]``: what pointing and energy are by chance.

    Args:
        masks: bool ``[n, H, W]``.
    """
    return masks.flatten(1).double().mean(1)


def pointing_game(maps: Tensor, masks: Tensor) -> Tensor:
    """Whether the highest point of a map lies inside the mask (Zhang et al., ECCV 2016, without a tolerance).

    Where several pixels share the highest value, the score is the share of them that lies inside, which is what
    picking one of them at random gives on average; a flat map scores the area of the mask.

    Args:
        maps: ``[n, H, W]``, any finite values.
        masks: bool ``[n, H, W]``.

    Returns:
        Float64 ``[n]`` in 0..1.

    Raises:
        ValueError: other shapes or types, values that are not finite, or a mask without a pixel.

    Example:
        >>> mask = torch.tensor([[[True, False], [False, False]]])
        >>> pointing_game(torch.tensor([[[3.0, 1.0], [0.0, 3.0]]]), mask)
        tensor([0.5000], dtype=torch.float64)
    """
    values, inside = _flat(maps, masks)
    highest = values == values.amax(1, keepdim=True)
    return (highest & inside).sum(1).double() / highest.sum(1)


def energy_inside(maps: Tensor, masks: Tensor) -> Tensor:
    """Share of a map's sum that lies inside the mask (the energy-based pointing game of Wang et al., CVPRW 2020).

    A map of zeros only says nothing about any pixel and scores the area of the mask, as a flat one does.

    Args:
        maps: ``[n, H, W]``, not negative.
        masks: bool ``[n, H, W]``.

    Returns:
        Float64 ``[n]`` in 0..1.

    Raises:
        ValueError: as :func:`pointing_game`, or a negative value.
    """
    values, inside = _flat(maps, masks)
    if (values < 0).any():
        raise ValueError(f"maps must not be negative: the smallest value is {float(values.min()):g}")
    total = values.sum(1)
    share = (values * inside).sum(1) / torch.where(total > 0, total, 1)
    return torch.where(total > 0, share, inside.double().mean(1))


def localisation_auc(maps: Tensor, masks: Tensor) -> Tensor:
    """Chance that a pixel inside the mask has a higher value than one outside; ties count one half.

    Args:
        maps: ``[n, H, W]``, any finite values.
        masks: bool ``[n, H, W]``.

    Returns:
        Float64 ``[n]``; 0.5 for a flat map.

    Raises:
        ValueError: as :func:`pointing_game`, or a mask that covers everything.
    """
    values, inside = _flat(maps, masks)
    whole = inside.all(1)
    if whole.any():
        raise ValueError(f"mask {_first(whole)} covers the whole picture: nothing is outside")
    ordered = values.sort(1).values
    below = torch.searchsorted(ordered, values, right=False)
    upto = torch.searchsorted(ordered, values, right=True)
    rank = (below + upto + 1).double() / 2  # of equal values: the mean of their ranks, from 1
    n_in = inside.sum(1).double()
    n_out = inside.shape[1] - n_in
    return ((rank * inside).sum(1) - n_in * (n_in + 1) / 2) / (n_in * n_out)


def core(change: Tensor, share: float = 0.8) -> Tensor:
    """The smallest set of pixels that holds a share of a change: a mask without a threshold on brightness.

    Args:
        change: ``[n, H, W]``, not negative, e.g. what an action unit changes in a picture.
        share: of each sum, above 0 and at most 1.

    Returns:
        Bool ``[n, H, W]``. A change of zeros gives an empty mask, which the scores refuse.

    Raises:
        ValueError: other shapes, negative values, or a share outside (0, 1].

    Example:
        >>> core(torch.tensor([[[6.0, 3.0], [1.0, 0.0]]]), share=0.8).int().tolist()
        [[[1, 1], [0, 0]]]
    """
    if change.ndim != 3 or not bool((change >= 0).all()):
        raise ValueError(f"change must be [n, H, W] without negative values, got {list(change.shape)}")
    if not 0 < share <= 1:
        raise ValueError(f"share must lie above 0 and at most at 1, got {share}")
    ordered, order = change.flatten(1).double().sort(dim=1, descending=True, stable=True)
    before = ordered.cumsum(1) - ordered  # what the pixels in front of each one hold
    kept = (before < share * ordered.sum(1, keepdim=True)) & (ordered > 0)
    return torch.zeros_like(kept).scatter(1, order, kept).view(change.shape)


def region(change: Tensor, share: float = 0.8, width: float = 0.07) -> Tensor:
    """The :func:`core` of a smoothed change: a compact region instead of single pixels along every wrinkle.

    Args:
        change: as for :func:`core`.
        share: as for :func:`core`.
        width: side of the square that a pixel is averaged over, as a share of the picture's.

    Returns:
        Bool ``[n, H, W]``, empty where nothing changed.
    """
    reach = round(width * change.shape[-1]) // 2  # pixels to each side
    smooth = F.avg_pool2d(change[:, None].float(), 2 * reach + 1, 1, reach)[:, 0]
    return core(smooth, share)


def correlation(a: Tensor, b: Tensor) -> Tensor:
    """Pearson's correlation of two maps over pixels, float64 ``[n]``; 0 where one of them is flat.

    Args:
        a: ``[n, H, W]``.
        b: ``[n, H, W]``.
    """
    if a.shape != b.shape or a.ndim != 3:
        raise ValueError(f"maps must both be [n, H, W], got {list(a.shape)} and {list(b.shape)}")
    x, y = (m.flatten(1).double() - m.flatten(1).double().mean(1, keepdim=True) for m in (a, b))
    length = x.norm(dim=1) * y.norm(dim=1)
    return torch.where(length > 0, (x * y).sum(1) / torch.where(length > 0, length, 1), 0.0)


def _flat(maps: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """Values float64 ``[n, H * W]`` and masks bool, checked."""
    if maps.ndim != 3 or maps.shape != masks.shape:
        raise ValueError(
            f"maps and masks must both be [n, H, W], got {list(maps.shape)} and {list(masks.shape)}"
        )
    if masks.dtype != torch.bool:
        raise ValueError(f"masks must be bool, got {masks.dtype}")
    values, inside = maps.flatten(1).double(), masks.flatten(1)
    if not bool(values.isfinite().all()):
        raise ValueError(f"map {_first(~values.isfinite().all(1))} holds values that are not finite")
    empty = ~inside.any(1)
    if bool(empty.any()):
        raise ValueError(f"mask {_first(empty)} is empty: there is nothing to find")
    return values, inside


def _first(wrong: Tensor) -> int:
    return int(wrong.nonzero()[0, 0])
