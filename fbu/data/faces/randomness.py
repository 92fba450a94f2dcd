"""Counter-based randomness: a number depends on what it is for, never on the batch it is drawn in."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

# The multipliers of splitmix64 (Steele, Lea and Flood, OOPSLA 2014) as signed 64-bit integers.
_ROUNDS = ((30, -0x40A7B892E31B1A47), (27, -0x6B2FB644ECCEEE15), (31, 1))
_STEP = -0x61C8864680B583EB


def _mix(x: Tensor) -> Tensor:
    """One finaliser of splitmix64 on int64 (shifts made logical by masking)."""
    for shift, multiplier in _ROUNDS:
        x = (x ^ ((x >> shift) & ((1 << (64 - shift)) - 1))) * multiplier
    return x


def uniform(seed: int, index: Tensor | Sequence[int], n: int, stream: int = 0) -> Tensor:
    """Numbers in [0, 1) that are a pure function of (seed, stream, index, column).

    Args:
        seed: Any integer.
        index: Integers [B]; row b depends on `index[b]` only.
        n: Number of columns.
        stream: Separates independent uses of one seed and index.

    Returns:
        float32 [B, n] on the CPU, exact multiples of 2**-24.
    """
    start = _mix(torch.tensor(seed * 1000003 + stream, dtype=torch.int64))
    key = _mix(start + torch.as_tensor(index, dtype=torch.int64).cpu())
    bits = _mix(key[:, None] + torch.arange(1, n + 1) * _STEP) >> 40
    return (bits & 0xFFFFFF).float() / (1 << 24)


def normal(seed: int, index: Tensor | Sequence[int], n: int, stream: int = 0) -> Tensor:
    """Standard normal numbers [B, n], by the inverse distribution function of `uniform`."""
    return (2 * uniform(seed, index, n, stream).clamp(1e-4, 1 - 1e-4) - 1).erfinv() * math.sqrt(2)


def smooth_noise(stream: int, rows: int, columns: int, shape: tuple[int, int]) -> Tensor:
    """A fixed smooth texture: `rows` x `columns` normal numbers, interpolated to `shape`."""
    coarse = normal(7, torch.arange(rows), columns, stream)[None, None]
    return F.interpolate(coarse, shape, mode="bicubic")[0, 0]
