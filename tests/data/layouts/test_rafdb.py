from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fbu.data.layouts import rafdb, read
from fbu.data.manifest import load_manifest
from fbu.errors import DataError

MANIFEST = load_manifest("rafdb")
LIST = "basic/EmoLabel/list_patition_label.txt"
# As the owner writes it: one space, no newline after the last line.
LINES = (
    "train_00001.jpg 5\ntrain_00002.jpg 5\ntrain_00003.jpg 4\n"
    "test_0001.jpg 5\ntest_0002.jpg 1\ntest_3068.jpg 7"
)


@pytest.fixture
def copy(tmp_path: Path, picture: Callable[..., None]) -> Path:
    (tmp_path / LIST).parent.mkdir(parents=True)
    (tmp_path / LIST).write_bytes(LINES.encode())
    for line in LINES.split("\n"):
        stem = line.split()[0].removesuffix(".jpg")
        picture(tmp_path / f"basic/Image/aligned/{stem}_aligned.jpg")
        picture(tmp_path / f"basic/Image/original/{stem}.jpg")
    return tmp_path


def test_fixture(copy: Path) -> None:
    found = read(copy, MANIFEST).set_index("sample")
    assert found["expression"].to_dict() == {
        "train_00001": "sadness",
        "train_00002": "sadness",
        "train_00003": "happiness",
        "test_0001": "sadness",
        "test_0002": "surprise",
        "test_3068": "neutral",
    }
    assert (found["subject"] == found.index).all()
    assert found["part"].value_counts().to_dict() == {"train": 3, "test": 3}
    assert all((copy / path).is_file() for path in found["path"])


def test_copy_without_the_outer_folder_and_original_pictures(copy: Path) -> None:
    for entry in list((copy / "basic").iterdir()):
        entry.rename(copy / entry.name)
    (copy / "basic").rmdir()
    found = read(copy, MANIFEST.with_options({"images": "original"}))
    assert set(found["path"]) >= {"Image/original/test_0001.jpg"}
    assert all((copy / path).is_file() for path in found["path"])


def test_other_lists_are_left_alone(copy: Path) -> None:
    """Copies with changed labels (noise01.txt) lie beside the list in some deliveries."""
    (copy / "basic/EmoLabel/a_list.txt").write_text("train_00001.jpg 1\n")
    assert read(copy, MANIFEST).set_index("sample").loc["train_00001", "expression"] == "sadness"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "train_00001.jpg 5\ntrain_00002.jpg 0",
            r"label.txt:2: unknown label code '0': known are 1, 2, 3, 4, 5, 6, 7",
        ),
        ("train_00001.jpg 5\ntest_0001.jpg happy", r"label.txt:2: unknown label code 'happy'"),
        ("train_00001.jpg", r"label.txt:1: expected 'train_00001.jpg 5' or .* found 'train_00001.jpg'"),
        ("train_00001.jpg 5\n\ntest_0001.jpg 5", r"label.txt:2: expected"),
        ("train_00001_aligned.jpg 5", r"label.txt:1: expected"),
        ("../../etc/train_00001.jpg 5", r"label.txt:1: expected"),
        (
            "train_00001.jpg 5\ntest_0001.jpg 5\ntrain_00001.jpg 4",
            r"label.txt:3: train_00001.jpg is listed twice",
        ),
        ("", r"no labelled picture of RAF-DB found"),
    ],
)
def test_malformed_list(copy: Path, text: str, message: str) -> None:
    (copy / LIST).write_text(text)
    with pytest.raises(DataError, match=message):
        read(copy, MANIFEST)


def test_not_utf8(copy: Path) -> None:
    (copy / LIST).write_bytes(b"train_00001.jpg 5\ntrain_0000\xe9.jpg 4")
    with pytest.raises(DataError, match=r"list_patition_label.txt:2: not UTF-8 text"):
        read(copy, MANIFEST)


def test_missing_files(copy: Path) -> None:
    (copy / LIST).unlink()
    with pytest.raises(DataError, match="list_patition_label.txt is missing"):
        read(copy, MANIFEST)


def test_missing_folder_shows_the_tree(copy: Path) -> None:
    (copy / "basic/Image/aligned").rename(copy / "basic/Image/cropped")
    with pytest.raises(
        DataError, match="(?s)folder Image/aligned .aligned. is missing: RAF-DB lies as.*EmoLabel"
    ):
        read(copy, MANIFEST)


def test_unknown_kind_of_pictures(copy: Path) -> None:
    with pytest.raises(DataError, match="option images is 'masked': known are aligned, original"):
        read(copy, MANIFEST.with_options({"images": "masked"}))


@settings(max_examples=25)
@given(labels=st.lists(st.sampled_from(MANIFEST.labels), min_size=1, max_size=8))
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, faces: Callable, labels: list[str]
) -> None:
    root = tmp_path_factory.mktemp("rafdb")
    samples = [f"train_{i:05d}" if i % 3 else f"test_{i:04d}" for i in range(1, len(labels) + 1)]
    world = faces("rafdb", zip(samples, labels, strict=True))
    rafdb.write(world, root, image_size=8)
    found = read(root, MANIFEST).set_index("sample")
    assert found["expression"].to_dict() == dict(zip(samples, labels, strict=True))
    assert (found["true_expression"] == found["expression"]).all()
    assert all((root / path).is_file() for path in found["path"])
    assert not (root / LIST).read_bytes().endswith(b"\n")


def test_annotators_errors_are_in_the_list_and_the_truth_beside_it(tmp_path: Path, faces: Callable) -> None:
    world = faces("rafdb", [("train_00001", "fear")])
    world.records["label"] = "surprise"
    rafdb.write(world, tmp_path, image_size=8)
    found = read(tmp_path, MANIFEST).iloc[0]
    assert (found["expression"], found["true_expression"]) == ("surprise", "fear")
