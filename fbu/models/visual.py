"""Image towers with published weights: ResNet and Swin-T trained on MS-Celeb-1M (KE-FER), ViT (CLEF's baseline).

Each loader returns a model that gives features, (n, 3, S, S) -> (n, d), and a
:class:`~fbu.models.fitting.LoadReport`. Classifiers of the task that the weights were trained for are left out.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fbu.errors import DataError
from fbu.models.fitting import LoadReport, cut_prefixes, fit
from fbu.models.reading import read_weights

RESNETS = ("resnet18", "resnet34", "resnet50", "resnet101")


def load_resnet(file: str | Path, name: str = "resnet18") -> tuple[nn.Module, LoadReport]:
    """ResNet of torchvision from a local file, e.g. ``resnet18_msceleb.pth``.

    Public code loads that file strictly into ``torchvision.models.resnet18()``, so it holds torchvision's 122 names;
    the 1,000 outputs of ``fc`` are left out here. Files of other authors have ``module.`` before every name.

    Args:
        file: torch file or safetensors with torchvision's names.
        name: one of :data:`RESNETS`.

    Returns:
        Model with (n, 3, S, S) -> (n, 512), or 2,048 from ``resnet50`` on, and the report.

    Raises:
        DataError: unknown name, or a file that :func:`~fbu.models.reading.read_weights` or
            :func:`~fbu.models.fitting.fit` refuses.
    """
    if name not in RESNETS:
        raise DataError(f"no ResNet {name!r}: known are {', '.join(RESNETS)}")
    from torchvision import models

    state = read_weights(file)
    model = models.get_model(name, weights=None)
    model.fc = nn.Identity()
    return model, fit(model, state, file, architecture=name, ignore=("fc.*",))


class FaceSwin(nn.Module):
    """Swin-T for aligned faces of 112 pixels: patches of 2, then timm's Swin-T and a head of two linear layers.

    The shape is that of ``start_0.pt`` in KE-FER's public code (``hangyu94/KE2NT``, after ``lxq1000/SwinFace``).
    Stages see 56, 28, 14 and 7 patches a side in windows of 7.

    Args:
        drop_path: share of residual branches dropped in training at the last block, growing linearly to it.
    """

    image_size = 112
    dim = 512

    def __init__(self, drop_path: float = 0.1) -> None:
        super().__init__()
        from timm.models.swin_transformer import SwinTransformer

        self.trunk = SwinTransformer(
            img_size=self.image_size,
            patch_size=2,
            num_classes=0,
            embed_dim=96,
            depths=(2, 2, 6, 2),
            num_heads=(3, 6, 12, 24),
            window_size=7,
            drop_path_rate=drop_path,
        )
        width = self.trunk.num_features
        self.feature = nn.Sequential(
            nn.Linear(width, width, bias=False),
            nn.BatchNorm1d(width, eps=2e-5),
            nn.Linear(width, self.dim, bias=False),
            nn.BatchNorm1d(self.dim, eps=2e-5),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Features (n, 512) of images (n, 3, 112, 112)."""
        return self.feature(self.trunk(images))


def load_swin(file: str | Path, *, drop_path: float = 0.1) -> tuple[FaceSwin, LoadReport]:
    """Swin-T trained on MS-Celeb-1M, from ``start_0.pt``.

    Only the entry ``state_dict_backbone`` is read: 200 tensors, 28,753,764 numbers, of which 17 are tables that the
    model computes itself (which pairs of a window are how far apart, which may see each other). They are compared
    with the file's and listed as ignored.

    Args:
        file: the file.
        drop_path: see :class:`FaceSwin`.

    Raises:
        DataError: the file is refused (:func:`~fbu.models.reading.read_weights`, :func:`~fbu.models.fitting.fit`), or
            one of the tables differs, which would mean other windows than this model's.
    """
    state = read_weights(file, "state_dict_backbone")
    model = FaceSwin(drop_path)
    tables = ("*.relative_position_index", "*.attn_mask")
    state, prefix = cut_prefixes(state)
    named = _timm_names(state)
    _compare_tables(model, named, file)
    report = fit(model, named, file, architecture="Swin-T of 112 pixels", ignore=tables)
    return model, replace(report, prefix=prefix)


def _timm_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    # In the file a stage ends with its patch merging, in timm the next one begins with it.
    named = {}
    for name, value in state.items():
        merging = re.match(r"layers\.(\d+)\.downsample\.(.*)", name)
        if merging:
            name = f"layers.{int(merging[1]) + 1}.downsample.{merging[2]}"
        named[name if name.startswith("feature.") else f"trunk.{name}"] = value
    return named


def _compare_tables(model: FaceSwin, state: dict[str, Tensor], file: str | Path) -> None:
    buffers = dict(model.named_buffers())
    for name, value in state.items():
        if not name.endswith(("relative_position_index", "attn_mask")):
            continue
        own = buffers.get(name)
        if own is None or own.shape != value.shape or not torch.equal(own.to(value.dtype), value):
            raise DataError(f"{file}: {name} is not that of windows of 7 on 112 pixels: this is another Swin")


def load_vit(
    file: str | Path, name: str = "vit_base_patch16_224", *, image_size: int | None = None
) -> tuple[nn.Module, LoadReport]:
    """Vision transformer of timm from a local file.

    Args:
        file: torch file or safetensors with timm's names.
        name: timm model name of the vision-transformer family, ``vit_...``.
        image_size: side of the input in pixels if not the model's; position embeddings are resized.

    Returns:
        Model with (n, 3, S, S) -> (n, d), the normalised class token (or what the named model pools), and the report.

    Raises:
        DataError: unknown name, or a file that :func:`~fbu.models.reading.read_weights` or
            :func:`~fbu.models.fitting.fit` refuses.
    """
    import timm

    if not name.startswith("vit_") or name not in timm.list_models("vit_*"):
        near = timm.list_models(f"{name[:14]}*")[:6]
        raise DataError(
            f"no vision transformer {name!r}; timm has {', '.join(near) or 'none that begins so'}"
        )
    state = read_weights(file)
    size: dict[str, Any] = {} if image_size is None else {"img_size": image_size}
    model: Any = timm.create_model(name, pretrained=False, num_classes=0, **size)
    rows, columns = model.patch_embed.grid_size
    return model, fit(
        model,
        state,
        file,
        architecture=name,
        ignore=("head.*",),
        positions={"pos_embed": (rows, columns)},
    )
