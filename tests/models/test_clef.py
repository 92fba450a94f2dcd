import dataclasses

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from fbu import data, labels, losses
from fbu.evaluation.predictions import prediction_frame
from fbu.models.clef import CLEF, FinetuneTask, PretrainTask, label_tokens
from fbu.models.encoders import load_dual_encoder
from fbu.models.pictures import Pictures
from fbu.models.tasks import frequency_weights
from fbu.recipes import Recipe
from fbu.training import draw

CPU = torch.device("cpu")


def finetune(use="IND", name="rafdb", **options):
    recipe = Recipe.model_validate(
        {
            "task": "clef.finetune",
            "data": {"name": name, "fold": 1 if name == "bp4d" else None},
            "options": {"use": use, **options},
            "optim": {"images": 64},
        }
    )
    torch.manual_seed(0)
    return FinetuneTask(recipe, CPU, None)


def pretrain(**options):
    recipe = Recipe.model_validate(
        {
            "task": "clef.pretrain",
            "data": {"name": "bp4d", "fold": 1},
            "options": options,
            "optim": {"images": 64},
        }
    )
    torch.manual_seed(0)
    return PretrainTask(recipe, CPU, None)


ROWS = torch.arange(0, 64, 4)


@pytest.mark.parametrize("use", ["I", "IND"])
def test_classes_that_a_protocol_leaves_out_are_not_learned(use, monkeypatch):
    """The model knows the classes of the split, in their order, whatever else the manifest lists."""
    whole = data.load("rafdb", "train")
    kept = ("surprise", "happiness", "sadness", "anger", "neutral")
    at = np.flatnonzero(whole.records["expression"].isin(kept))
    records = whole.records.iloc[at].reset_index(drop=True)
    part = dataclasses.replace(whole, labels=kept, records=records, images=whole.images[at])
    monkeypatch.setattr(FinetuneTask, "split", lambda self, name: part)
    task = finetune(use)
    terms = task.loss(ROWS, draw(0, 0))
    terms["loss"].backward()
    assert torch.isfinite(terms["loss"]) and len(task.class_weight) == 5
    outcome = task.evaluate("test")
    assert [c for c in outcome.predictions if c.startswith("p_")] == [f"p_{name}" for name in kept]
    assert set(outcome.predictions["target"]) <= set(kept)
    if use == "IND":
        assert outcome.extra["labels"] == list(kept)


@pytest.mark.parametrize("name", ["rafdb", "bp4d"])
@pytest.mark.parametrize("use", ["I", "IN", "ID", "IND"])
def test_every_variant_learns_from_a_step(name, use):
    task = finetune(use, name)
    terms = task.loss(ROWS, draw(0, 0))
    terms["loss"].backward()
    assert torch.isfinite(terms["loss"])
    classes = 7 if name == "rafdb" else 12
    assert task.model.logits(torch.rand(2, 3, 64, 64)).shape == (2, classes)
    without = [n for n, p in task.model.named_parameters() if p.requires_grad and p.grad is None]
    assert without == []


def trainable(model):
    return {n for n, p in model.named_parameters() if p.requires_grad}


def test_trainable_names():
    """I trains the image tower and its head; with text everything learns; separate towers are two text towers."""
    alone = trainable(finetune("I").model)
    assert {n.split(".")[1] for n in alone if n.startswith("encoder")} == {"visual"}
    assert {"head.weight", "head.bias"} <= alone
    both = trainable(finetune("IND").model)
    assert {n.removeprefix("encoder.") for n in both} == {
        n for n, _ in load_dual_encoder("fbu-tiny").named_parameters()
    }
    separate = trainable(finetune("IND", text_encoder="separate").model)
    extra = {n for n in separate if n.startswith("description_encoder")}
    assert extra and not any(".visual." in n or "logit_scale" in n for n in extra)
    assert separate - extra == both


def test_loss_is_equation_6():
    task = finetune("IND")
    generator = draw(0, 0)
    terms = task.loss(ROWS, generator)
    x = task.pictures.batch(ROWS, task.recipe.augment, replay := draw(0, 0))
    template = int(torch.randint(5, (1,), generator=replay))
    z = task.model.encoder.encode_image(x)
    names = task.model.encoder.encode_text(task.model.name_tokens[0])
    descriptions = task.model.encoder.encode_text(task.model.description_tokens[template])
    scale = task.model.encoder.logit_scale.exp()
    image = losses.image_name_cross_entropy(
        z, names, task.targets[ROWS], scale, class_weight=task.class_weight
    )
    text = losses.name_description_contrast(descriptions, names, scale)
    assert terms["loss"].item() == pytest.approx(((2 * image + text) / 2).item(), rel=1e-5)


def test_description_only_compares_with_descriptions():
    task = finetune("ID")
    expected = F.normalize(task.model.encoder.encode_text(task.model.description_tokens[0]), dim=-1)
    assert torch.allclose(F.normalize(task.model.label_features(), dim=-1), expected, atol=1e-6)
    assert set(task.loss(ROWS, draw(0, 0))) >= {"loss", "image_name"}


def test_templates_are_random_in_training_and_fixed_at_test():
    task = finetune("IND")
    seen = {float(task.loss(ROWS, draw(0, i))["name_description"].detach()) for i in range(6)}
    assert len(seen) > 1
    images = task.split("val").images[:8]
    task.model.eval()
    assert np.array_equal(task.scores(images), task.scores(images))


