import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fbu import data
from fbu.data.layouts import ferplus, read
from fbu.data.manifest import load_manifest
from fbu.errors import DataError
from fbu.labels import ORDERS

MANIFEST = load_manifest("ferplus")
NEW = MANIFEST.with_options({"votes_file": "new"})
OWN = MANIFEST.with_options({"labels": "fer2013"})
HEADER = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"
# FER2013's code, Usage, image name, votes in fer2013new.csv. Number 3 of names is not used; one name is empty (all NF),
# one twice in Training; one row has no majority, one a tie, one is called no face.
ROWS = """0 Training fer0000000.png 4,0,0,1,3,2,0,0,0,0
3 Training fer0000001.png 0,10,0,0,0,0,0,0,0,0
6 Training fer0000002.png 8,0,0,2,0,0,0,0,0,0
4 Training - 0,0,0,0,0,0,0,0,0,10
5 Training fer0000004.png 0,0,9,0,0,0,1,0,0,0
2 Training fer0000005.png 0,0,5,0,0,0,5,0,0,0
1 Training fer0000002.png 0,0,0,0,2,7,0,0,0,0
0 PublicTest fer0000007.png 0,0,0,0,10,0,0,0,0,0
3 PublicTest fer0000008.png 0,6,0,0,0,0,0,0,4,0
6 PrivateTest fer0000009.png 2,0,0,0,0,0,0,8,0,0
4 PrivateTest fer0000010.png 1,0,0,6,0,0,3,0,0,0
0 PrivateTest fer0000011.png 0,0,0,0,0,0,0,0,0,10"""
PARTS = {
    "Training": "data/FER2013Train",
    "PublicTest": "data/FER2013Valid",
    "PrivateTest": "data/FER2013Test",
}


