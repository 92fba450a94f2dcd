import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fbu import data
from fbu.config import home
from fbu.data import layouts, twins
from fbu.data.doctor import check
from fbu.data.specs import load_spec
from fbu.errors import DataError
from fbu.recipes import DataSpec

PEOPLE = [(f"person{chr(97 + i)}", ["neutral", "happiness", "fear"][i % 3]) for i in range(26)]
PEOPLE += [(f"guest_{who}", label) for who, label in PEOPLE] + PEOPLE
SAMPLES = [f"train_{i:05d}" for i in range(40)] + [f"test_{i:04d}" for i in range(12)]
NAMES = ("affectnet", "bp4d", "bp4dplus", "disfa", "facial_expressions", "ferplus", "gft", "rafdb")
SUBJECTS = [
    "F001",
    "F002",
    "F003",
    "F004",
    "F005",
    "F006",
    "F007",
    "F011",
    "F012",
    "F013",
    "M001",
    "M002",
    "M003",
]


def voted(faces: Callable, labels: tuple[str, ...], seed: int) -> object:
    """Pictures that all ten annotators agree on."""
    shown = np.array([(i + seed) % 8 for i in range(60)])
    world = faces("ferplus", [(f"s{i}", labels[k]) for i, k in enumerate(shown)])
    votes = pd.DataFrame(
        10 * np.eye(10, dtype=int)[shown], columns=[f"votes_{n}" for n in (*labels, "unknown", "NF")]
    )
    votes["split"] = ["train"] * 40 + ["val"] * 8 + ["test"] * 12
    votes["emotion"] = "anger"
    world.records = pd.concat([world.records, votes], axis=1)
    return world


@pytest.fixture(autouse=True)
def _small_worlds(monkeypatch: pytest.MonkeyPatch, faces: Callable, sequences: Callable) -> None:
    def small(name: str, size: str, seed: int) -> object:
        if name == "rafdb":
            labels = data.load_manifest(name).labels
            world = faces(name, [(s, labels[(i + seed) % 7]) for i, s in enumerate(SAMPLES)])
        elif name == "affectnet":
            labels = data.load_manifest(name).labels
            numbered = [f"train/{i}" for i in range(1, 41)] + [f"val/{i}" for i in range(1, 13)]
            world = faces(name, [(s, labels[(i + seed) % 8]) for i, s in enumerate(numbered)])
        elif name == "gft":
            people = [f"{g:03d}{letter}" for g in range(1, 13) for letter in "ABC"]
            world = sequences([(s, "", (3, 4, 9)) for s in people], seed)
        elif name == "ckplus":
            world = sequences([(f"S00{i}", "001", (1, 2, 3)) for i in range(1, 9)], seed)
            records = world.records
            records["sample"] = [
                f"{s}/001/{n:08d}" for s, n in zip(records["subject"], records["frame"], strict=True)
            ]
            records["label"] = [n for label in data.load_manifest(name).labels for n in ("", "", label)]
        elif name == "disfa":
            people = [f"SN{i:03d}" for i in (*range(1, 14), 16, 17, 18, 21, *range(23, 33))]
            world = sequences([(s, view, (1, 2)) for view in ("left", "right") for s in people], seed)
            world.records = world.records.rename(columns={"activity": "view"})
        elif name == "ferplus":
            world = voted(faces, data.load_manifest(name).labels, seed)
        elif name in ("bp4d", "bp4dplus"):
            world = sequences([(s, t, (3, 4, 9)) for s in SUBJECTS for t in ("T1", "T8")], seed)
        else:
            world = faces(name, PEOPLE)
        world.seed = seed
        return world

    monkeypatch.setattr(twins, "_world", small)


def test_data_of_a_recipe_is_loaded_as_it_says() -> None:
    part = load_spec(DataSpec(name="bp4d", fold=2, protocol="shifted_frames", seed=3, image_size=16), "test")
    same = data.load("bp4d", "test", fold=2, protocol="shifted_frames", seed=3, image_size=16)
    assert (part.name, part.split, part.fold, part.protocol) == ("bp4d", "test", 2, "shifted_frames")
    assert part.fingerprint == same.fingerprint != data.load("bp4d", "test", fold=2, seed=3).fingerprint
    np.testing.assert_array_equal(part.images, same.images)
    with pytest.raises(DataError, match="tower"):
        load_spec(DataSpec(name="tower"), "test")


