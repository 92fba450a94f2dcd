"""KE-FER's tables: the paper's rows are all there, and every kind of recipe of the paper profile can take a step."""

from __future__ import annotations

import pytest
import torch
from enlarged import enlarged
from shallow import two_blocks
from stepping import stepped

from fbu import reported
from fbu.experiments import ke_fer
from fbu.experiments.ke_fer.stages import ENCODERS, LOSSES
from fbu.models import ke_fer as model
from fbu.models import tasks
from fbu.recipes import Recipe
from fbu.runs import ordered

PRINTED = {
    "table1_text_encoders": "ke_fer_table1_text_encoders",
    "table2_losses": "ke_fer_table2_losses",
    "table3_prompts": "ke_fer_table3_prompts",
    "table4_comparison": "ke_fer_table4_sota",
    "table5_cross_dataset": "ke_fer_table5_crossdataset",
}


@pytest.mark.parametrize("stem", PRINTED)
def test_every_printed_accuracy_has_its_cell(stem: str) -> None:
    printed = reported.table(PRINTED[stem])
    printed = printed[(printed["metric"] == "accuracy") & printed["value"].notna()]
    table = ke_fer.TABLES[stem]("demo")
    values = sorted(cell.reported for cell in table.cells)
    assert values == sorted(printed["value"])
    for cell in table.cells:
        assert cell.printed is not None and cell.printed.value == cell.reported
        ours = cell.printed.method.startswith("KE-FER")
        assert bool(cell.recipes) == ours


def test_table2_steps_are_the_paper_s() -> None:
    table = ke_fer.table2_losses("demo")
    cell = table.cell("Swin-T Ls Lt", "RAF-DB")
    assert cell.against == "Swin-T Ls" and cell.step == pytest.approx(0.78)
    assert table.cell("ResNet-18 Ls", "RAF-DB").against == "ResNet-18 labels"
    assert table.cell("ResNet-18 labels", "RAF-DB").against is None
    assert len(table.cells) == 2 * len(ENCODERS) * len(LOSSES)


def test_open_photographs_run_first_and_last_row() -> None:
    table = ke_fer.table2_losses("demo", "open")
    run = [cell.label for cell in table.cells if cell.recipes]
    assert run == [f"{e} {row}" for e in ENCODERS for row in ("labels", "Ls Lt Lc")]
    assert all(cell.reported is None for cell in table.cells)
    assert all(r.data.source == "open" for r in table.recipes())


def test_quick_trains_few_rows() -> None:
    every = {r.key(): r for t in ke_fer.TABLES.values() for r in t("quick").recipes()}
    trainings = [r for r in every.values() if r.task == "ke_fer.train"]
    assert len(trainings) <= 9


def test_default_template_is_one_training() -> None:
    """The default wording of Table 3, the whole of Table 2 and of Table 4 are the same recipe."""
    default = ke_fer.table3_prompts("demo").cells[8].recipes[0]
    assert default.key() == ke_fer.table2_losses("demo").cell("ResNet-18 Ls Lt Lc", "RAF-DB").recipes[0].key()
    assert (
        default.key()
        == ke_fer.table4_comparison("demo").cell("ResNet-18 Ls Lt Lc", "RAF-DB").recipes[0].key()
    )


def test_paper_profile_is_the_paper_s() -> None:
    for recipe in ordered(ke_fer.table2_losses("paper", "real").recipes()):
        optim = recipe.optim
        assert (optim.optimizer, optim.lr, optim.momentum, optim.weight_decay) == ("sgd", 2e-3, 0.9, 5e-4)
        assert (optim.batch_size, optim.epochs, recipe.start, recipe.reads) == (64, 50.0, None, {})
        side = {"resnet18": 224, "vit-b16": 224, "swin-t": 112}[recipe.encoder.name]
        assert recipe.data.image_size == side
    options = model.Training()
    assert (options.transformation, options.contrast, options.margin, options.temperature) == (1, 1, 2, 0.01)


def kind(recipe: Recipe) -> tuple[object, ...]:
    """What makes one recipe's step differ from another's; the data set counts where nothing else is set."""
    options = {k: v for k, v in recipe.options.items() if k not in ("template", "transformation", "contrast")}
    return recipe.encoder.name, "" if options else recipe.data.name, repr(options)


KINDS = {
    kind(r): r
    for table in ke_fer.TABLES.values()
    for r in ordered(table("paper", "real").recipes())
    if r.task == "ke_fer.train"
}
WIDTH = {"CLIP": 512, "ALIGN": 640, "BLIP": 256}


@pytest.mark.parametrize("recipe", KINDS.values(), ids=["-".join(map(str, k)) for k in KINDS])
def test_one_step_with_random_weights(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "published_texts", lambda kind, texts: torch.randn(len(texts), WIDTH[kind]))
    monkeypatch.setattr(tasks, "load_spec", enlarged)
    if recipe.options or recipe.data.name != "rafdb":  # the whole method steps with all twelve blocks, once
        two_blocks(monkeypatch)
    data = recipe.data.model_copy(update={"source": "twin", "size": "quick"})
    encoder = recipe.encoder.model_copy(update={"pretrained": None, "checkpoint": None})
    recipe = recipe.model_copy(update={"data": data, "encoder": encoder})
    _, loss, moved = stepped(recipe, 2)
    assert torch.isfinite(loss)
    assert any(moved)
