"""The run store: a recipe is trained once, whoever asks and however often.

A run lives in ``FBU_HOME/runs/<key>-<code>-<data>/``, named by the recipe's settings, the code they reach and the data
they read. Change any of the three and it is another run; nothing older is reused silently. ``done.json`` is written
last, so a folder without it is unfinished and is resumed from its checkpoint.
"""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from fbu import processes
from fbu.config import home
from fbu.errors import DataError
from fbu.provenance import data_fingerprint, now, peak_memory_mb, provenance, sources
from fbu.recipes import Recipe, task_type
from fbu.schedule import EPOCH, Job, Schedule, pictures, prepare

if TYPE_CHECKING:
    from torch import Tensor

    from fbu.training import Task

Report = Callable[[int, int, dict[str, float]], None]


@dataclass(frozen=True)
class Run:
    """A finished run on disk.

    Attributes:
        recipe: what was run.
        folder: where its files are: recipe.json, weights.safetensors, metrics.json, predictions.csv,
            provenance.json, log.jsonl, done.json.
    """

    recipe: Recipe
    folder: Path

    @cached_property
    def metrics(self) -> dict[str, dict[str, float]]:
        """Numbers by split: ``test`` (scored weights), ``last`` (final weights), ``val`` where it was looked at."""
        return json.loads((self.folder / "metrics.json").read_text())

    @cached_property
    def extra(self) -> dict[str, Any]:
        """What the task wanted kept beside its numbers, e.g. similarity matrices."""
        return json.loads((self.folder / "extra.json").read_text())

    @cached_property
    def provenance(self) -> dict[str, Any]:
        """Commit, machine, versions, seed, fold, fingerprints, seconds, peak memory, images per second."""
        return json.loads((self.folder / "provenance.json").read_text())

    @cached_property
    def predictions(self) -> pd.DataFrame:
        """One row per test sample, with its id, subject, target and scores."""
        path = self.folder / "predictions.csv"
        if not path.exists():
            raise ValueError(f"run {self.folder.name} ({self.recipe.task}) keeps no predictions")
        return pd.read_csv(path, dtype={"sample": str, "subject": str})

    def weights(self) -> dict[str, Tensor]:
        """Scored weights by name."""
        from safetensors.torch import load_file

        return load_file(self.folder / "weights.safetensors")

    def task(self, device: str = "cpu") -> Task:
        """The task with this run's weights, in evaluation mode."""
        task = _make_task(self.recipe, device)
        task.model.load_state_dict(self.weights())
        task.model.eval()
        return task


def find(recipe: Recipe) -> Run | None:
    """The finished run of a recipe under the present code and data, or None."""
    folder = folder_of(recipe)
    return Run(recipe, folder) if (folder / "done.json").exists() else None


def run(
    recipe: Recipe, *, device: str = "auto", report: Report | None = None, checkpoint_every: float = 30.0
) -> Run:
    """Train and score a recipe, or return the run that is already there.

    Recipes that it starts from or reads are run first. Another process that asks for the same recipe waits on a file
    lock and finds the finished run. A run that was killed continues from its last checkpoint.

    Args:
        recipe: what to run.
        device: ``"auto"`` (the accelerator if there is one), ``"cpu"``, ``"cuda"`` ...
        report: called as ``report(step, steps, terms)`` about once a second.
        checkpoint_every: seconds between checkpoints.

    Raises:
        DataError: the data is missing or malformed.
        FloatingPointError: the loss became infinite or NaN.
        ValueError: called in one of several processes that were launched together.
    """
    from filelock import FileLock

    _check_alone()
    for needed in recipe.needs():
        run(needed, device=device, report=report, checkpoint_every=checkpoint_every)
    done = find(recipe)
    if done is not None:
        return done
    folder = folder_of(recipe)
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "lock"):
        if not (folder / "done.json").exists():
            _execute(recipe, folder, device, report, checkpoint_every)
    return Run(recipe, folder)


def _check_alone() -> None:
    # The first of them would wait for the others to join it, and the others for its lock.
    if int(os.environ.get("WORLD_SIZE") or 1) > 1:
        raise ValueError(
            "a recipe is run by one process, and this is one of several (WORLD_SIZE is set): start it without torchrun "
            "or accelerate launch, several recipes at a time with --workers or the workflow"
        )


