"""Figure 6 as a table: which recipes it asks for, and what its page says from finished runs."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from fbu import figures, runs
from fbu.experiments import clef
from fbu.experiments.clef import heatmap_notes as notes
from fbu.experiments.clef.heatmaps import MAPS, NO_MASK, NO_UNITS
from fbu.experiments.profiles import PROFILES
from fbu.provenance import provenance
from fbu.runs import ordered

UNITS = ("AU1", "AU12")
KINDS = tuple(MAPS)


def tasks(table):
    return [r.task for r in ordered(table.recipes())]


def test_demo_trains_the_fine_tower_once_for_both_datasets():
    table = clef.fig6_relevancy("demo")
    assert tasks(table).count("heatmaps.score") == 4
    trained = [r for r in ordered(table.recipes()) if r.optim.images]
    assert [r.task for r in trained] == [
        "towers.contrast",
        "fine.contrast",
        "fine.pretrain",
        "fine.finetune",
        "fine.finetune",
    ]
    coarse, fine, first, *second = trained
    assert coarse.key() == fine.start.key() == clef.fig5_similarity("demo").recipes()[0].start.key()
    assert first.optim.images == PROFILES["demo"].pretrain_images
    assert [s.optim.images for s in second] == [PROFILES["demo"].twin_images] * 2
    assert {s.data.name for s in second} == {"bp4d", "affectnet"}
    assert sum(r.optim.images for r in trained[1:]) < 100_000  # about ten minutes on a core
    assert first.data.fold == second[0].data.fold  # the tested people are in neither stage


def test_quick_is_short_and_leaves_expressions_out():
    table = clef.fig6_relevancy("quick")
    assert max(r.optim.images for r in ordered(table.recipes()) if r.task.startswith("fine.")) <= 2000
    assert {c.why_empty for c in table.cells if c.column.startswith("AffectNet")} == {"not run in quick"}
    assert all(r.optim.images == 0 and r.encoder.name == "fbu-tiny" for r in table.recipes())


@pytest.mark.parametrize("profile", ["full", "paper"])
def test_larger_encoders_are_asked_as_the_other_tables_train_them(profile):
    table = clef.fig6_relevancy(profile)
    assert not [name for name in tasks(table) if name.startswith("fine.")]
    shared = {r.key() for t in (clef.table2_bp4d, clef.table5_fer) for r in t(profile).recipes()}
    asked = [r.start for r in table.recipes() if r.start and r.start.task == "clef.finetune"]
    assert len(asked) == 6 and {r.key() for r in asked} <= shared


def test_photographs_have_no_mask_and_say_so():
    real = clef.fig6_relevancy("demo", "real")
    cell = real.cell("CLEF, by name", "BP4D: pointing game")
    assert cell.recipes == () and cell.why_empty == NO_MASK
    assert real.cell("CLEF, its own description", "BP4D: likeness of maps").recipes
    opened = clef.fig6_relevancy("demo", "open")
    assert opened.cell("CLEF, by name", "BP4D: AUC").why_empty == NO_UNITS
    found = opened.cell("CLEF, its own description", "facial_expressions: likeness of maps").recipes
    assert [r.data.source for r in found] == ["open"]
    mixed = clef.fig6_relevancy("demo", {"bp4d": "real"})
    assert not mixed.cell("CLEF, by name", "BP4D: AUC").recipes
    assert mixed.cell("CLEF, by name", "AffectNet: AUC").recipes


def test_every_metric_of_the_table_is_one_that_a_scoring_has():
    own = {c.metric for c in clef.fig6_relevancy("demo").cells}
    assert {f"{m}/{kind}" for m in ("pointing", "energy", "auc") for kind in KINDS} < own
    assert "auc/name/AU24" in own and "pointing/chance/happiness" in own
    assert not [m for m in own if m.endswith("/neutral")]


def finish(recipe, shift):
    """A finished scoring of two units on six pictures: names above chance by ``shift``."""
    rows = []
    for i in range(6):
        for j, unit in enumerate(UNITS):
            row = {"label": unit, "sample": f"F001/T1/{i:04}", "subject": f"F00{i % 3}"}
            for measure in ("pointing", "energy", "auc"):
                row |= {f"{measure}/{kind}": 0.1 * (j + 1) for kind in KINDS}
                row[f"{measure}/name"] += shift + (0.01 if i % 2 else -0.01)
            row |= {"agreement/own": 0.8, "agreement/other": 0.3}
            rows.append(
                row
                | {f"words/{x}": 0.5 for x in ("name", "name-chance", "description", "description-chance")}
            )
    from fbu.models.heatmap_scores import means

    table = pd.DataFrame(rows)
    folder = runs.folder_of(recipe)
    folder.mkdir(parents=True)
    (folder / "metrics.json").write_text(json.dumps({"test": means(table)}))
    words = [["a", 0.1], ["smile", 1.0]]
    examples = [
        {
            "label": u,
            "row": 3 + i,
            "sample": "F001/T1/0001",
            "name_words": words,
            "description_words": words * 3,
        }
        | {f"{role}_map": np.eye(8).tolist() for role in ("name", "description")}
        for i, u in enumerate(UNITS)
    ]
    extra = {"labels": ["AU12", "AU1"], "items": table.to_dict("list"), "examples": examples}
    (folder / "extra.json").write_text(json.dumps(extra))
    cost = {"seconds": 3.0, "images": 0, "images_per_second": 0.0, "peak_memory_mb": 500}
    (folder / "provenance.json").write_text(json.dumps({**provenance(recipe), **cost}))
    (folder / "recipe.json").write_text(recipe.model_dump_json())
    (folder / "done.json").write_text("{}")


@pytest.fixture
def table(tmp_path, monkeypatch):
    monkeypatch.setenv("FBU_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("FBU_LEDGER", str(tmp_path))
    made = clef.fig6_relevancy("quick")
    known = ("BP4D by label: pointing game", "BP4D by label: AUC")
    cells = [c for c in made.cells if c.column not in known or c.label.split(",")[0] in UNITS]
    made.cells[:] = cells
    for shift, recipe in zip((0.2, 0.0), made.recipes(), strict=True):
        finish(recipe, shift)
    return made.done()


def test_scores_stand_side_by_side(table):
    frame = notes.scores(table, "BP4D")
    assert [top for top, _ in frame.columns[::2]] == ["pointing game", "energy inside", "AUC"]
    ours = frame["pointing game", "this run (twin)"]
    assert ours["CLEF, by name"] == "35.0 (n = 1)" and ours["chance"] == "15.0 (n = 1)"
    assert ours["FaRL, by name"] == "15.0 (n = 1)"
    missing = notes.scores(table, "AffectNet")
    assert set(missing.iloc[:, 1]) == {"not run in quick"}
    assert list(notes.scores(table, "BP4D", ("likeness of maps",)).iloc[:2, 1]) == [
        "80.0 (n = 1)",
        "30.0 (n = 1)",
    ]
    assert notes.datasets(table) == ["BP4D", "AffectNet"]


def test_sources_are_named_by_dataset(table):
    frame = notes.sources(table)
    assert list(frame.columns) == ["BP4D", "AffectNet"]
    assert (
        frame.loc["tested", "BP4D"] == "6 pictures of 3 people"
        and frame.loc["source", "AffectNet"] == "not run"
    )


def test_intervals_are_over_people(table):
    frame = notes.above_chance(table, "BP4D")
    assert list(frame.index) == [
        "name minus chance",
        "description minus chance",
        "rollout minus chance",
        "name minus absent",
    ]
    mean, low, high = (
        float(x)
        for x in frame.loc["name minus chance", "AUC"]
        .replace("(", "")
        .replace(")", "")
        .replace("to ", "")
        .split(" ")
    )
    assert mean == 20.0 and 19 <= low <= 20 <= high <= 21
    assert frame.loc["rollout minus chance", "AUC"] == "+0.0 (+0.0 to +0.0)"
    assert notes.above_chance(table, "AffectNet").empty


def test_labels_keep_the_order_of_the_dataset(table):
    frame = notes.by_label(table, "BP4D")
    assert list(frame["label"].unique()) == ["AU12", "AU1"]
    smile = frame[(frame["label"] == "AU12") & (frame["group"] == "by name")].iloc[0]
    assert smile["value"] == pytest.approx(40) and smile["chance"] == pytest.approx(20)


FACES = type("Split", (), {"images": np.zeros((9, 3, 64, 64), np.uint8)})


def test_figures_or_words(table, monkeypatch):
    monkeypatch.setattr(notes, "load_spec", lambda *_: FACES)
    monkeypatch.setattr(notes, "true_change", lambda recipe, samples, labels: torch.eye(64).repeat(2, 1, 1))
    sheet = notes.overlays(table, "BP4D")
    assert isinstance(sheet, figures.PageFigure)
    shown = [axes for axes in sheet.axes if axes.get_visible()]
    assert [a.get_title() for a in shown if a.get_title()] == [
        "AU1\ninner brow\nraiser",
        "AU12\nlip corner\npuller",
    ]
    assert all(axes.collections for axes in shown[:2])  # the true region's outline
    assert isinstance(notes.texts(table, "BP4D"), figures.PageFigure)
    assert isinstance(notes.against_chance(table, "BP4D"), figures.PageFigure)
    for empty in (notes.overlays, notes.texts, notes.against_chance):
        assert empty(table, "AffectNet") == "AffectNet: not run in quick"


def test_photographs_are_not_drawn_unless_asked(table, monkeypatch):
    (run,) = notes.after(table, "BP4D")
    real = run.recipe.model_copy(update={"data": run.recipe.data.model_copy(update={"source": "real"})})
    monkeypatch.setattr(notes, "after", lambda *_: [runs.Run(real, run.folder)])
    drawn = []
    monkeypatch.setattr(notes, "load_spec", lambda *_: drawn.append(1) or FACES)
    rows = [a.get_ylabel() for a in notes.overlays(table, "BP4D").axes if a.get_ylabel()]
    assert rows == ["name", "description"] and not drawn
    rows = [a.get_ylabel() for a in notes.overlays(table, "BP4D", show_faces=True).axes if a.get_ylabel()]
    assert rows == ["picture", "name", "description"] and drawn
