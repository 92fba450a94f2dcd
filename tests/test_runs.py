import json
import os
import random
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from workers import started

import fbu.runs as runs
from fbu import data
from fbu.errors import DataError
from fbu.recipes import Recipe
from fbu.runs import discard, find, ordered, plan, rerun, run, run_all


def recipe(seed=0, images=256, use="I", **changes):
    return Recipe.model_validate(
        {
            "task": "clef.finetune",
            "data": {"name": "rafdb"},
            "options": {"use": use},
            "optim": {"images": images, "batch_size": 16},
            "seed": seed,
            **changes,
        }
    )


@pytest.fixture(scope="module")
def done():
    return run(recipe(), device="cpu")


def equal_weights(a, b):
    x, y = a.weights(), b.weights()
    return x.keys() == y.keys() and all(np.array_equal(x[k].numpy(), y[k].numpy()) for k in x)


def test_files_and_provenance(done):
    names = {p.name for p in done.folder.iterdir()}
    assert names >= {
        "recipe.json",
        "weights.safetensors",
        "metrics.json",
        "predictions.csv",
        "done.json",
        "log.jsonl",
    }
    assert "checkpoint.pt" not in names and not any(n.startswith(".") for n in names)
    about = done.provenance
    assert about["recipe"] == recipe().key() and about["source"] == "twin" and about["seed"] == 0
    assert about["images"] == 256 and about["seconds"] > 0 and about["peak_memory_mb"] > 100
    assert {"commit", "machine", "torch", "code", "data", "date", "threads"} <= about.keys()
    assert set(done.predictions["sample"].str[:5]) == {"test_"}
    assert set(done.metrics) == {"test", "last"}


def test_further_runs_are_made_first_and_handed_over_by_role(done, monkeypatch):
    from fbu.models import clef

    given = []

    class Reader(clef.FinetuneTask):
        roles = ("other",)

        def __init__(self, recipe, device, start, reads):
            super().__init__(recipe, device, start)
            given.append(reads)

    monkeypatch.setitem(clef.TASKS, "reader", Reader)
    first = recipe(seed=7, images=32)
    reader = recipe(task="clef.reader", images=16, reads={"other": first.model_dump()})
    assert [r.key() for r in ordered([reader])] == [first.key(), reader.key()]
    assert reader.code() != recipe(task="clef.reader", images=16).code()
    assert reader.key() != recipe(task="clef.reader", images=16).key()
    run(reader, device="cpu")
    assert given == [{"other": find(first).folder}]
    discard(first)
    with pytest.raises(DataError, match=f"needs {first.key()}, which has not been run"):
        find(reader).task()


def test_same_recipe_runs_once(done, monkeypatch):
    monkeypatch.setattr(runs, "_execute", lambda *_: pytest.fail("trained again"))
    assert run(recipe()).folder == done.folder
    assert find(recipe()) is not None and find(recipe(seed=99)) is None


def test_changed_code_is_another_run(done, monkeypatch):
    monkeypatch.setattr(Recipe, "code", lambda self: "0" * 16)
    assert find(recipe()) is None


def test_rerun_is_bit_equal(done):
    again = rerun(recipe(), device="cpu")
    assert again.folder != done.folder
    assert equal_weights(again, done)
    assert again.metrics == done.metrics


def test_task_gives_the_stored_scores(done):
    task = done.task()
    scores = task.scores(task.split("test").images)
    stored = done.predictions.filter(like="p_").to_numpy()
    assert np.allclose(scores, stored, atol=1e-4)


def test_start_is_run_first_and_used():
    start = recipe(images=32)
    chained = recipe(images=32, start=start)
    after = run(chained, device="cpu")
    assert find(start) is not None
    assert not equal_weights(after, run(recipe(images=32), device="cpu"))
    discard(start)
    with pytest.raises(DataError, match="has not been run"):
        runs._make_task(chained, "cpu")


def test_pool_runs_each_recipe_once():
    start = recipe(seed=5, images=32)
    wanted = [recipe(seed=s, images=32, start=start) for s in (6, 7)]
    seen = []
    results = run_all(
        [*wanted, *wanted], workers=2, device="cpu", progress=lambda r, i, n: seen.append((r.key(), i, n))
    )
    assert [r.recipe.seed for r in results] == [6, 7, 6, 7]
    assert {k for k, i, n in seen if i == n} == {r.key() for r in ordered(wanted)}


