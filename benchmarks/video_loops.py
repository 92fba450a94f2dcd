"""DK-CLIP as a straightforward script has it: clip by clip, snippet by snippet, attention weights always computed."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def attend(layer: nn.MultiheadAttention, query: Tensor, seen: Tensor) -> Tensor:
    """Attention with its weights, which nobody looks at."""
    return layer(query, seen, seen, need_weights=True)[0]


def snippet(visual: Any, messages: nn.ModuleList, frames: Tensor) -> tuple[Tensor, Tensor]:
    """Feature (d,) of a snippet's frames (t, 3, S, S), and their patch tokens (t, M, W)."""
    patches = visual.conv1(frames).flatten(2).transpose(1, 2)
    token = visual.class_embedding.expand(len(frames), 1, -1)
    z = visual.ln_pre(torch.cat([token, patches], 1) + visual.positional_embedding)
    for block, message in zip(visual.transformer.resblocks, messages, strict=True):
        m = message.linear(z[:, 0])[None]
        x = message.norm(m)
        m = m + attend(message.attention, x, x)
        z = torch.cat([z, m.transpose(0, 1)], 1)
        x = block.ln_1(z)
        z = z + attend(block.attn, x, x)
        z = z[:, :-1]
        z = z + block.mlp(block.ln_2(z))
    features = visual.ln_post(z[:, 0]) @ visual.proj
    return features.mean(0), z[:, 1:]


def block_of(block: Any, x: Tensor) -> Tensor:
    """A transformer block on (1, L, d)."""
    y = block.ln_1(x)
    x = x + attend(block.attn, y, y)
    return x + block.mlp(block.ln_2(x))


def scores_of(snippets: Tensor, whole: Tensor) -> list[Tensor]:
    """a* of a clip, a number at a time."""
    a = [F.cosine_similarity(s, whole, dim=0) for s in snippets]
    low, high = min(a), max(a)
    scaled = [(x - low) / (high - low) for x in a]
    total = sum(math.e**x for x in scaled)
    return [math.e**x / total for x in scaled]


def prompted(prompts: Any, texts: Tensor, patches: Tensor) -> Tensor:
    """Texts (C, d) that have looked at patch tokens (M, W)."""
    seen = prompts.norm_seen(prompts.project(prompts.norm(patches)))[None]
    x = texts[None]
    for layer in prompts.layers:
        x = x + attend(layer.attention, layer.norm_1(x), seen)
        x = x + layer.mlp(layer.norm_2(x))
    return texts + prompts.gamma * x[0]


def dk_clip(model: Any, clips: Tensor, threshold: float) -> tuple[Tensor, Tensor, Tensor]:
    """Global and fused local logits (n, C), and a* (n, N), of the hierarchical encoder with conditioned texts."""
    whole, local, every = [], [], []
    for clip in clips:
        parts = [snippet(model.video.visual, model.video.messages, frames) for frames in clip]
        snippets = torch.stack([feature for feature, _ in parts])
        x = (snippets + model.video.over.position)[None]
        for block in model.video.over.blocks:
            x = block_of(block, x)
        v = (snippets + x[0]).mean(0)
        scores = scores_of(snippets, v)
        kept = [n for n, score in enumerate(scores) if score >= threshold] or list(range(len(scores)))
        patches = torch.cat([parts[n][1] for n in kept]).mean(0)
        texts = F.normalize(prompted(model.prompts, model.texts(), patches), dim=1)
        logits = [model.scale * texts @ F.normalize(z, dim=0) for z in (v, *snippets)]
        fused = torch.zeros_like(logits[0])
        for score, p in zip(scores, logits[1:], strict=True):
            if score >= threshold:
                fused = fused + score * p
        whole.append(logits[0])
        local.append(fused)
        every.append(torch.stack(scores))
    return torch.stack(whole), torch.stack(local), torch.stack(every)
