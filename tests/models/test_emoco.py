from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from torch import nn

from fbu import data
from fbu.errors import DataError
from fbu.losses import emoco_pretraining
from fbu.models.emoco import EmoCo, Pretraining, PretrainTask, momentum_update
from fbu.models.emoco_encoders import backbone, encoded
from fbu.models.emoco_units import (
    Detecting,
    FinetuneTask,
    LinearHead,
    LinearTask,
    LookTask,
    most_even,
    unit_separability,
)
from fbu.recipes import EncoderSpec, Recipe
from fbu.runs import run
from fbu.training import draw, train

CPU = torch.device("cpu")
SMALL = {"queue_size": 20}
# What Table IV and the baselines of Tables I to III tick.
ROWS = {
    "EmoCo": {},
    "one queue": {"queues": "single"},
    "L2": {"normalization": "l2"},
    "contrast only": {"emotion": 0.0, "normalization": "l2"},
    "emotion only": {"contrast": False},
    "MoCo": {"emotion": 0.0, "normalization": "l2", "queues": "single"},
    "in the batch": {"queues": "batch"},
    "own left out": {"leave_own_out": True},
    "half the bytes": {"queue_dtype": "bfloat16"},
}


def recipe(task="pretrain", name="affectnet", images=64, optim=None, start=None, protocol="emoco", **options):
    if task == "pretrain":
        options = {**SMALL, **options}
    return Recipe.model_validate(
        {
            "task": f"emoco.{task}",
            "data": {"name": name, "protocol": protocol, "fold": {"bp4d": 1, "disfa": 1}.get(name)},
            "encoder": {"name": "tiny-resnet"},
            "start": start,
            "options": options,
            "optim": {"images": images, "batch_size": 16, **(optim or {})},
        }
    )


def made(**options):
    torch.manual_seed(0)
    return PretrainTask(recipe(**options), CPU, None)


BATCH = torch.arange(0, 64, 4)


# --- eq. 3


def test_momentum_update_equals_the_equation():
    torch.manual_seed(0)
    key, query = (nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)).double() for _ in range(2))
    before = [p.detach().clone() for p in key.parameters()]
    query[1].running_mean.fill_(7)
    momentum_update(key, query, 0.9)
    for new, old, leader in zip(key.parameters(), before, query.parameters(), strict=True):
        torch.testing.assert_close(new, 0.9 * old + 0.1 * leader)
    assert (key[1].running_mean == 0).all()  # its own
    momentum_update(key, query, 0.0)
    assert all(torch.equal(a, b) for a, b in zip(key.parameters(), query.parameters(), strict=True))


def test_momentum_update_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match=r"m must lie in \[0, 1\), got 1.0"):
        momentum_update(nn.Linear(1, 1), nn.Linear(1, 1), 1.0)
    with pytest.raises(ValueError, match="one architecture, got 2 and 1 parameters of 2 and 1 numbers"):
        momentum_update(nn.Linear(1, 1), nn.Linear(1, 1, bias=False), 0.5)


# --- the paper's sizes


def test_sizes_of_the_paper():
    """ResNet-50 to 2048 numbers, head of 2048 and 128, classifier of 7 x 128 without bias, 65,536 keys a queue."""
    settings = Pretraining(queue_dtype="bfloat16")
    assert (settings.queue_size, settings.temperature, settings.momentum, settings.emotion) == (
        65536,
        0.2,
        0.999,
        1,
    )
    assert (settings.queues, settings.normalization, settings.contrast) == ("per_class", "intra_class", True)
    with torch.device("meta"):
        model = EmoCo(backbone(EncoderSpec(name="resnet50")), 7, settings)
        assert sum(p.numel() for p in model.encoder.parameters()) == 23_508_032
        assert [tuple(p.shape) for p in model.head.parameters()] == [
            (2048, 2048),
            (2048,),
            (128, 2048),
            (128,),
        ]
        assert [tuple(p.shape) for p in model.classifier.parameters()] == [(7, 128)]
        assert model.queue.keys.shape == (7, 65536, 128)
        assert model.queries(torch.empty(2, 3, 256, 256)).shape == (2, 128)
        trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
        assert trained == 23_508_032 + 2048 * 2049 + 128 * 2049 + 7 * 128
        assert not any(p.requires_grad for m in (model.key_encoder, model.key_head) for p in m.parameters())


