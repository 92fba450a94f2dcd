"""The recipes that the notebooks ask for: collected, planned and trained before any notebook runs."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.progress import Progress, TaskID

from fbu.book.notebooks import Notebook

if TYPE_CHECKING:
    import pandas as pd

    from fbu.recipes import Recipe


def experiment(notebook: Notebook) -> Callable[..., Any] | None:
    """``fbu.experiments.<chapter>.<stem>``, the function behind a notebook, or None when it has none."""
    name = f"fbu.experiments.{notebook.chapter}"
    if importlib.util.find_spec(name) is None:
        return None
    return getattr(importlib.import_module(name), notebook.stem, None)


def wanted(notebooks: Sequence[Notebook], settings: Mapping[str, Any]) -> list[Recipe]:
    """Recipes behind the notebooks, each once, in the notebooks' order.

    Args:
        notebooks: those without an experiment, and those whose experiment gives data instead of a table of recipes,
            ask for nothing.
        settings: profile, source, seeds ...; a function gets those that it has an argument for.
    """
    found: dict[str, Recipe] = {}
    for notebook in notebooks:
        function = experiment(notebook)
        if function is None:
            continue
        table = function(**accepted(function, settings))
        if hasattr(table, "recipes"):
            found |= {recipe.key(): recipe for recipe in table.recipes()}
    return list(found.values())


def accepted(function: Callable[..., Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that a function has an argument for."""
    arguments = inspect.signature(function).parameters
    return {name: value for name, value in settings.items() if name in arguments}


def train(recipes: Sequence[Recipe], *, workers: int, device: str, progress: Progress) -> None:
    """Train what is not there yet, with one bar for all recipes and one line for each that runs."""
    from fbu import runs

    every = runs.ordered(recipes)
    missing = [recipe for recipe in every if runs.find(recipe) is None]
    overall = progress.add_task("recipes", total=len(every), completed=len(every) - len(missing))
    lines: dict[str, TaskID] = {}

    def report(recipe: Recipe, step: int, steps: int) -> None:
        key = recipe.key()
        if step < steps:
            line = lines.setdefault(key, TaskID(-1))
            if line < 0:
                line = lines[key] = progress.add_task(f"  {describe(recipe)}", total=steps)
            progress.update(line, completed=step, total=steps)
            return
        if key in lines:
            progress.remove_task(lines.pop(key))
        progress.advance(overall)
        found = runs.find(recipe)
        if found is not None:
            progress.console.print(f"trained {describe(recipe)} in {found.provenance['seconds']:.0f} s")

    runs.run_all(recipes, workers=workers, device=device, progress=report)


def describe(recipe: Recipe) -> str:
    """A recipe in a few words, e.g. ``clef.finetune rafdb, seed 0 (1f3a9c)``."""
    fold = "" if recipe.data.fold is None else f", fold {recipe.data.fold}"
    return f"{recipe.task} {recipe.data.name}{fold}, seed {recipe.seed} ({recipe.key()[:6]})"


def summary(plan: pd.DataFrame) -> str:
    """One line about a plan: how many recipes, how many are there, time and memory of the rest."""
    rest = plan[~plan["done"].astype(bool)]
    minutes, memory = rest["seconds"].sum() / 60, rest["memory_mb"].max() if len(rest) else 0
    return (
        f"{len(plan)} recipes, {len(plan) - len(rest)} done; the rest takes one process about "
        f"{minutes:.1f} minutes and up to {memory:.0f} MB"
    )
