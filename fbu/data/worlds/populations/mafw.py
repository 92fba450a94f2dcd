"""MAFW: clips of films and shows, eleven expressions in the real proportions, four of them blends of others."""

from fbu.data.worlds import clips
from fbu.data.worlds.clips import Filmed, Lengths
from fbu.data.worlds.population import Display, Look
from fbu.data.worlds.world import World

_COUNTS = dict(
    anger=1390,
    disgust=639,
    fear=625,
    happiness=1242,
    neutral=1138,
    sadness=1470,
    surprise=1072,
    contempt=236,
    anxiety=916,
    helplessness=262,
    disappointment=182,
)

POPULATION = Filmed(
    name="mafw",
    first_identity=13_000_000,
    counts={"": _COUNTS},
    clips={"quick": {"": 120}, "demo": {"": 4000}, "full": {"": 9172}},
    lengths={
        "quick": Lengths(5, 10, 20),
        "demo": Lengths(6, 22, 48),
        "full": Lengths(8, 55, 64, spread=0.6, single=0.002),
    },
    # 9,172 of 10,045 numbers have a single label.
    stride=1.095,
    label_errors=0.08,
    display=Display(strength=(0.60, 1.10), mild=0.12, keep=0.93, stray=0.04),
    look=Look(pose=0.8, turn=0.05, light=0.8, blur=0.25, noise=1.0, occluders=0.06),
)


def draw(size: str, seed: int) -> World:
    """Draw the population."""
    return clips.draw(POPULATION, size, seed)
