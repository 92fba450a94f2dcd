"""Mixtures of samples: Mixup (Zhang et al. 2018), FMix (Harris et al. 2020), and targets as shares of classes.

One draw per sample; a sample is mixed with the next one of a given order. Frames of a clip share their draw.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

DECAY = 3.0  # power with which FMix's noise falls with frequency, as its authors have it


def soft_targets(labels: Tensor, classes: int, smoothing: float = 0.0) -> Tensor:
    """Shares (n, C) of classes from labels (n,), in float32.

    Args:
        labels: integer classes 0..C-1.
        classes: C.
        smoothing: share that is spread evenly over all classes.

    Raises:
        ValueError: smoothing outside 0..1.

    Example:
        >>> soft_targets(torch.tensor([1]), 2, smoothing=0.1)
        tensor([[0.0500, 0.9500]])
    """
    if not 0 <= smoothing <= 1:
        raise ValueError(f"smoothing must lie in 0..1, got {smoothing}")
    return F.one_hot(labels.long(), classes) * (1 - smoothing) + smoothing / classes


def beta_draws(n: int, alpha: float, generator: torch.Generator) -> Tensor:
    """Shares (n,) from Beta(alpha, alpha), float32 on the CPU.

    Raises:
        ValueError: alpha that is not positive.
    """
    if not alpha > 0:
        raise ValueError(f"alpha must be positive, got {alpha}")
    seed = int(torch.randint(2**31, (1,), generator=generator))
    return torch.from_numpy(np.random.default_rng(seed).beta(alpha, alpha, n)).float()


def mixup(x: Tensor, order: Tensor, share: Tensor) -> Tensor:
    """``share`` of each sample and the rest of its partner.

    Args:
        x: (n, ...) floating point.
        order: (n,) partner of each sample.
        share: (n,) in 0..1.

    Raises:
        ValueError: order or share that do not fit.
    """
    _check(x, order, share)
    return x.lerp(x[order], (1 - share).to(x).view(-1, *[1] * (x.dim() - 1)))


def fmix_masks(share: Tensor, side: int, generator: torch.Generator) -> Tensor:
    """Masks of FMix: blobs of low-frequency noise that cover a given share of a picture.

    Args:
        share: (n,) of each picture that is covered.
        side: S.
        generator: on the CPU.

    Returns:
        (n, S, S) booleans on the CPU with ``round(share S^2)`` of each True.
    """
    spectrum = torch.randn(len(share), side, side // 2 + 1, 2, generator=generator)
    frequency = torch.sqrt(torch.fft.fftfreq(side)[:, None] ** 2 + torch.fft.rfftfreq(side) ** 2)
    scale = 1 / frequency.clamp(min=1 / side) ** DECAY
    noise = torch.fft.irfft2(torch.view_as_complex(spectrum) * scale, (side, side)).flatten(1)
    rank = noise.argsort(1, descending=True).argsort(1)
    covered = (share.cpu() * side * side).round()[:, None]
    return (rank < covered).view(-1, side, side)


def fmix(x: Tensor, order: Tensor, share: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Each sample inside a blob that covers ``share`` of it, its partner outside.

    Args:
        x: (n, ..., S, S); all that a sample holds, as the frames of a clip, has one mask.
        order: (n,) partner of each sample.
        share: (n,) in 0..1.
        generator: on the CPU.

    Returns:
        The mixtures, and the share (n,) that their masks really cover, on the CPU.

    Raises:
        ValueError: order or share that do not fit.
    """
    _check(x, order, share)
    masks = fmix_masks(share, x.shape[-1], generator)
    shaped = masks.to(x.device).view(len(x), *[1] * (x.dim() - 3), *masks.shape[1:])
    return torch.where(shaped, x, x[order]), masks.float().mean((1, 2))


def mixed_clips(
    x: Tensor, targets: Tensor, generator: torch.Generator, *, mixup_alpha: float, fmix_alpha: float
) -> tuple[Tensor, Tensor]:
    """Clips and shares of classes, mixed by Mixup or, half of the time, by FMix.

    Args:
        x: (n, ..., S, S) normalised frames.
        targets: (n, C) shares of classes.
        generator: on the CPU; decides which of both a batch gets, partners and shares.
        mixup_alpha: of Mixup's Beta distribution; 0 leaves Mixup out.
        fmix_alpha: of FMix's; 0 leaves FMix out.

    Returns:
        Mixtures and their targets; unchanged where both are left out.
    """
    if not mixup_alpha and not fmix_alpha:
        return x, targets
    order = torch.randperm(len(x), generator=generator).to(x.device)
    by_mask = (
        bool(torch.rand(1, generator=generator) < 0.5) if mixup_alpha and fmix_alpha else not mixup_alpha
    )
    share = beta_draws(len(x), fmix_alpha if by_mask else mixup_alpha, generator).to(x.device)
    if by_mask:
        x, share = fmix(x, order, share, generator)
    else:
        x = mixup(x, order, share)
    return x, mixup(targets, order, share.to(x.device))


def _check(x: Tensor, order: Tensor, share: Tensor) -> None:
    if order.shape != (len(x),) or share.shape != (len(x),):
        raise ValueError(
            f"order and share must have one entry per sample, got order {tuple(order.shape)}, "
            f"share {tuple(share.shape)}, x {tuple(x.shape)}"
        )
