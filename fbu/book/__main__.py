"""Command line of the book: ``python -m fbu.book build``, ``train`` and ``refresh``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from fbu import processes
from fbu.book import NotebookError, Options, build, find, refresh, train

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Build the book from a checkout of fbu.")


@app.command("build")
def build_command(
    profile: Annotated[str, typer.Option(help="quick, demo, full or paper")] = "quick",
    only: Annotated[
        str | None, typer.Option(help="a chapter (clef) or a notebook (clef/fig5_similarity)")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="trainings, and later notebooks, at a time")] = 2,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="say what would be done, with estimates")
    ] = False,
    source: Annotated[str | None, typer.Option(help="twin, real, open, or rafdb=open,bp4d=twin")] = None,
    data_root: Annotated[
        str | None, typer.Option(help="folder with your datasets, in place of FBU_DATA")
    ] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="seeds per row, in place of the profile's")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda, cuda:0 or mps")] = None,
) -> None:
    """Train what the notebooks ask for, execute them, build the pages."""
    given = {"source": _source(source), "data_root": data_root, "seeds": seeds, "device": device}
    settings: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    build(Path.cwd(), Options(profile, only, workers, dry_run, settings))


@app.command("train")
def train_command(
    profile: Annotated[str, typer.Option(help="quick, demo, full or paper")] = "quick",
    only: Annotated[str | None, typer.Option(help="a chapter or a notebook")] = None,
    workers: Annotated[int, typer.Option(min=1, help="trainings at a time")] = 2,
) -> None:
    """Only train what the notebooks ask for, so that they find it when they are executed."""
    train(Path.cwd(), Options(profile, only, workers))


@app.command("refresh")
def refresh_command(
    only: Annotated[str | None, typer.Argument(help="a chapter or a notebook; all when left out")] = None,
) -> None:
    """Execute notebooks with their defaults and store the outputs of their marked cells, for the tests."""
    for notebook in find(Path.cwd(), only):
        refresh(notebook.path, cwd=Path.cwd())
        typer.echo(f"refreshed {notebook.name}")


def _source(text: str | None) -> str | dict[str, str] | None:
    if text is None or "=" not in text:
        return text
    pairs = [part.partition("=") for part in text.split(",")]
    return {name.strip(): value.strip() for name, _, value in pairs}


def main() -> None:
    """Run the command line; an expected error is one message and exit status 1."""
    processes.preload(*processes.TRAINING, "fbu.book")
    try:
        app()
    except (NotebookError, ValueError, FileNotFoundError) as error:
        typer.secho(f"fbu.book: {error}", fg="red", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
