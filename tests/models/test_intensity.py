import numpy as np
import pandas as pd
import pytest
import torch

from fbu.data.dataset import Dataset
from fbu.data.specs import load_spec
from fbu.errors import DataError
from fbu.models.intensity import STRONG, GradedTask, graded_targets
from fbu.recipes import DataSpec, OptimSpec, Recipe
from fbu.training import draw


def recipe(dataset="bp4d", **options):
    return Recipe(
        task="intensity.finetune",
        data=DataSpec(name=dataset, fold=1 if dataset == "bp4d" else None),
        options=options,
        optim=OptimSpec(images=64, batch_size=32),
    )


def test_targets_by_hand():
    records = pd.DataFrame({"AU12": [0, 1, 1, -1], "true_AU12_intensity": [1.9, 3.4, 3.5, 5.0]})
    loaded = Dataset("bp4d", "train", "twin", np.zeros((4, 3, 8, 8), np.uint8), records, ("AU12",), "au", "x")
    assert graded_targets(loaded).tolist() == [[0, 0], [1, 0], [0, 1], [-1, -1]]


def test_a_unit_without_intensities_is_refused():
    records = pd.DataFrame({"AU2": [0, 1]})
    loaded = Dataset("bp4d", "train", "real", np.zeros((2, 3, 8, 8), np.uint8), records, ("AU2",), "au", "x")
    with pytest.raises(DataError, match="bp4d does not grade AU2"):
        graded_targets(loaded)


def test_two_names_for_each_unit():
    task = GradedTask(recipe(), torch.device("cpu"), None)
    units = len(task.train_split.labels)
    assert task.model.name_tokens.shape[1] == 2 * units
    weak, strong = task.model.name_tokens[0].chunk(2)
    assert not torch.equal(weak, strong) and torch.equal(
        weak[:, :6], strong[:, :6]
    )  # "a photo of a person with"
    assert task.targets.shape == (len(task), 2 * units)
    strong_rows = task.train_split.records["true_AU12_intensity"].to_numpy() >= STRONG
    at = list(task.train_split.labels).index("AU12")
    assert np.array_equal(task.targets[:, units + at].numpy() == 1, strong_rows)
    loss = task.loss(torch.arange(16), draw(0, 0))["loss"]
    loss.backward()
    assert torch.isfinite(loss) and task.model.encoder.token_embedding.weight.grad.abs().sum() > 0


def test_presence_is_the_better_of_both_names():
    task = GradedTask(recipe(), torch.device("cpu"), None)
    task.model.eval()
    outcome = task.evaluate("test")
    weak, strong = np.split(task.scores(load_spec(task.recipe.data, "test").images), 2, axis=1)
    assert np.allclose(outcome.predictions["p_AU1"], np.maximum(weak, strong)[:, 0])
    assert {"f1", "rank_correlation", "strong_auc"} <= set(outcome.metrics)


def test_expressions_and_heads_are_refused():
    with pytest.raises(DataError, match="rafdb has expressions"):
        GradedTask(recipe("rafdb"), torch.device("cpu"), None)
    with pytest.raises(ValueError, match="option use is 'I'"):
        GradedTask(recipe(use="I"), torch.device("cpu"), None)
