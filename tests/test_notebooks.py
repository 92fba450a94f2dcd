"""The contract of the book's notebooks; a new one is checked on the day it lands."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import nbformat
import pytest
import yaml

from fbu.book import find
from fbu.book.notebooks import MARK
from fbu.book.pages import pages_of
from fbu.parameters import NotebookParameters, declared, validate

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = find(ROOT)
LONGEST = 30
LONGEST_HELPER = 5
PAPERS = ("clef", "ke_fer", "dk_clip", "emoco")

each = pytest.mark.parametrize(
    "path", [book.path for book in NOTEBOOKS], ids=[book.name for book in NOTEBOOKS]
)


def read(path: Path) -> Any:
    return nbformat.read(path, as_version=nbformat.NO_CONVERT)


def code_cells(path: Path) -> list[Any]:
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


def tags(cell: Any) -> list[str]:
    return list(cell.metadata.get("tags", []))


def test_the_contents_list_every_notebook() -> None:
    listed = [
        page
        for page in pages_of(yaml.safe_load((ROOT / "_toc.yml").read_text()))
        if page.startswith("notebooks/")
    ]
    assert sorted(listed) == [f"notebooks/{book.name}" for book in NOTEBOOKS] != []


@each
def test_begins_with_a_title(path: Path) -> None:
    first = read(path).cells[0]
    assert first.cell_type == "markdown" and first.source.startswith("# ")


@each
def test_cells_have_stable_ids(path: Path) -> None:
    book = read(path)
    assert (book.nbformat, book.nbformat_minor >= 5) == (4, True)
    ids = [cell.id for cell in book.cells]
    assert len(set(ids)) == len(ids)


@each
def test_parameters_come_first_and_are_checked_next(path: Path) -> None:
    cells = code_cells(path)
    assert [number for number, cell in enumerate(cells) if "parameters" in tags(cell)] == [0]
    assert "check_parameters(globals()" in cells[1].source
    assert "profile" in declared(path)
    validate(path, {"profile": "demo"})


@each
def test_own_parameters_have_a_type(path: Path) -> None:
    body = ast.parse(code_cells(path)[0].source).body
    typed = {
        node.target.id
        for node in body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }
    assert declared(path) - typed <= set(NotebookParameters.model_fields)


@each
def test_marked_cells_keep_their_outputs_and_no_others(path: Path) -> None:
    cells = code_cells(path)
    marked = [cell for cell in cells if MARK in tags(cell)]
    assert marked, f"tag a cell {MARK} and run `python -m fbu.book refresh`"
    for cell in marked:
        assert cell.execution_count and any(
            output.get("text") or output.get("data") for output in cell.outputs
        )
    assert [
        cell.source for cell in cells if MARK not in tags(cell) and (cell.outputs or cell.execution_count)
    ] == []


@each
def test_stored_outputs_are_text_without_paths_or_errors(path: Path) -> None:
    for cell in code_cells(path):
        for output in cell.outputs:
            assert output.output_type != "error" and output.get("name") != "stderr"
            assert not [kind for kind in output.get("data", {}) if kind.startswith("image/")]
            text = str(output.get("text", "")) + str(output.get("data", {}).get("text/plain", ""))
            assert str(ROOT) not in text and " object at 0x" not in text


@each
def test_cells_are_short_and_hold_no_training_code(path: Path) -> None:
    for cell in code_cells(path):
        assert len(cell.source.splitlines()) <= LONGEST
        nodes = list(ast.walk(ast.parse(cell.source)))
        assert not [node for node in nodes if isinstance(node, ast.ClassDef)]
        functions = [node for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
        assert all(len(ast.unparse(node).splitlines()) <= LONGEST_HELPER for node in functions)
        called = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
        assert not called & {"backward", "zero_grad"}, "training code belongs into the library"


@pytest.mark.parametrize("book", [b for b in NOTEBOOKS if b.chapter in PAPERS], ids=lambda book: book.name)
def test_stem_is_the_name_of_its_experiment(book: Any) -> None:
    from fbu.book.recipes import experiment

    assert experiment(book) is not None
