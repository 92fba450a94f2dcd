import shutil
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fbu.data.layouts import mafw, media, read
from fbu.data.manifest import load_manifest
from fbu.errors import DataError

MANIFEST = load_manifest("mafw")
SETS = "Train & Test Set/single"
# Test list of each fold.
FOLDS = {
    1: ["00025.mp4 anger", "03747.mp4 anger", "00101.mp4 disgust", "00102.mp4 contempt", "10045.mp4 fear"],
    2: ["00001.mp4 happiness", "00002.mp4 happiness", "00003.mp4 disgust", "00004.mp4 contempt"],
    3: ["00005.mp4 neutral", "00006.mp4 sadness", "00007.mp4 surprise", "00008.mp4 anxiety", "00009.mp4 fear"],
    4: ["00010.mp4 neutral", "00011.mp4 sadness", "00012.mp4 surprise", "00013.mp4 anxiety"],
    5: ["00014.mp4 helplessness", "00015.mp4 helplessness", "00016.mp4 disappointment", "00017.mp4 disappointment"],
}  # fmt: skip
NAMES = [row.split(".")[0] for rows in FOLDS.values() for row in rows]


def put(path: Path, lines: list[str], encoding: str = "utf-8") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(("\r\n".join(lines) + "\r\n").encode(encoding))


def described(row: str) -> str:
    return row.replace(" ", "\t") + "\t一名男子皱着眉头，神情愤怒\tA man frowns, and looks angry."


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory, picture: Callable[..., None]) -> Path:
    """22 clips, two per class, as videos and as frames; five folds of word lists, and described lists in gb18030."""
    root = tmp_path_factory.mktemp("mafw")
    for fold, rows in FOLDS.items():
        others = [row for other, theirs in FOLDS.items() if other != fold for row in theirs]
        for part, own in (("test", rows), ("train", others)):
            put(root / SETS / f"no_caption/set_{fold}/{part}.txt", own)
            put(root / SETS / f"with_caption/set_{fold}/{part}.txt", list(map(described, own)), "gb18030")
    (root / "data/clips").mkdir(parents=True)
    for i, name in enumerate(NAMES):
        with av.open(str(root / f"data/clips/{name}.mp4"), "w") as container:
            stream = container.add_stream("mpeg4", rate=25)
            stream.width = stream.height = 16
            stream.pix_fmt = "yuv420p"
            for n in range(1 + i):
                frame = np.full((16, 16, 3), 8 * n, np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, "rgb24")))
                picture(root / f"data/frames/{name}/{name}_{n + 1}.png", (8 * n, 8 * n, 8 * n))
            container.mux(stream.encode())
    return root


@pytest.fixture
def copy(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "mafw"))


def test_fixture(copy: Path) -> None:
    found = read(copy, MANIFEST).set_index("sample")
    wanted = {r.split(".")[0]: (r.split()[1], fold) for fold, rows in FOLDS.items() for r in rows}
    assert dict(zip(found.index, zip(found["expression"], found["fold"], strict=True), strict=True)) == wanted
    assert found["expression"].value_counts().to_dict() == dict.fromkeys(MANIFEST.labels, 2)
    assert found.loc["03747"].to_dict() == {
        "path": "data/clips/03747.mp4",
        "subject": "03747",
        "expression": "anger",
        "fold": 1,
    }


@pytest.mark.parametrize("kind", mafw.MEDIA)
def test_videos_and_frame_folders_show_the_same(copy: Path, kind: str) -> None:
    found = read(copy, MANIFEST.with_options({"media": kind}))
    frames = dict(zip(found["sample"], media("mafw").open(copy, found), strict=True))
    assert [len(frames[name]) for name in NAMES] == list(range(1, 23))
    levels = [np.asarray(frame).mean() for frame in frames[NAMES[21]]]
    np.testing.assert_allclose(levels, 8 * np.arange(22), atol=3)


def test_descriptions(copy: Path) -> None:
    found = read(copy, MANIFEST.with_options({"caption": "with_caption"}))
    assert set(found["caption"]) == {"A man frowns, and looks angry."}
    assert set(found["caption_zh"]) == {"一名男子皱着眉头，神情愤怒"}
    plain = read(copy, MANIFEST)
    assert found.drop(columns=["caption", "caption_zh"]).equals(plain) and "caption" not in plain


