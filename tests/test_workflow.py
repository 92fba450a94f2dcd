"""Recipes as jobs; and, where Snakemake is installed, the workflow itself."""

from __future__ import annotations

import importlib.util
import json
import os
import shlex
import sys
from pathlib import Path

import interpreters
import pytest
import torch
import yaml
from typer.testing import CliRunner

from fbu import runs
from fbu.cli import app
from fbu.experiments import PAPERS, SHARED
from fbu.recipes import Recipe, task_type
from fbu.training import train
from fbu.workflow import Settings, as_json, summary, workflow

ROOT = Path(__file__).resolve().parent.parent
TABLE7 = {"tables": ["clef.table7_ablation"]}

# Both belong to the extra "test"; an environment of one's own may do without.
needs_snakemake = pytest.mark.skipif(
    importlib.util.find_spec("snakemake") is None,
    reason='Snakemake is not installed: pip install -e ".[cluster]"',
)
needs_slurm = pytest.mark.skipif(
    importlib.util.find_spec("snakemake_executor_plugin_slurm") is None,
    reason='the SLURM plugin is not installed: pip install -e ".[cluster]"',
)


def recipe(seed: int, start: Recipe | None = None) -> Recipe:
    return Recipe.model_validate(
        {
            "task": "clef.finetune",
            "data": {"name": "rafdb"},
            "options": {"use": "I"},
            "optim": {"images": 96, "batch_size": 32},
            "seed": seed,
            "start": None if start is None else start.model_dump(mode="json"),
        }
    )


def written(folder: Path, wanted: Recipe) -> Path:
    path = folder / f"{wanted.seed}.json"
    path.write_text(wanted.model_dump_json())
    return path


def test_one_job_per_recipe_behind_what_it_starts_from() -> None:
    found = workflow(TABLE7)
    assert not found.left_out and len(found.jobs) > 8
    seen: set[Path] = set()
    for name, job in found.jobs.items():
        assert job.output == runs.folder_of(job.recipe) / "done.json" and name == job.output.parent.name
        assert set(job.inputs) <= seen
        assert len(job.inputs) == (job.recipe.start is not None)
        assert (job.threads, job.gpus) == (job.recipe.threads, 0)
        seen.add(job.output)
    assert len(seen) == len(found.jobs)
    assert any(job.inputs for job in found.jobs.values())


def test_larger_profiles_ask_for_cards_and_time() -> None:
    jobs = workflow({**TABLE7, "profile": "full"}).jobs.values()
    assert {job.gpus for job in jobs} == {1} and {job.threads for job in jobs} == {4}
    tower = next(job for job in jobs if job.recipe.task == "towers.contrast")
    shorter = next(job for job in jobs if job.recipe.task == "clef.finetune")
    assert tower.runtime > shorter.runtime > 10  # by their number of pictures
    capped = workflow({**TABLE7, "profile": "full", "hours": 0.1}).jobs.values()
    assert {job.runtime for job in capped} == {6}
    assert {job.gpus for job in workflow({**TABLE7, "profile": "full", "gpus": 0}).jobs.values()} == {0}


def test_tables_share_their_starts_and_nothing_named_means_all() -> None:
    one = workflow({"tables": "clef.fig5_similarity"}).jobs
    both = workflow({"tables": "clef.fig5_similarity, clef.table7_ablation"}).jobs
    assert one.keys() < both.keys() == workflow(TABLE7).jobs.keys()
    assert (
        workflow({}).jobs.keys()
        == workflow({"papers": ", ".join((*PAPERS, SHARED))}).jobs.keys()
        > both.keys()
    )


def test_what_has_no_data_is_left_out_and_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FBU_DATA", str(tmp_path))
    base = recipe(0).model_dump(mode="json")
    real = Recipe.model_validate({**base, "data": {"name": "rafdb", "source": "real"}})
    after = recipe(1, start=real)
    files = [str(written(tmp_path, r)) for r in (after, recipe(2))]
    found = workflow({"recipes": files})
    assert [job.recipe.key() for job in found.jobs.values()] == [recipe(2).key()]
    assert found.left_out.keys() == {real.key(), after.key()}
    assert "2 recipes left out: not run: RAF-DB" in summary(found)[1]
    mixed = workflow({**TABLE7, "source": {"rafdb": "real"}})
    assert mixed.jobs and mixed.tables == {}  # half a table does not enter the ledger


