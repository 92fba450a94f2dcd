"""What people show in a laboratory task: action units with their chance of taking part and their apex.

Posed prototypes are too clean for a task: people add weaker units, and smile in most tasks. The chances are
set so that a unit's share of frames comes near the occurrence rates known of BP4D.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from fbu.data.faces import AUS

#: Pattern -> unit -> (chance that it takes part in a sequence, intensity at the apex).
PATTERNS: dict[str, dict[int, tuple[float, float]]] = {
    "happiness": {
        6: (0.95, 4.2),
        7: (0.70, 3.4),
        10: (0.80, 3.4),
        12: (1.0, 4.4),
        14: (0.55, 3.2),
        25: (0.60, 3.5),
    },
    "sadness": {
        1: (0.80, 4.2),
        4: (0.65, 3.8),
        15: (0.80, 4.2),
        17: (0.75, 3.8),
        7: (0.50, 3.2),
        14: (0.50, 3.4),
        10: (0.25, 3.2),
        12: (0.25, 3.4),
    },
    "surprise": {
        1: (0.85, 4.3),
        2: (0.90, 4.3),
        5: (0.80, 4.2),
        25: (0.80, 4.0),
        26: (0.60, 4.0),
        12: (0.50, 3.6),
        6: (0.40, 3.6),
        7: (0.40, 3.2),
        10: (0.40, 3.2),
    },
    "embarrassment": {
        12: (0.95, 4.0),
        6: (0.75, 3.8),
        7: (0.70, 3.4),
        10: (0.60, 3.4),
        14: (0.85, 4.0),
        17: (0.70, 3.6),
        24: (0.60, 3.8),
        23: (0.40, 3.6),
        15: (0.25, 3.6),
    },
    "fear": {
        1: (0.70, 4.2),
        2: (0.60, 3.8),
        4: (0.45, 3.8),
        5: (0.70, 4.2),
        20: (0.65, 4.2),
        25: (0.55, 3.8),
        7: (0.55, 3.4),
        10: (0.45, 3.4),
        12: (0.60, 3.4),
        14: (0.40, 3.4),
    },
    "pain": {
        4: (0.65, 4.0),
        6: (0.90, 4.2),
        7: (0.90, 4.2),
        9: (0.60, 4.2),
        10: (0.90, 4.2),
        12: (0.50, 3.6),
        14: (0.45, 3.4),
        17: (0.60, 3.6),
        23: (0.30, 3.6),
        24: (0.25, 3.6),
    },
    "anger": {
        4: (0.70, 4.4),
        7: (0.80, 4.0),
        23: (0.75, 4.2),
        24: (0.65, 4.2),
        17: (0.75, 3.8),
        14: (0.60, 3.6),
        10: (0.35, 3.4),
        15: (0.25, 3.6),
        12: (0.20, 3.4),
    },
    "disgust": {
        9: (0.90, 4.5),
        10: (0.95, 4.4),
        4: (0.45, 3.8),
        7: (0.80, 3.8),
        6: (0.60, 3.8),
        17: (0.65, 3.6),
        15: (0.35, 3.6),
        12: (0.40, 3.4),
        14: (0.35, 3.4),
    },
}
NAMES = tuple(PATTERNS)


@dataclass(frozen=True)
class Tables:
    """`PATTERNS` as tensors ``[patterns, 17]``: chance and apex intensity."""

    chance: torch.Tensor
    apex: torch.Tensor


def tables() -> Tables:
    """The patterns as tensors, rows in the order of `NAMES`, columns in that of ``AUS``."""
    rows = [[PATTERNS[name].get(unit, (0.0, 0.0)) for unit in AUS] for name in NAMES]
    both = torch.tensor(rows)
    return Tables(both[..., 0], both[..., 1])
