"""Dtypes and directions of differences, for losses that compare where vectors point from one another."""

from functools import reduce

import torch
from torch import Tensor

from fbu.losses._numerics import unit


def wide(*features: Tensor) -> tuple[Tensor, ...]:
    """The widest dtype given and at least float32, lengths untouched."""
    dtype = reduce(torch.promote_types, (z.dtype for z in features), torch.float32)
    return tuple(z.to(dtype) for z in features)


def direction(difference: Tensor) -> Tensor:
    """Rows of length 1. A row of zeros stays so, without the gradient of 1/eps that it would have."""
    (rows,) = unit(difference)
    return rows * (difference != 0).any(-1, keepdim=True)
