"""Damaged copies of BP4D+, GFT, CK+ and AffectNet in both releases."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from damages import (
    Case,
    Noisy,
    all_of,
    assert_reported,
    content,
    copied,
    cut,
    error,
    field,
    gone,
    line,
    more,
    moved,
    picture,
    real,
    warning,
    without_column,
)

from fbu.data import doctor, layouts, load_manifest, twins
from fbu.data.layouts import affectnet

TASKS = [(s, t, range(5, 10)) for s in ("F001", "F003", "M003") for t in ("T1", "T2", "T6")]
TALKS = [(s, "", range(1, 9)) for s in ("001A", "001B", "006A", "006B")]
POSED = {
    "S001/001": (3, "anger"),
    "S001/002": (2, "fear"),
    "S002/001": (4, "contempt"),
    "S002/003": (3, ""),
    "S003/001": (3, "happiness"),
}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory, faces: Callable, sequences: Callable) -> Path:
    """A tiny twin of each dataset; that of AffectNet's csv release looks real."""
    root = tmp_path_factory.mktemp("twins")
    labels = load_manifest("affectnet").labels
    stills = faces("affectnet", [(f"{p}/{i}", labels[i]) for p in ("train", "val") for i in range(8)])
    posed = sequences([(*at.split("/"), range(1, n + 1)) for at, (n, _) in POSED.items()])
    frames = list(
        zip(posed.records["subject"], posed.records["activity"], posed.records["frame"], strict=True)
    )
    posed.records["sample"] = [f"{s}/{k}/{n:08d}" for s, k, n in frames]
    posed.records["label"] = [POSED[f"{s}/{k}"][1] if n == POSED[f"{s}/{k}"][0] else "" for s, k, n in frames]
    worlds = {"affectnet": stills, "bp4dplus": sequences(TASKS), "ckplus": posed, "gft": sequences(TALKS)}
    for name, world in worlds.items():
        noisy = Noisy(name, world.seed, world.records)
        twins.write_twin(name, noisy, root / name, size="quick", image_size=24)
    noisy = Noisy("affectnet", 0, stills.records)
    affectnet.write_csv(noisy, root / "lists", image_size=24)
    affectnet.crop_faces(root / "lists")
    (root / "lists/twin_truth.csv").unlink()
    return root


OCCURRENCE = "AUCoding/AU_OCC/F001_T1.csv"
INTENSITY = "AUCoding/AU_INT/AU06/F001_T1_AU06.csv"
B1 = "2D+3D/F001/T1/0005.jpg"


def packed(root: Path) -> None:
    """A subject whose archive nobody unpacked."""
    shutil.rmtree(root / "2D+3D/F003")
    (root / "2D+3D/F003.zip").write_bytes(b"PK")


