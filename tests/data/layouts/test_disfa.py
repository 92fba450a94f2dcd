import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.io import savemat

from fbu import data
from fbu.config import home
from fbu.data.face_points import FacePoints
from fbu.data.layouts import disfa, points, read
from fbu.data.manifest import load_manifest
from fbu.errors import DataError

MANIFEST = load_manifest("disfa")
UNITS = MANIFEST.intensity_aus
# Subject -> label lines, frames of the left and of the right video, intensities that are not 0.
FILMED = {
    "SN001": (5, 5, 5, {1: "1,0 2,1 3,2 4,5 5,2", 12: "1,3 2,3 3,0 4,0 5,1", 5: "1,4 2,0 3,0 4,0 5,0"}),
    "SN003": (5, 4, 5, {25: "1,0 2,0 3,2 4,3 5,4"}),
    "SN006": (4, 4, 4, {26: "1,1 2,1 3,1 4,1", 9: "1,5 2,0 3,0 4,0"}),
}


def film(path: Path, frames: int, start: int) -> None:
    """A video whose frame i is grey level start + 20 i."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=20)
        stream.width = stream.height = 32
        stream.pix_fmt = "yuv420p"
        for i in range(frames):
            picture = np.full((32, 32, 3), start + 20 * i, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode())


@pytest.fixture(scope="module")
def typed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("disfa")
    for k, (subject, (lines, left, right, shown)) in enumerate(FILMED.items()):
        folder = root / "ActionUnit_Labels" / subject
        folder.mkdir(parents=True)
        for unit in UNITS:
            text = shown.get(unit, " ".join(f"{n},0" for n in range(1, lines + 1)))
            (folder / f"{subject}_au{unit}.txt").write_text("\n".join(text.split()) + "\n")
        film(root / f"Videos_LeftCamera/LeftVideo{subject}_comp.avi", left, 20 + 5 * k)
        film(root / f"Video_RightCamera/RightVideo{subject}_Comp.avi", right, 120 + 5 * k)
    return root


@pytest.fixture
def copy(typed: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(typed, tmp_path / "disfa"))


def levels(root: Path, table: pd.DataFrame) -> list[int]:
    found = [frames[0] for frames in disfa.media.open(root, table)]
    assert all(isinstance(frame, Image.Image) for frame in found), found
    return [round(float(np.asarray(frame).mean())) for frame in found]


def test_fixture(copy: Path) -> None:
    found = read(copy, MANIFEST).set_index("sample")
    on = {sample: [u for u in MANIFEST.aus if row[f"AU{u}"] == 1] for sample, row in found.iterrows()}
    assert on == {
        "SN001/0001": [12],
        "SN001/0002": [12],
        "SN001/0003": [1],
        "SN001/0004": [1],
        "SN001/0005": [1],
        "SN003/0001": [],
        "SN003/0002": [],
        "SN003/0003": [25],
        "SN003/0004": [25],
        "SN006/0001": [9],
        "SN006/0002": [],
        "SN006/0003": [],
        "SN006/0004": [],
    }
    assert found["AU1_intensity"].tolist()[:5] == [0, 1, 2, 5, 2] and found["AU5_intensity"].iloc[0] == 4
    assert [c for c in found if c.endswith("_intensity")] == [f"AU{unit}_intensity" for unit in UNITS]
    assert (found["frame_at"] == found["frame"] - 1).all()
    assert found["path"].iloc[0] == "Videos_LeftCamera/LeftVideoSN001_comp.avi"
    assert found.attrs["skipped"] == {"labelled frames after the end of the video": 1}


def test_label_n_is_the_nth_frame_of_the_video(copy: Path) -> None:
    found = read(copy, MANIFEST)
    start = found["subject"].map({"SN001": 20, "SN003": 25, "SN006": 30})
    np.testing.assert_allclose(levels(copy, found), start + 20 * (found["frame"] - 1), atol=3)
    right = read(copy, MANIFEST.with_options({"view": "right"}))
    np.testing.assert_allclose(levels(copy, right.iloc[[1]]), [140], atol=3)
    assert len(right) == 14 and right.attrs["skipped"] == {}


@pytest.mark.parametrize(("threshold", "on"), [(1, 4), (2, 3), (3, 1), (5, 1)])
def test_threshold(copy: Path, threshold: int, on: int) -> None:
    found = read(copy, MANIFEST.with_options({"threshold": threshold}))
    assert found["AU1"].sum() == on


def test_protocols(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def loaded(split: str, **given: object) -> data.Dataset:
        return data.load("disfa", split, source="real", root=copy.parent, image_size=16, **given)  # type: ignore[arg-type]

    test = loaded("test", protocol="clef", fold=1)
    assert test.labels == ("AU1", "AU2", "AU4", "AU6", "AU9", "AU12", "AU25", "AU26")
    assert set(test.records["subject"]) == {"SN001"}
    assert set(loaded("train", protocol="whole_train", fold=3).records["subject"]) == {"SN001", "SN006"}
    assert test.targets[:, 0].tolist() == [0, 0, 1, 1, 1]
    assert loaded("test", protocol="from_1", fold=1).targets[:, 0].tolist() == [0, 1, 1, 1, 1]
    assert loaded("test", protocol="right_view", fold=1).images.mean() > test.images.mean() + 50
    assert len(loaded("test", protocol="emoco", fold=2)) == 4


def test_names_in_any_case_and_of_both_spellings(copy: Path) -> None:
    plain = read(copy, MANIFEST)
    right = read(copy, MANIFEST.with_options({"view": "right"}))
    (copy / "ActionUnit_Labels").rename(copy / "actionunit_labels")
    (copy / "actionunit_labels/SN003").rename(copy / "actionunit_labels/sn003")
    folder = copy / "actionunit_labels/SN001"
    (folder / "SN001_au12.txt").rename(folder / "sn001_AU12.TXT")
    (copy / "Videos_LeftCamera").rename(copy / "Video_LeftCamera")
    (copy / "Video_LeftCamera/LeftVideoSN003_comp.avi").rename(
        copy / "Video_LeftCamera/leftvideosn003_Comp.AVI"
    )
    (copy / "Video_RightCamera").rename(copy / "Videos_RightCamera")
    (copy / "Videos_RightCamera/RightVideoSN006_Comp.avi").rename(
        copy / "Videos_RightCamera/RightVideoSN006_comp.avi"
    )
    for video in ("LeftVideoSN001_comp.avi.part", "readme.txt", "RightVideoSN001_comp.avi"):
        (copy / "Video_LeftCamera" / video).write_bytes(b"")
    assert read(copy, MANIFEST).drop(columns="path").equals(plain.drop(columns="path"))
    found = read(copy, MANIFEST.with_options({"view": "right"}))
    assert found.drop(columns="path").equals(right.drop(columns="path"))


def test_subjects_may_be_left_out(copy: Path) -> None:
    found = read(copy, MANIFEST.with_options({"leave_out": "SN003 sn006"}))
    assert set(found["subject"]) == {"SN001"}
    assert found.attrs["skipped"] == {"subjects left out by option": 2}
    with pytest.raises(DataError, match="leave_out names SN014, who has no labels: known are SN001, SN003"):
        read(copy, MANIFEST.with_options({"leave_out": "SN001 SN014"}))


def test_video_and_labels_are_read_up_to_the_shorter(copy: Path) -> None:
    film(copy / "Videos_LeftCamera/LeftVideoSN001_comp.avi", 8, 20)
    film(copy / "Videos_LeftCamera/LeftVideoSN006_comp.avi", 1, 20)
    (copy / "Videos_LeftCamera/LeftVideoSN003_comp.avi").unlink()
    found = read(copy, MANIFEST)
    assert found["sample"].tolist() == [*(f"SN001/000{i}" for i in range(1, 6)), "SN006/0001"]
    assert found.attrs["skipped"] == {
        "labelled frames after the end of the video": 3,
        "video frames without a label": 3,
        "labelled subjects without a video": 1,
    }


def test_lines_in_any_order_with_windows_endings(copy: Path) -> None:
    plain = read(copy, MANIFEST)
    path = copy / "ActionUnit_Labels/SN001/SN001_au1.txt"
    path.write_bytes(b"\xef\xbb\xbf5,2\r\n4, 5\r\n3,2\r\n\r\n2,1\r\n1,0")
    assert read(copy, MANIFEST).equals(plain)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,0\n2;0\n", r"SN001_au4.txt:2: expected 'frame,intensity' like 857,3, found '2;0'"),
        ("frame,intensity\n1,0\n", r"SN001_au4.txt:1: expected 'frame,intensity'"),
        ("1,0,0\n", r"SN001_au4.txt:1: expected 'frame,intensity'"),
        ("1,2.5\n", r"SN001_au4.txt:1: expected 'frame,intensity'"),
        ("1,0\n2,6\n", r"SN001_au4.txt:2: unknown intensity 6: known are 0 to 5"),
        ("1,-1\n", r"SN001_au4.txt:1: unknown intensity -1"),
        ("0,0\n1,0\n", r"SN001_au4.txt:1: frame number is 0: frames count from 1"),
        ("1,0\n1,0\n", r"SN001_au4.txt:2: frame 1 is listed twice"),
        ("1,0\n2,0\n3,0\n4,0\n", r"SN001_au4.txt: frame 5 is in this file or in SN001_au1.txt only"),
        ("1,0\n2,0\n3,0\n4,0\n5,0\n6,0", r"SN001_au4.txt: frame 6 is in this file or in"),
        ("", r"SN001_au4.txt: frame 1 is in this file or in"),
    ],
)
def test_malformed_labels(copy: Path, text: str, message: str) -> None:
    (copy / "ActionUnit_Labels/SN001/SN001_au4.txt").write_text(text)
    with pytest.raises(DataError, match=message):
        read(copy, MANIFEST)


def test_not_utf8(copy: Path) -> None:
    (copy / "ActionUnit_Labels/SN001/SN001_au4.txt").write_bytes(b"1,0\n\xff")
    with pytest.raises(DataError, match=r"SN001_au4.txt:2: not UTF-8 text"):
        read(copy, MANIFEST)


def test_missing_files(copy: Path) -> None:
    (copy / "ActionUnit_Labels/SN003/SN003_au26.txt").unlink()
    with pytest.raises(DataError, match=r"SN003: SN003_au26.txt is missing: restore it"):
        read(copy, MANIFEST)
    shutil.rmtree(copy / "Videos_LeftCamera")
    with pytest.raises(
        DataError, match=r"(?s)folder Videos_LeftCamera or Video_LeftCamera .left. is missing.*_au1"
    ):
        read(copy, MANIFEST)
    shutil.rmtree(copy / "ActionUnit_Labels/SN001")
    for folder in (copy / "ActionUnit_Labels").iterdir():
        folder.rename(folder.with_name(f"x{folder.name}"))
    with pytest.raises(DataError, match="ActionUnit_Labels: no folder like SN001"):
        read(copy, MANIFEST.with_options({"view": "right"}))


def test_two_files_of_one_name(copy: Path) -> None:
    base = copy / "Videos_LeftCamera"
    shutil.copy(base / "LeftVideoSN001_comp.avi", base / "LeftVideoSN001_Comp.avi")
    with pytest.raises(DataError, match=r"LeftVideoSN001_Comp.avi and .*_comp.avi are one video"):
        read(copy, MANIFEST)
    (base / "LeftVideoSN001_Comp.avi").unlink()
    folder = copy / "ActionUnit_Labels/SN001"
    shutil.copy(folder / "SN001_au1.txt", folder / "SN001_AU01.txt")
    with pytest.raises(DataError, match=r"SN001_AU01.txt and SN001_au1.txt are one file"):
        read(copy, MANIFEST)
    shutil.copytree(folder, folder.with_name("sn001"))
    with pytest.raises(DataError, match="SN001 and sn001 are one subject"):
        read(copy, MANIFEST)


def test_a_file_that_is_no_video(copy: Path) -> None:
    (copy / "Videos_LeftCamera/LeftVideoSN003_comp.avi").write_bytes(b"no video")
    with pytest.raises(DataError, match=r"LeftVideoSN003_comp.avi cannot be opened .*: restore it, or leave"):
        read(copy, MANIFEST)
    assert len(read(copy, MANIFEST.with_options({"leave_out": "SN003"}))) == 9


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("view", "top", "option view is 'top': known are left, right"),
        ("threshold", 0, "option threshold is 0: known are 1 to 5"),
        ("threshold", 1.5, "option threshold is 1.5"),
        ("threshold", "2", "option threshold is '2'"),
    ],
)
def test_wrong_options(copy: Path, option: str, value: int | float | str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(copy, MANIFEST.with_options({option: value}))


def landmark(
    copy: Path, subject: str, name: str, value: float | np.ndarray, shape: tuple[int, int] = (66, 2)
) -> None:
    path = copy / "Landmark_Points" / subject / "tmp_frame_lm" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, {"pts": np.broadcast_to(value, shape)})


def landmarks(copy: Path, table: pd.DataFrame) -> FacePoints:
    found = points(copy, table, MANIFEST, "landmarks")
    assert found is not None
    return found


@pytest.fixture
def with_landmarks(copy: Path) -> Path:
    rng = np.random.default_rng(0)
    for subject, (_, left, _, _) in FILMED.items():
        for at in range(left):
            landmark(copy, subject, f"{subject}_{at:04d}_lm.mat", rng.uniform(4, 28, (66, 2)))
    return copy


def test_landmarks_by_frame(copy: Path) -> None:
    table = read(copy, MANIFEST)
    assert points(copy, table, MANIFEST, "landmarks") is None
    landmark(copy, "SN001", "SN001_0000_lm.mat", 1)
    landmark(copy, "SN001", "SN001_0003_lm.mat", 4)
    landmark(copy, "SN003", "l00002_lm.mat", 3)
    landmark(copy, "sn006", "SN006_0009_lm.mat", 10)
    found = landmarks(copy, table).array
    assert found.shape == (13, 66, 2)
    means = dict(zip(table["sample"], found.mean((1, 2)), strict=True))
    given = {sample: value for sample, value in means.items() if np.isfinite(value)}
    assert given == {"SN001/0001": 1, "SN001/0004": 4, "SN003/0003": 3}
    assert points(copy, table, MANIFEST, "box") is None


def test_landmarks_place_the_face(with_landmarks: Path) -> None:
    where = {"source": "real", "root": with_landmarks.parent, "image_size": 16}
    found = data.load("disfa", "test", **where, preset="five_points")
    plain = data.load("disfa", "test", **where)
    assert found.images.shape == plain.images.shape and found.fingerprint != plain.fingerprint


def test_landmarks_are_read_once(with_landmarks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(split: str) -> np.ndarray:
        where = {"source": "real", "root": with_landmarks.parent, "image_size": 16}
        return np.array(data.load("disfa", split, **where, preset="five_points").images)

    def cached() -> set[Path]:
        return {path for path in (home() / "cache").iterdir() if path.is_dir()}

    seen: list[Path] = []
    read_one = disfa._landmarks
    monkeypatch.setattr(disfa, "_landmarks", lambda path: seen.append(path) or read_one(path))
    first = load("test")
    assert len(seen) == len(set(seen)) == 13
    np.testing.assert_array_equal(load("test"), first)
    load("train")
    assert len(seen) == 13
    # Not the files' times decide about the pictures but what is in them.
    before = cached()
    os.utime(seen[0], (0, 0))
    load("test")
    assert len(seen) == 26 and cached() == before
    savemat(seen[0], {"pts": np.random.default_rng(1).uniform(4, 28, (66, 2))})
    load("test")
    assert len(cached() - before) == 1


def test_digest_is_that_of_the_points(with_landmarks: Path) -> None:
    table = read(with_landmarks, MANIFEST)
    found = landmarks(with_landmarks, table)
    expected = hashlib.sha256(found.array.astype("<f8").tobytes()).hexdigest()
    again = landmarks(with_landmarks, table)
    assert found.digest == again.digest == FacePoints(lambda: found.array).digest == expected
    assert landmarks(with_landmarks, table.iloc[::-1]).digest != expected


def test_wrong_landmarks(copy: Path) -> None:
    table = read(copy, MANIFEST)
    landmark(copy, "SN001", "SN001_0000_lm.mat", 1, (49, 2))
    with pytest.raises(DataError, match=r"SN001_0000_lm.mat: pts is \[49, 2\], not \[66, 2\]"):
        _ = landmarks(copy, table).array
    (copy / "Landmark_Points/SN001/tmp_frame_lm/SN001_0000_lm.mat").write_bytes(b"x")
    with pytest.raises(DataError, match=r"SN001_0000_lm.mat has no landmarks \(.*\): restore or remove it"):
        _ = landmarks(copy, table).array
    # Said even where no landmark is read.
    right = MANIFEST.with_options({"view": "right"})
    with pytest.raises(
        DataError, match="taken to be of the left view, not of the right one: set option landmarks"
    ):
        points(copy, table, right, "landmarks")
    (copy / "Landmark_Points/SN001/tmp_frame_lm/SN001_0000_lm.mat").unlink()
    found = points(copy, table, right.with_options({"landmarks": "right"}), "landmarks")
    assert found is not None and np.isnan(found.array).all()


def two_views(sequences: Callable, people: dict[str, int], seed: int = 0) -> object:
    """A world of flat pictures: the same moments from both cameras."""
    world = sequences([(s, v, range(1, n + 1)) for v in disfa.VIEWS for s, n in people.items()], seed)
    records = world.records.rename(columns={"activity": "view"})
    moments = records[records["view"] == "left"].set_index(["subject", "frame"])
    key = pd.MultiIndex.from_frame(records[["subject", "frame"]])
    units = [column for column in records if column.endswith("_intensity")]
    records[units] = moments.loc[key, units].to_numpy()
    records["sample"] = [
        f"{v}/{s}/{n:04d}"
        for v, s, n in zip(records["view"], records["subject"], records["frame"], strict=True)
    ]
    world.name, world.records = "disfa", records
    return world


DRAWN = st.dictionaries(
    st.sampled_from(["SN001", "SN004", "SN010", "SN032"]), st.integers(1, 30), min_size=1, max_size=3
)


@settings(max_examples=15, deadline=None)
@given(people=DRAWN, seed=st.integers(0, 9), view=st.sampled_from(disfa.VIEWS))
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, sequences: Callable, people: dict, seed: int, view: str
) -> None:
    root = tmp_path_factory.mktemp("disfa")
    world = two_views(sequences, people, seed)
    disfa.write(world, root, image_size=16)  # type: ignore[arg-type]
    found = read(root, MANIFEST.with_options({"view": view})).set_index("sample")
    records = world.records[world.records["view"] == view]  # type: ignore[attr-defined]
    truth = records.set_index(records["subject"] + records["frame"].map("/{:04d}".format)).sort_index()
    assert list(found.index) == list(truth.index)
    for unit in UNITS:
        steps = np.floor(truth[f"AU{unit}_intensity"]).to_numpy()
        np.testing.assert_array_equal(found[f"AU{unit}_intensity"], steps)
        if unit in MANIFEST.aus:
            np.testing.assert_array_equal(found[f"AU{unit}"], truth[f"AU{unit}_intensity"] >= 2)
    np.testing.assert_array_equal(found["true_AU1_intensity"], truth["AU1_intensity"])
    assert (found["true_view"] == view).all()
    assert set(found.attrs["skipped"]) <= {"labelled frames after the end of the video"}
    # Every frame is the picture that was drawn for its row.
    order = np.array([records.index[records["sample"] == f"{view}/{sample}"][0] for sample in found.index])
    drawn = world.render(order, 1)[:, :, 0, 0]  # type: ignore[attr-defined]
    opened = [frames[0] for frames in disfa.media.open(root, found.reset_index())]
    seen = np.array([np.asarray(frame).reshape(-1, 3).mean(0) for frame in opened])
    np.testing.assert_allclose(seen, drawn, atol=4)


def test_twin_has_the_traps_of_the_real_files(tmp_path: Path, sequences: Callable) -> None:
    people = {f"SN{i:03d}": 3 for i in range(1, 28)}
    disfa.write(two_views(sequences, people), tmp_path, image_size=16)  # type: ignore[arg-type]
    folders = sorted(path.name for path in tmp_path.iterdir() if path.is_dir())
    assert folders == ["ActionUnit_Labels", "Video_RightCamera", "Videos_LeftCamera"]
    assert (tmp_path / "Video_RightCamera/RightVideoSN001_Comp.avi").is_file()
    files = sorted(path.name for path in (tmp_path / "ActionUnit_Labels/SN002").iterdir())
    assert files == sorted(f"SN002_au{unit}.txt" for unit in UNITS)
    lost = read(tmp_path, MANIFEST).attrs["skipped"]["labelled frames after the end of the video"]
    assert 1 <= lost <= 6


def test_frames_of_a_twin_count_from_1(tmp_path: Path, sequences: Callable) -> None:
    world = two_views(sequences, {"SN001": 3})
    world.records["frame"] += 1  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="must count 1, 2"):
        disfa.write(world, tmp_path, image_size=16)  # type: ignore[arg-type]
