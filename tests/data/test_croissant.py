import json
import warnings
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from fbu import cli
from fbu.data import croissant, layouts, load_manifest, manifest, names
from fbu.data.layouts.ferplus import VOTES

runner = CliRunner()


def validated(text: str, folder: Path) -> object:
    mlcroissant = pytest.importorskip(
        "mlcroissant", reason="validation needs mlcroissant, of the extra `test`"
    )
    (folder / "croissant.json").write_text(text, encoding="utf-8")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about its own dependencies
        return mlcroissant.Dataset(str(folder / "croissant.json"))


@pytest.mark.parametrize("name", names())
def test_export_is_valid(name: str, tmp_path: Path) -> None:
    found = validated(croissant.to_json(name), tmp_path).metadata  # type: ignore[attr-defined]
    assert not found.ctx.issues.errors
    # Neither a date nor a citation is in the manifests, and nothing else is missing.
    assert {issue.split("/")[-1].split('"')[0] for issue in found.ctx.issues.warnings} == {
        "datePublished",
        "citeAs",
    }
    assert found.ctx.conforms_to.value == "http://mlcommons.org/croissant/1.0"
    assert found.name == name and found.distribution


@pytest.mark.parametrize("name", names())
def test_export_says_what_the_manifest_says(name: str) -> None:
    known = load_manifest(name)
    found = croissant.croissant(name)
    assert found["conditionsOfAccess"] == known.obtain and found["usageInfo"] == known.licence
    assert known.title in found["description"] and known.tree.text.splitlines()[0] in found["description"]
    assert f"{known.expected.rows:,} rows" in found["description"]
    fields = {field["name"] for records in found["recordSet"] for field in records["field"]}
    labels = set(known.labels) if known.kind == "au" else {"expression"}
    assert {"sample", "path", "subject"} | labels <= fields
    if known.classes:
        rows = found["recordSet"][0]["data"]
        assert {row["classes/code"]: row["classes/name"] for row in rows} == known.codes


