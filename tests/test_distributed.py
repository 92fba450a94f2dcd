"""Two processes on halves of a batch give the loss and the gradients of one process on the whole."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import interpreters
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from fbu.distributed import gather_features
from fbu.losses import clef_pretraining, cross_modal_supcon

ROOT = Path(__file__).resolve().parent.parent
N, D = 10, 8
PARTS = {"equal": (slice(0, 5), slice(5, N)), "unequal": (slice(0, 7), slice(7, N))}


class Tower(nn.Module):
    """Three kinds of features from one call, and a temperature that is learned behind the exchange."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.linear = nn.Linear(D, 6, dtype=torch.float64)
        self.log_scale = nn.Parameter(torch.tensor(1.2, dtype=torch.float64))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return (*self.linear(x).unbind(1), self.log_scale.exp())


def batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    x = torch.randn(N, 3, D, generator=generator, dtype=torch.float64)
    return x, torch.randint(3, (N,), generator=generator)


def supcon(z: tuple[Tensor, ...], labels: Tensor, scale: Tensor) -> Tensor:
    return cross_modal_supcon(z[0], z[1], labels, temperature=1 / scale) + 0 * z[2].sum()


def pretraining(z: tuple[Tensor, ...], labels: Tensor, scale: Tensor) -> Tensor:
    return clef_pretraining(*z, labels, temperature=1 / scale)[0]


LOSSES: dict[str, Callable[..., Tensor]] = {"supcon": supcon, "pretraining": pretraining}


def step(name: str, model: nn.Module, x: Tensor, y: Tensor) -> dict[str, Any]:
    """Loss, gradient of the input rows and of the parameters."""
    x = x.clone().requires_grad_()
    *z, scale = model(x)
    *z, labels = gather_features(*z, labels=y)
    loss = LOSSES[name](tuple(z), labels, scale)
    loss.backward()
    grads = [p.grad for p in model.parameters()]
    return {"loss": loss.detach(), "rows": x.grad, "parameters": grads, "labels": labels}


def together(rank: int, folder: str) -> None:
    """One of two processes: joins the other through a file, so that no port has to be free."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    x, y = batch()
    found: dict[str, Any] = {}
    for name in LOSSES:
        for kind, parts in PARTS.items():
            model = DistributedDataParallel(Tower())
            found[f"{name}, {kind}"] = step(name, model, x[parts[rank]], y[parts[rank]])
    found["other widths"] = refusal(torch.ones(2, 4 + rank))
    found["other kinds"] = refusal(torch.ones(2, 4, dtype=(torch.float32, torch.float64)[rank]))
    # Features of different shapes, labels per unit; the second process has no rows at all.
    n = 2 - 2 * rank
    z = torch.arange(24.0).reshape(2, 3, 4)[:n]
    found["shapes"] = gather_features(z, z[:, 0] + 1, labels=torch.arange(6).reshape(2, 3)[:n])
    torch.save(found, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


def refusal(z: Tensor) -> str:
    try:
        gather_features(z)
    except ValueError as error:
        return str(error)
    return ""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("processes")
    mp.start_processes(together, (str(folder),), nprocs=2, start_method="forkserver")
    return [torch.load(folder / f"{rank}.pt") for rank in range(2)]


@pytest.mark.parametrize("kind", PARTS)
@pytest.mark.parametrize("name", LOSSES)
def test_two_processes_give_what_one_gives(results: list[dict[str, Any]], name: str, kind: str) -> None:
    alone = step(name, Tower(), *batch())
    assert alone["rows"].abs().sum() > 0
    for part, result in zip(PARTS[kind], results, strict=True):
        found = result[f"{name}, {kind}"]
        torch.testing.assert_close(found["loss"], alone["loss"])
        assert torch.equal(found["labels"], alone["labels"])
        for ours, wanted in zip(found["parameters"], alone["parameters"], strict=True):
            assert wanted.abs().sum() > 0
            torch.testing.assert_close(ours, wanted)
        # Both processes differentiate the joined loss, and a row gets the sum of the two.
        torch.testing.assert_close(found["rows"], 2 * alone["rows"][part])


def test_half_a_batch_is_another_loss() -> None:
    """What would come out without gathering; otherwise the test above could not fail."""
    x, y = batch()
    whole, half = (step("pretraining", Tower(), x[:n], y[:n])["loss"] for n in (N, N // 2))
    assert abs(float(whole - half)) > 0.01


def test_shapes_and_an_empty_part(results: list[dict[str, Any]]) -> None:
    for result in results:
        z, other, labels = result["shapes"]
        assert torch.equal(z, torch.arange(24.0).reshape(2, 3, 4)) and torch.equal(other, z[:, 0] + 1)
        assert torch.equal(labels, torch.arange(6).reshape(2, 3))


@pytest.mark.parametrize("work", ["other widths", "other kinds"])
def test_what_does_not_fit_is_refused_by_all(results: list[dict[str, Any]], work: str) -> None:
    for result in results:
        assert "processes [1] gather other widths or dtypes than process 0" in result[work]


def test_alone_nothing_is_touched() -> None:
    z, y = torch.ones(2, 3), torch.tensor([0, 1])
    assert gather_features(z)[0] is z
    assert gather_features(z, z, labels=y)[2] is y


@pytest.mark.parametrize(
    ("features", "labels", "words"),
    [
        ((), None, "at least one"),
        ((torch.ones(2, 3).long(),), None, "floating point"),
        ((torch.ones(3),), None, r"\[3\]"),
        ((torch.ones(2, 3), torch.ones(3, 3)), None, "same rows"),
        ((torch.ones(2, 3), torch.ones(2, 3).double()), None, "one dtype"),
        ((torch.ones(2, 3),), torch.zeros(3).long(), "same rows"),
        ((torch.ones(2, 3),), torch.zeros(2), "integers"),
    ],
)
def test_malformed_arguments(features: tuple[Tensor, ...], labels: Tensor | None, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        gather_features(*features, labels=labels)


def told_by_torchrun(rank: int, port: int) -> dict[str, str]:
    """What torchrun sets for one of two processes."""
    told = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 2, "MASTER_PORT": port}
    # Whoever starts them keeps the store, so that the port is never free for another.
    told |= {"MASTER_ADDR": "127.0.0.1", "TORCHELASTIC_USE_AGENT_STORE": True}
    return {name: str(value) for name, value in told.items()}


def test_the_book_s_example_takes_the_same_steps_in_two_processes() -> None:
    def lines(told: dict[str, str]) -> list[str]:
        script = str(ROOT / "book" / "examples" / "two_processes.py")
        done = interpreters.python(script, folder=ROOT, path=ROOT, variables={**os.environ, **told})
        assert done.returncode == 0, done.stderr
        return [x for x in done.stdout.splitlines() if x.startswith(("processes", "step", "weights"))]

    store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    with ThreadPoolExecutor(2) as both:
        first, second = both.map(lines, [told_by_torchrun(rank, store.port) for rank in range(2)])
    said = [lines({}), first]
    assert second == []  # only the first process prints
    assert [lines.pop(0) for lines in said] == ["processes: 1", "processes: 2"]
    assert said[0] == said[1]
    assert len(said[0]) == 4 and "over 12 samples" in said[0][0]
