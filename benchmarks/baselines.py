"""What a user would have written without this package: vectorised, idiomatic PyTorch.

The speed and memory of the package are stated as ratios to these functions, and the tests compare values.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms


def supcon_with_masks(z_a: Tensor, z_b: Tensor, labels: Tensor, temperature: float = 0.25) -> Tensor:
    """CLEF eq. 1 as the usual masked (N, 2N) matrices: max subtracted, exponentials, mask, logarithm."""
    z_a, z_b = F.normalize(z_a, dim=1), F.normalize(z_b, dim=1)
    n = len(labels)
    logits = z_a @ torch.cat([z_a, z_b]).T / temperature
    logits = logits - logits.max(dim=1, keepdim=True).values.detach()
    others = 1 - torch.eye(n, 2 * n, dtype=logits.dtype, device=logits.device)
    positive = (labels[:, None] == labels.repeat(2)[None]).to(logits) * others
    partition = (logits.exp() * others).sum(1, keepdim=True)
    log_prob = logits - partition.log()
    return -((positive * log_prob).sum(1) / (positive.sum(1) + 1)).mean()


def pretraining(z_image: Tensor, z_view: Tensor, z_activity: Tensor, labels: Tensor) -> Tensor:
    """CLEF eq. 2."""
    return supcon_with_masks(z_image, z_view, labels) + supcon_with_masks(z_image, z_activity, labels)


def image_name_logits(z_image: Tensor, z_name: Tensor, logit_scale: float | Tensor) -> Tensor:
    """CLIP's logits."""
    return logit_scale * F.normalize(z_image, dim=-1) @ F.normalize(z_name, dim=-1).T


def cross_entropy(
    z_image: Tensor,
    z_name: Tensor,
    targets: Tensor,
    logit_scale: float | Tensor,
    class_weight: Tensor | None = None,
) -> Tensor:
    """CLEF eq. 4."""
    logits = image_name_logits(z_image, z_name, logit_scale)
    return F.cross_entropy(logits, targets, class_weight, reduction="none").mean()


def bce(
    z_image: Tensor,
    z_name: Tensor,
    targets: Tensor,
    logit_scale: float | Tensor,
    pos_weight: Tensor | None = None,
) -> Tensor:
    """CLEF eq. 5 with -1 for unknown."""
    logits = image_name_logits(z_image, z_name, logit_scale)
    known = (targets >= 0).to(logits)
    losses = F.binary_cross_entropy_with_logits(
        logits, targets.clamp(min=0).to(logits), pos_weight=pos_weight, reduction="none"
    )
    return (losses * known).sum(1).mean()


def description_contrast(z_description: Tensor, z_name: Tensor, logit_scale: float | Tensor) -> Tensor:
    """CLEF eq. 3."""
    logits = image_name_logits(z_description, z_name, logit_scale)
    return F.cross_entropy(logits, torch.arange(len(logits), device=logits.device))


def text_similarity(v: Tensor, t: Tensor, targets: Tensor, temperature: float = 0.01) -> Tensor:
    return F.cross_entropy(F.normalize(v, dim=-1) @ F.normalize(t, dim=-1).T / temperature, targets)


def transformation(v: Tensor, n: Tensor, t: Tensor, t_neutral: Tensor) -> Tensor:
    return (1 - F.cosine_similarity(t - t_neutral, v - n)).mean()


def self_contrast(t: Tensor, v: Tensor, n: Tensor, margin: float = 2.0) -> Tensor:
    return (F.cosine_similarity(t, n) - F.cosine_similarity(t, v) + margin).mean()


def expression_contrast(
    t: Tensor, v: Tensor, n: Tensor, targets: Tensor, temperature: float = 0.01
) -> Tensor:
    t, v, n = (F.normalize(z, dim=-1) for z in (t, v, n))
    classmates = (targets[:, None] == targets[None]) & ~torch.eye(len(t), dtype=torch.bool, device=t.device)
    with_pictures = (t @ v.T / temperature).masked_fill(classmates, -torch.inf)
    logits = torch.cat([with_pictures, t @ n.T / temperature], 1)
    return F.cross_entropy(logits, torch.arange(len(t), device=t.device))


