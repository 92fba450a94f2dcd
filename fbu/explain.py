"""Where a dual encoder looked: relevance of patches and tokens for one picture-text pair.

The maps are those of Chefer, Gur and Wolf (ICCV 2021), as CLEF draws them in Fig. 6. They are computed without ever
holding an attention map of a whole layer: the model runs with fused attention, one backward pass gives the gradient
of every layer's heads, and one row is carried from the last layer to the first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fbu.models.encoders import encode_text

if TYPE_CHECKING:
    from open_clip.model import CLIP


def relevance(
    model: CLIP, images: Tensor, texts: Tensor, start_layer: int = 0, *, chunk: int | None = None
) -> tuple[Tensor, Tensor]:
    r"""Relevance of every patch and every token for the similarity of picture-text pairs.

    Chefer et al. 2021, Eq. 5 and 6 for self-attention: with :math:`A_l` the attention of layer :math:`l` and
    :math:`G_l` the gradient of ``logits_per_image``'s diagonal (``exp(logit_scale)`` included) with respect to it,

    .. math:: R = \prod_{l} \left(I + \overline{(G_l \odot A_l)^+}\right),

    the mean being over heads. Returned are the class token's row of R in the image tower, without the class token
    itself, and the end-of-text row in the text tower; neither is normalised.

    Args:
        model: open_clip ``CLIP`` with a vision transformer and class-token pooling; it is not changed, whether the
            call succeeds or not. Evaluation mode is used whatever its mode is.
        images: normalised pictures, float ``[n, 3, S, S]``, or one picture ``[1, 3, S, S]`` for all texts, which takes
            one forward pass of the image tower for any number of texts.
        texts: token ids, int64 ``[n, L]``; pair i is ``(images[i], texts[i])``.
        start_layer: first layer that counts, from 0; negative ones count from the end (-1: the last layer alone).
        chunk: pairs at a time, which bounds the memory; the maps do not depend on it. Default: on a processor as many
            as two of ViT-B/16 at 224 pixels, all on an accelerator.

    Returns:
        Image maps float32 ``[n, h, w]`` on the grid of patches, and text rows float32 ``[n, L]``, zero after the end
        of the text.

    Raises:
        ValueError: other shapes, a layer that is not there, no pairs at a time, or a model without class token and
            end-of-text pooling.

    Example:
        >>> from fbu.models import load_dual_encoder
        >>> model = load_dual_encoder("fbu-tiny")
        >>> tokens = torch.tensor([[4512, 7, 9, 4513] + [0] * 44])
        >>> maps, rows = relevance(model, torch.rand(1, 3, 64, 64), tokens)
        >>> maps.shape, rows.shape, bool(rows[0, 4:].any())
        (torch.Size([1, 4, 4]), torch.Size([1, 48]), False)
    """
    grid = _check(model, images, texts)
    if chunk is not None and chunk < 1:
        raise ValueError(f"chunk is {chunk}: one pair at a time is the least")
    size = chunk or (_pairs_at_a_time(model) if texts.device.type == "cpu" else len(texts))
    if len(images) > 1 and size < len(texts):
        parts = zip(images.split(size), texts.split(size), strict=True)
        found = [_relevance(model, x, t, start_layer, grid) for x, t in parts]
        maps, rows = zip(*found, strict=True)
        return torch.cat(maps), torch.cat(rows)
    return _relevance(model, images, texts, start_layer, grid)


# Activations of two pairs of ViT-B/16 at 224 pixels. A processor gains nothing from larger batches.
_ACTIVATIONS = 2 * 197 * 768 * 12


def _pairs_at_a_time(model: CLIP) -> int:
    height, width = model.visual.grid_size
    tower = model.visual.transformer
    return max(1, _ACTIVATIONS // ((height * width + 1) * tower.width * len(tower.resblocks)))


def _relevance(
    model: CLIP, images: Tensor, texts: Tensor, start_layer: int, grid: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """Maps and rows of pairs that are small enough together."""
    towers = [_blocks(model.visual.transformer), _blocks(model.transformer)]
    first = [_layer(start_layer, len(tower)) for tower in towers]
    several = len(images) == 1 and len(texts) > 1
    with _recording(model, [t[k:] for t, k in zip(towers, first, strict=True)], [several, False]) as kept:
        z_image = F.normalize(model.encode_image(images), dim=-1)
        z_text = F.normalize(encode_text(model, texts), dim=-1)
        logits = model.logit_scale.exp() * (z_image * z_text).sum(-1)
        text_grads = torch.autograd.grad(logits.sum(), [k.heads for k in kept[1]], retain_graph=True)
        heads = [k.heads for k in kept[0]]
        if several:
            # The image tower is the same for all texts: one graph, all gradients of its output pushed back at once.
            toward = (model.logit_scale.exp() * z_text).detach()[:, None]
            image_grads = torch.autograd.grad(z_image, heads, toward, is_grads_batched=True)
            image_grads = tuple(g[:, 0] for g in image_grads)
        else:
            image_grads = torch.autograd.grad(logits.sum(), heads)
    zero = torch.zeros(len(texts), dtype=torch.int64, device=texts.device)
    patches = _carry(kept[0], image_grads, zero)[:, 1:]
    tokens = _carry(kept[1], text_grads, texts.argmax(1))  # the end-of-text token has the largest id
    return patches.unflatten(1, grid), F.pad(tokens, (0, texts.shape[1] - tokens.shape[1]))


@dataclass
class _Kept:
    """One attention layer of one forward pass; tensors are [n, heads, tokens, width of a head]."""

    query: Tensor
    key: Tensor
    value: Tensor
    heads: Tensor  # output of the heads, before they are mixed: what gradients are taken of
    mask: Tensor | None


def _carry(kept: Sequence[_Kept], grads: Sequence[Tensor], start: Tensor) -> Tensor:
    """Row `start` [n] of the product over layers, [n, tokens]: from the last layer to the first."""
    n, tokens = len(start), kept[0].key.shape[2]
    row = torch.zeros(n, tokens, device=start.device)
    row[torch.arange(n, device=start.device), start] = 1
    # So far the row is one-hot, so one query of the last layer is enough.
    at = start[:, None, None, None]
    row = row + _moved(kept[-1], grads[-1], torch.ones(n, 1, device=start.device), at)
    for layer, grad in zip(reversed(kept[:-1]), reversed(grads[:-1]), strict=True):
        row = row + _moved(layer, grad, row, None)
    return row


@torch.no_grad()
def _moved(layer: _Kept, grad: Tensor, row: Tensor, at: Tensor | None) -> Tensor:
    """row [n, queries] times the layer's mean over heads of (gradient x attention)+, [n, tokens].

    The attention of one head at a time is computed again, which is cheaper than keeping all. Its gradient is that of
    the head's output times the values, so that no backward pass through the attention is needed.
    """
    query, key, value, grad = (x.float() for x in (layer.query, layer.key, layer.value, grad))
    mask = None if layer.mask is None else layer.mask.float()
    if at is not None:
        width = query.shape[-1]
        query, grad = (
            x.expand(len(at), -1, -1, -1).gather(2, at.expand(-1, x.shape[1], 1, width))
            for x in (query, grad)
        )
        mask = None if mask is None else mask[at[:, 0, 0, 0]][:, None]
    total = torch.zeros(len(row), key.shape[2], device=row.device)
    for head in range(key.shape[1]):
        q, k, v, g = (x[:, head] for x in (query, key, value, grad))
        attention = q @ k.transpose(1, 2) * q.shape[-1] ** -0.5
        attention = (attention if mask is None else attention + mask).softmax(-1)
        pulled = (g @ v.transpose(1, 2)).mul_(attention).clamp_(0)
        total += (row[:, None] @ pulled)[:, 0]
    return total / key.shape[1]


@dataclass
class _Recorder:
    """Takes the place of a ``MultiheadAttention``'s forward: the same result, and what it took to get there."""

    attention: nn.MultiheadAttention
    plain: bool  # attention in elementary steps, whose gradient can be batched
    kept: list[_Kept]  # of the whole tower, in order

    def __call__(self, query: Tensor, key: Tensor, value: Tensor, **given: Any) -> tuple[Tensor, None]:
        """As ``MultiheadAttention.forward`` with ``batch_first`` and one input for all three."""
        layer, mask = self.attention, given.get("attn_mask")
        packed = F.linear(query, layer.in_proj_weight, layer.in_proj_bias)
        q, k, v = packed.unflatten(-1, (3, layer.num_heads, -1)).permute(2, 0, 3, 1, 4)
        if self.plain:
            scores = q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5
            heads = (scores if mask is None else scores + mask).softmax(-1) @ v
        else:
            heads = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        if not heads.requires_grad:  # the first layer that counts: what lies before it needs no graph
            heads = heads.detach().requires_grad_()
        self.kept.append(_Kept(q.detach(), k.detach(), v.detach(), heads, mask))
        return layer.out_proj(heads.transpose(1, 2).flatten(2)), None


