from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, balanced_accuracy_score, confusion_matrix, f1_score

from fbu import evaluation
from fbu.evaluation import (
    PairedDifference,
    accuracy,
    au_f1,
    bootstrap,
    calibration_error,
    class_recall,
    classes_of,
    confusion,
    kind_of,
    mean_class_accuracy,
    mean_f1,
    paired_bootstrap,
    predicted,
    score,
    uar,
    verdict,
    war,
)

NAMES = ("neutral", "happiness", "fear")
QUICK = settings(max_examples=40, deadline=None)
LABELS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40)


def expressions(
    rows: int = 300, people: int = 20, seeds: int = 1, skill: float = 1.0, noise: int = 0, folds: int = 3
) -> pd.DataFrame:
    """A frame whose samples, people and targets are fixed; ``skill`` and ``noise`` make the method."""
    truth = np.random.default_rng(7).choice(3, size=rows, p=[0.6, 0.3, 0.1])
    people_of = np.random.default_rng(8).integers(people, size=rows)
    parts = []
    for seed in range(seeds):
        logits = np.random.default_rng([noise, seed]).normal(size=(rows, 3))
        logits[np.arange(rows), truth] += skill
        p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        frame = pd.DataFrame({f"p_{name}": p[:, i] for i, name in enumerate(NAMES)})
        frame["target"] = np.asarray(NAMES, dtype=object)[truth]
        frame["sample"] = [f"s{i}" for i in range(rows)]
        frame["subject"] = [f"u{u}" for u in people_of]
        frame["fold"], frame["seed"] = people_of % folds, seed
        parts.append(frame)
    return pd.concat(parts, ignore_index=True)


def units(rows: int = 240, people: int = 12, skill: float = 1.0, noise: int = 0) -> pd.DataFrame:
    rng, truth_rng = np.random.default_rng(noise), np.random.default_rng(3)
    people_of = truth_rng.integers(people, size=rows)
    frame = pd.DataFrame({"sample": np.arange(rows), "subject": people_of, "fold": people_of % 3, "seed": 0})
    for unit, rate in (("AU1", 0.3), ("AU12", 0.6), ("AU17", 0.1)):
        truth = (truth_rng.random(rows) < rate).astype(int)
        truth[truth_rng.random(rows) < 0.1] = -1
        frame[f"target_{unit}"] = truth
        frame[f"p_{unit}"] = 1 / (1 + np.exp(-skill * (2 * truth - 1) - rng.normal(size=rows)))
    return frame


def f1_by_hand(targets: np.ndarray, scores: np.ndarray) -> list[float]:
    out = []
    for unit in range(targets.shape[1]):
        tp = fp = fn = 0
        for truth, value in zip(targets[:, unit], scores[:, unit], strict=True):
            if truth == -1:
                continue
            tp += truth == 1 and value >= 0.5
            fp += truth == 0 and value >= 0.5
            fn += truth == 1 and value < 0.5
        out.append(2 * tp / (2 * tp + fp + fn) if tp + fn else math.nan)
    return out


# ---- metrics on arrays


@QUICK
@given(LABELS)
def test_accuracy_and_mean_class_accuracy_agree_with_sklearn(pairs: list[tuple[int, int]]) -> None:
    truth, said = np.array(pairs).T
    assert accuracy(truth, said) == pytest.approx(accuracy_score(truth, said))
    recalls = [np.mean(said[truth == c] == c) for c in np.unique(truth)]
    assert mean_class_accuracy(truth, said) == pytest.approx(np.mean(recalls))
    assert (war(truth, said), uar(truth, said)) == (accuracy(truth, said), mean_class_accuracy(truth, said))


def test_mean_class_accuracy_is_balanced_accuracy_when_every_class_occurs() -> None:
    truth, said = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 2, 2])
    assert uar(truth, said) == pytest.approx(balanced_accuracy_score(truth, said))
    assert uar(truth, said) != pytest.approx(war(truth, said))


