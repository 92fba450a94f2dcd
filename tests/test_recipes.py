import pkgutil
import re
from importlib import import_module

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from fbu import data, models
from fbu.fingerprints import reached
from fbu.recipes import DataSpec, OptimSpec, Recipe, task_type


def make(**changes):
    settings = {"task": "clef.finetune", "data": {"name": "rafdb"}, "optim": {"images": 640}}
    return Recipe.model_validate({**settings, **changes})


def test_round_trip_keeps_the_key():
    start = make(task="clef.pretrain", data={"name": "bp4d", "fold": 1})
    recipe = make(start=start, options={"use": "IN"}, seed=3)
    again = Recipe.model_validate_json(recipe.model_dump_json())
    assert again == recipe
    assert again.key() == recipe.key()


@given(st.integers(0, 1000), st.floats(1e-6, 1.0), st.sampled_from(["I", "IN", "ID", "IND"]))
def test_any_setting_changes_the_key(seed, lr, use):
    base = make(seed=1001, options={"use": "IND"}, optim={"images": 640, "lr": 2.0})
    other = make(seed=seed, options={"use": use}, optim={"images": 640, "lr": lr})
    assert base.key() != other.key()


def test_key_is_stable_over_time():
    """The ledger finds its recipes by key, so the key of a given JSON must never move by accident."""
    assert make().key() == "8c0850d6b4ef0eb9"


def test_start_is_part_of_the_key_and_of_the_code():
    start = make(task="clef.pretrain", data={"name": "bp4d", "fold": 1})
    assert make(start=start).key() != make().key()
    assert make(start=start).code() != make().code()
    assert [r.task for r in make(start=start).chain()] == ["clef.pretrain", "clef.finetune"]


def test_a_task_reads_only_the_runs_that_it_names():
    with pytest.raises(ValidationError, match="clef.finetune reads no further runs, not text"):
        make(reads={"text": make(seed=5)})


def test_frozen():
    with pytest.raises(ValidationError):
        make().seed = 4


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"task": "clef.finetun"}, "clef.finetune"),
        ({"task": "cleff.finetune"}, "no module 'cleff'"),
        ({"options": {"us": "I"}}, "us"),
        ({"options": {"use": "X"}}, "use"),
        ({"optim": {"images": 10, "epochs": 2}}, "once"),
        ({"optim": {}}, "once"),
        ({"optim": {"images": 10, "batch_size": 64, "accumulation": 3}}, "multiple"),
        ({"select": "val"}, "evaluations"),
        ({"optm": {}}, "optm"),
    ],
)
def test_wrong_settings_are_named(changes, words):
    with pytest.raises((ValidationError, ValueError), match=words):
        make(**changes)


def test_steps():
    assert OptimSpec(images=640, batch_size=64).steps(10) == 10
    assert OptimSpec(epochs=2, batch_size=64).steps(320) == 10
    assert OptimSpec(images=1, batch_size=64).steps(10) == 1
    assert OptimSpec(images=0).steps(10) == 0


def test_task_type_lists_what_is_known():
    with pytest.raises(ValueError, match="clef.finetune, clef.pretrain"):
        task_type("clef.nothing")
    assert task_type("clef.pretrain").options_type.model_fields.keys() >= {"activity_text", "pairing"}


def test_data_spec_refuses_a_source():
    with pytest.raises(ValidationError, match="source"):
        DataSpec(name="rafdb", source="twins")


@pytest.mark.parametrize("method", ["clef", "towers"])
def test_code_of_a_method_does_not_reach_what_grows_with_others(method):
    """A new loss, label set, score, dataset or method elsewhere leaves finished results as they are."""
    found = reached(f"fbu.models.{method}")
    assert not {"fbu.losses", "fbu.labels", "fbu.evaluation", "fbu.explain", "fbu.models"} & set(found)
    assert not [m for m in found if m.startswith(("fbu.experiments", "fbu.figures", "fbu.ledger"))]
    others = {m.name for m in pkgutil.iter_modules(models.__path__)} - {method}
    tasks = [
        m for m in others if f"fbu.models.{m}" in found and hasattr(import_module(f"fbu.models.{m}"), "TASKS")
    ]
    assert not tasks
    shared = {"_checks", "_numerics", "contrastive"}
    assert {m.split(".")[2] for m in found if m.startswith("fbu.losses.")} <= {method, *shared}
    for name in data.names():
        assert not [m for m in found if re.match(rf"fbu\.data\.(layouts|worlds\.populations)\.{name}", m)]
