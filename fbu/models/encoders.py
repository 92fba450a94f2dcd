"""Dual encoders: an image tower and a text tower with a shared embedding space, as in CLIP.

The model is always an unmodified class of open_clip. ``fbu-tiny`` is our own small configuration for 64-pixel
faces on a CPU; everything else is an open_clip name, with published weights, a local file, or random weights.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from fbu.config import data_root
from fbu.errors import DataError
from fbu.recipes import EncoderSpec

if TYPE_CHECKING:
    from open_clip.model import CLIP

TINY = "fbu-tiny"
# Keys of OpenAI's archives that describe the model instead of holding weights.
_NOT_WEIGHTS = {"input_resolution", "context_length", "vocab_size"}


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
        name: ``"fbu-tiny"`` or an open_clip model name. Weights of OpenAI CLIP and FaRL need a ``-quickgelu`` name:
            with the other activation they load and quietly score worse.
        pretrained: open_clip tag of published weights, fetched by open_clip; excludes ``checkpoint``.
        checkpoint: local file with OpenAI-CLIP key names: a state dict, ``{"state_dict": ...}`` as FaRL's,
            safetensors, or an OpenAI archive. Neither argument: random weights.

    Returns:
        The model, with ``encode_image`` (n, 3, S, S) -> (n, d), ``encode_text`` (n, L) -> (n, d), ``logit_scale``.

    Raises:
        DataError: unknown name, both weights given, a missing file, a key that is missing, unknown or of another
            shape, or a file that would need arbitrary unpickling.
    """
    if pretrained is not None and checkpoint is not None:
        raise DataError(f"{name}: give `pretrained` or `checkpoint`, not both")
    if name == TINY:
        if pretrained is not None:
            raise DataError(f"{TINY} has no published weights: leave out pretrained={pretrained!r}")
        model = _tiny()
    else:
        model = _open_clip(name, pretrained)
    if checkpoint is not None:
        _load_into(model, Path(checkpoint))
    return model


def _open_clip(name: str, pretrained: str | None) -> CLIP:
    import open_clip

    if name not in open_clip.list_models():
        near = [m for m in open_clip.list_models() if m.startswith(name[:6])]
        raise DataError(
            f"no dual encoder {name!r}; known names that begin alike: {', '.join(near) or 'none'}"
        )
    if pretrained is None:
        return open_clip.create_model(name, load_weights=False)
    tags = open_clip.list_pretrained_tags_by_model(name)
    if pretrained not in tags:
        raise DataError(f"{name} has no published weights {pretrained!r}; open_clip knows {', '.join(tags)}")
    return open_clip.create_model(name, pretrained=pretrained)


def _load_into(model: CLIP, path: Path) -> None:
    from open_clip.model import resize_pos_embed

    state = {k.removeprefix("module."): v for k, v in read_state(path).items() if k not in _NOT_WEIGHTS}
    if "visual.positional_embedding" in state:
        resize_pos_embed(state, model)
    wanted = model.state_dict()
    missing = sorted(set(wanted) - set(state))
    unknown = sorted(set(state) - set(wanted))
    other = sorted(k for k in set(wanted) & set(state) if wanted[k].shape != state[k].shape)
    for what, keys in (("lacks", missing), ("has unknown", unknown), ("has other shapes for", other)):
        if keys:
            raise DataError(
                f"{path}: {what} {len(keys)} of {len(wanted)} weights ({', '.join(keys[:3])} ...); "
                "choose the model name that the file was made for"
            )
    model.load_state_dict(state)


def read_state(path: Path) -> dict[str, Tensor]:
    """Weights of a local file by name, in float32, without running pickled code.

    Raises:
        DataError: no such file, or it is neither safetensors, nor a plain torch file of tensors, nor a
            TorchScript archive.
    """
    if not path.exists():
        raise DataError(f"{path}: no such weights file")
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return {k: v.float() for k, v in load_file(path).items()}
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # torch raises several types for archives and for refused pickles
        state = _torchscript_state(path)
    state = state.get("state_dict", state)
    return {k: v.float() for k, v in state.items() if isinstance(v, Tensor)}


def _torchscript_state(path: Path) -> dict[str, Any]:
    try:
        return dict(torch.jit.load(str(path), map_location="cpu").state_dict())
    except Exception as error:
        raise DataError(
            f"{path}: neither safetensors, nor a torch file of plain tensors, nor a TorchScript archive; files that "
            "need arbitrary unpickling are refused"
        ) from error


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


def parameter_counts(model: CLIP) -> dict[str, int]:
    """Parameters of the image tower, of the text tower (the rest without the temperature), and of both."""
    image = sum(p.numel() for p in model.visual.parameters())
    total = sum(p.numel() for p in model.parameters())
    scalars = sum(p.numel() for n, p in model.named_parameters() if n in ("logit_scale", "logit_bias"))
    return {"image": image, "text": total - image - scalars, "total": total}
