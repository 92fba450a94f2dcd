"""CLEF's pre-training beside EmoCo's: what the rows share, and that they can be trained."""

from __future__ import annotations

import torch
from stepping import stepped

from fbu import experiments
from fbu.experiments import common
from fbu.experiments.common import comparison
from fbu.experiments.common.comparison import (
    EMOCO,
    EMOCO_HERE,
    MOCO,
    MOCO_HERE,
    PICTURES,
    RANDOM,
    ROWS,
    START,
    TEXTS,
)
from fbu.experiments.profiles import FARL_FILE
from fbu.recipes import Recipe

HERE = (MOCO_HERE, EMOCO_HERE, PICTURES, TEXTS)


def rows(profile: str, column: str = "BP4D") -> dict[str, Recipe]:
    table = common.pretraining_comparison(profile, seeds=1)
    return {c.label: c.recipes[0] for c in table.cells if c.column == column and c.recipes}


def test_the_table_has_a_name() -> None:
    assert "common.pretraining_comparison" in experiments.names()
    table = experiments.table("common.pretraining_comparison", profile="quick")
    assert len({c.label for c in table.cells if c.recipes}) <= 4
    assert experiments.common.TABLES == common.TABLES  # by the name of the package, as a paper's


def test_rows_differ_in_the_pretraining_alone() -> None:
    for column in comparison.COLUMNS:
        found = rows("demo", column)
        assert tuple(found) == ROWS
        assert len({r.model_copy(update={"start": None}).key() for r in found.values()}) == 1
        assert {r.task for r in found.values()} == {"emoco.linear"}


def test_pretrainings_start_alike_and_see_as_many_pictures() -> None:
    found = rows("demo")
    starts = {label: found[label].start for label in (*HERE, MOCO, EMOCO)}
    assert found[RANDOM].start is None and found[START].start is not None
    assert {r.start.key() for r in starts.values()} == {found[START].start.key()}
    assert len({r.optim.model_dump_json() for r in starts.values()}) == 1
    assert len({starts[label].data.model_dump_json() for label in HERE}) == 1
    assert {starts[label].data.name for label in (MOCO, EMOCO)} == {"affectnet"}
    assert starts[EMOCO_HERE].options["groups"] == "activity" and "balance" not in starts[EMOCO_HERE].options
    assert starts[MOCO].options["emotion"] == 0 and starts[MOCO].options["queues"] == "single"
    assert starts[TEXTS].options["activity_text"] and not starts[PICTURES].options["activity_text"]
    tested = {found[label].data.fold for label in HERE}
    assert tested == {starts[label].data.fold for label in HERE}  # its people are pre-trained on by nobody


def test_paper_profile_starts_from_the_published_weights() -> None:
    found = rows("paper")
    assert {r.encoder.name for r in found.values()} == {"vit-b16"}
    assert found[RANDOM].encoder.checkpoint is None and found[EMOCO].encoder.checkpoint == FARL_FILE
    assert found[START].start is None and found[EMOCO].start.encoder.checkpoint == FARL_FILE
    assert all(r.data.image_size == 224 for r in found.values())


def test_one_step_on_activities() -> None:
    recipe = rows("quick")[EMOCO_HERE].start.model_copy(update={"start": None})
    _, loss, moved = stepped(recipe, 4)
    assert torch.isfinite(loss) and all(moved)
