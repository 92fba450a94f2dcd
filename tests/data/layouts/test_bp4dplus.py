from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fbu.data import splits
from fbu.data.layouts import bp4dplus, read
from fbu.data.manifest import load_manifest
from fbu.errors import DataError

MANIFEST = load_manifest("bp4dplus")
# The frame column is called 1, as AU1 is; 35 columns.
HEADER = "1,1,2,4,5,6,7,9,10,11,12,13,14,15,16,17,18,19,20,22,23,24,27,28,29,30,31,32,33,34,35,36,37,38,39"
FIRST = "318,0,0,0,0,1,1,0,1,0,1,0,1,0,0,0,0,0,0,0,0,0,9,0,0,0,0,0,0,0,0,0,0,0,0"
SECOND = "319,1,9,0,0,1,1,0,1,0,0,0,1,0,0,0,0,0,0,0,0,0,9,0,0,0,0,0,0,0,0,0,0,0,0"
LOST = "320,1,0,0,0,1,1,0,1,0,0,0,1,0,0,0,0,0,0,0,0,0,9,0,0,0,0,0,0,0,0,0,0,0,0"
NOTHING = "1,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,9,0,0,0,0,0,0,0,0,0,0,0,0"
LAST_COLUMNS = "2,0,0,1,0,0,0,0,0,0,0,0,0,1,0,1,0,0,0,0,1,1,9,0,0,0,0,0,0,0,0,0,0,0,0"
PICTURES = (
    "F001/T1/0317 F001/T1/0318 F001/T1/0319 F001/T1/0500 M058/T8/001 M058/T8/002 F002/T6/000 F002/T6/001 "
    "F001/T2/0001 F001/T10/0007 F042/T11/001 notes/T1/001"
)


def occurrence(root: Path, *lines: str, name: str = "F001_T1") -> None:
    path = root / f"AUCoding/AU_OCC/{name}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture
def copy(tmp_path: Path, picture: Callable[..., None]) -> Path:
    occurrence(tmp_path, HEADER, FIRST, SECOND, LOST)
    occurrence(tmp_path, HEADER, NOTHING, LAST_COLUMNS, name="M058_T8")
    occurrence(tmp_path, HEADER.replace("1,1,", "frame,1,"), NOTHING, name="F002_T6")
    for name in PICTURES.split():
        picture(tmp_path / f"2D+3D/{name}.jpg")
    intensity = tmp_path / "AUCoding/AU_INT/AU06/F001_T1_AU06.csv"
    intensity.parent.mkdir(parents=True)
    intensity.write_text("318,2\n319,9\n320,1\n")
    return tmp_path


def on(row) -> list[int]:
    return [unit for unit in MANIFEST.aus if row[f"AU{unit}"] == 1]


def test_fixture(copy: Path) -> None:
    found = read(copy, MANIFEST).set_index("sample")
    assert found["path"].to_dict() == {
        "F001/T1/0318": "2D+3D/F001/T1/0318.jpg",
        "F001/T1/0319": "2D+3D/F001/T1/0319.jpg",
        "F002/T6/0001": "2D+3D/F002/T6/001.jpg",
        "M058/T8/0001": "2D+3D/M058/T8/001.jpg",
        "M058/T8/0002": "2D+3D/M058/T8/002.jpg",
    }
    assert on(found.loc["F001/T1/0318"]) == [6, 7, 10, 12, 14]
    assert on(found.loc["F001/T1/0319"]) == [1, 6, 7, 10, 14] and found.loc["F001/T1/0319", "AU2"] == -1
    assert on(found.loc["M058/T8/0002"]) == [4, 15, 17, 23, 24]
    assert found["AU6_intensity"].tolist() == [2, -1, -1, -1, -1]
    assert (found.loc["F001/T1/0318", ["subject", "activity", "frame"]] == ["F001", "T1", 318]).all()
    assert found.attrs["skipped"] == {"labelled frames without a picture": 1}


def test_frame_1_is_not_taken_for_unit_1(copy: Path) -> None:
    """The first column is called 1 and holds a 1: only its position says that it is the frame number."""
    found = read(copy, MANIFEST).set_index("sample")
    assert found.loc["F002/T6/0001", "AU1"] == found.loc["M058/T8/0001", "AU1"] == 0


