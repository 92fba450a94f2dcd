"""What to do next when several recipes are run at a time."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass

from fbu.errors import DataError
from fbu.recipes import OptimSpec, Recipe

EPOCH = 5000
"""Pictures of a train split, where a guess will do."""


@dataclass(frozen=True)
class Job:
    """A piece of work for one process.

    Attributes:
        recipe: what is run.
        prepares: whether only its data is made ready: twins written, pictures decoded and cached.
    """

    recipe: Recipe
    prepares: bool = False


class Schedule:
    """Recipes in an order that leaves no process waiting for another one where that can be helped.

    A recipe is begun when all that it needs is finished and its data is ready. Long ones come first, so that the last
    ones to end are short. Who finds nothing to run prepares data that others will ask for.

    Args:
        recipes: with all that they need, unless it is finished already.
    """

    def __init__(self, recipes: Iterable[Recipe]) -> None:
        self._waiting = sorted(recipes, key=_length, reverse=True)
        self._unfinished = {recipe.key() for recipe in self._waiting}
        self._unprepared: dict[str, Recipe] = {}
        for recipe in self._waiting:
            if _has_splits(recipe):
                self._unprepared.setdefault(_data(recipe), recipe)
        self._unready = set(self._unprepared)

    def __bool__(self) -> bool:
        """Whether any recipe has not been begun."""
        return bool(self._waiting)

    def take(self) -> Job | None:
        """Work that can be begun now; None where all that is left waits for work that is under way."""
        for recipe in self._waiting:
            needed = {one.key() for one in recipe.needs()}
            if _data(recipe) not in self._unready and self._unfinished.isdisjoint(needed):
                self._waiting.remove(recipe)
                return Job(recipe)
        for data in self._unprepared:
            return Job(self._unprepared.pop(data), prepares=True)
        return None

    def finished(self, job: Job) -> None:
        """Say that a piece of work is done."""
        if job.prepares:
            self._unready.remove(_data(job.recipe))
        else:
            self._unfinished.remove(job.recipe.key())


def prepare(recipe: Recipe) -> None:
    """Make a recipe's data ready. Data that is missing or malformed is left to the recipe to complain about."""
    from fbu.data.specs import load_spec

    with contextlib.suppress(DataError):
        load_spec(recipe.data, "test")


def pictures(optim: OptimSpec) -> int:
    """Length of a training in pictures; an epoch, whose size is not known before its data is read, counts as 5,000."""
    return optim.images if optim.images is not None else round(EPOCH * (optim.epochs or 1))


def _length(recipe: Recipe) -> int:
    # Scoring a training on its way takes about as long again.
    return pictures(recipe.optim) * (2 if recipe.traced else 1)


def _has_splits(recipe: Recipe) -> bool:
    return recipe.data.name != "tower"  # drawn by the task itself


def _data(recipe: Recipe) -> str:
    """Equal for recipes that read one cache: folds are parts of it."""
    return recipe.data.model_copy(update={"fold": None}).model_dump_json()
