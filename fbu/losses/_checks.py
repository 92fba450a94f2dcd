"""Checks of loss arguments; every message names the argument and the shapes received."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def shapes(**tensors: Tensor) -> str:
    """``"z_a (4, 8), z_b (3, 8)"``, for messages."""
    return ", ".join(f"{name} {tuple(t.shape)}" for name, t in tensors.items())


def check_features(**features: Tensor) -> None:
    """Floating-point (rows, width) tensors without empty dimension, of one width and on one device."""
    for name, z in features.items():
        if not isinstance(z, Tensor) or not z.is_floating_point():
            kind = z.dtype if isinstance(z, Tensor) else type(z).__name__
            raise ValueError(f"{name} must be a floating-point tensor, got {kind}")
        if z.dim() != 2 or not z.numel():
            raise ValueError(f"{name} must be (rows, width), neither of them 0, got {shapes(**{name: z})}")
    if len({z.shape[1] for z in features.values()}) > 1:
        raise ValueError(f"features must share their width, got {shapes(**features)}")
    if len({z.device for z in features.values()}) > 1:
        devices = ", ".join(f"{name} on {z.device}" for name, z in features.items())
        raise ValueError(f"features must be on one device, got {devices}")


def check_rows(reference: str, **tensors: Tensor) -> None:
    """All tensors have as many rows as the one called ``reference``."""
    rows = tensors[reference].shape[0]
    for name, t in tensors.items():
        if t.shape[0] != rows:
            raise ValueError(f"{name} must have one row per row of {reference}, got {shapes(**tensors)}")


def check_shape(name: str, value: Tensor, shape: tuple[int, ...], of: str, **others: Tensor) -> None:
    """``value`` is a tensor of ``shape``; ``of`` says in words what the shape stands for."""
    if not isinstance(value, Tensor):
        raise ValueError(f"{name} must be a tensor of shape {shape}, {of}, got {type(value).__name__}")
    if tuple(value.shape) != shape:
        raise ValueError(f"{name} must have shape {shape}, {of}, got {shapes(**{name: value}, **others)}")


def check_integers(name: str, value: Tensor) -> None:
    """``value`` holds whole numbers, so that equality of labels means something."""
    if value.is_floating_point() or value.is_complex():
        raise ValueError(f"{name} must be integers, got {value.dtype} of shape {tuple(value.shape)}")


def check_classes(name: str, value: Tensor, classes: int) -> None:
    """Class indices lie in range. Read on the CPU only: an accelerator would have to stop for it."""
    if value.device.type == "cpu" and not bool(((value >= 0) & (value < classes)).all()):
        low, high = int(value.min()), int(value.max())
        raise ValueError(f"{name} must lie in 0..{classes - 1}, got values from {low} to {high}")


def check_scale(name: str, value: float | Tensor) -> None:
    """A positive finite number, or a tensor of one element (whose value stays unread)."""
    if isinstance(value, Tensor):
        if value.numel() != 1 or value.dim() > 1:
            raise ValueError(f"{name} must be a number or hold one element, got {shapes(**{name: value})}")
    elif not (math.isfinite(value) and value > 0):
        raise ValueError(f"{name} must be positive and finite, got {value}")


def check_choice(name: str, value: str, known: Sequence[str]) -> None:
    """``value`` is one of ``known``."""
    if value not in known:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, known))}, got {value!r}")


def check_reduction(value: str) -> None:
    """One of the three reductions."""
    check_choice("reduction", value, ("mean", "sum", "none"))


def check_probabilities(name: str, value: Tensor, known: Tensor) -> None:
    """Known targets lie in 0..1. Read on the CPU only, as in :func:`check_classes`."""
    bad = known & ((value < 0) | (value > 1))
    if value.device.type == "cpu" and bool(bad.any()):
        wrong = torch.unique(value[bad]).tolist()[:5]
        got = f"{wrong} in shape {tuple(value.shape)}"
        raise ValueError(f"{name} must lie in 0..1, or be -1 or NaN where unknown, got {got}")
