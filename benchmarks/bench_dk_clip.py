"""Time of a training step of DK-CLIP beside the same written clip by clip, and its size with both towers.

Run with ``python benchmarks/bench_dk_clip.py [--tower ViT-B-32] [--repeats 3] [--device cpu]``: one forward and one
backward pass on two clips of 16 frames in four snippets.
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
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parent))

import video_loops  # noqa: E402

from fbu.losses import class_aware_consistency  # noqa: E402
from fbu.models.dk_clip import DKCLIP, Training  # noqa: E402
from fbu.models.encoders import load_dual_encoder  # noqa: E402
from fbu.models.video_texts import FixedTexts  # noqa: E402

CLASSES = 7
Logits = tuple[Tensor, Tensor]


def tower_of(name: str) -> Any:
    """A tower without weights, under ``torch.device("meta")`` for what nobody computes with."""
    import open_clip

    config = open_clip.get_model_config(name)
    vision, text = (
        open_clip.CLIPVisionCfg(**config["vision_cfg"]),
        open_clip.CLIPTextCfg(**config["text_cfg"]),
    )
    return open_clip.CLIP(config["embed_dim"], vision, text, quick_gelu=config.get("quick_gelu", False))


def built(encoder: Any) -> DKCLIP:
    """The whole method on a tower, with random texts."""
    return DKCLIP(encoder, FixedTexts(torch.randn(CLASSES, encoder.visual.output_dim)), Training())


def ours(model: DKCLIP, clips: Tensor) -> Logits:
    """Global and local logits."""
    found = model(clips)
    return found.whole, model.local(found)


def loops(model: DKCLIP, clips: Tensor) -> Logits:
    """The same, clip by clip."""
    return video_loops.dk_clip(model, clips, model.settings.threshold)[:2]


def step(way: Callable[[DKCLIP, Tensor], Logits], model: DKCLIP, clips: Tensor, y: Tensor) -> Logits:
    """Forward and backward."""
    model.zero_grad(set_to_none=True)
    whole, local = way(model, clips)
    class_aware_consistency(whole, local, y).backward()
    return whole.detach(), local.detach()


def seconds(what: Callable[[], Any], device: str) -> float:
    """Of one step; on a CPU those of the one thread that computes, whatever else the machine does."""
    clock = time.process_time if device == "cpu" else time.perf_counter
    began = clock()
    what()
    if device != "cpu":
        torch.cuda.synchronize()
    return clock() - began


def size(tower: str, frames: int = 16, side: int = 224) -> dict[str, float]:
    """Parameters (millions) and multiply-adds (10^9) of one clip's forward pass; nothing is computed."""
    from torch.utils.flop_counter import FlopCounterMode

    with torch.device("meta"):
        model = built(tower_of(tower)).eval()
        clip = torch.empty(1, 4, frames // 4, 3, side, side)
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            model.video(clip)
            video = counter.get_total_flops()
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            model.video.visual(clip.flatten(0, 2))
            frames_alone = counter.get_total_flops()
    learned = sum(p.numel() for p in model.parameters() if p.requires_grad)
    added = sum(p.numel() for module in model.added() for p in module.parameters())
    video_parameters = sum(p.numel() for p in model.parameters())
    return {
        "parameters": video_parameters / 1e6,
        "learned": learned / 1e6,
        "added": added / 1e6,
        "video": video / 2e9,
        "frames alone": frames_alone / 2e9,
    }


def main(
    tower: str = "ViT-B-32",
    *,
    batch: int = 2,
    repeats: int = 3,
    device: str = "cpu",
    sizes: tuple[str, ...] = ("ViT-B-16", "ViT-B-32"),
) -> list[dict[str, Any]]:
    """Measures, prints and returns one row per way, ours first; aim: 1.3 times as fast on a CPU.

    Nine tenths of our time there are matrix products, which both ways share; measured 1.15 to 1.38.
    """
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = built(load_dual_encoder(tower)).to(device).train()
    side = model.video.visual.image_size[0]
    clips = torch.randn(batch, 4, 4, 3, side, side, generator=torch.Generator().manual_seed(0)).to(device)
    y = torch.arange(batch, device=device) % CLASSES
    ways = {"ours": ours, "clip by clip": loops}
    found = {name: step(way, model, clips, y) for name, way in ways.items()}  # and a warm-up
    pairs = zip(*found.values(), strict=True)
    difference = max(float((a - b).abs().max()) for a, b in pairs)
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, way in ways.items():
            times[name].append(seconds(lambda way=way: step(way, model, clips, y), device))
    rows = [{"name": name, "seconds": statistics.median(values)} for name, values in times.items()]
    for row in rows:
        row["time"] = row["seconds"] / rows[0]["seconds"]
        print(f"{row['name']:14} {tower} {1e3 * row['seconds']:9.1f} ms   {row['time']:.2f} x ours")
    print(f"logits differ by {difference:.1e}")
    rows[0]["difference"] = difference
    for name in sizes:
        of = size(name)
        print(
            f"{name}: {of['parameters']:.1f} M parameters without the text tower, {of['learned']:.1f} M learned, "
            f"{of['added']:.1f} M added; {of['video']:.1f} G multiply-adds a clip ({of['frames alone']:.1f} G for its "
            "frames alone)"
        )
        rows.append({"name": name, **of})
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tower", default="ViT-B-32")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    arguments = vars(parser.parse_args())
    main(arguments.pop("tower"), **arguments)
