from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fbu.data.layouts import ckplus, read
from fbu.data.manifest import load_manifest
from fbu.errors import DataError

MANIFEST = load_manifest("ckplus")
UNITS = MANIFEST.intensity_aus
# Sequence -> frames, emotion file (last frame), FACS lines (last frame).
SEQUENCES = {
    "S005/001": (
        (1, 2, 10, 11),
        "   3.0000000e+00\n",
        "   9.0000000e+00   4.0000000e+00\n   17.0 0\n   43 2",
    ),
    "S005/002": ((1, 2, 3, 4), "   2.0000000e+00\n", "   1.4000000e+01   3.0000000e+00\n"),
    "S010/001": ((1, 2, 3, 4, 5, 6), None, "   1.0000000e+00   2.0000000e+00\n"),
    "S010/004": ((1, 2, 3, 4), "   5.0000000e+00", None),
    "S999/003": ((3, 4, 5, 6), "7", ""),
    "S011/006": ((1, 2, 3, 4, 5), "   1.0000000e+00\n", None),
}


def sequence_file(root: Path, kind: str, base: str, frame: int, ending: str) -> Path:
    path = root / kind / base / f"{base.replace('/', '_')}_{frame:08d}{ending}"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


@pytest.fixture
def copy(tmp_path: Path, picture: Callable[..., None]) -> Path:
    """Six sequences; one without an emotion file (but with its empty folder), one contempt, one in colour."""
    for base, (frames, emotion, facs) in SEQUENCES.items():
        for frame in frames:
            path = sequence_file(tmp_path, "cohn-kanade-images", base, frame, ".png")
            picture(path, size=(16, 12))
            if base != "S005/001":
                with Image.open(path) as image:
                    grey = image.convert("L")
                grey.save(path)
        (tmp_path / "cohn-kanade-images" / base / ".DS_Store").write_bytes(b"\0\xff")
        (tmp_path / "Emotion" / base).mkdir(parents=True)
        if emotion is not None:
            sequence_file(tmp_path, "Emotion", base, frames[-1], "_emotion.txt").write_text(emotion)
        if facs is not None:
            sequence_file(tmp_path, "FACS", base, frames[-1], "_facs.txt").write_text(facs)
    (tmp_path / "cohn-kanade-images/.DS_Store").write_bytes(b"\0\xff")
    (tmp_path / "Emotion/S010/001/.DS_Store").write_bytes(b"\0\xff")
    return tmp_path


def test_fixture(copy: Path) -> None:
    found = read(copy, MANIFEST).set_index("sample")
    assert found["expression"].to_dict() == {
        "S005/001/00000001": "neutral",
        "S005/001/00000011": "disgust",
        "S005/002/00000001": "neutral",
        "S005/002/00000004": "contempt",
        "S010/004/00000001": "neutral",
        "S010/004/00000004": "happiness",
        "S011/006/00000001": "neutral",
        "S011/006/00000005": "anger",
        "S999/003/00000003": "neutral",
        "S999/003/00000006": "surprise",
    }
    assert found.loc["S005/001/00000011", "path"] == "cohn-kanade-images/S005/001/S005_001_00000011.png"
    assert set(found["part"]) == {"test"} and set(found["subject"]) == {"S005", "S010", "S011", "S999"}
    assert found["frame"].tolist() == [1, 11, 1, 4, 1, 4, 1, 5, 3, 6]
    assert found.attrs["skipped"] == {"sequences without an emotion file": 1}
    assert all((copy / path).is_file() for path in found["path"])


def test_units_of_the_last_frame(copy: Path) -> None:
    found = read(copy, MANIFEST).set_index("sample")
    row = found.loc["S005/001/00000011"]
    assert [unit for unit in UNITS if row[f"AU{unit}"] == 1] == [9, 17]
    assert (row["AU9_intensity"], row["AU17_intensity"], row["AU1_intensity"]) == (4, -1, 0)
    units = [f"AU{unit}" for unit in UNITS]
    assert (found.loc["S005/001/00000001", units] == -1).all()  # first frame: nobody coded it
    assert (found.loc["S010/004/00000004", units] == -1).all()  # no file
    assert (found.loc["S999/003/00000006", units] == 0).all()  # an empty file: no unit


def test_without_facs_folder_there_are_no_units(copy: Path) -> None:
    (copy / "FACS").rename(copy / "elsewhere")
    assert not [column for column in read(copy, MANIFEST) if column.startswith("AU")]


