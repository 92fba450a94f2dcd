"""Faces drawn a second, pictures a second into training, training steps a second.

Run with ``python benchmarks/bench_pictures.py``. Speeds are medians on this machine at this moment; the input path
is also given as a ratio to a per-image PIL and torchvision loader with two workers, measured in the same run.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent))

import baselines  # noqa: E402

from fbu import data  # noqa: E402
from fbu.data import faces  # noqa: E402
from fbu.data.transforms import Augment  # noqa: E402
from fbu.models.pictures import Pictures  # noqa: E402
from fbu.recipes import Recipe, task_type  # noqa: E402
from fbu.training import draw, make_optimizer  # noqa: E402

CPU = torch.device("cpu")


def per_second(what: Callable[[], int], repeats: int = 5) -> float:
    """Median of things done a second, after one warm-up."""
    what()
    speeds = []
    for _ in range(repeats):
        began = time.perf_counter()
        done = what()
        speeds.append(done / (time.perf_counter() - began))
    return statistics.median(speeds)


def renderer(size: int, count: int) -> float:
    """Faces a second on one core, all nuisances on, without masks."""
    scene = faces.Scene.sample(3, torch.arange(count))
    return per_second(lambda: len(faces.render_scene(scene, size)))


def input_path() -> tuple[float, float]:
    """Pictures a second into augmented float batches: memory map and batched augmentation; the loader baseline."""
    train = data.load("rafdb", "train")
    pictures, spec = Pictures(train.images, CPU), Augment()
    order = torch.randperm(len(train), generator=draw(0, 1)).split(64)[:-1]

    def ours() -> int:
        return sum(len(pictures.batch(rows, spec, draw(0, i))) for i, rows in enumerate(order))

    root = data.locate(data.load_manifest("rafdb"), "twin")
    paths = [root / p for p in train.records["path"]]
    loader = baselines.image_loader(paths, list(train.targets), 64, workers=2)
    return per_second(ours), per_second(lambda: sum(len(x) for x, _ in loader), repeats=3)


def training_step(task: str, name: str, options: dict[str, Any]) -> float:
    """Pictures a second through forward, loss, backward and optimiser step, one thread."""
    fold = 1 if name == "bp4d" else None
    settings = {
        "task": task,
        "data": {"name": name, "fold": fold},
        "options": options,
        "optim": {"images": 64},
    }
    recipe = Recipe.model_validate(settings)
    loaded = task_type(task)(recipe, CPU, None)
    optimizer = make_optimizer(loaded.model, recipe.optim)
    loaded.model.train()

    def step() -> int:
        for i in range(4):
            optimizer.zero_grad(set_to_none=True)
            loaded.loss(torch.arange(64) + 64 * i, draw(0, i))["loss"].backward()
            optimizer.step()
        return 256

    return per_second(step)


def main() -> list[dict[str, Any]]:
    """Measure everything; one row per measurement."""
    torch.set_num_threads(1)
    ours, baseline = input_path()
    rows = [
        {"name": "faces drawn at 64 px, one core", "per second": renderer(64, 512), "aim": 1500.0},
        {"name": "faces drawn at 224 px, one core", "per second": renderer(224, 32)},
        {"name": "input path, memory map and batched augmentation", "per second": ours},
        {"name": "input path, per-image loader with 2 workers", "per second": baseline},
    ]
    rows[2] |= {"ratio": ours / baseline, "aim": 5.0}
    for name, task, dataset, options in (
        ("training, stage 1 (two views)", "clef.pretrain", "bp4d", {}),
        ("training, stage 2, I", "clef.finetune", "rafdb", {"use": "I"}),
        ("training, stage 2, I,N,D", "clef.finetune", "rafdb", {"use": "IND"}),
    ):
        rows.append({"name": name, "per second": training_step(task, dataset, options)})
    for row in rows:
        ratio = f"  {row['ratio']:.1f} x the loader, aim 5 x" if "ratio" in row else ""
        aim = f"  aim {row['aim']:.0f}" if "aim" in row and "ratio" not in row else ""
        print(f"{row['name']:52} {row['per second']:9.0f} / s{ratio}{aim}")
    return rows


if __name__ == "__main__":
    main()