def test_each_recipe_is_said_to_be_finished_once():
    wanted, finished = recipe(seed=8, images=32), []
    run_all([wanted], device="cpu", progress=lambda r, i, n: finished.append(r.key()) if i == n else None)
    assert finished == [wanted.key()]


def test_plan_lists_the_chain(done):
    frame = plan([recipe(start=recipe(seed=3)), recipe(seed=3), recipe()])
    assert list(frame["seed"]) == [3, 0, 0]
    assert list(frame["done"]) == [False, False, True]
    assert (frame["seconds"] > 0).all() and (frame["memory_mb"] > 0).all()


@pytest.mark.parametrize("name", ["rafdb", "bp4d"])
def test_twin_read_back_as_real_gives_the_same_metrics(name, tmp_path, monkeypatch):
    fold = 1 if name == "bp4d" else None
    twin = run(recipe(images=64, data={"name": name, "fold": fold}), device="cpu")
    data.export_twin(name, tmp_path)
    monkeypatch.setenv("FBU_DATA", str(tmp_path))
    real = run(recipe(images=64, data={"name": name, "fold": fold, "source": "real"}), device="cpu")
    assert real.provenance["source"] == "real" and real.folder != twin.folder
    assert real.metrics == twin.metrics
    assert real.predictions.equals(twin.predictions)


def test_missing_real_data_is_named():
    with pytest.raises(DataError, match="not run: RAF-DB"):
        run(recipe(data={"name": "rafdb", "source": "real"}))


def written_at(path: Path) -> int:
    return path.stat().st_mtime_ns if path.exists() else 0


def test_kills_at_random_moments_change_nothing():
    """Four kills somewhere in the training and one halfway through writing a checkpoint."""
    wanted, moments = recipe(seed=11, images=16 * 60), random.Random(0)
    whole = rerun(wanted, device="cpu")
    folder = runs.folder_of(wanted)
    checkpoint = folder / "checkpoint.pt"
    for kill in range(5):
        half_write, before = kill == 2, written_at(checkpoint)
        worker = started(wanted, half_write)
        if not half_write:
            while worker.is_alive() and written_at(checkpoint) == before:
                time.sleep(0.01)
            time.sleep(moments.random() * 0.3)
            worker.kill()
        worker.join(240)
        assert worker.exitcode == -signal.SIGKILL
        assert not (folder / "done.json").exists()
    assert 0 < torch.load(checkpoint, weights_only=True)["step"] < 60
    resumed = run(wanted, device="cpu", checkpoint_every=0)
    assert equal_weights(whole, resumed)
    assert whole.metrics == resumed.metrics


def test_two_processes_train_once():
    wanted = recipe(seed=12, images=160)
    workers = [started(wanted) for _ in range(2)]
    for worker in workers:
        worker.join(240)
        assert worker.exitcode == 0
    found = find(wanted)
    assert found is not None
    steps = [json.loads(line)["step"] for line in (found.folder / "log.jsonl").read_text().splitlines()]
    assert steps == sorted(set(steps))  # a second training would begin again
    assert os.path.exists(found.folder / "done.json")


def test_small_encoders_are_planned_as_small(monkeypatch):
    from fbu.experiments import ke_fer

    monkeypatch.setattr(runs, "_measured", dict)  # nothing measured: the constants speak
    demo = plan(ke_fer.table2_losses("demo").recipes())
    assert demo["seconds"].max() <= 1000 and demo["memory_mb"].max() < 4000
    full = plan(ke_fer.table2_losses("full").recipes())
    assert full["seconds"].min() > 10_000


def test_plans_go_by_all_runs_of_a_kind_together(tmp_path, monkeypatch):
    monkeypatch.setenv("FBU_HOME", str(tmp_path))
    wanted = recipe()
    for name, images, seconds, memory in (("a", 10, 10.0, 900), ("b", 990, 10.0, 800)):
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        (folder / "recipe.json").write_text(wanted.model_dump_json())
        cost = {"images": images, "seconds": seconds, "peak_memory_mb": memory}
        (folder / "provenance.json").write_text(json.dumps(cost))
    row = plan([wanted]).iloc[-1]
    assert row["seconds"] == round(row["images"] / 50) and row["memory_mb"] == 900