@pytest.mark.parametrize(
    ("wanted", "neutral"),
    [
        ("labelled", ["S005/001", "S005/002", "S010/004", "S011/006", "S999/003"]),
        ("basic", ["S005/001", "S010/004", "S011/006", "S999/003"]),
        ("all", ["S005/001", "S005/002", "S010/001", "S010/004", "S011/006", "S999/003"]),
        ("none", []),
    ],
)
def test_which_first_frames_count(copy: Path, wanted: str, neutral: list[str]) -> None:
    found = read(copy, MANIFEST.with_options({"first_frames": wanted}))
    first = found[found["expression"] == "neutral"]
    assert [sample.rpartition("/")[0] for sample in first["sample"]] == neutral
    assert (found["expression"] != "neutral").sum() == 5


def test_ke_fer_counts_the_first_frames_of_contempt_but_not_its_last() -> None:
    counts, classes = MANIFEST.expected.classes, MANIFEST.protocols["ke_fer"].classes
    assert "contempt" not in classes and sum(counts[name] for name in classes) == 636


def test_names_of_the_archives(copy: Path) -> None:
    for name, archive in (
        ("cohn-kanade-images", "extended-cohn-kanade-images"),
        ("Emotion", "Emotion_labels"),
    ):
        (copy / archive).mkdir()
        (copy / name).rename(copy / archive / name)
    found = read(copy, MANIFEST)
    assert len(found) == 10 and all((copy / path).is_file() for path in found["path"])


def test_sequences_that_lack_their_labelled_frame_are_counted(copy: Path) -> None:
    sequence_file(copy, "cohn-kanade-images", "S005/001", 11, ".png").unlink()
    for frame in (1, 2, 3, 4):
        sequence_file(copy, "cohn-kanade-images", "S005/002", frame, ".png").unlink()
    found = read(copy, MANIFEST)
    assert not set(found["subject"]) & {"S005"}
    assert found.attrs["skipped"] == {
        "labelled sequences that do not end with the labelled frame": 1,
        "labelled sequences without a picture": 1,
        "sequences without an emotion file": 1,
    }


def test_a_sequence_of_one_picture_has_no_neutral_face(copy: Path) -> None:
    for frame in (1, 2, 3):
        sequence_file(copy, "cohn-kanade-images", "S010/004", frame, ".png").unlink()
    found = read(copy, MANIFEST)
    assert found["expression"][found["subject"] == "S010"].tolist() == ["happiness"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("   8.0000000e+00\n", r"_emotion.txt:1: unknown label code '8': known are 0, 1, 2"),
        ("\n   happy\n", r"_emotion.txt:2: expected one whole number like 3.0000000e\+00, found 'happy'"),
        ("   1.5000000e+00\n", r"_emotion.txt:1: expected one whole number .* found '1.5000000e\+00'"),
        ("   nan\n", r"_emotion.txt:1: expected one whole number"),
        ("   1.0 2.0\n", r"_emotion.txt:1: expected one whole number"),
        ("", r"_emotion.txt:1: expected one number, found 0 lines"),
        ("1\n2\n", r"_emotion.txt:1: expected one number, found 2 lines"),
    ],
)
def test_malformed_emotion(copy: Path, text: str, message: str) -> None:
    sequence_file(copy, "Emotion", "S005/001", 11, "_emotion.txt").write_text(text)
    with pytest.raises(DataError, match=message):
        read(copy, MANIFEST)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "   9 4\n   9.0000000e+00\n",
            r"_facs.txt:2: expected 2 whole numbers like .* found '9.0000000e\+00'",
        ),
        ("   9 6\n", r"_facs.txt:1: unknown intensity 6: known are 0 to 5"),
        ("   9 4\n   9 3\n", r"_facs.txt:2: AU9 is listed twice"),
        ("   R9 4\n", r"_facs.txt:1: expected 2 whole numbers"),
    ],
)
def test_malformed_facs(copy: Path, text: str, message: str) -> None:
    sequence_file(copy, "FACS", "S005/001", 11, "_facs.txt").write_text(text)
    with pytest.raises(DataError, match=message):
        read(copy, MANIFEST)


def test_not_utf8(copy: Path) -> None:
    sequence_file(copy, "Emotion", "S005/001", 11, "_emotion.txt").write_bytes(b"\n\xff")
    with pytest.raises(DataError, match=r"_emotion.txt:2: not UTF-8 text"):
        read(copy, MANIFEST)


