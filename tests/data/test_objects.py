import numpy as np
import pytest

from fbu.data.objects import COLOURS, THINGS, draw_objects, object_captions


def test_a_picture_does_not_depend_on_its_batch():
    numbers = np.array([5, 90_000, 17, 300])
    together = draw_objects(numbers, 32)
    assert together.dtype == np.uint8 and together.shape == (4, 3, 32, 32)
    assert np.array_equal(draw_objects(numbers[::-1], 32), together[::-1])
    assert np.array_equal(draw_objects(numbers[1:2], 32)[0], together[1])
    assert not np.array_equal(draw_objects(numbers, 32, seed=1), together)


def test_every_thing_occurs_and_is_named():
    texts = object_captions(np.arange(1000))
    assert all(any(f" {name}" in text for name in THINGS) for text in texts)
    assert {name for name in THINGS if any(f" {name}." in text for text in texts)} == set(THINGS)
    coloured = np.mean([any(f" {c} " in text for c in COLOURS) for text in texts])
    assert coloured == pytest.approx(0.8, abs=0.05)
    assert "a drawing of a red car." in object_captions(np.arange(20_000))


def test_articles():
    texts = object_captions(np.arange(1000))
    assert any("an orange " in text for text in texts) and any("an apple" in text for text in texts)
    assert not any(f"a {v}" in f" {text}" for text in texts for v in ("orange", "apple"))


def test_the_named_colour_is_in_the_picture():
    numbers = np.arange(400)
    texts, pictures = object_captions(numbers), draw_objects(numbers, 32)
    red = [i for i, text in enumerate(texts) if " red " in text]
    blue = [i for i, text in enumerate(texts) if " blue " in text]
    assert len(red) > 10 and len(blue) > 10
    redness = lambda i: (pictures[i, 0].astype(int) - pictures[i, 2]).max()  # noqa: E731
    assert np.median([redness(i) for i in red]) > 150
    assert min(redness(i) for i in red) > 80
    assert np.median([redness(i) for i in blue]) < 100


def test_any_size_shows_the_same_thing():
    large, small = draw_objects(np.arange(20), 64), draw_objects(np.arange(20), 32)
    shrunk = large.reshape(20, 3, 32, 2, 32, 2).mean((3, 5))
    assert np.abs(shrunk - small).mean() < 4
