"""EmoCo's tables: the paper's rows are all there, and every kind of recipe of the paper profile can take a step."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from stepping import stepped

from fbu import reported
from fbu.experiments import emoco
from fbu.experiments.emoco.stages import COLUMNS, MOCO, PARTS, WHOLE, detection, pretraining
from fbu.experiments.profiles import PROFILES
from fbu.models import emoco as model
from fbu.models import emoco_units
from fbu.recipes import Recipe
from fbu.runs import Run, ordered

TABLES = {"table1_gft": "GFT", "table2_disfa": "DISFA", "table3_bp4d": "BP4D"}


@pytest.mark.parametrize("stem", [*TABLES, "table4_ablation"])
def test_every_printed_number_has_its_cell(stem: str) -> None:
    printed = reported.table(f"emoco_{stem}")
    cells = [cell for cell in emoco.TABLES[stem]("demo", seeds=1).cells if cell.printed is not None]
    assert sorted(cell.reported for cell in cells) == sorted(printed["value"])
    for cell in cells:
        assert cell.printed.value == cell.reported
        ours = cell.printed.method in ("EmoCo", "MoCo", "ResNet-50")
        assert bool(cell.recipes) == ours


@pytest.mark.parametrize(("stem", "dataset"), TABLES.items())
def test_rows_of_the_three_tables(stem: str, dataset: str) -> None:
    table = emoco.TABLES[stem]("demo", seeds=1)
    run = {cell.label for cell in table.cells if cell.recipes}
    assert run == {
        "ResNet-50 supervised", "MoCo linear", "EmoCo linear", "MoCo finetune", "EmoCo finetune"
    }  # fmt: skip
    assert {r.data.name for r in table.recipes()} == {COLUMNS[dataset]}
    assert table.columns()[-1] == "Avg" and table.cell("EmoCo linear", "AU12").metric == "f1/AU12"
    quick = emoco.averages(emoco.TABLES[stem]("quick"))
    assert {c.column for c in quick.cells} == {"Avg"} and {c.label for c in quick.cells} == run
    supervised = table.cell("ResNet-50 supervised", "Avg").recipes[0]
    tuned = table.cell("EmoCo finetune", "Avg").recipes[0]
    assert supervised.start is None and tuned.start.task == "emoco.pretrain"
    assert supervised.model_copy(update={"start": tuned.start}) == tuned  # they differ in nothing else
    step = table.cell("EmoCo finetune", "Avg")
    assert step.against == "MoCo finetune" and step.step == pytest.approx(
        step.reported - table.cell("MoCo finetune", "Avg").reported
    )


def test_steps_of_the_ablation_are_the_paper_s() -> None:
    table = emoco.table4_ablation("demo", seeds=1)
    assert len(table.cells) == 3 * 2 * 5
    assert table.cell("linear EmoCo", "GFT").against is None
    cell = table.cell("linear contrast only", "BP4D")
    assert cell.against == "linear EmoCo" and cell.step == pytest.approx(55.0 - 59.3)
    assert table.cell("finetune EmoCo", "DISFA").recipes[0].task == "emoco.finetune"


def test_tables_and_figures_share_runs() -> None:
    """The whole method and one lambda are the same recipe wherever they stand."""
    whole = emoco.table3_bp4d("demo", seeds=1).cell("EmoCo linear", "Avg").recipes[0]
    assert emoco.table4_ablation("demo", seeds=1).cell("linear EmoCo", "BP4D").recipes[0].key() == whole.key()
    swept = emoco.fig4_lambda("demo").cell("intra-class, λ = 1", "BP4D linear").recipes[0]
    assert swept.key() == whole.key()
    looked = emoco.fig5_features("demo", seeds=1).cell("EmoCo", "identity").recipes[0]
    assert looked.start.key() == whole.start.key()


def test_quick_trains_few_rows() -> None:
    every = {r.key(): r for t in emoco.TABLES.values() for r in ordered(t("quick").recipes())}
    count = [sum(r.task == f"emoco.{task}" for r in every.values()) for task in ("pretrain", "finetune")]
    assert count == [6, 4]
    assert all(len({c.label for c in t("quick").cells if c.recipes}) <= 4 for t in emoco.TABLES.values())
    assert sum(r.optim.images for r in every.values() if r.task != "emoco.linear") < 8_000


def test_margins_are_the_averages_of_three_tables() -> None:
    table = emoco.margins("demo", seeds=1)
    assert [c.column for c in table.cells] == [column for column in COLUMNS for _ in range(4)]
    for column, stem in zip(COLUMNS, TABLES, strict=True):
        theirs = emoco.TABLES[stem]("demo", seeds=1).cell("EmoCo finetune", "Avg")
        ours = table.cell("EmoCo finetune", column)
        assert (ours.reported, ours.recipes, ours.step) == (theirs.reported, theirs.recipes, theirs.step)
    told = emoco.ahead(table)
    assert told.loc[("finetune", "GFT"), "paper, over the best other"] == "+3.9 (Temporal Ranking)"
    assert told.loc[("finetune", "DISFA"), "paper, over the best other"] == "+5.7 (Temporal Ranking)"
    assert told.loc[("linear", "BP4D"), "paper, over the best other"] == "-1.0 (TAE)"
    assert set(told["this run, over MoCo"]) == {"not run in demo"}


def test_open_photographs_are_pretrained_on() -> None:
    for recipe in ordered(emoco.table3_bp4d("demo", "open", seeds=1).recipes()):
        name = "facial_expressions" if recipe.task == "emoco.pretrain" else "bp4d"
        assert recipe.data.name == name and recipe.data.source == ("twin" if name == "bp4d" else "open")


def test_paper_profile_is_the_paper_s() -> None:
    """Against reported/hyperparameters.csv; what it does not state must be among the assumed settings."""
    stated = reported.hyperparameters("emoco").set_index(["stage", "name"])["value"].to_dict()
    said = {name: value for (stage, name), value in stated.items() if stage == "pre-training"}
    recipe = pretraining(PROFILES["paper"], "real", 0)
    optim, options = recipe.optim, model.Pretraining.model_validate(recipe.options)
    assert optim.optimizer == said["optimizer"].lower() and optim.schedule == "cosine"
    assert (optim.lr, optim.weight_decay) == (
        float(said["base learning rate"]),
        float(said["weight decay"]),
    )
    assert (optim.momentum, optim.batch_size) == (float(said["SGD momentum"]), int(said["batch size"]))
    assert optim.epochs == float(said["epochs"]) and optim.batch_size == 256  # the rate's unit
    assert options.queue_size == int(said["queue size K (per class)"])
    assert options.temperature == float(said["temperature tau"])
    assert options.momentum == float(said["momentum coefficient m"])
    assert options.emotion == float(said["lambda"])
    assert recipe.encoder.name == "resnet50" and recipe.data.image_size == 256
    assert said["warmup"] == "not stated" and "optim.warmup" in recipe.assumed
    for stage in ("linear protocol", "finetune protocol"):
        assert any(v == "not stated" for (s, _), v in stated.items() if s == stage)
    for protocol in ("linear", "finetune"):
        assert "optim" in detection(PROFILES["paper"], "GFT", "real", 0, protocol).assumed


def kind(recipe: Recipe) -> tuple[object, ...]:
    """What makes one recipe's step differ from another's."""
    options = {k: v for k, v in recipe.options.items() if k != "emotion" or not v}
    return recipe.task, repr(options)


KINDS = {
    kind(r): r
    for table in emoco.TABLES.values()
    for r in ordered(table("paper", "real", seeds=1).recipes())
    if r.optim.images != 0
}


def test_all_kinds_are_there() -> None:
    assert len(KINDS) == len(PARTS) + 2
    assert {r.encoder.name for r in KINDS.values()} == {"resnet50"}


@pytest.mark.parametrize("recipe", KINDS.values(), ids=["-".join(map(str, k)) for k in KINDS])
def test_one_step_with_random_weights(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    """ResNet-50 on pictures of 64 pixels, which it takes as well; the whole method with queues of full size."""
    monkeypatch.setattr(
        emoco_units, "encoded", lambda encoder, images, device: torch.randn(len(images), 2048)
    )
    data = recipe.data.model_copy(update={"source": "twin", "size": "quick", "image_size": 64})
    options = dict(recipe.options)
    if recipe.task == "emoco.pretrain" and set(options) - {"emotion"}:
        options["queue_size"] = 512
    recipe = recipe.model_copy(update={"data": data, "start": None, "options": options})
    _, loss, moved = stepped(recipe, 4)
    assert torch.isfinite(loss)
    assert all(moved)


@pytest.mark.parametrize("profile", ["demo", "full", "paper"])
def test_curves_go_on_behind_the_fifth_epoch(profile: str) -> None:
    cells = emoco.fig_convergence(profile).cells
    assert {cell.column for cell in cells} == {"GFT", "DISFA", "BP4D"}
    for recipe in (recipe for cell in cells for recipe in cell.recipes):
        assert recipe.optim.images is None and recipe.optim.epochs > 5
        assert recipe.traced and recipe.evaluations == 10 and recipe.select == "last"


def test_convergence_reads_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    table = emoco.fig_convergence("quick")
    cell = table.cell("EmoCo finetune", "BP4D")
    history = [{"step": s, "val": {"f1": s / 1000}, "test": {"f1": s / 2000}} for s in (100, 200)]

    class Finished(Run):
        extra = {"history": history}

        def task(self, device: str = "cpu") -> object:
            return type("Task", (), {"train_split": range(800)})

    table.runs = {cell.recipes[0].key(): Finished(cell.recipes[0], None)}
    assert emoco.best_epochs(table).loc[("BP4D", "EmoCo finetune")].tolist() == [4.0, 4.0, 1.0]
    found = emoco.convergence(table)
    assert found["epoch"].tolist() == [2.0, 4.0]  # of 800 pictures, 16 a step
    assert np.allclose(found["validation"], [10, 20]) and np.allclose(found["test"], [5, 10])
    (curve,) = emoco.curves(table)  # a picture for each set that was run
    assert curve.axes[0].get_lines()[0].get_ydata().tolist() == pytest.approx([10, 20])


def test_span_of_a_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    table = emoco.fig4_lambda("quick")
    table.runs = {
        cell.recipes[0].key(): type("Done", (), {"metrics": {"test": {"f1": value}}})()
        for cell, value in zip((c for c in table.cells if c.recipes), (0.5, 0.25, 0.75), strict=True)
    }
    told = emoco.spans(table)
    assert told.loc[("BP4D linear", "intra-class"), "range"] == 25.0
    assert told.loc[("BP4D linear", "L2"), "values of λ run"] == 1
    assert emoco.by_lambda(table, "BP4D linear").axes


def test_moco_has_neither_emotions_nor_prototypes() -> None:
    settings = model.Pretraining.model_validate(PARTS[MOCO])
    assert (settings.emotion, settings.queues, settings.normalization) == (0, "single", "l2")
    assert PARTS[WHOLE] == {}