def test_folder_called_split(copy: Path) -> None:
    (copy / "Train & Test Set").rename(copy / "split")
    assert len(read(copy, MANIFEST)) == 22


@pytest.mark.parametrize(
    ("part", "line", "message"),
    [
        ("test", "00025.mp4 angry", "set_1/test.txt:1: unknown label code 'angry': known are anger, disgust"),
        ("test", "00025.mp4 1", "set_1/test.txt:1: unknown label code '1'"),
        ("test", "00025.mp4", "set_1/test.txt:1: expected a line like '03747.mp4 anger', found '00025.mp4'"),
        ("test", "00025 anger", "set_1/test.txt:1: '00025' is not the name of a clip: write a bare name"),
        ("test", "../00025.mp4 anger", "set_1/test.txt:1: '../00025.mp4' is not the name of a clip"),
        ("test", "00001.mp4 happiness", r"set_2/test.txt:1: clip 00001 is also in .* 1 \(set_1/test.txt:1\)"),
        ("train", "00025.mp4 anger", "set_1/train.txt:1: clip 00025 is in the test list of the same fold"),
        ("train", "00001.mp4 sadness", r"train.txt:1: clip 00001 is sadness here and happiness in set_2/"),
        ("train", "", "set_1/train.txt: 1 clip of the other folds' test lists not here: 00001"),
    ],
)  # fmt: skip
def test_malformed_lists(copy: Path, part: str, line: str, message: str) -> None:
    path = copy / SETS / f"no_caption/set_1/{part}.txt"
    put(path, [line, *path.read_text().splitlines()[1:]])
    with pytest.raises(DataError, match=message):
        read(copy, MANIFEST)


def test_malformed_descriptions(copy: Path) -> None:
    manifest = MANIFEST.with_options({"caption": "with_caption"})
    path = copy / SETS / "with_caption/set_1/test.txt"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"00025.mp4 anger\r\n" + b"".join(lines[1:]))
    with pytest.raises(DataError, match=r"test.txt:1: expected a line like .* found 1 fields between tabs"):
        read(copy, manifest)
    path.write_bytes(lines[0] + b"03747.mp4\tanger\t\xff\xff\tx\r\n")
    with pytest.raises(DataError, match=r"test.txt:2: byte 17 of the line is not gb18030 text"):
        read(copy, manifest)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"media": "faces"}, "option media is 'faces': known are clips, frames"),
        ({"caption": "both"}, "option caption is 'both': known are no_caption, with_caption"),
    ],
)
def test_wrong_options(copy: Path, options: dict, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(copy, MANIFEST.with_options(options))


def test_missing_folder_shows_the_tree(copy: Path) -> None:
    (copy / "data").rename(copy / "videos")
    with pytest.raises(DataError, match=r"(?s)folder data/clips or clips \(clips\) is missing.*gb18030"):
        read(copy, MANIFEST)


DRAWN = st.dictionaries(
    st.integers(1, 10045), st.tuples(st.sampled_from(MANIFEST.labels), st.integers(1, 20)), min_size=5, max_size=12
)  # fmt: skip


@settings(max_examples=12, deadline=None)
@given(drawn=DRAWN, kind=st.sampled_from(mafw.MEDIA))
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, clips: Callable, drawn: dict, kind: str
) -> None:
    root = tmp_path_factory.mktemp("mafw")
    world = clips("mafw", [(f"{n:05d}", "", label, frames) for n, (label, frames) in sorted(drawn.items())])
    mafw.write(world, root, image_size=16, media=kind)
    for caption in mafw.CAPTIONS:
        found = read(root, MANIFEST.with_options({"media": kind, "caption": caption}))
        wanted = {f"{n:05d}": label for n, (label, _) in drawn.items()}
        assert dict(zip(found["sample"], found["expression"], strict=True)) == wanted
        sizes = found["fold"].value_counts()
        assert set(sizes.index) == {1, 2, 3, 4, 5} and sizes.max() - sizes.min() <= 1
    assert all(label in text for label, text in zip(found["expression"], found["caption"], strict=True))
    opened = media("mafw").open(root, found)
    assert [len(frames) for frames in opened] == [frames for _, (_, frames) in sorted(drawn.items())]
    noisy = {f"{n:05d}": text for n, text in zip(sorted(drawn), world.records["noisy"], strict=True)}
    assert dict(zip(found["sample"], found["true_noisy"], strict=True)) == noisy
