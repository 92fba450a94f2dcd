"""The statistics behind CLEF's claims about figures, against slow or independent computations."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import silhouette_samples
from stored import store

from fbu import runs
from fbu.claims import claim, clef, comparing, deciding, statements
from fbu.claims.separation import silhouette_frame, silhouettes
from fbu.evaluation.bootstrap import paired_difference
from fbu.evaluation.few import paired_t, sign_test
from fbu.evaluation.pairs import agreement_gain
from fbu.evaluation.tallies import tally_values
from fbu.experiments.clef.stages import FULL
from fbu.experiments.common import Cell, Table
from fbu.recipes import Recipe

# ---- statistics


def test_paired_t_is_student_s_interval():
    from scipy import stats

    values = [0.03, 0.01, 0.02]
    found, expected = paired_t(values), stats.ttest_1samp(values, 0)
    low, high = expected.confidence_interval(0.95)
    assert (found.difference, found.low, found.high) == pytest.approx((0.02, low, high))
    assert found.probability == pytest.approx(1 - expected.pvalue / 2) and found.seeds == 3
    assert np.mean(found.draws > 0) == pytest.approx(found.probability, abs=2e-3)
    assert np.isnan(paired_t([0.1]).low) and np.isnan(paired_t([0.1]).draws).all()
    constant = paired_t([0.1, 0.1])
    assert (constant.low, constant.high, constant.probability) == (0.1, 0.1, 1.0)
    with pytest.raises(ValueError, match="at least one"):
        paired_t([])


@pytest.mark.parametrize(("n", "inside"), [(5, None), (6, 0), (8, 0), (9, 1), (12, 2)])
def test_sign_test_interval_is_exact(n, inside):
    """Which sorted values bound the median follows from the binomial distribution (Conover's table)."""
    values = np.arange(1.0, n + 1)
    found = sign_test(values[::-1])
    assert found.difference == np.median(values) and found.probability == pytest.approx(1 - 0.5**n)
    if inside is None:
        assert np.isnan(found.low) and np.isnan(found.high)
    else:
        assert (found.low, found.high) == (values[inside], values[-1 - inside])


def test_sign_test_counts_signs_only():
    found = sign_test([-1, 2, 300, 4, 5, 6, 7, 8])
    assert found.probability == pytest.approx(1 - 9 / 256) and found.low < 0 < found.high
    assert np.mean(found.draws > 0) == pytest.approx(found.probability, abs=1e-3)


def test_pairs_are_counted_exactly():
    rng = np.random.default_rng(0)
    keys, groups, people = rng.integers(3, size=60), rng.integers(4, size=60), rng.integers(6, size=60)
    a, b = np.triu_indices(60, 1)
    same, together = keys[a] == keys[b], groups[a] == groups[b]
    found, inside, overall = agreement_gain(keys, groups, people)
    assert (inside, overall) == pytest.approx((same[together].mean(), same.mean()))
    assert found.difference == pytest.approx(inside - overall) and found.low < found.difference < found.high
    assert (found.subjects, found.samples) == (6, 60)


def test_a_picture_is_no_pair_with_its_copy():
    """Two people, a picture each, who never agree: a person drawn twice must not agree with himself."""
    found, inside, overall = agreement_gain([0, 1], [0, 0], ["a", "b"])
    assert (inside, overall) == (0, 0)
    assert np.nanmax(np.abs(found.draws)) == 0
    with pytest.raises(ValueError, match="no two pictures"):
        agreement_gain([0, 1], [0, 1], ["a", "b"])


def frame(values, targets, seed=0):
    names = [f"{i}" for i in range(len(values))]
    return pd.DataFrame({"sample": names, "subject": names, "seed": seed, "target": targets, "value": values})


def test_values_are_averaged_over_classes_that_count_alike():
    targets = ["x"] * 3 + ["y"]
    a, b = frame([1, 2, 3, 10], targets), frame([0, 0, 0, 4], targets)
    assert paired_difference(tally_values([a, b], ["x", "y"])).difference == pytest.approx(6 - 2)
    contrast = paired_difference(tally_values([a, b], ["x"], ["y"]))
    assert contrast.difference == pytest.approx((2 - 10) - (0 - 4))
    twice = [pd.concat([f, f.assign(seed=1, value=f["value"] + 1)]) for f in (a, b)]
    assert tally_values(twice, ["x", "y"]).observed() == pytest.approx([6.5, 2.5])
    with pytest.raises(ValueError, match="at least one class"):
        tally_values([a, b], [])


def test_silhouettes_equal_scikit_learn_s():
    rng = np.random.default_rng(0)
    z, classes = rng.normal(size=(40, 5)), rng.integers(3, size=40)
    classes[0] = 7  # alone in its class
    assert silhouettes(z, classes) == pytest.approx(silhouette_samples(z, classes, metric="cosine"))
    circle = np.array([[1.0, 0], [2, 0], [0, 1], [0, 3]])  # by hand: 0 to one's own class, 1 to the other
    assert silhouettes(circle, list("aabb")) == pytest.approx([1, 1, 1, 1])
    with pytest.raises(ValueError, match="two classes"):
        silhouettes(z, np.zeros(40))


# ---- rules


def finish(recipe, *, extra=None, **metrics):
    store(recipe, metrics, extra=extra)


def small(seed=0, lr=1e-3, use="IND"):
    settings = {"task": "clef.finetune", "data": {"name": "rafdb"}, "options": {"use": use}, "seed": seed}
    return Recipe.model_validate({**settings, "optim": {"images": 32, "batch_size": 16, "lr": lr}})


@pytest.fixture
def own(tmp_path, monkeypatch):
    monkeypatch.setenv("FBU_HOME", str(tmp_path / "home"))


def made(name, rows, metric, seeds=(0, 1, 2)):
    """A table whose cells keep numbers by seed: {(label, column): values}."""
    cells = []
    for number, ((label, column), values) in enumerate(rows.items()):
        recipes = tuple(small(s, 1e-3 * (number + 1)) for s in seeds[: len(values)])
        for recipe, value in zip(recipes, values, strict=True):
            finish(recipe, **{metric: value})
        cells.append(Cell(label, column, metric, recipes))
    return Table(name, "quick", cells).done()


def test_identity_is_compared_seed_by_seed(own):
    def decide(before, after):
        rows = {}
        for column in ("person", "sex", "skin"):
            rows |= {(clef.BEFORE, column): before, (clef.AFTER, column): after}
        return deciding.decide(claim("clef-21"), [made("clef.identity_leak", rows, "leak")])

    lower = decide((0.9, 0.91, 0.92), (0.5, 0.52, 0.51))
    assert (lower.label, lower.right, lower.seeds, lower.subjects) == ("supported", 3, 3, 0)
    assert "person 91.0 % before, 51.0 % after" in lower.reason
    assert decide((0.5, 0.52, 0.51), (0.9, 0.91, 0.92)).label == "not supported"
    full = decide((1.0, 0.999, 0.998), (0.996, 0.995, 0.994))
    assert full.label == "inconclusive" and "both at the ceiling" in full.reason
    assert decide((0.9,), (0.5,)).label == "inconclusive"


def test_a_rule_without_its_runs_is_not_run(own, monkeypatch):
    absent = deciding.decide(claim("clef-21"), [])
    assert (absent.label, absent.reason) == ("not run", "clef.identity_leak is not built yet")
    unrun = Table("clef.identity_leak", "quick", [Cell(clef.BEFORE, "person", "leak", (small(),))])
    found = deciding.decide(claim("clef-21"), [unrun])
    assert found.label == "not run" and "before (FaRL) (person)" in found.reason
    assert [r.key() for r in deciding.asked(claim("clef-21"), [unrun])] == [small().key()]
    monkeypatch.delitem(statements.RULES, "clef-21")
    assert deciding.decide(claim("clef-21"), []).reason == "no statistic is written down yet"


def items(name, chance=0.5, own=0.4):
    rows = [(f"s{i}", f"p{i}", label) for i in range(20) for label in ("AU1", "AU4")]
    frame = pd.DataFrame(rows, columns=["sample", "subject", "label"])
    noise = np.random.default_rng(0).normal(0, 0.05, len(frame))
    frame["auc/name"], frame["auc/description"], frame["auc/chance"] = name + noise, 0.8 + noise, chance
    frame["agreement/own"], frame["agreement/other"] = own + noise, 0.1
    frame["words/name"] = frame["words/description"] = 0.5 + noise
    frame["words/name-chance"] = frame["words/description-chance"] = 0.2
    return frame


def heatmaps(frame):
    recipe = small(lr=0.5)
    finish(recipe, extra={"items": frame.to_dict("list")})
    cell = Cell("CLEF, its own description", "BP4D: likeness of maps", "agreement/own", (recipe,))
    return deciding.decide(claim("clef-19"), [Table("clef.fig6_relevancy", "quick", [cell]).done()])


def test_heatmaps_must_find_the_region_agree_and_light_up_words(own):
    found = heatmaps(items(0.8))
    assert (found.label, found.right, found.terms, found.subjects) == ("supported", 4, 4, 20)
    assert found.parts[0].measured.difference == pytest.approx(0.3, abs=0.05)
    lost = heatmaps(items(0.4))
    assert lost.label == "not supported" and "wholly on the wrong side: term 1" in lost.reason
    photographs = heatmaps(items(0.8).drop(columns=["auc/name", "auc/description", "auc/chance"]))
    assert photographs.label == "not testable here"
    assert "terms 3-4 of 4: supported; terms 1-2 not testable: nobody knows" in photographs.reason


def test_the_chosen_weight_must_beat_the_best_other(own):
    def decide(shares):
        cells = []
        for value, share in shares.items():
            recipe = small(lr=0.01 * value, use="I")
            frame = pd.DataFrame({"sample": [f"{i}" for i in range(100)]})
            frame["subject"], frame["target"] = frame["sample"], "anger"
            frame["p_anger"] = (frame.index < 100 * share).astype(float)
            finish(recipe, accuracy=share)
            frame.assign(p_neutral=1 - frame["p_anger"], seed=0, fold="").to_csv(
                runs.folder_of(recipe) / "predictions.csv", index=False
            )
            cells.append(Cell(f"λ = {value:g}", "RAF-DB", "accuracy", (recipe,)))
        return deciding.decide(claim("clef-23"), [Table("clef.lambda_sweep", "quick", cells).done()])

    assert decide({0.5: 0.3, 2.0: 0.8, 8.0: 0.5}).label == "supported"
    worse = decide({0.5: 0.3, 2.0: 0.6, 8.0: 0.9})
    assert worse.label == "not supported" and worse.parts[0].what == "λ = 2 - best of 2 others, RAF-DB"
    assert worse.parts[0].measured.difference == pytest.approx(-0.3)
    assert decide({2.0: 0.6}).reason.startswith("clef.lambda_sweep has no cell λ = 2 with others")


def cosines(right, classes=7):
    matrix = np.full((classes, classes), 0.2) + 0.5 * np.eye(classes)
    for c in range(right, classes):
        matrix[c, c] = 0.1
    return {
        "labels": list("abcdefg"),
        "description_name_cosine": matrix.tolist(),
        "name_correlation": matrix.tolist(),
    }


def test_names_must_be_closest_to_their_own_descriptions(own, monkeypatch):
    after, before = np.eye(7), np.ones((7, 7)) / np.sqrt(7)
    monkeypatch.setattr(clef, "_descriptions", lambda run, trained: after if trained else before)

    def decide(right):
        recipe = small(lr=0.1 + right)
        finish(recipe, extra=cosines(right), accuracy=0.5)
        table = Table("clef.fig5_similarity", "quick", [Cell(FULL, "RAF-DB", "accuracy", (recipe,))]).done()
        return deciding.decide(claim("clef-20"), [table])

    found = decide(7)
    assert (found.label, found.right, found.terms) == ("supported", 2, 2)
    assert "for 7 of 7 names" in found.reason and found.parts[1].measured.difference == pytest.approx(-1)
    assert found.parts[0].shown() == "+0.50 (+0.50 to +0.50)"
    assert decide(5).label == "inconclusive" and decide(0).label == "not supported"
    monkeypatch.setattr(clef, "_descriptions", lambda run, trained: before if trained else after)
    assert decide(7).label == "not supported"


def test_pairing_and_features_of_a_real_run():
    """On a run that was really trained: everything that a rule reads from it is there."""
    recipe = small(seed=4)
    run = runs.run(recipe, device="cpu")
    found = silhouette_frame([run])
    assert len(found) == len(run.predictions) and set(found["seed"]) == {4}
    assert found["value"].between(-1, 1).all() and found["value"].std() > 0
    assert dict(zip(found["sample"], found["target"], strict=True)) == dict(
        zip(run.predictions["sample"], run.predictions["target"], strict=True)
    )
    after, before = (clef._descriptions(run, trained) for trained in (True, False))
    assert after.shape == before.shape and len(after) == 7
    assert np.linalg.norm(after, axis=1) == pytest.approx(1) and not np.allclose(after, before)
    assert clef._others(np.eye(3)) == pytest.approx(0)
    pretraining = {"task": "clef.pretrain", "data": {"name": "bp4d", "fold": 1}, "options": {}}
    stage1 = Recipe.model_validate({**pretraining, "optim": {"images": 0}})
    cell = Cell("activity pairs (PI)", "expression purity", "expression_purity", (stage1,))
    pairs = clef.pairing(claim("clef-22"), Table("clef.fig1_pairing", "quick", [cell]), [cell])
    measured = pairs.parts[0].measured
    assert measured.low > 0 and pairs.subjects == measured.subjects > 5  # activities elicit expressions
    assert "% of the pairs of one activity" in pairs.note


def test_separability_compares_with_both_baselines(own, monkeypatch):
    level = {FULL: 0.5, clef.TRAINED: 0.2, clef.UNTRAINED: 0.1}
    cells = []
    for number, label in enumerate(level):
        recipe = small(lr=0.2 + number)
        finish(recipe, silhouette=0.1)
        cells.append(Cell(label, "silhouette", "silhouette", (recipe,)))
    by_key = {c.recipes[0].key(): level[c.label] for c in cells}
    names = ["neutral", "disgust", "sadness", "anger"] * 20
    extra = np.array([0.1 if n != "anger" else 0.0 for n in names])
    noise = np.random.default_rng(0).normal(0, 0.02, len(names))

    def fake(found):
        value = by_key[found[0].recipe.key()] + noise
        return frame(value + (extra if by_key[found[0].recipe.key()] == 0.5 else 0), names)

    monkeypatch.setattr(comparing, "silhouette_frame", fake)
    found = deciding.decide(claim("clef-18"), [Table("clef.fig4_tsne", "quick", cells).done()])
    assert (found.label, found.right, found.terms, found.subjects) == ("supported", 3, 3, 80)
    assert found.parts[2].measured.difference == pytest.approx(0.1, abs=1e-6)
    assert found.parts[0].measured.difference == pytest.approx(0.375, abs=1e-6)
