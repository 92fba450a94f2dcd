"""One step of a recipe's training on a few rows, as every table of the paper's profile must be able to take."""

import torch

from fbu.recipes import Recipe, task_type
from fbu.training import draw, make_optimizer


def stepped(recipe: Recipe, rows: int):
    """The task, the loss of the first rows, and which of the first three weight matrices a step on it moved."""
    torch.manual_seed(0)
    task = task_type(recipe.task)(recipe, torch.device("cpu"), None)
    optimizer = make_optimizer(task.model, recipe.optim)
    task.model.train()
    weights = [p for p in task.model.parameters() if p.requires_grad and p.ndim > 1][:3]
    before = [p.detach().clone() for p in weights]
    loss = task.loss(torch.arange(rows), draw(0, 0))["loss"]
    loss.backward()
    optimizer.step()
    return task, loss, [not torch.equal(a, b) for a, b in zip(before, weights, strict=True)]
