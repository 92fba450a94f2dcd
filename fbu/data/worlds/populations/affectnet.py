"""AffectNet: photographs of different people, eight expressions; a skewed training part and an even test part."""

from fbu.data.worlds import wild
from fbu.data.worlds.population import Display, Look, Wild
from fbu.data.worlds.world import World

_TRAIN = dict(
    neutral=74874,
    happiness=134415,
    sadness=25459,
    surprise=14090,
    fear=6378,
    disgust=3803,
    anger=24882,
    contempt=3750,
)

POPULATION = Wild(
    name="affectnet",
    first_identity=3_000_000,
    counts={"train": _TRAIN, "test": dict.fromkeys(_TRAIN, 500)},
    pictures={
        "quick": {"train": 1400, "test": 400},
        "demo": {"train": 6000, "test": 1600},
        # A world has at most 15,000 people in its training part.
        "full": {"train": 14_000, "test": 4000},
    },
    names={"train": "train/{}", "test": "val/{}"},
    # Harder than RAF-DB's twin, as the real set is: one annotator per picture, milder faces, less even pictures.
    label_errors=0.10,
    display=Display(strength=(0.60, 1.05), mild=0.15, keep=0.92, stray=0.05),
    look=Look(pose=0.8, turn=0.05, light=0.8, blur=0.25, noise=1.0, occluders=0.08),
)


def draw(size: str, seed: int) -> World:
    """Draw the population."""
    return wild.draw(POPULATION, size, seed)
