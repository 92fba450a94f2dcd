"""What tables say of single people: calibration, and the spread of the score."""

import numpy as np
import pandas as pd
import pytest
from stored import store

from fbu import figures
from fbu.evaluation.predictions import score
from fbu.experiments import people
from fbu.experiments.common import Cell, Table
from fbu.recipes import Recipe


def recipe(seed=0, lr=1e-3):
    settings = {"task": "clef.finetune", "data": {"name": "rafdb"}, "options": {"use": "I"}, "seed": seed}
    return Recipe.model_validate({**settings, "optim": {"images": 64, "lr": lr}})


def finish(made, frame):
    store(made, score(frame), predictions=frame)


def expressions(right, pictures=10):
    """People of whom so many of ten pictures are right, always with probability 0.8."""
    rows = [(f"{p}-{i}", f"p{p}", i < n) for p, n in enumerate(right) for i in range(pictures)]
    frame = pd.DataFrame(rows, columns=["sample", "subject", "right"]).assign(target="anger")
    frame["p_anger"] = np.where(frame.pop("right"), 0.8, 0.2)
    return frame.assign(p_neutral=1 - frame["p_anger"])


def units():
    frame = pd.DataFrame({"sample": [f"{i}" for i in range(40)], "subject": ["a"] * 20 + ["b"] * 20})
    frame["target_AU1"] = [1] * 10 + [0] * 10 + [0] * 20  # never on in b
    return frame.assign(p_AU1=[0.9] * 5 + [0.1] * 15 + [0.1] * 20)


@pytest.fixture
def table(tmp_path, monkeypatch):
    monkeypatch.setenv("FBU_HOME", str(tmp_path))
    seeds = tuple(recipe(s) for s in (0, 1))
    for made in seeds:
        finish(made, expressions([2 + made.seed, 6, 10]))
    finish(recipe(lr=0.5), units())
    finish(recipe(lr=0.7), expressions([1, 0, 1, 1], pictures=1))
    cells = [
        Cell("faces", "RAF-DB", "accuracy", seeds),
        Cell("units", "BP4D", "f1", (recipe(lr=0.5),)),
        Cell("one each", "FERPlus", "accuracy", (recipe(lr=0.7),)),
        Cell("absent", "RAF-DB", "accuracy", (recipe(lr=0.9),)),
    ]
    return Table("clef.made_up", "quick", cells).done()


def test_calibration_says_how_far_and_on_which_side(table):
    frame = people.calibration(table)
    assert list(frame.index) == [("RAF-DB", "faces"), ("BP4D", "units"), ("FERPlus", "one each")]
    # 0.8 sure and 18 or 19 of 30 right: 20.0 and 16.7 points too sure
    assert frame.loc[("RAF-DB", "faces"), "too sure"] == "18.3 ± 2.4 (n = 2)"
    assert frame.loc[("RAF-DB", "faces"), "calibration error"] == "18.3 ± 2.4 (n = 2)"
    assert frame.loc[("BP4D", "units"), "too sure"] == f"{100 * (0.2 - 0.25):.1f} (n = 1)"


def test_every_person_alone(table):
    frame = people.subject_scores(table).set_index(["label", "subject"])
    assert frame.loc[("faces", "p0"), "score"] == pytest.approx(25)  # 2 and 3 of 10
    assert frame.loc[("faces", "p2"), "score"] == 100 and frame.loc[("faces", "p2"), "pictures"] == 10
    assert frame.loc[("units", "a"), "score"] == pytest.approx(100 * 2 / 3) and np.isnan(
        frame.loc[("units", "b"), "score"]
    )


def test_spread_over_people(table):
    frame = people.subject_spread(table)
    faces = frame.loc[("RAF-DB", "faces")]
    assert (faces["people"], faces["pictures"], faces["note"]) == (3, 10, "")
    assert faces["mean"] == pytest.approx((25 + 60 + 100) / 3, abs=0.05) and faces["worst"] == 25
    ends = np.quantile([25, 60, 100], [0.1, 0.9])
    assert (faces["10th percentile"], faces["90th percentile"]) == pytest.approx(tuple(ends), abs=0.05)
    assert frame.loc[("BP4D", "units"), "people"] == 1
    assert frame.loc[("FERPlus", "one each"), "note"] == "few pictures of each"
    assert people.subject_spread(Table("clef.x", "quick", [])).empty


def test_figure_shows_a_dot_per_person(table):
    figure = people.subject_figure(table, "Title")
    figure.draw_without_rendering()
    assert [axes.get_title() for axes in figure.axes] == ["RAF-DB", "BP4D"]  # one picture each is left out
    dots = [line for line in figure.axes[0].lines if line.get_marker() == "."]
    assert sorted(dots[0].get_xdata()) == pytest.approx([25, 60, 100])
    means = [line.get_xdata()[0] for line in figure.axes[0].lines if line.get_marker() == "D"]
    assert means == pytest.approx([185 / 3])
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["a person", "10th to 90th percentile", "mean over people"]


def test_figure_without_people():
    with pytest.raises(ValueError, match="no score of a person"):
        figures.people_dots(pd.DataFrame({"label": ["a"], "score": [np.nan]}), "points")
    with pytest.raises(ValueError, match=r"lacks the columns \['score'\]"):
        figures.people_dots(pd.DataFrame({"label": ["a"]}), "points")
