import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fbu.data import splits
from fbu.data.layouts import affectnet, read
from fbu.data.manifest import load_manifest
from fbu.errors import DataError

MANIFEST = load_manifest("affectnet")
WHOLE = MANIFEST.with_options({"pictures": "whole"})
HEADER = (
    "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,valence,arousal"
)
POINTS = "181.64;530.91;188.32;627.82"
# Code of each row; the names are numbers here, so that a row can be found again.
TRAIN = f"""689/00.jpg,2,1,6,8,{POINTS},1,0.785714,-0.055556
689/01.jpg,0,0,12,12,{POINTS},0,0,0
12/02.png,0,0,12,12,{POINTS},2,-0.5,-0.1
12/03.jpg,0,0,12,12,{POINTS},3,0.2,0.8
12/04.jpg,0,0,12,12,{POINTS},4,-0.2,0.8
12/05.jpg,0,0,12,12,{POINTS},5,-0.7,0.2
12/06.jpg,0,0,12,12,{POINTS},6,-0.5,0.7
12/07.jpg,0,0,12,12,{POINTS},7,-0.5,0.6
12/08.jpg,0,0,12,12,{POINTS},8,-0.1,0
12/09.jpg,0,0,12,12,{POINTS},9,-2,-2
12/10.jpg,NULL,NULL,NULL,NULL,{POINTS},10,-2,-2
12/11.jpg,NULL,NULL,NULL,NULL,{POINTS},10,-2,-2
689/00.jpg,2,1,6,8,{POINTS},1,0.785714,-0.055556
12/12.jpg,0,0,12,12,{POINTS},1,0.1,0
12/12.jpg,0,0,12,12,{POINTS},6,0.1,0
"""
VAL = f"7/20.jpg,0,0,12,12,{POINTS},0,0,0\n7/21.jpg,0,0,12,12,{POINTS},7,0,0\n"
NAMES = ["happiness", "neutral", "sadness", "surprise", "fear", "disgust", "anger", "contempt"]
LEFT_OUT = {
    "rows of a picture listed before": 1,
    "rows labelled none": 1,
    "rows labelled uncertain": 1,
    "rows labelled no face": 2,
    "rows with contradicting labels": 2,
}


def pictures_of(text: str) -> list[str]:
    return [line.split(",")[0] for line in text.splitlines()]


@pytest.fixture
def lists(tmp_path: Path, picture: Callable[..., None]) -> Path:
    """The csv release: a header in the training list only."""
    folder = tmp_path / "Manually_Annotated_file_lists"
    folder.mkdir()
    (folder / "training.csv").write_text(f"{HEADER}\n{TRAIN}")
    (folder / "validation.csv").write_text(VAL)
    for name in pictures_of(TRAIN + VAL):
        picture(tmp_path / "Manually_Annotated_Images" / name)
    return tmp_path


@pytest.fixture
def arrays(tmp_path: Path, picture: Callable[..., None]) -> Path:
    """The array release: text, numbers and gaps in the names."""
    values = {0: "1", 2: 0, 3: np.float64(2), 7: b"3", 10: np.array([4]), 11: "5 ", 12: 6, 100000: "7"}
    for part, codes in (("train", values), ("val", {1: "0", 2: 7})):
        annotations = tmp_path / f"{part}_set/annotations"
        annotations.mkdir(parents=True)
        for at, code in codes.items():
            np.save(annotations / f"{at}_exp.npy", np.array(code))
            np.save(annotations / f"{at}_val.npy", np.array("0.5"))
            picture(tmp_path / f"{part}_set/images/{at}.jpg")
    return tmp_path


def test_lists(lists: Path) -> None:
    found = read(lists, WHOLE).set_index("sample")
    train = found[found["part"] == "train"]
    assert train.loc["train/689/00", "expression"] == "happiness"
    assert dict(zip(train.index, train["expression"], strict=True)) == {
        f"train/{name.rpartition('.')[0]}": label
        for name, label in zip(pictures_of(TRAIN), NAMES, strict=False)
    }
    assert found[found["part"] == "test"]["expression"].to_dict() == {
        "val/7/20": "neutral",
        "val/7/21": "contempt",
    }
    assert train.loc["train/12/02", "path"] == "Manually_Annotated_Images/12/02.png"
    assert train.loc["train/689/00", list(affectnet.BOX)].tolist() == [2, 1, 6, 8]
    assert found.attrs["skipped"] == LEFT_OUT


