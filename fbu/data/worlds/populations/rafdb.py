"""RAF-DB: photographs of different people, seven expressions in the real proportions."""

from fbu.data.worlds import wild
from fbu.data.worlds.population import Display, Look, Wild
from fbu.data.worlds.world import World

_TRAIN = dict(surprise=1290, fear=281, disgust=717, happiness=4772, sadness=1982, anger=705, neutral=2524)
_TEST = dict(surprise=329, fear=74, disgust=160, happiness=1185, sadness=478, anger=162, neutral=680)

POPULATION = Wild(
    name="rafdb",
    first_identity=2_000_000,
    counts={"train": _TRAIN, "test": _TEST},
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


def draw(size: str, seed: int) -> World:
    """Draw the population."""
    return wild.draw(POPULATION, size, seed)
