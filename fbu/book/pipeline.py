"""The whole build in its three steps, under one progress display."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from fbu.book import pages, recipes, staging
from fbu.book.notebooks import Notebook, find
from fbu.config import use_data_root
from fbu.parameters import declared


@dataclass(frozen=True)
class Options:
    """What to build.

    Attributes:
        profile: quick, demo, full or paper.
        only: a chapter or one notebook; None for the whole book.
        workers: trainings, and later notebooks, at a time.
        dry_run: only say what would be done.
        settings: further parameters (source, seeds, device, data_root ...) for the notebooks that have them.
    """

    profile: str = "quick"
    only: str | None = None
    workers: int = 2
    dry_run: bool = False
    settings: Mapping[str, Any] | None = None


def build(root: Path, options: Options, console: Console | None = None) -> Path | None:
    """Train, execute, render; returns the book's ``index.html``, or None after a dry run.

    Raises:
        NotebookError: a notebook raised.
        DataError: a page, a notebook or data is missing.
    """
    from filelock import FileLock

    console = console or Console()
    share_cores(options.workers)
    settings = {"profile": options.profile, **(options.settings or {})}
    if settings.get("data_root"):
        settings["data_root"] = str(Path(settings["data_root"]).expanduser().resolve())
        use_data_root(settings["data_root"])
    notebooks = find(root, options.only)
    folder = root / "_build" / options.profile
    jobs = stale(notebooks, settings, root, folder / "notebooks")
    asked = recipes.wanted([notebook for notebook, _, _ in jobs], settings)
    if options.dry_run:
        show_plan(console, asked, notebooks, jobs)
        return None
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "lock"):
        with _progress(console) as progress:
            if asked:
                device = str(settings.get("device", "auto"))
                recipes.train(asked, workers=options.workers, device=device, progress=progress)
            if jobs:
                target = folder / "notebooks"
                staging.execute(jobs, target, root=root, workers=options.workers, progress=progress)
            line = progress.add_task("pages", total=None)
            facts = {"profile": options.profile, "source": str(settings.get("source", "twin"))}
            listed = pages.stage(root, folder / "notebooks", folder / "source", facts, options.workers)
            index, notes = pages.build_html(folder / "source", folder / "work", folder / "html", listed)
            progress.update(line, total=1, completed=1)
    for note in notes:
        console.print(f"docstring: {note}", markup=False, soft_wrap=True)
    console.print(
        f"{len(notebooks) - len(jobs)} notebooks unchanged, {len(jobs)} executed, {len(listed)} pages"
    )
    console.print(f"the book: {index}", soft_wrap=True)
    return index


def train(root: Path, options: Options, console: Console | None = None) -> None:
    """Train the recipes behind all chosen notebooks, executed already or not; pages stay as they are."""
    share_cores(options.workers)
    settings = {"profile": options.profile, **(options.settings or {})}
    asked = recipes.wanted(find(root, options.only), settings)
    with _progress(console or Console()) as progress:
        device = str(settings.get("device", "auto"))
        recipes.train(asked, workers=options.workers, device=device, progress=progress)


def share_cores(workers: int) -> None:
    """Let each process that is started from here on use its share of the cores, unless the user said otherwise.

    Two processes that each use all cores get in each other's way: drawing faces then takes twice as long.
    """
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // max(1, workers))))


def stale(
    notebooks: list[Notebook], settings: Mapping[str, Any], root: Path, folder: Path
) -> list[tuple[Notebook, dict[str, Any], str]]:
    """Notebooks that must be executed, each with its parameters and its key."""
    code = staging.code_key()
    jobs = []
    for notebook in notebooks:
        names = declared(notebook.path)
        parameters = {name: value for name, value in settings.items() if name in names and value is not None}
        key = staging.notebook_key(notebook, parameters, code, root / "book" / "ledger")
        if not staging.is_current(staging.output_of(notebook, folder), key):
            jobs.append((notebook, parameters, key))
    return jobs


def show_plan(console: Console, asked: list[Any], notebooks: list[Notebook], jobs: list[Any]) -> None:
    """Print what a build would do: recipes with estimated time and memory, then notebooks."""
    from rich.table import Table

    from fbu.runs import plan

    rows = plan(asked)
    shown = rows.assign(recipe=rows["recipe"].str[:8], done=rows["done"].map({True: "yes", False: "no"}))
    table = Table(*shown.columns.str.replace("memory_mb", "MB"), title="recipes")
    for values in shown.itertuples(index=False):
        table.add_row(*map(str, values))
    console.print(table)
    console.print(recipes.summary(rows))
    waiting = {notebook.name for notebook, _, _ in jobs}
    for notebook in notebooks:
        console.print(f"{notebook.name}: {'to be executed' if notebook.name in waiting else 'unchanged'}")


def _progress(console: Console) -> Progress:
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    return Progress(*columns, console=console)
