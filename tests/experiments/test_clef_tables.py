"""CLEF's tables as recipes: what starts from what, at which rate, on which people, held against the paper."""

import numpy as np
import pytest

from fbu import experiments, reported
from fbu.data.manifest import load_manifest
from fbu.experiments import clef
from fbu.experiments.clef import zero_shot
from fbu.experiments.profiles import PROFILES
from fbu.labels.names import EXPRESSIONS

AU_TABLES = {
    "table2_bp4d": ("bp4d", "clef_table2_bp4d"),
    "table3_disfa": ("disfa", "clef_table3_disfa"),
    "table4_bp4dplus": ("bp4dplus", "clef_table4_bp4dplus"),
}


def full_cell(table, column):
    return table.cell("CLEF", column)


@pytest.mark.parametrize("name", sorted(clef.TABLES))
@pytest.mark.parametrize("profile", ["quick", "demo", "full", "paper"])
def test_every_table_builds(name, profile):
    table = clef.TABLES[name](profile, "real" if profile == "paper" else "twin")
    assert table.name == f"clef.{name}" and table.recipes()
    assert all(c.recipes or c.why_empty for c in table.cells)
    places = [(c.label, c.column) for c in table.cells]
    assert len(set(places)) == len(places)


@pytest.mark.parametrize("name", sorted(clef.TABLES))
def test_at_most_four_rows_train_in_quick(name):
    table = clef.TABLES[name]("quick")
    trained = [c for c in table.cells if c.recipes and any(r.optim.images for r in c.recipes)]
    assert len({c.label for c in trained}) <= 4


@pytest.mark.parametrize("name", sorted(AU_TABLES))
def test_unit_tables_hold_every_printed_number(name):
    dataset, printed = AU_TABLES[name]
    table = clef.TABLES[name]("demo")
    frame = reported.table(printed)
    assert set(table.columns()) == {f"AU{n}" for n in load_manifest(dataset).aus} | {"Avg"}
    ours = {(c.printed.method, c.printed.class_or_au): c.reported for c in table.cells if c.printed}
    theirs = {(r.method, r.class_or_au): r.value for r in frame.itertuples()}
    assert ours == pytest.approx(theirs, nan_ok=True)


def test_table5_holds_every_printed_number():
    table = clef.table5_fer("demo")
    frame = reported.table("clef_table5_fer")
    ours = {(c.printed.method, c.printed.dataset): c.reported for c in table.cells if c.printed}
    assert ours == pytest.approx({(r.method, r.dataset): r.value for r in frame.itertuples()}, nan_ok=True)


def test_table6_holds_every_printed_number():
    table = clef.table6_zero_shot("demo")
    frame = reported.table("clef_table6_zeroshot")
    ours = {
        (c.printed.method, c.printed.variant, c.printed.dataset): c.reported for c in table.cells if c.printed
    }
    assert ours == {(r.method, r.variant, r.dataset): r.value for r in frame.itertuples()}


def test_disfa_goes_on_from_bp4d():
    for s, recipe in enumerate(full_cell(clef.table3_disfa("demo"), "Avg").recipes):
        chain = [(r.task, r.data.name) for r in recipe.chain()]
        assert chain == [
            ("towers.contrast", "tower"),
            ("clef.pretrain", "bp4d"),
            ("clef.finetune", "bp4d"),
            ("clef.finetune", "disfa"),
        ]
        assert recipe.data.fold == recipe.start.data.fold == s + 1
        shared = full_cell(clef.table2_bp4d("demo"), "Avg").recipes[s]
        assert recipe.start.key() == shared.key()  # the model of Table 2, not another one like it


def test_expressions_start_from_bp4dplus():
    columns = clef.table5_fer("demo").columns()
    for column in columns:
        recipe = full_cell(clef.table5_fer("demo"), column).recipes[0]
        assert recipe.start.data.name == "bp4dplus" and recipe.start.data.protocol == "clef_pretraining"
    opened = full_cell(clef.table5_fer("demo", "open"), "facial_expressions").recipes[0]
    assert (opened.start.data.name, opened.start.data.source, opened.data.source) == (
        "bp4dplus",
        "twin",
        "open",
    )


def test_one_run_serves_tables_5_and_7():
    table7 = clef.table7_ablation("demo").cell(clef.FULL, "RAF-DB")
    assert [r.key() for r in full_cell(clef.table5_fer("demo"), "RAF-DB").recipes] == [
        r.key() for r in table7.recipes
    ]


@pytest.mark.parametrize(
    ("name", "dataset"),
    [
        ("BP4D", "bp4d"),
        ("DISFA", "disfa"),
        ("AffectNet", "affectnet"),
        ("RAF-DB", "rafdb"),
        ("FERPlus", "ferplus"),
    ],
)
def test_rates_of_the_paper(name, dataset):
    stated = reported.hyperparameters("clef").set_index(["stage", "name"])["value"]
    recipe = clef.finetuning(PROFILES["paper"], dataset, "real", 0, "CLEF", "PA,PI,I,N,D")
    assert recipe.optim.lr == pytest.approx(float(stated["fine-tuning", f"learning rate {name}"]))
    assert "optim.lr" not in recipe.assumed


