"""Recipes as jobs of a workflow: what each needs, what it leaves, and what it has to wait for.

The workflow itself is ``workflow/Snakefile``; nothing here knows of it, so any other scheduler can be given the same
list. A job is one recipe. Its output is the run's ``done.json``, which is written last and at once: a file that is
there belongs to a whole run. All else (locks, checkpoints, what is stale) is left to :mod:`fbu.runs`.
"""

from __future__ import annotations

import json
import math
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from fbu.config import home, use_data_root
from fbu.errors import DataError
from fbu.recipes import Recipe
from fbu.runs import folder_of, is_tiny, ordered, plan

# ViT-B/16 at 224 pixels in bf16, pictures a second; on the cautious side for a card of the last years.
_GPU_RATE = 150.0
_HOST_MB = 16_000  # memory beside the card: decoded pictures are mapped and count only while they are read
_SPARE = 1.5  # time and memory asked for, over what is expected
_LEAST_MINUTES, _LEAST_MB = 20, 4_000  # importing, drawing a twin, decoding


class Settings(BaseModel):
    """What a workflow runs; the keys of ``workflow/config.yaml``. Nothing named means every table of the book."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tables: tuple[str, ...] = Field((), description="tables and figures, e.g. clef.table7_ablation")
    papers: tuple[str, ...] = Field((), description="papers of which all tables are run, e.g. clef")
    recipes: tuple[Path, ...] = Field((), description="further recipes, JSON files")
    profile: str = Field("quick", description="quick, demo, full or paper")
    source: str | dict[str, str] = Field("twin", description="twin, open or real, or one per dataset")
    seeds: int | None = Field(None, ge=1, description="number of seeds; default: the profile's")
    data_root: Path | None = Field(None, description="folder of the datasets, in place of FBU_DATA")
    device: str = Field("auto", description="auto, cpu or cuda")
    gpus: Literal["auto", 0, 1] = Field("auto", description="of a job; auto: one unless the encoder is tiny")
    hours: float = Field(24.0, gt=0, description="longest time that a job may ask for")

    @field_validator("tables", "papers", "recipes", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        """One name, or several with commas between them, as a command line gives them; nothing for none."""
        if value is None:
            return ()
        return (
            [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value
        )

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Settings:
        """Settings from a configuration; DataError names the first wrong key."""
        try:
            return cls.model_validate(dict(config))
        except ValidationError as error:
            first = error.errors()[0]
            raise DataError(
                f"workflow setting {'.'.join(map(str, first['loc']))}: {first['msg']}; "
                f"known are {', '.join(cls.model_fields)}"
            ) from None


@dataclass(frozen=True)
class Job:
    """One recipe to be run.

    Attributes:
        name: of the run's folder: recipe, code and data.
        recipe: what is run.
        file: the recipe as JSON, for the command.
        output: the run's ``done.json``.
        inputs: outputs that must be there first.
        threads: processor cores.
        mem_mb: memory beside the card's, in MB.
        runtime: minutes; a job that is ended by the clock goes on from its checkpoint when it is started again.
        gpus: cards, 0 or 1.
        command: what to run.
    """

    name: str
    recipe: Recipe
    file: Path
    output: Path
    inputs: tuple[Path, ...]
    threads: int
    mem_mb: int
    runtime: int
    gpus: int
    command: str

    def write(self) -> None:
        """Write the recipe's file, unless it is there."""
        if not self.file.is_file():
            self.file.parent.mkdir(parents=True, exist_ok=True)
            temporary = self.file.with_name(f".{self.file.name}.{os.getpid()}")
            temporary.write_text(self.recipe.model_dump_json(indent=1))
            os.replace(temporary, self.file)


@dataclass(frozen=True)
class Workflow:
    """Jobs, each after those that it waits for, and what cannot be run.

    Attributes:
        jobs: by name.
        tables: settings of ``fbu ledger add`` by table, for tables that are run in full.
        left_out: recipes that cannot be run, with the reason, e.g. a dataset that is not there.
    """

    jobs: dict[str, Job]
    tables: dict[str, str]
    left_out: dict[str, str]