def loaded(text: str, folder: Path, records: str) -> list[dict]:
    """Rows as a loader that knows nothing of fbu reads them, with texts for bytes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rows = list(validated(text, folder).records(records))  # type: ignore[attr-defined]
    return [
        {k.split("/")[1]: v.decode() if isinstance(v, bytes) else v for k, v in row.items()} for row in rows
    ]


def test_list_is_loaded_by_others(tmp_path: Path, faces: Callable) -> None:
    people = [("train_00001", "fear"), ("train_00002", "neutral"), ("test_0001", "surprise")]
    layouts.layout("rafdb").write(faces("rafdb", people), tmp_path, image_size=8)
    text = croissant.to_json("rafdb")
    own = layouts.read(tmp_path, load_manifest("rafdb"))
    codes = {name: code for code, name in load_manifest("rafdb").codes.items()}
    wanted = own.assign(expression=own["expression"].map(codes))[["sample", "subject", "part", "expression"]]
    found = sorted(loaded(text, tmp_path, "samples"), key=lambda row: row["sample"])
    assert found == wanted.to_dict("records")
    files = sorted(loaded(text, tmp_path, "files"), key=lambda row: row["sample"])
    assert files == own[["sample", "path"]].to_dict("records")


@pytest.mark.parametrize(
    ("name", "tasks"), [("bp4d", ("T1", "T3")), ("bp4dplus", ("T1", "T8")), ("gft", ("", ""))]
)
def test_frames_are_loaded_by_others(
    name: str, tasks: tuple[str, str], tmp_path: Path, sequences: Callable
) -> None:
    known = load_manifest(name)
    first, second = ("001A", "006B") if name == "gft" else ("F001", "M003")
    world = sequences([(first, tasks[0], (4, 5, 6)), (second, tasks[1], (11, 120))])
    layouts.layout(name).write(world, tmp_path, image_size=8)
    text = croissant.to_json(name)
    own = layouts.read(tmp_path, known)
    keys = ["subject", "activity", "frame"] if name != "gft" else ["subject", "frame"]
    labels = pd.DataFrame(loaded(text, tmp_path, "labels")).sort_values(keys).reset_index(drop=True)
    columns = [*keys, *known.labels]
    # One may have lost its picture, and GFT leaves out what nobody coded.
    at = labels.set_index(keys).index.isin(own.set_index(keys).index)
    coded = labels[columns][at].reset_index(drop=True)
    coded[list(known.labels)] = coded[list(known.labels)].replace(9, -1)
    pd.testing.assert_frame_equal(coded, own[columns], check_dtype=False)
    frames = pd.DataFrame(loaded(text, tmp_path, "frames")).sort_values(keys).reset_index(drop=True)
    at = frames.set_index(keys).index.isin(own.set_index(keys).index)
    seen = frames[[*keys, "path"]][at].reset_index(drop=True)
    pd.testing.assert_frame_equal(seen, own[[*keys, "path"]], check_dtype=False)


def test_intensities_are_loaded_by_others(tmp_path: Path, sequences: Callable) -> None:
    world = sequences([(s, view, (1, 2, 3)) for view in ("left", "right") for s in ("SN001", "SN003")])
    world.records = world.records.rename(columns={"activity": "view"})
    layouts.layout("disfa").write(world, tmp_path, image_size=16)
    text = croissant.to_json("disfa")
    own = layouts.read(tmp_path, load_manifest("disfa"))
    for unit in (1, 26):
        found = {row["subject"]: row[f"AU{unit}"].split() for row in loaded(text, tmp_path, f"AU{unit}")}
        for subject, part in own.groupby("subject"):
            wanted = [f"{n},{k}" for n, k in zip(part["frame"], part[f"AU{unit}_intensity"], strict=True)]
            assert found[subject][:3] == wanted


def test_votes_are_loaded_by_others(tmp_path: Path, faces: Callable) -> None:
    world = faces("ferplus", [("a", "fear"), ("b", "anger"), ("c", "happiness")])
    votes = pd.DataFrame([[8, 2, *[0] * 8], [0, 10, *[0] * 8], [0, 3, *[0] * 6, 7, 0]], columns=VOTES)
    votes["split"], votes["emotion"] = ["train", "val", "test"], world.records["label"]
    world.records = pd.concat([world.records, votes], axis=1)
    layouts.layout("ferplus").write(world, tmp_path, image_size=48)
    found = sorted(loaded(croissant.to_json("ferplus"), tmp_path, "answers"), key=lambda row: row["sample"])
    assert [row["part"] for row in found] == ["Training", "PublicTest", "PrivateTest"]
    assert [(row["expression"], row["happiness"], row["unknown"]) for row in found] == [
        (8, 2, 0),
        (0, 10, 0),
        (0, 3, 7),
    ]
    pictures = loaded(croissant.to_json("ferplus"), tmp_path, "pictures")
    assert sorted(row["fer2013"] for row in pictures) == [0, 2, 3]
    assert {row["path"] for row in pictures} == {"fer2013.csv"}


def test_participants_are_loaded_by_others(tmp_path: Path, sequences: Callable) -> None:
    layouts.layout("gft").write(sequences([("001A", "", (1,)), ("006B", "", (1,))]), tmp_path, image_size=8)
    assert loaded(croissant.to_json("gft"), tmp_path, "participants") == [
        {"subject": "001A", "part": "train"},
        {"subject": "006B", "part": "test"},
    ]


def test_posed_frames_are_loaded_by_others(tmp_path: Path, sequences: Callable) -> None:
    known = load_manifest("ckplus")
    world = sequences([("S001", "001", (1, 2)), ("S002", "004", (1, 2, 3))])
    where = zip(world.records["subject"], world.records["activity"], world.records["frame"], strict=True)
    world.records["sample"] = [f"{s}/{k}/{n:08d}" for s, k, n in where]
    world.records["label"] = ["", "fear", "", "", "contempt"]
    layouts.layout("ckplus").write(world, tmp_path, image_size=12)
    text = croissant.to_json("ckplus")
    own = layouts.read(tmp_path, known)
    own["sample"] = own["sample"].str.replace("/", "_")
    last = own[own["expression"] != "neutral"]
    codes = {name: int(code) for code, name in known.codes.items()}
    wanted = last.assign(expression=last["expression"].map(codes))[["sample", "subject", "expression"]]
    found = sorted(loaded(text, tmp_path, "samples"), key=lambda row: row["sample"])
    assert found == wanted.to_dict("records")
    files = {row["sample"]: row["path"] for row in loaded(text, tmp_path, "files")}
    assert len(files) == 5 and files.items() >= dict(zip(own["sample"], own["path"], strict=True)).items()


@pytest.mark.parametrize("name", ["dfew", "ferv39k", "mafw"])
def test_clips_are_loaded_by_others(name: str, tmp_path: Path, clips: Callable) -> None:
    known = load_manifest(name)
    codes = {label: code for code, label in known.codes.items()}
    if name == "ferv39k":
        rows = [(f"War/{codes['fear']}/000{i}", ("train", "test")[i % 2], "fear", 2) for i in range(4)]
    else:
        rows = [(f"{i:05d}", "", ("fear", "anger")[i % 2], 2) for i in range(7, 17)]
    # The loader reads no videos.
    frames = {"media": "frames"} if name == "mafw" else {}
    layouts.layout(name).write(clips(name, rows), tmp_path, image_size=16, **frames)
    text = croissant.to_json(name)
    own = layouts.read(tmp_path, known.with_options(frames))
    more = ["scene", "part"] if name == "ferv39k" else ["fold"]
    wanted = own.assign(expression=own["expression"].map(codes))[["sample", "subject", *more, "expression"]]
    found = pd.DataFrame(loaded(text, tmp_path, "samples"))
    if name == "dfew":  # the list's numbers have no padding
        found[["sample", "subject"]] = found[["sample", "subject"]].map(lambda n: f"{int(n):05d}")
    found = found.sort_values("sample").reset_index(drop=True)
    pd.testing.assert_frame_equal(found.astype(str), wanted.astype(str), check_dtype=False)
    files = pd.DataFrame(loaded(text, tmp_path, "files"))
    assert len(files) == len(own) * 2
    place = dict(zip(own["sample"], own["path"], strict=True))
    assert all(
        path.startswith(place[clip]) for clip, path in zip(files["sample"], files["path"], strict=True)
    )


@pytest.mark.parametrize("release", ["csv", "arrays"])
def test_both_releases_are_loaded_by_others(release: str, tmp_path: Path, faces: Callable) -> None:
    known = load_manifest("affectnet").with_options({"pictures": "whole"})
    labels = ["fear", "anger", "contempt"]
    world = faces("affectnet", [(f"{part}/{i}", labels[i]) for part in ("train", "val") for i in range(3)])
    layout = layouts.layout("affectnet")
    (layout.write_csv if release == "csv" else layout.write)(world, tmp_path, image_size=8)
    text = croissant.to_json("affectnet")
    own = layouts.read(tmp_path, known)
    if release == "arrays":
        files = {row["path"]: row["part"] for row in loaded(text, tmp_path, "files")}
        parts = own["part"].map({"train": "train", "test": "val"})
        assert files == dict(zip(own["path"], parts, strict=True))
        return
    train = own[own["part"] == "train"].set_index("subject")["expression"]
    rows = {row["sample"]: row for row in loaded(text, tmp_path, "samples")}
    coded = {sample: known.codes.get(str(row["expression"])) for sample, row in rows.items()}
    assert {sample: name for sample, name in coded.items() if name} == train.to_dict()
    assert {row["face_width"] for row in rows.values()} == {"8"}


def test_clone_is_loaded_by_others(tmp_path: Path, picture: Callable) -> None:
    (tmp_path / "data").mkdir()
    picture(tmp_path / "images/Ann_Li_0001.jpg")
    rows = ["user.id,image,emotion", "1,Ann_Li_0001.jpg,fear", "2,Bob_2.jpg,ANGER"]
    (tmp_path / "data/legend.csv").write_text("\n".join(rows))
    document = croissant.croissant("facial_expressions")
    repository, *files = document["distribution"]
    assert repository["encodingFormat"] == "git+https"
    # As if it were cloned already.
    document["distribution"] = [{k: v for k, v in file.items() if k != "containedIn"} for file in files]
    text = json.dumps(document)
    assert loaded(text, tmp_path, "samples") == [
        {"sample": "Ann_Li_0001.jpg", "subject": "Ann_Li", "expression": "fear", "annotator": "1"},
        {"sample": "Bob_2.jpg", "subject": "Bob", "expression": "ANGER", "annotator": "2"},
    ]
    assert loaded(text, tmp_path, "files") == [
        {"sample": "Ann_Li_0001.jpg", "path": "images/Ann_Li_0001.jpg"}
    ]


def test_only_open_sets_have_an_address() -> None:
    for name in names():
        urls = [file.get("contentUrl", "") for file in croissant.croissant(name)["distribution"]]
        assert any(url.startswith("https://") for url in urls) == load_manifest(name).open


def test_dataset_that_nobody_described(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    other = load_manifest("rafdb").model_copy(update={"name": "another"})
    monkeypatch.setattr(croissant, "load_manifest", lambda _: other)
    found = croissant.croissant("another")
    assert [field["name"] for field in found["recordSet"][0]["field"]] == ["sample", "path"]
    assert not validated(json.dumps(found), tmp_path).metadata.ctx.issues.errors  # type: ignore[attr-defined]


def test_command(tmp_path: Path) -> None:
    printed = runner.invoke(cli.app, ["data", "croissant", "bp4d"])
    assert printed.exit_code == 0 and json.loads(printed.stdout) == croissant.croissant("bp4d")
    out = tmp_path / "new" / "bp4d.json"
    written = runner.invoke(cli.app, ["data", "croissant", "bp4d", "--out", str(out)])
    assert written.exit_code == 0 and out.read_text(encoding="utf-8") == printed.stdout
    with pytest.raises(manifest.DataError, match="unknown dataset 'raf'"):
        croissant.croissant("raf")
