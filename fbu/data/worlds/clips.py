"""Worlds of clips in the wild: an expression rises, holds and falls, and some frames show something else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F

from fbu.data.faces import AUS, POSE, STATE, Scene, render_scene, uniform
from fbu.data.faces import normal as normal_numbers
from fbu.data.worlds import drawing
from fbu.data.worlds.drawing import EXPRESSION_ROWS
from fbu.data.worlds.population import Display, Look
from fbu.data.worlds.wild import apportion
from fbu.data.worlds.world import World, attributes, intensities

#: What a noisy frame shows: another person, nothing, the face blurred beyond use, or behind a hand.
NOISE = ("person", "blank", "blur", "hand")
#: Classes without a prototype of their own, as mixtures of two; the shares are ours.
BLENDS: dict[str, tuple[tuple[str, float], tuple[str, float]]] = {
    "anxiety": (("fear", 0.75), ("sadness", 0.55)),
    "helplessness": (("sadness", 0.70), ("surprise", 0.40)),
    "disappointment": (("sadness", 0.60), ("contempt", 0.60)),
}

_ORDER, _ERRORS, _LENGTH, _TIMES, _NOISE, _FRAMES, _DRIFT = 601, 611, 621, 631, 641, 651, 661
_BATCH = 512
_MOST_FRAMES = 1024
#: People of a seed: the first for the clips (a set with more has some twice), the others pass through noisy frames.
_PEOPLE, _PASSERS_BY = 15_000, 4_999
#: Share of the apex from which an expression counts as shown.
_SHOWN = 0.5


@dataclass(frozen=True)
class Lengths:
    """Frames per clip: log-normal around ``typical``, cut at both ends; a share of the clips has one frame."""

    shortest: int
    typical: int
    longest: int
    spread: float = 0.45
    single: float = 0.02


@dataclass(frozen=True)
class Filmed:
    """Clips of different people, one expression label each.

    Attributes:
        counts: clips per class in the real set, by split ("" where folds come later); they give the shares.
        clips: clips per split, by size.
        lengths: frames per clip, by size.
        stride: a clip's number grows by about this much from clip to clip, since some clips have no label.
        least: clips of the rarest class.
        label_errors: share of clips whose written label is not what is shown.
        noisy: share of clips with noisy frames.
    """

    name: str
    first_identity: int
    counts: Mapping[str, Mapping[str, int]]
    clips: Mapping[str, Mapping[str, int]]
    lengths: Mapping[str, Lengths]
    stride: float = 1.0
    least: int = 5
    label_errors: float = 0.0
    noisy: float = 0.40
    display: Display = field(default_factory=Display)
    look: Look = field(default_factory=Look)


@dataclass(frozen=True)
class Plan:
    """Per clip: class shown, number of frames, person, number for draws; ``noise`` ``[clips, longest]``, -1: none."""

    shown: np.ndarray
    frames: torch.Tensor
    person: torch.Tensor
    number: torch.Tensor
    noise: torch.Tensor


@dataclass(frozen=True)
class ClipWorld(World):
    """A population of clips.

    `records` has one row per clip: beside the columns of every world, ``frames``, the first frame that shows at
    least half of the apex (``onset``), the first at its height (``apex``), the last of at least half (``offset``;
    all -1 for a neutral clip; frames count from 0), and ``noisy``: its noisy frames, as ``3:blank 4:blank``.
    `scenes` and `render` give each clip at its apex, without noise.
    """

    plan: Plan

    def clips(self, rows: np.ndarray, image_size: int) -> Iterator[np.ndarray]:
        """Frames of some clips in turn, uint8 ``[n, 3, S, S]``; the same whatever the other clips are."""
        rows = np.asarray(rows)
        ends = np.cumsum(self.plan.frames.numpy()[rows])
        for part in np.split(np.arange(len(rows)), np.flatnonzero(np.diff(ends // _BATCH)) + 1):
            if len(part):
                yield from self._block(torch.as_tensor(rows[part]), image_size)

    def _block(self, rows: torch.Tensor, image_size: int) -> Iterator[np.ndarray]:
        plan, population = self.plan, self.population
        assert isinstance(population, Filmed)
        lengths = plan.frames[rows]
        clip = rows.repeat_interleave(lengths)
        step = torch.cat([torch.arange(int(n)) for n in lengths])
        pictures = np.empty((len(clip), 3, image_size, image_size), np.uint8)
        for at in torch.arange(len(clip)).split(_BATCH):
            scene = _disturbed(population, self.seed, plan, clip[at], step[at])
            drawn = np.asarray(render_scene(scene, image_size))
            kind = plan.noise[clip[at], step[at]].numpy()
            pictures[at.numpy()] = _degraded(drawn, kind, plan.number[clip[at]])
        yield from np.split(pictures, np.cumsum(lengths.numpy())[:-1])


def noisy_frames(text: str) -> dict[int, str]:
    """Frames (from 0) and kinds of noise of a clip, from the column ``noisy``.

    >>> noisy_frames("3:blank 9:hand")
    {3: 'blank', 9: 'hand'}
    """
    pairs = (item.split(":") for item in text.split())
    return {int(frame): kind for frame, kind in pairs}


def draw(population: Filmed, size: str, seed: int) -> ClipWorld:
    """Draw a world of clips; splits follow each other."""
    split, label = _labels(population, size, seed)
    at = torch.arange(len(label))
    number = drawing.numbers(population.first_identity, at * _MOST_FRAMES)
    classes, errors = next(iter(population.counts.values())), population.label_errors
    shown = drawing.with_label_errors(label, classes, errors, seed=seed, index=number, stream=_ERRORS)
    frames = _frames(population.lengths[size], seed, number)
    noise = _noise(population.noisy, seed, number, frames)
    person = drawing.people(population.first_identity, seed, at % _PEOPLE)
    plan = Plan(shown, frames, person, number, noise)
    times = _times(plan, seed)
    scene = _scene(population, seed, plan, at, times[:, 1].clamp(min=0))
    sample = [f"{1 + int(i * population.stride):05d}" for i in range(len(label))]
    marks = np.where((shown == "neutral")[:, None], -1, times.numpy())
    records = pd.DataFrame(
        {"sample": sample, "split": split, "subject": sample, "expression": shown, "label": label}
    )
    records["activity"], records["frame"], records["frames"] = "", marks[:, 1].clip(min=0), frames.numpy()
    records["onset"], records["apex"], records["offset"] = marks.T
    records["person"] = [f"p{n:05d}" for n in (at % _PEOPLE).tolist()]
    records["noisy"] = [_told(row) for row in noise.numpy()]
    records = pd.concat([records, intensities(scene), attributes(scene)], axis=1)
    return ClipWorld(population.name, size, seed, population, records, scene, plan)


def _labels(population: Filmed, size: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Split and written label of each clip: classes in the real proportions, in random order."""
    splits, labels = [], []
    for i, (split, total) in enumerate(population.clips[size].items()):
        counts, extra = population.counts[split], population.least - 1
        if total != sum(counts.values()):
            shares = apportion(counts, total - extra * len(counts))
            counts = {name: n + extra for name, n in shares.items()}
        label = np.repeat(list(counts), list(counts.values()))
        labels.append(label[uniform(seed, torch.arange(total), 1, _ORDER + i)[:, 0].argsort(stable=True)])
        splits.append(np.full(total, split))
    return np.concatenate(splits), np.concatenate(labels)


