"""BP4D: 41 people in eight tasks, filmed in one session each."""

from fbu.data.worlds import laboratory
from fbu.data.worlds.population import Laboratory, Look
from fbu.data.worlds.world import World

POPULATION = Laboratory(
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


def draw(size: str, seed: int) -> World:
    """Draw the population."""
    return laboratory.draw(POPULATION, size, seed)
