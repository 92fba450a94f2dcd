"""Picture encoders of KE-FER, by name: ResNet-18, Swin-T, the image tower of CLIP, and tiny ones for a CPU.

The paper starts ResNet-18 and Swin-T from MS-Celeb-1M and ViT-B/16 from CLIP. The tiny ones see faces of 64 pixels and
start from a stand-in's run (:func:`start_face_encoder`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import Tensor, nn

from fbu.config import data_root
from fbu.data.transforms import CLIP_MEAN, CLIP_STD
from fbu.errors import DataError
from fbu.models.encoders import TINY, load_dual_encoder
from fbu.models.visual import FaceSwin, load_resnet, load_swin
from fbu.recipes import EncoderSpec

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
TINY_RESNET_WIDTHS = (24, 48, 96)
# Where the picture tower lies in a run: in an encoder of this module, or in a dual encoder.
_PREFIXES = ("encoder.tower.", "tower.", "encoder.visual.", "visual.")


class FaceEncoder(nn.Module):
    """A picture tower and what must be known to feed it.

    Attributes:
        tower: (n, 3, S, S) -> (n, width).
        name: as in a recipe.
        width: numbers in a feature.
        image_size: side of the pictures, pixels.
        fixed_size: whether the tower takes no other side.
        mean: to subtract from each channel, 0 to 1.
        std: to divide each channel by.
    """

    def __init__(self, name: str, tower: nn.Module) -> None:
        super().__init__()
        kind = _known(name)
        self.name, self.tower = name, tower
        self.width, self.image_size, self.fixed_size = kind.width, kind.image_size, kind.fixed_size
        self.mean, self.std = kind.mean, kind.std

    def forward(self, images: Tensor) -> Tensor:
        """Features (n, width) of normalised pictures (n, 3, S, S)."""
        return self.tower(images)


class TinyResNet(nn.Module):
    """Three residual blocks of torchvision behind a small stem; torchvision's ResNet has no fewer than 64 channels.

    Pictures of 64 pixels become maps of 16, 8 and 4 a side; 174,456 parameters.

    Args:
        widths: channels of the three blocks.
    """

    def __init__(self, widths: tuple[int, int, int] = TINY_RESNET_WIDTHS) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, widths[0], 5, 2, 2, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(2)
        self.layer1 = _block(widths[0], widths[0], 1)
        self.layer2 = _block(widths[0], widths[1], 2)
        self.layer3 = _block(widths[1], widths[2], 2)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        """Features (n, widths[-1]) of pictures (n, 3, S, S)."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.avgpool(x).flatten(1)


def _block(inside: int, outside: int, stride: int) -> nn.Sequential:
    from torchvision.models.resnet import BasicBlock

    shortcut = None
    if stride > 1 or inside != outside:
        shortcut = nn.Sequential(nn.Conv2d(inside, outside, 1, stride, bias=False), nn.BatchNorm2d(outside))
    return nn.Sequential(BasicBlock(inside, outside, stride, shortcut))


class SwinStem(nn.Module):
    """Patches of 8 by small convolutions, in place of timm's one projection (see ``fbu.models.encoders.ConvStem``)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 16, 5, 2, 2, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU(inplace=True),
            nn.Conv2d(16, 32, 3, 2, 1, bias=False),
            nn.BatchNorm2d(32),
            nn.ReLU(inplace=True),
            nn.Conv2d(32, width, 3, 2, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 1),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Patches (n, S / 8, S / 8, width) of pictures (n, 3, S, S), channels last as timm's Swin wants them."""
        return self.layers(images).permute(0, 2, 3, 1)


def _tiny_swin() -> nn.Module:
    from timm.models.swin_transformer import SwinTransformer

    model: Any = SwinTransformer(
        img_size=64,
        patch_size=8,
        num_classes=0,
        embed_dim=64,
        depths=(2, 2),
        num_heads=(2, 4),
        window_size=4,
        mlp_ratio=2,
        drop_path_rate=0.0,
    )
    model.patch_embed = SwinStem(64)
    return model


def _resnet18() -> nn.Module:
    from torchvision import models

    model = models.resnet18(weights=None)
    model.fc = nn.Identity()
    return model


def _vit(spec: EncoderSpec, file: Path | None) -> nn.Module:
    # Published weights want the quick GELU; a stand-in of the profile full was trained with the plain one.
    published = spec.pretrained is not None or file is not None
    name = "ViT-B-16-quickgelu" if published else "ViT-B-16"
    return load_dual_encoder(name, spec.pretrained, file).visual


@dataclass(frozen=True)
class _Kind:
    width: int
    image_size: int
    fixed_size: bool
    mean: tuple[float, ...]
    std: tuple[float, ...]
    build: Callable[[EncoderSpec, Path | None], nn.Module]
    weights: tuple[str, ...] = ()  # fields of EncoderSpec that may name published weights