# --- a step


@pytest.mark.parametrize("name", ROWS)
def test_a_step_moves_what_it_should(name):
    task = made(**ROWS[name])
    model, settings = task.model.train(), task.settings
    terms = task.loss(BATCH, draw(0, 0))
    assert set(terms) == {"loss"} | ({"emotion"} if settings.emotion else set()) | (
        {"contrast"} if settings.contrast else set()
    )
    terms["loss"].backward()
    for name, parameter in model.named_parameters():
        if name.startswith("key_"):
            assert parameter.grad is None
        else:
            assert (
                parameter.grad is not None and torch.isfinite(parameter.grad).all() and parameter.grad.any()
            )
    if model.queue is not None:
        assert model.queue.counts.sum() == len(BATCH)
        assert len(model.queue.keys) == (7 if settings.queues == "per_class" else 1)
    else:
        assert settings.queues == "batch" or not settings.contrast


def test_loss_and_queue_by_hand():
    """Keys of the key encoder after its step, negatives as they were before the batch, the batch's keys afterwards."""
    task = made(momentum=0.5)
    model = task.model.train()
    with torch.no_grad():
        for p in model.encoder.parameters():
            p.add_(0.01 * torch.randn_like(p))  # the query encoder has moved on
    before, generator = model.queue.keys.clone(), draw(0, 0)
    x_q, x_k = (task.pictures.batch(BATCH, task.recipe.augment, generator) for _ in range(2))
    twin = made(momentum=0.5).model.train()
    twin.load_state_dict(model.state_dict())
    for mine, theirs in ((twin.key_encoder, twin.encoder), (twin.key_head, twin.head)):
        momentum_update(mine, theirs, 0.5)
    q = F.normalize(twin.head(twin.encoder(x_q)), dim=-1)
    with torch.no_grad():
        k = F.normalize(twin.key_head(twin.key_encoder(x_k)), dim=-1)
    y = task.targets[BATCH]
    wanted, _ = emoco_pretraining(q, k, before, y, twin.classifier.weight)
    found = task.loss(BATCH, draw(0, 0))
    assert found["loss"].item() == pytest.approx(wanted.item(), rel=1e-5)
    for emotion in range(7):
        rows = y == emotion
        torch.testing.assert_close(model.queue.keys[emotion, : int(rows.sum())], k[rows])
        assert model.queue.samples[emotion, : int(rows.sum())].tolist() == BATCH[rows].tolist()


def test_weights_of_the_terms():
    terms = made(emotion=3.0).loss(BATCH, draw(0, 0))
    once = made(emotion=1.0).loss(BATCH, draw(0, 0))
    assert terms["emotion"].item() == pytest.approx(3 * once["emotion"].item(), rel=1e-5)
    assert terms["loss"].item() == pytest.approx((terms["emotion"] + terms["contrast"]).item(), rel=1e-5)


def test_activities_take_the_place_of_emotions():
    task = made(name="bp4d", groups="activity")
    records = task.train_split.records
    assert task.groups == tuple(sorted(set(records["activity"]))) and len(task.model.queue.keys) == len(
        task.groups
    )
    assert [task.groups[i] for i in task.targets[:5]] == records["activity"][:5].tolist()
    terms = task.loss(BATCH, draw(0, 0))
    assert torch.isfinite(terms["loss"]) and task.model.queue.counts.sum() == len(BATCH)
    with pytest.raises(DataError, match="affectnet has no activities"):
        made(groups="activity")


def test_rare_emotions_are_drawn_as_often_as_asked():
    assert made().sampling_weights() is None
    for power in (0.5, 1.0):
        task = made(balance=power)
        count = task.targets.bincount()[task.targets].double()
        torch.testing.assert_close(task.sampling_weights() * count**power, torch.ones(len(task)).double())


def test_in_the_batch_only_other_pictures_of_the_emotion_are_negatives():
    model = made(queues="batch").model
    labels, samples = torch.tensor([0, 1, 0, 0]), torch.tensor([5, 6, 7, 5])
    facts = torch.stack([labels, samples], 1)
    queue, left_out = model._negatives(torch.eye(4, 128), facts, labels, samples)
    assert queue.shape == (1, 4, 128)
    assert (~left_out).tolist() == [
        [False, False, True, False],
        [False, False, False, False],
        [True, False, False, True],
        [False, False, True, False],
    ]


