"""Time and peak memory of the losses beside the idiomatic baselines: one forward and one backward pass.

Run with ``python benchmarks/bench_losses.py [--n 4096] [--device cpu]``.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler otherwise writes to the terminal

import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402
from torch import Tensor  # noqa: E402

sys.path.insert(0, str(Path(__file__).resolve().parent))

import baselines  # noqa: E402

from fbu import losses  # noqa: E402

WIDTH, CLASSES, ACTIVITIES, SCALE = 512, 12, 18, 100.0
KEYS = 16  # gathered, those of 4096 queries take 134 MB
Loss = Callable[[], Tensor]


def cases(n: int, device: str, chunk: int) -> dict[str, tuple[Loss, Loss, list[Tensor]]]:
    """Name -> (ours, baseline, the features that receive gradient)."""
    weights = torch.linspace(0, 1, 4, device=device).softmax(0).expand(n // 4, 4)  # scores of snippets
    generator = torch.Generator().manual_seed(0)

    def features(rows: int) -> Tensor:
        return torch.randn(rows, WIDTH, generator=generator).to(device).requires_grad_()

    image, view, activity, name, text = (
        features(n),
        features(n),
        features(n),
        features(CLASSES),
        features(CLASSES),
    )
    labels = torch.randint(0, ACTIVITIES, (n,), generator=generator).to(device)
    classes = torch.randint(0, CLASSES, (n,), generator=generator).to(device)
    units = torch.randint(-1, 2, (n, CLASSES), generator=generator).to(device)
    weight = torch.linspace(0.5, 1.5, CLASSES, device=device)
    q, k, prototypes = (F.normalize(features(rows).detach(), dim=-1) for rows in (n, n, CLASSES))
    queue = F.normalize(features(CLASSES * KEYS).detach(), dim=-1).unflatten(0, (CLASSES, KEYS))
    q.requires_grad_()
    pair, contrast = [image, view], lambda: baselines.supcon_with_masks(image, view, labels)
    return {
        "cross_modal_supcon": (lambda: losses.cross_modal_supcon(image, view, labels), contrast, pair),
        f"cross_modal_supcon, chunk={chunk}": (
            lambda: losses.cross_modal_supcon(image, view, labels, chunk=chunk),
            contrast,
            pair,
        ),
        "clef_pretraining": (
            lambda: losses.clef_pretraining(image, view, activity, labels)[0],
            lambda: baselines.pretraining(image, view, activity, labels),
            [image, view, activity],
        ),
        "name_description_contrast": (
            lambda: losses.name_description_contrast(text, name, SCALE),
            lambda: baselines.description_contrast(text, name, SCALE),
            [text, name],
        ),
        "image_name_cross_entropy": (
            lambda: losses.image_name_cross_entropy(image, name, classes, SCALE, weight),
            lambda: baselines.cross_entropy(image, name, classes, SCALE, weight),
            [image, name],
        ),
        "image_name_bce": (
            lambda: losses.image_name_bce(image, name, units, SCALE, weight),
            lambda: baselines.bce(image, name, units, SCALE, weight),
            [image, name],
        ),
        "text_similarity_cross_entropy": (
            lambda: losses.text_similarity_cross_entropy(image, text, classes),
            lambda: baselines.text_similarity(image, text, classes),
            [image, text],
        ),
        "neutral_transformation": (
            lambda: losses.neutral_transformation(image, view, activity, text[0]),
            lambda: baselines.transformation(image, view, activity, text[0]),
            [image, view],
        ),
        "self_contrast": (
            lambda: losses.self_contrast(activity, image, view),
            lambda: baselines.self_contrast(activity, image, view),
            [image, view],
        ),
        "text_expression_contrast": (
            lambda: losses.text_expression_contrast(activity, image, view, labels),
            lambda: baselines.expression_contrast(activity, image, view, labels),
            [image, view],
        ),
        "emotion_classification": (
            lambda: losses.emotion_classification(image, text, classes),
            lambda: baselines.emotion_cross_entropy(image, text, classes),
            [image, text],
        ),
        "intra_class_normalize": (
            lambda: losses.intra_class_normalize(image, activity)[0].sum(),
            lambda: F.normalize(image - activity, dim=-1)[0].sum(),
            [image],
        ),
        "emotion_aware_contrast": (  # at the size of the paper in bench_emoco.py
            lambda: losses.emotion_aware_contrast(q, k, queue, classes, prototypes),
            lambda: baselines.emotion_contrast_by_gather(q, k, queue, classes, prototypes),
            [q],
        ),
        "snippet_scores": (
            lambda: (losses.snippet_scores(image.view(n // 4, 4, -1), view[: n // 4]) * weights).mean(),
            lambda: (baselines.snippet_scores(image.view(n // 4, 4, -1), view[: n // 4]) * weights).mean(),
            [image, view],
        ),
        "fuse_snippets": (
            lambda: losses.fuse_snippets(image.view(n // 4, 4, -1), weights, 0.15).square().mean(),
            lambda: baselines.fused_snippets(image.view(n // 4, 4, -1), weights, 0.15).square().mean(),
            [image],
        ),
        "class_aware_consistency": (
            lambda: losses.class_aware_consistency(image @ text.T, view @ text.T, classes),
            lambda: baselines.consistency(image @ text.T, view @ text.T, classes),
            [image, view],
        ),
    }


def step(loss: Loss, inputs: list[Tensor]) -> tuple[float, float]:
    """Seconds of one forward and backward pass, and the value."""
    device = inputs[0].device.type
    start = time.perf_counter()
    value = loss()
    torch.autograd.grad(value, inputs)
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start, value.item()


def peak_bytes(loss: Loss, inputs: list[Tensor]) -> int:
    """Most bytes that the allocator held at once during one pass, above what it held before."""
    if inputs[0].device.type == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        step(loss, inputs)
        return torch.cuda.max_memory_allocated() - before
    return traced_peak(lambda: step(loss, inputs))


def traced_peak(what: Callable[[], Any]) -> int:
    """Most bytes that the CPU's allocator held at once during a call, above what it held before."""
    activities = [torch.profiler.ProfilerActivity.CPU]
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder) / "trace.json"
        with torch.profiler.profile(activities=activities, profile_memory=True) as profile:
            what()
        profile.export_chrome_trace(str(trace))
        events = json.loads(trace.read_text())["traceEvents"]
    changes = sorted((e["ts"], e["args"]["Bytes"]) for e in events if e.get("name") == "[memory]")
    held = peak = 0
    for _, change in changes:
        held += change
        peak = max(peak, held)
    return peak


