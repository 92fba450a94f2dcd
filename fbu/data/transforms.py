"""Augmentation of image batches on the device that holds them, with one draw per sample.

A batch passed to torchvision's transforms shares one draw; here flip, rotation, scale, translation and crop
of every sample are one affine map each, applied in a single ``grid_sample``. All random numbers come from one
``[B, 17]`` table of uniforms, so the parameters of sample ``i`` depend on row ``i`` alone, and switching one
operation on does not change the draws of the others.
"""

from __future__ import annotations

import math
from typing import Annotated

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor
from torch.nn.functional import grid_sample

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)

_GEOMETRY = ("flip", "rotate", "scale", "shift_x", "shift_y", "crop", "crop_x", "crop_y")
_COLOUR = ("brightness", "contrast", "saturation", "gray")
_ERASING = ("erase", "erase_area", "erase_aspect", "erase_x", "erase_y")
_COLUMNS = _GEOMETRY + _COLOUR + _ERASING
_LUMA = (0.299, 0.587, 0.114)
_ERASE_ASPECT = 3.3  # the longest side ratio of an erased rectangle, as in torchvision's RandomErasing
_CPU_CHUNK = 64  # 16 and 32 pictures of 64 px measured slower; memory stays flat for larger batches

Probability = Annotated[float, Field(ge=0, le=1)]
Strength = Annotated[float, Field(ge=0, lt=1)]


