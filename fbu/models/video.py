"""Video encoders on CLIP's image tower: frames in snippets, snippets in clips (DK-CLIP, Sec. 3.3, after X-CLIP).

Shapes: n clips, N snippets of t frames each (T = N t), M patches of a frame, W width of the tower, d width of CLIP's
shared space.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

if TYPE_CHECKING:
    from open_clip.transformer import ResidualAttentionBlock, VisionTransformer

Temporal = Literal["hierarchical", "cross_frame", "transformer", "average"]
HEAD = 64  # width of a head in the modules that are added


def heads_of(width: int) -> int:
    """Heads of an added module: 64 numbers each, 8 at CLIP's width of 512, at least one."""
    return max(1, width // HEAD)


def added_block(width: int) -> ResidualAttentionBlock:
    """A transformer block as CLIP's are, random weights."""
    from open_clip.transformer import QuickGELU, ResidualAttentionBlock

    return ResidualAttentionBlock(width, heads_of(width), act_layer=QuickGELU)


class MessageAttention(nn.Module):
    """Message tokens: one per frame, made of its class token, which look at each other within a snippet (Eq. 3).

    Args:
        width: W.
        heads: of the attention, as many as the tower's blocks have.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)

    def forward(self, tokens: Tensor) -> Tensor:
        """Messages (k, t, W) of the class tokens (k, t, W) of k snippets."""
        message = self.linear(tokens)
        x = self.norm(message)
        return message + self.attention(x, x, x, need_weights=False)[0]


def cross_frame(block: ResidualAttentionBlock, messages: MessageAttention, z: Tensor) -> Tensor:
    """A block of the tower in which each frame also looks at its message (Eq. 3 and 4).

    The message is no query: it is dropped after the attention, as in X-CLIP, so what it would have become is never
    computed.

    Args:
        block: of CLIP's image tower.
        messages: made for the block.
        z: (k, t, M + 1, W) tokens of k snippets, each frame's class token first.

    Returns:
        (k, t, M + 1, W).
    """
    k, frames = z.shape[:2]
    message = messages(z[:, :, 0]).flatten(0, 1)[:, None]  # (k t, 1, W)
    x = z.flatten(0, 1)
    query = block.ln_1(x)
    seen = torch.cat([query, block.ln_1(message)], 1)
    x = x + block.ls_1(block.attention(query, seen, seen))
    x = x + block.ls_2(block.mlp(block.ln_2(x)))
    return x.unflatten(0, (k, frames))


class SnippetIntegration(nn.Module):
    """A clip's feature from those of its snippets (Eq. 6); with the authors' residual around the blocks.

    Args:
        snippets: N.
        width: d.
        layers: blocks.
    """

    def __init__(self, snippets: int, width: int, layers: int = 1) -> None:
        super().__init__()
        self.position = nn.Parameter(0.02 * torch.randn(snippets, width))
        self.blocks = nn.ModuleList(added_block(width) for _ in range(layers))

    def forward(self, snippets: Tensor) -> Tensor:
        """Features (n, d) of clips from those of their snippets (n, N, d)."""
        x = snippets + self.position
        for block in self.blocks:
            x = block(x)
        return (snippets + x).mean(1)


class TemporalTransformer(nn.Module):
    """A transformer over the frames of a clip that ends in an added token (Table 5 (b), after DFER-CLIP).

    Args:
        frames: T.
        width: d.
        layers: blocks, one in the paper.
    """

    def __init__(self, frames: int, width: int, layers: int = 1) -> None:
        super().__init__()
        self.token = nn.Parameter(0.02 * torch.randn(width))
        self.position = nn.Parameter(0.02 * torch.randn(frames + 1, width))
        self.blocks = nn.ModuleList(added_block(width) for _ in range(layers))

    def forward(self, frames: Tensor) -> Tensor:
        """Features (n, d) of clips from those of their frames (n, T, d)."""
        x = torch.cat([self.token.expand(len(frames), 1, -1), frames], 1) + self.position
        for block in self.blocks:
            x = block(x)
        return x[:, 0]


@dataclass(frozen=True)
class VideoFeatures:
    """What is known of n clips.

    Attributes:
        whole: (n, d) v, of clips.
        snippets: (n, N, d) s, means over the frames of each snippet (Eq. 5).
        patches: (n, N, M, W) last patch tokens, means over the frames of each snippet.
    """

    whole: Tensor
    snippets: Tensor
    patches: Tensor


class VideoEncoder(nn.Module):
    """Clips in the shared space of a CLIP, by its image tower and one of four ways to put frames together.

    ``hierarchical``: message tokens within each snippet, then a transformer over the snippets (Sec. 3.3).
    ``cross_frame``: messages among all frames of a clip, then their mean, as in X-CLIP. ``transformer``: every frame
    on its own, then a transformer over the frames. ``average``: every frame on its own, then their mean.

    The tower's patch embedding is frozen unless asked for, running statistics included; all else learns. Which modules
    are new is said by :meth:`added`, from the objects themselves.

    Args:
        visual: image tower of an open_clip model, whose weights are used in place.
        frames: T of a clip.
        snippets: N of a clip.
        temporal: how frames are put together.
        layers: blocks of the transformer over snippets or frames.
        checkpointing: whether the blocks of the tower are computed a second time in the backward pass, which takes
            less memory.
        frozen_patches: whether the patch embedding stays as it is.

    Raises:
        ValueError: frames that are no multiple of snippets, or a tower that is no plain ViT with a class token.
    """

    def __init__(
        self,
        visual: VisionTransformer,
        frames: int = 16,
        snippets: int = 4,
        temporal: Temporal = "hierarchical",
        layers: int = 1,
        checkpointing: bool = False,
        frozen_patches: bool = True,
    ) -> None:
        super().__init__()
        if snippets < 1 or frames % snippets:
            raise ValueError(
                f"frames is {frames} and snippets is {snippets}: frames must be a multiple of snippets"
            )
        _check_tower(visual)
        self.visual, self.frames, self.snippets, self.temporal = visual, frames, snippets, temporal
        self.checkpointing, self.frozen_patches = checkpointing, frozen_patches
        if frozen_patches:
            visual.conv1.requires_grad_(False)
        blocks, d = visual.transformer.resblocks, visual.output_dim
        self.messages: nn.ModuleList | None = None
        if temporal in ("hierarchical", "cross_frame"):
            self.messages = nn.ModuleList(
                MessageAttention(visual.transformer.width, block.attn.num_heads) for block in blocks
            )
        self.over: nn.Module | None = None
        if temporal == "hierarchical":
            self.over = SnippetIntegration(snippets, d, layers)
        elif temporal == "transformer":
            self.over = TemporalTransformer(frames, d, layers)

    def added(self) -> list[nn.Module]:
        """Modules that CLIP does not have."""
        return [module for module in (self.messages, self.over) if module is not None]

    def train(self, mode: bool = True) -> VideoEncoder:
        """A frozen patch embedding never goes into training mode, where a batch normalisation would move."""
        super().train(mode)
        if self.frozen_patches:
            self.visual.conv1.eval()
        return self

    def forward(self, clips: Tensor) -> VideoFeatures:
        """Features of clips.

        Args:
            clips: (n, N, t, 3, S, S) normalised frames.

        Raises:
            ValueError: another number of snippets or frames.
        """
        if clips.dim() != 6 or clips.shape[1:3] != (self.snippets, self.frames // self.snippets):
            wanted = f"(n, {self.snippets}, {self.frames // self.snippets}, 3, S, S)"
            raise ValueError(f"clips must be {wanted}, got {tuple(clips.shape)}")
        n = len(clips)
        z = self._embedded(clips.flatten(0, 2))  # (n T, M + 1, W)
        group = self.frames if self.temporal == "cross_frame" else self.frames // self.snippets
        z = z.unflatten(0, (-1, group))
        for at in range(len(self.visual.transformer.resblocks)):
            if self.checkpointing and torch.is_grad_enabled():
                z = checkpoint(self._block, at, z, use_reentrant=False)
            else:
                z = self._block(at, z)
        z = z.flatten(0, 1).unflatten(0, (n, self.snippets, -1))  # (n, N, t, M + 1, W)
        frames = self.visual.ln_post(z[..., 0, :]) @ self.visual.proj  # (n, N, t, d)
        snippets = frames.mean(2)
        if self.over is None:
            whole = snippets.mean(1)
        else:
            whole = self.over(snippets if self.temporal == "hierarchical" else frames.flatten(1, 2))
        return VideoFeatures(whole, snippets, z[..., 1:, :].mean(2))

    def _embedded(self, frames: Tensor) -> Tensor:
        """Tokens (k, M + 1, W) of frames (k, 3, S, S), before the first block (Eq. 2)."""
        visual = self.visual
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen_patches):
            patches = visual.conv1(frames).flatten(2).transpose(1, 2)
        token = visual.class_embedding.to(patches.dtype).expand(len(patches), 1, -1)
        z = torch.cat([token, patches], 1) + visual.positional_embedding.to(patches.dtype)
        return visual.ln_pre(z)

    def _block(self, at: int, z: Tensor) -> Tensor:
        block = self.visual.transformer.resblocks[at]
        if self.messages is not None:
            return cross_frame(block, self.messages[at], z)  # type: ignore[arg-type]
        return block(z.flatten(0, 1)).unflatten(0, z.shape[:2])


def _check_tower(visual: nn.Module) -> None:
    from open_clip.transformer import ResidualAttentionBlock, VisionTransformer

    plain = (
        isinstance(visual, VisionTransformer)
        and visual.attn_pool is None
        and visual.pool_type == "tok"
        and not visual.final_ln_after_pool
        and visual.proj is not None
        and all(isinstance(block, ResidualAttentionBlock) for block in visual.transformer.resblocks)
    )
    if not plain:
        raise ValueError(
            f"the image tower must be a plain ViT with a class token, got {type(visual).__name__}"
        )
