"""The statistics behind EmoCo's claims about figures, on numbers made by hand."""

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from stored import store

from fbu import data
from fbu.claims import claim, deciding, emoco, separation
from fbu.experiments.common import Cell, Table
from fbu.recipes import Recipe


@pytest.fixture
def own(tmp_path, monkeypatch):
    monkeypatch.setenv("FBU_HOME", str(tmp_path / "home"))


def small(number, seed=0):
    settings = {"task": "emoco.finetune", "encoder": {"name": "tiny-resnet"}, "seed": seed}
    settings["data"] = {"name": "bp4d", "protocol": "emoco", "fold": 1}
    return Recipe.model_validate({**settings, "optim": {"images": 32, "lr": 1e-3 * (number + 1)}})


def table(name, numbers, metric="f1", predictions=None):
    """One finished run per (row, column) and seed; predictions by (row, column)."""
    cells = []
    for number, ((label, column), values) in enumerate(numbers.items()):
        recipes = tuple(small(number, seed) for seed in range(len(values)))
        for recipe, value in zip(recipes, values, strict=True):
            frame = None if predictions is None else predictions[label, column]
            store(recipe, {metric: value}, predictions=frame)
        cells.append(Cell(label, column, metric, recipes))
    return Table(name, "quick", cells).done()


