from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fbu.config import home
from fbu.data import cache
from fbu.data.decoding import decode, fit
from fbu.data.face_points import FacePoints
from fbu.data.media.videos import Clips
from fbu.errors import DataError

COLOURS = [(200, 10, 10), (10, 200, 10), (10, 10, 200), (120, 120, 10), (10, 120, 120)]


@pytest.fixture
def copy(tmp_path: Path, picture: Callable[..., None]) -> tuple[Path, pd.DataFrame]:
    paths = [f"images/{i}.png" for i in range(len(COLOURS))]
    for path, colour in zip(paths, COLOURS, strict=True):
        picture(tmp_path / path, colour)
    return tmp_path, pd.DataFrame({"sample": [f"s{i}" for i in range(len(COLOURS))], "path": paths})


def folders() -> list[str]:
    return sorted(p.name for p in (home() / "cache").iterdir() if p.is_dir())


def test_pictures_come_in_order_channels_first(copy: tuple[Path, pd.DataFrame]) -> None:
    found = cache.decoded(*copy, cache.How(8))
    assert isinstance(found.images, np.memmap) and not found.images.flags.writeable
    assert found.images.dtype == np.uint8 and found.images.shape == (5, 3, 8, 8)
    np.testing.assert_array_equal(found.images[:, :, 3, 4], COLOURS)
    assert found.samples == list(copy[1]["sample"]) and found.unreadable == []


def test_decoded_once(copy: tuple[Path, pd.DataFrame], monkeypatch: pytest.MonkeyPatch) -> None:
    first = cache.decoded(*copy, cache.How(8))

    def never(*args: object) -> np.ndarray:
        raise AssertionError("decoded twice")

    monkeypatch.setattr(cache, "fit", never)
    np.testing.assert_array_equal(cache.decoded(*copy, cache.How(8)).images, first.images)
    with pytest.raises(AssertionError):
        cache.decoded(*copy, cache.How(9))


def test_two_askers_decode_once(copy: tuple[Path, pd.DataFrame], monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def counted(image: Image.Image, *args: Any) -> np.ndarray:
        seen.append(Path(str(getattr(image, "filename", ""))).name)
        return fit(image, *args)

    monkeypatch.setattr(cache, "fit", counted)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: cache.decoded(*copy, cache.How(8)), range(4)))
    assert sorted(seen) == [f"{i}.png" for i in range(5)]
    assert all(np.array_equal(each.images, found[0].images) for each in found)


def test_key_follows_content_not_place_or_time(tmp_path: Path, picture: Callable[..., None]) -> None:
    for name, colour in (("a", (1, 2, 3)), ("b", (1, 2, 3)), ("c", (1, 2, 4))):
        picture(tmp_path / name / "x.png", colour)
    key = {n: cache.key_of(tmp_path / n, ["x.png"], cache.How(8)) for n in "abc"}
    assert (tmp_path / "a/x.png").stat().st_size == (tmp_path / "c/x.png").stat().st_size
    assert key["a"] == key["b"] != key["c"]
    points = np.zeros((1, 5, 2))
    others = [
        cache.How(16),
        cache.How(8, "centre"),
        cache.How(8, version=2),
        cache.How(8, media=Clips(64)),
        cache.How(8, media=Clips(32)),
        cache.How(8, store="jpeg"),
        cache.How(8, "five_points", points=FacePoints(lambda: points)),
        cache.How(8, "five_points", points=FacePoints(lambda: points + 1)),
    ]
    assert len({cache.key_of(tmp_path / "a", ["x.png"], how) for how in others} | {key["a"]}) == 9


def test_unreadable_pictures_are_named_and_counted(copy: tuple[Path, pd.DataFrame]) -> None:
    root, table = copy
    (root / "images/1.png").write_bytes(b"no picture")
    (root / "images/3.png").unlink()
    expected = (
        r"2 of 5 pictures cannot be read: images/1.png \(UnidentifiedImageError\), images/3.png \(missing\)"
    )
    with pytest.raises(DataError, match=expected):
        cache.decoded(root, table, cache.How(8))
    assert folders() == []
    found = cache.decoded(root, table, cache.How(8), skip_unreadable=True)
    assert found.samples == ["s0", "s2", "s4"] and found.unreadable == ["s1", "s3"]
    np.testing.assert_array_equal(found.images[:, :, 0, 0], [COLOURS[i] for i in (0, 2, 4)])
    with pytest.raises(DataError, match="2 of 5"):
        cache.decoded(root, table, cache.How(8))
    again = cache.decoded(root, table, cache.How(8), skip_unreadable=True)
    assert again.unreadable == found.unreadable and again.folder == found.folder


