"""Dual encoders: an image tower and a text tower with a shared embedding space, as in CLIP.

The model is always an unmodified class of open_clip. ``fbu-tiny`` is our own small configuration for 64-pixel
faces on a CPU; everything else is an open_clip name, with published weights, a local file, or random weights.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn

from fbu.config import data_root
from fbu.errors import DataError
from fbu.models.fitting import LoadReport, fit
from fbu.models.reading import read_weights
from fbu.recipes import EncoderSpec

if TYPE_CHECKING:
    from open_clip.model import CLIP

TINY = "fbu-tiny"
# OpenAI's archives carry three numbers that describe the model.
_OPENAI_NUMBERS = ("input_resolution", "context_length", "vocab_size")
_LOG = logging.getLogger(__name__)


class Tokenizer:
    """CLIP's byte-pair tokenizer, cut to its most frequent merges.

    CLIP's merges are sorted by frequency, so the first ones still spell every text, in a few more pieces. A small
    vocabulary keeps a small text tower small: 49,408 rows of embedding would outweigh the rest of it.

    Args:
        merges: how many merges to keep; None keeps all (49,408 tokens).
        context_length: tokens per text; longer texts are cut, shorter ones padded with 0.
    """

    def __init__(self, merges: int | None = None, context_length: int = 77) -> None:
        from open_clip.tokenizer import SimpleTokenizer

        self._bpe = SimpleTokenizer(context_length=context_length)
        self.context_length = context_length
        if merges is not None:
            self._bpe.bpe_ranks = {p: r for p, r in self._bpe.bpe_ranks.items() if r < merges}
            kept = 512 + merges  # 256 bytes, 256 word-final bytes, the merges
            for offset, name in enumerate(("<start_of_text>", "<end_of_text>")):
                self._bpe.encoder[name] = kept + offset
            self._bpe.sot_token_id, self._bpe.eot_token_id = kept, kept + 1
            self._bpe.all_special_ids = [kept, kept + 1]
        self.vocab_size = 512 + merges + 2 if merges is not None else self._bpe.vocab_size

    def __call__(self, texts: Sequence[str]) -> Tensor:
        """Token ids, int64 (len(texts), context_length); the largest id of a row marks its end."""
        return self._bpe(list(texts), context_length=self.context_length)

    def pieces(self, text: str) -> list[str]:
        """The pieces a text is cut into, without start and end."""
        return [self._bpe.bpe(w) for w in re.findall(r"\S+", text.lower())]


class ConvStem(nn.Sequential):
    """Patch embedding by small convolutions instead of one large one (Xiao et al. 2021), stride 16.

    A plain patch projection needs millions of pictures before a small transformer learns anything from it. This one
    takes the place of ``visual.conv1``; the transformer above it stays open_clip's.
    """

    def __init__(self, width: int) -> None:
        def block(inside: int, outside: int, kernel: int, stride: int) -> list[nn.Module]:
            conv = nn.Conv2d(inside, outside, kernel, stride, kernel // 2, bias=False)
            return [conv, nn.BatchNorm2d(outside), nn.ReLU(inplace=True)]

        super().__init__(
            *block(3, 16, 5, 2),
            nn.MaxPool2d(2),
            *block(16, 32, 3, 1),
            *block(32, 64, 3, 2),
            *block(64, 96, 3, 2),
            nn.Conv2d(96, width, 1),
        )


# Large enough to learn from drawn faces within minutes on one core, and no larger.
TINY_CONFIG: dict[str, Any] = {
    "embed_dim": 64,
    "vision_cfg": {"image_size": 64, "layers": 3, "width": 96, "head_width": 32, "patch_size": 16},
    "text_cfg": {"context_length": 48, "vocab_size": 4000 + 514, "width": 64, "heads": 2, "layers": 2},
}


def _tiny() -> CLIP:
    from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg

    vision, text = CLIPVisionCfg(**TINY_CONFIG["vision_cfg"]), CLIPTextCfg(**TINY_CONFIG["text_cfg"])
    model = CLIP(TINY_CONFIG["embed_dim"], vision, text)
    model.visual.conv1 = ConvStem(vision.width)  # a drop-in: (n, 3, 64, 64) -> (n, width, 4, 4)
    return model


@lru_cache(maxsize=4)
def tokenizer_for(name: str) -> Tokenizer:
    """Tokenizer of a dual encoder."""
    if name == TINY:
        text = TINY_CONFIG["text_cfg"]
        return Tokenizer(text["vocab_size"] - 514, text["context_length"])
    return Tokenizer()


def load_dual_encoder(name: str, pretrained: str | None = None, checkpoint: str | Path | None = None) -> CLIP:
    """Build a CLIP-style dual encoder, an unmodified open_clip model.

    Args:
        name: ``"fbu-tiny"`` or an open_clip model name. Weights of OpenAI CLIP and FaRL need a ``-quickgelu`` name.
        pretrained: open_clip tag of published weights, fetched by open_clip; excludes ``checkpoint``.
        checkpoint: local file with OpenAI's names, of any kind that :func:`~fbu.models.reading.read_weights` opens.
            What a FaRL file holds beside CLIP's names is left out, and a warning is logged that lists it. Neither
            argument: random weights.

    Returns:
        The model, with ``encode_image`` (n, 3, S, S) -> (n, d), ``encode_text`` (n, L) -> (n, d), ``logit_scale``.

    Raises:
        DataError: unknown name, both weights given, or a file that :func:`~fbu.models.reading.read_weights` or
            :func:`fill` refuses.
    """
    if pretrained is not None and checkpoint is not None:
        raise DataError(f"{name}: give `pretrained` or `checkpoint`, not both")
    if checkpoint is None:
        return _build(name, pretrained)
    state = read_weights(checkpoint)
    model = unfilled(name)
    # FaRL's files may hold more than CLIP; with the plain GELU a file is not FaRL's, and more is a mistake.
    report = fill(model, state, checkpoint, name, unexpected="list" if _has_quick_gelu(model) else "refuse")
    if report.unexpected:
        names = ", ".join(report.unexpected)
        _LOG.warning(
            "%s: left out %d tensors beside those of %s: %s", checkpoint, len(report.unexpected), name, names
        )
    return model


def _build(name: str, pretrained: str | None = None, image_size: int | None = None) -> CLIP:
    import open_clip

    if name == TINY:
        if pretrained is not None:
            raise DataError(f"{TINY} has no published weights: leave out pretrained={pretrained!r}")
        if image_size is not None:
            raise DataError(f"{TINY} has one input size, 64 pixels: leave out image_size={image_size}")
        return _tiny()
    if name not in open_clip.list_models():
        near = [m for m in open_clip.list_models() if m.startswith(name[:6])]
        raise DataError(
            f"no dual encoder {name!r}; known names that begin alike: {', '.join(near) or 'none'}"
        )
    if pretrained is None:
        return open_clip.create_model(name, load_weights=False, force_image_size=image_size)
    tags = open_clip.list_pretrained_tags_by_model(name)
    if pretrained not in tags:
        raise DataError(f"{name} has no published weights {pretrained!r}; open_clip knows {', '.join(tags)}")
    return open_clip.create_model(name, pretrained=pretrained)


def unfilled(name: str, image_size: int | None = None) -> CLIP:
    """Dual encoder whose weights are about to come from a file; until then they are random.

    Args:
        name: as for :func:`load_dual_encoder`.
        image_size: side of the input in pixels if not the model's.

    Raises:
        DataError: unknown name, or another input size for ``fbu-tiny``.
    """

    def keep(record: logging.LogRecord) -> bool:
        return "initialized randomly" not in record.getMessage()  # true for a moment, and alarming

    root = logging.getLogger()
    root.addFilter(keep)
    try:
        return _build(name, image_size=image_size)
    finally:
        root.removeFilter(keep)


def fill(
    model: CLIP,
    state: Mapping[str, Tensor],
    file: str | Path,
    name: str,
    *,
    unexpected: Literal["refuse", "list"] = "refuse",
    quick_gelu: bool = False,
) -> LoadReport:
    """Fit the weights of a file to a dual encoder, in place; position embeddings of another size are resized.

    Args:
        model: from :func:`unfilled`.
        state: tensors with OpenAI's names, from :func:`~fbu.models.reading.read_weights`.
        file: where they come from. FaRL's published files are known by their name: it is all that tells their
            weights from those of open_clip.
        name: the model's.
        unexpected: whether names beside the model's are refused or listed in the report.
        quick_gelu: the weights were trained with the quick form of GELU, whatever the file looks like.

    Raises:
        DataError: a name that is missing, unknown or of another shape (:func:`~fbu.models.fitting.fit`), or weights
            of OpenAI or FaRL for a model without the quick form of GELU, in which they run and score worse.
    """
    openai = any(k.endswith(_OPENAI_NUMBERS) for k in state)
    if quick_gelu or openai or Path(file).name.startswith("FaRL-"):
        _need_quick_gelu(model, name, file)
    grid = getattr(model.visual, "grid_size", None)  # CLIP's ResNets have none
    return fit(
        model,
        state,
        file,
        architecture=name,
        ignore=_OPENAI_NUMBERS,
        unexpected=unexpected,
        positions={"visual.positional_embedding": (grid[0], grid[1])} if grid else None,
    )


def _has_quick_gelu(model: CLIP) -> bool:
    from open_clip.transformer import QuickGELU

    return any(isinstance(m, QuickGELU) for m in model.modules())


def _need_quick_gelu(model: CLIP, name: str, file: str | Path) -> None:
    if name != TINY and not _has_quick_gelu(model):  # no published weights have the shapes of fbu-tiny
        raise DataError(
            f"{file}: was trained with the quick form of GELU, which {name} has not; in {name} the weights would load "
            f"and score worse: use {name}-quickgelu"
        )


def encoder_from(spec: EncoderSpec) -> CLIP:
    """Dual encoder of a recipe; a checkpoint is looked up under ``$FBU_DATA/weights``.

    Raises:
        DataError: the checkpoint is wanted and FBU_DATA is not set or has no such file.
    """
    if spec.checkpoint is None:
        return load_dual_encoder(spec.name, spec.pretrained)
    root = data_root()
    if root is None:
        raise DataError(f"not run: weights {spec.checkpoint} are wanted and FBU_DATA is not set")
    return load_dual_encoder(spec.name, checkpoint=root / "weights" / spec.checkpoint)


def encode_text(model: CLIP, tokens: Tensor) -> Tensor:
    """Features (n, d) of texts, as ``model.encode_text`` gives them, without the padding behind the longest text.

    A position attends to those before it only, so what stands behind the end of a text cannot change its feature. Label
    names take some 15 of CLIP's 77 positions.

    Args:
        model: dual encoder; one whose text tower is not CLIP's (no causal mask, another pooling) reads all positions.
        tokens: token ids (n, L), the largest of a row at its end, L as the model's context or shorter.
    """
    mask = getattr(model, "attn_mask", None)
    if mask is None or getattr(model, "text_pool_type", None) != "argmax" or not len(tokens):
        return model.encode_text(tokens)
    length = int(tokens.argmax(-1).max()) + 1
    tokens, kind = tokens[:, :length], model.transformer.get_cast_dtype()
    x = model.token_embedding(tokens).to(kind) + model.positional_embedding[:length].to(kind)
    x = model.ln_final(model.transformer(x, attn_mask=mask[:length, :length]))
    x = x[torch.arange(len(x), device=x.device), tokens.argmax(-1)]
    projection = model.text_projection
    return projection(x) if isinstance(projection, nn.Linear) else x @ projection


def parameter_counts(model: CLIP) -> dict[str, int]:
    """Parameters of the image tower, of the text tower (the rest without the temperature), and of both."""
    image = sum(p.numel() for p in model.visual.parameters())
    total = sum(p.numel() for p in model.parameters())
    scalars = sum(p.numel() for n, p in model.named_parameters() if n in ("logit_scale", "logit_bias"))
    return {"image": image, "text": total - image - scalars, "total": total}
