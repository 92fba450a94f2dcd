"""The loaders of CLIP and FaRL: published weights, fitted and accounted for.

:func:`~fbu.models.reading.read_weights` opens a file, :func:`~fbu.models.fitting.fit` puts its tensors into a model.
:mod:`fbu.models.visual` has the image towers, :mod:`fbu.models.texts` the text towers of ALIGN and BLIP.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from fbu.models.encoders import fill, unfilled
from fbu.models.fitting import LoadReport, cut_prefixes, fit, resize_positions
from fbu.models.reading import read_weights

if TYPE_CHECKING:
    from open_clip.model import CLIP

__all__ = ["LoadReport", "cut_prefixes", "fit", "load_clip", "load_farl", "resize_positions"]


def load_clip(
    name: str,
    file: str | Path,
    *,
    image_size: int | None = None,
    unexpected: Literal["refuse", "list"] = "refuse",
) -> tuple[CLIP, LoadReport]:
    """CLIP from a local file: OpenAI's archive, a state dict with OpenAI's names, or a file of open_clip.

    Args:
        name: ``"fbu-tiny"`` or an open_clip model name; ``-quickgelu`` for OpenAI's weights.
        file: TorchScript archive (half precision is widened), torch file or safetensors. ``ViT-B-16``: 302 tensors,
            149,620,737 numbers.
        image_size: side of the input in pixels if not the model's; position embeddings are resized.
        unexpected: whether names beside CLIP's are refused or listed in the report.

    Returns:
        The model, with ``encode_image`` (n, 3, S, S) -> (n, d) and ``encode_text`` (n, L) -> (n, d), and the report.

    Raises:
        DataError: unknown name, or a file that :func:`~fbu.models.reading.read_weights` or
            :func:`~fbu.models.encoders.fill` refuses, as OpenAI's weights for a model without the quick form of GELU.
    """
    return _load(name, file, image_size, unexpected)


def load_farl(
    file: str | Path, *, name: str = "ViT-B-16-quickgelu", image_size: int | None = None
) -> tuple[CLIP, LoadReport]:
    """FaRL (Zheng et al., CVPR 2022): CLIP ViT-B/16 trained on faces, from a local file.

    The files are made for ``load_state_dict(..., strict=False)`` on OpenAI's model (public code of
    ``FacePerceiver/FaRL``), and their size leaves room for parts of the masked-image-modelling head. Names beside
    CLIP's are therefore listed in the report, not refused; none of CLIP's 302 may be missing.

    Args:
        file: ``FaRL-Base-Patch16-LAIONFace20M-ep16.pth`` or ``-ep64.pth``.
        name: open_clip model name with the quick form of GELU.
        image_size: side of the input in pixels if not 224; position embeddings are resized.

    Raises:
        DataError: as :func:`load_clip`.
    """
    return _load(name, file, image_size, "list", quick_gelu=True)


def _load(
    name: str,
    file: str | Path,
    image_size: int | None,
    unexpected: Literal["refuse", "list"],
    quick_gelu: bool = False,
) -> tuple[CLIP, LoadReport]:
    state = read_weights(file)
    model = unfilled(name, image_size)
    return model, fill(model, state, file, name, unexpected=unexpected, quick_gelu=quick_gelu)
