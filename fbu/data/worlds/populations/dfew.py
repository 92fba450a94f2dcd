"""DFEW: clips of films, seven expressions in the real proportions."""

from fbu.data.worlds import clips
from fbu.data.worlds.clips import Filmed, Lengths
from fbu.data.worlds.population import Display, Look
from fbu.data.worlds.world import World

_COUNTS = dict(happiness=2445, sadness=1894, neutral=2669, anger=2173, surprise=1469, disgust=145, fear=902)

POPULATION = Filmed(
    name="dfew",
    first_identity=11_000_000,
    counts={"": _COUNTS},
    clips={"quick": {"": 100}, "demo": {"": 4000}, "full": {"": 11_697}},
    lengths={
        "quick": Lengths(5, 11, 20),
        "demo": Lengths(6, 22, 48),
        # The real ones have 11 to 847 frames; what is cached of a clip is at most 64.
        "full": Lengths(11, 60, 64, spread=0.6, single=0.002),
    },
    # 11,697 of 16,372 numbers are scored.
    stride=1.399,
    label_errors=0.05,
    display=Display(strength=(0.60, 1.10), mild=0.15, keep=0.92, stray=0.04),
    look=Look(pose=0.8, turn=0.06, light=0.9, blur=0.30, noise=1.0, occluders=0.06),
)


def draw(size: str, seed: int) -> World:
    """Draw the population."""
    return clips.draw(POPULATION, size, seed)