def test_own_keys_are_left_out():
    """The second time that a batch comes, each query meets its own key of the first time, unless that is masked."""
    losses = {}
    for own in (False, True):
        task = made(leave_own_out=own, queue_size=4, momentum=0.9)
        task.loss(BATCH, draw(0, 0))
        losses[own] = task.loss(BATCH, draw(0, 1))["contrast"].item()
    assert losses[True] < losses[False]


def test_settings_that_make_no_sense():
    with pytest.raises(ValidationError, match="nothing to learn"):
        recipe(emotion=0.0, contrast=False, normalization="l2")
    with pytest.raises(ValidationError, match="no prototypes: use l2"):
        recipe(emotion=0.0)
    with pytest.raises(ValueError, match="takes whole batches, not accumulation=2"):
        made(optim={"accumulation": 2})
    with pytest.raises(DataError, match="bp4d has action units: EmoCo is pre-trained on expressions"):
        made(name="bp4d")
    with pytest.raises(DataError, match="EmoCo starts from random weights"):
        backbone(EncoderSpec(name="resnet50", checkpoint="x.pth"))
    with pytest.raises(DataError, match="no picture encoder 'resnet51'"):
        backbone(EncoderSpec(name="resnet51"))


def test_training_resumed_after_a_kill_has_the_same_weights_and_queue(tmp_path):
    folders = [tmp_path / name for name in ("whole", "cut")]
    for folder in folders:
        folder.mkdir()
    settings = {"images": 64, "queue_size": 64}
    whole = train(made(**settings), folders[0])
    with pytest.raises(InterruptedError):
        train(made(**settings), folders[1], checkpoint_every=0, stop_after=2)
    torch.manual_seed(5)  # other weights and another queue to begin with
    resumed = train(PretrainTask(recipe(**settings), CPU, None), folders[1])
    assert whole.state["queue.counts"].sum() == 64 and set(whole.state) == set(resumed.state)
    for name, value in whole.state.items():
        assert torch.equal(value, resumed.state[name]), name
    assert whole.metrics == resumed.metrics


# --- protocols


@pytest.fixture(scope="module")
def trained():
    """A finished pre-training."""
    return run(recipe(images=160), device="cpu")


def test_evaluation_of_a_pretraining(trained):
    assert {"expression_purity", "accuracy", "score"} <= set(trained.metrics["test"])
    assert len(trained.predictions) == len(data.load("affectnet", "test", protocol="emoco"))
    found = made(emotion=0.0, normalization="l2").evaluate("test")
    assert found.predictions is None and set(found.metrics) == {
        "expression_purity",
        "expression_chance",
        "score",
    }


def test_linear_protocol_trains_the_classifier_alone(trained):
    task = LinearTask(recipe("linear", "bp4d", start=trained.recipe), CPU, trained.folder)
    assert {n for n, _ in task.model.named_parameters()} == {"linear.weight", "linear.bias"}
    before = {k: v.clone() for k, v in task.encoder.state_dict().items()}
    assert all(torch.equal(v, trained.weights()[f"encoder.{k}"]) for k, v in before.items())
    assert task.loss(BATCH, draw(0, 0))["loss"].item() == pytest.approx(weighted_log_2(task), rel=1e-5)
    task.loss(BATCH, draw(0, 0))["loss"].backward()
    assert all(torch.equal(v, before[k]) for k, v in task.encoder.state_dict().items())
    found = task.evaluate("test")
    assert len(found.predictions) == len(data.load("bp4d", "test", protocol="emoco", fold=1))
    z = encoded(task.encoder, task.split("test").images[:3], CPU)
    assert np.allclose(
        task.scores(task.split("test").images[:3]), task.model(z).sigmoid().detach(), atol=1e-6
    )


def weighted_log_2(task):
    """The loss of logits of 0: log 2 times the mean weight."""
    y, weight = task.targets[BATCH], task.positive_weight
    return float(torch.where(y == 1, weight, torch.ones(1)).mean() * np.log(2))


