"""Time and peak memory of EmoCo's contrast beside a gather of every query's negatives, and beside plain MoCo.

Run with ``python benchmarks/bench_emoco.py [--keys 65536] [--device cpu]``: one forward and one backward pass to the
queries. MoCo has one queue of as many keys; it is no other way to the same number, but the cost to be measured against.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parent))

import baselines  # noqa: E402
from bench_losses import traced_peak  # noqa: E402

from fbu.losses import emotion_aware_contrast  # noqa: E402

Step = Callable[[], tuple[float, Tensor]]  # value and gradient of the queries
# Gathered at once, the negatives of 256 queries would take 8.6 GB, and a multiple of it on the way.
GATHERED = 8


def step(loss: Callable[[], Tensor], q: Tensor) -> tuple[float, Tensor]:
    """Forward and backward."""
    value = loss()
    (gradient,) = torch.autograd.grad(value, q)
    return value.item(), gradient


def gathered(
    q: Tensor, k: Tensor, queue: Tensor, labels: Tensor, prototypes: Tensor, rows: int
) -> tuple[float, Tensor]:
    """The same with gathered negatives, a few queries after the other, so that it fits into memory."""
    value, gradients = 0.0, []
    for i in range(0, len(q), rows):
        few = [z[i : i + rows] for z in (q.detach(), k, labels)]
        part = few[0].requires_grad_()
        loss = baselines.emotion_contrast_by_gather(part, few[1], queue, few[2], prototypes)
        share = len(part) / len(q)
        (gradient,) = torch.autograd.grad(loss * share, part)
        value += loss.item() * share
        gradients.append(gradient)
    return value, torch.cat(gradients)


def steps(batch: int, emotions: int, keys: int, width: int, device: str) -> dict[str, Step]:
    """What is measured, by name; ours first."""
    generator = torch.Generator().manual_seed(0)

    def units(*shape: int) -> Tensor:
        return F.normalize(torch.randn(*shape, generator=generator), dim=-1).to(device)

    q, k, queue, w = (
        units(batch, width),
        units(batch, width),
        units(emotions, keys, width),
        units(emotions, width),
    )
    labels = torch.randint(emotions, (batch,), generator=generator).to(device)
    q.requires_grad_()
    half = queue.bfloat16()
    return {
        "ours": lambda: step(lambda: emotion_aware_contrast(q, k, queue, labels, w), q),
        "ours, bfloat16 queues": lambda: step(lambda: emotion_aware_contrast(q, k, half, labels, w), q),
        "MoCo, one queue": lambda: step(lambda: baselines.moco_contrast(q, k, queue[0]), q),
        "gathered negatives": lambda: gathered(q, k, queue, labels, w, GATHERED),
    }


def seconds(what: Step, device: str) -> float:
    """Of one step."""
    began = time.perf_counter()
    what()
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter() - began


def peak(what: Step, device: str) -> int:
    """Most bytes held at once during a step, above what the queues and the batch hold."""
    if device == "cpu":
        return traced_peak(what)
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    what()
    return torch.cuda.max_memory_allocated() - before


def main(
    keys: int = 65536,
    *,
    batch: int = 256,
    emotions: int = 7,
    width: int = 128,
    repeats: int = 3,
    device: str = "cpu",
) -> list[dict[str, Any]]:
    """Measures, prints and returns one row per way; aims: a fifth of the gather's time, 1.5 x MoCo's in both."""
    torch.set_num_threads(1)
    ways = steps(batch, emotions, keys, width, device)
    found = {name: what() for name, what in ways.items()}  # and a warm-up
    ours, wanted = found["ours"], found["gathered negatives"]
    difference = max(abs(ours[0] - wanted[0]), float((ours[1] - wanted[1]).norm() / wanted[1].norm()))
    times: dict[str, list[float]] = {name: [] for name in ways}
    for repeat in range(repeats):
        for name, what in ways.items():
            if name != "gathered negatives" or repeat == 0:  # so much slower that once is enough
                times[name].append(seconds(what, device))
    queues = 4 * emotions * keys * width
    rows = []
    for name, what in ways.items():
        rows.append({"name": name, "seconds": statistics.median(times[name]), "bytes": peak(what, device)})
    for row in rows:
        row |= {
            "time": rows[0]["seconds"] / row["seconds"],
            "memory": rows[0]["bytes"] / max(row["bytes"], 1),
        }
        print(
            f"{row['name']:24} {1e3 * row['seconds']:9.1f} ms {row['bytes'] / 1e6:9.1f} MB   "
            f"ours / this: time {row['time']:.3f}, memory {row['memory']:.2f}"
        )
    print(f"queues themselves {queues / 1e6:.0f} MB; ours and the gather differ by {difference:.1e}")
    rows[0]["difference"] = difference
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keys", type=int, default=65536)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    arguments = vars(parser.parse_args())
    main(arguments.pop("keys"), **arguments)
