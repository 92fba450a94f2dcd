from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fbu.data.layouts import dfew, layout, media, read
from fbu.data.manifest import load_manifest
from fbu.data.media.videos import frames_of
from fbu.errors import DataError

MANIFEST = load_manifest("dfew")
TRAIN, TEST = (f"EmoLabel_DataSplit/{part}(single-labeled)" for part in ("train", "test"))
# Test list of each fold, as in the owner's files: code 1-7, names without padding.
FOLDS = {
    1: ["1,2", "13,1", "16372,7"],
    2: ["2,3", "205,4", "3000,6"],
    3: ["7,5", "4,1", "51,3"],
    4: ["9,2", "10,3", "11,7"],
    5: ["12,4", "500,5"],
}
NAMES = {
    "1": "happiness",
    "2": "sadness",
    "3": "neutral",
    "4": "anger",
    "5": "surprise",
    "6": "disgust",
    "7": "fear",
}


def put(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture
def copy(tmp_path: Path, picture: Callable[..., None]) -> Path:
    """Fourteen clips of 5 to 20 frames, 16 in the other release; a clip without a label, and stray files."""
    for fold, rows in FOLDS.items():
        put(tmp_path / TEST / f"set_{fold}.csv", ["video_name,label", *rows])
        others = [row for other, theirs in FOLDS.items() if other != fold for row in theirs]
        put(tmp_path / TRAIN / f"set_{fold}.csv", ["video_name,label", *others])
    names = [f"{int(row.split(',')[0]):05d}" for rows in FOLDS.values() for row in rows]
    for i, name in enumerate([*names, "00003"]):
        for n in range(1, 6 + i):
            picture(tmp_path / f"Clip/clip_224x224/{name}/{name}_{n:05d}.jpg", colour=(10 * n, 0, 0))
        for n in range(1, 17):
            picture(tmp_path / f"Clip/clip_224x224_16f/{name}/{n}.jpg", colour=(0, 10 * n, 0))
    (tmp_path / "Clip/clip_224x224/00001/Thumbs.db").write_bytes(b"\0")
    (tmp_path / "Annotation").mkdir()
    return tmp_path


def test_fixture(copy: Path) -> None:
    found = read(copy, MANIFEST).set_index("sample")
    rows = [(*row.split(","), fold) for fold, rows in FOLDS.items() for row in rows]
    wanted = {f"{int(n):05d}": (NAMES[code], fold) for n, code, fold in rows}
    assert dict(zip(found.index, zip(found["expression"], found["fold"], strict=True), strict=True)) == wanted
    assert found.loc["00001"].to_dict() == {
        "path": "Clip/clip_224x224/00001",
        "subject": "00001",
        "expression": "sadness",
        "fold": 1,
    }
    assert found.attrs["skipped"] == {}
    assert [len(frames_of(copy / path)) for path in found["path"]][0] == 5


def test_sixteen_frames_in_the_order_of_their_numbers(copy: Path) -> None:
    found = read(copy, MANIFEST.with_options({"release": "clip_224x224_16f"}))
    assert found["path"][0] == "Clip/clip_224x224_16f/00001"
    opened = next(iter(media("dfew").open(copy, found)))
    levels = [np.asarray(frame)[..., 1].mean() for frame in opened]
    assert len(levels) == 16 and levels == sorted(levels)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (TEST, "EmoLabel_DataSplit/test(single_labeled)"),
        (TRAIN, "train(single-labeled)"),
        ("Clip/clip_224x224", "clip_224x224"),
    ],
)
def test_other_names_of_folders(copy: Path, old: str, new: str) -> None:
    (copy / old).rename(copy / new)
    found = read(copy, MANIFEST)
    assert len(found) == 14 and all((copy / path).is_dir() for path in found["path"])


@pytest.mark.parametrize(
    ("release", "path"), [("avi", "Clip/clip_224x224_avi/00001.avi"), ("original", "Clip/original/00001.mp4")]
)
def test_videos(copy: Path, release: str, path: str) -> None:
    (copy / path).parent.mkdir()
    assert read(copy, MANIFEST.with_options({"release": release}))["path"][0] == path


def test_windows_lines_and_byte_order_mark(copy: Path) -> None:
    path = copy / TEST / "set_1.csv"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n") + b"\r\n")
    assert len(read(copy, MANIFEST)) == 14