@QUICK
@given(LABELS, st.permutations(range(4)), st.randoms(use_true_random=False))
def test_scores_ignore_row_order_and_label_names(pairs: list, names: list[int], random) -> None:
    truth, said = np.array(pairs).T
    order = list(range(len(pairs)))
    random.shuffle(order)
    renamed = np.array([f"label{n}" for n in names], dtype=object)
    truth2, said2 = renamed[truth[order]], renamed[said[order]]
    assert accuracy(truth2, said2) == pytest.approx(accuracy(truth, said))
    assert mean_class_accuracy(truth2, said2) == pytest.approx(mean_class_accuracy(truth, said))


@QUICK
@given(LABELS)
def test_confusion_agrees_with_sklearn(pairs: list[tuple[int, int]]) -> None:
    truth, said = np.array(pairs).T
    np.testing.assert_array_equal(
        confusion(truth, said, [3, 1, 0, 2]), confusion_matrix(truth, said, labels=[3, 1, 0, 2])
    )


def test_confusion_names_labels_it_does_not_know() -> None:
    with pytest.raises(ValueError, match="contempt"):
        confusion(["neutral", "contempt"], ["neutral", "neutral"], ["neutral", "fear"])


def test_uncoded_integer_targets_do_not_count_and_nothing_left_is_nan() -> None:
    assert accuracy([1, -1, 0], [1, 1, 1]) == 0.5
    assert math.isnan(accuracy([-1], [0])) and math.isnan(mean_class_accuracy([-1], [0]))


def test_recall_shows_support_and_leaves_absent_classes_undefined() -> None:
    table = class_recall(["a", "a", "b"], ["a", "b", "b"], ["a", "b", "c"])
    assert table["support"].tolist() == [2, 1, 0]
    assert table["recall"].tolist()[:2] == [0.5, 1.0] and math.isnan(table.loc["c", "recall"])
    assert mean_class_accuracy(["a", "a", "b"], ["a", "b", "b"], ["a", "b", "c"]) == 0.75