def test_frames_without_any_unit_stay(copy: Path) -> None:
    found = read(copy, MANIFEST).set_index("sample")
    assert (found.loc["M058/T8/0001", list(MANIFEST.labels)] == 0).all()


def test_unlabelled_pictures_of_all_tasks_can_be_listed(copy: Path) -> None:
    found = read(copy, MANIFEST.with_options({"unlabelled": 1})).set_index("sample")
    plain = read(copy, MANIFEST).set_index("sample")
    added = found.drop(plain.index)
    assert sorted(added.index) == [
        "F001/T1/0317",
        "F001/T1/0500",
        "F001/T10/0007",
        "F001/T2/0001",
        "F002/T6/0000",
    ]
    assert (added[[*MANIFEST.labels, "AU6_intensity"]] == -1).all(axis=None)
    assert found.loc[plain.index].equals(plain)
    assert found.attrs["skipped"] == {
        "labelled frames without a picture": 1,
        "folders of tasks outside T1 to T10": 1,
    }


def test_equally_many_pictures_of_each_task(copy: Path, picture: Callable[..., None]) -> None:
    options = {"unlabelled": 1, "per_task": 2}
    found = read(copy, MANIFEST.with_options(options))
    assert found["activity"].value_counts().to_dict() == {"T1": 2, "T6": 2, "T8": 2, "T2": 1, "T10": 1}
    picture(copy / "2D+3D/F001/T10/0008.jpg")
    more = read(copy, MANIFEST.with_options(options))
    assert set(more["sample"]) == {*found["sample"], "F001/T10/0008"}


def test_offset_shifts_the_picture_not_the_label(copy: Path) -> None:
    found = read(copy, MANIFEST.with_options({"offset": -1})).set_index("sample")
    assert found.loc["F001/T1/0318", "path"] == "2D+3D/F001/T1/0317.jpg"
    assert found.loc["F002/T6/0001", "path"] == "2D+3D/F002/T6/000.jpg"
    assert on(found.loc["F001/T1/0320"]) == [1, 6, 7, 10, 14]
    whole = read(copy, MANIFEST.with_options({"offset": -1, "unlabelled": 1})).set_index("sample")
    assert whole.loc["F001/T10/0008", "path"] == "2D+3D/F001/T10/0007.jpg"


def test_outer_folder_and_no_intensities(copy: Path) -> None:
    (copy / "AUCoding/AU_INT").rename(copy / "elsewhere")
    (copy / "BP4D+_v0.2").mkdir()
    for name in ("2D+3D", "AUCoding"):
        (copy / name).rename(copy / "BP4D+_v0.2" / name)
    found = read(copy, MANIFEST)
    assert len(found) == 5 and "AU6_intensity" not in found
    assert all((copy / path).is_file() for path in found["path"])


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([HEADER.replace(",17,", ",21,"), FIRST], r"F001_T1.csv:1: column '17' \(AU17\) is missing"),
        ([FIRST], r"F001_T1.csv:1: unknown header 318,0,0,0,0,1... with 35 columns"),
        (["frame,AU1,AU2", "1,0,0"], r"F001_T1.csv:1: unknown header frame,AU1,AU2... with 3 columns"),
        (["frame"], r"F001_T1.csv:1: unknown header frame... with 1 columns"),
    ],
)
def test_malformed_occurrence(copy: Path, lines: list[str], message: str) -> None:
    occurrence(copy, *lines)
    with pytest.raises(DataError, match=message):
        read(copy, MANIFEST)


def test_malformed_rows(copy: Path, malformed_rows: Callable) -> None:
    lines, message = malformed_rows(HEADER, FIRST, SECOND)
    occurrence(copy, *lines)
    with pytest.raises(DataError, match=message):
        read(copy, MANIFEST)


