"""What a population is made of: people, what they show, how the pictures look.

The numbers of each data set stand in its module of `fbu.data.worlds.populations`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

#: Identity numbers of a data set lie in [first, first + SPAN), so no two sets share a person.
SPAN = 1_000_000
#: Each seed owns a block of identity numbers within the span.
SEED_BLOCK = 20_000
SIZES = ("quick", "demo", "full")


@dataclass(frozen=True)
class Look:
    """How pictures are taken.

    Attributes:
        pose: multiplies the renderer's residual pose (1 = what an alignment leaves over).
        turn: extra yaw, standard deviation in radians.
        light: 1 = any direction and strength; less pulls towards even frontal light.
        blur: share of pictures with some blur.
        noise: multiplies the sensor noise.
        occluders: share of pictures with a hand, sunglasses or strands of hair before the face.
    """

    pose: float = 1.0
    turn: float = 0.0
    light: float = 1.0
    blur: float = 0.25
    noise: float = 1.0
    occluders: float = 0.10


@dataclass(frozen=True)
class Display:
    """How strongly an expression shows.

    Attributes:
        strength: range of the factor on the prototype's intensities.
        mild: share of faces that show little; ``mild_strength`` is their range.
        keep: chance that a unit of the prototype takes part.
        vary: spread of single units around the common strength.
        stray: chance of each unit that is not part of the expression.
    """

    strength: tuple[float, float] = (0.60, 1.05)
    mild: float = 0.0
    mild_strength: tuple[float, float] = (0.30, 0.50)
    keep: float = 0.90
    vary: float = 0.20
    stray: float = 0.05


@dataclass(frozen=True)
class Wild:
    """Single pictures of different people, one expression label each.

    Attributes:
        counts: pictures per class in the real set, by split; they give the shares of a twin.
        pictures: pictures per split, by size.
        names: sample id per split, formatted with the number (from 1).
        label_errors: share of pictures whose written label is not what is shown.
    """

    name: str
    first_identity: int
    counts: Mapping[str, Mapping[str, int]]
    pictures: Mapping[str, Mapping[str, int]]
    names: Mapping[str, str]
    label_errors: float = 0.0
    display: Display = field(default_factory=Display)
    look: Look = field(default_factory=Look)


@dataclass(frozen=True)
class Laboratory:
    """Known people in elicitation tasks, filmed in one session each.

    Attributes:
        subjects: names; the first letter is the sex (F or M).
        tasks: task name -> pattern (see `fbu.data.worlds.patterns`) that it mostly elicits.
        frames: frames per sequence, by size.
        on_target: share of sequences that show the target; the next ``detour`` show another pattern, the
            rest a mild mix of the target with a smile.
        talking: tasks with speech, and the share of frames with an open mouth.
        lapses: chance per frame and unit of a short stray movement.
    """

    name: str
    first_identity: int
    subjects: tuple[str, ...]
    tasks: Mapping[str, str]
    frames: Mapping[str, int]
    on_target: float = 0.60
    detour: float = 0.25
    talking: Mapping[str, float] = field(default_factory=dict)
    lapses: float = 0.012
    look: Look = field(default_factory=Look)


class Population(Protocol):
    """What every kind of population has."""

    @property
    def name(self) -> str:
        """Data set that it imitates."""
        ...

    @property
    def first_identity(self) -> int:
        """First number of its people."""
        ...


#: People of the stand-in towers' pre-training pictures.
TOWER_FIRST_IDENTITY = 5_000_000