@pytest.mark.parametrize("name", NAMES)
def test_twin_read_as_real_is_the_same(name: str, tmp_path: Path) -> None:
    data.export_twin(name, tmp_path)
    for split in ("train", "val", "test"):
        own = data.load(name, split, image_size=16)
        real = data.load(name, split, source="real", root=tmp_path, image_size=16)
        np.testing.assert_array_equal(own.images, real.images)
        np.testing.assert_array_equal(own.targets, real.targets)
        pd.testing.assert_frame_equal(own.records, real.records)
        assert (own.fingerprint, own.labels, own.skipped) == (real.fingerprint, real.labels, real.skipped)
        assert (own.source, real.source) == ("twin", "real")


@pytest.mark.parametrize("name", NAMES)
def test_shape_of_what_is_loaded(name: str) -> None:
    parts = {split: data.load(name, split) for split in ("train", "val", "test")}
    people = [set(part.records["subject"]) for part in parts.values()]
    assert sum(map(len, people)) == len(set.union(*people))
    for split, part in parts.items():
        n = len(part)
        assert isinstance(part.images, np.memmap) and not part.images.flags.writeable
        assert part.images.dtype == np.uint8 and part.images.shape == (n, 3, 64, 64)
        assert list(part.records.index) == list(range(n)) and part.split == split
        assert {"sample", "subject", "fold", "true_subject"} <= set(part.records)
        if part.kind == "au":
            assert part.targets.dtype == np.int8 and part.targets.shape == (n, len(part.labels))
            assert {"frame"} | ({"activity"} if name.startswith("bp4d") else set()) <= set(part.records)
            truth = part.records[[f"true_{label}_intensity" for label in part.labels]].to_numpy() >= 2
            coded = part.targets >= 0
            assert coded.all() or name == "gft"
            np.testing.assert_array_equal(part.targets[coded], truth[coded])
        else:
            assert part.targets.dtype == np.int64 and part.targets.shape == (n,)
            assert [part.labels[t] for t in part.targets] == list(part.records["expression"])
    assert len({part.fingerprint for part in parts.values()}) == 1


def test_a_set_for_tests_only(tmp_path: Path) -> None:
    data.export_twin("ckplus", tmp_path)
    own, real = (
        data.load("ckplus", "test", source=source, root=tmp_path, protocol="ke_fer", image_size=16)
        for source in ("twin", "real")
    )
    np.testing.assert_array_equal(own.images, real.images)
    pd.testing.assert_frame_equal(own.records, real.records)
    assert "contempt" not in own.labels and own.counts()["pictures"].to_dict()["neutral"] == 9
    with pytest.raises(DataError, match="no picture in split 'train' of ckplus"):
        data.load("ckplus", "train", image_size=16)


def test_pictures_belong_to_their_rows() -> None:
    """The colour of a flat picture says which row of the world it is."""
    own = data.load("rafdb", "test")
    rows = np.array([SAMPLES.index(sample) for sample in own.records["sample"]])
    colour = np.stack([40 + rows * 7 % 200, 30 + rows * 13 % 200, 50 + rows * 29 % 200], axis=1)
    assert abs(own.images[:, :, 30, 30].astype(int) - colour).max() <= 3


def test_twin_is_written_once(monkeypatch: pytest.MonkeyPatch) -> None:
    first = data.load("rafdb", "test")

    def never(*args: object) -> None:
        raise AssertionError("drawn twice")

    monkeypatch.setattr(twins, "_world", never)
    assert data.load("rafdb", "test").fingerprint == first.fingerprint
    with pytest.raises(AssertionError):
        data.load("rafdb", "test", seed=1)
    assert [p.name for p in (home() / "twins").iterdir() if p.is_dir()] == [data.twin("rafdb").name]


def test_twin_folder_names_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    first = data.twin("rafdb", size="demo", seed=3)
    assert first.name.startswith("rafdb-demo-seed3-")
    assert {"fbu.data.worlds", "fbu.data.faces", "fbu.data.layouts.rafdb"} <= set(twins.twin_modules("rafdb"))
    monkeypatch.setattr(twins, "code_fingerprint", lambda modules: "other code")
    assert data.twin("rafdb", size="demo", seed=3) != first


def test_interrupted_twin_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(layouts.layout("rafdb"), "write_twin_pictures", stop)
        data.load("rafdb", "test")
    assert [p for p in (home() / "twins").iterdir() if p.is_dir()] == []
    assert len(data.load("rafdb", "test")) == 12


