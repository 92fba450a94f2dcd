"""Encoders of EmoCo's pictures: the paper's ResNet-50, or those that other methods start from."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from fbu.errors import DataError
from fbu.models.face_encoders import IMAGENET_MEAN, IMAGENET_STD, FaceEncoder, face_encoder
from fbu.models.pictures import Pictures
from fbu.recipes import EncoderSpec

RESNET = "resnet50"


class ResNet50(FaceEncoder):
    """The encoder of the paper: timm's ResNet-50 up to its global average pooling, 2048 numbers, random weights."""

    def __init__(self) -> None:
        import timm

        nn.Module.__init__(self)
        self.name = RESNET
        self.tower = timm.create_model(RESNET, pretrained=False, num_classes=0)
        self.width, self.image_size, self.fixed_size = 2048, 256, False
        self.mean, self.std = IMAGENET_MEAN, IMAGENET_STD


def backbone(spec: EncoderSpec) -> FaceEncoder:
    """Encoder of a recipe: "resnet50", or one of :data:`fbu.models.face_encoders.FACE_ENCODERS`.

    Raises:
        DataError: unknown name, or published weights for its own ResNet-50: EmoCo starts from none.
    """
    if spec.name == RESNET and (spec.pretrained is not None or spec.checkpoint is not None):
        raise DataError(f"{spec.name}: EmoCo starts from random weights, so name none")
    return ResNet50() if spec.name == RESNET else face_encoder(spec)


def shown(images: np.ndarray, encoder: FaceEncoder, device: torch.device) -> Pictures:
    """Pictures as an encoder wants them."""
    return Pictures(images, device, encoder.mean, encoder.std)


@torch.no_grad()
def encoded(encoder: FaceEncoder, images: np.ndarray, device: torch.device) -> Tensor:
    """Features (n, width) of pictures after global average pooling, on the CPU."""
    return torch.cat([encoder(x).float().cpu() for x in shown(images, encoder, device).batches(256)])
