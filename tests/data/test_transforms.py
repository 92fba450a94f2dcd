from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError

from fbu.data.transforms import CLIP_MEAN, CLIP_STD, Augment, augment

STILL = Augment.none()


def pictures(count: int = 6, size: int = 16, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 3, size, size), generator=generator, dtype=torch.uint8)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def busy() -> Augment:
    return Augment(crop=(0.5, 1), brightness=0.4, contrast=0.4, saturation=0.4, gray=0.3, erase=0.5)


def test_none_is_division_by_255_and_draws_nothing() -> None:
    images, generator = pictures(), seeded()
    before = generator.get_state()
    torch.testing.assert_close(augment(images, STILL, generator), images.float() / 255, rtol=0, atol=0)
    assert torch.equal(generator.get_state(), before)


@pytest.mark.parametrize("spec", [STILL, Augment(), busy(), Augment.moco()])
def test_normalising_on_the_way_is_normalising_afterwards(spec: Augment) -> None:
    images = pictures(70)  # more than one chunk
    folded = augment(images, spec, seeded(), mean=CLIP_MEAN, std=CLIP_STD)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (CLIP_MEAN, CLIP_STD))
    torch.testing.assert_close(folded, (augment(images, spec, seeded()) - mean) / std)


def test_certain_flip_mirrors() -> None:
    images = pictures()
    out = augment(images, STILL.model_copy(update={"flip": 1.0}), seeded())
    torch.testing.assert_close(out, images.flip(-1).float() / 255)


def test_zoom_by_two_shows_the_middle() -> None:
    images = torch.zeros(1, 3, 8, 8, dtype=torch.uint8)
    images[..., 2:6, 2:6] = 255
    out = augment(images, STILL.model_copy(update={"scale": (2.0, 2.0)}), seeded())
    assert out.mean() > 0.85  # the bright square of a quarter of the area now fills the picture


@pytest.mark.parametrize("angle", [30.0, 170.0])
def test_rotation_agrees_with_torchvision(angle: float, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.transforms.v2 import functional as reference

    size = 33
    axis = torch.linspace(-1, 1, size)
    disc = (axis[:, None] ** 2 + axis[None] ** 2) < 0.9
    smooth = (127 + 100 * torch.sin(3 * axis[:, None]) * torch.cos(2 * axis[None])).to(torch.uint8)
    images = smooth.expand(1, 3, size, size).contiguous()
    monkeypatch.setattr(torch, "rand", lambda *shape, **_: torch.ones(*shape))
    out = augment(images, STILL.model_copy(update={"rotate": angle}))
    mode = reference.InterpolationMode.BILINEAR
    expected = reference.rotate(images.float() / 255, angle, interpolation=mode)
    torch.testing.assert_close(out[0, :, disc], expected[0, :, disc], rtol=0, atol=2e-3)


def test_each_sample_gets_its_own_draw() -> None:
    same = pictures(1).expand(8, -1, -1, -1).contiguous()
    out = augment(same, busy(), seeded())
    pairs = [(out[i] - out[j]).abs().max() for i in range(8) for j in range(i)]
    assert min(pairs) > 0.01


def test_a_draw_does_not_depend_on_the_other_samples_or_the_batch_size() -> None:
    images = pictures(70)
    whole = augment(images, busy(), seeded(3))
    for count in (1, 33, 50):
        torch.testing.assert_close(augment(images[:count], busy(), seeded(3)), whole[:count])
    others = images.clone()
    others[1:] = 0
    torch.testing.assert_close(augment(others, busy(), seeded(3))[0], whole[0])


def test_same_seed_same_batch_and_other_seed_other_batch() -> None:
    images = pictures()
    assert torch.equal(augment(images, busy(), seeded(1)), augment(images, busy(), seeded(1)))
    assert not torch.equal(augment(images, busy(), seeded(1)), augment(images, busy(), seeded(2)))


def test_switching_colour_on_does_not_move_the_faces() -> None:
    images = pictures()
    plain = augment(images, Augment(), seeded())
    bright = augment(images, Augment(brightness=1e-6), seeded())
    torch.testing.assert_close(bright, plain, rtol=0, atol=1e-5)


def test_grey_images_have_equal_channels_and_keep_their_luma() -> None:
    images = pictures()
    out = augment(images, STILL.model_copy(update={"gray": 1.0}), seeded())
    luma = torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)
    torch.testing.assert_close(out, (images.float() / 255 * luma).sum(1, keepdim=True).expand_as(out))


def test_contrast_and_brightness_follow_their_formula(monkeypatch: pytest.MonkeyPatch) -> None:
    images = pictures(3)
    monkeypatch.setattr(torch, "rand", lambda *shape, **_: torch.ones(*shape))  # every factor at its top
    x = images.float() / 255
    luma = torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)
    mean = (x * luma).sum(1).mean((1, 2)).view(-1, 1, 1, 1)
    expected = ((x - mean) * 1.3 + mean).clamp(0, 1)
    torch.testing.assert_close(augment(images, STILL.model_copy(update={"contrast": 0.3})), expected)
    expected = (1.2 * x).clamp(0, 1)
    torch.testing.assert_close(augment(images, STILL.model_copy(update={"brightness": 0.2})), expected)


def test_erased_rectangles_have_the_stated_area_and_fill() -> None:
    images = torch.zeros(400, 3, 32, 32, dtype=torch.uint8)
    spec = STILL.model_copy(update={"erase": 0.5, "erase_area": (0.1, 0.1), "erase_fill": 0.25})
    out = augment(images, spec, seeded())
    assert set(out.unique().tolist()) == {0.0, 0.25}
    area = (out[:, 0] > 0).float().mean((1, 2))
    erased = area > 0
    assert 0.4 < erased.float().mean() < 0.6
    assert abs(area[erased].mean() - 0.1) < 0.01


def test_crops_stay_inside_the_picture() -> None:
    ramp = torch.arange(64, dtype=torch.uint8).expand(200, 3, 64, 64).contiguous()
    out = augment(ramp, STILL.model_copy(update={"crop": (0.25, 0.25)}), seeded()) * 255
    span = out[:, 0, 0, -1] - out[:, 0, 0, 0]  # half the side; a window across the border would reflect
    torch.testing.assert_close(span, torch.full_like(span, 31.5), rtol=0, atol=0.6)
    starts = out[:, 0, 0, 0]
    assert starts.min() < 3 and starts.max() > 28


def test_output_stays_between_0_and_1_for_the_strongest_settings() -> None:
    out = augment(pictures(), Augment.moco(), seeded())
    assert out.dtype == torch.float32 and 0 <= out.min() and out.max() <= 1


def test_an_empty_batch_passes() -> None:
    assert augment(pictures(0), busy(), seeded()).shape == (0, 3, 16, 16)


@pytest.mark.parametrize(
    "images",
    [
        torch.zeros(2, 3, 8, 8),
        torch.zeros(3, 8, 8, dtype=torch.uint8),
        torch.zeros(2, 3, 8, 9, dtype=torch.uint8),
    ],
)
def test_wrong_images_are_named(images: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="images must be"):
        augment(images, busy(), seeded())


@pytest.mark.parametrize(
    "field",
    [{"flip": 1.5}, {"scale": (1.2, 0.8)}, {"crop": (0.0, 1.0)}, {"erase_area": (0.1, 2)}, {"hue": 0.1}],
)
def test_impossible_settings_are_refused(field: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=next(iter(field))):
        Augment.model_validate(field)


def test_settings_survive_json() -> None:
    assert Augment.model_validate_json(busy().model_dump_json()) == busy()