def test_finetuning_and_the_supervised_baseline(trained, tmp_path):
    task = FinetuneTask(recipe("finetune", "bp4d", start=trained.recipe), CPU, trained.folder)
    state = task.model.encoder.state_dict()
    assert all(torch.equal(v, trained.weights()[f"encoder.{k}"]) for k, v in state.items())
    task.loss(BATCH, draw(0, 0))["loss"].backward()
    assert all(p.grad is not None for p in task.model.parameters())
    torch.manual_seed(0)
    supervised = FinetuneTask(recipe("finetune", "bp4d", images=32), CPU, None)
    found = train(supervised, tmp_path)
    assert 0 <= found.metrics["test"]["f1"] <= 1 and "f1/AU12" in found.metrics["test"]


def test_units_that_were_not_coded_count_nothing():
    torch.manual_seed(0)
    task = FinetuneTask(recipe("finetune", "bp4d"), CPU, None)
    task.targets[BATCH[:8]] = -1
    logits = torch.randn(len(BATCH), 12, generator=draw(0, 0), requires_grad=True)
    loss = task.cross_entropy(logits, BATCH)["loss"]
    rest = task.cross_entropy(logits[8:], BATCH[8:])["loss"]
    assert loss.item() == pytest.approx(rest.item(), rel=1e-6)
    assert not torch.autograd.grad(loss, logits)[0][:8].any()


def test_weights_of_positives():
    task = FinetuneTask(recipe("finetune", "bp4d"), CPU, None)
    on, off = (task.targets == 1).sum(0), (task.targets == 0).sum(0)
    torch.testing.assert_close(task.positive_weight, (off / on).sqrt())
    task.options = Detecting(balance=0.0)
    del task.positive_weight
    assert (task.positive_weight == 1).all()


def test_a_feature_that_never_moves_is_not_blown_up():
    z = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    z[:, 1] = 2.0
    head = LinearHead(z, 2)
    nn.init.ones_(head.linear.weight)
    assert head(z + 0.1).abs().max() < 100
    standard = (z - head.mean) / head.deviation
    torch.testing.assert_close(standard[:, [0, 2]].std(0), torch.ones(2))


def test_expressions_are_refused():
    with pytest.raises(DataError, match="affectnet has expressions: emoco.linear is for action units"):
        LinearTask(recipe("linear"), CPU, None)


# --- what the features hold


def cheek_raiser():
    """BP4D's test split with AU6 as the only unit."""
    return replace(data.load("bp4d", "test", protocol="emoco", fold=1), labels=("AU6",))


def test_look(trained):
    look = recipe("look", "bp4d", images=0, start=trained.recipe, embed=30)
    scored, shown = LookTask(look, CPU, trained.folder).scored(cheek_raiser()), cheek_raiser()
    found, within = scored.metrics, scored.extra["within"]
    coded = shown.targets[shown.shown == within["emotion"], 0]
    assert within["emotion"] == most_even(shown.shown, shown.targets[:, 0])
    assert len(within["x"]) == len(within["y"]) == len(within["AU6"]) == min(30, len(coded))
    assert set(within["AU6"]) == {0, 1}
    assert {"expression_purity", "identity_leak", "within", "apart", "within/AU6"} <= set(found)
    assert 0 <= found["within"] <= 1 and -1 <= found["apart"] <= 1


def test_units_that_separate_within_an_emotion():
    """A feature that is the unit itself separates it in every emotion; a random one in none."""
    loaded = cheek_raiser()
    unit = loaded.targets.astype(float)
    noise = np.random.default_rng(0).normal(size=(len(loaded), 3))
    told = unit_separability(np.concatenate([2 * unit - 1, 0.1 * noise], 1), loaded)
    assert told["within/AU6"] > 0.99 and told["apart/AU6"] > 0.8
    blind = unit_separability(noise, loaded)
    assert abs(blind["within"] - 0.5) < 0.1 and abs(blind["apart"]) < 0.1


def test_rows_of_the_classifier_can_start_longer():
    short, long = (made(row_length=length).model.classifier.weight for length in (None, 10.0))
    assert short.norm(dim=1).max() < 1
    torch.testing.assert_close(long.norm(dim=1), torch.full((7,), 10.0))
    torch.testing.assert_close(F.normalize(long, dim=1), F.normalize(short, dim=1))
