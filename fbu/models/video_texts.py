"""Texts of classes beside videos: fixed or with learned context, and conditioned on what a clip shows (DK-CLIP, 3.4).

Shapes: C classes, L positions of a text, n clips, M patches, W width of the image tower, d width of CLIP's space.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn

from fbu.labels import prompting
from fbu.labels.appearance import APPEARANCE
from fbu.models.encoders import Tokenizer, encode_text
from fbu.models.video import heads_of

if TYPE_CHECKING:
    from open_clip.model import CLIP

Words = Literal["names", "or", "and", "files", "descriptions"]


def class_words(kind: Words, classes: Sequence[str]) -> list[str]:
    """A text per class.

    Args:
        kind: "names" (Table 6 (a), (b)); "or" and "and", names with their action units joined so ((e), (d)); "files",
            those of the authors' label files; "descriptions" of faces without the name, as DFER-CLIP asks a language
            model for (c); these are in our words.
        classes: expressions.

    Raises:
        ValueError: an unknown expression.

    Example:
        >>> class_words("or", ["happiness", "neutral"])
        ['happiness with cheek raiser, lip corner puller or lip part', 'neutral']
    """
    names = prompting.names("expression", classes)
    if kind == "names":
        return names
    if kind == "descriptions":
        return [APPEARANCE[name] for name in names]
    return [prompting.enriched(name, kind) for name in names]


class FixedTexts(nn.Module):
    """Features of texts by a frozen text tower, computed once.

    Args:
        features: (C, d), of any length.
    """

    features: Tensor

    def __init__(self, features: Tensor) -> None:
        super().__init__()
        self.register_buffer("features", features)

    @classmethod
    def of(cls, model: CLIP, tokens: Tensor) -> FixedTexts:
        """Those of token ids (C, L)."""
        with torch.no_grad():
            return cls(encode_text(model, tokens).clone())

    def forward(self) -> Tensor:
        """(C, d)."""
        return self.features


class ContextTexts(nn.Module):
    """Texts that begin with learned vectors, the same for all classes (CoOp, Zhou et al. 2022).

    The text tower stays frozen; gradient passes through it to the vectors, for C texts however large the batch is.

    Args:
        model: dual encoder, whose text tower is used in place and frozen.
        tokens: (C, L) token ids of the classes' texts.
        context: vectors between the start of a text and its first word.

    Raises:
        ValueError: a text that has no room for so many more.
    """

    tokens: Tensor
    mask: Tensor

    def __init__(self, model: CLIP, tokens: Tensor, context: int) -> None:
        super().__init__()
        needed = int(tokens.argmax(-1).max()) + 1 + context
        room = len(model.positional_embedding)
        if needed > room:
            raise ValueError(
                f"the longest text and {context} context vectors need {needed} positions of {room}"
            )
        self.length = needed
        self.embedding, self.transformer, self.norm = (
            model.token_embedding,
            model.transformer,
            model.ln_final,
        )
        self.position, self.projection = model.positional_embedding, model.text_projection
        self.requires_grad_(False)
        self.register_buffer("tokens", tokens)
        self.register_buffer("mask", model.attn_mask[:needed, :needed].clone(), persistent=False)
        self.context = nn.Parameter(0.02 * torch.randn(context, model.token_embedding.embedding_dim))

    def forward(self) -> Tensor:
        """(C, d)."""
        context = len(self.context)
        words = self.embedding(self.tokens[:, : self.length - context])
        x = torch.cat([words[:, :1], self.context.expand(len(words), -1, -1), words[:, 1:]], 1)
        x = self.transformer(x + self.position[: self.length], attn_mask=self.mask)
        ends = self.tokens.argmax(-1) + context
        return self.norm(x[torch.arange(len(x), device=x.device), ends]) @ self.projection


def texts_of(model: CLIP, tokenizer: Tokenizer, words: Sequence[str], context: int) -> nn.Module:
    """:class:`ContextTexts` where there is context, else :class:`FixedTexts`."""
    tokens = tokenizer(words)
    return ContextTexts(model, tokens, context) if context else FixedTexts.of(model, tokens)


class PromptLayer(nn.Module):
    """Texts look at a clip's patches, then an MLP; both with a residual (X-CLIP's prompt generator)."""

    def __init__(self, width: int) -> None:
        from open_clip.transformer import QuickGELU

        super().__init__()
        self.norm_1, self.norm_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, heads_of(width), batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), QuickGELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor, seen: Tensor) -> Tensor:
        """Texts (n, C, d) after a look at (n, M, d)."""
        x = x + self.attention(self.norm_1(x), seen, seen, need_weights=False)[0]
        return x + self.mlp(self.norm_2(x))


class VideoPrompts(nn.Module):
    """Cross-modal attention: texts that are conditioned on what a clip shows (Eq. 8).

    ::

        c^ = c + gamma FFN(MHSA(c, z))

    Args:
        tower_width: W of the patch tokens.
        width: d.
        layers: of attention and MLP.

    Attributes:
        gamma: (d,) learned, 0.1 at the start.
    """

    def __init__(self, tower_width: int, width: int, layers: int = 2) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(tower_width)
        self.project = nn.Linear(tower_width, width, bias=False)
        self.norm_seen = nn.LayerNorm(width)
        self.layers = nn.ModuleList(PromptLayer(width) for _ in range(layers))
        self.gamma = nn.Parameter(0.1 * torch.ones(width))

    def forward(self, texts: Tensor, patches: Tensor) -> Tensor:
        """Texts (n, C, d) for each clip, from those of all (C, d) and its patch tokens (n, M, W)."""
        seen = self.norm_seen(self.project(self.norm(patches)))
        x = texts.expand(len(patches), -1, -1)
        for layer in self.layers:
            x = layer(x, seen)
        return texts + self.gamma * x


def mean_patches(patches: Tensor, kept: Tensor) -> Tensor:
    """Mean patch tokens of the snippets that are kept (Eq. 7 over T* frames).

    Where no snippet is left all count: the paper's mean would be over nothing.

    Args:
        patches: (n, N, M, W) means over the frames of each snippet.
        kept: (n, N) booleans.

    Returns:
        (n, M, W).

    Example:
        >>> patches = torch.tensor([1.0, 3.0]).view(1, 2, 1, 1)
        >>> mean_patches(patches, torch.tensor([[False, True]])).item()
        3.0
        >>> mean_patches(patches, torch.tensor([[False, False]])).item()
        2.0
    """
    kept = kept | ~kept.any(1, keepdim=True)
    weight = (kept / kept.sum(1, keepdim=True)).to(patches.dtype)
    return torch.einsum("nsmw,ns->nmw", patches, weight)