@QUICK
@given(st.integers(0, 2**32 - 1), st.integers(1, 50), st.integers(1, 5))
def test_au_f1_agrees_with_a_loop_and_sklearn(seed: int, rows: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    targets, scores = rng.integers(-1, 2, size=(rows, count)), rng.random((rows, count))
    table = au_f1(targets, scores)
    np.testing.assert_allclose(table["f1"], f1_by_hand(targets, scores))
    for unit in range(count):
        coded = targets[:, unit] >= 0
        if (targets[coded, unit] == 1).any():
            expected = f1_score(targets[coded, unit], scores[coded, unit] >= 0.5, zero_division=0)
            assert table.loc[unit, "f1"] == pytest.approx(expected)
    order = rng.permutation(rows)
    pd.testing.assert_frame_equal(au_f1(targets[order], scores[order]), table)


def test_an_action_unit_without_positives_is_undefined_counted_and_shown() -> None:
    targets = np.array([[1, 0, -1, 0], [1, 0, -1, 0]])
    scores = np.array([[0.9, 0.1, 0.9, 0.9], [0.1, 0.2, 0.9, 0.1]])
    table = au_f1(targets, scores, names=["AU1", "AU2", "AU4", "AU6"])
    assert table.loc["AU1", "f1"] == pytest.approx(2 / 3)
    assert table["f1"].isna().tolist() == [False, True, True, True]
    assert table["support"].tolist() == [2, 0, 0, 0]
    assert table["predicted"].tolist() == [1, 0, 0, 1]
    assert table["coded"].tolist() == [2, 2, 0, 2]
    assert mean_f1(table) == (pytest.approx(2 / 3), 3)


def test_mean_f1_without_any_defined_unit_is_nan() -> None:
    value, undefined = mean_f1(au_f1(np.zeros((3, 2)), np.ones((3, 2))))
    assert math.isnan(value) and undefined == 2


@pytest.mark.parametrize(
    ("targets", "scores", "message"),
    [
        (np.zeros((2, 2)), np.zeros((2, 3)), "alike"),
        (np.full((1, 1), 3), np.zeros((1, 1)), "binarise"),
        (np.zeros((1, 1)), np.full((1, 1), np.nan), "NaN"),
    ],
)
def test_malformed_action_units_are_refused(targets: np.ndarray, scores: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        au_f1(targets, scores)


def test_a_score_at_the_threshold_is_positive() -> None:
    assert au_f1([[1]], [[0.5]]).loc[0, "f1"] == 1.0


def test_calibration_error_agrees_with_a_loop() -> None:
    rng = np.random.default_rng(0)
    sure, hit = rng.random(500), rng.random(500) < 0.6
    sure[:3] = [0.0, 1.0, 0.2]
    total = 0.0
    for low in range(10):
        inside = (sure > low / 10) & (sure <= (low + 1) / 10) | ((sure == 0) & (low == 0))
        if inside.any():
            total += inside.sum() / 500 * abs(hit[inside].mean() - sure[inside].mean())
    assert calibration_error(hit, sure, bins=10) == pytest.approx(total)


def test_calibration_of_honest_and_overconfident_predictions() -> None:
    assert calibration_error([1, 0], [0.5, 0.5]) == pytest.approx(0)
    assert calibration_error([0, 0], [1.0, 1.0]) == pytest.approx(1)
    with pytest.raises(ValueError, match="confidence"):
        calibration_error([1], [1.5])


# ---- prediction frames


def test_kind_classes_and_predicted_names() -> None:
    frame = expressions(rows=5)
    assert kind_of(frame) == "expression" and classes_of(frame) == list(NAMES)
    assert kind_of(units()) == "au" and classes_of(units()) == ["AU1", "AU12", "AU17"]
    frame[["p_neutral", "p_happiness", "p_fear"]] = [[0.2, 0.4, 0.4]] * 5
    assert set(predicted(frame)) == {"happiness"}  # the first of equal scores


def test_score_of_expressions_by_hand() -> None:
    frame = expressions()
    said = np.array(NAMES, dtype=object)[frame[[f"p_{n}" for n in NAMES]].to_numpy().argmax(axis=1)]
    result = score(frame, "expression")
    assert result["accuracy"] == pytest.approx(np.mean(said == frame["target"]))
    assert result["mean_class_accuracy"] == pytest.approx(balanced_accuracy_score(frame["target"], said))
    folds = [np.mean((said == frame["target"])[frame["fold"] == k]) for k in range(3)]
    assert result["accuracy_per_fold"] == pytest.approx(np.mean(folds))
    assert result["accuracy_per_fold"] != pytest.approx(result["accuracy"])
    assert (result["samples"], result["subjects"], result["seeds"]) == (300, 20, 1)
    fear = frame["target"] == "fear"
    assert result["recall/fear"] == pytest.approx(np.mean(said[fear] == "fear"))


def test_score_averages_seeds_and_can_leave_classes_out() -> None:
    frame = expressions(seeds=3)
    each = [score(frame[frame["seed"] == s])["mean_class_accuracy"] for s in range(3)]
    assert score(frame)["mean_class_accuracy"] == pytest.approx(np.mean(each))
    two = score(frame, classes=["neutral", "happiness"])
    parts = [two["recall/neutral"], two["recall/happiness"]]
    assert two["mean_class_accuracy"] == pytest.approx(np.mean(parts))


def test_score_of_action_units_pooled_and_per_fold() -> None:
    frame, names = units(), ["AU1", "AU12", "AU17"]
    targets = frame[[f"target_{n}" for n in names]].to_numpy()
    scores = frame[[f"p_{n}" for n in names]].to_numpy()
    result = score(frame, "au")
    assert result["f1"] == pytest.approx(np.mean(f1_by_hand(targets, scores)))
    per_fold = [
        np.mean(f1_by_hand(targets[rows], scores[rows])) for rows in (frame["fold"] == k for k in range(3))
    ]
    assert result["f1_per_fold"] == pytest.approx(np.mean(per_fold))
    assert result["f1/AU12"] == pytest.approx(f1_by_hand(targets, scores)[1])
    assert result["undefined"] == 0


def test_missing_seed_and_fold_count_as_one() -> None:
    frame = expressions(folds=1)
    assert score(frame.drop(columns=["seed", "fold"])) == score(frame)
    assert score(frame.assign(fold=None)) == score(frame)


def test_scores_that_are_no_probabilities_have_no_calibration() -> None:
    frame = expressions()
    frame[[f"p_{n}" for n in NAMES]] *= 7
    assert math.isnan(score(frame)["calibration_error"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.drop(columns="target"), "target"),
        (lambda f: f.drop(columns=[c for c in f if c.startswith("p_")]), "p_<class>"),
        (lambda f: f.drop(columns="p_fear"), "fear"),
        (lambda f: f.drop(columns="subject"), "subject"),
        (lambda f: pd.concat([f, f]), "occurs twice"),
        (lambda f: f.iloc[:0], "empty"),
        (lambda f: f.assign(p_fear=np.nan), "NaN in row 0"),
    ],
)
def test_malformed_frames_are_named(change, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        score(change(expressions()))


def test_the_wrong_kind_is_named() -> None:
    with pytest.raises(ValueError, match="kind is 'au'"):
        score(expressions(), "au")
    with pytest.raises(ValueError, match="same action units"):
        score(units().drop(columns="target_AU1"))


# ---- bootstrap


@pytest.mark.parametrize("metric", ["accuracy", "mean_class_accuracy", "recall/fear", "accuracy_per_fold"])
def test_the_bootstrapped_value_is_the_score(metric: str) -> None:
    frame = expressions(seeds=2)
    value, low, high = bootstrap(frame, metric)
    assert value == pytest.approx(score(frame)[metric])
    assert low < value < high


@pytest.mark.parametrize("metric", ["f1", "f1_per_fold", "f1/AU12"])
def test_the_bootstrapped_f1_is_the_score(metric: str) -> None:
    value, low, high = bootstrap(units(), metric)
    assert value == pytest.approx(score(units())[metric])
    assert low < value < high


def test_bootstrap_draws_agree_with_copying_rows() -> None:
    frame = units(people=6)
    names = ["AU1", "AU12", "AU17"]
    parts = [part for _, part in frame.groupby("subject")]
    rng, slow = np.random.default_rng(0), []
    for _ in range(300):
        copy = pd.concat([parts[i] for i in rng.integers(6, size=6)])
        targets, scores = copy[[f"target_{n}" for n in names]], copy[[f"p_{n}" for n in names]]
        slow.append(mean_f1(au_f1(targets.to_numpy(), scores.to_numpy())).value)
    _, low, high = bootstrap(frame, "f1", n=6000)
    width = high - low
    np.testing.assert_allclose([low, high], np.quantile(slow, [0.025, 0.975]), rtol=0, atol=0.15 * width)


def test_few_people_make_a_wider_interval_than_many_samples() -> None:
    frame = expressions(people=5)
    frame["p_fear"] += (frame["subject"].isin(["u0", "u1"])) * 2.0  # two people are always misread
    by_person = bootstrap(frame, "accuracy")
    by_sample = bootstrap(frame, "accuracy", unit="sample")
    assert by_person.high - by_person.low > 2 * (by_sample.high - by_sample.low)


def test_the_same_seed_repeats_and_row_order_does_not_matter() -> None:
    frame = expressions()
    shuffled = frame.sample(frac=1, random_state=0)
    assert bootstrap(frame, "uar") == bootstrap(shuffled, "uar") != bootstrap(frame, "uar", seed=1)


def test_one_person_has_no_interval() -> None:
    value, low, high = bootstrap(expressions(people=1), "accuracy")
    assert value > 0 and math.isnan(low) and math.isnan(high)


@pytest.mark.parametrize("metric", ["f1", "recall", "accuracy/fear", "recall/contempt", "speed"])
def test_unknown_metrics_are_named(metric: str) -> None:
    with pytest.raises(ValueError, match=f"metric '{metric}'"):
        bootstrap(expressions(), metric)


def test_paired_difference_of_a_better_method() -> None:
    good, bad = expressions(skill=2.0, seeds=3), expressions(skill=0.5, seeds=3, noise=1)
    result = paired_bootstrap(good, bad, "accuracy")
    assert result.difference == pytest.approx(score(good)["accuracy"] - score(bad)["accuracy"])
    assert 0 < result.low < result.difference < result.high and result.probability == 1
    assert (result.seeds, result.subjects, result.samples) == (3, 20, 300)
    turned = paired_bootstrap(bad, good, "accuracy")
    assert (turned.difference, turned.low, turned.high) == pytest.approx(
        (-result.difference, -result.high, -result.low)
    )


def test_a_method_against_itself_is_a_coin_toss() -> None:
    result = paired_bootstrap(expressions(), expressions(), "accuracy")
    assert (result.difference, result.low, result.high, result.probability) == (0, 0, 0, 0.5)


def test_pairing_narrows_the_interval() -> None:
    a = expressions(people=60)
    b = a.copy()
    b.loc[:9, ["p_neutral", "p_happiness", "p_fear"]] = 1 / 3  # differs on ten samples only
    paired = paired_bootstrap(a, b, "accuracy")
    alone = bootstrap(a, "accuracy")
    assert paired.high - paired.low < 0.5 * (alone.high - alone.low)


def test_seeds_are_resampled_too() -> None:
    a, b = expressions(seeds=2), expressions(seeds=2)
    first = a["seed"] == 0
    a.loc[first, [f"p_{n}" for n in NAMES]] = np.eye(3)[[NAMES.index(t) for t in a.loc[first, "target"]]]
    result = paired_bootstrap(a, b, "accuracy")
    assert np.mean(result.draws == 0) == pytest.approx(0.25, abs=0.05)  # only seed 1, where they are equal


def test_people_shared_by_seeds_are_drawn_once() -> None:
    one = expressions(seeds=1, skill=1.5)
    other = expressions(seeds=1, skill=0.5, noise=1)
    repeat = [pd.concat([frame.assign(seed=s) for s in range(4)]) for frame in (one, other)]
    single, several = paired_bootstrap(one, other, "accuracy"), paired_bootstrap(*repeat, "accuracy")
    assert several.high - several.low == pytest.approx(single.high - single.low, rel=0.2)


def test_the_best_of_several_others_is_taken_in_each_draw() -> None:
    a, b, c = expressions(skill=2), expressions(noise=1), expressions(noise=2)
    versus = {name: paired_bootstrap(a, other, "uar").draws for name, other in (("b", b), ("c", c))}
    both = paired_bootstrap(a, [b, c], "uar")
    np.testing.assert_allclose(both.draws, np.minimum(versus["b"], versus["c"]))
    lowest = paired_bootstrap(a, [b, c], "uar", best="min")
    np.testing.assert_allclose(lowest.draws, np.maximum(versus["b"], versus["c"]))


def test_only_common_samples_count_and_their_targets_must_agree() -> None:
    a, b = expressions(), expressions(noise=1)
    part = paired_bootstrap(a, b.iloc[:100], "accuracy")
    assert part.samples == 100
    expected = score(a.iloc[:100])["accuracy"] - score(b.iloc[:100])["accuracy"]
    assert part.difference == pytest.approx(expected)
    with pytest.raises(ValueError, match="in common"):
        paired_bootstrap(a, b.assign(seed=5), "accuracy")
    with pytest.raises(ValueError, match="disagree on the targets"):
        paired_bootstrap(a, b.assign(target="fear"), "accuracy")


def test_undefined_draws_do_not_spoil_the_interval() -> None:
    frame = units(people=4)
    rare = frame["subject"] == 0
    frame.loc[~rare, "target_AU17"] = 0
    result = bootstrap(frame, "f1/AU17")  # draws without person 0 hold no positive
    assert not math.isnan(result.low) and result.low <= result.value <= result.high


# ---- verdicts


def term(mean: float, spread: float = 0.01, seed: int = 0) -> PairedDifference:
    draws = np.random.default_rng(seed).normal(mean, spread, 1000)
    low, high = np.quantile(draws, [0.025, 0.975])
    return PairedDifference(mean, low, high, float((draws > 0).mean()), 3, 10, 100, draws)


@pytest.mark.parametrize(
    ("means", "mode", "label"),
    [
        ([0.05, 0.04], "ALL", "supported"),
        ([0.05, -0.05], "ALL", "not supported"),
        ([0.05, 0.01], "ALL", "inconclusive"),
        ([0.05, -0.01], "ALL", "inconclusive"),
        ([0.05, 0.05, -0.05], "MOST", "supported"),
        ([0.05, -0.05, -0.05], "MOST", "not supported"),
        ([0.05, -0.05], "MOST", "not supported"),
        ([0.05, 0.005, -0.05], "MOST", "inconclusive"),
        ([0.05, -0.05, -0.05], "SOME", "supported"),
        ([-0.05, -0.05], "SOME", "not supported"),
        ([0.0, 0.0], "SOME", "inconclusive"),
    ],
)
def test_verdicts(means: list[float], mode, label: str) -> None:
    terms = [term(mean, seed=i) for i, mean in enumerate(means)]
    result = verdict(terms, mode=mode)
    assert result.label == label and result.terms == len(means)
    turned = verdict([term(-mean, seed=i) for i, mean in enumerate(means)], ["<"] * len(means), mode)
    assert turned.label == label


def test_joint_probability_is_stricter_than_each_term() -> None:
    terms = [term(0.018, seed=i) for i in range(4)]  # each is positive in about 96 % of draws
    assert all(verdict([one]).label == "supported" for one in terms)
    assert verdict(terms).label == "inconclusive"
    same = [term(0.018)] * 4  # with common draws the joint probability is that of one
    assert verdict(same).label == "supported"


def test_comparable_terms_never_fail_unless_a_margin_is_set() -> None:
    assert verdict([term(0.3)], ["~"]).label == "supported"
    assert verdict([term(0.3)], ["~"], margin=0.1).label == "not supported"
    assert verdict([term(0.0)], ["~"], margin=0.1).label == "supported"


def test_one_person_supports_nothing() -> None:
    lone = PairedDifference(0.5, math.nan, math.nan, 1.0, 1, 1, 10, np.full(1000, 0.5))
    assert verdict([lone]).label == "inconclusive"


def test_verdict_refuses_terms_that_do_not_fit() -> None:
    short = PairedDifference(0.1, 0, 0.2, 1.0, 1, 5, 10, np.ones(10))
    with pytest.raises(ValueError, match="number of draws"):
        verdict([term(0.1), short])
    with pytest.raises(ValueError, match="one sign per term"):
        verdict([term(0.1)], [">", "<"])


def test_what_can_be_counted_from_predictions() -> None:
    faces = pd.DataFrame(
        {"sample": ["a"], "subject": ["a"], "target": ["anger"], "p_anger": [1.0], "p_fear": [0.0]}
    )
    units = pd.DataFrame({"sample": ["a"], "subject": ["a"], "target_AU1": [1], "p_AU1": [0.7]})
    for metric in ("accuracy", "war", "mean_class_accuracy_per_fold", "recall/fear"):
        assert evaluation.countable(faces, metric) and not evaluation.countable(units, metric)
        evaluation.bootstrap(faces, metric)  # what is called countable is counted
    for metric in ("f1", "f1_per_fold", "f1/AU1"):
        assert evaluation.countable(units, metric) and not evaluation.countable(faces, metric)
    for metric in ("rank_correlation", "calibration_error", "f1/AU2", "recall/joy"):
        assert not evaluation.countable(units, metric) and not evaluation.countable(faces, metric)
