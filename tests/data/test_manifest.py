from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel, ValidationError

from fbu.data import manifest as manifests
from fbu.data.alignment import PRESETS
from fbu.data.layouts import layout
from fbu.data.manifest import Manifest, load_manifest, names, parse_manifest
from fbu.errors import DataError
from fbu.labels import AU_SETS, ORDERS
from fbu.resources import resource


def plain(name: str) -> dict[str, Any]:
    return yaml.safe_load(resource(f"{name}.yml").read_text(encoding="utf-8"))


def test_known_datasets() -> None:
    assert {"bp4d", "bp4dplus", "facial_expressions", "rafdb"} <= set(names())
    assert list(names()) == sorted(names())


@pytest.mark.parametrize("name", names())
def test_manifest_agrees_with_its_code(name: str) -> None:
    found = load_manifest(name)
    assert found.preset in PRESETS
    assert callable(layout(name).read) and callable(layout(name).write)
    if found.kind == "au":
        assert found.aus == AU_SETS[name]
    else:
        assert found.labels == ORDERS[name]
        assert set(found.expected.classes) == set(found.labels)
        assert sum(found.expected.classes.values()) == found.expected.rows
    if found.expected.parts:
        assert sum(found.expected.parts.values()) == found.expected.rows


def test_rafdb_codes_are_those_of_the_list_file() -> None:
    assert load_manifest("rafdb").codes == {
        "1": "surprise",
        "2": "fear",
        "3": "disgust",
        "4": "happiness",
        "5": "sadness",
        "6": "anger",
        "7": "neutral",
    }


def test_every_field_is_described() -> None:
    models = [m for m in vars(manifests).values() if isinstance(m, type) and issubclass(m, BaseModel)]
    bare = [f"{m.__name__}.{k}" for m in models for k, f in m.model_fields.items() if not f.description]
    assert not bare and Manifest in models


def test_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        load_manifest("rafdb").title = "x"  # type: ignore[misc]


def test_options() -> None:
    found = load_manifest("bp4d").with_options({"offset": -1})
    assert found.options["offset"] == -1 and load_manifest("bp4d").options["offset"] == 0
    with pytest.raises(DataError, match="no reader option 'ofset': known are .'offset'"):
        load_manifest("bp4d").with_options({"ofset": 1})


def test_unknown_dataset_lists_the_known() -> None:
    with pytest.raises(DataError, match="unknown dataset 'raf_db': known are .*bp4d.*rafdb"):
        load_manifest("raf_db")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"colour": "red"}, "colour"),
        ({"metric": None}, "metric"),
        ({"kind": "au"}, "kind 'au' needs aus"),
        ({"splits": {"rule": "hash", "val_one_in": 8, "source": "x"}}, "need folds"),
        ({"splits": {"rule": "official", "val_one_in": 1, "source": "x"}}, "splits.val_one_in"),
        ({"name": "other"}, "field name is 'other'"),
    ],
)
def test_malformed_manifest_names_file_and_field(tmp_path: Path, change: dict[str, Any], field: str) -> None:
    path = tmp_path / "rafdb.yml"
    path.write_text(yaml.safe_dump({**plain("rafdb"), **change}))
    with pytest.raises(DataError, match=field) as error:
        parse_manifest(path)
    assert str(path) in str(error.value)


def test_protocol_may_not_name_unknown_classes(tmp_path: Path) -> None:
    given = plain("rafdb")
    given["protocols"]["clef"]["classes"] = ["joy"]
    path = tmp_path / "rafdb.yml"
    path.write_text(yaml.safe_dump(given))
    with pytest.raises(DataError, match="'clef' names unknown classes or options .'joy'"):
        parse_manifest(path)


def test_not_yaml(tmp_path: Path) -> None:
    path = tmp_path / "rafdb.yml"
    path.write_text("a: [1,\nb: }")
    with pytest.raises(DataError, match="rafdb.yml is not a YAML file"):
        parse_manifest(path)