def rerun(recipe: Recipe, *, device: str = "auto") -> Run:
    """Run a recipe once more from its start, beside the store, whatever has been run before."""
    for needed in recipe.needs():
        run(needed, device=device)
    folder = home() / "reruns" / f"{recipe.key()}-{os.getpid()}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    _execute(recipe, folder, device)
    return Run(recipe, folder)


def _execute(
    recipe: Recipe, folder: Path, device: str, report: Report | None = None, checkpoint_every: float = 30.0
) -> None:
    import torch
    from safetensors.torch import save_file

    from fbu.training import train

    threads = torch.get_num_threads()
    torch.set_num_threads(recipe.threads)
    try:
        _write(folder / "recipe.json", recipe.model_dump_json(indent=1))
        torch.manual_seed(recipe.seed)
        task = _make_task(recipe, device)
        trained = train(task, folder, report=report, checkpoint_every=checkpoint_every)
        temporary = folder / f".weights.{os.getpid()}"
        save_file(trained.state, temporary)
        os.replace(temporary, folder / "weights.safetensors")
        if trained.predictions is not None:
            frame = trained.predictions.assign(seed=recipe.seed, fold=recipe.data.fold)
            _write(folder / "predictions.csv", frame.to_csv(index=False, float_format="%.6g"))
        _write(folder / "metrics.json", json.dumps(trained.metrics, indent=1))
        _write(folder / "extra.json", json.dumps(trained.extra))
        cost = {
            "seconds": round(trained.seconds, 2),
            "images": trained.images,
            "images_per_second": round(trained.images / max(trained.seconds, 1e-9), 1),
            "peak_memory_mb": peak_memory_mb(task.device.type),
        }
        _write(folder / "provenance.json", json.dumps({**provenance(recipe), **cost}, indent=1))
        _write(folder / "done.json", json.dumps({"finished": now()}))
        (folder / "checkpoint.pt").unlink(missing_ok=True)
    finally:
        torch.set_num_threads(threads)


def _make_task(recipe: Recipe, device: str) -> Task:
    import torch

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    start = None if recipe.start is None else _finished(recipe, recipe.start)
    further = {role: _finished(recipe, needed) for role, needed in recipe.reads.items()}
    given = {"reads": further} if further else {}  # a task without further runs need not have the argument
    return task_type(recipe.task)(recipe, torch.device(device), start, **given)


def _finished(recipe: Recipe, needed: Recipe) -> Path:
    found = find(needed)
    if found is None:
        raise DataError(f"recipe {recipe.key()} needs {needed.key()}, which has not been run")
    return found.folder


def folder_of(recipe: Recipe) -> Path:
    """Where the run of a recipe lies, finished or not, under the present code and data.

    Raises:
        DataError: real data that is missing or malformed.
    """
    return home() / "runs" / f"{recipe.key()}-{recipe.code()[:8]}-{data_fingerprint(recipe)[:8]}"


def discard(recipe: Recipe) -> None:
    """Delete the run of a recipe, finished or not."""
    shutil.rmtree(folder_of(recipe), ignore_errors=True)


def plan(recipes: Iterable[Recipe]) -> pd.DataFrame:
    """What running recipes would take: one row per recipe of their chains, in an order that can be run.

    Columns: recipe, task, data, seed, images, seconds, memory_mb, done. Seconds and memory come from finished runs of
    the same task, encoder and image size where there are any, otherwise from a rough constant.
    """
    measured = _measured()
    rows = []
    for recipe in ordered(recipes):
        images = pictures(recipe.optim) or EPOCH  # what trains nothing is scored
        rate, memory = measured.get(_kind(recipe), (0.0, 0.0))
        if not rate:  # about 3e10 multiply-adds a second; a tiny tower needs 5e7 for a picture, ViT-B/16 5e10
            rate, memory = (300.0, 1200.0) if is_tiny(recipe) else (0.5, 12000.0)
        rows.append(
            {
                "recipe": recipe.key(),
                "task": recipe.task,
                "data": f"{recipe.data.name} ({sources(recipe)})",
                "seed": recipe.seed,
                "images": images,
                "seconds": round(images / rate),
                "memory_mb": round(memory),
                "done": find(recipe) is not None,
            }
        )
    columns = ["recipe", "task", "data", "seed", "images", "seconds", "memory_mb", "done"]
    return pd.DataFrame(rows, columns=columns)


