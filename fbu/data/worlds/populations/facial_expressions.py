"""facial_expressions: photographs of known people, half of them neutral and most others happy."""

from fbu.data.worlds import album
from fbu.data.worlds.population import Display, Look
from fbu.data.worlds.world import World

POPULATION = album.Album(
    name="facial_expressions",
    first_identity=10_000_000,
    counts=dict(
        neutral=6868, happiness=5696, surprise=368, sadness=268, anger=252, disgust=208, fear=21, contempt=9
    ),
    pictures={"quick": 1200, "demo": 5000, "full": 13690},
    # Of 5,031 people, 72 % have one picture and 85 % at most two.
    tail=1.8,
    label_errors=0.03,
    display=Display(strength=(0.65, 1.05), mild=0.10, keep=0.93, stray=0.04),
    look=Look(pose=0.7, turn=0.05, light=0.6, blur=0.15, noise=0.8, occluders=0.04),
)


def draw(size: str, seed: int) -> World:
    """Draw the population."""
    return album.draw(POPULATION, size, seed)
