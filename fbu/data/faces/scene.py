"""A scene is everything that one picture needs; `Scene.sample` draws them at random."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from fbu.data.faces.identity import WIDTH, Identity
from fbu.data.faces.randomness import normal, uniform
from fbu.data.faces.units import ACTIVITIES, AUS, COLUMN, PROTOTYPES, VARIANTS, au_vector

POSE = ("yaw", "pitch", "roll", "tx", "ty", "scale")  # radians; half picture widths
LIGHT = ("lx", "ly", "lz", "ambient", "strength", "warm")  # direction: right, down, towards the viewer
STATE = ("blink", "gaze_x", "gaze_y", "blur", "noise", "occluder", "ox", "oy", "oa", "os", "seed")
OCCLUDERS = ("none", "hand", "sunglasses", "strands")  # names of the values of state "occluder"

_PLAIN_POSE = (0.0, 0.0, 0.0, 0.0, 0.0, 1.0)
_PLAIN_LIGHT = (-0.35, -0.45, 0.82, 0.34, 0.80, 0.0)


@dataclass
class Scene:
    """Tensors with one row per picture, all on one device."""

    identity: Tensor  # [B, WIDTH] from Identity.sample
    au: Tensor  # [B, 17] intensities 0-5
    asym: Tensor  # [B, 17] -1 left of the picture only .. 0 both .. 1 right only
    pose: Tensor  # [B, 6]
    light: Tensor  # [B, 6]
    state: Tensor  # [B, 11]
    bg: Tensor  # [B, 3, 5, 5] background colours
    labels: dict[str, Tensor] | None = None  # identity, expression, activity, occluder: int64 [B]

    def __len__(self) -> int:
        """Number of pictures."""
        return len(self.au)

    def __post_init__(self) -> None:
        """Check the shapes, so that a mistake is named here and not in the renderer."""
        wanted = {
            "identity": (WIDTH,), "au": (len(AUS),), "asym": (len(AUS),), "pose": (len(POSE),),
            "light": (len(LIGHT),), "state": (len(STATE),), "bg": (3, 5, 5),
        }  # fmt: skip
        for name, shape in wanted.items():
            got = tuple(getattr(self, name).shape)
            if got != (len(self.identity), *shape):
                raise ValueError(f"{name} must have shape {(len(self.identity), *shape)}, got {got}")

    def map(self, function: Callable[[Tensor], Tensor]) -> Scene:
        """Apply a function to every tensor (labels included), for instance to pick rows."""
        tensors = {f.name: function(getattr(self, f.name)) for f in fields(self) if f.name != "labels"}
        labels = None if self.labels is None else {name: function(x) for name, x in self.labels.items()}
        return replace(self, **tensors, labels=labels)

    def __getitem__(self, rows: Tensor | slice | Sequence[int]) -> Scene:
        """The scene of some rows."""
        return self.map(lambda x: x[rows])

    def to(self, device: torch.device | str) -> Scene:
        """The same scene on another device; it is rendered where it lies."""
        return self.map(lambda x: x.to(device))

    @staticmethod
    def plain(identity: Tensor, au: Tensor, asym: Tensor | None = None, **given: Tensor) -> Scene:
        """Frontal, evenly lit, no nuisances, except for the fields that are given.

        Args:
            identity: People [B, WIDTH].
            au: Intensities [B, 17] in 0-5, in the order of `AUS`.
            asym: Asymmetry [B, 17], default none.
            **given: Any of pose, light, state, bg, labels.
        """
        n, device = len(identity), identity.device

        def repeat(row: Sequence[float]) -> Tensor:
            return torch.tensor([row], dtype=torch.float32, device=device).repeat(n, 1)

        default = {
            "asym": torch.zeros(n, len(AUS), device=device) if asym is None else asym,
            "pose": repeat(_PLAIN_POSE),
            "light": repeat(_PLAIN_LIGHT),
            "state": repeat([0.0] * len(STATE)),
            "bg": torch.full((n, 3, 5, 5), 0.45, device=device),
        }
        return Scene(identity, au.float(), **{**default, **given})  # type: ignore[arg-type]

    @staticmethod
    def sample(seed: int, index: Tensor, people: Tensor | None = None, nuisance: float = 1.0) -> Scene:
        """Random scenes with labels; (seed, index, person) fully decides each one.

        Args:
            seed: Seed of the scenes (people are always drawn with seed 0 of `Identity.sample`).
            index: Integers [B], the number of each scene.
            people: Identity numbers [B], default `index`.
            nuisance: Scales pose, blur, noise and occluders; light, gaze and blinks always vary.

        Returns:
            A scene on the CPU; `labels["expression"]` counts in the order of `PROTOTYPES`,
            `labels["activity"]` in that of `ACTIVITIES`.
        """
        index = torch.as_tensor(index)
        who = index if people is None else torch.as_tensor(people)
        u, z = uniform(seed, index, 32, 21), normal(seed, index, 16, 22).clamp(-2.5, 2.5)
        activity = (u[:, 0] * len(ACTIVITIES)).long()
        # 55 % show what the activity elicits, 15 % nothing, 30 % anything.
        anything = torch.where(u[:, 1] < 0.70, 0, (u[:, 2] * len(PROTOTYPES)).long())
        expression = torch.where(u[:, 1] < 0.55, activity, anything)
        state = _sample_state(u, z, nuisance)
        labels = {
            "identity": who, "expression": expression, "activity": activity,
            "occluder": state[:, STATE.index("occluder")].long(),
        }  # fmt: skip
        return Scene(
            Identity.sample(who),
            _sample_units(seed, index, expression, u),
            _sample_asymmetry(seed, index, expression, u),
            _sample_pose(z, nuisance),
            _sample_light(u, z),
            state,
            _sample_background(seed, index, u),
            labels,
        )


def _sample_units(seed: int, index: Tensor, expression: Tensor, u: Tensor) -> Tensor:
    """Prototype with dropped, weakened and stray units [B, 17]."""
    prototype = torch.tensor([au_vector(e) for e in PROTOTYPES.values()])[expression]
    variant = torch.tensor([[VARIANTS.get(e, {}).get(a, 0.0) for a in AUS] for e in PROTOTYPES])[expression]
    keep, vary, stray = (uniform(seed, index, len(AUS), stream) for stream in (23, 24, 25))
    prototype = torch.where(stray < variant, 4.0, prototype)
    au = prototype * (keep < 0.90) * (0.60 + 0.45 * u[:, 3:4]) * (0.80 + 0.4 * vary)
    au = torch.where(prototype > 0, au, (stray < 0.05) * (2 + 2.5 * vary)).clamp(0, 5)
    au[:, COLUMN[25]] *= au[:, COLUMN[24]] <= 1  # lips cannot be pressed and parted
    au[:, COLUMN[26]] *= au[:, COLUMN[25]] > 0.5
    return torch.where(au < 0.4, 0.0, au)


def _sample_asymmetry(seed: int, index: Tensor, expression: Tensor, u: Tensor) -> Tensor:
    """Mild random asymmetry [B, 17]; contempt is on one side."""
    asym = 0.25 * normal(seed, index, len(AUS), 26) * (u[:, 4:5] < 0.6)
    contempt = expression == list(PROTOTYPES).index("contempt")
    asym[:, COLUMN[14]] = torch.where(contempt, (u[:, 5] < 0.5) * 2.0 - 1, asym[:, COLUMN[14]])
    return asym.clamp(-1, 1)


def _sample_pose(z: Tensor, nuisance: float) -> Tensor:
    """What an alignment by landmarks leaves of the pose [B, 6]."""
    spread = torch.tensor([0.12, 0.06, 0.03, 0.012, 0.012])
    return torch.cat([nuisance * z[:, :5] * spread, 1 + 0.018 * nuisance * z[:, 5:6]], 1)


def _sample_light(u: Tensor, z: Tensor) -> Tensor:
    """Light from the front half, mostly from above [B, 6]."""
    side, up = (u[:, 6] * 2 - 1) * 0.9, u[:, 7] * 0.9 - 0.1
    towards = side.cos() * up.cos() + 0.25
    strength = [0.30 + 0.25 * u[:, 8], 0.55 + 0.40 * u[:, 9], z[:, 6] * 0.6]
    return torch.stack([side.sin(), -up.sin(), towards, *strength], 1)


def _sample_state(u: Tensor, z: Tensor, nuisance: float) -> Tensor:
    """Blink, gaze, blur, noise and occluder [B, 11]."""
    occluder = torch.where(u[:, 10] < 0.10 * nuisance, 1 + (u[:, 11] * 3).floor(), 0.0)
    blur = (u[:, 13] < 0.25 * nuisance) * u[:, 14] * 0.8
    noise = 0.004 + 0.022 * nuisance * u[:, 15] ** 2
    place = [(u[:, 16] - 0.5) * 0.9, 0.45 + 0.35 * u[:, 17], (u[:, 18] - 0.5) * 1.4, 0.55 + 0.2 * u[:, 19]]
    gaze = [0.022 * z[:, 7], 0.008 * z[:, 8]]
    return torch.stack(
        [(u[:, 12] < 0.04) * 1.0, *gaze, blur, noise, occluder, *place, (u[:, 20] * 65536).floor()], 1
    )


def _sample_background(seed: int, index: Tensor, u: Tensor) -> Tensor:
    """Blurred backgrounds as 5 x 5 colours [B, 3, 5, 5]."""
    blob, colour = uniform(seed, index, 75, 27).view(-1, 3, 5, 5), u[:, 21:26, None, None]
    tint = 0.2 + 0.6 * colour[:, 4:] + 0.22 * (colour[:, :3] - 0.5)
    return (tint + 0.45 * colour[:, 3:4] * (blob[:, :1] - 0.5) + 0.12 * (blob - 0.5)).clamp(0.03, 0.97)
