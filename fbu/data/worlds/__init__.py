"""Populations of the twins: who is in a data set, what they show, and pictures of it on request."""

import importlib
import pkgutil
from types import ModuleType

from fbu.data.worlds import populations
from fbu.data.worlds.population import SIZES, Display, Laboratory, Look, Population, Wild
from fbu.data.worlds.towers import tower_scenes
from fbu.data.worlds.world import INTENSITY, PRESENT, World, attributes, intensities

__all__ = [
    "INTENSITY",
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
    "names",
    "population_of",
    "tower_scenes",
]


def names() -> list[str]:
    """Data sets that have a population, sorted."""
    return sorted(found.name for found in pkgutil.iter_modules(populations.__path__))


def make(dataset: str, size: str = "quick", seed: int = 0) -> World:
    """Draw the world that a data set's twin is made from.

    Args:
        dataset: one of `names`.
        size: ``"quick"``, ``"demo"`` or ``"full"``.
        seed: another seed has other people and other pictures.

    Raises:
        ValueError: unknown data set or size, or a seed outside 0..49.
    """
    module = _module(dataset)
    if size not in SIZES:
        raise ValueError(f"size is {size!r}; known: {', '.join(SIZES)}")
    world: World = module.draw(size, seed)
    return world


def population_of(dataset: str) -> Population:
    """What a data set's worlds are drawn from; ValueError where there is none."""
    found: Population = _module(dataset).POPULATION
    return found


def _module(dataset: str) -> ModuleType:
    if dataset not in names():
        raise ValueError(f"no world for {dataset!r}; known: {', '.join(names())}")
    return importlib.import_module(f"{populations.__name__}.{dataset}")