def is_tiny(recipe: Recipe) -> bool:
    """Whether a recipe's encoder is one of those for drawn faces on a processor."""
    return recipe.encoder.name.startswith(("fbu-tiny", "tiny-"))


def _kind(recipe: Recipe) -> tuple[str, str, int]:
    return recipe.task, recipe.encoder.name, recipe.data.image_size


def _measured() -> dict[tuple[str, str, int], tuple[float, float]]:
    # All runs of a kind together, so that a short one, which mostly warms up, does not speak for the long ones.
    images: Counter[tuple[str, str, int]] = Counter()
    seconds: defaultdict[tuple[str, str, int], float] = defaultdict(float)
    memory: dict[tuple[str, str, int], float] = {}
    for path in (home() / "runs").glob("*/provenance.json"):
        settings = json.loads((path.parent / "recipe.json").read_text())
        cost = json.loads(path.read_text())
        kind = (settings["task"], settings["encoder"]["name"], settings["data"]["image_size"])
        images[kind] += cost["images"]
        seconds[kind] += cost["seconds"]
        memory[kind] = max(memory.get(kind, 0.0), cost["peak_memory_mb"])
    return {kind: (images[kind] / max(seconds[kind], 1e-9), memory[kind]) for kind in images}


def ordered(recipes: Iterable[Recipe]) -> list[Recipe]:
    """Union of the recipes and of those that they start from or read, each after what it needs."""
    seen: dict[str, Recipe] = {}
    for recipe in recipes:
        for link in recipe.chain():
            seen.setdefault(link.key(), link)
    return list(seen.values())


Progress = Callable[[Recipe, int, int], None]


def run_all(
    recipes: Iterable[Recipe], *, workers: int = 1, device: str = "auto", progress: Progress | None = None
) -> list[Run]:
    """Run recipes and all that they need, several at a time.

    Args:
        recipes: what to run; duplicates are run once.
        workers: processes; each run keeps its own number of threads.
        device: as for :func:`run`.
        progress: called as ``progress(recipe, step, steps)``; ``step == steps`` once a recipe is finished.

    Returns:
        The runs of ``recipes``, in their order.
    """
    recipes = list(recipes)
    missing = [r for r in ordered(recipes) if find(r) is None]
    if workers <= 1 or len(missing) <= 1:
        for recipe in missing:
            run(recipe, device=device, report=_tell(progress, recipe))
            if progress is not None:
                progress(recipe, 1, 1)
    else:
        _run_pool(missing, workers, device, progress)
    return [run(recipe, device=device) for recipe in recipes]


def _tell(progress: Progress | None, recipe: Recipe) -> Report | None:
    if progress is None:
        return None

    def report(step: int, steps: int, _: dict[str, float]) -> None:
        if step < steps:  # after the last step a run is still to be scored and written
            progress(recipe, step, steps)

    return report


def _run_pool(missing: Sequence[Recipe], workers: int, device: str, progress: Progress | None) -> None:
    schedule = Schedule(missing)
    with processes.pool(workers) as pool:
        running: dict[Future[None], Job] = {}
        while schedule or running:
            while len(running) < workers and (job := schedule.take()) is not None:
                running[pool.submit(_work, job.recipe.model_dump_json(), job.prepares, device)] = job
            finished, _ = wait(running, timeout=2, return_when=FIRST_COMPLETED)
            for future in finished:
                job = running.pop(future)
                try:
                    future.result()
                except BaseException:
                    for other in running:
                        other.cancel()
                    raise
                schedule.finished(job)
                if progress is not None and not job.prepares:
                    progress(job.recipe, 1, 1)
            if progress is not None:
                for job in running.values():
                    if not job.prepares:
                        progress(job.recipe, *_last_step(folder_of(job.recipe)))


def _work(text: str, prepares: bool, device: str) -> None:
    recipe = Recipe.model_validate_json(text)
    if prepares:
        prepare(recipe)
    else:
        run(recipe, device=device)


def _last_step(folder: Path) -> tuple[int, int]:
    try:
        line = json.loads((folder / "log.jsonl").read_text().splitlines()[-1])
        return min(line["step"], line["steps"] - 1), line["steps"]
    except (OSError, IndexError, KeyError, ValueError):
        return 0, 1  # not begun, or the last line is being written


def _write(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(text)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