BP4D_PLUS = [
    error("bp4dplus", "picture cut", cut(B1, 0.5), "truncated picture", B1),
    warning("bp4dplus", "one frame lost", gone(B1), "frame without picture", OCCURRENCE, 2),
    error("bp4dplus", "frames lost", gone("2D+3D/F001/T1"), "sequence without pictures", OCCURRENCE, 2),
    error("bp4dplus", "archive packed", packed, "packed archive", "2D+3D"),
    error(
        "bp4dplus", "sequences packed", packed, "sequence without pictures", "AUCoding/AU_OCC/F003_T1.csv", 2
    ),
    error("bp4dplus", "AU1 dropped", without_column(OCCURRENCE, 1), "missing column", OCCURRENCE, 1),
    error("bp4dplus", "frame column dropped", without_column(OCCURRENCE, 0), "missing column", OCCURRENCE, 1),
    error("bp4dplus", "unit twice", line(OCCURRENCE, 1, field(3, "1")), "unknown header", OCCURRENCE, 1),
    error(
        "bp4dplus", "names of units", line(OCCURRENCE, 1, field(3, "AU4")), "unknown header", OCCURRENCE, 1
    ),
    error("bp4dplus", "code 999", line(OCCURRENCE, 3, field(3, "999")), "unknown label code", OCCURRENCE, 3),
    warning(
        "bp4dplus", "9 among the units", line(OCCURRENCE, 3, field(3, "9")), "unit not coded", OCCURRENCE
    ),
    error("bp4dplus", "frame twice", line(OCCURRENCE, 3, field(0, "5")), "frame twice", OCCURRENCE, 3),
    error(
        "bp4dplus",
        "field lost",
        line(OCCURRENCE, 4, lambda text: text[:-2]),
        "wrong number of fields",
        OCCURRENCE,
        4,
    ),
    error("bp4dplus", "frame 2.5", line(OCCURRENCE, 4, field(0, "2.5")), "not a whole number", OCCURRENCE, 4),
    error("bp4dplus", "file empty", content(OCCURRENCE, ""), "empty file", OCCURRENCE),
    error("bp4dplus", "not utf-8", content(OCCURRENCE, b"1,1,2\n\xff\n"), "not UTF-8", OCCURRENCE, 2),
    warning("bp4dplus", "file lost", gone(OCCURRENCE), "picture without label", "2D+3D"),
    warning(
        "bp4dplus",
        "uncoded task",
        all_of(real, copied(OCCURRENCE, "AUCoding/AU_OCC/F001_T2.csv")),
        "unknown task",
        "AUCoding/AU_OCC/F001_T2.csv",
    ),
    warning(
        "bp4dplus",
        "small letters",
        moved(OCCURRENCE, "AUCoding/AU_OCC/f001_T1.csv"),
        "strange file name",
        "AUCoding/AU_OCC",
    ),
    warning("bp4dplus", "eleventh task", copied(B1, "2D+3D/F001/T11/1.jpg"), "extra folder", "2D+3D/F001"),
    error(
        "bp4dplus",
        "one number twice",
        copied(B1, B1.replace("0005", "005")),
        "number twice",
        B1.replace("0005", "005"),
    ),
    error(
        "bp4dplus",
        "person of no fold",
        all_of(moved(OCCURRENCE, "AUCoding/AU_OCC/F099_T1.csv"), moved("2D+3D/F001/T1", "2D+3D/F099/T1")),
        "unknown subject",
        "AUCoding/AU_OCC/F099_T1.csv",
        2,
    ),
    error("bp4dplus", "intensity 7", line(INTENSITY, 2, "6,7"), "unknown intensity", INTENSITY, 2),
    error("bp4dplus", "no codes at all", gone("AUCoding"), "missing folder", "."),
    warning("bp4dplus", "a subset", real, "subset", "."),
]

A1, G1 = "annotations/001B.csv", "images/001B/1.jpg"


def as_one_file(root: Path) -> None:
    """All participants in one csv, in the place of the folder."""
    rows = ["subject,frame,AU1,AU2,AU4,AU6,AU10,AU12,AU14,AU15,AU23,AU24"]
    rows += ["001A,2" + ",0" * 10, "../001B,1" + ",0" * 10]
    shutil.rmtree(root / "annotations")
    (root / "annotations").write_text("\n".join(rows))


