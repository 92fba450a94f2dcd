"""Claims decided on tables whose predictions are made up, so that the right answer is known."""

import numpy as np
import pandas as pd
import pytest
from stored import store
from typer.testing import CliRunner

from fbu import cli
from fbu.claims import Claim, claim, claims, deciding, pages, parse, record
from fbu.claims.decision import LABELS, Part, judged, listed, numbers
from fbu.claims.matching import part_metric
from fbu.errors import DataError
from fbu.evaluation.bootstrap import PairedDifference
from fbu.experiments.common import Cell, Table
from fbu.recipes import Recipe
from fbu.reported import Printed

PEOPLE = 120
TABLE4, TABLE6 = "clef_table4_bp4dplus", "clef_table6_zeroshot"


def recipe(seed=0, lr=1e-3, **fields):
    settings = {"task": "clef.finetune", "data": {"name": "rafdb"}, "options": {"use": "I"}, "seed": seed}
    return Recipe.model_validate({**settings, "optim": {"images": 64, "lr": lr}, **fields})


def finish(made, predictions=None, extra=None, **metrics):
    store(made, metrics, extra=extra, predictions=predictions)


def answers(share, seed=0):
    """Predictions of which a share is right: the same people first, whatever the share."""
    frame = pd.DataFrame({"sample": [f"{i:03}" for i in range(PEOPLE)]})
    frame["subject"] = frame["sample"]
    frame["target"] = np.where(np.arange(PEOPLE) % 2, "anger", "neutral")
    right = np.random.default_rng(seed).permutation(PEOPLE) < round(share * PEOPLE)
    frame["p_anger"] = np.where(right == (frame["target"] == "anger"), 0.9, 0.1)
    return frame.assign(p_neutral=1 - frame["p_anger"])


