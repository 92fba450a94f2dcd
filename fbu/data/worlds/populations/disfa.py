"""DISFA: 27 people who watch a film of four minutes alone; units are rare, and two cameras see them."""

from fbu.data.worlds import watching
from fbu.data.worlds.population import Look
from fbu.data.worlds.world import World

#: 14, 15, 19, 20 and 22 do not exist.
_NUMBERS = (*range(1, 14), 16, 17, 18, 21, *range(23, 33))

POPULATION = watching.Watching(
    name="disfa",
    first_identity=16_000_000,
    subjects=tuple(f"SN{n:03d}" for n in _NUMBERS),
    film=(
        "happiness",
        "surprise",
        "fear",
        "disgust",
        "sadness",
        "happiness",
        "disgust",
        "sadness",
        "happiness",
    ),
    # The shares of frames from intensity 2 come near those derived for the real set.
    reactions={
        "happiness": {6: (0.60, 3.6), 12: (1.0, 4.2), 25: (0.75, 3.8), 26: (0.45, 3.8), 7: (0.40, 3.0)},
        "surprise": {1: (0.55, 3.8), 2: (0.45, 3.8), 5: (0.35, 3.6), 25: (0.70, 3.6), 26: (0.70, 3.6)},
        "fear": {
            1: (0.40, 3.4),
            2: (0.15, 3.2),
            4: (0.55, 3.6),
            20: (0.40, 3.4),
            25: (0.55, 3.4),
            26: (0.4, 3.2),
        },
        "disgust": {
            4: (0.70, 3.8),
            9: (0.50, 3.8),
            6: (0.20, 3.2),
            10: (0.50, 3.2),
            17: (0.30, 3.2),
            25: (0.40, 3.4),
        },
        "sadness": {1: (0.15, 3.6), 4: (0.60, 3.8), 15: (0.40, 3.2), 17: (0.45, 3.4)},
    },
    reacts=0.62,
    habits={4: (0.22, 3.6), 12: (0.08, 3.0), 25: (0.26, 4.0), 26: (0.22, 4.0), 17: (0.06, 3.0)},
    lapses=0.006,
    cameras={"left": -0.16, "right": 0.16},
    frames={"quick": 32, "demo": 160, "full": 300},
    look=Look(pose=0.45, light=0.2, blur=0.05, noise=0.6, occluders=0.01),
)


def draw(size: str, seed: int) -> World:
    """Draw the population."""
    return watching.draw(POPULATION, size, seed)
