from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fbu.data.layouts import facial_expressions, read
from fbu.data.layouts.facial_expressions import subject_of
from fbu.data.manifest import load_manifest
from fbu.errors import DataError

MANIFEST = load_manifest("facial_expressions")
LEGEND = "data/legend.csv"
TEXT = """user.id,image,emotion
628,facial-expressions_2868588k.jpg,anger
628,facial-expressions_2868585k.jpg,surprise
jhamski,Avinash_30.jpg,SURPRISE
jhamski,Avinash_30.jpg,SADNESS
dwdii,Kimberly_Bruckner_0001.jpg,happiness
JN721,Kimberly_Bruckner_0001.jpg,HAPPINESS
JN721,Kimberly_Bruckner_0002.jpg,Neutral
"""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    (tmp_path / "images").mkdir()
    (tmp_path / LEGEND).write_text(TEXT)
    return tmp_path


def test_fixture(copy: Path) -> None:
    found = read(copy, MANIFEST)
    assert found[["sample", "subject", "expression"]].to_numpy().tolist() == [
        ["Kimberly_Bruckner_0001.jpg", "Kimberly_Bruckner", "happiness"],
        ["Kimberly_Bruckner_0002.jpg", "Kimberly_Bruckner", "neutral"],
        ["facial-expressions_2868585k.jpg", "facial-expressions", "surprise"],
        ["facial-expressions_2868588k.jpg", "facial-expressions", "anger"],
    ]
    assert found.attrs["skipped"] == {"rows with contradicting labels": 2, "duplicate rows": 1}


@pytest.mark.parametrize(
    ("image", "subject"),
    [
        ("AJ_Cook_0001.jpg", "AJ_Cook"),
        ("Avinash_2.jpg", "Avinash"),
        ("Lin_Yi-fu_0001.jpg", "Lin_Yi-fu"),
        ("p0007_0012.jpg", "p0007"),
        ("sub/Ann_1.jpg", "Ann"),
        ("Ann.jpg", "Ann"),
        ("0001.jpg", "0001"),
    ],
)
def test_subject_is_the_name_without_its_number(image: str, subject: str) -> None:
    assert subject_of(image) == subject


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "user.id,picture,emotion\n1,a.jpg,anger\n",
            r"legend.csv: column 'image' is missing; found user.id, picture",
        ),
        ("", r"legend.csv: column 'user.id' is missing; found an empty file"),
        (
            "user.id,image,emotion\n1,a.jpg,anger\n1,b.jpg,joy\n",
            r"legend.csv:3: unknown label code 'joy': .*neutral",
        ),
        ("user.id,image,emotion\n1,a.jpg\n", r"legend.csv:2: 2 fields where the header has 3"),
        ("user.id,image,emotion\n1,a.jpg,anger,x\n", r"legend.csv:2: 4 fields"),
        (
            "user.id,image,emotion\n1,../a.jpg,anger\n",
            r"legend.csv:2: path '../a.jpg' is empty or leads out of",
        ),
        ("user.id,image,emotion\n1,x/../../a.jpg,anger\n", r"legend.csv:2: path"),
        ("user.id,image,emotion\n1,/etc/passwd,anger\n", r"legend.csv:2: path '/etc/passwd'"),
        ("user.id,image,emotion\n1,,anger\n", r"legend.csv:2: path ''"),
        ("user.id,image,emotion\n", r"no labelled picture of facial_expressions found"),
        (
            "user.id,image,emotion\n1,a.jpg,fear\n1,a.jpg,anger\n",
            r"left out: {'rows with contradicting labels': 2}",
        ),
    ],
)
def test_malformed_legend(copy: Path, text: str, message: str) -> None:
    (copy / LEGEND).write_text(text)
    with pytest.raises(DataError, match=message):
        read(copy, MANIFEST)


def test_not_utf8(copy: Path) -> None:
    (copy / LEGEND).write_bytes(b"user.id,image,emotion\n1,Andr\xe9_0001.jpg,anger\n")
    with pytest.raises(DataError, match=r"legend.csv:2: not UTF-8 text"):
        read(copy, MANIFEST)


def test_byte_order_mark_and_windows_lines_are_fine(copy: Path) -> None:
    (copy / LEGEND).write_bytes(b"\xef\xbb\xbf" + TEXT.replace("\n", "\r\n").encode())
    assert len(read(copy, MANIFEST)) == 4


def test_truth_of_other_pictures_is_refused(copy: Path) -> None:
    (copy / "twin_truth.csv").write_text("sample,path,sex\nsomeone.jpg,images/someone.jpg,female\n")
    with pytest.raises(DataError, match="twin_truth.csv has no row for 'images/Kimberly_Bruckner_0001.jpg'"):
        read(copy, MANIFEST)


@settings(max_examples=25)
@given(
    people=st.lists(
        st.tuples(st.sampled_from(["Ann_Li", "p0007", "Zoë"]), st.sampled_from(MANIFEST.labels)),
        min_size=1,
        max_size=12,
    )
)
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, faces: Callable, people: list[tuple[str, str]]
) -> None:
    root = tmp_path_factory.mktemp("open")
    facial_expressions.write(faces("facial_expressions", people), root, image_size=8)
    found = read(root, MANIFEST)
    assert sorted(zip(found["subject"], found["expression"], strict=True)) == sorted(people)
    assert (found["true_subject"] == found["subject"]).all()
    assert found.attrs["skipped"] == {"duplicate rows": 1}
    assert all((root / path).is_file() for path in found["path"])