@contextmanager
def _recording(
    model: nn.Module, towers: Sequence[Sequence[nn.MultiheadAttention]], plain: Sequence[bool]
) -> Iterator[list[list[_Kept]]]:
    """Record the given layers of each tower; parameters are frozen and everything is put back at the end."""
    learned = [p for p in model.parameters() if p.requires_grad]
    modes = [(m, m.training) for m in model.modules()]
    # Recomputation would run the recorders a second time.
    saving = [m for m in model.modules() if getattr(m, "grad_checkpointing", False)]
    kept: list[list[_Kept]] = [[] for _ in towers]
    try:
        for parameter in learned:
            parameter.requires_grad_(False)
        model.eval()
        for module in saving:
            setattr(module, "grad_checkpointing", False)  # noqa: B010 - not declared by every module
        for tower, elementary, into in zip(towers, plain, kept, strict=True):
            for layer in tower:
                layer.forward = _Recorder(layer, elementary, into)  # type: ignore[method-assign,assignment]
        with torch.enable_grad():
            yield kept
    finally:
        for tower in towers:
            for layer in tower:
                layer.__dict__.pop("forward", None)
        for module in saving:
            setattr(module, "grad_checkpointing", True)  # noqa: B010
        for module, mode in modes:
            module.training = mode
        for parameter in learned:
            parameter.requires_grad_(True)