def workflow(config: Mapping[str, Any]) -> Workflow:
    """The jobs that a configuration asks for; trains nothing.

    Args:
        config: the fields of `Settings`.

    Raises:
        DataError: a wrong setting, an unknown paper, or a recipe file that is missing.
        ValueError: an unknown table, profile or source.
    """
    settings = Settings.of(config)
    use_data_root(settings.data_root)
    asked = _asked(settings)
    outputs: dict[str, Path] = {}
    left_out: dict[str, str] = {}
    ready: list[Recipe] = []
    for recipe in ordered(recipe for recipes in asked.values() for recipe in recipes):
        key = recipe.key()
        missing = next((needed.key() for needed in recipe.needs() if needed.key() in left_out), None)
        if missing is not None:
            left_out[key] = left_out[missing]
            continue
        try:
            outputs[key] = folder_of(recipe) / "done.json"  # real data is looked for here
        except DataError as error:
            left_out[key] = str(error)
            continue
        ready.append(recipe)
    expected = plan(ready).set_index("recipe").to_dict("index")
    jobs = {}
    for recipe in ready:
        inputs = tuple(outputs[needed.key()] for needed in recipe.needs())
        job = _job(recipe, outputs[recipe.key()], inputs, expected[recipe.key()], settings)
        jobs[job.name] = job
    whole = [name for name, recipes in asked.items() if name and all(r.key() in outputs for r in recipes)]
    return Workflow(jobs, {name: _ledger_options(name, settings) for name in whole}, left_out)


def _asked(settings: Settings) -> dict[str, list[Recipe]]:
    """Recipes by table; those of files under the empty name."""
    from fbu import experiments

    known = experiments.names()
    for paper in settings.papers:
        if not any(name.startswith(f"{paper}.") for name in known):
            raise DataError(f"no tables of paper {paper!r}; known: {', '.join(experiments.PAPERS)}")
    if not (settings.tables or settings.papers or settings.recipes):
        names = known
    else:
        names = [n for n in known if n.partition(".")[0] in settings.papers]
    common = {"profile": settings.profile, "source": settings.source, "seeds": settings.seeds}
    asked = {
        name: experiments.table(name, **common).recipes()
        for name in dict.fromkeys([*names, *settings.tables])
    }
    for path in settings.recipes:
        if not path.is_file():
            raise DataError(f"{path}: no such recipe file")
        asked.setdefault("", []).append(Recipe.model_validate_json(path.read_text()))
    return asked


def _job(
    recipe: Recipe, output: Path, inputs: tuple[Path, ...], expected: Mapping[Any, Any], settings: Settings
) -> Job:
    tiny = is_tiny(recipe)
    gpus = int(not tiny) if settings.gpus == "auto" else settings.gpus
    on_card = gpus and not tiny
    seconds = expected["images"] / _GPU_RATE if on_card else expected["seconds"]
    minutes = min(_LEAST_MINUTES + math.ceil(_SPARE * seconds / 60), math.floor(60 * settings.hours))
    memory = _HOST_MB if on_card else max(_LEAST_MB, math.ceil(_SPARE * expected["memory_mb"]))
    file = home() / "workflow" / f"{recipe.key()}.json"
    words = [sys.executable, "-m", "fbu.cli", "run", str(file), "--device", settings.device]
    if settings.data_root is not None:
        words += ["--data-root", str(settings.data_root.expanduser().resolve())]
    return Job(
        name=output.parent.name,
        recipe=recipe,
        file=file,
        output=output,
        inputs=inputs,
        threads=recipe.threads,
        mem_mb=memory,
        runtime=max(1, minutes),
        gpus=gpus,
        command=shlex.join(words),
    )


def _ledger_options(table: str, settings: Settings) -> str:
    """Arguments of ``fbu ledger add`` for a table; "" where a command line cannot say which sources were taken."""
    if not isinstance(settings.source, str):
        return ""
    words = ["--table", table, "--profile", settings.profile, "--source", settings.source]
    if settings.seeds is not None:
        words += ["--seeds", str(settings.seeds)]
    if settings.data_root is not None:
        words += ["--data-root", str(settings.data_root.expanduser().resolve())]
    return shlex.join(words)


def summary(found: Workflow) -> Sequence[str]:
    """Lines for people: how many jobs, how many are done, and what was left out for which reason."""
    done = sum(job.output.is_file() for job in found.jobs.values())
    lines = [f"{len(found.jobs)} recipes, {done} done; runs are kept in {home() / 'runs'}"]
    reasons: dict[str, list[str]] = {}
    for key, reason in found.left_out.items():
        reasons.setdefault(reason, []).append(key)
    return lines + [f"{len(keys)} recipes left out: {reason}" for reason, keys in reasons.items()]


def as_json(found: Workflow) -> str:
    """The jobs as JSON, for another scheduler: name, command, output, inputs and resources of each."""
    fields = ("name", "command", "output", "inputs", "threads", "mem_mb", "runtime", "gpus")
    rows = [{field: getattr(job, field) for field in fields} for job in found.jobs.values()]
    return json.dumps(rows, indent=1, default=str)