def test_two_emotion_files(copy: Path) -> None:
    sequence_file(copy, "Emotion", "S005/001", 10, "_emotion.txt").write_text("1")
    with pytest.raises(
        DataError, match=r"S005/001: .*10_emotion.txt and .*11_emotion.txt: a sequence has one"
    ):
        read(copy, MANIFEST)


def test_two_pictures_of_one_frame(copy: Path, picture: Callable[..., None]) -> None:
    picture(copy / "cohn-kanade-images/S005/001/S005_001_0000011.png")
    with pytest.raises(DataError, match="S005/001: .* have the same frame number"):
        read(copy, MANIFEST)


def test_missing_folder_shows_the_tree(copy: Path) -> None:
    (copy / "Emotion").rename(copy / "emotions")
    with pytest.raises(DataError, match=r"(?s)folder Emotion or .* is missing.*first and last are found"):
        read(copy, MANIFEST)


def test_wrong_option(copy: Path) -> None:
    with pytest.raises(
        DataError, match="option first_frames is 'some': known are labelled, basic, all, none"
    ):
        read(copy, MANIFEST.with_options({"first_frames": "some"}))


DRAWN = st.dictionaries(
    st.tuples(st.sampled_from(["S001", "S002", "S123"]), st.integers(1, 12)),
    st.tuples(st.sampled_from(["", *MANIFEST.labels[1:]]), st.integers(2, 11)),
    min_size=1,
    max_size=5,
).filter(lambda drawn: any(name for name, _ in drawn.values()))


@settings(max_examples=20, deadline=None)
@given(drawn=DRAWN, seed=st.integers(0, 9))
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, sequences: Callable, drawn: dict, seed: int
) -> None:
    root = tmp_path_factory.mktemp("ckplus")
    order = sorted(drawn.items())
    world = sequences([(s, f"{k:03d}", range(1, n + 1)) for (s, k), (_, n) in order], seed)
    records = world.records
    records["sample"] = [
        f"{s}/{k}/{n:08d}"
        for s, k, n in zip(records["subject"], records["activity"], records["frame"], strict=True)
    ]
    last = {f"{s}/{k:03d}/{n:08d}": name for (s, k), (name, n) in order}
    records["label"] = [last.get(sample, "") for sample in records["sample"]]
    ckplus.write(world, root, image_size=12)
    found = read(root, MANIFEST).set_index("sample")
    wanted = {sample: name for sample, name in last.items() if name}
    neutral = {f"{sample.rpartition('/')[0]}/00000001": "neutral" for sample in wanted}
    assert found["expression"].to_dict() == wanted | neutral
    truth = records.set_index("sample").loc[list(wanted)]
    for unit in UNITS:
        steps = np.floor(truth[f"AU{unit}_intensity"])
        np.testing.assert_array_equal(found.loc[list(wanted), f"AU{unit}"], steps >= 1)
        given = found.loc[list(wanted), f"AU{unit}_intensity"]
        np.testing.assert_array_equal(given.where(given >= 0, steps), steps)
    assert all((root / path).is_file() for path in found["path"])


def test_twin_has_the_traps_of_the_real_files(tmp_path: Path, sequences: Callable) -> None:
    subjects = [f"S{i:03d}" for i in range(1, 25)]
    world = sequences([(s, "001", (1, 2)) for s in subjects])
    world.records["sample"] = [f"{s}/001/{n:08d}" for s in subjects for n in (1, 2)]
    world.records["label"] = ["", "anger"] * 23 + ["", ""]
    ckplus.write(world, tmp_path, image_size=12)
    emotion = tmp_path / "Emotion/S001/001/S001_001_00000002_emotion.txt"
    assert emotion.read_text() == "   1.0000000e+00\n"
    facs = (tmp_path / "FACS/S001/001/S001_001_00000002_facs.txt").read_text()
    assert all(
        line[:3] == "   " and line[16:19] == "   " and line.count("e+0") == 2 for line in facs.splitlines()
    )
    assert "   0.0000000e+00" in "".join(path.read_text() for path in (tmp_path / "FACS").rglob("*.txt"))
    modes = set()
    for path in tmp_path.rglob("*.png"):
        with Image.open(path) as image:
            modes.add(image.mode)
            assert image.size == (16, 12)
    assert modes == {"L", "RGB"} and list(tmp_path.rglob(".DS_Store"))
    assert read(tmp_path, MANIFEST).attrs["skipped"] == {"sequences without an emotion file": 1}