@pytest.mark.parametrize(
    ("file", "lines", "message"),
    [
        (TEST, ["video_name,label", "1,8"], r"set_1.csv:2: unknown label code '8': known are 1, 2, 3"),
        (TEST, ["video_name,label", "1,0"], r"set_1.csv:2: unknown label code '0'"),
        (TEST, ["video_name,label", "1"], r"set_1.csv:2: expected a line like '1,2', found '1'"),
        (TEST, ["video_name,label", "1,2,3"], r"set_1.csv:2: expected a line like"),
        (TEST, ["video_name,label", "00001.mp4,2"], r"video_name is '00001.mp4', not a whole number"),
        (TEST, ["video_name,label", "../1,2"], r"set_1.csv:2: video_name is '../1', not a whole number"),
        (TEST, ["1,2"], r"set_1.csv:1: expected the header video_name,label, found '1,2': put the line"),
        (TEST, ["video_name,label"], r"set_1.csv: the list is empty: restore"),
        (TEST, ["video_name,label", "1,2", "01,2"], r"set_1.csv:3: clip 00001 is listed again .*line 2"),
        (TEST, ["video_name,label", "1,2", "2,3"], r"set_2.csv:2: clip 00002 is also in .* 1 .*set_1.csv:3"),
        (TRAIN, ["video_name,label", "1,2"], r"train.*/set_1.csv:2: clip 00001 is in the test list of the same"),
        (TRAIN, ["video_name,label", "2,3"], r"set_1.csv: 10 clips of the other .* not here: 00004, 00007, 00009"),
        (TRAIN, ["video_name,label", "2,4"], r"set_1.csv:2: clip 00002 is anger here and neutral in .*set_2.csv:2"),
        (TRAIN, ["video_name,label", "77,4"], r"set_1.csv:2: clip 00077 is in no test list"),
    ],
)  # fmt: skip
def test_malformed_lists(copy: Path, file: str, lines: list[str], message: str) -> None:
    put(copy / file / "set_1.csv", lines)
    with pytest.raises(DataError, match=message):
        read(copy, MANIFEST)


def test_not_utf8(copy: Path) -> None:
    (copy / TEST / "set_3.csv").write_bytes(b"video_name,label\n7,5\n\xff,1\n")
    with pytest.raises(
        DataError, match=r"set_3.csv:3: byte 1 of the line is not UTF-8 text: save the file as"
    ):
        read(copy, MANIFEST)


def test_missing_files(copy: Path) -> None:
    with pytest.raises(DataError, match=r"folder Clip/original or original \(original\) is missing"):
        read(copy, MANIFEST.with_options({"release": "original"}))
    (copy / TEST / "set_5.csv").unlink()
    with pytest.raises(DataError, match=r"set_5.csv: the list is missing: restore the file"):
        read(copy, MANIFEST)
    (copy / TRAIN).rename(copy / "elsewhere")
    with pytest.raises(DataError, match=r"(?s)folder EmoLabel_DataSplit/train.*is missing.*five digits wide"):
        read(copy, MANIFEST)


def test_wrong_option(copy: Path) -> None:
    with pytest.raises(
        DataError, match="option release is 'jpg': known are clip_224x224, clip_224x224_16f, avi"
    ):
        read(copy, MANIFEST.with_options({"release": "jpg"}))


DRAWN = st.dictionaries(
    st.integers(1, 16372),
    st.tuples(st.sampled_from(MANIFEST.labels), st.integers(1, 20)),
    min_size=5,
    max_size=12,
)


@settings(max_examples=16, deadline=None)
@given(drawn=DRAWN, release=st.sampled_from(list(dfew.ENDINGS)))
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, clips: Callable, drawn: dict, release: str
) -> None:
    root = tmp_path_factory.mktemp("dfew")
    world = clips("dfew", [(f"{n:05d}", "", label, frames) for n, (label, frames) in sorted(drawn.items())])
    dfew.write(world, root, image_size=16, release=release)
    found = read(root, MANIFEST.with_options({"release": release}))
    wanted = {f"{n:05d}": label for n, (label, _) in drawn.items()}
    assert dict(zip(found["sample"], found["expression"], strict=True)) == wanted
    sizes = found["fold"].value_counts()
    assert set(sizes.index) == {1, 2, 3, 4, 5} and sizes.max() - sizes.min() <= 1
    per_class = pd.crosstab(found["expression"], found["fold"])
    assert (per_class.max(axis=1) - per_class.min(axis=1) <= 1).all()
    lengths = {f"{n:05d}": frames for n, (_, frames) in drawn.items()}
    for row, frames in zip(found.to_dict("records"), media("dfew").open(root, found), strict=True):
        assert all(isinstance(frame, Image.Image) for frame in frames)
        wanted_n = 16 if release == "clip_224x224_16f" else lengths[row["sample"]]
        assert len(frames) == wanted_n == row["true_frames"]


def test_resampled_truth_follows_the_frames(tmp_path: Path, clips: Callable) -> None:
    world = clips("dfew", [(f"{i:05d}", "", "fear", n) for i, n in enumerate([32, 4, 1, 5, 6], start=1)])
    world.records["noisy"] = ["30:blank 31:hand", "2:person", "", "", ""]
    world.records["onset"] = [10, 1, -1, 0, 0]
    dfew.write(world, tmp_path, image_size=16, release="clip_224x224_16f")
    found = read(tmp_path, MANIFEST.with_options({"release": "clip_224x224_16f"})).set_index("sample")
    assert found["true_noisy"].tolist()[:3] == ["15:hand", "8:person 9:person 10:person 11:person", ""]
    assert found["true_onset"].tolist()[:3] == [4, 4, -1] and set(found["true_frames"]) == {16}


def test_unknown_release_is_not_written(tmp_path: Path, clips: Callable) -> None:
    with pytest.raises(DataError, match="option release is 'gif'"):
        dfew.write(clips("dfew", [("00001", "", "fear", 3)]), tmp_path, image_size=16, release="gif")
    assert layout("dfew") is dfew and not list(tmp_path.iterdir())
