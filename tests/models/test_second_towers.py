"""Towers that one table alone uses: ViT without text, FaRL without the names of expressions."""

import re

import numpy as np
import pytest
import torch

import fbu.data.towers as pictures
from fbu import runs
from fbu.data.caption_words import EMOTIONS
from fbu.experiments.profiles import PROFILES, profile_named, tower
from fbu.labels.names import EXPRESSIONS
from fbu.models.clef import FinetuneTask
from fbu.models.labelled import CLASSES, PERSON, PicturesTask, labels
from fbu.models.unnamed import UnnamedTask
from fbu.recipes import DataSpec, OptimSpec, Recipe
from fbu.training import draw


def test_left_out_words_never_occur_and_pictures_stay(few, monkeypatch):
    common = {"faces": 1.0, "style": "detailed", "size": "quick", "image_size": 32}
    base = pictures.captioned(**common)
    monkeypatch.setattr(pictures, "_draw", lambda *_: pytest.fail("drawn again"))
    silent = pictures.captioned(omit=EXPRESSIONS, **common)
    words = {w for text in silent.captions for w in re.findall(r"[a-z]+", text)}
    assert not words & {w for group in EMOTIONS.values() for w in group}
    assert {w for text in base.captions for w in re.findall(r"[a-z]+", text)} & set(EMOTIONS)
    assert np.array_equal(silent.images, base.images) and np.array_equal(silent.shown, base.shown)
    assert pictures.captioned(omit=(), **common).captions == base.captions


def test_only_the_named_ones_are_left_out(few):
    silent = pictures.captioned(faces=1.0, style="detailed", size="quick", image_size=32, omit=("anger",))
    words = {w for text in silent.captions for w in re.findall(r"[a-z]+", text)}
    assert not words & set(EMOTIONS["anger"]) and words & set(EMOTIONS["happiness"])


def test_the_silent_tower_trains_on_the_short_captions(few):
    recipe = tower("FaRL", profile_named("quick"), omit=EXPRESSIONS)
    task = UnnamedTask(recipe, torch.device("cpu"), None)
    assert task.tokens.shape[0] == len(task) == round(200 * 0.7)
    loss = task.loss(torch.arange(8), draw(0, 0))["loss"]
    loss.backward()
    assert torch.isfinite(loss) and task.model.token_embedding.weight.grad.abs().sum() > 0
    assert task.evaluate("test").metrics["chance"] == 1 / 8


def test_labels_are_read_from_captions():
    found = labels(["a drawing of a red car.", "a photo of an old man, smiling.", "an apple."])
    assert [CLASSES[i] for i in found] == ["car", PERSON, "apple"]


def test_vit_learns_things_without_text(few):
    recipe = tower("ViT", profile_named("quick"))
    recipe = recipe.model_copy(
        update={"optim": recipe.optim.model_copy(update={"images": 192, "warmup": 0.0})}
    )
    task = PicturesTask(recipe, torch.device("cpu"), None)
    assert set(task.targets.unique().tolist()) <= set(range(len(CLASSES)))
    assert 0.4 < (task.targets == CLASSES.index(PERSON)).float().mean() < 0.8
    text = task.model.encoder.token_embedding.weight
    loss = task.loss(torch.arange(16), draw(0, 0))["loss"]
    loss.backward()
    assert text.grad is None and not text.requires_grad
    assert task.model.encoder.visual.proj.grad.abs().sum() > 0


def test_stage_2_starts_from_the_pictures_tower(few):
    start = tower("ViT", profile_named("quick"))
    start = start.model_copy(update={"optim": start.optim.model_copy(update={"images": 64})})
    done = runs.run(start, device="cpu")
    recipe = Recipe(
        task="clef.finetune",
        data=DataSpec(name="bp4dplus", fold=1),
        start=start,
        options={"use": "I"},
        optim=OptimSpec(images=0),
    )
    task = FinetuneTask(recipe, torch.device("cpu"), done.folder)
    weights = done.weights()
    assert torch.equal(task.encoder.visual.proj, weights["encoder.visual.proj"])


def test_towers_by_name():
    p = PROFILES["demo"]
    assert tower("ViT", p).optim.images == p.second_tower_images < p.tower_images
    assert tower("ViT", PROFILES["paper"]) is None
    with pytest.raises(ValueError, match="only the FaRL"):
        tower("CLIP", p, omit=("anger",))
    with pytest.raises(ValueError, match="known: CLIP, FaRL, ViT, ALIGN, BLIP, MS-Celeb"):
        tower("SigLIP", p)