def found_units(recall, people=30, each=8):
    """Predictions of one unit, on in half of the pictures, found with a given recall and nothing falsely."""
    rows = []
    for person in range(people):
        for i in range(each):
            on = i % 2
            hit = on and (i // 2) < recall * each / 2
            rows.append(
                {"sample": f"{person}-{i}", "subject": f"p{person}", "target_AU1": on, "p_AU1": float(hit)}
            )
    return pd.DataFrame(rows)


def test_the_largest_lead_cannot_be_told_without_the_other_methods(own):
    frames = {
        (label, column): found_units(recall)
        for column in ("GFT", "DISFA", "BP4D")
        for label, recall in ((emoco.TUNED, 1.0), (emoco.TUNED_MOCO, 0.5))
    }
    made = table("emoco.margins", dict.fromkeys(frames, [0.5]), predictions=frames)
    decided = deciding.decide(claim("emoco-03"), [made])
    assert (decided.label, decided.terms) == ("not testable here", 2)
    assert "Fab-Net, TAE, Temporal Ranking are not run here" in decided.reason
    assert "over MoCo alone: +33.3 (+33.3 to +33.3) on GFT" in decided.reason
    nothing = deciding.decide(claim("emoco-03"), [Table("emoco.margins", "quick", [])])
    assert nothing.label == "not run"


def curves(monkeypatch, tuned, scratch, length=10.0):
    """F1 by epoch is not needed: the epochs themselves are given, one per seed."""
    epochs = {small(n, s).key(): e for n, row in enumerate((scratch, tuned)) for s, e in enumerate(row)}
    monkeypatch.setattr(emoco, "epochs_needed", lambda run: epochs[run.recipe.key()])
    monkeypatch.setattr(emoco, "trained_for", lambda run: length)
    rows = {(emoco.SUPERVISED, "BP4D"): [0.5] * 3, (emoco.TUNED, "BP4D"): [0.5] * 3}
    return deciding.decide(claim("emoco-05"), [table("emoco.fig_convergence", rows)])


def test_finetuning_must_take_fewer_than_five_epochs_and_fewer_than_supervised(own, monkeypatch):
    fast = curves(monkeypatch, (2.0, 3.0, 2.5), (8.0, 9.5, 8.0))
    assert (fast.label, fast.right, fast.terms) == ("supported", 2, 2)
    assert fast.parts[0].measured.difference == pytest.approx(-2.5)
    assert "2.5 epochs finetuned, 8.5 supervised (BP4D)" in fast.reason
    slow = curves(monkeypatch, (8.0, 9.0, 8.5), (2.0, 2.0, 2.5))
    assert (slow.label, slow.right) == ("not supported", 0)


def test_a_training_shorter_than_five_epochs_says_nothing(own, monkeypatch):
    short = curves(monkeypatch, (1.0, 1.0, 1.0), (1.0, 1.0, 1.0), length=1.0)
    assert short.label == "not run" and "more than 5 epochs on BP4D" in short.reason


def swept(own_claim, protocol, recalls):
    """A claim about a sweep on one set; recalls by (series, lambda)."""
    frames = {(f"{s}, λ = {x}", f"BP4D {protocol}"): found_units(r) for (s, x), r in recalls.items()}
    made = table("emoco.fig4_lambda", dict.fromkeys(frames, [0.5]), predictions=frames)
    return deciding.decide(claim(own_claim), [made])


def test_little_influence_is_at_most_two_points(own):
    flat = {(s, x): 0.75 for s in (emoco.INTRA, emoco.L2) for x in ("0.1", "1", "10")}
    steady = swept("emoco-14", "finetune", flat)
    assert (steady.label, steady.right, steady.terms) == ("supported", 2, 2)
    moved = swept("emoco-14", "finetune", {**flat, (emoco.L2, "10"): 0.25})
    assert moved.label == "not supported" and moved.parts[1].wrong and not moved.parts[0].wrong
    # F1 is 2r / (1 + r) without false alarms.
    assert moved.parts[1].measured.difference == pytest.approx(2 * 0.75 / 1.75 - 2 * 0.25 / 1.25)


def test_linear_range_must_be_smaller_and_the_chosen_value_higher(own):
    rows = {
        (emoco.INTRA, "0.1"): 0.75,
        (emoco.INTRA, "1"): 1.0,
        (emoco.L2, "0.1"): 0.25,
        (emoco.L2, "1"): 0.75,
    }
    better = swept("emoco-15", "linear", rows)
    assert (better.label, better.right, better.terms) == ("supported", 2, 2)
    worse = swept(
        "emoco-15", "linear", {(s, x): r for ((s, x), r) in zip(rows, (0.25, 0.75, 0.75, 1.0), strict=True)}
    )
    assert worse.label == "not supported"
    few = swept("emoco-15", "linear", {(emoco.INTRA, "1"): 1.0, (emoco.L2, "1"): 0.5})
    assert few.label == "not run"


def test_range_of_the_same_draws(own):
    frames = [found_units(r).assign(seed=0) for r in (0.5, 1.0, 0.75)]
    measured = emoco.range_over(frames)
    assert measured.difference == pytest.approx(1 - 2 / 3)
    assert (measured.draws >= 0).all() and measured.low <= measured.difference <= measured.high
    assert emoco.range_over(frames[:1] * 2).difference == 0


NAMES = ["anger", "fear", "sadness", "happiness"] * 15


def numbers(value):
    people = [f"p{i}" for i in range(len(NAMES))]
    noise = np.tile([0.01, -0.01], len(NAMES) // 2)
    return pd.DataFrame(
        {"sample": people, "subject": people, "seed": 0, "target": NAMES, "value": value + noise}
    )


def separated(monkeypatch, column, rows, **by_measure):
    """A table of looks, whose measures are given by row."""
    values = {
        (small(i).key(), name): of_row for name, row in by_measure.items() for i, of_row in enumerate(row)
    }

    def given(runs, measure):
        return numbers(values[runs[0].recipe.key(), measure.__name__.removeprefix("_")])

    monkeypatch.setattr(emoco, "looked", given)
    return table("emoco.fig5_features", {(label, column): [0.5] for label in rows}, metric="silhouette")


def test_emotions_must_be_there_and_less_apart(own, monkeypatch):
    def decide(apart, hits=(0.6, 0.8)):
        made = separated(
            monkeypatch,
            "silhouette of emotions",
            (emoco.OURS, emoco.CLASSIFIER),
            hits=hits,
            chances=(0.3, 0.3),
            emotion_silhouettes=apart,
        )
        return deciding.decide(claim("emoco-16"), [made])

    found = decide((0.1, 0.3))
    assert (found.label, found.right, found.terms, found.subjects) == ("supported", 3, 3, 60)
    assert "mean silhouettes 0.100 (EmoCo), 0.300 (emotion only)" in found.reason
    assert decide((0.4, 0.3)).label == "not supported"
    assert decide((0.1, 0.3), hits=(0.1, 0.8)).label == "not supported"


def test_the_unit_must_be_further_apart(own, monkeypatch):
    def decide(*apart):
        rows = (emoco.OURS, emoco.CLASSIFIER)
        made = separated(monkeypatch, "silhouette of AU6", rows, unit_silhouettes=apart)
        return deciding.decide(claim("emoco-17"), [made])

    assert decide(0.2, 0.1).label == "supported" and decide(0.1, 0.2).label == "not supported"
    assert "in anger, fear, happiness, sadness" in decide(0.2, 0.1).reason


def test_the_person_must_be_less_known_than_to_moco(own):
    def decide(ours, plain, columns=("identity", "sex", "age")):
        rows = {(label, c): v for c in columns for label, v in ((emoco.OURS, ours), (emoco.PLAIN, plain))}
        made = table("emoco.fig5_features", rows, metric="leak")
        return deciding.decide(claim("emoco-18"), [made])

    assert decide([0.5, 0.52, 0.51], [0.8, 0.79, 0.82]).label == "supported"
    assert decide([0.8, 0.79, 0.82], [0.5, 0.52, 0.51]).label == "not supported"
    full = decide([0.995, 0.995, 1.0], [1.0, 0.995, 0.995])
    assert full.label == "inconclusive" and "both at the ceiling" in full.reason
    real = decide([0.5, 0.52, 0.51], [0.8, 0.79, 0.82], columns=("identity",))
    assert real.label == "supported" and "nobody wrote down sex and age" in real.reason


def test_numbers_of_pictures_in_laid_features(monkeypatch):
    """Features that are AU6 itself: within an emotion fully apart, between emotions not at all."""
    tested = data.load("bp4d", "test", protocol="emoco", fold=1)
    on = tested.targets[:, tested.labels.index("AU6")] == 1

    class Made:
        recipe = small(0)

        def task(self, device):
            return self

        def features(self, images):
            return F.one_hot(torch.tensor(on).long(), 2).float()

    monkeypatch.setattr(separation, "load_spec", lambda *args: tested)
    found = emoco.looked([Made()], emoco._unit_silhouettes)
    assert (found["value"] == 1).all() and 0 < len(found) < len(tested)
    for name in set(found["target"]):
        rows = tested.shown == name
        assert min(on[rows].sum(), (~on[rows]).sum()) >= emoco.LEAST
    hits, chances = (emoco.looked([Made()], m)["value"] for m in (emoco._hits, emoco._chances))
    assert set(hits) <= {0.0, 1.0} and 0 < chances.mean() < 0.5
    assert len(emoco.looked([Made()], emoco._emotion_silhouettes)) == len(tested)


def test_every_claim_about_a_figure_has_a_rule_that_finds_its_rows():
    from fbu.claims import claims
    from fbu.experiments import emoco as experiments

    assert set(emoco.RULES) == {c.id for c in claims("emoco") if c.statement is not None}
    for rule in emoco.RULES.values():
        built = experiments.TABLES[rule.table.split(".")[1]]("demo")
        assert rule.cells([built]) and all(cell.recipes for cell in rule.cells([built]))
