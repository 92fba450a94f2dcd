"""FERV39K: clips of 22 scenes, seven expressions in the real proportions, an official train and test part."""

from dataclasses import replace

import numpy as np
import torch

from fbu.data.faces import uniform
from fbu.data.manifest import load_manifest
from fbu.data.worlds import clips
from fbu.data.worlds.clips import Filmed, Lengths
from fbu.data.worlds.population import Display, Look
from fbu.data.worlds.world import World

_TRAIN = dict(happiness=5854, sadness=5523, neutral=7790, anger=5906, surprise=2502, disgust=1833, fear=1680)
_TEST = dict(happiness=1473, sadness=1393, neutral=1958, anger=1487, surprise=638, disgust=467, fear=431)
#: Clips of each scene in the real set.
SCENES = dict(
    Action=804,
    Argue=2655,
    Business=1776,
    Conflict=2491,
    Contest=2400,
    Crime=1871,
    Crisis=1494,
    DailyLife=2339,
    ElegantArt=1242,
    Experiment=556,
    History=2690,
    Interview=2099,
    Liveshow=1131,
    Medicine=692,
    OfficialEvent=1423,
    ScholarReport=2014,
    School=2012,
    Social=1121,
    Speech=1834,
    Talkshow=1736,
    Terror=2099,
    War=2456,
)
#: Folder of each expression.
WORDS = {name: word for word, name in load_manifest("ferv39k").codes.items()}
_SCENE = 671

POPULATION = Filmed(
    name="ferv39k",
    first_identity=12_000_000,
    counts={"train": _TRAIN, "test": _TEST},
    clips={
        "quick": {"train": 80, "test": 40},
        "demo": {"train": 3200, "test": 800},
        "full": {"train": 31_088, "test": 7847},
    },
    lengths={
        "quick": Lengths(5, 12, 20),
        "demo": Lengths(6, 18, 36),
        # 8 to 47 frames, 28 on average, one clip in ten has fewer than 16.
        "full": Lengths(8, 27, 47, spread=0.42, single=0.002),
    },
    least=4,
    # Harder than the twin of DFEW, as the real set is.
    label_errors=0.10,
    display=Display(strength=(0.55, 1.05), mild=0.20, keep=0.90, stray=0.05),
    look=Look(pose=0.8, turn=0.06, light=1.0, blur=0.35, noise=1.2, occluders=0.08),
)


def draw(size: str, seed: int) -> World:
    """Draw the population; the same number occurs under several scenes and expressions."""
    world = clips.draw(POPULATION, size, seed)
    records = world.records
    edges = np.cumsum(list(SCENES.values())) / sum(SCENES.values())
    u = uniform(seed, torch.arange(len(records)), 1, _SCENE)[:, 0].numpy()
    scene = np.array(list(SCENES))[np.searchsorted(edges, u, side="right").clip(max=len(edges) - 1)]
    # Numbers start at 0, and the clips for testing have the first ones.
    in_order = records.assign(scene=scene).sort_values("split", kind="stable")
    place = in_order.groupby(["scene", "label"]).cumcount().sort_index()
    sample = [
        f"{s}/{WORDS[label]}/{n:04d}" for s, label, n in zip(scene, records["label"], place, strict=True)
    ]
    records = records.assign(sample=sample, subject=sample, scene=scene)
    return replace(world, records=records)
