"""Who is in a twin, what they show and how the pictures look: one frozen entry per data set.

These numbers fix the difficulty of the twins. They were set before any method was trained and stay.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

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


Population = Wild | Laboratory

_RAFDB_TRAIN = dict(
    surprise=1290, fear=281, disgust=717, happiness=4772, sadness=1982, anger=705, neutral=2524
)
_RAFDB_TEST = dict(surprise=329, fear=74, disgust=160, happiness=1185, sadness=478, anger=162, neutral=680)

RAFDB = Wild(
    name="rafdb",
    first_identity=2_000_000,
    counts={"train": _RAFDB_TRAIN, "test": _RAFDB_TEST},
    pictures={
        "quick": {"train": 1200, "test": 400},
        "demo": {"train": 5000, "test": 1500},
        "full": {"train": 12271, "test": 3068},
    },
    names={"train": "train_{:05d}", "test": "test_{:04d}"},
    label_errors=0.03,
    display=Display(strength=(0.70, 1.10), mild=0.10, keep=0.95, stray=0.03),
    look=Look(pose=0.6, turn=0.02, light=0.6, blur=0.15, noise=0.8, occluders=0.06),
)

BP4D = Laboratory(
    name="bp4d",
    first_identity=1_000_000,
    subjects=tuple(f"F{i:03d}" for i in range(1, 24)) + tuple(f"M{i:03d}" for i in range(1, 19)),
    tasks={
        "T1": "happiness",
        "T2": "sadness",
        "T3": "surprise",
        "T4": "embarrassment",
        "T5": "fear",
        "T6": "pain",
        "T7": "anger",
        "T8": "disgust",
    },
    frames={"quick": 6, "demo": 24, "full": 60},
    talking={"T1": 0.45, "T4": 0.25},
    look=Look(pose=0.4, light=0.3, blur=0.05, noise=0.6, occluders=0.005),
)

POPULATIONS: dict[str, Population] = {p.name: p for p in (BP4D, RAFDB)}

#: People of the stand-in towers' pre-training pictures.
TOWER_FIRST_IDENTITY = 5_000_000