GFT = [
    error("gft", "picture cut", cut(G1, 0.5), "truncated picture", G1),
    warning("gft", "one frame lost", gone(G1), "frame without picture", A1, 2),
    error("gft", "frames lost", gone("images/001B"), "sequence without pictures", A1, 2),
    error("gft", "list lost", gone("split.csv"), "missing file", "split.csv"),
    error("gft", "list empty", content("split.csv", ""), "empty file", "split.csv"),
    error("gft", "other split", line("split.csv", 2, "001A,valid"), "unknown split", "split.csv", 2),
    error("gft", "split in capitals", line("split.csv", 2, "001A,Train"), "unknown split", "split.csv", 2),
    error("gft", "in two parts", more("split.csv", "001A,test"), "subject in two parts", "split.csv", 6),
    error("gft", "listed twice", more("split.csv", "001A,train"), "duplicate row", "split.csv", 6),
    error("gft", "not in the list", line("split.csv", 3, "001C,train"), "unknown subject", A1, 2),
    warning(
        "gft", "only in the list", more("split.csv", "003C,train"), "subject without labels", "split.csv"
    ),
    error("gft", "AU1 dropped", without_column(A1, 1), "missing column", A1, 1),
    error("gft", "frame column dropped", without_column(A1, 0), "missing column", A1, 1),
    error("gft", "one unit twice", line(A1, 1, field(4, "AU01")), "column twice", A1, 1),
    warning("gft", "code 2", line(A1, 3, field(1, "2")), "unknown label code", A1, 3),
    warning("gft", "a word for a code", line(A1, 3, field(1, "yes")), "unknown label code", A1, 3),
    error("gft", "field lost", line(A1, 3, lambda text: text[:-2]), "wrong number of fields", A1, 3),
    error("gft", "frame x", line(A1, 3, field(0, "x")), "not a whole number", A1, 3),
    error("gft", "frame twice", line(A1, 3, field(0, "1")), "frame twice", A1, 3),
    error("gft", "not utf-8", content(A1, b"frame,AU1\n\xff\n"), "not UTF-8", A1, 2),
    error("gft", "header only", content(A1, "frame,AU1\n"), "missing column", A1, 1),
    error(
        "gft",
        "two files",
        copied(A1, "annotations/001B_AU.csv"),
        "two files of a participant",
        "annotations/001B_AU.csv",
    ),
    warning("gft", "small letter", copied(A1, "annotations/001b.csv"), "strange file name", "annotations"),
    warning("gft", "nobody's folder", copied(G1, "images/077A/1.jpg"), "extra folder", "images"),
    warning("gft", "frame of no row", copied(G1, "images/001B/99.jpg"), "picture without label", "images"),
    error("gft", "no annotations", gone("annotations"), "missing folder", "annotations"),
    error("gft", "no pictures", gone("images"), "missing folder", "."),
    error("gft", "path for a participant", as_one_file, "path leaves the folder", "annotations", 3),
    warning("gft", "a subset", real, "subset", "."),
]

