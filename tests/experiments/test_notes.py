import json

import numpy as np
import pandas as pd
import pytest

from fbu import data, runs
from fbu.experiments import clef, dk_clip, notes, views
from fbu.experiments.common import Cell, Table
from fbu.experiments.profiles import PROFILES
from fbu.provenance import provenance


def finish(recipe, **metrics):
    """A finished run on disk with the given test numbers."""
    folder = runs.folder_of(recipe)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "metrics.json").write_text(json.dumps({"test": metrics}))
    eye = np.eye(7) * 0.5 + 0.1
    eye[0, 0], eye[1, 0] = 0.2, 0.4  # name 0 is closer to description 1
    extra = {
        "labels": list("abcdefg"),
        "description_name_cosine": eye.tolist(),
        "name_correlation": eye.tolist(),
    }
    (folder / "extra.json").write_text(json.dumps(extra))
    cost = {"seconds": 3.0, "images": 64, "images_per_second": 21.3, "peak_memory_mb": 500}
    (folder / "provenance.json").write_text(json.dumps({**provenance(recipe), **cost}))
    (folder / "recipe.json").write_text(recipe.model_dump_json())
    (folder / "done.json").write_text("{}")


@pytest.fixture
def own(tmp_path, monkeypatch):
    monkeypatch.setenv("FBU_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("FBU_LEDGER", str(tmp_path))


@pytest.fixture
def pairing(own):
    table = clef.fig1_pairing("quick", seeds=2)
    purity = {"before (FaRL)": 0.2, "self-supervised pairs": 0.25, "activity pairs (PI)": 0.4}
    for cell in table.cells:
        for recipe in cell.recipes:
            value = purity.get(cell.label, 0.45) + 0.01 * recipe.seed
            numbers = {"expression_purity": value, "identity_leak": 0.5 + value, "activity_purity": 0.1}
            finish(recipe, **numbers, expression_chance=0.13, identity_chance=0.07)
    return table.done()


def test_probe_notes(pairing):
    guess = {"expression purity": "expression_chance", "identity leak": "identity_chance"}
    frame = views.with_chance(pairing, guess)
    assert list(frame.index) == list(dict.fromkeys(c.label for c in pairing.cells))
    ours = frame["expression purity", "this run (twin)"]
    assert ours["activity pairs (PI)"].startswith("40.5 ±") and ours["before (FaRL)"].startswith("20.5 ±")
    assert set(frame["identity leak", "chance"]) == {"7.0"}
    found = notes.probe_findings(pairing)
    assert found.loc["expression purity", "activity minus self-supervised"] == "+15.0 +15.0"
    assert found.loc["expression purity", "seeds in the argued direction"] == "2 of 2"
    assert found.loc["identity leak", "seeds in the argued direction"] == "0 of 2"
    figure = notes.probe_bars(pairing)
    assert len(figure.axes[0].patches) == 8


def test_sources_name_seeds_folds_and_machine(pairing):
    frame = notes.sources(pairing)
    assert frame.loc["seeds", "expression purity"] == 2 and frame.loc["folds", "expression purity"] == "1, 2"
    assert len(frame.loc["machine", "identity leak"]) > 5 and set(frame.loc["source"]) == {"twin"}
    assert notes.sources(Table("clef.x", "quick", [Cell("a", "b", "c")])).loc["source", "b"] == "not run"


def test_clips_are_counted_as_clips_and_defaults_are_named(own):
    table = dk_clip.fig5_snippets("quick")
    finish(table.recipes()[0], samples=20, subjects=20)
    assert notes.sources(table.done()).loc["tested", "WAR global"] == "20 clips"
    assumed = notes.assumed(table)["assumed"]["dk_clip.train"]
    assert (assumed["weight"], assumed["prompt_layers"], assumed["mixup"]) == ("1.0", "2", "0.0")


def test_own_description(own):
    table = clef.fig5_similarity("quick")
    for cell in table.cells:
        for recipe in cell.recipes:
            finish(recipe, accuracy=0.5)
    table.done()
    assert notes.class_labels(table) == list("abcdefg")
    assert notes.own_description(table).iloc[0, 0] == "6 of 7"
    assert notes.similarities(table, "name_correlation")[clef.FULL].shape == (7, 7)


def test_steps_and_assumed_of_an_empty_table(own):
    table = clef.table7_ablation("quick")
    steps = notes.steps(table)
    assert len(steps) == 22 and set(steps["direction"]) == {""}
    assert steps.loc[("BP4D", "FaRL I → CLEF PI,I"), "reported"] == "+1.30"
    assumed = notes.assumed(table)
    assert assumed.loc[("clef.finetune", "class_weight"), "assumed"] == "inverse_frequency"
    assert assumed.loc[("clef.pretrain", "optim.lr"), "assumed"] == "0.0005"
    assert "rotate 15.0" in assumed.loc[("clef.pretrain", "augment"), "assumed"]


def test_pixel_baselines_stand_beside_every_column():
    frame = notes.pixel_baselines(clef.table7_ablation("quick"))
    assert list(frame.columns) == ["BP4D", "RAF-DB"]
    expressions, units = frame["RAF-DB"], frame["BP4D"]
    assert expressions["linear accuracy"] > expressions["balanced linear accuracy"] > 100 / 7
    assert expressions["balanced linear mean_class_accuracy"] > expressions["linear mean_class_accuracy"]
    assert units["balanced linear mean_f1"] > 30 and units["guess mean_f1"] > 30


def test_difficulty_table_and_rates():
    frame = notes.difficulty_table("quick")
    people = frame.loc[("bp4d", "identity, other tasks")]
    assert people["linear on pixels"] > 10 * people["floor"]  # identity is a real confounder
    accuracy = frame.loc[("rafdb", "mean_class_accuracy")]
    assert accuracy["floor"] < accuracy["linear on pixels"] < 95
    assert 90 < frame.loc[("rafdb", "accuracy"), "oracle"] <= 100
    rates = notes.unit_rates(data.load("bp4d", "train", fold=1))
    assert isinstance(rates, pd.DataFrame) and (rates["twin"] - rates["real (derived)"]).abs().max() < 20


def test_mean_class_accuracy_stands_beside_accuracy(own):
    recipes = [clef.finetuning(PROFILES["quick"], "rafdb", "twin", seed, "CLIP", "I") for seed in (0, 1)]
    table = Table("clef.x", "quick", [Cell("r", "faces", "accuracy", tuple(recipes))])
    for recipe, accuracy in zip(recipes, (0.6, 0.8), strict=True):
        folder = runs.folder_of(recipe)
        folder.mkdir(parents=True)
        scores = {"test": {"accuracy": accuracy, "mean_class_accuracy": 0.5}}
        (folder / "metrics.json").write_text(json.dumps(scores))
        table.runs[recipe.key()] = runs.Run(recipe, folder)
    shown = notes.mean_class(table).loc[("faces", "r")]
    assert shown["accuracy"] == "70.0 ± 14.1 (n = 2)"
    assert shown["mean class accuracy"] == "50.0 ± 0.0 (n = 2)"
    assert notes.mean_class(Table("clef.x", "quick", [Cell("a", "b", "c")])).empty


def test_people_per_class():
    frame = notes.people(clef.table7_ablation("quick"))
    assert frame["RAF-DB", "pictures"].sum() == 400
    assert (frame["RAF-DB", "subjects"] <= frame["RAF-DB", "pictures"]).all()