def pixels(row: int) -> str:
    return " ".join(str((row * 19 + at // 48) % 256) for at in range(48 * 48))


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The rows above; label.csv has other votes for fer0000004, and of the name that is there twice the later ones."""
    root = tmp_path / "ferplus"
    root.mkdir()
    rows = [line.replace(" - ", "  ").split(" ") for line in ROWS.splitlines()]
    text = [f"{code},{pixels(i)},{usage}" for i, (code, usage, _, _) in enumerate(rows)]
    (root / "fer2013.csv").write_text("\n".join(["emotion,pixels,Usage", *text]) + "\n")
    text = [f"{usage},{name},{votes}" for _, usage, name, votes in rows]
    (root / "fer2013new.csv").write_text("\n".join([HEADER, *text]) + "\n")
    for usage, folder in PARTS.items():
        (root / folder).mkdir(parents=True)
        own = {name: votes for _, part, name, votes in rows if part == usage and name}
        own |= {"fer0000004.png": "0,0,2,0,0,0,8,0,0,0"} if usage == "Training" else {}
        text = [f'{name},"(0, 0, 48, 48)",{votes}' for name, votes in own.items()]
        (root / folder / "label.csv").write_text("\n".join(text) + "\n")
    return root


def test_fixture(copy: Path) -> None:
    found = read(copy, MANIFEST).set_index("sample")
    assert found["expression"].to_dict() == {
        "PrivateTest/00009": "contempt",
        "PrivateTest/00010": "sadness",
        "PublicTest/00007": "anger",
        "PublicTest/00008": "happiness",
        "Training/00001": "happiness",
        "Training/00004": "fear",
        "Training/00006": "disgust",
    }
    assert found["part"].tolist() == ["test"] * 2 + ["train"] * 5
    assert found.loc["Training/00006", ["image", "line", "emotion"]].tolist() == [
        "fer0000002.png",
        8,
        "disgust",
    ]
    assert found.loc["Training/00004", "emotion"] == "surprise"
    votes = [column for column in found if column.startswith("votes_")]
    assert votes == [*(f"votes_{name}" for name in ORDERS["ferplus"]), "votes_unknown", "votes_NF"]
    assert found.loc["PublicTest/00008", votes].tolist() == [0, 6, 0, 0, 0, 0, 0, 0, 4, 0]
    assert found.attrs["skipped"] == {
        "rows without an image name": 1,
        "rows whose picture a later row of the same name replaces": 1,
        "pictures that voters did not agree on, or that show no known expression": 3,
    }


def test_pictures_are_those_of_the_line(copy: Path) -> None:
    found = read(copy, MANIFEST)
    for (picture,), sample in zip(ferplus.media.open(copy, found), found["sample"], strict=True):
        row = int(sample[-5:])
        wanted = np.array(pixels(row).split(), dtype=int).reshape(48, 48)
        np.testing.assert_array_equal(np.asarray(picture), wanted)


def test_votes_of_each_row(copy: Path) -> None:
    found = read(copy, NEW).set_index("sample")["expression"]
    assert found["Training/00004"] == "surprise"
    assert found["Training/00002"] == "neutral" and found["Training/00006"] == "disgust"
    assert "Training/00003" not in found and len(found) == 8
    shutil.rmtree(copy / "data")
    assert read(copy, NEW)["expression"].tolist() == found.tolist()


@pytest.mark.parametrize(
    ("rule", "train"),
    [
        ("majority", {1: "happiness", 4: "fear", 6: "disgust"}),
        ("most", {0: "neutral", 1: "happiness", 4: "fear", 5: "surprise", 6: "disgust"}),
        ("probability", {0: "neutral", 1: "happiness", 4: "fear", 5: "surprise", 6: "disgust"}),
        ("crossentropy", {0: "neutral", 1: "happiness", 4: "fear", 5: "surprise", 6: "disgust"}),
        ("multi_target", {0: "neutral", 1: "happiness", 4: "fear", 5: "surprise", 6: "disgust"}),
    ],
)
def test_rules(copy: Path, rule: str, train: dict[int, str]) -> None:
    found = read(copy, MANIFEST.with_options({"rule": rule})).set_index("sample")
    own = found[found.index.str.startswith("Training")]
    assert {int(sample[-5:]): name for sample, name in own["expression"].items()} == train
    shares = [column for column in found if column.startswith("p_")]
    assert shares == ([] if rule in ("majority", "most") else [f"p_{name}" for name in ORDERS["ferplus"]])
    if rule == "probability":
        np.testing.assert_allclose(
            found.loc["Training/00005", shares].astype(float), [0, 0, 0.5, 0, 0, 0, 0.5, 0]
        )
    if rule == "multi_target":
        assert found.loc["Training/00005", ["p_surprise", "p_fear", "p_anger"]].tolist() == [1, 1, 0.001]
    if shares:
        # Held-out pictures go by majority: one class, whatever else was voted for.
        assert found.loc["PrivateTest/00010", shares].tolist() == [0, 0, 0, 1, 0, 0, 0, 0]


def test_public_test_may_be_a_part_of_its_own(copy: Path) -> None:
    found = read(copy, MANIFEST.with_options({"public_test": "val"})).set_index("sample")
    assert found["part"].value_counts().to_dict() == {"train": 3, "val": 2, "test": 2}


def test_public_test_validates(copy: Path) -> None:
    given = {"source": "real", "root": copy.parent, "image_size": 48, "options": {"public_test": "val"}}
    train, val = (data.load("ferplus", split, **given) for split in ("train", "val"))  # type: ignore[arg-type]
    assert set(val.records["sample"]) == {"PublicTest/00007", "PublicTest/00008"}
    assert train.records["sample"].str.startswith("Training").all()


def test_labels_of_fer2013(copy: Path) -> None:
    found = read(copy, OWN)
    assert len(found) == 12 and not [column for column in found if column.startswith("votes_")]
    wanted = [ORDERS["fer2013"][int(line[0])] for line in ROWS.splitlines()]
    assert found.sort_values("line")["expression"].tolist() == wanted
    for name in ("fer2013new.csv", "data/FER2013Train/label.csv"):
        (copy / name).unlink()
    assert len(read(copy, OWN)) == 12


def test_protocols(copy: Path) -> None:
    def loaded(protocol: str, split: str = "test") -> data.Dataset:
        return data.load("ferplus", split, source="real", root=copy.parent, image_size=48, protocol=protocol)

    test = loaded("clef")
    assert test.labels == ORDERS["ferplus"] and test.targets.tolist() == [7, 3]
    assert loaded("ke_fer").fingerprint == test.fingerprint
    assert len(loaded("whole_train", "train")) == 5
    assert loaded("clef_zero_shot").targets.tolist() == [1]
    own = loaded("fer2013")
    assert own.labels == ORDERS["ferplus"][:7] and own.targets.tolist() == [0, 3, 4]
    images = test.images
    assert images.shape == (2, 3, 48, 48) and (images[:, 0] == images[:, 2]).all()


def test_expected_counts_are_those_of_the_lists() -> None:
    assert MANIFEST.expected.parts == {"train": 25045 + 3191, "test": 3137}
    assert MANIFEST.codes == {str(code): name for code, name in enumerate(ORDERS["ferplus"])}


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        (
            "fer2013.csv",
            "emotion,pixels,Usage",
            "emotion,Usage,pixels",
            "fer2013.csv:1: expected the header emotion,",
        ),
        ("fer2013.csv", ",Training\n", "\n", "fer2013.csv:2: 2 fields where the header has 3"),
        ("fer2013.csv", "\n3,", "\n7,", "fer2013.csv:3: unknown label code '7': known are 0, 1, 2"),
        ("fer2013.csv", "PublicTest", "Public", "fer2013.csv:9: unknown Usage 'Public': known are Training"),
        ("fer2013new.csv", "sadness", "sad", "fer2013new.csv: column 'sadness' is missing"),
        (
            "fer2013new.csv",
            ",10,0,0",
            ",ten,0,0",
            "fer2013new.csv:3: votes for happiness is 'ten', not a whole",
        ),
        ("fer2013new.csv", ",10,0,0", ",-1,0,0", "fer2013new.csv:3: votes for happiness are -1"),
        ("fer2013new.csv", ",10,0,0", ",0,0", "fer2013new.csv:3: 11 fields where the header has 12"),
        (
            "fer2013new.csv",
            "PublicTest,",
            "Training,",
            "fer2013new.csv:9: Usage is 'Training' and 'PublicTest' in",
        ),
        (
            "fer2013new.csv",
            "Training,,0,0,0,0,0,0,0,0,0,10\n",
            "",
            "fer2013new.csv: 11 rows where fer2013.csv has 12",
        ),
        (
            "data/FER2013Train/label.csv",
            '"(0, 0, 48, 48)"',
            "0, 0, 48, 48",
            "label.csv:1: 15 fields instead of 12",
        ),
        (
            "data/FER2013Train/label.csv",
            "0000001",
            "0000000",
            "label.csv:2: 'fer0000000.png' is listed twice",
        ),
        ("data/FER2013Train/label.csv", ",10,0,0", ",x,0,0", "label.csv:2: votes for happiness is 'x'"),
    ],
)
def test_malformed(copy: Path, file: str, old: str, new: str, message: str) -> None:
    change(copy / file, old, new)
    with pytest.raises(DataError, match=message):
        read(copy, MANIFEST)


def test_not_utf8(copy: Path) -> None:
    (copy / "fer2013new.csv").write_bytes(HEADER.encode() + b"\nTraining,\xff\n")
    with pytest.raises(DataError, match="fer2013new.csv:2: not UTF-8 text"):
        read(copy, MANIFEST)


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (
            "data/FER2013Valid/label.csv",
            "FER2013Valid/label.csv is missing: take it from .*, or set option votes_file",
        ),
        ("fer2013new.csv", "fer2013new.csv is missing: take it from github.com/microsoft/FERPlus"),
        ("fer2013.csv", "fer2013.csv is missing: take it from the Kaggle competition"),
    ],
)
def test_missing_files(copy: Path, file: str, message: str) -> None:
    (copy / file).unlink()
    with pytest.raises(DataError, match=message):
        read(copy, MANIFEST)


@pytest.mark.parametrize("option", ["labels", "votes_file", "public_test", "rule"])
def test_wrong_options(copy: Path, option: str) -> None:
    with pytest.raises(DataError, match=f"ferplus: option {option} is 'x': known are "):
        read(copy, MANIFEST.with_options({option: "x"}))


def test_windows_lines_quotes_and_folders_of_another_name(copy: Path) -> None:
    plain = read(copy, MANIFEST)
    text = (copy / "fer2013.csv").read_text().splitlines()
    quoted = [
        text[0],
        *(line.replace(",", ',"', 1).replace(",T", '",T').replace(",P", '",P') for line in text[1:]),
    ]
    (copy / "fer2013.csv").write_bytes("\r\n".join(quoted).encode())
    (copy / "data/FER2013Train").rename(copy / "FER2013Train")
    found = read(copy, MANIFEST)
    assert found.equals(plain)
    assert all(not isinstance(frames[0], str) for frames in ferplus.media.open(copy, found))


def test_a_picture_that_label_csv_lacks(copy: Path) -> None:
    path = copy / "data/FER2013Train/label.csv"
    path.write_text("\n".join(line for line in path.read_text().splitlines() if "0000004" not in line))
    found = read(copy, MANIFEST)
    assert len(found) == 6 and found.attrs["skipped"]["pictures without votes in label.csv"] == 1


ANSWERS = st.lists(st.integers(0, 9), min_size=10, max_size=10)


def voted(faces: Callable, rows: list[tuple[str, str, list[int]]]) -> object:
    """A world of flat pictures with votes: (split, FER2013's label, answers of ten people)."""
    rows = sorted(rows, key=lambda row: ("train", "val", "test").index(row[0]))
    world = faces("ferplus", [(f"s{i}", emotion) for i, (_, emotion, _) in enumerate(rows)])
    votes = [[answers.count(k) for k in range(10)] for _, _, answers in rows]
    columns = pd.DataFrame(votes, columns=ferplus.VOTES)
    columns["split"], columns["emotion"] = [row[0] for row in rows], [row[1] for row in rows]
    world.records = pd.concat([world.records, columns], axis=1)
    return world


@settings(max_examples=15, deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.sampled_from(["train", "val", "test"]), st.sampled_from(ORDERS["fer2013"]), ANSWERS),
        max_size=12,
    )
)
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, faces: Callable, rows: list[tuple[str, str, list[int]]]
) -> None:
    root = tmp_path_factory.mktemp("ferplus")
    # One of each part that everybody agrees on.
    world = voted(faces, [*rows, *((split, "happiness", [1] * 10) for split in ("train", "val", "test"))])
    ferplus.write(world, root, image_size=8)  # type: ignore[arg-type]
    records = world.records  # type: ignore[attr-defined]
    own = read(root, OWN).sort_values("line")
    assert own["expression"].tolist() == records["emotion"].tolist()
    assert own["part"].tolist() == records["split"].replace("val", "train").tolist()
    assert own["line"].tolist() == list(range(2, len(records) + 2))
    most = MANIFEST.with_options({"rule": "most"})
    found = read(root, most).sort_values("line")
    votes = records[ferplus.VOTES].to_numpy()
    there = votes.argmax(1) < 8
    assert found["line"].tolist() == (np.flatnonzero(there) + 2).tolist()
    np.testing.assert_array_equal(found[ferplus.VOTES], votes[there])
    assert found["expression"].tolist() == [MANIFEST.labels[k] for k in votes[there].argmax(1)]
    np.testing.assert_array_equal(found[[f"true_{name}" for name in ferplus.VOTES]], votes[there])
    drawn = world.render(found["line"].to_numpy() - 2, 1)[:, :, 0, 0] @ [0.299, 0.587, 0.114]  # type: ignore[attr-defined]
    seen = [np.asarray(picture).mean() for (picture,) in ferplus.media.open(root, found)]
    np.testing.assert_allclose(seen, drawn, atol=0.51)


def test_twin_has_the_traps_of_the_real_files(tmp_path: Path, faces: Callable) -> None:
    rows = [("train", "fear", [9] * 10 if i % 20 == 7 else [i % 8] * 7 + [8] * 3) for i in range(200)]
    ferplus.write(voted(faces, rows), tmp_path, image_size=8)  # type: ignore[arg-type]
    names = pd.read_csv(tmp_path / "fer2013new.csv", keep_default_na=False)["Image name"]
    assert (names == "").sum() == 10 and names[names != ""].is_unique
    assert names[0] == "fer0000000.png" and names[199] != "fer0000199.png"
    by_name, by_row = (read(tmp_path, m).set_index("sample")["expression"] for m in (MANIFEST, NEW))
    assert 0 < (by_name != by_row).sum() < 40
    # Rows without a name are no faces, and FER2013 has a label for them all the same.
    assert len(read(tmp_path, OWN)) == 200 and len(by_name) == 190
