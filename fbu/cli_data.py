"""Command line for datasets: ``fbu data list``, ``twin``, ``check``, ``cache``, ``preview``, ``fetch`` ..."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from fbu.config import use_data_root

if TYPE_CHECKING:
    from fbu.data.doctor import Report
    from fbu.models.published import Published

data_app = typer.Typer(no_args_is_help=True, help="Datasets.")
console = Console(soft_wrap=True, highlight=False)
# Bars go beside the output, so that --json and a pipe stay clean.
beside = Console(stderr=True)

_SHOWN = 10

RootOption = Annotated[Path | None, typer.Option(help="folder that holds NAME/; default: $FBU_DATA")]
DataRootOption = Annotated[Path | None, typer.Option(help="folder of your datasets; default: $FBU_DATA")]
SourceOption = Annotated[str | None, typer.Option(help="twin, open or real")]
SizeOption = Annotated[str, typer.Option(help="of a twin: quick, demo or full")]
SeedOption = Annotated[int, typer.Option(help="of a twin")]


@contextmanager
def bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on the error stream; yields what is to be told (done, total)."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=beside, transient=True) as bars:
        task = bars.add_task(what, total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total or None)


@data_app.command("list")
def data_list(names: Annotated[bool, typer.Option("--names", help="names only")] = False) -> None:
    """List the datasets that have an adapter."""
    from fbu import data

    for name in data.names():
        manifest = data.load_manifest(name)
        print(name if names else f"{name:20} {manifest.title}")


@data_app.command("twin")
def data_twin(
    name: str,
    root: Annotated[Path, typer.Option(help="folder to write NAME into")],
    size: SizeOption = "quick",
    seed: SeedOption = 0,
) -> None:
    """Write a synthetic twin of a dataset, in the owner's layout."""
    from fbu import data

    console.print(str(data.export_twin(name, root, size=size, seed=seed)))


@data_app.command("check")
def data_check(
    name: str,
    root: RootOption = None,
    source: SourceOption = None,
    size: SizeOption = "quick",
    seed: SeedOption = 0,
    fast: Annotated[
        bool | None,
        typer.Option("--fast/--full", help="decode a sample, or every picture; default: all of a small set"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="the whole report as JSON")] = False,
    limit: Annotated[int, typer.Option(help="problems of one kind to print; 0: all")] = _SHOWN,
) -> None:
    """Report everything that is wrong with a copy of a dataset; exit 1 when there is an error."""
    from fbu.data.doctor import check

    _, folder = _located(name, source, root, size, seed)
    with bar("pictures") as progress:
        report = check(name, folder, fast=fast, progress=progress)
    if as_json:
        print(report.to_json())
    else:
        _print(report, limit or len(report.problems))
    if not report.ok:
        raise typer.Exit(1)


def _print(report: Report, limit: int) -> None:
    """A report for people: kind by kind, with the way to mend each kind once."""
    console.print(escape(report.summary()))
    colours = {"error": "red", "warning": "yellow"}
    for (severity, kind), group in groupby(report.problems, key=lambda p: (p.severity, p.kind)):
        problems = list(group)
        title = f"{severity}: {kind}" + (f" ({len(problems)})" if len(problems) > 1 else "")
        console.print(f"\n[{colours[severity]}]{title}[/]")
        for problem in problems[:limit]:
            console.print(f"  {escape(problem.where)}: {escape(problem.message)}")
        if len(problems) > limit:
            console.print(f"  ... and {len(problems) - limit:,} more (--limit 0 prints all)")
        for mend in dict.fromkeys(problem.mend for problem in problems[:limit]):
            console.print(f"  [dim]mend: {escape(mend)}[/]")
    console.print(f"\n{report.verdict()}")


@data_app.command("cache")
def data_cache(
    name: str,
    root: RootOption = None,
    source: SourceOption = None,
    size: SizeOption = "quick",
    seed: SeedOption = 0,
    image_size: Annotated[
        int | None, typer.Option(help="side in pixels; default: 224, of quick and demo twins 64")
    ] = None,
    protocol: Annotated[str | None, typer.Option(help="whose reader options and alignment are taken")] = None,
    preset: Annotated[str | None, typer.Option(help="alignment; default: the protocol's")] = None,
    store: Annotated[str | None, typer.Option(help="array, or jpeg for sets that do not fit")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only say what it would take")] = False,
    skip_unreadable: Annotated[bool, typer.Option(help="leave out what cannot be read")] = False,
) -> None:
    """Decode a dataset before training: once, aligned and resized; refuses early when it does not fit."""
    import os

    from fbu import data
    from fbu.data.caching import cache_dataset

    if store is not None:
        os.environ["FBU_CACHE_STORE"] = store
    chosen, folder = _located(name, source, root, size, seed)
    side = image_size or data.IMAGE_SIZES[size if chosen == "twin" else "full"]
    with bar("rows") as progress:
        plan = cache_dataset(
            name,
            folder,
            image_size=side,
            protocol=protocol,
            preset=preset,
            dry_run=dry_run,
            skip_unreadable=skip_unreadable,
            progress=progress,
        )
    console.print(escape(str(plan)))
    if dry_run and not plan.fits:
        console.print("[yellow]this does not fit[/]")
        raise typer.Exit(1)
    if store is not None and not dry_run:
        console.print(f"to use it: export FBU_CACHE_STORE={escape(store)}")


@data_app.command("preview")
def data_preview(
    name: str,
    root: RootOption = None,
    source: SourceOption = None,
    size: SizeOption = "quick",
    seed: SeedOption = 0,
    rows: Annotated[int, typer.Option(help="pictures of each class, or lines of frames")] = 4,
    out: Annotated[Path | None, typer.Option(help="PNG file; default: NAME-SOURCE.png")] = None,
) -> None:
    """Write a contact sheet of a dataset as PNG; without --root and --source, of its twin."""
    from fbu import data
    from fbu.data.preview import PRIVATE, is_private, preview

    chosen, folder = _located(name, source if source or root else "twin", root, size, seed)
    manifest = data.load_manifest(name)
    figure = preview(manifest, folder, source=chosen, rows=rows, seed=seed)
    path = out or Path(f"{name}-{chosen}.png")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, format="png", dpi=150)
    console.print(escape(str(path)))
    if is_private(manifest, folder):
        console.print(f"[yellow]{manifest.title}: {PRIVATE}[/]")


