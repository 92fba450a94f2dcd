from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fbu.data.layouts import gft, read
from fbu.data.manifest import load_manifest
from fbu.errors import DataError

MANIFEST = load_manifest("gft")
UNITS = "AU1,AU2,AU4,AU5,AU6,AU7,AU9,AU10,AU11,AU12,AU14,AU15,AU17,AU23,AU24"
HEADER = f"subject,frame,{UNITS}"
# One csv of all participants; a -1, a 9, a frame without any code, one without a picture.
ROWS = """001A,1,0,0,0,0,1,0,0,1,0,1,0,0,0,0,0
001A,2,1,-1,0,0,1,0,0,9,0,1,1,0,0,0,0
001A,3,-1,-1,-1,-1,-1,-1,-1,-1,-1,-1,-1,-1,-1,-1,-1
001B,1,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0
002A,7,0,0,1,0,0,0,0,0,0,0,0,1,1,1,1
002B,1800,0,0,0,0,0,0,0,0,0,0,1,0,0,0,0
002B,1801,0,0,0,0,0,0,0,0,0,0,1,0,0,0,0
"""
SPLIT = "subject,split\n001A,train\n001B,train\n002A,test\n002B,test\n003C,train\n"
ONE = MANIFEST.with_options({"annotations": "annotations.csv"})


@pytest.fixture
def copy(tmp_path: Path, picture: Callable[..., None]) -> Path:
    (tmp_path / "annotations.csv").write_text(f"{HEADER}\n{ROWS}")
    (tmp_path / "split.csv").write_text(SPLIT)
    for name in ("001A/1", "001A/2", "001A/3", "001B/1", "002A/6", "002A/7", "002B/1800"):
        picture(tmp_path / f"images/{name}.jpg")
    return tmp_path


def one_file_each(copy: Path, header: str = f"frame,{UNITS}", drop: int = 1, name: str = "{}.csv") -> None:
    """The same rows, as one csv per participant."""
    (copy / "annotations").mkdir()
    for subject in ("001A", "001B", "002A", "002B"):
        rows = [",".join(row.split(",")[drop:]) for row in ROWS.splitlines() if row.startswith(subject)]
        (copy / "annotations" / name.format(subject)).write_text("\n".join([header, *rows]) + "\n")


def test_fixture(copy: Path) -> None:
    found = read(copy, ONE).set_index("sample")
    on = {
        sample: [unit for unit in MANIFEST.aus if row[f"AU{unit}"] == 1] for sample, row in found.iterrows()
    }
    assert on == {
        "001A/0001": [6, 10, 12],
        "001A/0002": [1, 6, 12, 14],
        "001B/0001": [],
        "002A/0007": [4, 15, 23, 24],
        "002B/1800": [14],
    }
    assert found.loc["001A/0002", ["AU2", "AU10"]].tolist() == [-1, -1]
    assert found["part"].tolist() == ["train", "train", "train", "test", "test"]
    assert found["path"].tolist()[0] == "images/001A/1.jpg" and found["frame"].tolist()[-1] == 1800
    assert found.attrs["skipped"] == {
        "labelled frames without a picture": 1,
        "frames without any valid code": 1,
    }


@pytest.mark.parametrize("name", ["{}.csv", "{}_AU.csv"])
def test_one_file_per_participant(copy: Path, name: str) -> None:
    plain = read(copy, ONE)
    one_file_each(copy, name=name)
    (copy / "annotations/readme.txt").write_text("x")
    assert read(copy, MANIFEST).equals(plain)


def test_units_by_other_names_and_rows_that_count_from_1(copy: Path) -> None:
    one_file_each(
        copy, header=UNITS.replace("AU1,", "AU01,").replace("AU10", "10").replace("AU6", "au06"), drop=2
    )
    found = read(copy, MANIFEST.with_options({"frame_column": ""})).set_index("sample")
    plain = read(copy, ONE).set_index("sample")
    assert found.loc[["001A/0001", "001A/0002", "001B/0001"]].equals(plain.iloc[:3])
    assert found.attrs["skipped"]["labelled frames without a picture"] == 3


def test_columns_by_the_names_that_options_give(copy: Path) -> None:
    plain = read(copy, ONE)
    path = copy / "annotations.csv"
    path.write_text(path.read_text().replace("subject,frame", "name,Frame#"))
    (copy / "split.csv").rename(copy / "original.csv")
    options = {"subject_column": "name", "frame_column": "Frame#", "split": "original.csv"}
    assert read(copy, ONE.with_options(options)).equals(plain)


