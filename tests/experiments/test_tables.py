import json

import numpy as np
import pandas as pd
import pytest

from fbu import experiments, ledger, reported, runs
from fbu.errors import DataError
from fbu.experiments import clef
from fbu.experiments.common import Cell, Table
from fbu.experiments.profiles import PROFILES, profile_named, source_of, tower
from fbu.provenance import provenance
from fbu.recipes import Recipe


def small(seed=0, use="I", images=128, lr=1e-3):
    return Recipe.model_validate(
        {
            "task": "clef.finetune",
            "data": {"name": "rafdb"},
            "options": {"use": use},
            "optim": {"images": images, "batch_size": 32, "lr": lr},
            "seed": seed,
        }
    )


def finished(recipe, right):
    """A finished run on disk whose first ``right`` of 200 people are recognised."""
    folder = runs.folder_of(recipe)
    folder.mkdir(parents=True, exist_ok=True)
    frame = pd.DataFrame({"sample": [f"test_{i:04}" for i in range(200)]})
    frame["subject"], frame["target"] = frame["sample"], "anger"
    frame["p_anger"] = (frame.index < right).astype(float)
    frame["p_neutral"] = 1 - frame["p_anger"]
    frame.assign(seed=recipe.seed, fold="").to_csv(folder / "predictions.csv", index=False)
    (folder / "metrics.json").write_text(json.dumps({"test": {"accuracy": right / 200}}))
    cost = {"seconds": 3.0, "images": 64, "images_per_second": 21.3, "peak_memory_mb": 500}
    (folder / "provenance.json").write_text(json.dumps({**provenance(recipe), **cost}))
    (folder / "recipe.json").write_text(recipe.model_dump_json())
    (folder / "done.json").write_text("{}")


@pytest.fixture(scope="module")
def table():
    """Two seeds of a row and of two rows that are better by 30 points, one of them against the paper's step."""
    rows = {"base": (1e-9, 80), "better": (1e-4, 140), "worse": (1e-3, 140), "same": (1e-2, 82)}
    for lr, right in rows.values():
        for seed in (0, 1):
            finished(small(seed, lr=lr), right + 4 * seed)

    def recipes(label):
        return tuple(small(s, lr=rows[label][0]) for s in (0, 1))

    cells = [
        Cell("base", "RAF-DB", "accuracy", recipes("base"), 80.0),
        Cell("better", "RAF-DB", "accuracy", recipes("better"), 85.0, "base", 5.0),
        Cell("worse", "RAF-DB", "accuracy", recipes("worse"), 75.0, "base", -5.0),
        Cell("same", "RAF-DB", "accuracy", recipes("same"), 82.0, "base", 2.0),
        Cell("absent", "RAF-DB", "accuracy", (), 90.0, why_empty="not run in quick"),
    ]
    return Table("clef.table7_ablation", "quick", cells).run(device="cpu")


@pytest.fixture
def own_ledger(tmp_path, monkeypatch):
    monkeypatch.setenv("FBU_LEDGER", str(tmp_path))
    return tmp_path


def test_frame(table, own_ledger):
    frame = table.frame().set_index("label")
    values = [100 * r.metrics["test"]["accuracy"] for r in table.results(table.cell("better", "RAF-DB"))]
    assert frame.loc["better", "value"] == pytest.approx(np.mean(values))
    assert frame.loc["better", "spread"] == pytest.approx(np.std(values, ddof=1))
    assert frame.loc["better", "n"] == 2
    assert frame.loc["better", "low"] < frame.loc["better", "value"] < frame.loc["better", "high"]
    assert frame.loc["absent", "note"] == "not run in quick" and frame.loc["absent", "n"] == 0
    assert frame["reference"].isna().all()
    assert frame.loc["better", "source"] == "twin"


def test_verdict_is_the_direction_of_the_step(table):
    verdicts = {c.label: table.verdict(c) for c in table.cells}
    assert verdicts["better"] == "shows" and verdicts["worse"] == "opposite"
    assert table.difference(
        table.cell("better", "RAF-DB"), table.cell("base", "RAF-DB")
    ).difference == pytest.approx(0.3)
    assert verdicts["same"] == "inconclusive"
    assert table.verdict(table.cell("base", "RAF-DB")) == ""
    assert table.verdict(table.cell("absent", "RAF-DB")) == ""


