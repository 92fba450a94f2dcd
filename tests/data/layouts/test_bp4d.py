from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fbu.data.layouts import bp4d, read
from fbu.data.manifest import load_manifest
from fbu.errors import DataError

MANIFEST = load_manifest("bp4d")
HEADER = ",".join(str(i) for i in range(100))
NINES = ",9" * 74
# Columns 0 to 25: frame, then AU1 ...; 9 is "not coded".
FIRST = "2440,0,0,9,0,0,0,0,9,0,1,0,1,9,0,0,0,0,0,9,0,9,0,0,0,9" + NINES
SECOND = "2441,1,9,9,0,0,1,0,9,0,1,0,1,9,0,0,0,0,0,9,0,9,0,0,0,9" + NINES
LOST = "2442,1,0,9,0,0,1,0,9,0,1,0,1,9,0,0,0,0,0,9,0,9,0,0,0,9" + NINES
OTHER = "7,0,0,9,1,0,0,0,9,0,0,0,0,9,0,0,0,1,0,9,0,9,0,1,1,9" + NINES
SHORT_HEADER = (
    "1,1,2,4,5,6,7,9,10,11,12,13,14,15,16,17,18,19,20,22,23,24,27,28,29,30,31,32,33,34,35,36,37,38,39"
)
SHORT = "318,0,0,0,0,1,1,0,1,0,1,0,1,0,0,0,0,0,0,0,0,0,9,0,0,0,0,0,0,0,0,0,0,0,0"


def occurrence(root: Path, *lines: str, name: str = "F001_T1") -> None:
    path = root / f"AUCoding/AU_OCC/{name}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture
def copy(tmp_path: Path, picture: Callable[..., None]) -> Path:
    occurrence(tmp_path, HEADER, FIRST, SECOND, LOST)
    occurrence(tmp_path, HEADER, OTHER, name="M005_T8")
    for name in ("F001/T1/2440", "F001/T1/2441", "F001/T1/2500", "M005/T8/07"):
        picture(tmp_path / f"Sequences_2D+3D/{name}.jpg")
    intensity = tmp_path / "AUCoding/AU_INT/AU06/F001_T1_AU06.csv"
    intensity.parent.mkdir(parents=True)
    intensity.write_text("2440,0\n2441,3\n2442,9\n")
    return tmp_path


def test_fixture(copy: Path) -> None:
    found = read(copy, MANIFEST)
    assert list(found["sample"]) == ["F001/T1/2440", "F001/T1/2441", "M005/T8/0007"]
    assert list(found["path"]) == [
        f"Sequences_2D+3D/{p}.jpg" for p in ("F001/T1/2440", "F001/T1/2441", "M005/T8/07")
    ]
    assert found[["subject", "activity", "frame"]].to_numpy().tolist() == [
        ["F001", "T1", 2440],
        ["F001", "T1", 2441],
        ["M005", "T8", 7],
    ]
    assert found[list(MANIFEST.labels)].to_numpy().tolist() == [
        [0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0],
        [1, -1, 0, 1, 0, 1, 1, 0, 0, 0, 0, 0],
        [0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 1, 1],
    ]
    assert found["AU6_intensity"].tolist() == [0, 3, -1]
    assert found.attrs["skipped"] == {"labelled frames without a picture": 1}


@pytest.mark.parametrize("images", ["Sequences_2D+3D", "BP4D-training"])
@pytest.mark.parametrize("codes", ["AUCoding/AU_OCC", "AUCoding"])
def test_other_folder_names(copy: Path, images: str, codes: str) -> None:
    (copy / "Sequences_2D+3D").rename(copy / images)
    (copy / "AUCoding/AU_INT").rename(copy / "AU-Intensity-Codes3.0")
    if codes == "AUCoding":
        for path in list((copy / "AUCoding/AU_OCC").iterdir()):
            path.rename(copy / "AUCoding" / path.name)
        (copy / "AUCoding/AU_OCC").rmdir()
    found = read(copy, MANIFEST)
    assert found["AU6_intensity"].tolist() == [0, 3, -1]
    assert all((copy / path).is_file() for path in found["path"])


def test_offset_shifts_the_picture_not_the_label(copy: Path) -> None:
    found = read(copy, MANIFEST.with_options({"offset": -1}))
    assert dict(zip(found["sample"], found["path"], strict=True)) == {
        "F001/T1/2441": "Sequences_2D+3D/F001/T1/2440.jpg",
        "F001/T1/2442": "Sequences_2D+3D/F001/T1/2441.jpg",
    }
    assert found.attrs["skipped"] == {"labelled frames without a picture": 2}