def _frames(lengths: Lengths, seed: int, number: torch.Tensor) -> torch.Tensor:
    drawn = lengths.typical * (lengths.spread * normal_numbers(seed, number, 1, _LENGTH)[:, 0]).exp()
    frames = drawn.round().long().clamp(lengths.shortest, lengths.longest)
    # By rank and not by chance, so that also a small world has clips of one frame.
    rank = uniform(seed, number, 1, _LENGTH + 1)[:, 0].argsort(stable=True).argsort(stable=True)
    return torch.where(rank < lengths.single * len(frames), 1, frames)


def _noise(share: float, seed: int, number: torch.Tensor, frames: torch.Tensor) -> torch.Tensor:
    """Kind of noise per clip and frame, -1 for none: one run of up to a third of the clip, sometimes a second."""
    step = torch.arange(int(frames.max()))
    out = torch.full((len(frames), len(step)), -1)
    chance = uniform(seed, number, 1, _NOISE)[:, 0]
    for i, limit in enumerate((share, 0.3 * share)):
        u = uniform(seed, number, 3, _NOISE + 1 + i)
        run = ((0.08 + 0.25 * u[:, 0]) * frames).round().clamp(min=1)
        first = (u[:, 1] * (frames - run + 1)).floor()
        within = (step >= first[:, None]) & (step < (first + run)[:, None])
        # A clip of one frame stays what its label says.
        noisy = within & (chance < limit)[:, None] & (frames > 1)[:, None]
        out = torch.where(noisy, (u[:, 2:] * len(NOISE)).long(), out)
    return out


def _told(kinds: np.ndarray) -> str:
    return " ".join(f"{at}:{NOISE[kinds[at]]}" for at in np.flatnonzero(kinds >= 0))


