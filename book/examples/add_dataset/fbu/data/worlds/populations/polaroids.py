"""Polaroids: a few moods of friends, each with several pictures, taken in a hurry."""

from fbu.data.worlds import album
from fbu.data.worlds.population import Display, Look
from fbu.data.worlds.world import World

POPULATION = album.Album(
    name="polaroids",
    first_identity=90_000_000,  # no other twin has these people
    counts=dict(neutral=500, happiness=800, sadness=200, surprise=300),
    pictures={"quick": 300, "demo": 1800, "full": 1800},
    tail=1.4,
    label_errors=0.05,
    display=Display(strength=(0.6, 1.1), mild=0.1),
    look=Look(blur=0.4, light=0.8),
)


def draw(size: str, seed: int) -> World:
    """Draw the population."""
    return album.draw(POPULATION, size, seed)