def test_fingerprint_follows_labels_and_files(tmp_path: Path) -> None:
    root = data.export_twin("rafdb", tmp_path)
    for name in (twins.STAMP, "twin_truth.csv"):
        (root / name).unlink()
    listing = root / "basic/EmoLabel/list_patition_label.txt"

    def now() -> str:
        return data.load("rafdb", "test", source="real", root=tmp_path).fingerprint

    first = now()
    os.utime(listing, (1, 1))
    assert now() == first
    text = listing.read_text()
    listing.write_text(text.replace("test_0000.jpg 6", "test_0000.jpg 1"))
    assert listing.read_text() != text and now() != first
    listing.write_text(text)
    picture = root / "basic/Image/aligned/train_00000_aligned.jpg"
    picture.write_bytes(picture.read_bytes() + b"\0")
    assert now() != first


def test_changed_labels_need_no_new_decoding(tmp_path: Path) -> None:
    root = data.export_twin("rafdb", tmp_path)
    data.load("rafdb", "test", source="real", root=tmp_path)
    before = sorted(p.name for p in (home() / "cache").iterdir())
    listing = root / "basic/EmoLabel/list_patition_label.txt"
    listing.write_text(listing.read_text().replace("test_0000.jpg 6", "test_0000.jpg 1"))
    changed = data.load("rafdb", "test", source="real", root=tmp_path)
    assert changed.records.loc[0, "expression"] == "surprise"
    assert sorted(p.name for p in (home() / "cache").iterdir()) == before


def test_unreadable_picture(tmp_path: Path) -> None:
    root = data.export_twin("rafdb", tmp_path)
    (root / "basic/Image/aligned/test_0003_aligned.jpg").write_bytes(b"")
    with pytest.raises(
        DataError, match=r"1 of 52 pictures cannot be read: basic/Image/aligned/test_0003_aligned"
    ):
        data.load("rafdb", "test", source="real", root=tmp_path)
    part = data.load("rafdb", "test", source="real", root=tmp_path, skip_unreadable=True)
    assert len(part) == len(part.images) == 11 and part.skipped == {"unreadable": 1}
    assert "test_0003" not in set(part.records["sample"])
    whole = data.load("rafdb", "test")
    at = whole.records["sample"] != "test_0003"
    np.testing.assert_array_equal(part.images, whole.images[at.to_numpy()])


def test_environment_gives_the_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        DataError, match=r"^not run: BP4D is not under FBU_DATA \(FBU_DATA is not set\).*Binghamton"
    ):
        data.load("bp4d", "train", source="real")
    monkeypatch.setenv("FBU_DATA", str(tmp_path))
    with pytest.raises(DataError, match=r"not run: BP4D is not under FBU_DATA \(no folder .*bp4d\)"):
        data.load("bp4d", "train", source="real")
    data.export_twin("bp4d", tmp_path)
    assert len(data.load("bp4d", "train", source="real"))


@pytest.mark.parametrize(
    ("name", "split", "given", "message"),
    [
        ("raf", "train", {}, "unknown dataset 'raf': known are .*bp4d"),
        ("rafdb", "valid", {}, "unknown split 'valid': known are train, val, test"),
        ("rafdb", "train", {"source": "fake"}, "unknown source 'fake': known are twin, real, open"),
        (
            "rafdb",
            "train",
            {"protocol": "dk_clip"},
            "unknown protocol 'dk_clip' of rafdb: known are clef, ke_fer",
        ),
        ("bp4d", "train", {"fold": 4}, "unknown fold 4 of bp4d: known are 1, 2, 3"),
        ("rafdb", "train", {"size": "huge"}, "unknown size 'huge': known are quick, demo, full"),
        ("rafdb", "train", {"source": "open"}, "RAF-DB may not be shared, so it has no source 'open'"),
        (
            "rafdb",
            "train",
            {"options": {"offset": 1}},
            "rafdb has no reader option 'offset': known are .'images'",
        ),
        (
            "rafdb",
            "val",
            {"protocol": "whole_train"},
            "protocol 'whole_train' of rafdb has no validation part",
        ),
        ("rafdb", "train", {"image_size": 0}, "image_size is 0"),
    ],
)
def test_wrong_arguments_name_the_known_ones(name: str, split: str, given: dict, message: str) -> None:
    with pytest.raises(DataError, match=message):
        data.load(name, split, **given)