SEQUENCE = "cohn-kanade-images/S001/001"
LAST, FIRST = f"{SEQUENCE}/S001_001_00000003.png", f"{SEQUENCE}/S001_001_00000001.png"
EMOTION = "Emotion/S001/001/S001_001_00000003_emotion.txt"
FACS = "FACS/S001/001/S001_001_00000003_facs.txt"
CK_PLUS = [
    error("ckplus", "picture cut", cut(LAST, 0.5), "truncated picture", LAST),
    error("ckplus", "text named png", content(FIRST, "no picture"), "not a picture", FIRST),
    warning("ckplus", "jpg named png", picture(FIRST, (32, 24), "JPEG"), "wrong ending", FIRST),
    error("ckplus", "last frame lost", gone(LAST), "label of another frame", EMOTION),
    warning("ckplus", "first frame lost", gone(FIRST), "frame gap", SEQUENCE),
    error("ckplus", "sequence lost", gone(SEQUENCE), "sequence without pictures", EMOTION),
    error("ckplus", "code 8", content(EMOTION, "   8.0000000e+00\n"), "unknown label code", EMOTION, 1),
    error("ckplus", "half a code", content(EMOTION, "   1.5000000e+00\n"), "malformed line", EMOTION, 1),
    error("ckplus", "word for a code", content(EMOTION, "\nanger\n"), "malformed line", EMOTION, 2),
    error("ckplus", "two codes", content(EMOTION, "1\n3\n"), "malformed line", EMOTION, 2),
    error("ckplus", "emotion file empty", content(EMOTION, ""), "empty file", EMOTION),
    error("ckplus", "emotion not utf-8", content(EMOTION, b"\n\xff"), "not UTF-8", EMOTION, 2),
    error(
        "ckplus",
        "two emotion files",
        copied(EMOTION, EMOTION.replace("3_e", "2_e")),
        "two emotion files",
        EMOTION.replace("3_e", "2_e"),
    ),
    error(
        "ckplus",
        "emotion of another sequence",
        moved(EMOTION, "Emotion/S001/001/S001_002_00000003_emotion.txt"),
        "misplaced file",
        "Emotion/S001/001/S001_002_00000003_emotion.txt",
    ),
    error(
        "ckplus",
        "picture of another sequence",
        moved(FIRST, f"{SEQUENCE}/S002_001_00000001.png"),
        "misplaced file",
        f"{SEQUENCE}/S002_001_00000001.png",
    ),
    warning(
        "ckplus",
        "picture in capitals",
        moved(FIRST, FIRST.replace("png", "PNG")),
        "strange file name",
        SEQUENCE,
    ),
    error(
        "ckplus",
        "two of one frame",
        copied(FIRST, f"{SEQUENCE}/S001_001_01.png"),
        "number twice",
        f"{SEQUENCE}/S001_001_01.png",
    ),
    error("ckplus", "no emotions", gone("Emotion"), "missing folder", "."),
    error("ckplus", "no pictures", gone("cohn-kanade-images"), "missing folder", "."),
    warning("ckplus", "no units", gone("FACS"), "no action units", "."),
    warning("ckplus", "units of one lost", gone(FACS), "no action units", "FACS"),
    warning("ckplus", "units empty", content(FACS, b""), "empty file", FACS),
    error("ckplus", "intensity 6", line(FACS, 2, "   9 6"), "unknown intensity", FACS, 2),
    error("ckplus", "unit without intensity", line(FACS, 2, "   9"), "malformed line", FACS, 2),
    error("ckplus", "unit with a side", line(FACS, 2, "   R9 4"), "malformed line", FACS, 2),
    error("ckplus", "unit twice", line(FACS, 2, "   1 4"), "unit twice", FACS, 2),
    warning(
        "ckplus", "extra folder", moved("Emotion/S001/002", "Emotion/S001/2"), "extra folder", "Emotion/S001"
    ),
    warning(
        "ckplus",
        "person in small letters",
        moved("cohn-kanade-images/S002/003", "cohn-kanade-images/s002/003"),
        "extra folder",
        "cohn-kanade-images",
    ),
    warning("ckplus", "a subset", real, "subset", "."),
]

CODES, CROPS = "train_set/annotations", "train_set/images"


def array(file: str, value: object) -> Callable[[Path], None]:
    """Write another array."""
    return lambda root: np.save(root / file, np.array(value))


ARRAYS = [
    error("affectnet", "picture cut", cut(f"{CROPS}/1.jpg", 0.5), "truncated picture", f"{CROPS}/1.jpg"),
    warning(
        "affectnet",
        "picture lost",
        gone(f"{CROPS}/1.jpg"),
        "annotation without picture",
        f"{CODES}/1_exp.npy",
    ),
    warning("affectnet", "code lost", gone(f"{CODES}/1_exp.npy"), "picture without label", CROPS),
    error(
        "affectnet", "code 11", array(f"{CODES}/1_exp.npy", 11), "unknown label code", f"{CODES}/1_exp.npy"
    ),
    error(
        "affectnet", "a word", array(f"{CODES}/1_exp.npy", "fear"), "unknown label code", f"{CODES}/1_exp.npy"
    ),
    warning("affectnet", "code 9", array(f"{CODES}/1_exp.npy", "9"), "no expression", CODES),
    error(
        "affectnet",
        "two codes",
        array(f"{CODES}/1_exp.npy", [1, 2]),
        "not an array file",
        f"{CODES}/1_exp.npy",
    ),
    error(
        "affectnet", "array cut", cut(f"{CODES}/1_exp.npy", 0.5), "not an array file", f"{CODES}/1_exp.npy"
    ),
    error(
        "affectnet",
        "array empty",
        content(f"{CODES}/1_exp.npy", ""),
        "not an array file",
        f"{CODES}/1_exp.npy",
    ),
    error("affectnet", "text", content(f"{CODES}/1_exp.npy", "1"), "not an array file", f"{CODES}/1_exp.npy"),
    error(
        "affectnet",
        "one number twice",
        copied(f"{CROPS}/1.jpg", f"{CROPS}/01.jpg"),
        "number twice",
        f"{CROPS}/1.jpg",
    ),
    warning(
        "affectnet",
        "array of another name",
        copied(f"{CODES}/1_exp.npy", f"{CODES}/1_EXP.npy"),
        "strange file name",
        CODES,
    ),
    warning(
        "affectnet", "picture by name", copied(f"{CROPS}/1.jpg", f"{CROPS}/x.jpg"), "strange file name", CROPS
    ),
    warning("affectnet", "extra folder", content("train_set/old/x.txt", ""), "extra folder", "train_set"),
    error("affectnet", "no crops", gone(CROPS), "missing folder", "train_set"),
    error("affectnet", "no codes", gone("val_set/annotations"), "missing folder", "val_set"),
    error("affectnet", "no validation part", gone("val_set"), "missing folder", "."),
    error("affectnet", "nothing", all_of(gone("val_set"), gone("train_set")), "missing folder", "."),
    error(
        "affectnet",
        "both releases",
        content("Manually_Annotated_file_lists/training.csv", ""),
        "two releases",
        ".",
    ),
    warning("affectnet", "a subset", real, "subset", "."),
]

