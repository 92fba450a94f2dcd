"""Where a vision transformer attends, whatever it is asked: the baselines of relevance maps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

if TYPE_CHECKING:
    from open_clip.model import CLIP


@torch.no_grad()
def attention_maps(model: CLIP, images: Tensor, how: Literal["rollout", "last"] = "rollout") -> Tensor:
    r"""Attention of the class token to the patches; no text takes part.

    "last" is the class token's attention in the last layer, the mean over heads. "rollout" follows it through all
    layers (Abnar and Zuidema, ACL 2020, Sec. 3): with :math:`A_l` the mean over heads, the class token's row of

    .. math:: \prod_l \tfrac{1}{2} (A_l + I).

    Args:
        model: open_clip ``CLIP`` with a vision transformer that has a class token; it is not changed. Evaluation mode
            is used whatever its mode is.
        images: normalised pictures, float ``[n, 3, S, S]``.
        how: "rollout" or "last".

    Returns:
        Float32 ``[n, h, w]`` on the grid of patches; with the class token's own share the values sum to 1.

    Raises:
        ValueError: an unknown way, or a model without such blocks.
    """
    if how not in ("rollout", "last"):
        raise ValueError(f"how is {how!r}; known: rollout, last")
    visual = model.visual
    blocks = getattr(getattr(visual, "transformer", None), "resblocks", ())
    layers = [getattr(block, "attn", None) for block in blocks]
    known = [layer for layer in layers if isinstance(layer, nn.MultiheadAttention) and layer.batch_first]
    if not known or len(known) != len(layers) or not hasattr(visual, "class_embedding"):
        raise ValueError(
            f"attention maps need a vision transformer with a class token, this one is {type(visual).__name__}"
        )
    with _recorded(visual, known if how == "rollout" else known[-1:]) as kept:
        model.encode_image(images)
    row = kept[-1][:, 0]
    if how == "rollout":
        row = torch.zeros_like(row)
        row[:, 0] = 1
        for attention in reversed(kept):
            row = (row + (row[:, None] @ attention)[:, 0]) / 2
    return row[:, 1:].unflatten(1, tuple(visual.grid_size))


@contextmanager
def _recorded(visual: nn.Module, layers: list[nn.MultiheadAttention]) -> Iterator[list[Tensor]]:
    """Mean attention over heads ``[n, t, t]`` of each layer, in order; hooks and modes are put back at the end."""
    kept: list[Tensor] = []

    def record(layer: nn.MultiheadAttention, given: tuple[Any, ...], _: dict[str, Any]) -> None:
        packed = F.linear(given[0], layer.in_proj_weight, layer.in_proj_bias)
        query, key, _value = packed.unflatten(-1, (3, layer.num_heads, -1)).permute(2, 0, 3, 1, 4).float()
        scores = query @ key.transpose(-2, -1) * query.shape[-1] ** -0.5
        kept.append(scores.softmax(-1).mean(1))

    modes = [(module, module.training) for module in visual.modules()]
    hooks = [layer.register_forward_pre_hook(record, with_kwargs=True) for layer in layers]
    try:
        visual.eval()
        yield kept
    finally:
        for hook in hooks:
            hook.remove()
        for module, mode in modes:
            module.training = mode