def test_malformed_intensity(copy: Path, malformed_intensity: Callable) -> None:
    text, message = malformed_intensity(318)
    (copy / "AUCoding/AU_INT/AU06/F001_T1_AU06.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        read(copy, MANIFEST)


def test_not_utf8(copy: Path) -> None:
    (copy / "AUCoding/AU_OCC/F001_T1.csv").write_bytes(HEADER.encode() + b"\n\xff\n")
    with pytest.raises(DataError, match=r"F001_T1.csv:2: not UTF-8 text"):
        read(copy, MANIFEST)


def test_two_files_of_one_frame(copy: Path, picture: Callable[..., None]) -> None:
    picture(copy / "2D+3D/M058/T8/0001.jpg")
    with pytest.raises(DataError, match=r"M058/T8: 0*1.jpg and 0*1.jpg have the same frame number"):
        read(copy, MANIFEST)


def test_missing_folder_shows_the_tree(copy: Path) -> None:
    (copy / "2D+3D").rename(copy / "frames")
    with pytest.raises(
        DataError, match=r"(?s)folder 2D\+3D or .*images. is missing.*one archive per subject"
    ):
        read(copy, MANIFEST)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"unlabelled": 2}, "option unlabelled is 2: known are 0, 1"),
        ({"per_task": -1}, "option per_task is -1: it must be 0 .all. or more"),
    ],
)
def test_wrong_options(copy: Path, options: dict, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(copy, MANIFEST.with_options(options))


def test_four_blocks_of_35_people() -> None:
    subjects = [f"F{i:03d}" for i in range(1, 83)] + [f"M{i:03d}" for i in range(1, 59)]
    blocks = splits.blocks(MANIFEST, subjects)
    assert sorted(blocks) == subjects
    assert [list(blocks.values()).count(fold) for fold in MANIFEST.splits.folds] == [35, 35, 35, 35]


SEQUENCES = st.dictionaries(
    st.tuples(
        st.sampled_from(["F001", "F041", "M005"]),
        st.one_of(st.sampled_from(["T1", "T7"]), st.sampled_from(["T2", "T8", "T10"])),
    ),
    st.sets(st.integers(1, 2992), min_size=1, max_size=4),
    min_size=1,
    max_size=4,
).filter(lambda drawn: any(task in bp4dplus.CODED_TASKS for _, task in drawn))


@settings(max_examples=20, deadline=None)
@given(sequences_of=SEQUENCES, seed=st.integers(0, 9))
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, sequences: Callable, sequences_of: dict, seed: int
) -> None:
    root = tmp_path_factory.mktemp("bp4dplus")
    world = sequences([(s, t, sorted(frames)) for (s, t), frames in sequences_of.items()], seed)
    bp4dplus.write(world, root, image_size=8)
    everything = read(root, MANIFEST.with_options({"unlabelled": 1})).set_index("sample")
    assert sorted(everything.index) == sorted(world.records["sample"])
    assert all((root / path).is_file() for path in everything["path"])
    found = read(root, MANIFEST).set_index("sample")
    truth = world.records.set_index("sample").loc[found.index]
    coded = world.records["activity"].isin(bp4dplus.CODED_TASKS)
    assert len(found) == coded.sum() and found.equals(everything.loc[found.index])
    for unit in MANIFEST.aus:
        np.testing.assert_array_equal(found[f"AU{unit}"], truth[f"AU{unit}_intensity"] >= 2)
    for unit in MANIFEST.intensity_aus:
        np.testing.assert_array_equal(found[f"AU{unit}_intensity"], np.floor(truth[f"AU{unit}_intensity"]))


def test_twin_has_the_traps_of_the_real_files(tmp_path: Path, sequences: Callable) -> None:
    subjects = [f"F{i:03d}" for i in range(35, 45)]
    world = sequences([(s, t, (5, 6)) for s in subjects for t in ("T5", "T7")])
    bp4dplus.write(world, tmp_path, image_size=8)
    widths = {len(path.stem) for path in (tmp_path / "2D+3D").rglob("*.jpg")}
    assert widths == {3, 4}
    rows = (tmp_path / "AUCoding/AU_OCC/F041_T7.csv").read_text().splitlines()
    assert rows[0] == HEADER and [row.split(",")[0] for row in rows[1:]] == ["5", "6", "7"]
    assert not list((tmp_path / "AUCoding").rglob("*T5*"))
    assert read(tmp_path, MANIFEST).attrs["skipped"]["labelled frames without a picture"] >= 1