def test_commands_carry_what_was_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FBU_DATA", raising=False)
    settings = {**TABLE7, "device": "cpu", "data_root": str(tmp_path / "my data"), "seeds": 2}
    found = workflow(settings)
    assert os.environ.pop("FBU_DATA")  # set by data_root
    job = next(iter(found.jobs.values()))
    words = shlex.split(job.command)
    assert words[0] == sys.executable and words[-4:] == [
        "--device",
        "cpu",
        "--data-root",
        str(tmp_path / "my data"),
    ]
    assert words[4] == str(job.file)
    job.write()
    assert Recipe.model_validate_json(job.file.read_text()) == job.recipe
    before = job.file.stat().st_mtime_ns
    job.write()
    assert job.file.stat().st_mtime_ns == before
    assert "--seeds 2" in found.tables["clef.table7_ablation"]
    rows = json.loads(as_json(found))
    assert [row["name"] for row in rows] == list(found.jobs) and rows[0]["output"] == str(job.output)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"table": "clef.table7_ablation"}, "setting table: Extra inputs.*tables, papers"),
        ({"seeds": 0}, "setting seeds"),
        ({"gpus": 2}, "setting gpus"),
        ({"papers": "clip"}, "known: clef"),
        ({"tables": "clef.table8"}, "table7_ablation"),
        ({"recipes": "nowhere.json"}, "nowhere.json: no such recipe file"),
        ({"profile": "quik"}, "quick, demo"),
    ],
)
def test_wrong_settings_are_named(config: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        workflow(config)


def test_config_file_has_the_settings() -> None:
    config = yaml.safe_load((ROOT / "workflow" / "config.yaml").read_text())
    assert Settings.of(config) == Settings()
    text = (ROOT / "workflow" / "config.yaml").read_text()
    assert [name for name in Settings.model_fields if f"{name}:" not in text] == []


def test_the_page_shows_the_files_as_they_are() -> None:
    page = (ROOT / "book" / "scale.md").read_text()
    for name in ("config.yaml", "slurm/config.yaml"):
        assert f"```yaml\n{(ROOT / 'workflow' / name).read_text()}```" in page


def test_a_run_refuses_to_be_one_of_several_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ValueError, match="without torchrun"):
        runs.run(recipe(0))


def snakemake(folder: Path, *words: str) -> str:
    """What Snakemake said; its own files stay in the folder."""
    command = ["-m", "snakemake", "--snakefile", str(ROOT / "workflow" / "Snakefile")]
    command += ["--directory", str(folder), *words]
    done = interpreters.python(*command, folder=ROOT, path=ROOT, variables=os.environ)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def counted(said: str) -> int:
    """Recipes in Snakemake's list of jobs."""
    return next(int(line.split()[1]) for line in said.splitlines() if line.startswith("recipe "))


@needs_snakemake
def test_dry_run_lists_every_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FBU_HOME", str(tmp_path / "home"))  # no other test finishes a run meanwhile
    expected = workflow({**TABLE7, "seeds": 3}).jobs
    config = ["--config", "tables=clef.table7_ablation", "seeds=3"]
    said = snakemake(tmp_path, "--cores", "2", "--dry-run", *config)
    assert counted(said) == len(expected) > 12
    assert all(f"output: {job.output}" in said for job in expected.values())


@needs_snakemake
@needs_slurm
def test_dry_run_on_slurm_has_the_resources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FBU_HOME", str(tmp_path / "home"))
    profile = ["--profile", str(ROOT / "workflow" / "slurm"), "--dry-run"]
    said = snakemake(tmp_path, *profile, "--config", "tables=clef.table7_ablation", "profile=full")
    jobs = list(workflow({**TABLE7, "profile": "full"}).jobs.values())
    assert counted(said) == len(jobs)
    assert f"runtime={jobs[-1].runtime}" in said and f"mem_mb={jobs[-1].mem_mb}" in said and "gpu=1" in said


@needs_snakemake
def test_two_recipes_are_run_in_order_once_and_from_their_checkpoint(tmp_path: Path) -> None:
    first = recipe(71)
    second = recipe(72, start=first)
    # The first one was killed after a step, at which it had taken (so it says) an hour.
    folder = runs.folder_of(first)
    folder.mkdir(parents=True)
    task = task_type(first.task)(first, torch.device("cpu"), None)
    with pytest.raises(InterruptedError):
        train(task, folder, checkpoint_every=-1.0, stop_after=1)
    state = torch.load(folder / "checkpoint.pt", weights_only=True)
    assert state["step"] == 1
    torch.save({**state, "seconds": 3600.0}, folder / "checkpoint.pt")

    words = ["--cores", "2", "--config", f"recipes={written(tmp_path, second)}", "device=cpu"]
    said = snakemake(tmp_path, *words)
    assert said.index(f"output: {folder}") < said.index(f"output: {runs.folder_of(second)}")
    done = [runs.find(r) for r in (first, second)]
    assert done[0] is not None and done[0].provenance["seconds"] > 3600
    assert done[1] is not None and done[1].provenance["seconds"] < 3600

    # Nothing is left to do, and a job that is run all the same finds its run and leaves it.
    assert "Nothing to be done" in snakemake(tmp_path, *words)
    weights = [run.folder / "weights.safetensors" for run in done if run is not None]
    before = [path.stat().st_mtime_ns for path in weights]
    again = workflow({"recipes": words[3].removeprefix("recipes="), "device": "cpu"}).jobs
    job = next(job for job in again.values() if job.recipe.key() == second.key())
    job.write()
    command = shlex.split(job.command)
    assert command[1:3] == ["-m", "fbu.cli"]
    done_again = CliRunner().invoke(app, command[3:])
    assert done_again.exit_code == 0, done_again.output
    assert [path.stat().st_mtime_ns for path in weights] == before
