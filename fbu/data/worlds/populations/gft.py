"""GFT: 96 people in groups of three who talk for a minute, with smiles, speech, turned heads and covered faces."""

import numpy as np

from fbu.data.worlds import laboratory
from fbu.data.worlds.population import Laboratory, Look
from fbu.data.worlds.world import World

_GROUPS, _LETTERS = 32, "ABC"

POPULATION = Laboratory(
    name="gft",
    first_identity=9_000_000,
    # The sex stands first for the draw only; the set's own names are 001A ... 032C.
    subjects=tuple(
        f"{'FM'[(g + k) % 2]}{g:03d}{_LETTERS[k]}" for g in range(1, _GROUPS + 1) for k in range(3)
    ),
    # Four quarters of the minute; half of the detours are smiles.
    tasks={"first": "happiness", "second": "embarrassment", "third": "surprise", "fourth": "anger"},
    frames={"quick": 4, "demo": 18, "full": 60},
    on_target=0.55,
    detour=0.35,
    talking={"first": 0.3, "second": 0.3, "third": 0.3, "fourth": 0.3},
    look=Look(pose=0.7, turn=0.12, light=0.4, blur=0.10, noise=0.8, occluders=0.08),
)


def draw(size: str, seed: int) -> World:
    """Draw the population; the quarters of a participant follow each other, frames count from 1."""
    world = laboratory.draw(POPULATION, size, seed)
    records = world.records
    steps = POPULATION.frames[size] * len(POPULATION.tasks)
    subject = records["subject"].str[1:]
    frame = np.arange(len(records)) % steps + 1
    sample = [f"{who}/{at:04d}" for who, at in zip(subject, frame, strict=True)]
    records = records.assign(sample=sample, subject=subject, activity="", frame=frame)
    return World(world.name, size, seed, POPULATION, records, world.scenes)