def test_the_rate_that_the_paper_does_not_state_is_listed():
    stated = reported.hyperparameters("clef").set_index(["stage", "name"])["value"]
    assert stated["fine-tuning", "learning rate BP4D+"] == "not stated"
    recipe = clef.finetuning(PROFILES["paper"], "bp4dplus", "real", 0, "CLEF", "PA,PI,I,N,D")
    assert "optim.lr" in recipe.assumed


def test_protocols_are_those_of_the_manifests():
    for name in clef.TABLES:
        for recipe in clef.TABLES[name]("demo").recipes():
            for link in recipe.chain():
                if link.data.protocol is not None:
                    assert link.data.protocol in load_manifest(link.data.name).protocols


def test_vit_is_not_run_where_its_weights_are_unknown():
    cell = clef.table4_bp4dplus("paper", "real").cell("ViT", "Avg")
    assert cell.recipes == () and "which weights" in cell.why_empty
    assert clef.table4_bp4dplus("demo").cell("ViT", "Avg").recipes[0].start.task == "labelled.pictures"


def test_zero_shot_never_saw_what_it_is_tested_on():
    table = clef.table6_zero_shot("demo")
    for cell in table.cells:
        for recipe in cell.recipes:
            assert recipe.task == "frozen.zero_shot" and recipe.optim.images == 0
            *before, _ = recipe.chain()
            assert before[0].options["omit"] == list(EXPRESSIONS)
            seen = set()
            for link in before[1:]:
                manifest = load_manifest(link.data.name)
                if manifest.kind == "expression":
                    seen |= set(manifest.protocols[link.data.protocol].classes)
            tested = recipe.options["classes"] or list(EXPRESSIONS)
            assert not seen & set(tested), cell
    trained = next(c for c in table.cells if c.label == "CLEF" and "unseen" in c.column)
    assert trained.recipes[0].start.data.protocol == "clef_zero_shot"
    assert {"neutral", "happiness", "fear"} | set(zero_shot.UNSEEN) | {"contempt"} == set(EXPRESSIONS)


def test_zero_shot_steps_are_the_paper_s():
    claimed = {
        "RAF-DB, unseen": 12.93,
        "FERPlus, unseen": 8.67,
        "RAF-DB, AU model": 16.37,
        "FERPlus, AU model": 3.70,
    }
    table = clef.table6_zero_shot("quick")
    assert {c.column: c.step for c in table.cells if c.label == "CLEF"} == pytest.approx(claimed, abs=0.01)


def test_the_paper_s_lambda_is_the_run_of_table7():
    table = clef.lambda_sweep("demo")
    for column in table.columns():
        chosen = table.cell("λ = 2", column).recipes[0]
        assert chosen.key() == clef.table7_ablation("demo").cell(clef.FULL, column).recipes[0].key()
        weights = [c.recipes[0].options.get("weight", 2.0) for c in table.cells if c.column == column]
        assert weights == [0.5, 1.0, 2.0, 4.0, 8.0]


def test_two_towers_change_nothing_else():
    shared, separate = (c.recipes[0].model_dump() for c in clef.weight_sharing("demo").cells)
    assert separate["options"].pop("text_encoder") == "separate"
    assert shared == separate


def test_every_assumed_setting_is_one_change():
    table = clef.assumed_settings("demo")
    base = table.cells[0].recipes[0].model_dump()
    assert len(table.cells) == 8
    for cell in table.cells[1:]:
        other = cell.recipes[0].model_dump()
        assert changes(base, other) == 1, cell.label


def changes(a, b):
    """Number of leaves that differ; the augmentation counts as one."""
    if not isinstance(a, dict) or not isinstance(b, dict):
        return int(a != b)
    return sum(int(a.get(k) != b.get(k)) if k == "augment" else changes(a.get(k), b.get(k)) for k in {*a, *b})


def test_words_of_intensity_use_the_runs_of_table7():
    table = clef.intensity_words("demo")
    plain = table.cell("plain names", "F1 of presence").recipes[0]
    assert table.cell("words added at test", "rank correlation").recipes[0].start == plain
    trained = table.cell("words trained", "rank correlation").recipes[0]
    assert trained.model_copy(update={"task": plain.task}) == plain
    real = clef.intensity_words("demo", "real").cell("words trained", "rank correlation")
    assert real.recipes == () and "five of its twelve" in real.why_empty


def test_fig4_looks_at_runs_of_table7():
    table = clef.fig4_tsne("demo")
    starts = [c.recipes[0].start for c in table.cells if c.column == table.columns()[0]]
    assert starts[0].task == "towers.contrast"
    assert starts[2].key() == clef.table7_ablation("demo").cell(clef.FULL, "RAF-DB").recipes[0].key()


def test_nobody_wrote_down_what_real_people_look_like():
    assert clef.identity_leak("demo", "real").columns() == ["expression", "person"]
    assert "skin" in clef.identity_leak("demo").columns()


def test_all_names_are_listed():
    assert {f"clef.{name}" for name in clef.TABLES} <= set(experiments.names())
    assert not np.isnan([c.reported for c in clef.weight_sharing("demo").cells]).any()
