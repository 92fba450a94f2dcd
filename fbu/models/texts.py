"""Text towers of ALIGN and BLIP, which KE-FER compares with CLIP's (Table 1); needs ``pip install "fbu[align]"``.

Architecture and tokenizer come from ``transformers``, the weights go through :mod:`fbu.models.fitting` like all others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import torch
from torch import Tensor, nn

from fbu.errors import DataError
from fbu.models.fitting import LoadReport, fit
from fbu.models.reading import read_weights

Kind = Literal["ALIGN", "BLIP"]


@dataclass(frozen=True)
class _Layout:
    config: str  # class of the whole model's settings
    tower: str  # class of the text tower
    width: str  # field of the settings with the width of the shared space
    names: dict[str, str]  # prefix in the file -> prefix here
    ignore: tuple[str, ...]


_TABLES = ("*.position_ids", "*.token_type_ids")
_LAYOUTS: dict[str, _Layout] = {
    "ALIGN": _Layout(
        config="AlignConfig",
        tower="AlignTextModel",
        width="projection_dim",
        names={"text_model.": "tower.", "text_projection.": "projection."},
        ignore=("vision_model.*", "temperature", "tower.pooler.*", *_TABLES),
    ),
    "BLIP": _Layout(
        config="BlipConfig",
        tower="BlipTextModel",
        width="image_text_hidden_size",
        names={"text_encoder.": "tower.", "text_proj.": "projection."},
        ignore=("vision_model.*", "vision_proj.*", "itm_head.*", *_TABLES),
    ),
}
_FILES = ("model.safetensors", "pytorch_model.bin")


class TextTower(nn.Module):
    """BERT-like text tower and its projection into the space that it shares with pictures.

    Args:
        tower: gives hidden states (n, L, h); the first token stands for the text.
        projection: (n, h) -> (n, d).
        tokenizer: texts -> token ids and mask.
    """

    def __init__(self, tower: nn.Module, projection: nn.Module, tokenizer: Any) -> None:
        super().__init__()
        self.tower, self.projection = tower, projection
        self._tokenizer = tokenizer

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        """Features (n, d) of token ids (n, L); the mask is 1 at tokens and 0 at padding."""
        hidden = self.tower(input_ids=tokens, attention_mask=mask).last_hidden_state
        return self.projection(hidden[:, 0])

    @torch.no_grad()
    def encode(self, texts: Sequence[str]) -> Tensor:
        """Features (len(texts), d), not normalised, without gradient: the tower is frozen in KE-FER."""
        words = self._tokenizer(list(texts), padding=True, truncation=True, return_tensors="pt")
        device = next(self.parameters()).device
        return self(words["input_ids"].to(device), words["attention_mask"].to(device))


def load_text_tower(kind: Kind, folder: str | Path) -> tuple[TextTower, LoadReport]:
    """Text tower of ALIGN (``kakaobrain/align-base``) or BLIP (``Salesforce/blip-itm-base-coco``), in evaluation mode.

    Args:
        kind: "ALIGN" (d = 640) or "BLIP" (d = 256).
        folder: copy of the model's folder on the Hugging Face hub: ``config.json``, the tokenizer's files, and
            ``model.safetensors`` or ``pytorch_model.bin``. Nothing is fetched.

    Raises:
        ImportError: transformers is not installed.
        DataError: another kind, a folder without these files, or weights that do not fill the tower.
    """
    if kind not in _LAYOUTS:
        raise DataError(f"no text tower {kind!r}: known are {', '.join(_LAYOUTS)}")
    transformers = _transformers()
    layout, folder = _LAYOUTS[kind], Path(folder)
    file = next((folder / name for name in _FILES if (folder / name).is_file()), None)
    if file is None or not (folder / "config.json").is_file():
        raise DataError(f"{folder}: needs config.json and {' or '.join(_FILES)}, a copy of the hub's folder")
    state = read_weights(file)
    config = getattr(transformers, layout.config).from_pretrained(folder, local_files_only=True)
    tower = getattr(transformers, layout.tower)(config.text_config, add_pooling_layer=False)
    projection = nn.Linear(config.text_config.hidden_size, getattr(config, layout.width))
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model = TextTower(tower, projection, tokenizer).eval()
    return model, fit(
        model, _renamed(state, layout), file, architecture=f"{kind} text tower", ignore=layout.ignore
    )


def _renamed(state: dict[str, Tensor], layout: _Layout) -> dict[str, Tensor]:
    named = {}
    for key, value in state.items():
        prefix = next((p for p in layout.names if key.startswith(p)), None)
        named[key if prefix is None else layout.names[prefix] + key.removeprefix(prefix)] = value
    return named


def _transformers() -> ModuleType:
    try:
        import transformers
    except ImportError:
        raise ImportError(
            'the text towers of ALIGN and BLIP need transformers: pip install "fbu[align]"'
        ) from None
    return transformers
