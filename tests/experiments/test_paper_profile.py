"""Every kind of recipe of the paper profile, stepped once: ViT-B/16 at 224 pixels, random weights, twins as data.

The whole method steps with all twelve blocks, the others with two: they differ in what is around the towers.
"""

from __future__ import annotations

import pytest
import torch
from enlarged import enlarged
from shallow import two_blocks
from stepping import stepped

from fbu.experiments import clef
from fbu.models import tasks
from fbu.recipes import Recipe
from fbu.runs import ordered


def kind(recipe: Recipe) -> tuple[object, ...]:
    """What makes one recipe's step differ from another's: not the seed, the fold, which classes, rate or length."""
    options = {k: v for k, v in recipe.options.items() if k not in ("weight", "class_weight")}
    return recipe.task, recipe.data.name, repr(options)


def trained() -> dict[tuple[object, ...], Recipe]:
    """One recipe of each kind, of all tables."""
    recipes = [r for table in clef.TABLES.values() for r in table("paper", "real").recipes()]
    return {kind(r): r for r in reversed(ordered(recipes)) if r.optim.images != 0}


KINDS = trained()
WHOLE = ("clef.finetune", "bp4d", repr({"use": "IND"}))


def without_what_cannot_be_shipped(recipe: Recipe) -> Recipe:
    """The same recipe with random weights and a twin; everything else stays."""
    data = recipe.data.model_copy(update={"source": "twin", "size": "quick"})
    encoder = recipe.encoder.model_copy(update={"pretrained": None, "checkpoint": None})
    return recipe.model_copy(update={"data": data, "encoder": encoder, "start": None})


def test_no_stand_in_is_left() -> None:
    assert WHOLE in KINDS
    for recipe in KINDS.values():
        first = next(iter(recipe.chain()))
        assert first.data.name != "tower"
        assert first.encoder.pretrained == "openai" or str(first.encoder.checkpoint).startswith("FaRL")
        assert recipe.encoder.name == "ViT-B-16-quickgelu" and recipe.data.image_size == 224
    assert {r.data.name for r in KINDS.values()} == {
        "bp4d",
        "bp4dplus",
        "disfa",
        "rafdb",
        "affectnet",
        "ferplus",
    }


@pytest.mark.parametrize("recipe", KINDS.values(), ids=["-".join(map(str, k)) for k in KINDS])
def test_one_step_with_random_weights(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "load_spec", enlarged)
    if kind(recipe) != WHOLE:
        two_blocks(monkeypatch)
    recipe = without_what_cannot_be_shipped(recipe)
    task, loss, moved = stepped(recipe, 2)
    assert task.pictures.images.shape[1:] == (3, 224, 224)
    assert torch.isfinite(loss)
    assert all(moved)
