"""Two processes on halves of a batch train EmoCo as one process does on the whole."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from fbu.models.emoco import EmoCo, Pretraining
from fbu.models.emoco_encoders import backbone
from fbu.models.synchronised import SynchronisedBatchNorm2d, synchronise_batch_norm
from fbu.recipes import EncoderSpec

N, STEPS, CLASSES = 8, 2, 3
PARTS = (slice(0, 3), slice(3, N))
KINDS = {
    "EmoCo": {},
    "MoCo": {"emotion": 0.0, "normalization": "l2", "queues": "single"},
    "in the batch": {"queues": "batch"},
}


def batches() -> list[tuple[Tensor, ...]]:
    generator = torch.Generator().manual_seed(5)
    out = []
    for step in range(STEPS):
        x = torch.randn(2, N, 3, 16, 16, generator=generator, dtype=torch.float64)
        labels = torch.randint(CLASSES, (N,), generator=generator)
        out.append((x[0], x[1], labels, torch.arange(N) + 5 * step))
    return out


def model_of(kind: str) -> EmoCo:
    torch.manual_seed(3)
    settings = Pretraining(queue_size=6, momentum=0.5, leave_own_out=True, **KINDS[kind])
    model = EmoCo(backbone(EncoderSpec(name="tiny-resnet")), CLASSES, settings)
    return synchronise_batch_norm(model.double()).train()


def trained(model: nn.Module, part: slice, share: float) -> dict[str, Any]:
    """Losses and state after some steps; ``share`` makes the average over processes the mean over the batch."""
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    losses = []
    for batch in batches():
        optimizer.zero_grad()
        total, _ = model(*(x[part] for x in batch))
        (total * share).backward()
        optimizer.step()
        losses.append(total.detach() * share)
    inner = model.module if isinstance(model, DistributedDataParallel) else model
    return {"losses": torch.stack(losses), "state": inner.state_dict()}


def together(rank: int, folder: str) -> None:
    """One of two processes: joins the other through a file, so that no port has to be free."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    part, found = PARTS[rank], {}
    for kind in KINDS:
        model = DistributedDataParallel(model_of(kind), broadcast_buffers=False)
        found[kind] = trained(model, part, 2 * (part.stop - part.start) / N)
    torch.save(found, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("processes")
    mp.start_processes(together, (str(folder),), nprocs=2, start_method="forkserver")
    return [torch.load(folder / f"{rank}.pt") for rank in range(2)]


@pytest.mark.parametrize("kind", KINDS)
def test_two_processes_train_as_one(results: list[dict[str, Any]], kind: str) -> None:
    alone = trained(model_of(kind), slice(0, N), 1.0)
    found = [result[kind] for result in results]
    torch.testing.assert_close((found[0]["losses"] + found[1]["losses"]) / 2, alone["losses"])
    for result in found:  # weights, running statistics, keys, pointers, counts and samples, on both
        torch.testing.assert_close(result["state"], alone["state"])


def test_without_synchronisation_it_would_be_another_training() -> None:
    """Otherwise the test above could not fail."""
    whole = trained(model_of("EmoCo"), slice(0, N), 1.0)
    half = trained(model_of("EmoCo"), slice(0, 4), 1.0)
    assert (whole["losses"] - half["losses"]).abs().max() > 1e-3
    key = "queue.keys"
    assert (whole["state"][key] - half["state"][key]).abs().max() > 1e-3


def test_alone_it_is_the_usual_layer() -> None:
    x = torch.randn(4, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    usual, ours = nn.BatchNorm2d(3), nn.Sequential(nn.BatchNorm2d(3))
    weight = ours[0].weight
    synchronise_batch_norm(ours)
    assert isinstance(ours[0], SynchronisedBatchNorm2d) and ours[0].weight is weight
    assert torch.equal(ours(x), usual(x)) and torch.equal(ours[0].running_var, usual.running_var)
    assert torch.equal(ours.eval()(x), usual.eval()(x))