def test_short_form_has_the_frame_first_under_the_name_of_unit_1(
    copy: Path, picture: Callable[..., None]
) -> None:
    occurrence(copy, SHORT_HEADER, SHORT, name="F002_T6")
    picture(copy / "Sequences_2D+3D/F002/T6/318.jpg")
    found = read(copy, MANIFEST).set_index("sample").loc["F002/T6/0318"]
    on = [n for n in MANIFEST.aus if found[f"AU{n}"] == 1]
    assert on == [6, 7, 10, 12, 14] and found["AU1"] == 0


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([HEADER.replace(",17,", ",x17,"), FIRST], r"F001_T1.csv:1: column '17' \(AU17\) is missing"),
        (["frame,1,2", "1,0,0"], r"F001_T1.csv:1: unknown header frame,1,2... with 3 columns"),
        ([FIRST], r"F001_T1.csv:1: unknown header 2440"),
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
    text, message = malformed_intensity(2440)
    (copy / "AUCoding/AU_INT/AU06/F001_T1_AU06.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        read(copy, MANIFEST)


def test_not_utf8(copy: Path) -> None:
    (copy / "AUCoding/AU_OCC/F001_T1.csv").write_bytes(HEADER.encode() + b"\n\xff\n")
    with pytest.raises(DataError, match=r"F001_T1.csv:2: not UTF-8 text"):
        read(copy, MANIFEST)


def test_two_files_of_one_frame(copy: Path, picture: Callable[..., None]) -> None:
    picture(copy / "Sequences_2D+3D/M005/T8/007.jpg")
    with pytest.raises(DataError, match=r"M005/T8: 00?7.jpg and 00?7.jpg have the same frame number"):
        read(copy, MANIFEST)


def test_missing_folders(copy: Path) -> None:
    (copy / "Sequences_2D+3D").rename(copy / "BP4D-Spontaneous")
    with pytest.raises(DataError, match=r"folder Sequences_2D\+3D or BP4D-training .*images. is missing"):
        read(copy, MANIFEST)


def test_no_occurrence_file(copy: Path) -> None:
    for path in (copy / "AUCoding/AU_OCC").iterdir():
        path.rename(path.with_suffix(".txt"))
    with pytest.raises(DataError, match="AU_OCC: no file like F001_T1.csv"):
        read(copy, MANIFEST)


def test_labels_without_any_picture(copy: Path) -> None:
    for path in list((copy / "Sequences_2D+3D").rglob("*.jpg")):
        path.unlink()
    with pytest.raises(DataError, match=r"no labelled picture of BP4D found \(left out: .* 4"):
        read(copy, MANIFEST)


SEQUENCES = st.dictionaries(
    st.tuples(st.sampled_from(["F001", "F023", "M005"]), st.sampled_from(["T1", "T3", "T8"])),
    st.sets(st.integers(1, 2992), min_size=1, max_size=4),
    min_size=1,
    max_size=4,
)


@settings(max_examples=20, deadline=None)
@given(sequences_of=SEQUENCES, seed=st.integers(0, 9))
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, sequences: Callable, sequences_of: dict, seed: int
) -> None:
    root = tmp_path_factory.mktemp("bp4d")
    world = sequences([(s, t, sorted(frames)) for (s, t), frames in sequences_of.items()], seed)
    bp4d.write(world, root, image_size=8)
    found = read(root, MANIFEST).set_index("sample")
    truth = world.records.set_index("sample").loc[found.index]
    assert len(found) == len(world.records)
    for unit in MANIFEST.aus:
        np.testing.assert_array_equal(found[f"AU{unit}"], truth[f"AU{unit}_intensity"] >= 2)
        np.testing.assert_allclose(found[f"true_AU{unit}_intensity"], truth[f"AU{unit}_intensity"])
    for unit in MANIFEST.intensity_aus:
        np.testing.assert_array_equal(found[f"AU{unit}_intensity"], np.floor(truth[f"AU{unit}_intensity"]))
        np.testing.assert_array_equal(found[f"AU{unit}_intensity"] >= 2, found[f"AU{unit}"] == 1)
    assert all((root / path).is_file() for path in found["path"])


def test_twin_has_the_traps_of_the_real_files(tmp_path: Path, sequences: Callable) -> None:
    subjects = [f"F{i:03d}" for i in range(1, 11)]
    bp4d.write(sequences([(s, t, (5, 6)) for s in subjects for t in ("T1", "T3")]), tmp_path, image_size=8)
    widths = {len(path.stem) for path in (tmp_path / "Sequences_2D+3D").rglob("*.jpg")}
    assert widths == {3, 4}
    assert read(tmp_path, MANIFEST).attrs["skipped"]["labelled frames without a picture"] >= 1
    rows = (tmp_path / "AUCoding/AU_OCC/F001_T1.csv").read_text().splitlines()
    assert rows[0] == HEADER and set(rows[1].split(",")[40:]) == {"9"}