def measure(
    name: str, n: int, ours: Loss, baseline: Loss, inputs: list[Tensor], repeats: int
) -> dict[str, Any]:
    """One row: medians over alternating repeats, so that a slow moment of the machine hits both."""
    times: dict[str, list[float]] = {"ours": [], "baseline": []}
    values = {}
    for repeat in range(repeats + 1):
        for who, loss in {"ours": ours, "baseline": baseline}.items():
            seconds, values[who] = step(loss, inputs)
            if repeat:  # the first round warms caches and allocator
                times[who].append(seconds)
    memory = {"ours": peak_bytes(ours, inputs), "baseline": peak_bytes(baseline, inputs)}
    seconds = {who: statistics.median(t) for who, t in times.items()}
    return {
        "name": name,
        "n": n,
        "ours_ms": 1e3 * seconds["ours"],
        "baseline_ms": 1e3 * seconds["baseline"],
        "time_ratio": seconds["ours"] / seconds["baseline"],
        "ours_mb": memory["ours"] / 1e6,
        "baseline_mb": memory["baseline"] / 1e6,
        "memory_ratio": memory["ours"] / max(memory["baseline"], 1),
        "difference": abs(values["ours"] - values["baseline"]),
    }


def main(n: int = 4096, *, repeats: int = 5, device: str = "cpu", chunk: int = 256) -> list[dict[str, Any]]:
    """Measures, prints and returns one row per loss; ratios below 1 mean that ours is faster or smaller."""
    rows = []
    print(f"{'loss':34}{'n':>6}{'ms':>9}{'baseline':>10}{'ratio':>7}{'MB':>9}{'baseline':>10}{'ratio':>7}")
    for name, (ours, baseline, inputs) in cases(n, device, chunk).items():
        row = measure(name, n, ours, baseline, inputs, repeats)
        rows.append(row)
        print(
            f"{name:34}{n:6}{row['ours_ms']:9.2f}{row['baseline_ms']:10.2f}{row['time_ratio']:7.2f}"
            f"{row['ours_mb']:9.1f}{row['baseline_mb']:10.1f}{row['memory_ratio']:7.2f}"
        )
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=4096)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--chunk", type=int, default=256)
    arguments = vars(parser.parse_args())
    main(arguments.pop("n"), **arguments)
