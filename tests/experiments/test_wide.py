import numpy as np
import pandas as pd
import pytest
from stored import store

from fbu.experiments import clef, notes, views, wide
from fbu.experiments.common import Cell, Table
from fbu.recipes import Recipe


def recipe(seed=0):
    return Recipe.model_validate(
        {
            "task": "clef.finetune",
            "data": {"name": "rafdb"},
            "options": {"use": "I"},
            "optim": {"images": 96, "batch_size": 32, "lr": 2e-3},
            "seed": seed,
        }
    )


@pytest.fixture(scope="module")
def table():
    extra = {"x": [0.0, 1.0], "y": [1.0, 0.0], "expression": ["fear", "anger"]}
    for seed, value in ((0, 0.5), (1, 0.7)):
        numbers = {"f1/AU1": value, "f1/AU2": 0.2, "f1": (value + 0.2) / 2, "guess": 0.125}
        store(recipe(seed), {**numbers, "purity/fear": value, "purity/anger": 0.1}, extra=extra)
    both = (recipe(0), recipe(1))
    cells = [
        Cell("other", "AU1", "f1/AU1", (), 39.0, why_empty="quoted"),
        Cell("ours", "AU1", "f1/AU1", both, 55.8),
        Cell("other", "AU2", "f1/AU2", (), 35.2, why_empty="quoted"),
        Cell("ours", "AU2", "f1/AU2", both, 46.8),
        Cell("other", "Avg", "f1", (), 37.5, why_empty="quoted"),
        Cell("ours", "Avg", "f1", both, 51.3),
    ]
    return Table("clef.table2_bp4d", "quick", cells).run(device="cpu")


@pytest.fixture(autouse=True)
def own_ledger(tmp_path, monkeypatch):
    monkeypatch.setenv("FBU_LEDGER", str(tmp_path))


def test_wide_holds_what_was_printed_and_measured(table):
    frame = wide.wide(table)
    assert list(frame.columns) == ["AU1", "AU2", "Avg", "recomputed"]
    assert frame.index.tolist() == [("other", "reported"), ("ours", "reported"), ("ours", "this run")]
    assert frame.loc[("ours", "this run")].tolist() == [60.0, 20.0, 40.0, 40.0]
    assert frame.loc[("other", "reported"), "recomputed"] == 37.1  # the paper prints 37.5


def test_two_decimals_where_the_paper_prints_two():
    cells = [Cell("a", "X", "accuracy", (), 65.66), Cell("b", "X", "accuracy", (), 65.3)]
    assert wide.wide(Table("clef.table5_fer", "quick", cells))["X"].tolist() == [65.66, 65.3]


def test_rows_that_are_quoted_can_be_left_out(table):
    part = wide.run_here(table, "Avg")
    assert [c.label for c in part.cells] == ["ours"] and part.columns() == ["Avg"]
    assert part.results(part.cells[0]) == table.results(table.cell("ours", "Avg"))
    assert len(table.cells) == 6


def test_bars_by_unit(table):
    figure = wide.by_unit(table, "ours")
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == ["AU1", "AU2", "Avg"]
    assert len(figure.axes[0].patches) == 6  # reported and this run
    with pytest.raises(ValueError, match="no numbers of 'theirs'"):
        wide.by_unit(table, "theirs")


def test_a_sweep_names_column_and_kind(table):
    frame = wide.sweep_frame(table.part("AU1"), {"ours": 2.0})
    assert frame.to_dict("records") == [{"x": 2.0, "y": 60.0, "series": "AU1, this run"}]


def test_chance_beside_the_numbers(table):
    frame = views.with_chance(table, {"AU1": "guess", "AU2": 50.0})
    assert frame.loc["ours", ("AU1", "chance")] == "12.5" and frame.loc["other", ("AU1", "chance")] == ""
    assert frame.loc["ours", ("AU2", "chance")] == "50.0" and frame.loc["ours", ("Avg", "chance")] == ""
    assert frame.loc["other", ("AU1", "this run (twin)")] == "quoted"
    assert frame.loc["ours", ("AU1", "reported")] == "55.80"


def test_class_by_class(table):
    frame = views.class_by_class(table, "purity/")
    assert frame.loc["ours"].to_dict() == {"fear": 60.0, "anger": 10.0}


def test_differences_of_rows_that_were_not_run(table):
    frame = views.differences(table, "ours", "other")
    assert frame.loc["AU1", "reported"] == "+16.80" and frame.loc["AU1", "this run"] == "quoted"


def test_clouds_have_a_panel_for_each_model(table):
    figure = views.tsne(table)
    assert [a.get_title() for a in figure.axes] == ["ours"]
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["anger", "fear"]
    from fbu.figures.scatter import clouds

    with pytest.raises(ValueError, match="panel 'a' lacks the columns"):
        clouds({"a": pd.DataFrame({"x": [0.0]})})
    with pytest.raises(ValueError, match="no panel"):
        clouds({})


def test_towers_behind_a_table():
    frame = views.towers(clef.table6_zero_shot("quick"))
    assert frame.index.tolist() == ["unnamed.contrast"]
    assert "neutral, happiness" in frame["omit"].iloc[0]


def test_sources_have_no_holes(table):
    cells = [*table.cells, Cell("ours", "AU9", "f1/AU9", (), why_empty="not run in quick")]
    frame = notes.sources(Table(table.name, "quick", cells, table.runs))
    assert frame.loc["source", "AU9"] == "not run" and frame.loc["seeds", "AU9"] == ""
    assert frame.loc["seeds", "AU1"] == 2 and not frame.isna().any().any()
    assert not np.isnan(wide.wide(table).to_numpy()).any()
