"""Finished runs by folder, key or place in a table, and what can be known of one without its data."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from fbu.config import home
from fbu.errors import DataError
from fbu.evaluation import classes_of, kind_of
from fbu.predicting.prediction import Kind
from fbu.provenance import sources
from fbu.recipes import Recipe
from fbu.runs import Run, find


def run_in(folder: Path) -> Run:
    """The finished run in a folder.

    Raises:
        DataError: there is none.
    """
    if not (folder / "done.json").is_file() or not (folder / "recipe.json").is_file():
        raise DataError(f"{folder} holds no finished run (recipe.json and done.json)")
    return Run(Recipe.model_validate_json((folder / "recipe.json").read_text()), folder)


def run_with_key(key: str) -> Run:
    """The finished run of a recipe by (the beginning of) its key; that of today's code, otherwise the newest.

    Raises:
        DataError: none, or the beginning fits several recipes.
    """
    folders = [
        path.parent for path in (home() / "runs").glob("*/done.json") if path.parent.name.startswith(key)
    ]
    if not folders or not re.fullmatch(r"[0-9a-f]+", key):
        raise DataError(
            f"no finished run of recipe {key!r} under {home() / 'runs'}: train it with `fbu run RECIPE.json` or "
            "`fbu run --table TABLE`"
        )
    keys = sorted({folder.name.partition("-")[0] for folder in folders})
    if len(keys) > 1:
        raise DataError(f"{key!r} fits {len(keys)} recipes: {', '.join(keys[:4])}; give more of the key")
    newest = max(folders, key=lambda folder: (folder / "done.json").stat().st_mtime)
    present = find(run_in(newest).recipe)
    return present or run_in(newest)


def run_of_table(table: str, label: str | None, column: str | None, profile: str, source: str) -> Run:
    """The run of the first seed behind a table's cell.

    Raises:
        DataError: the cell is not run in this profile, or its run is missing (with the command that trains it).
        ValueError: an unknown table, row or column (lists the known ones).
    """
    from fbu import experiments

    found = experiments.table(table, profile=profile, source=source)
    rows = list(dict.fromkeys(cell.label for cell in found.cells))
    if label is None:
        raise ValueError(f"{table}: name a row with --label: {'; '.join(rows)}")
    if column is None:
        column = next((cell.column for cell in found.cells if cell.label == label), found.columns()[0])
    if column not in found.columns():
        raise ValueError(f"{table} has no column {column!r}; there are {', '.join(found.columns())}")
    cell = found.cell(label, column)
    if not cell.recipes:
        raise DataError(f"{label} / {column} of {table}: {cell.why_empty or f'not run in {profile}'}")
    run = find(cell.recipes[0])
    if run is None:
        raise DataError(
            f"{label} / {column} of {table} is not trained yet; "
            f"fbu run --table {table} --profile {profile} --source {source} --seeds 1 trains it"
        )
    return run


def code_of(run: Run) -> str:
    """Whether a run was made by the present code."""
    made = run.folder.name.split("-")
    present = run.recipe.code()[:8]
    return "present" if len(made) > 1 and made[1] == present else f"older than the present code ({present})"


def labels_of(run: Run) -> tuple[Kind, tuple[str, ...]]:
    """Kind and labels of a run, in the order of its model's outputs, read from its predictions.

    Raises:
        DataError: the run's predictions are missing.
    """
    path = run.folder / "predictions.csv"
    if not path.is_file():
        raise DataError(f"{path} is missing: the run's labels stand there; run the recipe again")
    predictions = pd.read_csv(path, nrows=0)
    return kind_of(predictions), tuple(classes_of(predictions))


def unfitting(run: Run, error: Exception) -> DataError:
    """The error for weights that today's model does not take."""
    first = str(error).splitlines()[0]
    return DataError(
        f"the weights of run {run.folder.name} do not fit today's model ({first}): run the recipe again"
    )


def sources_of(run: Run, file: Path, placed: str) -> dict[str, str]:
    """Where a prediction's file, run and data come from, and how the picture was placed."""
    return {
        "picture": str(file),
        "placement": placed,
        "run": str(run.folder),
        "data": f"{run.recipe.data.name} ({sources(run.recipe)})",
        "code": code_of(run),
    }
