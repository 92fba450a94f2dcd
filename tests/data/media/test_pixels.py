from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fbu.data import cache
from fbu.data.media.pixels import PixelRows
from fbu.errors import DataError

HEADER = "emotion,pixels,Usage\n"


def write(path: Path, pictures: list[str]) -> pd.DataFrame:
    path.write_text(HEADER + "".join(f"{i},{text},Training\n" for i, text in enumerate(pictures)))
    n = len(pictures)
    return pd.DataFrame({"sample": [f"s{i}" for i in range(n)], "path": path.name, "line": np.arange(n) + 2})


def numbers(picture: np.ndarray) -> str:
    return " ".join(map(str, picture.ravel()))


def test_pictures_come_from_their_lines(tmp_path: Path) -> None:
    drawn = np.random.default_rng(0).integers(0, 256, (5, 4, 4))
    table = write(tmp_path / "p.csv", [numbers(p) for p in drawn]).iloc[[3, 0, 4]]
    found = cache.decoded(tmp_path, table, cache.How(4, media=PixelRows(4, 1)))
    expected = np.broadcast_to(drawn[[3, 0, 4], None], (3, 3, 4, 4))
    np.testing.assert_array_equal(found.images, expected)


def test_quoted_pixels_and_no_final_newline(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text(HEADER + '0,"1 2 3 4",Training\r\n1,5 6 7 8,PublicTest')
    table = pd.DataFrame({"sample": ["a", "b"], "path": "p.csv", "line": [2, 3]})
    opened = [frames[0] for frames in PixelRows(2, 1).open(tmp_path, table)]
    assert all(isinstance(p, Image.Image) for p in opened)
    np.testing.assert_array_equal([np.asarray(p).ravel() for p in opened], [[1, 2, 3, 4], [5, 6, 7, 8]])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1 2 3", "line 2: 3 pixels instead of 4"),
        ("1 2 3 256", "line 2: a pixel outside 0-255"),
        ("1 2 3 -4", "line 2: a pixel outside 0-255"),
        ("1 2 x 4", "line 2: pixels are not whole numbers"),
        ("", "line 2: 0 pixels instead of 4"),
    ],
)
def test_a_malformed_line_is_named(tmp_path: Path, text: str, reason: str) -> None:
    table = write(tmp_path / "p.csv", [text, "1 2 3 4"])
    with pytest.raises(DataError, match=f"1 of 2 pictures cannot be read: p.csv: s0 \\({reason}\\)"):
        cache.decoded(tmp_path, table, cache.How(2, media=PixelRows(2, 1)))
    found = cache.decoded(tmp_path, table, cache.How(2, media=PixelRows(2, 1)), skip_unreadable=True)
    assert found.unreadable == ["s0"] and found.images.shape == (1, 3, 2, 2)


def test_a_line_that_is_not_there_and_a_missing_file(tmp_path: Path) -> None:
    table = write(tmp_path / "p.csv", ["1 2 3 4"]).assign(line=9)
    assert list(PixelRows(2, 1).open(tmp_path, table)) == [["the file has no line 9"]]
    (tmp_path / "p.csv").unlink()
    assert list(PixelRows(2, 1).open(tmp_path, table)) == [["missing"]]
    assert PixelRows(2, 1).sizes(tmp_path, ["p.csv"]) == [-1]
