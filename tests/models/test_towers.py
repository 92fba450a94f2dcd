import json
import re

import numpy as np
import pytest
import torch

import fbu.data.towers as pictures
from fbu import labels
from fbu.experiments.profiles import PROFILES, tower
from fbu.models.towers import TOWERS, ContrastTask
from fbu.recipes import Recipe
from fbu.training import draw


def recipe(**options):
    return Recipe.model_validate(
        {"task": "towers.contrast", "data": {"name": "tower"}, "options": options, "optim": {"images": 64}}
    )


def test_pictures_and_captions_belong_together(few):
    shown = pictures.captioned(faces=0.5, style="plain", size="quick", image_size=32)
    assert shown.images.shape == (200, 3, 32, 32) and shown.images.dtype == np.uint8
    things = [c for c in shown.captions if not re.search(r"\b(person|man|woman)\b", c)]
    assert 60 < len(things) < 140  # half are faces
    assert set(shown.shown) <= {"", *labels.EXPRESSIONS}
    assert all(shown.captions) and len(set(map(bytes, np.asarray(shown.images)))) > 190


def test_drawn_once_and_kept(few, monkeypatch):
    first = pictures.captioned(faces=1.0, style="detailed", size="quick", image_size=32)
    monkeypatch.setattr(pictures, "_draw", lambda *_: pytest.fail("drawn again"))
    again = pictures.captioned(faces=1.0, style="detailed", size="quick", image_size=32)
    assert again.captions == first.captions and np.array_equal(again.images, first.images)
    folders = [p.name for p in (few / "cache").iterdir()]
    assert len(folders) == 1
    assert not [p for p in (few / "cache" / folders[0]).iterdir() if p.name.startswith(".")]


def test_a_drawing_cut_off_is_begun_again(few, monkeypatch):
    import fbu.data.faces

    def fails(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(fbu.data.faces, "render_scene", fails)
        with pytest.raises(KeyboardInterrupt):
            pictures.captioned(faces=1.0, style="plain", size="quick", image_size=32)
    assert len(pictures.captioned(faces=1.0, style="plain", size="quick", image_size=32).captions) == 200


def test_parts_do_not_overlap(few):
    shown = pictures.captioned(faces=1.0, style="plain", size="quick", image_size=32)
    train, test = shown.part(test=False), shown.part(test=True)
    assert len(train.images) + len(test.images) == 200 and len(test.images) == 60
    assert train.captions + test.captions == shown.captions


def test_loss_is_symmetric_contrast(few):
    task = ContrastTask(recipe(), torch.device("cpu"), None)
    rows = torch.arange(16)
    terms = task.loss(rows, draw(0, 0))
    x = task.pictures.batch(rows, task.recipe.augment, draw(0, 0))
    z = torch.nn.functional.normalize(task.model.encode_image(x), dim=-1)
    t = torch.nn.functional.normalize(task.model.encode_text(task.tokens[rows].long()), dim=-1)
    logits = task.model.logit_scale.exp() * z @ t.T
    diagonal = torch.arange(16)
    want = (
        -(logits.log_softmax(1)[diagonal, diagonal] + logits.T.log_softmax(1)[diagonal, diagonal]).mean() / 2
    )
    assert terms["loss"].item() == pytest.approx(want.item(), rel=1e-4)


def test_evaluation_scores_names_on_held_out_faces(few):
    task = ContrastTask(recipe(), torch.device("cpu"), None)
    task.model.eval()
    with torch.no_grad():
        outcome = task.evaluate("test")
    assert 0 <= outcome.metrics["zero_shot_accuracy"] <= 1
    assert outcome.metrics["chance"] == pytest.approx(1 / 8)
    assert np.allclose(np.diag(outcome.extra["name_cosine"]), 1, atol=1e-5)
    json.dumps(outcome.extra)


def test_stand_ins_differ_in_what_they_are_shown():
    clip, farl = (tower(name, PROFILES["demo"]) for name in ("CLIP", "FaRL"))
    assert clip.options == TOWERS["CLIP"] and farl.options == TOWERS["FaRL"]
    assert clip.options["faces"] < 1 and farl.options["faces"] == 1
    assert tower("CLIP", PROFILES["paper"]) is None