def test_page_names_every_source(table, own_ledger):
    page = table.page("RAF-DB")
    assert list(page.columns[:3]) == ["reported (paper)", "reference (ledger)", "this run (twin)"]
    assert page.loc["absent", "this run (twin)"] == "not run in quick"
    assert page.loc["better", "reported (paper)"] == "85.00"
    assert "n = 2" in page.loc["better", "this run (twin)"]


def test_unknown_cell(table):
    with pytest.raises(ValueError, match="its rows are base, better"):
        table.cell("bettr", "RAF-DB")


def test_ledger_round_trip(table, own_ledger):
    assert ledger.add(table) == 8
    assert ledger.add(table) == 8  # again: replaced, not doubled
    rows = ledger.read("quick")
    assert len(rows) == 8 and list(rows.columns) == list(ledger.COLUMNS)
    assert rows[["commit", "machine", "date", "recipe", "code"]].notna().all().all()
    comparison = ledger.check(table)
    assert comparison.ok and comparison.counts() == {"pass": 8}
    run = table.results(table.cell("base", "RAF-DB"))[0]
    assert ledger.check(run).counts() == {"pass": 1}


def test_rows_that_no_table_asks_for_leave(table, own_ledger, monkeypatch):
    """A cell that lost a seed, and one that was renamed; what another table or source holds stays."""
    ledger.add(table)
    asked = {r.key(): r.code() for r in table.recipes()}
    monkeypatch.setattr(ledger, "_codes", lambda *_: asked)
    path = ledger.ledger_file("quick")
    rows = pd.read_csv(path)
    gone = rows[rows["label"] == "base"].assign(seed=7, recipe="of before")
    other = gone.assign(table="clef.fig5_similarity"), gone.assign(source="open")
    pd.concat([rows, gone, gone.assign(label="old name"), *other]).to_csv(path, index=False)
    ledger.add(table)
    left = ledger.read("quick")
    assert len(left) == len(rows) + 2 * len(gone)
    assert set(left[left["recipe"] == "of before"]["table"]) == {table.name, "clef.fig5_similarity"}
    assert set(left[(left["recipe"] == "of before") & (left["table"] == table.name)]["source"]) == {"open"}


def test_ledger_difference_is_readable(table, own_ledger):
    ledger.add(table)
    path = ledger.ledger_file("quick")
    rows = pd.read_csv(path)
    rows.loc[rows["label"] == "base", "value"] += 7
    rows.loc[rows["label"] == "worse", "data"] = "another"
    rows.to_csv(path, index=False)
    comparison = ledger.check(table)
    assert not comparison.ok
    assert comparison.counts() == {"fail": 2, "other data": 2, "pass": 4}
    assert "base / RAF-DB, seed 0" in str(comparison) and "-7.00, allowed 3.00" in str(comparison)


def test_what_another_processor_changes_is_allowed(table, own_ledger):
    ledger.add(table)
    path = ledger.ledger_file("quick")
    rows = pd.read_csv(path)
    for shift, found in ((8.4, {"pass": 8}), (8.6, {"fail": 2, "pass": 6})):  # 3 * 4 / sqrt(2) = 8.49
        moved = rows.assign(value=rows["value"] + shift * (rows["label"] == "base"))
        ledger.save(moved, path)
        ledger.save(moved.assign(value=moved["value"] + 4), ledger.ledger_file("repeated/quick"))
        assert ledger.check(table).counts() == found


def test_ledger_without_reference(table, own_ledger):
    assert ledger.check(table).counts() == {"no reference": 8}


def test_ledger_needs_runs(own_ledger):
    with pytest.raises(DataError, match="run the table first"):
        ledger.add(Table("clef.table7_ablation", "quick", [Cell("a", "b", "c")]))
    with pytest.raises(DataError, match="no rows to verify"):
        ledger.verify(1, profile="full")


@pytest.fixture
def one_paper(monkeypatch):
    """All tables of four papers at every size would take a minute."""
    monkeypatch.setattr(experiments, "PAPERS", ("clef",))


def test_one_run_enters_every_table_that_asks_for_it(own_ledger, one_paper):
    recipe = clef.fig5_similarity("quick").recipes()[0]  # a part of Tables 5 and 7 too
    finished(recipe, 100)
    found = runs.find(recipe)
    assert ledger.add_run(found.folder) == 3
    tables = {"clef.fig5_similarity", "clef.table5_fer", "clef.table7_ablation"}
    assert set(ledger.read("quick")["table"]) == tables
    assert ledger.check(found).counts() == {"pass": 1}  # the same number, though it stands in two tables
    runs.discard(recipe)


