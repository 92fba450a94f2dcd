import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fbu import figures
from fbu.evaluation.circumplex import RUSSELL, circle_agreement, neutral_offset, planarity
from fbu.figures.circle import placed


def on(angles, d=8, seed=0):
    """Vectors at given angles of a plane that lies anywhere in d dimensions."""
    plane, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(d, 2)))
    return {n: plane @ [np.cos(np.radians(a)), np.sin(np.radians(a))] for n, a in angles.items()}


EVEN = dict(zip("abcdef", range(0, 360, 60), strict=True))


def test_a_true_circle_agrees_and_a_shuffled_one_does_not():
    assert circle_agreement(on(RUSSELL)) == pytest.approx(1)
    # Anger where sadness is and the other way round: the farthest are now near, and near ones far.
    swapped = {**RUSSELL, "anger": RUSSELL["sadness"], "sadness": RUSSELL["anger"]}
    assert circle_agreement(on(swapped)) < 0.3


@given(seed=st.integers(0, 1000), scale=st.floats(0.1, 10), shift=st.floats(-3, 3))
def test_agreement_depends_on_no_place_size_or_direction(seed, scale, shift):
    rng = np.random.default_rng(seed)
    means = {name: rng.normal(size=5) for name in RUSSELL}
    turn, _ = np.linalg.qr(rng.normal(size=(5, 5)))
    moved = {name: scale * turn @ v + shift for name, v in means.items()}
    assert circle_agreement(moved) == pytest.approx(circle_agreement(means))
    assert neutral_offset(moved, "fear") == pytest.approx(neutral_offset(means, "fear"))
    assert planarity(moved, "fear") == pytest.approx(planarity(means, "fear"))


def test_few_classes_have_no_agreement():
    assert np.isnan(circle_agreement(on({"happiness": 0, "anger": 99, "sadness": 207})))
    assert np.isnan(circle_agreement({name: np.ones(3) for name in RUSSELL}))


def test_neutral_at_the_centre_and_on_the_circle():
    assert neutral_offset({**on(EVEN), "neutral": np.zeros(8)}) == pytest.approx(0, abs=1e-12)
    assert neutral_offset({**on(EVEN), "neutral": on({"x": 30})["x"]}) == pytest.approx(1)
    assert np.isnan(neutral_offset(on(EVEN)))
    assert np.isnan(neutral_offset({"neutral": np.ones(2), "a": np.zeros(2), "b": np.zeros(2)}))


def test_planar_classes_and_classes_all_equally_far():
    assert planarity({**on(EVEN), "neutral": np.full(8, 9.0)}) == pytest.approx(1)
    simplex = dict(zip("abcdef", np.eye(6), strict=True))
    assert planarity(simplex) == pytest.approx(2 / 5)
    assert np.isnan(planarity(dict(zip("abc", np.eye(3), strict=True))))


def test_classes_on_the_circle_are_drawn_where_they_are():
    means = on(RUSSELL, d=4, seed=3)
    found = placed({name: 5 * v + 1 for name, v in means.items()})
    for name, angle in RUSSELL.items():
        assert found[name] == pytest.approx([np.cos(np.radians(angle)), np.sin(np.radians(angle))])
    with pytest.raises(ValueError, match="needs three of happiness"):
        placed({"anger": np.ones(2), "disgust": np.ones(2)})


def test_one_panel_for_each_row():
    rng = np.random.default_rng(0)
    means = {name: rng.normal(size=6) for name in [*RUSSELL, "neutral", "disgust"]}
    figure = figures.circle({"labels": means, "texts": means})
    figure.draw_without_rendering()
    assert [axes.get_title() for axes in figure.axes] == ["labels", "texts"]
    shown = {text.get_text() for text in figure.axes[0].texts}
    assert shown == {*RUSSELL, "neutral", "disgust"}
    with pytest.raises(ValueError, match="no panel"):
        figures.circle({})