def test_head_loss_matches_the_text_loss():
    """With the same logits, "I" is scored as Eq. 4 and 5 are: weights inside, divided by the batch."""
    for name in ("rafdb", "bp4d"):
        task = finetune("I", name)
        y = task.targets[ROWS].clone()
        if name == "bp4d":
            y[0, 0] = -1
        logits = torch.randn(len(ROWS), 7 if name == "rafdb" else 12)
        got = task._head_loss(logits, y)
        w = task.class_weight
        if name == "rafdb":
            want = -(logits.log_softmax(1)[torch.arange(len(y)), y] * w[y]).sum() / len(y)
        else:
            p, known = logits.sigmoid(), y >= 0
            each = -(w * (y == 1) * p.log() + (y == 0) * (1 - p).log()) * known
            want = each.sum(1).mean()
        assert got.item() == pytest.approx(want.item(), rel=1e-4)


def test_frequency_weights():
    w = frequency_weights(torch.tensor([0, 0, 0, 1]), 3)
    assert w.mean().item() == pytest.approx(1)
    assert (w[1] / w[0]).item() == pytest.approx(3)
    assert (w[2] / w[1]).item() == pytest.approx(1)  # never seen: as if once
    root = frequency_weights(torch.tensor([0, 0, 0, 0, 1]), 2, 0.5)
    assert (root[1] / root[0]).item() == pytest.approx(2)
    units = torch.tensor([[1, 1], [0, 1], [0, -1], [0, -1]])
    w = frequency_weights(units, 2)
    assert (w[0] / w[1]).item() == pytest.approx(4)


def test_evaluation_keeps_every_sample():
    task = finetune("IND")
    task.model.eval()
    outcome = task.evaluate("test")
    test = data.load("rafdb", "test")
    assert list(outcome.predictions["sample"]) == list(test.records["sample"])
    assert list(outcome.predictions["target"]) == list(test.records["expression"])
    scores = outcome.predictions[[f"p_{n}" for n in test.labels]].to_numpy()
    assert np.allclose(scores.sum(1), 1, atol=1e-5)
    assert np.shape(outcome.extra["description_name_cosine"]) == (7, 7)
    assert np.allclose(np.diag(outcome.extra["name_correlation"]), 1)


def test_prediction_frame_of_units():
    test = data.load("bp4d", "test", fold=1)
    frame = prediction_frame(test, np.full(test.targets.shape, 0.25))
    assert list(frame.filter(like="target_").columns) == [f"target_{n}" for n in test.labels]
    assert (frame.filter(like="target_").to_numpy() == test.targets).all()


def test_pretraining_terms_follow_the_letters():
    both, alone = pretrain(), pretrain(activity_text=False)
    assert set(both.loss(ROWS, draw(0, 0))) == {"loss", "image_view", "image_activity"}
    terms = alone.loss(ROWS, draw(0, 0))
    assert set(terms) == {"loss", "image_view"}
    assert not any(n for n in trainable(alone.model) if not n.startswith("visual."))
    assert "logit_scale" not in trainable(both.model)


def test_pairing_by_activity_and_by_self_differ():
    rows = torch.arange(32)
    activity = pretrain(activity_text=False).loss(rows, draw(0, 0))["loss"]
    alone = pretrain(activity_text=False, pairing="self").loss(rows, draw(0, 0))["loss"]
    assert abs(float(activity.detach() - alone.detach())) > 0.1


def test_pretraining_sees_training_people_only():
    task = pretrain()
    test = set(data.load("bp4d", "test", fold=1).records["subject"])
    assert not test & set(task.train_split.records["subject"])
    assert set(task.activity.tolist()) == set(range(8))


def test_pretraining_evaluation():
    task = pretrain()
    task.model.eval()
    metrics = task.evaluate("test").metrics
    assert 0 <= metrics["expression_purity"] <= 1
    assert metrics["identity_chance"] == pytest.approx(1 / 14)
    assert (
        metrics["identity_leak"] > 3 * metrics["identity_chance"]
    )  # people look different, even to random features


def test_no_activities_is_an_error():
    recipe = Recipe.model_validate(
        {"task": "clef.pretrain", "data": {"name": "rafdb"}, "optim": {"images": 64}}
    )
    with pytest.raises(ValueError, match="no activities: pre-train on one of bp4d"):
        PretrainTask(recipe, CPU, None)


def test_label_tokens_hold_every_template():
    tokens = label_tokens("fbu-tiny", "expression", labels.ORDERS["rafdb"])
    assert tokens["name"].shape == (1, 7, 48)
    assert tokens["description"].shape[0] == len(labels.templates("clef", "description"))
    assert len(tokens["description"].flatten(0, 1).unique(dim=0)) == tokens["description"].shape[0] * 7


def test_no_text_is_cut_off():
    """The tiny tower reads 48 tokens; a text that fills them has lost its end."""
    sets = [("expression", labels.EXPRESSIONS), ("au", tuple(labels.action_units))]
    for kind, keys in sets:
        for ids in label_tokens("fbu-tiny", kind, keys).values():
            assert int((ids != 0).sum(-1).max()) < 48


def test_pictures_batch_is_repeatable():
    images = np.random.default_rng(0).integers(0, 256, (10, 3, 64, 64), dtype=np.uint8)
    pictures = Pictures(images, CPU)
    spec = finetune().recipe.augment
    a, b = (pictures.batch(torch.arange(4), spec, draw(1, 2)) for _ in range(2))
    assert torch.equal(a, b) and a.shape == (4, 3, 64, 64)
    whole = torch.cat(list(pictures.batches(3)))
    assert whole.shape == (10, 3, 64, 64)
    assert torch.allclose(whole[7], torch.cat(list(pictures.batches(10)))[7])


def test_model_without_text_has_no_description_tower():
    encoder = load_dual_encoder("fbu-tiny")
    model = CLEF(encoder, label_tokens("fbu-tiny", "au", (1, 2)), "IN", "separate")
    assert model.description_encoder is None and model.head is None