@pytest.fixture(autouse=True)
def own(tmp_path, monkeypatch):
    monkeypatch.setenv("FBU_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("FBU_LEDGER", str(tmp_path / "ledger"))


def row(method, share, dataset="BP4D+", *, name=TABLE4, variant="", seeds=(0, 1), run=True):
    """A cell of a table, finished with so many right answers; with ``share`` None it asks for nothing."""
    metric = "f1" if name == TABLE4 else "accuracy"
    lr = round(1e-3 + 1e-6 * sum(map(ord, f"{method}{dataset}")), 9)  # a recipe of its own
    recipes = () if share is None else tuple(recipe(s, lr) for s in seeds)
    for made in recipes if run else ():
        finish(made, answers(share, made.seed), accuracy=share)
    return Cell(method, dataset, "accuracy", recipes, printed=Printed(name, method, dataset, metric, variant))


def table(*cells, name="clef.made_up"):
    return Table(name, "quick", list(cells)).done()


def decided(comparison, cells, plan=()):
    mode, terms, statement = parse(comparison)
    made = Claim("clef-00", "clef", "", "", comparison, (), (), mode, terms, statement)
    return deciding.decide(made, [table(*cells)], [table(*plan)])


def side(method, kind="metric", sign="="):
    return f"{kind}(table={TABLE4};method{sign}{method};dataset=BP4D+;class_or_au=avg;metric=f1)"


OVER_CLIP, OVER_VIT = (f"{side('CLEF')} > {side(base)}" for base in ("CLIP", "ViT"))
OVER_EAC, OVER_ALL = f"{side('CLEF')} > {side('EAC')}", f"{side('CLEF')} > {side('CLEF', 'max', '!=')}"
OTHERS = ("ViT", "CLIP", "EAC", "JAA", "SEV-Net", "MFT")


# ---- one term


def test_a_clear_lead_is_supported_and_the_reverse_is_not():
    cells = [row("CLEF", 0.9), row("CLIP", 0.6)]
    found = decided(OVER_CLIP, cells)
    assert (found.label, found.right, found.terms) == ("supported", 1, 1)
    assert (found.seeds, found.subjects, found.source) == (2, PEOPLE, "twin")
    assert found.probability == 1.0
    measured = found.parts[0].measured
    assert measured.difference == pytest.approx(0.3) and 0.2 < measured.low < 0.3 < measured.high < 0.4
    assert found.parts[0].what == "CLEF - CLIP, BP4D+"
    assert found.differences == f"+30.0 ({100 * measured.low:+.1f} to {100 * measured.high:+.1f})"
    reverse = decided(OVER_CLIP.replace(" > ", " < "), cells)
    assert (reverse.label, reverse.right, reverse.probability) == ("not supported", 0, 0.0)
    assert "other sign" in reverse.reason


def test_a_narrow_lead_is_inconclusive():
    found = decided(OVER_CLIP, [row("CLEF", 0.5 + 1 / PEOPLE, seeds=(0,)), row("CLIP", 0.5, seeds=(3, 0))])
    assert (found.label, found.right, found.seeds) == ("inconclusive", 1, 1)
    assert 0.5 < found.probability < 0.95


def test_datasets_are_not_compared():
    there = side("CLEF").replace(TABLE4, "clef_table3_disfa").replace("BP4D+", "DISFA")
    found = decided(f"{side('CLEF')} < {there}", [row("CLEF", 0.9)])
    assert found.label == "not testable here" and "how hard a twin is was chosen here" in found.reason
    assert found.parts[0].what == "CLEF, BP4D+ - CLEF, DISFA"


def test_missing_runs_are_named_and_missing_seeds_said():
    found = decided(OVER_CLIP, [row("CLEF", 0.9), row("CLIP", 0.6, run=False)])
    assert found.label == "not run" and found.reason == "not run in quick: CLIP on BP4D+"
    assert np.isnan(found.probability) and found.differences == ""
    partial = row("CLIP", 0.6, seeds=(0,))
    partial = Cell(**{**vars(partial), "recipes": (*partial.recipes, recipe(1, 0.5))})
    found = decided(OVER_CLIP, [row("CLEF", 0.9), partial])
    assert (found.label, found.seeds) == ("supported", 1) and "only 1 of 2 seeds" in found.reason
    apart = decided(OVER_CLIP, [row("CLEF", 0.9, seeds=(0,)), row("CLIP", 0.6, seeds=(1,))])
    assert apart.label == "not run" and "a seed that both sides share" in apart.reason


def test_a_profile_that_leaves_a_row_out_is_no_reason_to_call_it_untestable():
    cells = [row("CLEF", 0.9), row("CLIP", None)]
    assert decided(OVER_CLIP, cells).label == "not testable here"
    assert decided(OVER_CLIP, cells, plan=[row("CLIP", 0.6, run=False)]).label == "not run"


def test_a_table_that_nothing_prints_is_not_run():
    found = decided(OVER_CLIP, [])
    assert found.label == "not run" and found.reason == "CLEF, Table 4 is not built yet"


# ---- the best of many


def test_the_best_of_all_others_counts():
    behind = [row(m, 0.4) for m in OTHERS[:-1]]
    found = decided(OVER_ALL, [row("CLEF", 0.8), *behind, row("MFT", 0.5)])
    assert found.label == "supported" and found.parts[0].what == "CLEF - best of 6 others, BP4D+"
    assert found.parts[0].measured.difference == pytest.approx(0.3, abs=0.01)
    assert decided(OVER_ALL, [row("CLEF", 0.8), *behind, row("MFT", 0.95)]).label == "not supported"
    lowest = f"{side('CLEF')} < {side('CLEF', 'min', '!=')}"
    assert decided(lowest, [row("CLEF", 0.3), *behind, row("MFT", 0.95)]).label == "supported"


def test_methods_that_are_not_run_are_named():
    quoted = [row(m, None) for m in ("EAC", "JAA")]  # shown in the table, but never run
    found = decided(OVER_ALL, [row("CLEF", 0.8), row("ViT", 0.4), row("CLIP", 0.4), *quoted])
    assert found.label == "not testable here" and found.parts[0].measured is None
    assert found.reason == "not testable: EAC, JAA, SEV-Net, MFT are not run here"


def test_being_behind_one_that_is_run_contradicts_being_the_best():
    found = decided(OVER_ALL, [row("CLEF", 0.5), row("ViT", 0.8), row("CLIP", 0.3)])
    assert (found.label, found.right) == ("not supported", 0)
    assert found.parts[0].state == "refuted" and "contradicted by what is run" in found.reason
    # Being above the lowest of some says nothing of being above the lowest of all.
    lowest = f"{side('CLEF')} < {side('CLEF', 'max', '!=')}"
    assert decided(lowest, [row("CLEF", 0.9), row("ViT", 0.4)]).label == "not testable here"


# ---- several terms


def test_terms_that_can_be_tested_are_decided_beside_those_that_cannot():
    cells = [row("CLEF", 0.9), row("CLIP", 0.6), row("ViT", 0.5)]
    found = decided(f"{OVER_ALL} AND {OVER_CLIP} AND {OVER_VIT}", cells)
    assert found.label == "not testable here" and (found.right, found.terms) == (2, 3)
    assert found.reason.startswith("terms 2-3 of 3: supported; term 1 not testable: EAC, JAA, SEV-Net, MFT")
    assert found.probability == 1.0 and found.differences.startswith("-; +30.0 (")


def test_one_wrong_term_settles_a_claim_of_all():
    cells = [row("CLEF", 0.5), row("CLIP", 0.8)]
    found = decided(f"{OVER_EAC} AND {OVER_CLIP}", cells)
    assert found.label == "not supported" and "the rest could not change that" in found.reason
    assert "wholly on the wrong side: term 2" in found.reason


def test_some_and_most_can_be_settled_by_a_part_of_the_terms():
    cells = [row("CLEF", 0.8), row("CLIP", 0.4), row("ViT", 0.5)]
    assert decided(f"SOME: {OVER_EAC} AND {OVER_CLIP}", cells).label == "supported"
    assert decided(f"MOST: {OVER_EAC} AND {OVER_CLIP}", cells).label == "not testable here"
    assert decided(f"MOST: {OVER_EAC} AND {OVER_CLIP} AND {OVER_VIT}", cells).label == "supported"
    behind = [row("CLEF", 0.3), row("CLIP", 0.6), row("ViT", 0.7)]
    assert decided(f"SOME: {OVER_EAC} AND {OVER_CLIP}", behind).label == "not testable here"
    assert decided(f"MOST: {OVER_EAC} AND {OVER_CLIP}", behind).label == "not supported"


def test_modes_with_every_term_decided():
    cells = [row("CLEF", 0.6), row("CLIP", 0.3), row("ViT", 0.9), row("EAC", 0.2)]
    terms = f"{OVER_CLIP} AND {OVER_VIT} AND {OVER_EAC}"
    labels = {mode: decided(mode + terms, cells) for mode in ("", "MOST: ", "SOME: ")}
    assert [d.label for d in labels.values()] == ["not supported", "supported", "supported"]
    assert all(d.right == 2 for d in labels.values())
    assert "wholly on the wrong side: term 2" in labels[""].reason


def test_comparable_has_a_margin():
    alike = OVER_CLIP.replace(" > ", " ~ ")
    assert decided(alike, [row("CLEF", 0.9), row("CLIP", 0.5)]).label == "not supported"
    found = decided(alike, [row("CLEF", 0.51), row("CLIP", 0.5)])
    assert found.label != "not supported" and found.right == 1 and "2 points apart" in found.statistic


def test_variants_tell_rows_apart():
    def zero_shot(method, share, variant):
        return row(method, share, "RAF-DB", name=TABLE6, variant=f"zeroshot={variant}")

    text = claim("clef-07").comparison.split(" AND ")[0]  # unseen expressions, RAF-DB
    cells = [zero_shot("CLEF", 0.9, "unseen_expressions"), zero_shot("FaRL", 0.5, "unseen_expressions")]
    assert decided(text, cells).label == "supported"
    others = [cells[0], zero_shot("FaRL", 0.5, "au_to_fer")]
    assert decided(text, others).reason == (
        "not testable: FaRL (zeroshot=unseen_expressions) on RAF-DB is not run here"
    )


def test_one_action_unit_is_read_from_the_predictions_of_the_whole():
    def units(right):
        frame = pd.DataFrame({"sample": [f"{i:03}" for i in range(PEOPLE)]}).assign(
            target_AU4=1, target_AU1=1
        )
        frame["subject"], frame["p_AU1"] = frame["sample"], 0.9
        return frame.assign(p_AU4=np.where(frame.index < right, 0.9, 0.1))

    cells = []
    for method, right in (("CLEF", 90), ("EAC", 30)):
        made = recipe(0, 1e-3 * right)
        finish(made, units(right), f1=0.5)
        where = Printed("clef_table2_bp4d", method, "BP4D", "f1")
        cells.append(Cell(method, "BP4D", "f1", (made,), printed=where))
    text = claim("clef-02").comparison.split(" AND ")[0].replace("max(", "metric(").replace("!=CLEF", "=EAC")
    found = decided(text, cells)
    assert found.label == "supported" and found.parts[0].what == "CLEF - EAC, BP4D AU4"
    assert found.parts[0].measured.difference == pytest.approx(180 / 210 - 60 / 150)
    assert (part_metric("AU4"), part_metric("Anger")) == ("f1/AU4", "recall/anger")


def test_without_predictions_the_seeds_decide():
    cells = []
    for method, values in (("CLEF", (0.71, 0.72, 0.73)), ("CLIP", (0.61, 0.62, 0.63))):
        recipes = tuple(recipe(s, values[0]) for s in range(3))
        for made, value in zip(recipes, values, strict=True):
            finish(made, f1=value)
        cells.append(Cell(method, "BP4D+", "f1", recipes, printed=Printed(TABLE4, method, "BP4D+", "f1")))
    found = decided(OVER_CLIP, cells)
    assert (found.label, found.seeds, found.subjects) == ("supported", 3, 0)
    assert found.parts[0].measured.difference == pytest.approx(0.1)


# ---- labels and words


def part(difference, spread=0.01, sign=">", state="decided"):
    draws = difference + spread * np.linspace(-2, 2, 100)
    measured = PairedDifference(
        difference, draws.min(), draws.max(), float((draws > 0).mean()), 3, 9, 9, draws=draws
    )
    return Part("a - b", sign, state, measured if state in ("decided", "refuted") else None, ("x",))


def test_a_single_seed_has_no_probability():
    nan = float("nan")
    lone = PairedDifference(0.1, nan, nan, nan, 1, 1, 1, draws=np.full(100, 0.1))
    label, probability, reason = judged([Part("a - b", ">", "decided", lone)])
    assert label == "inconclusive" and np.isnan(probability) and "gives no interval" in reason
    assert Part("a - b", ">", "decided", lone).shown() == "+10.0 (no interval)"


def test_judged_needs_a_term():
    with pytest.raises(ValueError, match="at least one term"):
        judged([])


def test_not_run_outweighs_not_testable():
    parts = [part(0.1), part(0, state="not run"), part(0, state="not testable here")]
    assert judged(parts)[0] == "not run"
    assert judged([parts[0], parts[2]])[0] == "not testable here"


def test_lists_in_words():
    assert numbers([1, 2, 3, 5]) == "terms 1-3, 5" and numbers([2]) == "term 2"
    assert listed(["a", "b", "a"]) == "a, b" and listed(list("abcdefg")) == "a, b, c and 4 more"


# ---- all claims


def test_every_claim_of_clef_gets_a_label_without_runs():
    found = deciding.decide_all("quick", paper="clef")
    assert [d.claim for d in found] == [c.id for c in claims("clef")] and len(found) == 23
    assert {d.label for d in found} <= {"not run", "not testable here"}
    assert all(d.reason and d.statistic for d in found)
    others = deciding.decide_all("quick", paper="emoco")
    assert {d.label for d in others} <= {"not run", "not testable here"} and len(others) == 18


def test_a_number_in_place_of_a_cell_is_refused():
    with pytest.raises(ValueError, match="compare cells of tables"):
        decided(f"{side('CLEF')} > 60", [row("CLEF", 0.9)])


# ---- written down


CLAIM = claim("clef-06")  # CLEF below DMUE


def decision(label="supported", profile="demo", probability=0.97):
    measured = part(0.12, 0.02)
    made = deciding.decision("clef-06", profile, [measured], statistic="a, b", source="twin", subjects=9)
    return type(made)(**{**vars(made), "label": label, "probability": probability})


def fer(run=True):
    where = [Printed("clef_table5_fer", m, "AffectNet-8", "accuracy") for m in ("CLEF", "DMUE")]
    cells = [Cell(w.method, "AffectNet-8", "accuracy", (recipe(0, 0.1),), printed=w) for w in where]
    return Table("clef.table5_fer", "demo", cells)


def test_write_then_read():
    assert record.read().empty
    assert record.write([decision()], [fer()]) == 1
    rows = record.read()
    assert list(rows.columns) == list(record.COLUMNS) and len(rows) == 1
    written = rows.iloc[0]
    assert (written["claim"], written["label"], written["probability"]) == ("clef-06", "supported", 0.97)
    assert written["differences"] == "+12.0 (+8.0 to +16.0)" and written["statistic"] == "a, b"
    assert written["code"] == deciding.code_of([recipe(0, 0.1)]) and len(written["code"]) == 16
    assert (rows[["commit", "machine", "date"]] != "").all().all()
    assert record.write([decision("inconclusive")], [fer()]) == 1  # replaced, not added
    assert record.read()["label"].tolist() == ["inconclusive"]
    record.write([decision(profile="full", probability=float("nan"))], [fer()])
    assert record.read()["profile"].tolist() == ["demo", "full"]
    assert record.read()["probability"].isna().tolist() == [False, True]


def test_what_was_not_run_replaces_nothing():
    record.write([decision()], [fer()])
    assert record.write([decision("not run")], [fer()]) == 0
    assert record.read()["label"].tolist() == ["supported"]


def test_a_file_without_a_column_is_refused(tmp_path):
    (tmp_path / "ledger").mkdir()
    (tmp_path / "ledger" / "claims.csv").write_text("claim,profile\n")
    with pytest.raises(DataError, match="column source is missing"):
        record.read()


def test_a_decision_is_stale_once_its_recipes_are_others(monkeypatch):
    record.write([decision()], [fer()])
    monkeypatch.setattr(record, "tables_of", lambda *_, **__: [fer()])
    fresh = record.reference("clef", "quick")  # quick shows demo
    assert fresh["stale"].tolist() == [False] and fresh.index.tolist() == ["clef-06"]
    assert record.reference("clef", "full").empty and record.reference("clef", "demo", "open").empty
    shown = pages.overview([decision("not run", "quick")], "quick").loc["clef-06"]
    assert shown["reference (ledger)"] == "supported (probability 0.97, 1 of 1 terms)"
    monkeypatch.setattr(Recipe, "code", lambda self: "1" * 16)
    assert record.reference("clef", "quick")["stale"].tolist() == [True]
    assert pages.overview([decision()], "quick").loc["clef-06", "reference (ledger)"].endswith(", stale")
    row = pages.reference_details("clef", "quick").loc["clef-06"]
    assert (row["decision"], row["from"]) == ("supported, stale", "3 seeds, 9 people")
    papers = pages.by_paper("quick")
    assert papers.loc["clef", ["supported", "not run", "stale"]].tolist() == [1, 22, 1]
    assert papers.loc["emoco", ["supported", "not run", "stale"]].tolist() == [0, 18, 0]


def test_pages():
    decisions = [decision(), type(decision())(**{**vars(decision("not run")), "claim": "clef-11"})]
    frame = pages.overview(decisions, "quick")
    assert list(frame.columns)[-2:] == ["reference (ledger)", "this run (twin)"]
    assert frame.loc["clef-11", "paper's own numbers"].startswith("contradicted in 2 of 8 terms: +1.00;")
    assert frame.loc["clef-06", "paper's own numbers"] == "agree: -0.07"
    assert frame.loc["clef-06", "reference (ledger)"] == "not decided yet"
    counted = pages.counts(decisions, "quick")
    assert list(counted.index) == list(LABELS)
    assert counted["this run (twin)"].to_dict()["supported"] == 1 and counted.loc["not run"].tolist() == [
        2,
        1,
    ]
    assert pages.details(decisions).iloc[0].tolist() == [">", "+12.0 (+8.0 to +16.0)"]
    used = pages.statistics("clef")
    assert (
        sum(len(ids.split(", ")) for ids in used.index) == 23
        and "none" not in used["statistic"].str[:4].tolist()
    )


def test_command_line(monkeypatch):
    runner = CliRunner()
    monkeypatch.setattr(cli.console, "width", 200)
    result = runner.invoke(cli.app, ["claims", "--contradicted"])
    assert result.exit_code == 0 and "dk_clip-07" in result.output and "clef-01" not in result.output
    monkeypatch.setattr(deciding, "gather", lambda *_: [fer()])
    monkeypatch.setattr(deciding, "decide_all", lambda *_, **__: [decision()])
    result = runner.invoke(cli.app, ["claims", "--paper", "clef"])
    assert result.exit_code == 0 and "clef-06" in result.output and record.read().empty
    result = runner.invoke(cli.app, ["claims", "--paper", "clef", "--write"])
    assert "1 decisions into" in result.output and record.read()["claim"].tolist() == ["clef-06"]
    assert runner.invoke(cli.app, ["claims", "--paper", "clip"]).exit_code == 2