# ImageNet's constants for weights from MS-Celeb: for Swin-T as in KE-FER's public code; for ResNet-18, whose script is
# not public, assumed, as in other public code that reads the same file (Relative-Uncertainty-Learning).
_KINDS = {
    "resnet18": _Kind(
        512,
        224,
        False,
        IMAGENET_MEAN,
        IMAGENET_STD,
        lambda _, file: _resnet18() if file is None else load_resnet(file)[0],
        ("checkpoint",),
    ),
    "swin-t": _Kind(
        FaceSwin.dim,
        FaceSwin.image_size,
        True,
        IMAGENET_MEAN,
        IMAGENET_STD,
        lambda _, file: FaceSwin() if file is None else load_swin(file)[0],
        ("checkpoint",),
    ),
    "vit-b16": _Kind(512, 224, True, CLIP_MEAN, CLIP_STD, _vit, ("pretrained", "checkpoint")),
    "tiny-resnet": _Kind(TINY_RESNET_WIDTHS[-1], 64, False, CLIP_MEAN, CLIP_STD, lambda *_: TinyResNet()),
    "tiny-swin": _Kind(128, 64, True, CLIP_MEAN, CLIP_STD, lambda *_: _tiny_swin()),
    "tiny-vit": _Kind(64, 64, True, CLIP_MEAN, CLIP_STD, lambda *_: load_dual_encoder(TINY).visual),
}
FACE_ENCODERS = tuple(_KINDS)


def face_encoder_size(name: str) -> int:
    """Side of the pictures that an encoder was made for, pixels; DataError for an unknown name."""
    return _known(name).image_size


def _known(name: str) -> _Kind:
    if name not in _KINDS:
        raise DataError(f"no picture encoder {name!r}; known: {', '.join(_KINDS)}")
    return _KINDS[name]


def face_encoder(spec: EncoderSpec) -> FaceEncoder:
    """Picture encoder of a recipe; a checkpoint is looked up under ``$FBU_DATA/weights``.

    Args:
        spec: a name of :data:`FACE_ENCODERS`. Published weights: ``checkpoint`` for "resnet18"
            (``resnet18_msceleb.pth``) and "swin-t" (``start_0.pt``), ``pretrained`` (``openai``) or ``checkpoint`` for
            "vit-b16"; otherwise random ones. "vit-b16" has the quick form of GELU with published weights, the plain one
            without.

    Raises:
        DataError: unknown name, weights that this encoder cannot have, FBU_DATA is not set, or a refused file.
    """
    kind = _known(spec.name)
    for field in ("pretrained", "checkpoint"):
        given = getattr(spec, field)
        if given is not None and field not in kind.weights:
            can = f"use {', '.join(kind.weights)}" if kind.weights else "none are published for it"
            raise DataError(f"{spec.name}: cannot load weights by {field}={given!r}: {can}")
    file = None
    if spec.checkpoint is not None:
        root = data_root()
        if root is None:
            raise DataError(f"not run: weights {spec.checkpoint} are wanted and FBU_DATA is not set")
        file = root / "weights" / spec.checkpoint
    return FaceEncoder(spec.name, kind.build(spec, file))


def start_face_encoder(encoder: FaceEncoder, start: Path | None) -> None:
    """Fill a picture encoder from a finished run: one that trained such an encoder, or a dual encoder with its tower.

    Args:
        encoder: filled in place; untouched when the run does not fit.
        start: folder of the run, or None to leave the encoder as it is.

    Raises:
        DataError: the run has no such picture tower; the message names the file and a weight that differs.
    """
    if start is None:
        return
    path = start / "weights.safetensors"
    state = load_file(path)
    wanted = encoder.tower.state_dict()
    found = [p for p in _PREFIXES if any(k.startswith(p) for k in state)]
    if not found:
        raise DataError(f"{path}: holds no picture tower (names begin with {', '.join(_first_words(state))})")
    # No run has towers of both kinds, and "encoder.visual." does not begin with "visual.".
    cut = len(found[0])
    held = {k[cut:]: v for k, v in state.items() if k.startswith(found[0])}
    bad = [k for k, v in wanted.items() if k not in held or held[k].shape != v.shape]
    bad += [k for k in held if k not in wanted]
    if bad:
        example = f"{found[0]}{bad[0]} is {_shape(held, bad[0])} there and {_shape(wanted, bad[0])} here"
        raise DataError(f"{path}: does not fit {encoder.name} ({len(bad)} weights differ, e.g. {example})")
    encoder.tower.load_state_dict(held)


def _shape(state: dict[str, Tensor], name: str) -> str:
    return str(tuple(state[name].shape)) if name in state else "missing"


def _first_words(state: dict[str, Tensor]) -> list[str]:
    return sorted({name.split(".")[0] for name in state})
