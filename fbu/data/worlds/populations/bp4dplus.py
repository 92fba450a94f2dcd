"""BP4D+: 140 people in ten tasks, filmed in one session each."""

import numpy as np
import torch

from fbu.data.worlds import laboratory
from fbu.data.worlds.population import Laboratory, Look
from fbu.data.worlds.world import World

POPULATION = Laboratory(
    name="bp4dplus",
    first_identity=6_000_000,
    subjects=tuple(f"F{i:03d}" for i in range(1, 83)) + tuple(f"M{i:03d}" for i in range(1, 59)),
    tasks={
        "T1": "happiness",
        "T2": "surprise",
        "T3": "sadness",
        "T4": "surprise",
        # Scepticism has no pattern of its own; anger has most of its units (4, 7, 14, 17, 23).
        "T5": "anger",
        "T6": "embarrassment",
        "T7": "fear",
        "T8": "pain",
        "T9": "anger",
        "T10": "disgust",
    },
    frames={"quick": 3, "demo": 7, "full": 20},
    talking={"T1": 0.45, "T5": 0.30, "T6": 0.25},
    look=Look(pose=0.4, light=0.3, blur=0.05, noise=0.6, occluders=0.005),
)
#: The quick size has every second subject; people and their rooms are the same in all sizes.
QUICK_SUBJECTS = POPULATION.subjects[::2]


def draw(size: str, seed: int) -> World:
    """Draw the population."""
    world = laboratory.draw(POPULATION, size, seed)
    if size != "quick":
        return world
    at = np.flatnonzero(world.records["subject"].isin(QUICK_SUBJECTS))
    records = world.records.iloc[at].reset_index(drop=True)
    rows = torch.as_tensor(at)
    return World(world.name, size, seed, POPULATION, records, world.scenes.map(lambda x: x[rows]))
