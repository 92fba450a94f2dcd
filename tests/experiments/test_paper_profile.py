"""The paper profile's recipes, stepped once: ViT-B/16 at 224 pixels, random weights, a twin for licensed data."""

import pytest
import torch

from fbu.experiments import clef
from fbu.experiments.profiles import PROFILES
from fbu.recipes import Recipe, task_type
from fbu.training import draw, make_optimizer


def without_what_cannot_be_shipped(recipe: Recipe) -> Recipe:
    """The same recipe with random weights and a twin; everything else stays."""
    data = recipe.data.model_copy(update={"source": "twin", "size": "quick"})
    encoder = recipe.encoder.model_copy(update={"pretrained": None, "checkpoint": None})
    return recipe.model_copy(update={"data": data, "encoder": encoder, "start": None})


@pytest.mark.parametrize("stage", [1, 2])
def test_one_step_with_random_weights(stage):
    whole = clef.finetuning(PROFILES["paper"], "rafdb", "real", 0, "CLEF", "PA,PI,I,N,D")
    assert whole.start is not None and whole.start.start is None  # published weights, no stand-in
    recipe = without_what_cannot_be_shipped(whole if stage == 2 else whole.start)
    assert recipe.encoder.name == "ViT-B-16-quickgelu" and recipe.data.image_size == 224
    torch.manual_seed(0)
    task = task_type(recipe.task)(recipe, torch.device("cpu"), None)
    optimizer = make_optimizer(task.model, recipe.optim)
    task.model.train()
    before = [p.detach().clone() for p in task.model.parameters() if p.requires_grad and p.ndim > 1][:3]
    loss = task.loss(torch.arange(2), draw(0, 0))["loss"]
    loss.backward()
    optimizer.step()
    after = [p for p in task.model.parameters() if p.requires_grad and p.ndim > 1][:3]
    assert torch.isfinite(loss)
    assert all(not torch.equal(a, b) for a, b in zip(before, after, strict=True))