def _check(model: CLIP, images: Tensor, texts: Tensor) -> tuple[int, int]:
    """Grid of patches (h, w); ValueError where relevance is not defined."""
    if images.ndim != 4 or texts.ndim != 2 or len(images) not in (1, len(texts)) or not len(texts):
        raise ValueError(
            "images must be [n, 3, S, S] (or one picture for all texts) and texts token ids [n, L], "
            f"got {list(images.shape)} and {list(texts.shape)}"
        )
    visual = model.visual
    pooling = getattr(visual, "pool_type", None), getattr(model, "text_pool_type", None)
    if pooling != ("tok", "argmax") or getattr(visual, "attn_pool", None) is not None:
        raise ValueError(
            "relevance needs an open_clip CLIP with a vision transformer that pools its class token and a text tower "
            f"that pools the end of the text; this one has {type(visual).__name__} and pools {pooling}"
        )
    height, width = visual.grid_size
    return int(height), int(width)


def _blocks(transformer: nn.Module) -> list[nn.MultiheadAttention]:
    """Attention of each block."""
    layers = [getattr(block, "attn", None) for block in transformer.resblocks]  # type: ignore[union-attr]
    found = [layer for layer in layers if isinstance(layer, nn.MultiheadAttention) and layer.batch_first]
    if len(found) != len(layers):
        raise ValueError("relevance needs blocks with torch's MultiheadAttention, batch first")
    return found


def _layer(start: int, count: int) -> int:
    if not -count <= start < count:
        raise ValueError(f"start_layer is {start}: the tower has layers 0 to {count - 1}")
    return start % count
