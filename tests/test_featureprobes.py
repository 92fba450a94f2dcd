import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fbu import featureprobes, probes
from fbu.data.dataset import Dataset


def clouds(classes=3, each=40, apart=6.0, seed=0, width=8):
    """Unit features in `classes` directions, and their names."""
    rng = np.random.default_rng(seed)
    keys = np.repeat([f"c{i}" for i in range(classes)], each)
    z = rng.normal(size=(classes * each, width))
    z[np.arange(len(z)), np.repeat(np.arange(classes), each)] += apart
    return z, keys


def test_purity_of_clouds_and_of_noise():
    z, keys = clouds()
    people = np.arange(len(z)).astype(str)
    assert featureprobes.class_purity(z, keys, people) == {"c0": 1.0, "c1": 1.0, "c2": 1.0}
    noise = featureprobes.class_purity(clouds(apart=0.0)[0], keys, people)
    assert all(0.1 < value < 0.6 for value in noise.values())


def test_hits_are_those_that_neighbour_purity_counts():
    z, keys = clouds(apart=1.5)
    people = np.random.default_rng(1).integers(9, size=len(z)).astype(str)
    hits = probes.neighbour_hits(z, keys, people)[0]
    assert hits.mean() == probes.neighbour_purity(z, keys, people).value
    assert 0.3 < hits.mean() < 1


def test_neighbours_of_the_same_person_do_not_count():
    z = np.array([[1.0, 0], [1, 0.01], [0, 1], [0.01, 1]])
    assert probes.neighbour_hits(z, np.array(list("aabb")), np.array(list("pqrs")))[0].all()
    assert not probes.neighbour_hits(z, np.array(list("aabb")), np.array(list("ppqq")))[0].any()


def test_silhouettes_by_hand():
    # On a circle: two classes at 0 and 90 degrees, cosine distance 0 within and 1 between.
    z = np.array([[1.0, 0], [2, 0], [0, 1], [0, 3]])
    found = featureprobes.silhouettes(z, np.array(list("aabb")))
    assert found == pytest.approx({"": 1.0, "/a": 1.0, "/b": 1.0})
    mixed = featureprobes.silhouettes(z, np.array(list("abab")))
    assert mixed[""] == pytest.approx((0.5 - 1) / 1)  # own class at 90 degrees, the other half there


def test_a_class_with_one_picture_has_no_silhouette():
    z, keys = clouds(each=4)
    keys = keys.copy()
    keys[0] = "alone"
    assert set(featureprobes.silhouettes(z, keys)) == {"", "/c0", "/c1", "/c2"}
    assert np.isnan(featureprobes.silhouettes(z[:2], np.array(["a", "b"]))[""])


@settings(max_examples=20, deadline=None)
@given(st.floats(0.1, 50), st.integers(0, 5))
def test_scale_does_not_matter(scale, seed):
    z, keys = clouds(apart=1.0, each=12, seed=seed)
    a, b = (featureprobes.silhouettes(x, keys) for x in (z, scale * z))
    assert a == pytest.approx(b)


def test_an_attribute_is_read_on_other_people():
    rng = np.random.default_rng(0)
    people = np.repeat(np.arange(20), 10)
    kind = np.where(people % 2, "more", "less")
    z = rng.normal(size=(200, 6))
    told = featureprobes.attribute_probe(z + 4 * (people % 2)[:, None], kind, people)
    assert told.value > 0.95 and told.chance == 0.5
    # Features that know each person, but not the attribute: a probe that saw the person would be right.
    person = rng.normal(size=(20, 6))[people] * 5 + 0.1 * z
    assert featureprobes.attribute_probe(person, rng.permutation(20)[people] % 2, people).value < 0.8


def test_too_few_people_for_a_probe():
    found = featureprobes.attribute_probe(np.eye(4), np.array(list("aaab")), np.arange(4))
    assert np.isnan(found.value)


def test_looks_are_cut_at_the_middle_person():
    records = pd.DataFrame(
        {
            "subject": ["a", "a", "a", "b", "c", "d"],
            "true_sex": ["male"] * 3 + ["female"] * 3,
            "true_age": [-0.9] * 3 + [-0.5, 0.2, 0.8],
        }
    )
    found = featureprobes.looks(records)
    assert set(found) == {"sex", "age"}
    assert list(found["age"]) == ["less"] * 4 + ["more"] * 2
    assert featureprobes.looks(records[["subject"]]) == {}


def test_spread_is_even_over_classes():
    keys = np.array(["a"] * 90 + ["b"] * 10)
    rows = featureprobes.spread(keys, 20, seed=0)
    assert list(np.unique(keys[rows], return_counts=True)[1]) == [10, 10]
    assert (np.diff(rows) > 0).all()


def test_embedding_keeps_clouds_apart_and_repeats():
    z, keys = clouds(each=20, apart=12.0)
    a, b = (featureprobes.embed(z.astype(np.float32), seed=3) for _ in range(2))
    assert a.shape == (60, 2) and np.array_equal(a, b)
    assert probes.neighbour_hits(a - a.mean(0), keys, np.arange(60))[0].mean() > 0.9


def units(intensity):
    """A split with one action unit of given intensity."""
    truth = np.asarray(intensity, float)
    records = pd.DataFrame({"AU12": (truth >= 2).astype(int), "true_AU12_intensity": truth})
    images = np.zeros((len(truth), 3, 8, 8), np.uint8)
    return Dataset("bp4d", "test", "twin", images, records, ("AU12",), "au", "x")


def test_a_lead_that_follows_the_intensity():
    truth = np.linspace(0, 5, 60)
    found = featureprobes.graded(units(truth), truth[:, None] ** 3)
    assert found["rank_correlation"] == pytest.approx(1) and found["strong_auc"] == 1 and found["units"] == 1
    against = featureprobes.graded(units(truth), -truth[:, None])
    assert against["rank_correlation"] == pytest.approx(-1) and against["strong_auc/AU12"] == 0


def test_absent_units_do_not_count():
    truth = np.concatenate([np.linspace(2, 5, 30), np.zeros(200)])
    lead = np.concatenate([truth[:30], np.random.default_rng(0).normal(size=200) * 100])
    assert featureprobes.graded(units(truth), lead[:, None])["rank_correlation"] == pytest.approx(1)


def test_a_unit_that_is_never_strong_cannot_be_judged():
    found = featureprobes.graded(units(np.full(30, 2.5)), np.zeros((30, 1)))
    assert found["units"] == 0 and np.isnan(found["rank_correlation"])
