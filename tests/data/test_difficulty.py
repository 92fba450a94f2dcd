from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from fbu.data import difficulty
from fbu.errors import DataError


def _pictures(brightness: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Noise, with a left half that is brighter by `brightness` [n]."""
    images = rng.integers(60, 120, (len(brightness), 3, 32, 32)).astype(np.uint8)
    images[:, :, :, :16] += (40 * brightness).astype(np.uint8)[:, None, None, None]
    return images


def test_floor_by_hand():
    got = difficulty.floor(np.array([0, 0, 0, 2]), "expression")
    assert got == {"accuracy": 0.75, "mean_class_accuracy": 0.5}
    units = np.array([[1, 0], [0, 0], [1, -1], [1, 1]])
    got = difficulty.floor(units, "au")
    assert got["mean_f1"] == pytest.approx((2 * 3 / 7 + 2 * 1 / 4) / 2)
    assert got["balanced_accuracy"] == 0.5


def test_a_unit_that_never_occurs_does_not_count():
    units = np.array([[1, 0], [0, 0]])
    assert difficulty.floor(units, "au")["mean_f1"] == pytest.approx(2 / 3)
    assert np.isnan(difficulty.floor(units[:, 1:], "au")["mean_f1"])


def test_oracle_counts_the_label_errors():
    records = pd.DataFrame({"expression": list("aabb"), "true_expression": list("aabc")})
    assert difficulty.oracle(records) == 0.75
    with pytest.raises(DataError, match="only a twin"):
        difficulty.oracle(records[["expression"]])


def test_pixel_linear_reads_what_is_there_and_nothing_else():
    rng = np.random.default_rng(0)
    y = np.arange(240) % 2
    images = _pictures(y, rng)
    parts = [
        SimpleNamespace(images=images[s], targets=y[s], kind="expression", spans=None)
        for s in (slice(160), slice(160, 240))
    ]
    assert difficulty.pixel_linear(*parts)["mean_class_accuracy"] > 0.95
    blank = [
        SimpleNamespace(images=_pictures(0 * p.targets, rng), targets=p.targets, kind=p.kind, spans=None)
        for p in parts
    ]
    assert difficulty.pixel_linear(*blank)["accuracy"] == pytest.approx(0.5, abs=0.2)


def test_pixel_linear_reads_units_and_skips_uncoded_rows():
    rng = np.random.default_rng(0)
    y = np.stack([np.arange(200) % 2, np.zeros(200, int)], 1)
    images = _pictures(y[:, 0], rng)
    train = y[:150].copy()
    train[:5, 0] = -1
    got = difficulty.pixel_linear(
        SimpleNamespace(images=images[:150], targets=train, kind="au", spans=None),
        SimpleNamespace(images=images[150:], targets=y[150:], kind="au", spans=None),
    )
    assert got["mean_f1"] > 0.95  # the second unit never occurs


def test_identity_probe_tests_on_unseen_tasks():
    rng = np.random.default_rng(0)
    people, tasks = np.repeat(["a", "b"], 60), np.tile(["T1", "T2"], 60)
    images = _pictures((people == "b").astype(int), rng)
    assert difficulty.identity_probe(images, people, tasks) == {"accuracy": 1.0, "chance": 0.5}
    with pytest.raises(ValueError, match="two activities"):
        difficulty.identity_probe(images, people, np.repeat("T1", 120))


def test_grey_pixels_average_and_standardise():
    images = np.zeros((2, 3, 64, 64), np.uint8)
    images[0, :, ::2] = 200  # averages out at 32 px
    images[1, :, :32] = 200
    out = difficulty.grey_pixels(images)
    assert np.abs(out[0]).max() < 1e-2
    assert out[1].std() == pytest.approx(1, abs=1e-4)
    with pytest.raises(ValueError, match="not a multiple"):
        difficulty.grey_pixels(images[..., :60, :60])
