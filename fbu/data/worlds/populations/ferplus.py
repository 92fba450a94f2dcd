"""FERPlus: small grey photographs of different people, eight classes, ten votes each."""

from fbu.data.worlds import voted
from fbu.data.worlds.population import Display, Look
from fbu.data.worlds.world import World

_CLASSES = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")


def _counts(*counts: int) -> dict[str, int]:
    return dict(zip(_CLASSES, counts, strict=True))


POPULATION = voted.Voted(
    name="ferplus",
    first_identity=18_000_000,
    classes=_CLASSES,
    # By most votes of ten.
    counts={
        "train": _counts(10295, 7526, 3557, 3530, 2463, 191, 655, 168),
        "val": _counts(1329, 899, 458, 415, 325, 32, 71, 26),
        "test": _counts(1258, 928, 447, 446, 321, 20, 97, 28),
    },
    # A world has at most 15,000 people in training and 5,000 in test.
    pictures={
        "quick": {"train": 1300, "val": 200, "test": 400},
        "demo": {"train": 5000, "val": 600, "test": 1400},
        "full": {"train": 13_000, "val": 1600, "test": 3500},
    },
    # So that about as many pictures of each class pass the rule of the majority as in the real set.
    doubt=dict(
        neutral=0.34,
        happiness=0.22,
        surprise=0.32,
        sadness=0.34,
        anger=0.34,
        disgust=0.48,
        fear=0.36,
        contempt=0.42,
    ),
    # Who is taken for whom is ours: neighbours in what the faces do.
    confusion={
        "neutral": dict(sadness=0.45, anger=0.20, happiness=0.10, contempt=0.10, surprise=0.05, unknown=0.10),
        "happiness": dict(neutral=0.60, surprise=0.20, contempt=0.10, unknown=0.10),
        "surprise": dict(fear=0.40, neutral=0.25, happiness=0.25, unknown=0.10),
        "sadness": dict(neutral=0.50, fear=0.15, anger=0.15, disgust=0.10, unknown=0.10),
        "anger": dict(neutral=0.35, sadness=0.20, disgust=0.20, contempt=0.10, fear=0.05, unknown=0.10),
        "disgust": dict(anger=0.45, sadness=0.25, contempt=0.10, neutral=0.10, unknown=0.10),
        "fear": dict(surprise=0.55, sadness=0.20, neutral=0.10, anger=0.05, unknown=0.10),
        "contempt": dict(neutral=0.55, anger=0.15, happiness=0.15, disgust=0.05, unknown=0.10),
    },
    rivals=0.3,
    nameless=173 / 35887,
    unknown=225 / 35887,
    display=Display(strength=(0.65, 1.05), mild=0.10, keep=0.93, stray=0.04),
    look=Look(pose=0.7, turn=0.04, light=0.7, blur=0.15, noise=0.8, occluders=0.06),
)


def draw(size: str, seed: int) -> World:
    """Draw the population."""
    return voted.draw(POPULATION, size, seed)
