"""Batch normalisation over the batches of all processes, on any device.

torch's ``SyncBatchNorm`` is for accelerators only; this one exchanges two small vectors for each layer, and in a group
of one it is the usual layer.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


def processes() -> int:
    """How many processes train together; 1 without a process group."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


class SynchronisedBatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation with the mean and variance of the joined batch."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalised maps (n, D, h, w); n may be another on each process."""
        if not self.training or processes() == 1:
            return super().forward(x)
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        count = wide.new_full((1,), x.numel() // x.shape[1])
        total, counts = _Sum.apply(torch.cat([wide.sum((0, 2, 3)), count])).split([x.shape[1], 1])
        mean = total / counts
        # A second exchange, as the difference of mean square and squared mean may have no digits left.
        variance = _Sum.apply((wide - mean[:, None, None]).square().sum((0, 2, 3))) / counts
        self._follow(mean, variance * counts / (counts - 1))
        scale = (variance + self.eps).rsqrt() * self.weight
        shift = self.bias - mean * scale
        return (wide * scale[:, None, None] + shift[:, None, None]).to(x.dtype)

    @torch.no_grad()
    def _follow(self, mean: Tensor, variance: Tensor) -> None:
        """Running statistics, as the usual layer keeps them."""
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked += 1
        share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean.to(self.running_mean), share)
        self.running_var.lerp_(variance.to(self.running_var), share)


class _Sum(torch.autograd.Function):
    """Sum over all processes; backward the sum of their gradients."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        total = x.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        total = grad.contiguous().clone()
        dist.all_reduce(total)
        return total


def synchronise_batch_norm(model: nn.Module) -> nn.Module:
    """Replace every plain ``BatchNorm2d`` below a model by a synchronised one that shares its weights; returns it.

    Example:
        >>> [type(layer).__name__ for layer in synchronise_batch_norm(nn.Sequential(nn.BatchNorm2d(4), nn.ReLU()))]
        ['SynchronisedBatchNorm2d', 'ReLU']
    """
    for name, child in model.named_children():
        if type(child) is nn.BatchNorm2d:
            layer = SynchronisedBatchNorm2d(child.num_features, child.eps, child.momentum)
            layer.weight, layer.bias = child.weight, child.bias
            layer._buffers.update(child._buffers)
            setattr(model, name, layer.train(child.training))
        else:
            synchronise_batch_norm(child)
    return model