def test_offset_shifts_the_picture_not_the_label(copy: Path) -> None:
    found = read(copy, ONE.with_options({"offset": -1})).set_index("sample")
    assert found["path"].to_dict() == {
        "001A/0002": "images/001A/1.jpg",
        "002A/0007": "images/002A/6.jpg",
        "002B/1801": "images/002B/1800.jpg",
    }
    assert found.loc["002A/0007", "AU4"] == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{HEADER}\n001A,1,0\n", r"annotations.csv:2: 3 fields where the header has 17"),
        (f"{HEADER}\n{ROWS}001A,2{',0' * 15}\n", r"annotations.csv:9: frame 2 of 001A is listed twice"),
        (f"{HEADER}\n001A,x{',0' * 15}\n", r"annotations.csv:2: frame number is 'x', not a whole number"),
        (HEADER.replace("AU14", "AU16"), r"annotations.csv:1: no column of AU14 \(AU14, AU14 or 14\)"),
        (
            HEADER.replace("frame", "time"),
            r"annotations.csv:1: column 'frame' is missing; found subject, time",
        ),
        ("", r"annotations.csv:1: column 'subject' is missing; found an empty file"),
        (
            f"{HEADER}\n004A,1{',0' * 15}\n",
            r"split.csv: participant '004A' is missing: add a line 004A,train",
        ),
    ],
)
def test_malformed_annotations(copy: Path, text: str, message: str) -> None:
    (copy / "annotations.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        read(copy, ONE)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("subject,split\n001A,valid\n", r"split.csv:2: unknown split 'valid': known are train, test"),
        ("subject,split\n001A,train\n001A,test\n", r"split.csv:3: participant '001A' is listed twice"),
        ("subject,fold\n001A,1\n", r"split.csv: column 'split' is missing; found subject, fold"),
    ],
)
def test_malformed_split(copy: Path, text: str, message: str) -> None:
    (copy / "split.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        read(copy, ONE)


def test_without_a_split_it_says_what_to_write(copy: Path) -> None:
    (copy / "split.csv").unlink()
    with pytest.raises(DataError, match=r"split.csv is missing: .* not public; .* 001A,train"):
        read(copy, ONE)


def test_not_utf8(copy: Path) -> None:
    (copy / "annotations.csv").write_bytes(HEADER.encode() + b"\n\xff\n")
    with pytest.raises(DataError, match=r"annotations.csv:2: not UTF-8 text"):
        read(copy, ONE)


def test_missing_files(copy: Path) -> None:
    with pytest.raises(
        DataError, match="(?s)annotations is missing: option annotations .*participants has one"
    ):
        read(copy, MANIFEST)
    (copy / "annotations").mkdir()
    with pytest.raises(DataError, match=r"annotations: no file like 001A.csv; option annotations"):
        read(copy, MANIFEST)
    (copy / "images").rename(copy / "frames")
    with pytest.raises(DataError, match="folder images or GFT/images .images. is missing"):
        read(copy, ONE)


def test_two_files_of_a_participant(copy: Path) -> None:
    one_file_each(copy)
    (copy / "annotations/001A_AU.csv").write_text("frame\n")
    with pytest.raises(
        DataError, match="annotations: two files of participant 001A, the second is 001A_AU.csv"
    ):
        read(copy, MANIFEST)


@pytest.mark.parametrize("option", ["annotations", "split"])
def test_options_do_not_lead_out_of_the_folder(copy: Path, option: str) -> None:
    with pytest.raises(DataError, match=f"gft: option {option}: path '../x.csv' is empty or leads out"):
        read(copy, ONE.with_options({option: "../x.csv"}))


DRAWN = st.dictionaries(
    st.sampled_from(["001A", "006B", "016C", "032A"]),
    st.sets(st.integers(1, 1800), min_size=1, max_size=6),
    min_size=1,
)


@settings(max_examples=20, deadline=None)
@given(drawn=DRAWN, seed=st.integers(0, 9))
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, sequences: Callable, drawn: dict, seed: int
) -> None:
    root = tmp_path_factory.mktemp("gft")
    world = sequences([(s, "", sorted(frames)) for s, frames in drawn.items()], seed)
    world.records["sample"] = [
        f"{s}/{n:04d}" for s, n in zip(world.records["subject"], world.records["frame"], strict=True)
    ]
    gft.write(world, root, image_size=8)
    written = "".join(path.read_text() for path in (root / "annotations").iterdir())
    if ",0," not in written and ",1," not in written:
        with pytest.raises(DataError, match="frames without any valid code"):
            read(root, MANIFEST)
        return
    found = read(root, MANIFEST).set_index("sample")
    truth = world.records.set_index("sample").loc[found.index]
    units = found[list(MANIFEST.labels)].to_numpy()
    present = np.stack([truth[f"AU{unit}_intensity"] >= 2 for unit in MANIFEST.aus], axis=1)
    np.testing.assert_array_equal(units[units >= 0], present[units >= 0])
    assert (units < 0).sum(axis=1).max() <= 1
    assert len(found) + found.attrs["skipped"].get("frames without any valid code", 0) == len(world.records)
    assert (found["part"] == np.where(found["subject"] == "001A", "train", "test")).all()
    assert all((root / path).is_file() for path in found["path"])


def test_twin_has_18_test_participants_in_whole_groups(tmp_path: Path, sequences: Callable) -> None:
    subjects = [f"{g:03d}{k}" for g in range(1, 33) for k in "ABC"]
    gft.write(sequences([(s, "", (1, 2, 3, 4)) for s in subjects]), tmp_path, image_size=8)
    split = [line.split(",") for line in (tmp_path / "split.csv").read_text().splitlines()[1:]]
    test = [subject for subject, part in split if part == "test"]
    assert len(split) == 96 and len(test) == 18 and len({subject[:3] for subject in test}) == 6
    found = read(tmp_path, MANIFEST)
    assert 0.7 < len(found) / 384 < 0.85
    assert (found[list(MANIFEST.labels)] == -1).any(axis=None)
