from pathlib import Path

import numpy as np
import pytest

from fbu.data import stores
from fbu.errors import DataError


def write(folder: Path, pictures: np.ndarray, store: str) -> np.ndarray:
    folder.mkdir(exist_ok=True)
    with stores.writer(folder, store, pictures.shape[-1]) as out:
        for picture in pictures:
            out.add(stores.pack(picture, store))
    return stores.open_store(folder)


def smooth(n: int, side: int = 16) -> np.ndarray:
    y, x = np.mgrid[:side, :side]
    planes = [(x * 9 + 3 * i) % 256 // 2 + y for i in range(n * 3)]
    return np.stack(planes).reshape(n, 3, side, side).astype(np.uint8)


@pytest.mark.parametrize("n", [1, 9, 10, 1001])
def test_array_holds_any_number(tmp_path: Path, n: int) -> None:
    drawn = np.random.default_rng(n).integers(0, 256, (n, 3, 4, 4), dtype=np.uint8)
    found = write(tmp_path, drawn, "array")
    assert isinstance(found, np.memmap)
    np.testing.assert_array_equal(found, drawn)


def test_jpegs_are_indexed_like_the_array(tmp_path: Path) -> None:
    drawn = np.repeat(smooth(6)[:, :1], 3, axis=1)
    found = write(tmp_path, drawn, "jpeg")
    assert found.shape == drawn.shape and len(found) == 6 and found.dtype == np.uint8
    everything = np.asarray(found)
    assert np.abs(everything.astype(int) - drawn).mean() < 2
    for key in (slice(1, 4), [5, 0, 0], np.array([2, 3]), np.array([True, False] * 3), slice(None, None, 2)):
        np.testing.assert_array_equal(found[key], everything[key])
    np.testing.assert_array_equal(found[4], everything[4])
    part = found.rows(np.array([4, 1]))  # type: ignore[attr-defined]
    np.testing.assert_array_equal(part[:], everything[[4, 1]])
    np.testing.assert_array_equal(part[1:], everything[[1]])


@pytest.mark.parametrize("store", stores.STORES)
def test_an_interrupted_writer_leaves_nothing_to_open(tmp_path: Path, store: str) -> None:
    with pytest.raises(KeyboardInterrupt), stores.writer(tmp_path, store, 4) as out:
        out.add(stores.pack(np.zeros((3, 4, 4), np.uint8), store))
        raise KeyboardInterrupt
    if store == "array":
        assert len(stores.open_store(tmp_path)) == 0
    else:
        with pytest.raises(FileNotFoundError):
            stores.open_store(tmp_path)


def test_store_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert stores.chosen_store() == "array"
    monkeypatch.setenv("FBU_CACHE_STORE", "jpeg")
    assert stores.chosen_store() == "jpeg"
    monkeypatch.setenv("FBU_CACHE_STORE", "png")
    with pytest.raises(DataError, match="FBU_CACHE_STORE is 'png': known are array, jpeg"):
        stores.chosen_store()
