from __future__ import annotations

import os
import sys
from pathlib import Path
from subprocess import CompletedProcess

import interpreters
import nbformat
import pytest

from fbu.config import data_root
from fbu.errors import DataError
from fbu.parameters import NotebookParameters, ParameterError, check_parameters, declared, validate

ROOT = Path(__file__).resolve().parent.parent
CELLS = 'profile: str = "quick"\nsource = "twin"\nseeds: int = 1\nlevels: list[float] = [0.5, 1.0]'


def notebook(path: Path, cells: str = CELLS, tags: list[str] | None = None) -> Path:
    new = nbformat.v4
    first = new.new_code_cell(cells, metadata={"tags": ["parameters"] if tags is None else tags})
    check = new.new_code_cell(
        "import math\nfrom fbu.parameters import check_parameters\np = check_parameters(globals())"
    )
    last = new.new_code_cell("print(p.profile, p.seeds, p.levels)\nrows = [1]")
    book = new.new_notebook(cells=[first, check, last])
    book.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(book, path)
    return path


def papermill(path: Path, *arguments: str) -> CompletedProcess[str]:
    words = ["-m", "papermill", str(path), str(path.with_suffix(".out.ipynb")), *arguments]
    return interpreters.python(*words, folder=path.parent, path=ROOT, variables=os.environ)


def history(*cells: str, **names: object) -> dict[str, object]:
    """Globals of a kernel that ran ``cells``."""
    return {"In": ["", *cells], **names}


def test_defaults_and_values() -> None:
    checked = check_parameters({"profile": "demo", "source": {"rafdb": "open"}, "seeds": 3})
    assert (checked.profile, checked.source, checked.seeds, checked.device) == (
        "demo",
        {"rafdb": "open"},
        3,
        "auto",
    )


def test_data_root_reaches_the_loaders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FBU_DATA", "/elsewhere")
    monkeypatch.chdir(tmp_path)
    check_parameters({"data_root": "."})
    assert data_root() == tmp_path
    with pytest.raises(ParameterError, match="data_root: .*absent is not a folder"):
        check_parameters({"data_root": "absent"})
    assert data_root() == tmp_path


def test_result_is_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        check_parameters({}).profile = "demo"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("name", "value", "parts"),
    [
        ("profil", "demo", ["unknown parameter profil", "'demo'", "did you mean profile"]),
        ("seeds", "[0,1]", ["parameter seeds", "'[0,1]' (str)", "whole number", "-y"]),
        ("seeds", [0, 1], ["parameter seeds", "[0, 1] (list)", "whole number"]),
        ("seeds", 0, ["parameter seeds", "0 (int)", ">= 1"]),
        ("seeds", True, ["parameter seeds", "True (bool)"]),
        ("seeds", 1.0, ["parameter seeds", "1.0 (float)"]),
        ("profile", "fast", ["parameter profile", "'fast'", "quick, demo, full, paper"]),
        ("source", "twins", ["parameter source", "'twins'", "twin, real or open"]),
        ("source", {"raf": "open"}, ["parameter source", "{'raf': 'open'} (dict)", "dataset names"]),
        ("device", "gpu", ["parameter device", "'gpu'", "cuda"]),
        ("show_faces", 1, ["parameter show_faces", "1 (int)", "True or False"]),
        ("data_root", 3, ["parameter data_root", "3 (int)", "folder"]),
    ],
)
def test_wrong_parameter_is_named(name: str, value: object, parts: list[str]) -> None:
    with pytest.raises(ParameterError) as caught:
        check_parameters({name: value})
    message = str(caught.value)
    assert [part for part in parts if part not in message] == []
    assert "\n" not in message


def test_all_faults_in_one_message() -> None:
    with pytest.raises(ParameterError, match="profil .*seeds"):
        check_parameters({"profil": "demo", "seeds": "many"})


def test_kernel_names_are_no_parameters() -> None:
    namespace = {"In": [], "Out": {}, "_": 3, "exit": print, "sys": sys, "Path": Path, "seeds": 2}
    assert check_parameters(namespace).seeds == 2