def emotion_cross_entropy(q: Tensor, weight: Tensor, labels: Tensor) -> Tensor:
    """EmoCo eq. 2."""
    return F.cross_entropy(F.normalize(q, dim=-1) @ weight.T, labels)


def snippet_scores(snippets: Tensor, whole: Tensor) -> Tensor:
    """DK-CLIP eq. 9: similarities over their range, then softmax."""
    a = F.cosine_similarity(snippets, whole[:, None], dim=-1)
    low, high = a.min(1, keepdim=True).values, a.max(1, keepdim=True).values
    return ((a - low) / (high - low)).softmax(1)


def fused_snippets(logits: Tensor, scores: Tensor, threshold: float) -> Tensor:
    """DK-CLIP eq. 10."""
    return (logits * (scores * (scores >= threshold))[..., None]).sum(1)


def consistency(every: Tensor, local: Tensor, targets: Tensor) -> Tensor:
    """DK-CLIP eq. 11 with lambda = 1."""
    apart = F.kl_div(local.log_softmax(1), every.softmax(1), reduction="batchmean")
    return F.cross_entropy(every, targets) + F.cross_entropy(local, targets) + apart


def moco_contrast(q: Tensor, k: Tensor, queue: Tensor, temperature: float = 0.2) -> Tensor:
    """MoCo's loss with one queue (K, D), as its public code writes it."""
    positive = (q * k).sum(1, keepdim=True)
    logits = torch.cat([positive, q @ queue.T], dim=1) / temperature
    return F.cross_entropy(logits, torch.zeros(len(q), dtype=torch.long, device=q.device))


def emotion_contrast_by_gather(
    q: Tensor, k: Tensor, queue: Tensor, labels: Tensor, prototypes: Tensor, temperature: float = 0.2
) -> Tensor:
    """EmoCo eq. 4 and 5: every query gets a copy of its emotion's queue (n, K, D), normalised about the prototype."""
    w = prototypes[labels]
    q, k = F.normalize(q - w, dim=-1), F.normalize(k - w, dim=-1)
    negatives = F.normalize(queue[labels] - w[:, None], dim=-1)
    positive = (q * k).sum(1, keepdim=True)
    logits = torch.cat([positive, torch.einsum("nd,nkd->nk", q, negatives)], dim=1) / temperature
    return F.cross_entropy(logits, torch.zeros(len(q), dtype=torch.long, device=q.device))


class ImageFiles(Dataset[tuple[Tensor, int]]):
    """One picture at a time: opened with Pillow, augmented with torchvision, as most training scripts do."""

    def __init__(self, paths: Sequence[Path | str], labels: Sequence[int], image_size: int) -> None:
        self.paths, self.labels = list(paths), list(labels)
        self.transform = transforms.Compose(
            [
                transforms.Resize((image_size, image_size)),
                transforms.RandomHorizontalFlip(),
                transforms.RandomAffine(degrees=10, translate=(0.05, 0.05), scale=(0.9, 1.1)),
                transforms.ColorJitter(brightness=0.2, contrast=0.2),
                transforms.ToTensor(),
                transforms.Normalize((0.4815, 0.4578, 0.4082), (0.2686, 0.2613, 0.2758)),
            ]
        )

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        with Image.open(self.paths[index]) as image:
            return self.transform(image.convert("RGB")), self.labels[index]