@data_app.command("fetch")
def data_fetch(name: str, root: RootOption = None) -> None:
    """Download an open dataset to ROOT/NAME; exit 1 when that fails."""
    from fbu.config import data_root
    from fbu.data.fetching import fetch
    from fbu.errors import DataError

    try:
        base = root or data_root()
        if base is None:
            raise DataError("there is no folder to fetch into: pass --root, or set FBU_DATA")
        with bar("bytes") as progress:
            folder = fetch(name, base, progress=progress)
    except DataError as error:
        console.print(f"[red]error:[/red] {escape(str(error))}")
        raise typer.Exit(1) from None
    console.print(f"{escape(str(folder))}\nnext: fbu data check {name} --root {escape(str(folder.parent))}")


@data_app.command("croissant")
def data_croissant(
    name: str, out: Annotated[Path | None, typer.Option(help="file to write; default: print")] = None
) -> None:
    """Describe a dataset as MLCommons Croissant 1.0 (JSON-LD)."""
    from fbu.data.croissant import to_json

    text = to_json(name)
    if out is None:
        print(text, end="")
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(text, encoding="utf-8")
    console.print(escape(str(out)))


@data_app.command("weights")
def data_weights(
    as_json: Annotated[bool, typer.Option("--json", help="every field, as JSON")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="open what is there and count what loads; exit 1 on a wrong file")
    ] = False,
    data_root: DataRootOption = None,
) -> None:
    """List the published weights that the profile `paper` starts from, and which of them are there."""
    import json

    from fbu import config
    from fbu.models.published import published

    use_data_root(data_root)
    entries = published()
    if as_json:
        print(json.dumps([entry.row() for entry in entries], indent=2))
    else:
        _show_weights(entries)
        root = config.data_root()
        console.print(
            f"They belong in {root / 'weights' if root else '$FBU_DATA/weights; FBU_DATA is not set'}"
        )
    if check and not _check_weights():
        raise typer.Exit(1)


def _show_weights(entries: Sequence[Published]) -> None:
    """Print a paragraph on each file, then a table of what is there."""
    for entry in entries:
        console.print(f"[bold]{entry.file}[/bold]: {entry.title}", soft_wrap=True, highlight=False)
        lines = [f"for {use.paper}: {use.part}" for use in entry.uses]
        lines += [f"licence: {entry.licence}", f"from: {entry.origin}", f"if lost: {entry.substitute}"]
        console.print("\n".join(f"  {line}" for line in lines), soft_wrap=True, highlight=False, markup=False)
    table = Table("there", "papers")
    table.add_column("file", overflow="fold", min_width=40)
    for entry in entries:
        there = "yes" if entry.present else "fetched" if entry.fetched else "no"
        table.add_row(there, ", ".join(entry.papers), entry.file)
    console.print(table)


def _check_weights() -> bool:
    from fbu.errors import DataError
    from fbu.models.published import load_published, published

    right = True
    for entry in published():
        if not entry.present:
            continue
        try:
            report = load_published(entry.name)[1]
        except (DataError, ImportError) as error:
            right = False
            typer.echo(f"wrong: {error}", err=True)
            continue
        full = (report.loaded, report.numbers) == (entry.tensors, entry.numbers)
        right = right and full
        typer.echo(
            f"{'right' if full else f'not the {entry.numbers:,} numbers of the table'}: {report}", err=True
        )
    return right


def _located(name: str, source: str | None, root: Path | None, size: str, seed: int) -> tuple[str, Path]:
    """Source that is meant, and the folder of the dataset's copy from there."""
    from fbu import data

    chosen = _source(source)
    return chosen, data.locate(data.load_manifest(name), chosen, root=root, size=size, seed=seed)


def _source(given: str | None) -> str:
    from fbu.data import SOURCES
    from fbu.errors import DataError

    chosen = given or "real"
    if chosen not in SOURCES:
        raise DataError(f"unknown source {chosen!r}: known are {', '.join(SOURCES)}")
    return chosen