def test_what_is_no_run_of_today_does_not_enter(own_ledger, one_paper, monkeypatch):
    with pytest.raises(DataError, match="no finished run"):
        ledger.add_run(own_ledger)
    stranger = small(3, lr=0.3)
    finished(stranger, 100)
    folder = runs.find(stranger).folder
    with pytest.raises(DataError, match="no table asks"):
        ledger.add_run(folder)
    monkeypatch.setattr(Recipe, "code", lambda self: "1" * 16)
    with pytest.raises(DataError, match="other code"):
        ledger.add_run(folder)


def test_ledger_with_a_missing_column(own_ledger):
    (own_ledger / "quick.csv").write_text("table,label\n")
    with pytest.raises(DataError, match="column column is missing"):
        ledger.read("quick")


def test_reference_and_stale(table, own_ledger, monkeypatch):
    """The demo ledger is what pages show; a row made by other code is marked."""
    demo = Table(table.name, "demo", table.cells, table.runs)
    ledger.add(demo)
    monkeypatch.setattr(ledger, "_codes", lambda *_: {r.key(): r.code() for r in table.recipes()})
    fresh = table.frame().set_index("label").loc["better"]
    assert fresh["reference"] == pytest.approx(fresh["value"], abs=1e-3) and not fresh["stale"]
    monkeypatch.setattr(ledger, "_codes", lambda *_: {})
    assert table.frame().set_index("label").loc["better", "stale"]
    assert "stale" in table.page("RAF-DB").loc["better", "reference (ledger)"]
    assert ledger.stale("demo") == ["clef.table7_ablation (twin)"]


def test_reference_steps_are_paired_by_seed(table, own_ledger):
    ledger.add(Table(table.name, "demo", table.cells, table.runs))
    better, base = (table.cell(label, "RAF-DB") for label in ("better", "base"))
    assert ledger.reference_step(table.name, "quick", better, base) == pytest.approx([30.0, 30.0])
    assert len(ledger.reference_step(table.name, "quick", table.cell("absent", "RAF-DB"), base)) == 0


def test_verify_reruns_rows(own_ledger, monkeypatch):
    table = Table("clef.table7_ablation", "quick", [Cell("one", "RAF-DB", "accuracy", (small(5),))]).run(
        device="cpu"
    )
    ledger.add(table)
    monkeypatch.setattr(experiments, "table", lambda *_, **__: table)
    result = ledger.verify(1, profile="quick", seed=0)
    assert result.counts() == {"pass": 1}
    assert abs(result.frame["difference"].iloc[0]) < 1e-3


# ---------------------------------------------------------------------- CLEF's tables


def test_table7_has_the_13_rows_of_the_paper():
    demo = clef.table7_ablation("demo")
    printed = reported.table("clef_table7_ablation")
    assert len({c.label for c in demo.cells}) == 13
    assert sorted(c.reported for c in demo.cells) == sorted(printed["value"])
    assert all(len(c.recipes) == 3 for c in demo.cells)
    for cell in demo.cells:
        letters = cell.label.split(" ")[1].split(",")
        for s, recipe in enumerate(cell.recipes):
            assert recipe.options["use"] == "".join(x for x in letters if x in "IND")
            assert recipe.seed == s
            assert ("PI" in letters) == (recipe.start.task == "clef.pretrain")
            if "PI" in letters:
                assert recipe.start.options["activity_text"] == ("PA" in letters)
                assert recipe.start.start.options["style"] == "detailed"  # from FaRL, as the paper


def test_steps_of_table7_are_the_paper_s():
    for cell in clef.table7_ablation("demo").cells:
        if cell.against:
            base = clef.table7_ablation("demo").cell(cell.against, cell.column)
            assert cell.step == pytest.approx(cell.reported - base.reported)


def test_seed_s_uses_fold_s_mod_k():
    cells = clef.table7_ablation("demo", seeds=4).cells
    assert [r.data.fold for r in cells[0].recipes] == [1, 2, 3, 1]
    pretrained = next(c for c in cells if c.label == clef.FULL)
    assert all(r.data.fold == r.start.data.fold for r in pretrained.recipes)
    opened = clef.table7_ablation("demo", source="open").cell(clef.FULL, "facial_expressions")
    assert [r.data.fold for r in opened.recipes] == [0, 1, 2]