def test_header_of_the_validation_list_may_be_there_or_not(lists: Path) -> None:
    plain = read(lists, WHOLE)
    training, validation = (
        lists / f"Manually_Annotated_file_lists/{name}.csv" for name in ("training", "validation")
    )
    training.write_text(TRAIN)
    validation.write_text(f"{HEADER}\n{VAL}")
    assert read(lists, WHOLE).equals(plain)


def test_columns_go_by_name_where_there_is_a_header(lists: Path) -> None:
    path = lists / "Manually_Annotated_file_lists/validation.csv"
    path.write_text(
        "expression,face_x,face_y,face_width,face_height,subDirectory_filePath\n7,0,1,2,3,7/20.jpg\n"
    )
    row = read(lists, WHOLE).set_index("sample").loc["val/7/20"]
    assert row["expression"] == "contempt" and row[list(affectnet.BOX)].tolist() == [0, 1, 2, 3]


def test_faces_are_cut_out_once(lists: Path, picture: Callable[..., None]) -> None:
    first = lists / "Manually_Annotated_Images/689/00.jpg"
    Image.fromarray(np.arange(12 * 10 * 3, dtype=np.uint8).reshape(12, 10, 3)).save(first, format="PNG")
    (lists / "Manually_Annotated_Images/12/03.jpg").write_bytes(b"")
    with pytest.raises(DataError, match=r"Manually_Annotated_Faces is missing: cut the faces out once with"):
        read(lists, MANIFEST)
    assert affectnet.crop_faces(lists) == 9 and affectnet.crop_faces(lists) == 0
    found = read(lists, MANIFEST)
    assert found.set_index("sample").loc["train/689/00", "path"] == "Manually_Annotated_Faces/689/00.jpg"
    with Image.open(lists / "Manually_Annotated_Faces/689/00.jpg") as face, Image.open(first) as whole:
        assert face.size == (6, 8)
        cut = np.asarray(whole.crop((2, 1, 8, 9)), int)
        assert np.abs(np.asarray(face, int) - cut).mean() < 40
    assert sum((lists / path).is_file() for path in found["path"]) == len(found) - 1
    assert not list((lists / "Manually_Annotated_Faces").rglob("*.draft"))


def test_a_box_outside_the_picture_gives_no_face(lists: Path) -> None:
    path = lists / "Manually_Annotated_file_lists/validation.csv"
    path.write_text(VAL.replace("7/21.jpg,0,0,12,12", "7/21.jpg,40,0,12,12"))
    assert affectnet.crop_faces(lists) == 9
    assert not (lists / "Manually_Annotated_Faces/7/21.jpg").exists()


def test_margin_stays_in_the_picture(lists: Path) -> None:
    affectnet.crop_faces(lists, margin=0.5)
    with Image.open(lists / "Manually_Annotated_Faces/689/00.jpg") as face:
        assert face.size == (11, 12)


def test_arrays(arrays: Path) -> None:
    found = read(arrays, MANIFEST)
    train = found[found["part"] == "train"]
    numbers = [0, 2, 3, 7, 10, 11, 12, 100000]
    assert dict(zip(train["sample"], train["expression"], strict=True)) == {
        f"train/{at}": label for at, label in zip(numbers, NAMES, strict=True)
    }
    assert dict(zip(found["sample"], found["expression"], strict=True)).items() >= {
        ("val/1", "neutral"),
        ("val/2", "contempt"),
    }
    assert set(train["path"]) >= {"train_set/images/100000.jpg"}
    assert found.attrs["skipped"] == {}


def test_pictures_and_annotations_without_the_other_are_counted(
    arrays: Path, picture: Callable[..., None]
) -> None:
    (arrays / "train_set/images/7.jpg").unlink()
    picture(arrays / "val_set/images/9.jpg")
    np.save(arrays / "train_set/annotations/2_exp.npy", np.array("9"))
    found = read(arrays, MANIFEST)
    assert found.attrs["skipped"] == {
        "pictures without an annotation": 1,
        "annotations without a picture": 1,
        "rows labelled uncertain": 1,
    }
    assert not {"train/7", "train/2"} & set(found["sample"])


