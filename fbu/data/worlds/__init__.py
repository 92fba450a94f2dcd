"""Populations of the twins: who is in a data set, what they show, and pictures of it on request."""

from fbu.data.worlds import laboratory, wild
from fbu.data.worlds.population import POPULATIONS, SIZES, Display, Laboratory, Look, Population, Wild
from fbu.data.worlds.towers import tower_scenes
from fbu.data.worlds.world import INTENSITY, PRESENT, World, attributes, intensities

__all__ = [
    "INTENSITY",
    "POPULATIONS",
    "PRESENT",
    "SIZES",
    "Display",
    "Laboratory",
    "Look",
    "Population",
    "Wild",
    "World",
    "attributes",
    "intensities",
    "make",
    "tower_scenes",
]


def make(dataset: str, size: str = "quick", seed: int = 0) -> World:
    """Draw the world that a data set's twin is made from.

    Args:
        dataset: a key of ``POPULATIONS``.
        size: ``"quick"``, ``"demo"`` or ``"full"``.
        seed: another seed has other people and other pictures.

    Raises:
        ValueError: unknown data set or size, or a seed outside 0..49.
    """
    if dataset not in POPULATIONS:
        raise ValueError(f"no world for {dataset!r}; known: {', '.join(POPULATIONS)}")
    if size not in SIZES:
        raise ValueError(f"size is {size!r}; known: {', '.join(SIZES)}")
    population = POPULATIONS[dataset]
    if isinstance(population, Laboratory):
        return laboratory.draw(population, size, seed)
    return wild.draw(population, size, seed)