def image_loader(
    paths: Sequence[Path | str],
    labels: Sequence[int],
    image_size: int,
    batch_size: int = 64,
    workers: int = 2,
    seed: int = 0,
) -> DataLoader[tuple[Tensor, int]]:
    """Shuffled batches of :class:`ImageFiles` from worker processes."""
    return DataLoader(
        ImageFiles(paths, labels, image_size),
        batch_size=batch_size,
        shuffle=True,
        num_workers=workers,
        drop_last=True,
        persistent_workers=workers > 0,
        generator=torch.Generator().manual_seed(seed),
    )


def relevance_by_layer(
    model: nn.Module, images: Tensor, texts: Tensor, start_layer: int = 0
) -> tuple[Tensor, Tensor]:
    """Chefer et al. 2021 on an open_clip CLIP, as it is usually written.

    Every layer's attention map is kept, each gets a backward pass of its own, and whole N x N matrices are multiplied.
    """
    towers = [model.visual.transformer.resblocks, model.transformer.resblocks]
    maps: list[list[Tensor]] = [[], []]
    try:
        for blocks, into in zip(towers, maps, strict=True):
            for block in blocks:
                block.attn.forward = _keeping_attention(block.attn, into)
        z_image, z_text = model.encode_image(images), model.encode_text(texts)
    finally:
        for blocks in towers:
            for block in blocks:
                block.attn.__dict__.pop("forward", None)
    logits = model.logit_scale.exp() * F.cosine_similarity(z_image, z_text)
    relevance = []
    for kept in maps:
        product = torch.eye(kept[0].shape[-1], dtype=logits.dtype).expand(len(texts), -1, -1)
        for attention in kept[start_layer % len(kept) :]:
            (gradient,) = torch.autograd.grad(logits.sum(), attention, retain_graph=True)
            step = (gradient * attention.detach()).clamp(min=0).mean(1)
            product = product + step @ product
        relevance.append(product)
    rows = torch.arange(len(texts))
    grid = model.visual.grid_size
    return relevance[0][:, 0, 1:].unflatten(1, grid), relevance[1][rows, texts.argmax(1)]


def _keeping_attention(
    layer: nn.MultiheadAttention, into: list[Tensor]
) -> Callable[..., tuple[Tensor, None]]:
    def forward(x: Tensor, *_: Tensor, attn_mask: Tensor | None = None, **__: bool) -> tuple[Tensor, None]:
        packed = F.linear(x, layer.in_proj_weight, layer.in_proj_bias).chunk(3, dim=-1)
        q, k, v = (y.unflatten(-1, (layer.num_heads, -1)).transpose(1, 2) for y in packed)
        scores = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5
        attention = (scores if attn_mask is None else scores + attn_mask).softmax(-1)
        into.append(attention)
        return layer.out_proj((attention @ v).transpose(1, 2).flatten(2)), None

    return forward


def read_pictures(paths: Sequence[Path], size: int) -> np.ndarray:
    """Picture files as one uint8 array [N, 3, S, S], one after the other."""
    out = []
    for path in paths:
        with Image.open(path) as image:
            out.append(np.asarray(image.convert("RGB").resize((size, size), Image.Resampling.BILINEAR)))
    return np.stack(out).transpose(0, 3, 1, 2)


def decode_pictures(paths: Sequence[Path], size: int, out: Path) -> int:
    """Read all pictures and keep them in one file; returns their number."""
    np.save(out, read_pictures(paths, size))
    return len(paths)


def decode_clips(paths: Sequence[Path], size: int, kept: int) -> int:
    """Read every frame of every clip, resize it, and then keep some evenly spread; returns the number of clips."""
    import av

    for path in paths:
        if path.is_dir():
            names = sorted(path.iterdir(), key=lambda p: int(p.stem))
            frames = [read_pictures([name], size)[0] for name in names]
        else:
            with av.open(str(path)) as container:
                pictures = (frame.to_image() for frame in container.decode(video=0))
                frames = [np.asarray(p.resize((size, size))).transpose(2, 0, 1) for p in pictures]
        np.stack([frames[i] for i in np.linspace(0, len(frames) - 1, kept).astype(int)])
    return len(paths)