def _envelope(seed: int, number: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
    """Height of an expression 0..1 at a time 0..1 of its clip: onset, apex, offset that is not always complete."""
    u = uniform(seed, number, 5, _TIMES)
    up = drawing.smoothstep((time - 0.22 * u[:, 0]) / (0.06 + 0.18 * u[:, 1]))
    down = drawing.smoothstep((time - 0.60 - 0.35 * u[:, 2]) / (0.10 + 0.20 * u[:, 3]))
    return up * (1 - down * (1 - 0.6 * u[:, 4]))


def _times(plan: Plan, seed: int) -> torch.Tensor:
    """Onset, apex and offset frame of each clip ``[clips, 3]``."""
    steps = torch.arange(plan.noise.shape[1])
    times = (steps + 0.5) / plan.frames[:, None]
    flat = _envelope(seed, plan.number.repeat_interleave(len(steps)), times.clamp(max=1).flatten())
    height = torch.where(times < 1, flat.view(times.shape), -1.0)
    shown = height >= _SHOWN * height.amax(1, keepdim=True)
    last = len(steps) - 1 - shown.flip(1).int().argmax(1)
    return torch.stack([shown.int().argmax(1), height.argmax(1), last], 1)


def _apex(shown: np.ndarray, display: Display, seed: int, number: torch.Tensor) -> torch.Tensor:
    """Intensities ``[n, 17]`` at the height of expressions that may be blends."""
    au = torch.zeros(len(shown), len(AUS))
    for i in range(2):
        parts = [BLENDS.get(name, ((name, 1.0), (name, 1.0)))[i] for name in shown]
        code = torch.tensor([EXPRESSION_ROWS.index(name) for name, _ in parts])
        weight = torch.tensor([share for _, share in parts])
        au = torch.maximum(au, weight[:, None] * drawing.express(code, display, seed, number))
    return drawing.tidy(au)


def _one_sided(shown: np.ndarray) -> torch.Tensor:
    return torch.as_tensor(np.isin(shown, ["contempt", "disappointment"]))


def _scene(population: Filmed, seed: int, plan: Plan, clip: torch.Tensor, step: torch.Tensor) -> Scene:
    """Frames of clips without noise."""
    number, shown = plan.number[clip], plan.shown[clip.numpy()]
    frame = number + step + 1
    time = (step + 0.5) / plan.frames[clip]
    au = _apex(shown, population.display, seed, number) * _envelope(seed, number, time)[:, None]
    au = drawing.tidy(au * (0.92 + 0.16 * uniform(seed, frame, len(AUS), _FRAMES)))
    asym = drawing.one_sided(_one_sided(shown), seed, number)
    moment = drawing.surroundings(population.look, seed, frame, session=number)
    whole = drawing.surroundings(population.look, seed, number, session=number)
    # The head keeps about one pose, and turns slowly.
    pose = whole["pose"] + 0.25 * (moment["pose"] - whole["pose"])
    turn = 0.12 * population.look.pose * normal_numbers(seed, number, 2, _DRIFT)
    pose[:, POSE.index("yaw")] += turn[:, 0] * (time - 0.5)
    pose[:, POSE.index("pitch")] += 0.4 * turn[:, 1] * (time - 0.5)
    # Blur and what is in front of the face stay for the clip; blinks, gaze and sensor noise are of the moment.
    state = moment["state"].clone()
    for name in ("blur", "occluder", "ox", "oy", "oa", "os"):
        state[:, STATE.index(name)] = whole["state"][:, STATE.index(name)]
    around = {**whole, "pose": pose, "state": state}
    return drawing.assemble(plan.person[clip], au, asym, around)


def _disturbed(population: Filmed, seed: int, plan: Plan, clip: torch.Tensor, step: torch.Tensor) -> Scene:
    """Frames of clips with other people and hands where the plan has them."""
    scene = _scene(population, seed, plan, clip, step)
    kind = plan.noise[clip, step]
    rows = (kind == NOISE.index("person")).nonzero()[:, 0]
    if len(rows):
        number = plan.number[clip[rows]]
        u = uniform(seed, number, 2, _NOISE + 11)
        passer = _PEOPLE + (u[:, 0] * _PASSERS_BY).long()
        who = drawing.people(population.first_identity, seed, passer)
        names = np.array(list(next(iter(population.counts.values()))))
        shown = names[(u[:, 1] * len(names)).long().numpy()]
        other = number + _MOST_FRAMES // 2
        around = drawing.surroundings(population.look, seed, other, session=other)
        asym = drawing.one_sided(_one_sided(shown), seed, other)
        au = _apex(shown, population.display, seed, other)
        theirs = drawing.assemble(who, au, asym, around)
        for name in ("identity", "au", "asym", "pose", "light", "bg"):
            getattr(scene, name)[rows] = getattr(theirs, name)
    rows = (kind == NOISE.index("hand")).nonzero()[:, 0]
    for name, value in {"occluder": 1.0, "ox": 0.0, "oy": -0.25, "os": 1.5}.items():
        scene.state[rows, STATE.index(name)] = value
    return scene


def _degraded(pictures: np.ndarray, kind: np.ndarray, number: torch.Tensor) -> np.ndarray:
    """Pictures with blank and blurred frames: uint8 ``[n, 3, S, S]``."""
    out = pictures.copy()
    blank = np.flatnonzero(kind == NOISE.index("blank"))
    level = uniform(0, number[torch.as_tensor(blank)], 1, _NOISE + 21)[:, 0].numpy()
    out[blank] = (20 + 200 * level**2).astype(np.uint8)[:, None, None, None]
    blurred = np.flatnonzero(kind == NOISE.index("blur"))
    if len(blurred):
        size = pictures.shape[-1]
        small = F.interpolate(torch.as_tensor(out[blurred]).float(), (5, 5), mode="area")
        large = F.interpolate(small, (size, size), mode="bilinear", align_corners=False)
        out[blurred] = large.round().clamp(0, 255).byte().numpy()
    return out