def test_release_is_asked_for_when_both_are_there(lists: Path, arrays: Path) -> None:
    assert lists == arrays
    with pytest.raises(DataError, match="both releases are there: set option release to csv or arrays"):
        read(lists, WHOLE)
    assert len(read(lists, WHOLE.with_options({"release": "csv"}))) == 10
    assert "face_x" not in read(lists, WHOLE.with_options({"release": "arrays"}))


def test_no_release_shows_the_trees(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="(?s)neither release is there.*train_set/images.*training.csv"):
        read(tmp_path, MANIFEST)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (f"12/03.jpg,0,0,12,12,{POINTS},11,0,0", r"training.csv:3: unknown label code '11': known are 0, 1"),
        (f"12/03.jpg,0,0,12,12,{POINTS},happy,0,0", r"training.csv:3: unknown label code 'happy'"),
        ("12/03.jpg,0,0,12,12,3,0,0", r"training.csv:3: 8 fields where 9 are expected"),
        (f"../03.jpg,0,0,12,12,{POINTS},3,0,0", r"training.csv:3: path '../03.jpg' is empty or leads out"),
        (f"/03.jpg,0,0,12,12,{POINTS},3,0,0", r"training.csv:3: path '/03.jpg' is empty or leads out"),
        (f"12/03.jpg,0,x,12,12,{POINTS},3,0,0", r"training.csv:3: face_y is 'x', not a whole number"),
    ],
)
def test_malformed_list(lists: Path, line: str, message: str) -> None:
    path = lists / "Manually_Annotated_file_lists/training.csv"
    path.write_text("\n".join([HEADER, TRAIN.splitlines()[0], line]))
    with pytest.raises(DataError, match=message):
        read(lists, WHOLE)


def test_missing_column_and_missing_list(lists: Path) -> None:
    folder = lists / "Manually_Annotated_file_lists"
    (folder / "validation.csv").write_text(HEADER.replace("expression", "label") + "\n" + VAL)
    with pytest.raises(DataError, match=r"validation.csv:1: column 'expression' is missing; found subDir"):
        read(lists, WHOLE)
    (folder / "validation.csv").unlink()
    with pytest.raises(DataError, match=r"validation.csv is missing"):
        read(lists, WHOLE)


def test_not_utf8(lists: Path) -> None:
    path = lists / "Manually_Annotated_file_lists/training.csv"
    path.write_bytes(f"{HEADER}\n".encode() + b"\xff\n")
    with pytest.raises(DataError, match=r"training.csv:2: not UTF-8 text"):
        read(lists, WHOLE)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"2_exp.npy is not an array file"),
        (b"1", r"2_exp.npy is not an array file"),
        (pickle.dumps(1), r"2_exp.npy is not an array file"),
        (np.array([1, 2]), r"2_exp.npy: expected one number or text, found int64 \[2\]"),
        (np.array(11), r"2_exp.npy: unknown label code '11': known are 0, 1, .*, 10"),
        (np.array(1.5), r"2_exp.npy: unknown label code '1.5'"),
        (np.array("happy"), r"2_exp.npy: unknown label code 'happy'"),
    ],
)
def test_malformed_array(arrays: Path, content: bytes | np.ndarray, message: str) -> None:
    path = arrays / "train_set/annotations/2_exp.npy"
    path.write_bytes(content) if isinstance(content, bytes) else np.save(path, content)
    with pytest.raises(DataError, match=message):
        read(arrays, MANIFEST)


def test_objects_in_arrays_are_never_unpickled(arrays: Path) -> None:
    np.save(arrays / "train_set/annotations/2_exp.npy", np.array({"a": 1}), allow_pickle=True)
    with pytest.raises(DataError, match=r"2_exp.npy is not an array file: .*pickle"):
        read(arrays, MANIFEST)


def test_archive_in_place_of_an_array(arrays: Path) -> None:
    path = arrays / "train_set/annotations/2_exp.npy"
    with path.open("wb") as file:
        np.savez(file, a=np.array(1))
    with pytest.raises(DataError, match=r"2_exp.npy: expected one number or text, found an archive"):
        read(arrays, MANIFEST)


