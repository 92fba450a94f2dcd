import numpy as np
import pytest
import torch

from fbu import runs
from fbu.data.specs import load_spec
from fbu.errors import DataError
from fbu.models.frozen import FrozenTask, only
from fbu.recipes import DataSpec, OptimSpec, Recipe


def trained(dataset="rafdb", images=128, use="IND"):
    return Recipe(
        task="clef.finetune",
        data=DataSpec(name=dataset, fold=1 if dataset == "bp4d" else None),
        options={"use": use},
        optim=OptimSpec(images=images, batch_size=32),
    )


def frozen(task, start, dataset="rafdb", **options):
    data = DataSpec(name=dataset, fold=1 if dataset == "bp4d" else None)
    return Recipe(task=f"frozen.{task}", data=data, start=start, options=options, optim=OptimSpec(images=0))


def test_the_features_are_those_of_the_start():
    start = runs.run(trained(), device="cpu")
    done = runs.run(frozen("zero_shot", trained()), device="cpu")
    images = load_spec(start.recipe.data, "test").images[:8]
    task = done.task()
    assert isinstance(task, FrozenTask)
    assert torch.equal(task.features(images), start.task().features(images))
    assert (done.folder / "weights.safetensors").stat().st_size < 1000  # the start keeps the weights


def test_zero_shot_by_name_is_what_the_model_says():
    """Stage 2 predicts by names; asked by names, the frozen model must give the same answers."""
    start = runs.run(trained(), device="cpu")
    done = runs.run(frozen("zero_shot", trained(), by="name"), device="cpu")
    assert done.metrics["test"]["accuracy"] == start.metrics["test"]["accuracy"]
    columns = [c for c in start.predictions if c.startswith("p_")]
    assert np.allclose(done.predictions[columns], start.predictions[columns], atol=1e-5)
    by_description = runs.run(frozen("zero_shot", trained()), device="cpu")
    assert not np.allclose(by_description.predictions[columns], start.predictions[columns], atol=1e-3)


def test_some_expressions_only():
    loaded = load_spec(DataSpec(name="rafdb"), "test")
    part = only(loaded, ("anger", "sadness"))
    assert part.labels == ("sadness", "anger")  # the order of the dataset
    assert set(part.records["expression"]) == {"anger", "sadness"} and len(part.images) == len(part.records)
    kept = loaded.records["expression"].isin(["anger", "sadness"])
    assert np.array_equal(part.images, loaded.images[np.flatnonzero(kept)])
    with pytest.raises(DataError, match="'joy'.*known are surprise"):
        only(loaded, ("joy",))


def test_zero_shot_among_four_expressions():
    done = runs.run(
        frozen("zero_shot", trained(), classes=["sadness", "surprise", "disgust", "anger"]), device="cpu"
    )
    assert done.metrics["test"]["chance"] == 0.25
    assert set(done.predictions["target"]) == {"sadness", "surprise", "disgust", "anger"}
    assert np.allclose(done.predictions.filter(like="p_").sum(axis=1), 1, atol=1e-4)


def test_probe_of_expressions_with_a_picture():
    done = runs.run(frozen("probe", trained(), embed=70), device="cpu")
    found = done.metrics["test"]
    names = load_spec(done.recipe.data, "test").labels
    assert {f"purity/{n}" for n in names} | {f"silhouette/{n}" for n in names} <= set(found)
    assert "identity_leak" not in found  # one picture of each person
    extra = done.extra
    assert len(extra["x"]) == len(extra["y"]) == len(extra["expression"]) <= 70 + 7


def test_probe_of_recordings_reads_person_and_looks():
    done = runs.run(frozen("probe", trained("bp4d"), "bp4d"), device="cpu")
    found = done.metrics["test"]
    assert found["identity_leak"] > 3 * found["identity_chance"]
    assert found["sex_chance"] == 0.5 and 0 <= found["sex_leak"] <= 1
    assert done.extra == {}


def test_words_of_intensity_are_asked_by_unit():
    found = runs.run(frozen("intensity", trained("bp4d"), "bp4d"), device="cpu").metrics["test"]
    assert found["units"] >= 8
    assert -1 <= found["rank_correlation"] <= 1 and 0 <= found["strong_auc"] <= 1
    swapped = ("with high intensity", "with low intensity")
    other = runs.run(frozen("intensity", trained("bp4d"), "bp4d", suffixes=swapped), device="cpu").metrics[
        "test"
    ]
    assert other["rank_correlation"] == pytest.approx(-found["rank_correlation"], abs=1e-6)
    assert other["strong_auc"] == pytest.approx(1 - found["strong_auc"], abs=1e-6)


def test_training_is_refused():
    recipe = frozen("probe", None).model_copy(update={"optim": OptimSpec(images=64)})
    with pytest.raises(ValueError, match="frozen.probe trains nothing: give optim.images=0, not 64"):
        runs.run(recipe, device="cpu")
