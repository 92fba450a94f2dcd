"""Command line: ``fbu run``, ``fbu predict``, ``fbu ledger``, ``fbu data``, ``fbu claims``, ``fbu info``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table as RichTable

from fbu import processes
from fbu.cli_data import DataRootOption, data_app
from fbu.config import use_data_root

if TYPE_CHECKING:
    import pandas as pd

    from fbu.predicting import Prediction
    from fbu.recipes import Recipe

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Text-driven facial behaviour understanding."
)
ledger_app = typer.Typer(no_args_is_help=True, help="Reference results.")
app.add_typer(ledger_app, name="ledger")
app.add_typer(data_app, name="data")
console = Console()

TableOption = Annotated[
    str | None, typer.Option("--table", help="table or figure, e.g. clef.table7_ablation")
]
ProfileOption = Annotated[str, typer.Option(help="quick, demo, full or paper")]
SourceOption = Annotated[str, typer.Option(help="twin, open or real")]
SeedsOption = Annotated[int | None, typer.Option(help="number of seeds; default: the profile's")]


class Bars:
    """One bar over all recipes and one for each that is running."""

    def __init__(self, total: int) -> None:
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
        )
        self._all = self._bars.add_task("recipes", total=total)
        self._tasks: dict[str, Any] = {}

    def __enter__(self) -> Bars:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def __call__(self, recipe: Recipe, step: int, steps: int) -> None:
        """Report a step of a recipe; ``step == steps`` ends it."""
        key = recipe.key()
        if key not in self._tasks:
            self._tasks[key] = self._bars.add_task(f"  {recipe.task} seed {recipe.seed}", total=steps)
        if step >= steps and steps == 1:
            self._bars.remove_task(self._tasks.pop(key))
            self._bars.advance(self._all)
        else:
            self._bars.update(self._tasks[key], completed=step, total=steps)


def show(frame: pd.DataFrame, title: str = "") -> None:
    """Print a frame as a table."""
    table = RichTable(*map(str, frame.columns), title=title or None)
    for row in frame.itertuples(index=False):
        table.add_row(*(f"{v:.2f}" if isinstance(v, float) else str(v) for v in row))
    console.print(table)


def _table(name: str, profile: str, source: str, seeds: int | None) -> Any:
    from fbu import experiments

    return experiments.table(name, profile=profile, source=source, seeds=seeds)


@app.command()
def run(
    recipe: Annotated[Path | None, typer.Argument(help="recipe as JSON")] = None,
    table: TableOption = None,
    profile: ProfileOption = "quick",
    source: SourceOption = "twin",
    seeds: SeedsOption = None,
    workers: Annotated[int, typer.Option(help="recipes at a time")] = 1,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda")] = "auto",
    data_root: DataRootOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="print recipes, time and memory only")] = False,
) -> None:
    """Train and score a recipe, or every recipe of a table; what is there already is not run again."""
    from fbu.recipes import Recipe
    from fbu.runs import plan, run_all

    use_data_root(data_root)
    if (recipe is None) == (table is None):
        raise typer.BadParameter("give a recipe file or --table, one of the two")
    if recipe is not None:
        recipes = [Recipe.model_validate_json(_read(recipe))]
    else:
        recipes = _table(str(table), profile, source, seeds).recipes()
    todo = plan(recipes)
    if dry_run:
        show(todo)
        left = todo[~todo["done"]]
        console.print(
            f"{len(left)} of {len(todo)} recipes to run, about {left['seconds'].sum() / 60 / workers:.0f} minutes with "
            f"{workers} at a time, {left['memory_mb'].max() * workers if len(left) else 0:.0f} MB"
        )
        return
    processes.preload(*processes.TRAINING)
    with Bars(int((~todo["done"]).sum())) as bars:
        runs = run_all(recipes, workers=workers, device=device, progress=bars)
    for done in runs:
        console.print(str(done.folder), done.metrics["test"], highlight=False)


def _read(path: Path) -> str:
    from fbu.errors import DataError

    if not path.is_file():
        raise DataError(f"{path}: no such recipe file")
    return path.read_text()


@app.command()
def predict(
    image: Annotated[
        Path,
        typer.Argument(help="a picture of one face, which should fill it; for runs of DK-CLIP a video"),
    ],
    run_folder: Annotated[Path | None, typer.Option("--run", help="folder of a finished run")] = None,
    recipe_key: Annotated[str | None, typer.Option(help="key of a recipe that was run")] = None,
    table: TableOption = None,
    label: Annotated[str | None, typer.Option(help="row of the table")] = None,
    column: Annotated[str | None, typer.Option(help="column of the table; default: the row's first")] = None,
    profile: ProfileOption = "quick",
    source: SourceOption = "twin",
    out: Annotated[Path | None, typer.Option(help="folder for JSON, bars, and heat map or timeline")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON and nothing else")] = False,
) -> None:
    """Read a face with a finished run: expressions or action units, and where the model looked.

    A run on clips (DK-CLIP) takes a video, or a folder with its frames. Without --run, --recipe-key and --table: CLEF
    on RAF-DB of the profile.
    """
    from fbu import predicting

    if sum(given is not None for given in (run_folder, recipe_key, table)) > 1:
        raise typer.BadParameter("give --run, --recipe-key or --table, one of the three")
    if run_folder is not None:
        found = predicting.run_in(run_folder)
    elif recipe_key is not None:
        found = predicting.run_with_key(recipe_key)
    else:
        cell = (table, label, column) if table is not None else predicting.DEFAULT
        found = predicting.run_of_table(*cell, profile=profile, source=source)
    answer = predicting.predict(image, found)
    files = [] if out is None else answer.write(out)
    if as_json:
        typer.echo(json.dumps(answer.as_dict(), indent=1))
        return
    _show_prediction(answer)
    for path in files:
        console.print(f"wrote {path}", highlight=False, soft_wrap=True)


def _show_prediction(answer: Prediction) -> None:
    """Probabilities as bars of text, then what they come from."""
    width = 30
    bars = RichTable.grid(padding=(0, 1))
    for row in answer.frame().to_dict("records"):
        name = row["name"] if answer.kind == "expression" else f"{row['label']} {row['name']}"
        filled = round(width * row["value"] / 100)
        style = "bold" if row["label"] == answer.labels[answer.top] else ""
        bars.add_row(name, "█" * filled + "░" * (width - filled), f"{row['value']:5.1f} %", style=style)
    console.print(bars)
    about = answer.sources
    for line in (
        f"run {answer.run.folder.name}: {answer.run.recipe.task} on {about['data']}, code: {about['code']}",
        f"picture: {about['placement']}",
        answer.why_no_heatmap,
        *answer.remarks,
    ):
        if line:
            console.print(line, highlight=False, soft_wrap=True)


@ledger_app.command("add")
def ledger_add(
    run_folder: Annotated[Path | None, typer.Argument(metavar="RUN", help="folder of a finished run")] = None,
    table: TableOption = None,
    profile: ProfileOption = "demo",
    source: SourceOption = "twin",
    seeds: SeedsOption = None,
    data_root: DataRootOption = None,
) -> None:
    """Write a finished run, or all finished runs of a table, into the ledger."""
    from fbu import ledger

    use_data_root(data_root)
    if (run_folder is None) == (table is None):
        raise typer.BadParameter("give the folder of a run or --table, one of the two")
    if run_folder is not None:
        console.print(f"{ledger.add_run(run_folder)} rows")
        return
    done = _table(str(table), profile, source, seeds).done()
    console.print(f"{ledger.add(done)} rows into {ledger.ledger_file(profile)}")


@ledger_app.command("twins")
def ledger_twins(
    names: Annotated[list[str] | None, typer.Argument(help="datasets; default: all")] = None,
    size: Annotated[str, typer.Option(help="of the twins: quick, demo or full")] = "demo",
) -> None:
    """Measure how hard the twins are, and write it down: floor, linear model on pixels, oracle."""
    from fbu import data, hardness

    console.print(f"into {hardness.ledger_file('twins')}")
    found = hardness.add(names or data.names(), size, told=lambda name: console.print(f"measured {name}"))
    show(found[["twin", "size", "measure", "floor", "linear", "oracle"]], "in points")


@ledger_app.command("verify")
def ledger_verify(
    n: Annotated[int, typer.Option("-n", help="how many random rows")] = 3,
    profile: ProfileOption = "demo",
    seed: Annotated[int | None, typer.Option(help="seed of the choice")] = None,
    data_root: DataRootOption = None,
) -> None:
    """Run random ledger rows again and compare; exit 1 when one fails."""
    from fbu import ledger

    use_data_root(data_root)
    result = ledger.verify(n, profile=profile, seed=seed)
    show(result.frame)
    console.print(str(result))
    if not result.ok:
        raise typer.Exit(1)


@app.command()
def claims(
    profile: ProfileOption = "demo",
    paper: Annotated[str | None, typer.Option(help="clef, ke_fer, dk_clip or emoco; default: all")] = None,
    source: SourceOption = "twin",
    seeds: SeedsOption = None,
    write: Annotated[bool, typer.Option("--write", help="write the decisions into the ledger")] = False,
    contradicted: Annotated[
        bool, typer.Option("--contradicted", help="list the claims that the papers' own tables contradict")
    ] = False,
    data_root: DataRootOption = None,
) -> None:
    """Decide the papers' claims from the finished runs of a profile; nothing is trained."""
    from fbu import claims as made

    use_data_root(data_root)
    if contradicted:
        show(made.contradicted(paper))
        return
    if paper is not None and not made.claims(paper):
        raise typer.BadParameter(f"no claims of {paper!r}; papers are clef, ke_fer, dk_clip, emoco")
    from fbu.claims import deciding, pages, record
    from fbu.ledger import ledger_file

    tables = deciding.gather(profile, source, seeds, paper)
    decisions = deciding.decide_all(profile, source, paper=paper, tables=tables)
    show(pages.reasons(decisions).reset_index(), f"profile {profile}, {source}")
    if write:
        rows = record.write(decisions, tables, source)
        console.print(f"{rows} decisions into {ledger_file('claims')}")


@app.command()
def info() -> None:
    """Say what is installed, where things lie and how far the ledger is from the code."""
    import torch

    import fbu
    from fbu import config, ledger
    from fbu.provenance import commit, machine

    console.print(
        f"fbu {fbu.__version__} ({commit()}), Python {sys.version.split()[0]}, torch {torch.__version__}"
    )
    console.print(f"machine: {machine()}")
    console.print(f"FBU_HOME: {config.home()}\nFBU_DATA: {config.data_root() or 'not set: twins only'}")
    for profile in ("quick", "demo", "full"):
        rows, old = len(ledger.read(profile)), ledger.stale(profile)
        console.print(
            f"ledger {profile}: {rows} rows" + (f"; older than the code: {', '.join(old)}" if old else "")
        )


def main() -> None:
    """Entry point: errors about the input are one line, not a traceback."""
    from pydantic import ValidationError

    try:
        app()
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or error.title
        said = escape(f"{where}: {first['msg']}")
        console.print(f"[red]error:[/red] {said}", soft_wrap=True)
        sys.exit(2)
    except ValueError as error:
        console.print(f"[red]error:[/red] {escape(str(error))}", soft_wrap=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