@pytest.mark.parametrize("folder", ["val_set/annotations", "val_set"])
def test_missing_folder(arrays: Path, folder: str) -> None:
    (arrays / folder).rename(arrays / "elsewhere")
    with pytest.raises(DataError, match=r"(?s)val_set.* is missing.*train_set/images/0.jpg"):
        read(arrays, MANIFEST)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"release": "npy"}, "option release is 'npy': known are auto, csv, arrays"),
        ({"pictures": "cropped"}, "option pictures is 'cropped': known are faces, whole"),
    ],
)
def test_wrong_options(lists: Path, options: dict, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(lists, MANIFEST.with_options(options))


def test_a_picture_in_both_lists_is_refused(lists: Path) -> None:
    path = lists / "Manually_Annotated_file_lists/validation.csv"
    path.write_text(VAL + TRAIN.splitlines()[0])
    with pytest.raises(DataError, match="subject '689/00' is in test and train"):
        splits.assign(read(lists, WHOLE), MANIFEST, None, MANIFEST.protocols["whole_train_8"])


def test_seven_classes_leave_out_contempt_and_keep_neutral() -> None:
    for name in ("clef_7", "ke_fer_7", "emoco"):
        assert MANIFEST.protocols[name].classes == MANIFEST.labels[:7]
        assert "contempt" not in MANIFEST.protocols[name].classes
    assert not MANIFEST.protocols["clef_8"].classes


LABELS = st.lists(st.sampled_from(MANIFEST.labels), min_size=1, max_size=12)


@settings(max_examples=20, deadline=None)
@given(labels=LABELS, release=st.sampled_from(["arrays", "csv"]))
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, faces: Callable, labels: list[str], release: str
) -> None:
    root = tmp_path_factory.mktemp("affectnet")
    samples = [f"train/{i + 8}" if i % 3 else f"val/{i + 1}" for i in range(len(labels))]
    world = faces("affectnet", zip(samples, labels, strict=True))
    (affectnet.write if release == "arrays" else affectnet.write_csv)(world, root, image_size=8)
    if release == "arrays" and len({s.partition("/")[0] for s in samples}) == 1:
        with pytest.raises(DataError, match="train_set"):
            read(root, MANIFEST)
        return
    found = read(root, WHOLE).set_index("true_subject").loc[samples]
    assert list(found["expression"]) == labels == list(found["true_expression"])
    assert list(found["part"]) == ["train" if s.startswith("train") else "test" for s in samples]
    assert all((root / path).is_file() for path in found["path"])


def test_twins_have_the_traps_of_the_real_files(tmp_path: Path, faces: Callable) -> None:
    samples = [f"{part}/{i}" for part in ("train", "val") for i in range(1, 26)]
    world = faces("affectnet", [(s, MANIFEST.labels[i % 8]) for i, s in enumerate(samples)])
    affectnet.write(world, tmp_path / "a", image_size=8)
    values = [np.load(path) for path in sorted((tmp_path / "a").rglob("*_exp.npy"))]
    assert {value.dtype.kind for value in values} == {"U", "i"}
    assert not (tmp_path / "a/train_set/images/10.jpg").exists()
    affectnet.write_csv(world, tmp_path / "b", image_size=8)
    skipped = read(tmp_path / "b", WHOLE).attrs["skipped"]
    assert skipped == {
        "rows of a picture listed before": 1,
        "rows labelled none": 2,
        "rows labelled uncertain": 1,
        "rows labelled no face": 7,
    }
    lists = tmp_path / "b/Manually_Annotated_file_lists"
    assert (lists / "training.csv").read_text().startswith(HEADER + "\n")
    assert not (lists / "validation.csv").read_text().startswith("subDirectory")


def test_annotators_errors_are_in_the_files_and_the_truth_beside_them(
    tmp_path: Path, faces: Callable
) -> None:
    world = faces("affectnet", [("train/1", "fear"), ("val/1", "fear")])
    world.records["label"] = "surprise"
    affectnet.write(world, tmp_path, image_size=8)
    found = read(tmp_path, MANIFEST)
    assert set(found["expression"]) == {"surprise"} and set(found["true_expression"]) == {"fear"}
