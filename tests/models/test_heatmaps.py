"""Scoring of heatmaps: what is asked, of which pictures, and what the numbers mean."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
import torch

from fbu import data
from fbu.explain import relevance
from fbu.localisation import pointing_game, region, upsample
from fbu.models.heatmap_scores import localised, means, on_label
from fbu.models.heatmaps import ScoreTask, Scoring, chosen, true_change
from fbu.models.pictures import Pictures
from fbu.recipes import Recipe

CPU = torch.device("cpu")


def recipe(name="bp4d", images=0, **options):
    fold = 1 if name == "bp4d" else None
    return Recipe.model_validate(
        {
            "task": "heatmaps.score",
            "data": {"name": name, "fold": fold},
            "options": {"pictures": 2, **options},
            "optim": {"images": images},
        }
    )


@pytest.fixture(scope="module")
def task():
    torch.manual_seed(0)
    made = ScoreTask(recipe(), CPU, None)
    return made


@pytest.fixture(scope="module")
def outcome(task):
    with torch.no_grad():  # as the training loop does
        return task.evaluate("test")


def test_every_measure_of_every_map_is_there(outcome):
    maps = {"name", "description", "name-last", "description-last", "absent"}
    maps |= {"rollout", "attention", "random", "chance"}
    for measure in ("pointing", "energy", "auc"):
        for kind in maps:
            assert 0 <= outcome.metrics[f"{measure}/{kind}"] <= 1
            by_unit = [outcome.metrics[f"{measure}/{kind}/{unit}"] for unit in outcome.extra["labels"]]
            assert outcome.metrics[f"{measure}/{kind}"] == pytest.approx(np.mean(by_unit))
    assert outcome.metrics["auc/chance"] == 0.5
    assert outcome.metrics["pointing/chance"] == outcome.metrics["energy/chance"] < 0.15
    assert outcome.metrics["pictures"] == 24 and outcome.metrics["pictures/AU12"] == 2
    json.dumps(outcome.extra)


def test_an_item_s_numbers_can_be_computed_by_hand(task, outcome):
    table = pd.DataFrame(outcome.extra["items"])
    item = table.iloc[5]
    row = int(np.flatnonzero(task.tested.records["sample"] == item["sample"])[0])
    at = task.tested.labels.index(item["label"])
    picture = next(Pictures(task.tested.images[row : row + 1], CPU).batches(1))
    alone, _ = relevance(task.encoder, picture, task.tokens["description"][at : at + 1], start_layer=-1)
    mask = region(true_change(task.recipe, [item["sample"]], [item["label"]]))
    score = pointing_game(upsample(alone, (64, 64)), mask)
    assert float(score) == pytest.approx(item["pointing/description-last"], abs=1e-5)
    assert float(mask.float().mean()) == pytest.approx(item["pointing/chance"], abs=1e-5)


def test_examples_hold_maps_and_words_of_the_strongest(outcome, task):
    assert [e["label"] for e in outcome.extra["examples"]] == list(task.tested.labels)
    example = outcome.extra["examples"][6]
    assert np.shape(example["name_map"]) == (8, 8)
    assert [w for w, _ in example["name_words"]][-4:] == ["lip", "corner", "puller", "."]
    items = chosen(task.tested, task.options)
    smiles = items[items["label"] == "AU12"]
    strength = task.tested.records["true_AU12_intensity"].to_numpy(float)
    assert example["row"] == smiles["row"].iloc[strength[smiles["row"]].argmax()]


def test_asked_pictures_show_the_unit_and_are_spread_over_people(task):
    items = chosen(task.tested, Scoring(pictures=8))
    records = task.tested.records
    for unit, part in items.groupby("label"):
        assert (records.loc[part["row"], f"true_{unit}_intensity"] >= 2).all()
        assert (records.loc[part["row"], unit] == 1).all()
        assert len(part) == 8 and part["subject"].nunique() >= 5 and part["row"].is_unique
    strong = chosen(task.tested, Scoring(pictures=500, intensity=3.5))
    smiles = strong["row"][strong["label"] == "AU12"]
    height = records["true_AU12_intensity"].to_numpy(float)
    assert set(smiles) == set(np.flatnonzero((height >= 3.5) & (records["AU12"] == 1)))


def test_expressions_are_asked_where_the_face_truly_shows_them():
    tested = data.load("affectnet", "test")
    items = chosen(tested, Scoring(pictures=5))
    assert set(items["label"]) == set(tested.labels)
    shown = tested.records.loc[items["row"]]
    assert (shown["true_expression"].to_numpy() == items["label"].to_numpy()).all()
    assert (shown["expression"].to_numpy() == items["label"].to_numpy()).all()


def test_photographs_are_asked_by_their_label(task):
    bare = task.tested.records.drop(columns=[c for c in task.tested.records if c.startswith("true_")])
    photographs = dataclasses.replace(task.tested, records=bare, source="real")
    items = chosen(photographs, Scoring(pictures=3))
    assert (np.array([bare.loc[r, u] for r, u in zip(items["row"], items["label"], strict=True)]) == 1).all()


def test_expressions_without_masks_still_compare_name_and_description(monkeypatch):
    torch.manual_seed(0)
    made = ScoreTask(recipe("affectnet", pictures=1), CPU, None)
    monkeypatch.setattr(ScoreTask, "_masks", lambda self, items: None)
    found = made.evaluate("test").metrics
    assert -1 <= found["agreement/own"] <= 1 and 0 < found["words/name"] < 1
    assert not [name for name in found if name.startswith(("pointing", "auc", "energy"))]


def test_a_neutral_face_has_no_region():
    torch.manual_seed(0)
    made = ScoreTask(recipe("affectnet", pictures=1), CPU, None)
    items = chosen(made.tested, made.options)
    empty = ~made._masks(items).flatten(1).any(1)
    assert set(items["label"][empty.numpy()]) <= {"neutral"}


def test_localised_scores_a_perfect_map():
    mask = torch.zeros(64, 64, dtype=torch.bool)
    mask[16:32, 40:64] = True
    there = torch.zeros(1, 8, 8)
    there[0, 2:4, 5:8] = 1
    maps = {"name": torch.cat([there, 1 - there]), "rollout": torch.ones(2, 8, 8)}
    found = localised(maps, 0, [1], mask)
    assert found["pointing/name"] == 1 and found["pointing/absent"] == 0
    assert found["auc/name"] > 0.99 and found["auc/absent"] < 0.01
    assert found["energy/name"] > 0.7 > 0.1 > found["energy/absent"]
    share = 16 * 24 / 4096
    assert found["pointing/rollout"] == found["energy/rollout"] == found["energy/chance"] == share


def test_energy_is_counted_from_the_lowest_value():
    mask = torch.zeros(64, 64, dtype=torch.bool)
    mask[:32] = True
    maps = torch.rand(1, 8, 8)
    low, high = (localised({"name": m}, 0, [0], mask) for m in (maps, maps + 100))
    assert low["energy/name"] == pytest.approx(high["energy/name"], abs=1e-3)


def test_share_of_the_label_s_words():
    ids = torch.tensor([90, 5, 6, 7, 8, 91, 0])
    values = torch.tensor([9.0, 1.0, 2.0, 3.0, 4.0, 9.0, 0.0])
    assert on_label(values, ids, (3, 5)) == (0.7, 0.5)
    assert on_label(values * 0, ids, (2, 5)) == (0.75, 0.75)


def test_means_are_over_labels():
    table = pd.DataFrame(
        {"label": ["a", "a", "b"], "sample": list("xyx"), "subject": list("ppp"), "auc/name": [0.2, 0.4, 0.9]}
    )
    found = means(table)
    assert found["auc/name"] == pytest.approx(0.6) and found["auc/name/a"] == pytest.approx(0.3)
    assert (found["pictures"], found["pictures/a"], found["samples"], found["subjects"]) == (3, 2, 2, 1)


def test_what_is_refused(monkeypatch, task):
    with pytest.raises(ValueError, match="heatmaps.score trains nothing: give optim.images=0, not 64"):
        ScoreTask(recipe(images=64), CPU, None)
    from fbu.models.encoders import load_dual_encoder

    monkeypatch.setattr("fbu.models.heatmaps.explainable_encoder", lambda *_: load_dual_encoder("fbu-tiny"))
    with pytest.raises(ValueError, match=r"patch grid is \(4, 4\)"):
        ScoreTask(recipe(), CPU, None)
    assert task.evaluate("val").metrics == {}
    with pytest.raises(RuntimeError, match="trains nothing"):
        task.loss(torch.arange(2), torch.Generator())
