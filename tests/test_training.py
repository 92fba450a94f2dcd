import math
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from fbu.recipes import OptimSpec, Recipe
from fbu.training import Outcome, Task, batch_rows, draw, learning_rate, make_optimizer, save_atomic, train


class Line(Task):
    """y = 2 x + 1 with noise and dropout: small, and random in every way the loop knows."""

    def __init__(self, optim, seed=0, evaluations=1, select="last", traced=False):
        recipe = Recipe(
            task="clef.finetune",
            data={"name": "rafdb"},
            optim=optim,
            seed=seed,
            evaluations=evaluations,
            select=select,
            traced=traced,
        )
        super().__init__(recipe, torch.device("cpu"), None)
        torch.manual_seed(seed)
        self.model = nn.Sequential(nn.Linear(1, 8), nn.BatchNorm1d(8), nn.Dropout(0.2), nn.Linear(8, 1))
        self.x = torch.linspace(-1, 1, 50)[:, None]
        self.scored: list[str] = []

    def __len__(self):
        return len(self.x)

    def loss(self, rows, generator):
        noise = 0.1 * torch.randn(len(rows), 1, generator=generator)
        error = self.model(self.x[rows]) - 2 * self.x[rows] - 1 - noise
        return {"loss": error.square().mean(), "bias": error.mean()}

    def evaluate(self, split):
        self.scored.append(split)
        assert not self.model.training
        return Outcome({"score": -float((self.model(self.x) - 2 * self.x - 1).square().mean())})


def optim(**changes):
    return OptimSpec(**{"images": 640, "batch_size": 16, "lr": 0.05, **changes})


def weights(trained):
    return {k: v.numpy() for k, v in trained.state.items()}


def same(a, b):
    return all(np.array_equal(a[k], b[k]) for k in a) and a.keys() == b.keys()


@pytest.mark.parametrize(
    "changes", [{}, {"ema": 0.9}, {"accumulation": 2}, {"optimizer": "sgd", "schedule": "constant"}]
)
def test_resumed_training_is_bit_equal(tmp_path, changes):
    whole = train(Line(optim(**changes)), tmp_path_made(tmp_path / "whole"))
    folder = tmp_path_made(tmp_path / "cut")
    for stop in (7, 8, 25):
        with pytest.raises(InterruptedError):
            train(Line(optim(**changes)), folder, checkpoint_every=0, stop_after=stop)
    resumed = train(Line(optim(**changes)), folder, checkpoint_every=0)
    assert same(weights(whole), weights(resumed))
    assert whole.metrics == resumed.metrics


def test_the_curve_of_a_resumed_training_is_whole(tmp_path):
    def line():
        return Line(optim(), evaluations=4, traced=True)

    whole = train(line(), tmp_path_made(tmp_path / "whole"))
    folder = tmp_path_made(tmp_path / "cut")
    with pytest.raises(InterruptedError):
        train(line(), folder, checkpoint_every=0, stop_after=25)
    resumed = train(line(), folder, checkpoint_every=0)
    assert resumed.extra["history"] == whole.extra["history"]
    assert [s["step"] for s in whole.extra["history"]] == [10, 20, 30, 40]
    assert whole.extra["history"][-1]["test"] == whole.metrics["last"]


def test_nothing_is_chosen_by_the_test_people(tmp_path):
    """The traced test score is best at the first evaluation, the validation score at the second."""

    class Told(Line):
        def evaluate(self, split):
            self.scored.append(split)
            at = self.scored.count(split) - 1
            return Outcome(
                {"score": ([0.1, 0.9, 0.2, 0.2] if split == "val" else [0.9, 0.1, 0.2, 0.3, 0.3])[at % 5]}
            )

    told = Told(optim(), evaluations=3, select="val", traced=True)
    assert train(told, tmp_path).metrics["selected"] == {"step": 27.0, "val_score": 0.9}


def test_a_part_may_learn_faster(tmp_path):
    """With plain SGD the first update of a part is its factor times what it would have been."""

    def after(factor):
        task = Line(optim(images=16, optimizer="sgd", momentum=0.0, weight_decay=0.0, clip_grad=None))
        torch.manual_seed(0)
        task.model = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1))
        before = [p.detach().clone() for p in task.model.parameters()]
        task.rate_factors = lambda: [(task.model[1], factor)]
        trained = train(task, tmp_path_made(tmp_path / str(factor)))
        return [new - old for new, old in zip(trained.state.values(), before, strict=True)]

    plain, fast = after(1.0), after(10.0)
    assert all(torch.allclose(a, b) for a, b in zip(plain[:2], fast[:2], strict=True))
    assert all(torch.allclose(10 * a, b) for a, b in zip(plain[2:], fast[2:], strict=True))


def test_phases_are_updates_of_their_own(tmp_path):
    """Two terms in turn: the second gradient is taken where the first update led."""
    task = Line(optim(images=16, lr=0.1, optimizer="sgd", momentum=0.0, weight_decay=0.0, clip_grad=None))
    task.model = nn.Linear(1, 1, bias=False)
    nn.init.ones_(task.model.weight)
    task.phases = ("square", "loss")

    def loss(rows, generator):
        w = task.model.weight.sum()
        return {"square": 2 * w.square(), "loss": w.square() / 2}

    task.loss = loss
    rate = learning_rate(task.recipe.optim, 0, 1)
    assert train(task, tmp_path).state["weight"].item() == pytest.approx((1 - 4 * rate) * (1 - rate))