def test_protocols() -> None:
    assert len(data.load("rafdb", "train", protocol="whole_train")) == 40
    on_test = data.load("rafdb", "val", protocol="best_on_test")
    assert set(on_test.records["sample"]) == set(data.load("rafdb", "test").records["sample"])
    six = data.load("facial_expressions", "train", protocol="six", fold=0)
    assert six.labels == ("neutral", "happiness", "sadness", "surprise", "disgust", "anger")
    assert set(six.records["expression"]) == {"neutral", "happiness"} and set(six.targets) == {0, 1}
    shifted = data.load("bp4d", "test", protocol="shifted_frames")
    plain = data.load("bp4d", "test", options={"offset": -1})
    np.testing.assert_array_equal(shifted.images, plain.images)
    assert (
        set(shifted.records["frame"]) <= {4, 5, 10}
        and (shifted.records["true_frame"] == shifted.records["frame"] - 1).all()
    )


def test_folds_cover_all_rows_once() -> None:
    tested = [s for fold in (1, 2, 3) for s in data.load("bp4d", "test", fold=fold).records["sample"]]
    assert len(tested) == len(set(tested)) == len(SUBJECTS) * 2 * 3


def test_export_does_not_overwrite(tmp_path: Path) -> None:
    root = data.export_twin("rafdb", tmp_path)
    with pytest.raises(DataError, match="is there already"):
        data.export_twin("rafdb", tmp_path)
    assert root == tmp_path / "rafdb" and twins.stamp_of(root)["size"] == "quick"  # type: ignore[index]


def test_describe_and_counts() -> None:
    part = data.load("bp4d", "test")
    assert part.describe().startswith(f"bp4d test (twin, fold 1): {len(part)} pictures of 64 px, ")
    assert part.counts().loc["AU1", "pictures"] == (part.targets[:, 0] == 1).sum()


def test_no_reader() -> None:
    with pytest.raises(DataError, match="no reader for dataset 'unknown'"):
        layouts.layout("unknown")


def test_damaged_twin_truth(tmp_path: Path) -> None:
    root = data.export_twin("rafdb", tmp_path)
    truth = root / "twin_truth.csv"
    lines = truth.read_text().splitlines()
    truth.write_text("\n".join([*lines, lines[-1]]))
    with pytest.raises(DataError, match="twin_truth.csv has a picture twice"):
        data.load("rafdb", "test", source="real", root=tmp_path)


def test_open_photographs(photographs: Path) -> None:
    part = data.load("facial_expressions", "test", source="open", root=photographs, fold=0, image_size=16)
    assert part.kind == "expression" and len(part.labels) == 8
    assert part.counts()["subjects"].sum() >= part.records["subject"].nunique()
    assert part.images.std() > 20 and part.skipped["duplicate rows"] > 0
    shutil.rmtree(home() / "cache")


def test_options_lie_beside_the_files(tmp_path: Path) -> None:
    """`fbu.yml` in a copy says how its files are numbered; the caller has the last word."""
    folder = data.export_twin("bp4d", tmp_path)
    plain = data.load("bp4d", "test", source="real", root=tmp_path)
    (folder / "fbu.yml").write_text("offset: 1\n")
    moved = data.load("bp4d", "test", source="real", root=tmp_path)
    assert moved.records["path"].iloc[0] == plain.records["path"].iloc[1]
    asked = data.load("bp4d", "test", source="real", root=tmp_path, options={"offset": 0})
    assert list(asked.records["path"]) == list(plain.records["path"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("shift: 1", "bp4d has no reader option 'shift': known are"),
        ("- offset", "fbu.yml: expected lines like 'offset: -1'"),
        ("offset: [1]", "fbu.yml: expected lines like 'offset: -1'"),
        ("offset: {", "fbu.yml is not a YAML file"),
    ],
)
def test_wrong_options_beside_the_files(tmp_path: Path, text: str, message: str) -> None:
    folder = data.export_twin("bp4d", tmp_path)
    (folder / "fbu.yml").write_text(text)
    with pytest.raises(DataError, match=message):
        data.load("bp4d", "test", source="real", root=tmp_path)
    found = check("bp4d", folder)
    assert [p.file for p in found.errors] == ["fbu.yml"]


def test_presets_that_need_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="preset 'five_points' needs landmarks, which RAF-DB"):
        data.load("rafdb", "test", preset="five_points")
    with pytest.raises(DataError, match="unknown alignment preset 'square'"):
        data.load("rafdb", "test", preset="square")


def test_store_of_jpegs(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = data.load("rafdb", "test")
    monkeypatch.setenv("FBU_CACHE_STORE", "jpeg")
    packed = data.load("rafdb", "test")
    assert packed.images.shape == plain.images.shape and packed.fingerprint != plain.fingerprint
    near = np.abs(packed.images[[0, 2]].astype(int) - plain.images[[0, 2]])
    assert near.mean() < 4
    np.testing.assert_array_equal(packed.clip(1)[0], packed.images[1])
