"""CK+: 123 people who pose expressions and single units in 593 sequences, 327 of them with an expression."""

from fbu.data.worlds import posed
from fbu.data.worlds.population import Display, Look
from fbu.data.worlds.world import World

POPULATION = posed.Posed(
    name="ckplus",
    first_identity=4_000_000,
    subjects=tuple(f"S{i:03d}" for i in range(1, 124)),
    labelled=dict(anger=45, contempt=18, disgust=59, fear=25, happiness=69, sadness=28, surprise=83),
    unlabelled=266,
    frames={"quick": (2, 4), "demo": (6, 14), "full": (12, 24)},
    display=Display(strength=(0.85, 1.10), mild=0.05, keep=0.95, vary=0.15, stray=0.03),
    look=Look(pose=0.35, light=0.3, blur=0.03, noise=0.6, occluders=0.0),
)


def draw(size: str, seed: int) -> World:
    """Draw the population."""
    return posed.draw(POPULATION, size, seed)