class Augment(BaseModel):
    """What may happen to a training image; the defaults suit aligned faces."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    flip: Probability = Field(default=0.5, description="probability of a mirror image")
    rotate: Annotated[float, Field(ge=0, le=180)] = Field(default=10.0, description="largest angle, degrees")
    scale: tuple[float, float] = Field(
        default=(0.9, 1.1), description="range of the zoom; above 1 enlarges the face"
    )
    translate: Strength = Field(default=0.06, description="largest shift, as a fraction of the image side")
    crop: tuple[float, float] = Field(
        default=(1.0, 1.0), description="area of a random square window, as a fraction"
    )
    brightness: Strength = Field(default=0.0, description="factor drawn from 1 - b to 1 + b")
    contrast: Strength = Field(
        default=0.0, description="factor drawn from 1 - c to 1 + c, about the mean grey"
    )
    saturation: Strength = Field(default=0.0, description="factor drawn from 1 - s to 1 + s")
    gray: Probability = Field(default=0.0, description="probability of a grey image")
    erase: Probability = Field(default=0.0, description="probability of one erased rectangle")
    erase_area: tuple[float, float] = Field(
        default=(0.02, 0.2), description="range of its area, as a fraction"
    )
    erase_fill: float = Field(default=0.5, ge=0, le=1, description="value of erased pixels")

    @model_validator(mode="after")
    def _ranges(self) -> Augment:
        for name, limit in (("scale", math.inf), ("crop", 1.0), ("erase_area", 1.0)):
            low, high = getattr(self, name)
            if not 0 < low <= high <= limit:
                raise ValueError(f"{name} must be 0 < low <= high <= {limit}, got {low, high}")
        return self

    @classmethod
    def none(cls) -> Augment:
        """No augmentation: pixels are only divided by 255."""
        return cls(flip=0, rotate=0, scale=(1, 1), translate=0)

    @classmethod
    def moco(cls) -> Augment:
        """As in MoCo (He et al. 2020): crop of 20-100 % of the area, flip, colour jitter 0.4, 20 % grey.

        Departures: square windows only, and no change of hue.
        """
        colour = cls(brightness=0.4, contrast=0.4, saturation=0.4, gray=0.2)
        return colour.model_copy(
            update={"rotate": 0.0, "scale": (1.0, 1.0), "translate": 0.0, "crop": (0.2, 1.0)}
        )

    @property
    def warps(self) -> bool:
        """Whether any operation but the flip changes the geometry."""
        return bool(self.rotate or self.translate) or self.scale != (1, 1) or self.crop != (1, 1)

    @property
    def colours(self) -> bool:
        """Whether any operation changes colours."""
        return bool(self.brightness or self.contrast or self.saturation or self.gray)


def augment(
    images: Tensor,
    spec: Augment,
    generator: torch.Generator | None = None,
    *,
    mean: tuple[float, ...] = (0.0, 0.0, 0.0),
    std: tuple[float, ...] = (1.0, 1.0, 1.0),
) -> Tensor:
    """Augment a batch, one draw per sample, then normalise it.

    Args:
        images: uint8 ``[B, 3, S, S]``.
        spec: what may happen; ``Augment.none()`` draws nothing.
        generator: source of the random numbers, on any device; the default generator if omitted.
        mean: one value per channel in 0..1; subtracted in the last pass, which is faster than afterwards.
        std: one value per channel.

    Returns:
        float32 ``[B, 3, S, S]`` on the device of ``images``: 0..1 less the mean, over the deviation. Pixels from
        outside the picture are its reflection.

    Raises:
        ValueError: wrong type or shape.
    """
    if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 3:
        raise ValueError(f"images must be uint8 [B, 3, S, S], got {images.dtype} {list(images.shape)}")
    if images.shape[2] != images.shape[3]:
        raise ValueError(f"images must be square: rotation is in pixels, got {list(images.shape)}")
    scale = images.new_tensor([255 * k for k in std], dtype=torch.float32).view(-1, 1, 1)
    ratio = [m / k for m, k in zip(mean, std, strict=True)]
    shift = images.new_tensor(ratio, dtype=torch.float32).view(-1, 1, 1) if any(ratio) else None
    if not (spec.flip or spec.warps or spec.colours or spec.erase):
        return _finish(images, scale, shift, torch.empty_like(images, dtype=torch.float32))
    source = generator.device if generator is not None else torch.device("cpu")
    table = torch.rand(len(images), len(_COLUMNS), generator=generator, device=source).to(images.device)
    out = torch.empty_like(images, dtype=torch.float32)
    step = _CPU_CHUNK if images.device.type == "cpu" else max(1, len(images))
    for start in range(0, len(images), step):
        rows = slice(start, start + step)
        _finish(_augment(images[rows], spec, table[rows]), scale, shift, out[rows])
    return out


def _finish(x: Tensor, scale: Tensor, shift: Tensor | None, out: Tensor) -> Tensor:
    torch.div(x, scale, out=out)
    return out if shift is None else out.sub_(shift)


def _augment(images: Tensor, spec: Augment, table: Tensor) -> Tensor:
    """Augmented pictures in 0..255."""
    draw = dict(zip(_COLUMNS, table.unbind(1), strict=True))
    x = images.to(torch.float32)
    if spec.warps:
        grid = _grid(_affine(spec, draw), images.shape[-1])
        x = grid_sample(x, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    elif spec.flip:
        x = torch.where((draw["flip"] < spec.flip).view(-1, 1, 1, 1), x.flip(-1), x)
    if spec.colours:
        x = _recolour(x, spec, draw)
    if spec.erase:
        x.masked_fill_(_rectangles(spec, draw, images.shape[-1]), 255 * spec.erase_fill)
    return x


def _between(u: Tensor, low: float, high: float) -> Tensor:
    return low + (high - low) * u


def _affine(spec: Augment, draw: dict[str, Tensor]) -> Tensor:
    """Maps ``[B, 2, 3]`` from output to input coordinates, both in -1..1."""
    side = _between(draw["crop"], *spec.crop).sqrt()
    angle = _between(draw["rotate"], -1, 1) * math.radians(spec.rotate)
    zoom = side / _between(draw["scale"], *spec.scale)
    mirror = 1 - 2 * (draw["flip"] < spec.flip).to(zoom.dtype)
    # A window of side s may sit anywhere in -1..1, so its centre lies within 1 - s of the middle.
    centre_x, centre_y = (
        (1 - side) * _between(draw[f"crop_{axis}"], -1, 1)
        + 2 * spec.translate * _between(draw[f"shift_{axis}"], -1, 1)
        for axis in "xy"
    )
    cos, sin = zoom * angle.cos(), zoom * angle.sin()
    rows = (torch.stack([mirror * cos, -sin, centre_x], 1), torch.stack([mirror * sin, cos, centre_y], 1))
    return torch.stack(rows, 1)


def _grid(theta: Tensor, size: int) -> Tensor:
    """Sampling positions ``[B, S, S, 2]``; elementwise, so no sample depends on the batch size.

    A position is one complex number x + iy: adding those is three times as fast as filling x and y in turn.
    """
    line = (torch.arange(size, device=theta.device, dtype=theta.dtype) * 2 + 1) / size - 1
    right, down, centre = torch.view_as_complex(theta.transpose(1, 2).contiguous()).unbind(1)
    along_x = right[:, None] * line  # (B, S)
    along_y = down[:, None] * line + centre[:, None]  # (B, S)
    return torch.view_as_real(along_x[:, None, :] + along_y[:, :, None])


def _recolour(x: Tensor, spec: Augment, draw: dict[str, Tensor]) -> Tensor:
    """Brightness, saturation and contrast in one linear map per sample, clamped once at the end."""
    light = 1 + spec.brightness * _between(draw["brightness"], -1, 1)
    contrast = 1 + spec.contrast * _between(draw["contrast"], -1, 1)
    colour = 1 + spec.saturation * _between(draw["saturation"], -1, 1)
    colour = torch.where(draw["gray"] < spec.gray, torch.zeros_like(colour), colour)
    grey = _LUMA[0] * x[:, 0] + _LUMA[1] * x[:, 1] + _LUMA[2] * x[:, 2]  # (B, S, S)
    offset = light * (1 - contrast) * grey.mean((1, 2))
    gain = light * contrast
    shared = (gain * (1 - colour)).view(-1, 1, 1) * grey + offset.view(-1, 1, 1)
    return x.mul_((gain * colour).view(-1, 1, 1, 1)).add_(shared[:, None]).clamp_(0, 255)


def _rectangles(spec: Augment, draw: dict[str, Tensor], size: int) -> Tensor:
    """True inside each sample's erased rectangle, ``[B, 1, S, S]``; empty where nothing is erased."""
    area = _between(draw["erase_area"], *spec.erase_area)
    ratio = torch.exp(_between(draw["erase_aspect"], -1, 1) * math.log(_ERASE_ASPECT))
    hit = draw["erase"] < spec.erase
    pixel = (torch.arange(size, device=area.device, dtype=area.dtype) + 0.5) / size

    def inside(length: Tensor, position: Tensor) -> Tensor:
        length = length.clamp(max=1)
        first = (1 - length) * position
        return (pixel >= first[:, None]) & (pixel < (first + length)[:, None])  # (B, S)

    columns = inside((area * ratio).sqrt(), draw["erase_x"]) & hit[:, None]
    rows = inside((area / ratio).sqrt(), draw["erase_y"])
    return (rows[:, :, None] & columns[:, None, :])[:, None]
