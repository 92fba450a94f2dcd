"""`fbu predict`: a picture of any kind through runs of either kind, and a sentence for what cannot be read."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from fbu import cli, predicting, runs
from fbu.data.decoding import fit
from fbu.errors import DataError
from fbu.experiments.common import Cell, Table
from fbu.predicting import clef, ke_fer
from fbu.recipes import DataSpec, EncoderSpec, Recipe
from fbu.runs import Run

runner = CliRunner()
SIDE = 64


def small(use: str = "IND", data: str = "rafdb", images: int = 64, seed: int = 41) -> Recipe:
    return Recipe.model_validate(
        {
            "task": "clef.finetune",
            "data": {"name": data},
            "options": {"use": use},
            "optim": {"images": images, "batch_size": 32},
            "seed": seed,
        }
    )


@pytest.fixture(scope="module")
def expression() -> Run:
    return runs.run(small(), device="cpu")


@pytest.fixture(scope="module")
def linear() -> Run:
    return runs.run(small("I"), device="cpu")


@pytest.fixture(scope="module")
def units() -> Run:
    return runs.run(small(data="gft"), device="cpu")


@pytest.fixture(scope="module")
def against_texts() -> Run:
    settings = {
        "task": "ke_fer.train",
        "data": {"name": "rafdb"},
        "encoder": {"name": "tiny-resnet"},
        "seed": 41,
    }
    tower = {"task": "towers.contrast", "data": {"name": "tower"}, "optim": {"images": 0}}
    small = {"optim": {"images": 64, "batch_size": 32}, "reads": {"text": tower}}
    return runs.run(Recipe.model_validate({**settings, **small}), device="cpu")


def pixels(width: int = 90, height: int = 120) -> np.ndarray:
    """Colours that change over the picture, so that turns and cuts show: [height, width, 3]."""
    down, across = np.mgrid[:height, :width]
    return np.stack([255 * across / width, 255 * down / height, 0 * down + 80], -1).astype(np.uint8)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "face.png"
    Image.fromarray(pixels()).save(path)
    return path


def command(*words: object) -> Any:
    return runner.invoke(cli.app, ["predict", *map(str, words)])


def test_the_stored_scores_come_out_again(expression: Run) -> None:
    """A test picture of the run's own data gets the probabilities that the run wrote down."""
    task = expression.task()
    row = expression.predictions.iloc[3]
    loaded = task.split("test")  # type: ignore[attr-defined]
    at = int(np.flatnonzero(loaded.records["sample"] == row["sample"])[0])
    kind, labels = predicting.labels_of(expression)
    found, heatmap, _ = clef.read(expression, kind, labels, np.asarray(loaded.images[at]))
    assert labels == loaded.labels and kind == "expression"
    np.testing.assert_allclose(found, [row[f"p_{name}"] for name in labels], atol=1e-4)
    assert heatmap is not None and heatmap.shape == (4, 4) and heatmap.any()