def test_quick_trains_four_rows():
    cells = [c for c in clef.table7_ablation("quick").cells if c.recipes]
    assert len({c.label for c in cells}) == 4
    assert all(len(c.recipes) == 1 for c in cells)
    empty = next(c for c in clef.table7_ablation("quick").cells if not c.recipes)
    assert empty.why_empty == "not run in quick"


def test_open_runs_four_rows_on_photographs():
    table = clef.table7_ablation("demo", source="open")
    cells = [c for c in table.cells if c.recipes]
    assert {c.label for c in cells} == set(clef.OPEN_ROWS)
    assert all(c.reported is None for c in table.cells)  # the paper has no number on these photographs
    assert all(r.data.source == "open" and r.data.protocol == "six" for c in cells for r in c.recipes)
    assert all(r.start.data.source == "twin" for c in cells for r in c.recipes)


def test_recipes_of_table7_are_distinct():
    keys = [r.key() for r in clef.table7_ablation("demo").recipes()]
    assert len(keys) == len(set(keys)) == 13 * 2 * 3


def test_fig1_and_fig5_share_runs_with_table7():
    shared = {r.key() for r in clef.table7_ablation("demo").recipes()}
    starts = {r.start.key() for r in clef.table7_ablation("demo").recipes()}
    assert {r.key() for r in clef.fig5_similarity("demo").recipes()} <= shared
    pairs = {c.label: c.recipes[0].key() for c in clef.fig1_pairing("demo").cells}
    assert pairs["activity pairs (PI)"] in starts
    assert len(set(pairs.values())) == 4


def test_paper_recipes_carry_the_paper_s_settings():
    """Against reported/hyperparameters.csv; what it does not state must be among the assumed settings."""
    stated = reported.hyperparameters("clef").set_index(["stage", "name"])["value"]
    recipe = clef.finetuning(PROFILES["paper"], "rafdb", "real", 0, "CLEF", "PA,PI,I,N,D")
    stage1 = recipe.start
    assert stage1.optim.batch_size == int(stated["pre-training", "batch size"])
    assert stage1.optim.weight_decay == float(stated["pre-training", "weight decay"])
    assert stage1.optim.epochs == float(stated["pre-training", "epochs"])
    assert stage1.optim.warmup == 1 / 5  # one epoch of five
    assert stage1.optim.min_lr == float(stated["pre-training", "minimum learning rate"])
    assert stage1.encoder.checkpoint.startswith("FaRL")
    assert recipe.optim.lr == float(stated["fine-tuning", "learning rate RAF-DB"])
    assert recipe.optim.batch_size == int(stated["fine-tuning", "batch size"])
    assert stated["fine-tuning", "epochs"] == "not stated" and "optim.epochs" in recipe.assumed
    assert stated["pre-training", "peak learning rate"] == "not stated" and "optim.lr" in stage1.assumed
    assert recipe.data.image_size == 224


def test_pairing_rates():
    rates = clef.pairing_rates()
    assert np.isnan(rates.loc["self-supervised", "pulled together"])  # a picture's only positive is itself
    known = rates.to_numpy()[~rates.isna().to_numpy()]
    assert ((known > 0) & (known < 100)).all()
    # All pairs are the negatives of one way, and the positives and negatives of the other.
    a, together = rates.loc["activity"], rates.loc["self-supervised", "pushed apart"]
    assert (
        min(a["pulled together"], a["pushed apart"]) < together < max(a["pulled together"], a["pushed apart"])
    )


def test_names_and_errors():
    assert "clef.table7_ablation" in experiments.names()
    with pytest.raises(ValueError, match="known papers: clef"):
        experiments.table("clip.table7")
    with pytest.raises(ValueError, match="table7_ablation"):
        experiments.table("clef.table8")
    with pytest.raises(ValueError, match="quick, demo, full, paper"):
        profile_named("quik")
    with pytest.raises(ValueError, match="rafdb"):
        source_of("rafdb", "twins")
    with pytest.raises(ValueError, match="CLIP, FaRL"):
        tower("SigLIP", PROFILES["demo"])


def test_sources_resolve_per_dataset():
    mixed = {"rafdb": "real"}
    assert source_of("rafdb", mixed) == "real" and source_of("bp4d", mixed) == "twin"
    assert source_of("bp4d", "open") == "twin" and source_of("facial_expressions", "open") == "open"
