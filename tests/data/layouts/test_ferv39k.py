from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fbu.data.layouts import ferv39k, media, read
from fbu.data.manifest import load_manifest
from fbu.data.media.videos import frames_of
from fbu.errors import DataError

MANIFEST = load_manifest("ferv39k")
LISTS = "4_setups/All_scenes"
# Two scenes, seven words; the same number under several of them; no header.
TRAIN = """Action/Happy/0267 Happy
Action/Sad/0014 Sad
War/Angry/0267 Angry
War/Surprise/0100 Surprise
Action/Disgust/0021 Disgust
War/Fear/0033 Fear
Action/Neutral/0267 Neutral
"""
TEST = """Action/Happy/0015 Happy
War/Neutral/0009 Neutral
War/Fear/0000 Fear
"""


@pytest.fixture
def copy(tmp_path: Path, picture: Callable[..., None]) -> Path:
    """Ten clips of 8, 12 and 20 frames; frame numbers are two digits wide."""
    for name, text in (("train_All.csv", TRAIN), ("test_All.csv", TEST)):
        (tmp_path / LISTS).mkdir(parents=True, exist_ok=True)
        (tmp_path / LISTS / name).write_text(text)
    (tmp_path / "4_setups/22_scenes").mkdir()
    for part, text in (("train", TRAIN), ("test", TEST)):
        war = [line for line in text.splitlines() if line.startswith("War")]
        (tmp_path / f"4_setups/22_scenes/{part}_War.csv").write_text("\n".join(war))
    for i, line in enumerate((TRAIN + TEST).splitlines()):
        for n in range(1, (8, 12, 20)[i % 3] + 1):
            picture(tmp_path / "2_ClipsforFaceCrop" / line.split()[0] / f"{n:02d}.jpg")
    return tmp_path


def test_fixture(copy: Path) -> None:
    found = read(copy, MANIFEST).set_index("sample")
    assert found["expression"].to_dict() == {
        "Action/Disgust/0021": "disgust",
        "Action/Happy/0015": "happiness",
        "Action/Happy/0267": "happiness",
        "Action/Neutral/0267": "neutral",
        "Action/Sad/0014": "sadness",
        "War/Angry/0267": "anger",
        "War/Fear/0000": "fear",
        "War/Fear/0033": "fear",
        "War/Neutral/0009": "neutral",
        "War/Surprise/0100": "surprise",
    }
    assert found.index[found["part"] == "test"].tolist() == [
        "Action/Happy/0015",
        "War/Fear/0000",
        "War/Neutral/0009",
    ]
    assert found.loc["War/Angry/0267"].to_dict() == {
        "path": "2_ClipsforFaceCrop/War/Angry/0267",
        "subject": "War/Angry/0267",
        "expression": "anger",
        "part": "train",
        "scene": "War",
    }
    assert len(frames_of(copy / found.loc["Action/Sad/0014", "path"])) == 12


def test_one_scene(copy: Path) -> None:
    found = read(copy, MANIFEST.with_options({"setup": "War"}))
    assert set(found["scene"]) == {"War"} and found["part"].value_counts().to_dict() == {
        "train": 3,
        "test": 2,
    }
    with pytest.raises(DataError, match=r"22_scenes/train_Action.csv: the list is missing"):
        read(copy, MANIFEST.with_options({"setup": "Action"}))
    with pytest.raises(DataError, match="option setup is 'Peace': known are All_scenes, Action, Argue"):
        read(copy, MANIFEST.with_options({"setup": "Peace"}))


def test_there_are_22_scenes() -> None:
    from fbu.data.worlds.populations.ferv39k import SCENES, WORDS

    assert tuple(SCENES) == ferv39k.SCENES and len(SCENES) == 22
    assert {word: name for name, word in WORDS.items()} == MANIFEST.codes


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("Action/Happy/0267 Joy", "train_All.csv:1: unknown label code 'Joy': known are Happy, Sad"),
        ("Action/Happy/0267 happy", "train_All.csv:1: unknown label code 'happy'"),
        ("Action/Happy/0267", "train_All.csv:1: expected a line like 'Action/Happy/0267 Happy'"),
        ("Action/Happy/0267,Happy", "train_All.csv:1: expected a line like"),
        ("path label", "train_All.csv:1: 'path' is not scene, expression and number"),
        ("../Happy/0267 Happy", "train_All.csv:1: path '../Happy/0267' leads out of the folder"),
        ("/Action/Happy/0267 Happy", "train_All.csv:1: path '/Action/Happy/0267' leads out"),
        ("Action/Happy/0267/01.jpg Happy", "is not scene, expression and number: write a path like"),
        ("Action/Happy/0015 Happy", r"test_All.csv:1: clip Action/Happy/0015 is also in train \(All_.*:1\)"),
        ("Action/Sad/0014 Sad", r"train_All.csv:2: clip Action/Sad/0014 is listed again \(first in line 1\)"),
    ],
)  # fmt: skip
def test_malformed_lists(copy: Path, line: str, message: str) -> None:
    rest = TRAIN.partition("\n")[2]
    (copy / LISTS / "train_All.csv").write_text(f"{line}\n{rest}")
    with pytest.raises(DataError, match=message):
        read(copy, MANIFEST)


def test_not_utf8_and_empty(copy: Path) -> None:
    (copy / LISTS / "test_All.csv").write_bytes(b"Action/Happy/0015 Happy\nAction/Happy/\xff Happy")
    with pytest.raises(DataError, match="test_All.csv:2: byte 14 of the line is not UTF-8 text"):
        read(copy, MANIFEST)
    (copy / LISTS / "test_All.csv").write_bytes(b"\n")
    with pytest.raises(DataError, match="test_All.csv: the list is empty"):
        read(copy, MANIFEST)


def test_missing_folder_shows_the_tree(copy: Path) -> None:
    (copy / "2_ClipsforFaceCrop").rename(copy / "faces")
    with pytest.raises(DataError, match=r"(?s)folder 2_ClipsforFaceCrop \(clips\) is missing.*no header"):
        read(copy, MANIFEST)


WORDS = {name: word for word, name in MANIFEST.codes.items()}
DRAWN = st.dictionaries(
    st.tuples(st.sampled_from(["Action", "War"]), st.sampled_from(MANIFEST.labels), st.integers(0, 9999)),
    st.tuples(st.sampled_from(["train", "test"]), st.integers(1, 20)),
    min_size=2,
    max_size=10,
).filter(lambda drawn: len({part for part, _ in drawn.values()}) == 2)


@settings(max_examples=16, deadline=None)
@given(drawn=DRAWN)
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, clips: Callable, drawn: dict
) -> None:
    root = tmp_path_factory.mktemp("ferv39k")
    rows = [(f"{s}/{WORDS[label]}/{n:04d}", part, label, k) for (s, label, n), (part, k) in drawn.items()]
    ferv39k.write(clips("ferv39k", rows), root, image_size=12)
    found = read(root, MANIFEST)
    columns = [found[name] for name in ("sample", "part", "expression", "true_frames")]
    assert sorted(zip(*columns, strict=True)) == sorted(rows)
    for (_, _, _, n), frames in zip(sorted(rows), media("ferv39k").open(root, found), strict=True):
        assert len(frames) == n
    scenes = found.groupby("scene")["part"].nunique()
    for scene in scenes.index[scenes == 2]:
        part = read(root, MANIFEST.with_options({"setup": scene}))
        assert part["sample"].tolist() == found["sample"][found["scene"] == scene].tolist()