def test_a_run_against_texts_says_what_it_stored(
    against_texts: Run, picture: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    """KE-FER: the texts lie in the run, so neither its tower nor its data need be there."""
    row = against_texts.predictions.iloc[3]
    loaded = against_texts.task().split("test")  # type: ignore[attr-defined]
    at = int(np.flatnonzero(loaded.records["sample"] == row["sample"])[0])
    kind, labels = predicting.labels_of(against_texts)
    found, heatmap, why = ke_fer.read(against_texts, kind, labels, np.asarray(loaded.images[at]))
    np.testing.assert_allclose(found, [row[f"p_{name}"] for name in labels], atol=1e-4)
    assert heatmap is None and "no heat map" in why
    copy = Path(shutil.copytree(against_texts.folder, tmp_path / against_texts.folder.name))
    monkeypatch.setenv("FBU_HOME", str(tmp_path / "empty"))
    said = predicting.predict(picture, predicting.run_in(copy))
    assert said.labels == labels and sum(said.probabilities) == pytest.approx(1, abs=1e-5)
    other = against_texts.recipe.model_copy(update={"encoder": EncoderSpec(name="tiny-swin")})
    with pytest.raises(DataError, match="do not fit today's model"):
        predicting.predict(picture, Run(other, copy))


def test_expressions(expression: Run, picture: Path, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    result = command(picture, "--run", expression.folder, "--out", out)
    assert result.exit_code == 0, result.output
    shown = [line.split() for line in result.output.splitlines() if line.rstrip().endswith("%")]
    answer = json.loads((out / "prediction.json").read_text())
    assert {line[0] for line in shown} == set(answer["labels"]) and shown[0][0] == answer["top"]
    assert sum(answer["probabilities"]) == pytest.approx(1, abs=1e-4)
    assert answer["recipe"] == expression.recipe.key() and answer["run"] == expression.folder.name
    assert answer["sources"]["picture"] == str(picture) and answer["sources"]["code"] == "present"
    assert sorted(path.name for path in out.iterdir()) == ["bars.png", "heatmap.png", "prediction.json"]
    for name in ("bars.png", "heatmap.png"):
        with Image.open(out / name) as drawn:
            assert min(drawn.size) > 200 and len(drawn.convert("RGB").getcolors(10**6) or []) > 50


def test_units_each_on_its_own(units: Run, picture: Path) -> None:
    result = command(picture, "--run", units.folder, "--json")
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    assert (
        answer["kind"] == "au" and answer["labels"][0] == "AU1" and answer["names"][0] == "inner brow raiser"
    )
    found = answer["probabilities"]
    assert len(found) == 10 and all(0 < p < 1 for p in found) and abs(sum(found) - 1) > 0.1
    assert "inner brow raiser" in command(picture, "--run", units.folder).output


def test_a_linear_head_has_no_heat_map(linear: Run, picture: Path, tmp_path: Path) -> None:
    (tmp_path / "heatmap.png").write_bytes(b"of an earlier prediction")
    result = command(picture, "--recipe-key", linear.recipe.key()[:10], "--out", tmp_path)
    assert result.exit_code == 0, result.output
    assert "no heat map: this run ends in a linear head" in result.output
    answer = json.loads((tmp_path / "prediction.json").read_text())
    assert answer["heatmap"] is None and "linear head" in answer["why_no_heatmap"]
    assert not (tmp_path / "heatmap.png").exists()


def test_a_run_alone_is_enough(expression: Run, picture: Path, tmp_path: Path, monkeypatch: Any) -> None:
    """Without the data, elsewhere, and under code that has changed since."""
    moved = Path(shutil.copytree(expression.folder, tmp_path / "mine"))
    monkeypatch.setenv("FBU_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(Recipe, "code", lambda self: "0" * 16)
    answer = predicting.predict(picture, predicting.run_in(moved))
    assert answer.sources["code"].startswith("older")
    assert not (tmp_path / "home").exists()


def cut(path: Path) -> np.ndarray:
    """A picture as a run sees it, [S, S, 3]."""
    opened = predicting.read_picture(path)
    return fit(opened, SIDE, "centre").transpose(1, 2, 0).astype(int)


def test_cut_around_the_middle_and_turned_upright(tmp_path: Path, picture: Path) -> None:
    seen = cut(picture)
    assert seen.shape == (SIDE, SIDE, 3)
    # 90 x 120 pixels: 15 rows are cut at either end.
    assert seen[0, :, 1].mean() == pytest.approx(255 * 15 / 120, abs=4)
    assert seen[-1, :, 1].mean() == pytest.approx(255 * 105 / 120, abs=4)
    turned = Image.fromarray(np.rot90(pixels()).copy())  # lying on its left side, as a camera may save it
    exif = Image.Exif()
    exif[0x0112] = 6
    turned.save(tmp_path / "turned.png", exif=exif)
    assert np.abs(cut(tmp_path / "turned.png") - seen).max() <= 3


def test_grey_deep_and_transparent_pictures(tmp_path: Path) -> None:
    grey = pixels()[..., 1]
    Image.fromarray(grey).save(tmp_path / "grey.png")
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "deep.png")
    shown = cut(tmp_path / "grey.png")
    assert (shown[..., 0] == shown[..., 2]).all() and np.ptp(shown) > 100
    assert np.abs(cut(tmp_path / "deep.png") - shown).max() <= 2
    alpha = np.full((*grey.shape, 1), 255, np.uint8)
    alpha[:, :45] = 0
    Image.fromarray(np.concatenate([pixels(), alpha], -1), "RGBA").save(tmp_path / "alpha.png")
    seen = cut(tmp_path / "alpha.png")
    assert seen[:, : SIDE // 2 - 2].max() == 0 and seen[:, SIDE // 2 + 2 :, 2].min() > 70


@pytest.mark.parametrize(
    ("spec", "preset", "words"),
    [
        (DataSpec(name="rafdb"), "centre", "the largest square around the middle"),
        (
            DataSpec(name="disfa", source="real", preset="five_points"),
            "centre",
            "five_points needs landmarks",
        ),
        (DataSpec(name="affectnet", source="real", preset="mtcnn"), "mtcnn", "largest face"),
    ],
)
def test_placement(spec: DataSpec, preset: str, words: str) -> None:
    found, sentence = predicting.placement(spec)
    assert found == preset and words in sentence


def sentence(monkeypatch: Any, capsys: Any, *words: object) -> str:
    """The one line that a wrong call prints."""
    monkeypatch.setattr("sys.argv", ["fbu", "predict", *map(str, words)])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 2
    printed = capsys.readouterr().out
    assert printed.startswith("error:") and len(printed.splitlines()) == 1
    return str(printed)


def test_files_that_are_no_pictures(
    expression: Run, picture: Path, tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    (tmp_path / "notes.jpg").write_text("no picture at all")
    whole = picture.read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "clip.mp4").write_bytes(b"\0\0\0\x18ftypmp42" + bytes(40))
    (tmp_path / "empty.jpg").touch()
    run = ("--run", expression.folder)
    for name, words in {
        "notes.jpg": "is no picture",
        "empty.jpg": "is no picture",
        "cut.png": "or is damaged (",
        "clip.mp4": "is a video: name a run on clips",
        "nowhere.jpg": "no such picture",
        "face [old].jpg": "no such picture",  # brackets are no markup
    }.items():
        said = sentence(monkeypatch, capsys, tmp_path / name, *run)
        assert words in said and name in said
    (tmp_path / "file").touch()
    assert "cannot be written" in sentence(monkeypatch, capsys, picture, *run, "--out", tmp_path / "file")


def test_missing_runs_say_what_trains_them(
    picture: Path, tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    monkeypatch.setenv("FBU_HOME", str(tmp_path / "home"))
    said = sentence(monkeypatch, capsys, picture)
    assert "CLEF PA,PI,I,N,D / RAF-DB" in said
    assert "fbu run --table clef.table7_ablation --profile quick --source twin --seeds 1 trains it" in said
    table = ("--table", "clef.table7_ablation")
    assert "name a row with --label: CLIP I; " in sentence(monkeypatch, capsys, picture, *table)
    assert "not run in quick" in sentence(monkeypatch, capsys, picture, *table, "--label", "CLIP I")
    row = ("--label", "FaRL I")
    assert "its rows are CLIP I" in sentence(monkeypatch, capsys, picture, *table, "--label", "CLP")
    assert "BP4D, RAF-DB" in sentence(monkeypatch, capsys, picture, *table, *row, "--column", "RAFDB")
    assert "holds no finished run" in sentence(monkeypatch, capsys, picture, "--run", tmp_path)
    assert "no finished run of recipe" in sentence(monkeypatch, capsys, picture, "--recipe-key", "abc")
    assert command(picture, *table, "--run", tmp_path).exit_code == 2


def test_a_table_s_cell(expression: Run, linear: Run, monkeypatch: Any) -> None:
    cells = [
        Cell("head", "A", "accuracy", (linear.recipe, small("I", seed=99))),
        Cell("words", "B", "accuracy", (expression.recipe,)),
    ]
    monkeypatch.setattr("fbu.experiments.table", lambda name, **_: Table(name, "quick", cells))
    settings = {"profile": "quick", "source": "twin"}
    assert predicting.run_of_table("t", "head", "A", **settings).folder == linear.folder  # the first seed
    assert (
        predicting.run_of_table("t", "words", None, **settings).folder == expression.folder
    )  # its own column


def test_keys(expression: Run, linear: Run, tmp_path: Path, monkeypatch: Any) -> None:
    assert predicting.run_with_key(expression.recipe.key()).folder == expression.folder
    monkeypatch.setenv("FBU_HOME", str(tmp_path))
    for name in ("aa11-0-twin", "aa22-0-twin"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "done.json").touch()
    with pytest.raises(DataError, match="fits 2 recipes: aa11, aa22"):
        predicting.run_with_key("aa")


def test_runs_that_cannot_be_read(expression: Run, picture: Path, tmp_path: Path) -> None:
    other = expression.recipe.model_copy(update={"task": "clef.pretrain"})
    with pytest.raises(DataError, match="clef.pretrain, which names no expressions.*dk_clip.train, ke_fer"):
        predicting.predict(picture, Run(other, expression.folder))
    other = expression.recipe.model_copy(update={"task": "towers.contrast"})  # of no method at all
    with pytest.raises(DataError, match="towers.contrast, which names no expressions"):
        predicting.predict(picture, Run(other, expression.folder))
    broken = Path(shutil.copytree(expression.folder, tmp_path / "broken"))
    (broken / "predictions.csv").unlink()
    with pytest.raises(DataError, match="predictions.csv is missing"):
        predicting.predict(picture, predicting.run_in(broken))
    head = Run(small("I"), expression.folder)  # another model than the weights are of
    with pytest.raises(DataError, match="do not fit today's model"):
        predicting.predict(picture, head)