def tmp_path_made(path):
    path.mkdir()
    return path


def test_another_seed_gives_other_weights(tmp_path):
    a = train(Line(optim()), tmp_path_made(tmp_path / "a"))
    b = train(Line(optim(), seed=1), tmp_path_made(tmp_path / "b"))
    assert not same(weights(a), weights(b))


def test_accumulation_does_not_change_the_rows(tmp_path):
    """Two halves of a batch give the gradient of the whole: without dropout and batch statistics, the same weights."""

    def plain(parts):
        task = Line(optim(accumulation=parts))
        torch.manual_seed(0)
        task.model = nn.Linear(1, 1)
        task.loss = lambda rows, _: {"loss": (task.model(task.x[rows]) - task.x[rows]).square().mean()}
        return weights(train(task, tmp_path_made(tmp_path / str(parts))))

    one, two = plain(1), plain(2)
    assert all(np.allclose(one[k], two[k], atol=1e-6) for k in one)


def test_selection_on_validation_keeps_the_best(tmp_path):
    task = Line(optim(lr=1.0, schedule="constant"), evaluations=5, select="val")
    trained = train(task, tmp_path_made(tmp_path / "run"))
    assert (
        task.scored.count("val") == 5 and trained.metrics["val"]["score"] == trained.metrics["last"]["score"]
    )
    assert trained.metrics["test"]["score"] == pytest.approx(trained.metrics["selected"]["val_score"])
    assert trained.metrics["test"]["score"] >= trained.metrics["last"]["score"]


def test_learns(tmp_path):
    trained = train(Line(optim(images=6400)), tmp_path_made(tmp_path / "run"))
    assert trained.metrics["test"]["score"] > -0.1
    assert trained.images == 6400


def test_no_steps_scores_the_start(tmp_path):
    task = Line(optim(images=0))
    before = {k: v.clone() for k, v in task.model.state_dict().items()}
    trained = train(task, tmp_path_made(tmp_path / "run"))
    assert all(torch.equal(before[k], trained.state[k]) for k in before)


def test_infinite_loss_stops(tmp_path):
    task = Line(optim())
    task.loss = lambda rows, _: {"loss": task.model(task.x[rows]).mean() * math.inf}
    with pytest.raises(FloatingPointError, match="step 0"):
        train(task, tmp_path)


def test_frozen_model_is_refused():
    with pytest.raises(ValueError, match="frozen"):
        make_optimizer(nn.Linear(1, 1).requires_grad_(False), optim())


def test_vectors_do_not_decay():
    groups = make_optimizer(nn.Linear(3, 2), optim(weight_decay=0.3)).param_groups
    assert [(len(g["params"]), g["weight_decay"]) for g in groups] == [(1, 0.3), (1, 0.0)]
    assert [g["factor"] for g in groups] == [1.0, 1.0]


def test_save_atomic_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.pt"
    save_atomic({"x": 1}, path)
    with pytest.raises((AttributeError, pickle.PicklingError)):
        save_atomic({"x": lambda: 1}, path)
    assert torch.load(path, weights_only=True) == {"x": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["a.pt"]


@given(st.integers(1, 300), st.integers(1, 64), st.integers(0, 5))
@settings(max_examples=30, deadline=None)
def test_an_epoch_is_a_permutation(n, batch, epoch):
    per_epoch = max(1, n // batch)
    rows = torch.cat([batch_rows(n, batch, epoch * per_epoch + i, seed=1) for i in range(per_epoch)])
    assert all(len(batch_rows(n, batch, i, seed=1)) == batch for i in range(2))
    assert rows.min() >= 0 and rows.max() < n
    if n >= batch:
        assert len(rows.unique()) == len(rows)


def test_rare_samples_can_come_up_as_often_as_frequent_ones():
    """90 samples of one class and 10 of another, weighted by class: half of the rows each."""
    weights = torch.cat([torch.full((90,), 1 / 90), torch.full((10,), 1 / 10)])
    rows = torch.cat([batch_rows(100, 20, step, 0, weights) for step in range(500)])
    assert (rows >= 90).double().mean().item() == pytest.approx(0.5, abs=0.03)
    assert torch.equal(batch_rows(100, 20, 7, 0, weights), batch_rows(100, 20, 7, 0, weights))


def test_draw_depends_on_counters_only():
    a, b = (torch.rand(3, generator=draw(5, 2, 9)) for _ in range(2))
    assert torch.equal(a, b)
    others = [torch.rand(3, generator=draw(*c)) for c in ((5, 2, 8), (5, 1, 9), (4, 2, 9))]
    assert not any(torch.equal(a, o) for o in others)


def test_learning_rate_shape():
    spec = optim(lr=1.0, min_lr=0.1, warmup=0.2)
    rates = [learning_rate(spec, i, 100) for i in range(100)]
    assert rates[0] == pytest.approx(1 / 21)
    assert max(rates) == rates[20] == pytest.approx(1.0)
    assert rates[19] < 1 and rates[60] == pytest.approx(0.55) and rates[-1] < 0.102
    assert all(b <= a for a, b in zip(rates[20:], rates[21:], strict=False))
    flat = optim(lr=1.0, schedule="constant", warmup=0)
    assert {learning_rate(flat, i, 10) for i in range(10)} == {1.0}