def test_annotated_names_extend_the_schema() -> None:
    types_of = {"levels": list[float], "rate": "float"}
    checked = check_parameters({"__annotations__": types_of, "levels": [0.1], "rate": 1e-3})
    assert (checked.levels, checked.rate) == ([0.1], 1e-3)  # type: ignore[attr-defined]
    with pytest.raises(
        ParameterError, match=r"rate: received '1e-4' \(str\), expected a value of type float"
    ):
        check_parameters({"__annotations__": types_of, "levels": [0.1], "rate": "1e-4"})


def test_schema_class_extends_the_schema() -> None:
    class Mine(NotebookParameters):
        layers: int = 2

    assert check_parameters({"layers": 3}, Mine).layers == 3  # type: ignore[attr-defined]
    assert check_parameters(history("seeds = 1", "layers = 3", seeds=1, layers=3), Mine).layers == 3  # type: ignore[attr-defined]


def test_history_finds_the_injected_typo() -> None:
    names = history("profile = 'quick'", "# Parameters\nprofil = 'demo'\n", profile="quick", profil="demo")
    with pytest.raises(
        ParameterError, match="unknown parameter profil.*did you mean profile.*known are profile$"
    ):
        check_parameters(names)


def test_common_name_that_this_notebook_does_not_declare() -> None:
    names = history("profile = 'quick'", "# Parameters\nseeds = 3", profile="quick", seeds=3)
    with pytest.raises(ParameterError, match="unknown parameter seeds"):
        check_parameters(names)


def test_rerun_of_the_check_ignores_later_names() -> None:
    names = history(
        "profile = 'quick'", "check_parameters(globals())", "table = 3", "check_parameters(globals())"
    )
    assert check_parameters({**names, "profile": "quick", "table": 3}).profile == "quick"


def test_declaration_without_type() -> None:
    with pytest.raises(ParameterError, match="parameter levels has no type: write `levels: type = ...`"):
        check_parameters(history("profile = 'quick'\nlevels = [1]", profile="quick", levels=[1]))


def test_declaration_with_unreadable_type() -> None:
    with pytest.raises(ParameterError, match="parameter levels: cannot read its type 'Lisst'"):
        check_parameters(history("levels: Lisst = 1", levels=1))


def test_broken_cell_assigns_nothing() -> None:
    assert check_parameters(history("profile = = 'demo'", "seeds = 2", seeds=2)).seeds == 2


def test_validate_before_running(tmp_path: Path) -> None:
    path = notebook(tmp_path / "a.ipynb")
    assert declared(path) == {"profile", "source", "seeds", "levels"}
    validate(path, {"profile": "demo", "levels": [0.1]})
    with pytest.raises(ParameterError, match="unknown parameter device"):
        validate(path, {"device": "cuda"})
    with pytest.raises(
        ParameterError, match=r"levels: received 'x' \(str\), expected a value of type list\[float\]"
    ):
        validate(path, {"levels": "x"})


def test_validate_names_the_bad_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="absent.ipynb does not exist"):
        validate(tmp_path / "absent.ipynb", {})
    with pytest.raises(DataError, match="b.ipynb has no cell tagged 'parameters'"):
        validate(notebook(tmp_path / "b.ipynb", tags=[]), {})
    (tmp_path / "c.ipynb").write_text("{")
    with pytest.raises(DataError, match="c.ipynb is not a notebook"):
        validate(tmp_path / "c.ipynb", {})


def test_papermill_runs_with_the_right_parameters(tmp_path: Path) -> None:
    path = notebook(tmp_path / "good.ipynb")
    done = papermill(path, "-p", "profile", "demo", "-y", "levels: [0.25]")
    assert done.returncode == 0, done.stderr
    ran = nbformat.read(path.with_suffix(".out.ipynb"), as_version=4)
    assert ran.cells[-1].outputs[0].text == "demo 1 [0.25]\n"


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("profil", "demo", "unknown parameter profil (received 'demo'): did you mean profile?"),
        ("seeds", "[0,1]", "parameter seeds: received '[0,1]' (str), expected a whole number >= 1"),
    ],
)
def test_papermill_stops_at_once(tmp_path: Path, name: str, value: str, message: str) -> None:
    path = notebook(tmp_path / "bad.ipynb")
    done = papermill(path, "-p", name, value)
    assert done.returncode != 0
    assert message in done.stderr
    ran = nbformat.read(path.with_suffix(".out.ipynb"), as_version=4)
    assert ran.cells[-1].execution_count is None