TRAINING = "Manually_Annotated_file_lists/training.csv"
VALIDATION = "Manually_Annotated_file_lists/validation.csv"
FOLDER = "Manually_Annotated_Faces"


def face(root: Path, row: int = 0) -> str:
    """Face of a row of the validation list."""
    return f"{FOLDER}/{(root / VALIDATION).read_text().splitlines()[row].split(',')[0]}"


def in_both_lists(root: Path) -> None:
    row = (root / VALIDATION).read_text().splitlines()[0]
    more(TRAINING, row)(root)


LISTS = [
    error("affectnet", "code 11", line(VALIDATION, 2, field(6, "11")), "unknown label code", VALIDATION, 2),
    error("affectnet", "a word", line(VALIDATION, 2, field(6, "fear")), "unknown label code", VALIDATION, 2),
    error(
        "affectnet",
        "field lost",
        line(VALIDATION, 2, "1/x.jpg,0,0,24,24,1,0"),
        "wrong number of fields",
        VALIDATION,
        2,
    ),
    error("affectnet", "box x", line(VALIDATION, 2, field(1, "x")), "not a whole number", VALIDATION, 2),
    warning("affectnet", "box of no width", line(VALIDATION, 2, field(3, "0")), "odd box", VALIDATION, 2),
    error(
        "affectnet",
        "path upwards",
        line(VALIDATION, 2, field(0, "../x.jpg")),
        "path leaves the folder",
        VALIDATION,
        2,
    ),
    error(
        "affectnet",
        "in small letters",
        line(VALIDATION, 2, lambda text: text.replace(".jpg", ".JPG")),
        "missing picture",
        VALIDATION,
        2,
    ),
    error("affectnet", "column dropped", without_column(TRAINING, 6), "missing column", TRAINING, 1),
    error("affectnet", "list lost", gone(VALIDATION), "missing file", VALIDATION),
    error("affectnet", "list empty", content(VALIDATION, ""), "empty file", VALIDATION),
    error("affectnet", "list not utf-8", content(VALIDATION, b"1/x.jpg\xff,0\n"), "not UTF-8", VALIDATION, 1),
    error(
        "affectnet",
        "picture lost",
        lambda root: gone(face(root))(root) or gone(face(root).replace("Faces", "Images"))(root),
        "missing picture",
        VALIDATION,
        1,
    ),
    error("affectnet", "face not cut", lambda root: gone(face(root))(root), "missing face", VALIDATION, 1),
    error("affectnet", "no faces", gone(FOLDER), "missing folder", FOLDER),
    error("affectnet", "no pictures", gone("Manually_Annotated_Images"), "missing folder", "."),
    error("affectnet", "in both lists", in_both_lists, "subject in two parts", TRAINING, 16),
    warning("affectnet", "listed twice", lambda root: None, "duplicate row", TRAINING, 15),
    warning(
        "affectnet", "two labels", line(TRAINING, 15, field(6, "1")), "contradicting labels", TRAINING, 15
    ),
    warning("affectnet", "nobody's face", content(f"{FOLDER}/7/x.jpg", "x"), "picture without label", FOLDER),
    warning("affectnet", "a subset", lambda root: None, "subset", "."),
]
CASES = [("", case) for case in BP4D_PLUS + GFT + CK_PLUS + ARRAYS] + [("lists", case) for case in LISTS]
WARNINGS = [(folder, case) for folder, case in CASES if case.severity == "warning"]


