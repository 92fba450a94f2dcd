"""Contrast over the batches of several processes: features are gathered, and their gradients find the way back.

A contrastive loss compares every sample with every other one. Where each process holds a part of the batch, it must
see the features of all parts, or it contrasts within its own part only, which is another loss.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd.function import once_differentiable

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup


def gather_features(
    *features: Tensor, labels: Tensor | None = None, group: ProcessGroup | None = None
) -> tuple[Tensor, ...]:
    """Rows of all processes, in the order of their ranks; gradients flow back to the process that a row came from.

    Every process gets the same tensors, and so computes the loss of the joined batch. On the way back, the gradients
    that the processes computed for a row are added up. With W processes that all compute the joined loss, a row's
    gradient is W times that of one process; ``DistributedDataParallel`` divides by W when it averages, and a
    parameter ends with the gradient that one process would have given it.

    All processes must call this in the same order, with the same number of tensors. Parts may have different lengths.
    Without a process group, or in a group of one, the tensors come back as they are.

    Args:
        features: floating-point tensors (n, D, ...) of one n and dtype; n may be another on each process.
        labels: integers (n, ...), gathered without gradient.
        group: processes that take part; default: all.

    Returns:
        The features (N, D, ...) in the order given, N the sum of the n, then the labels (N, ...) if there are any.

    Raises:
        ValueError: no features, lengths or dtypes that differ within a process, or widths or dtypes that differ between
            processes. The last is raised on all of them, so that none is left waiting.

    Example:
        >>> z, y = gather_features(torch.ones(2, 3), labels=torch.tensor([0, 1]))  # one process
        >>> z.shape, y
        (torch.Size([2, 3]), tensor([0, 1]))
    """
    _check(features, labels)
    given = [*features] if labels is None else [*features, labels]
    if not dist.is_available() or not dist.is_initialized() or dist.get_world_size(group) == 1:
        return tuple(given)
    # One exchange for all features: fewer messages, and backward passes cannot meet in another order.
    flat = [z.flatten(1) for z in features]
    joined = torch.cat(flat, dim=1)
    rows = _agreed_rows(joined.device, features, labels, group)
    parts = _Gather.apply(joined, tuple(rows), group).split([z.shape[1] for z in flat], dim=1)
    found = [part.unflatten(1, z.shape[1:]) for part, z in zip(parts, features, strict=True)]
    if labels is not None:
        found.append(_gathered(labels, rows, group))
    return tuple(found)


def _check(features: tuple[Tensor, ...], labels: Tensor | None) -> None:
    if not features:
        raise ValueError("gather_features needs at least one tensor of features")
    for z in features:
        if z.ndim < 2 or not z.is_floating_point():
            raise ValueError(f"features must be floating point (n, D, ...), got {z.dtype} {list(z.shape)}")
    given = [*features] if labels is None else [*features, labels]
    if len({len(x) for x in given}) > 1 or len({z.dtype for z in features}) > 1:
        shapes = ", ".join(f"{x.dtype} {list(x.shape)}" for x in given)
        raise ValueError(f"features and labels must have the same rows, features one dtype, got {shapes}")
    if labels is not None and labels.is_floating_point():
        raise ValueError(f"labels must be integers (n, ...), got {labels.dtype} {list(labels.shape)}")


def _agreed_rows(
    device: torch.device, features: tuple[Tensor, ...], labels: Tensor | None, group: ProcessGroup | None
) -> list[int]:
    """Rows of each process; ValueError on every process where their tensors do not fit together."""
    given = [*features] if labels is None else [*features, labels]
    about = ", ".join(f"{x.dtype} {['n', *x.shape[1:]]}" for x in given)
    # What must agree travels as one number: messages must have the same length even where it does not.
    same = int.from_bytes(hashlib.sha256(about.encode()).digest()[:7], "big")
    mine = torch.tensor([len(given[0]), same], device=device)
    every = [torch.empty_like(mine) for _ in range(dist.get_world_size(group))]
    dist.all_gather(every, mine, group=group)
    table = torch.stack(every).tolist()
    differing = [rank for rank, (_, other) in enumerate(table) if other != table[0][1]]
    if differing:
        raise ValueError(
            f"processes {differing} gather other widths or dtypes than process 0; this process has {about}"
        )
    return [rows for rows, _ in table]


def _gathered(x: Tensor, rows: list[int], group: ProcessGroup | None) -> Tensor:
    """Rows of all processes, without gradient; shorter parts travel filled up, because messages have one length."""
    longest = max(rows)
    filled = x.new_zeros(longest, *x.shape[1:])
    filled[: len(x)] = x.detach()
    every = [torch.empty_like(filled) for _ in rows]
    dist.all_gather(every, filled, group=group)
    return torch.cat([part[:n] for part, n in zip(every, rows, strict=True)])


class _Gather(torch.autograd.Function):
    """All rows forward; backward the sum over processes of the gradients of one's own rows."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, rows: tuple[int, ...], group: ProcessGroup | None) -> Tensor:
        rank = dist.get_rank(group)
        ctx.group, ctx.first, ctx.count = group, sum(rows[:rank]), rows[rank]
        return _gathered(x, list(rows), group)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        # A sum over everything and a cut: every backend has it, and parts of any length are served.
        total = grad.contiguous().clone()
        dist.all_reduce(total, group=ctx.group)
        return total[ctx.first : ctx.first + ctx.count], None, None