def test_truncated_jpeg_is_unreadable(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "x.jpg")
    whole = (tmp_path / "x.jpg").read_bytes()
    (tmp_path / "x.jpg").write_bytes(whole[: len(whole) // 2])
    table = pd.DataFrame({"sample": ["x"], "path": ["x.jpg"]})
    for skip in (False, True):
        with pytest.raises(DataError, match=r"1 of 1 pictures cannot be read: x.jpg"):
            cache.decoded(tmp_path, table, cache.How(8), skip_unreadable=skip)


def test_interrupted_writing_leaves_nothing(
    copy: tuple[Path, pd.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(image: Image.Image, *args: Any) -> np.ndarray:
        if str(getattr(image, "filename", "")).endswith("3.png"):
            raise KeyboardInterrupt
        return fit(image, *args)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(cache, "fit", stop)
        cache.decoded(*copy, cache.How(8))
    assert folders() == []


def test_leftovers_of_a_killed_process_are_removed(copy: tuple[Path, pd.DataFrame]) -> None:
    key = cache.key_of(copy[0], list(copy[1]["path"]), cache.How(8))
    (home() / "cache" / f".{key}.dead").mkdir(parents=True)
    cache.decoded(*copy, cache.How(8))
    assert folders() == [key]


@pytest.mark.parametrize("at", [[0, 1, 2, 3, 4], [2, 3], [4], [0, 2, 4], [1, 4]])
def test_rows(copy: tuple[Path, pd.DataFrame], at: list[int]) -> None:
    found = cache.decoded(*copy, cache.How(8))
    for _ in range(2):
        part = cache.rows(found, np.array(at))
        assert isinstance(part, np.memmap)
        np.testing.assert_array_equal(part, found.images[at])


def test_grey_and_palette_become_rgb(tmp_path: Path) -> None:
    Image.new("L", (10, 10), 77).save(tmp_path / "grey.jpg")
    Image.new("P", (10, 10), 0).save(tmp_path / "palette.png")
    np.testing.assert_array_equal(decode(tmp_path / "grey.jpg", 4), np.full((3, 4, 4), 77))
    assert decode(tmp_path / "palette.png", 4).shape == (3, 4, 4)


@pytest.mark.parametrize("ending", ["png", "jpg"])
def test_presets(tmp_path: Path, ending: str) -> None:
    """A black, white and black band: whole, they squeeze into the square; the centre is the white one."""
    bands = np.zeros((40, 120, 3), np.uint8)
    bands[:, 40:80] = 255
    path = tmp_path / f"bands.{ending}"
    Image.fromarray(bands).save(path, quality=100)
    whole, centre = decode(path, 6, "none"), decode(path, 6, "centre")
    assert whole[:, :, 0].max() < 40 and whole[:, :, 3].min() > 215
    assert centre[:, :, 1:5].min() > 215


def test_resize_has_antialias(tmp_path: Path) -> None:
    stripes = np.zeros((64, 64), np.uint8)
    stripes[:, ::2] = 255
    Image.fromarray(stripes).save(tmp_path / "stripes.png")
    small = decode(tmp_path / "stripes.png", 8).astype(int)
    assert abs(small - 127).max() < 20


def test_large_jpeg_is_close_to_a_full_decode(tmp_path: Path) -> None:
    rows = np.linspace(0, 255, 400)
    slope = np.broadcast_to(rows[:, None, None], (400, 300, 3)).astype(np.uint8)
    Image.fromarray(slope).save(tmp_path / "slope.jpg", quality=95)
    Image.fromarray(slope).save(tmp_path / "slope.png")
    for preset in ("none", "centre"):
        fast, full = (decode(tmp_path / f"slope.{e}", 16, preset).astype(int) for e in ("jpg", "png"))
        assert abs(fast - full).max() <= 4


def test_unknown_preset_and_size(copy: tuple[Path, pd.DataFrame]) -> None:
    with pytest.raises(DataError, match="unknown alignment preset 'square': known are none, centre"):
        cache.decoded(*copy, cache.How(8, preset="square"))
    with pytest.raises(DataError, match="image_size is 0"):
        cache.decoded(*copy, cache.How(0))