def title(value: object) -> str:
    return f"{value.dataset}: {value.what}" if isinstance(value, Case) else str(value)


@pytest.mark.parametrize(("folder", "case"), CASES, ids=title)
def test_damage_is_reported(folder: str, case: Case, own: Callable[[str], Path]) -> None:
    assert_reported(case, own(folder or case.dataset))


@pytest.mark.parametrize(("folder", "case"), WARNINGS, ids=title)
def test_what_is_only_warned_about_can_be_read(folder: str, case: Case, own: Callable[[str], Path]) -> None:
    root = own(folder or case.dataset)
    case.damage(root)
    assert len(layouts.read(root, load_manifest(case.dataset)))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("bp4dplus", "offset: some"),
        ("bp4dplus", "per_task: 1.5"),
        ("bp4dplus", "unlabelled: 2"),
        ("gft", "offset: some"),
        ("gft", "annotations: ../x"),
        ("gft", "split: x.csv"),
        ("gft", "frame_column: time"),
        ("ckplus", "first_frames: some"),
        ("affectnet", "release: npy"),
        ("affectnet", "release: csv"),
        ("lists", "pictures: cropped"),
    ],
)
def test_wrong_options_are_errors(name: str, options: str, own: Callable[[str], Path]) -> None:
    root = own(name)
    (root / "fbu.yml").write_text(options)
    report = doctor.check("affectnet" if name == "lists" else name, root)
    assert report.errors
    assert not [problem for problem in report.errors if "ValueError" in problem.message]


@pytest.mark.parametrize("name", ["affectnet", "bp4dplus", "ckplus", "gft"])
def test_twin_is_clean(name: str, written: Path) -> None:
    report = doctor.check(name, written / name)
    assert report.twin and report.ok and report.decoded == report.pictures > 0
    assert {problem.kind for problem in report.problems} <= {"frame without picture"}


@pytest.mark.parametrize(
    ("name", "file"),
    [("bp4dplus", OCCURRENCE), ("gft", A1), ("gft", "split.csv"), ("ckplus", EMOTION), ("ckplus", FACS),
     ("affectnet", f"{CODES}/1_exp.npy"), ("lists", TRAINING), ("lists", VALIDATION)],
)  # fmt: skip
@pytest.mark.parametrize("seed", range(12))
def test_no_broken_file_stops_the_report(name: str, file: str, seed: int, own: Callable[[str], Path]) -> None:
    """Bytes that are lost, changed or repeated: the report comes, and what it calls sound can be read."""
    root, draw = own(name), np.random.default_rng(seed)
    raw = bytearray((root / file).read_bytes())
    for _ in range(3):
        at = int(draw.integers(len(raw)))
        span = int(draw.integers(1, 6))
        raw[at : at + span] = (b"", bytes(draw.integers(0, 256, span).tolist()), b',\n"', raw[at:] * 2)[
            seed % 4
        ]
    (root / file).write_bytes(bytes(raw))
    dataset = "affectnet" if name == "lists" else name
    report = doctor.check(dataset, root)
    assert not [problem for problem in report.problems if problem.kind == "cannot be read"]
    if report.ok:
        assert len(layouts.read(root, load_manifest(dataset)))
