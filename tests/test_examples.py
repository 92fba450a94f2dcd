"""The book's examples of a new dataset and a new method: laid over a copy of the package, they run."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import interpreters
import pytest

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "book" / "examples"


def extended(example: str, folder: Path) -> Path:
    """A copy of the package with the files of an example added; none of its own files is replaced."""
    unwanted = shutil.ignore_patterns("__pycache__")
    for name in ("fbu", "data_manifests"):
        shutil.copytree(ROOT / name, folder / name, ignore=unwanted)
    for path in sorted((EXAMPLES / example).rglob("*.*")):
        target = folder / path.relative_to(EXAMPLES / example)
        if path.is_file() and "__pycache__" not in path.parts:
            assert not target.exists(), f"{target} is part of the package already"
            shutil.copyfile(path, target)  # its folder is there, or the example names a wrong one
    return folder


def python(folder: Path, *words: str) -> str:
    done = interpreters.python(*words, folder=folder, path=folder, variables=os.environ)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def with_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return extended("add_dataset", tmp_path_factory.mktemp("dataset"))


@pytest.fixture(scope="module")
def with_method(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return extended("add_method", tmp_path_factory.mktemp("method"))


def test_dataset_is_drawn_read_and_trained_on(with_dataset: Path) -> None:
    said = python(with_dataset, "try_it.py")
    assert said.startswith("polaroids train (twin, fold 0): ") and "neutral" in said
    pictures = int(re.findall(r"accuracy [\d.]+ on (\d+) pictures", said)[0])
    assert 20 < pictures < 120  # a fifth of 300, by people


def test_dataset_is_known_to_the_commands(with_dataset: Path, tmp_path: Path) -> None:
    root = str(tmp_path)
    words = ("list --names", f"twin polaroids --root {root}", f"check polaroids --root {root}")
    code = (
        "from typer.testing import CliRunner\n"
        "from fbu.cli import app\n"
        f"for words in {words!r}:\n"
        "    done = CliRunner().invoke(app, ['data', *words.split()])\n"
        "    assert done.exit_code == 0, done.output\n"
        "    print(done.output)"
    )
    said = python(with_dataset, "-c", code)
    assert "polaroids" in said.split() and "0 errors" in said
    assert (tmp_path / "polaroids/moods.csv").read_text().startswith("file,person,mood\n")
    code = (
        "from fbu import data\n"
        f"real, twin = (data.load('polaroids', 'test', **k) for k in (dict(source='real', root={root!r}), {{}}))\n"
        "print((real.images == twin.images).all() and (real.targets == twin.targets).all())\n"
    )
    reached = (
        "from fbu.recipes import Recipe\n"
        "recipe = dict(task='clef.finetune', data=dict(name='polaroids'), optim=dict(images=1))\n"
        "print(Recipe.model_validate(recipe).code())"
    )
    same, before = python(with_dataset, "-c", code + reached).split()
    assert same == "True"
    # The layout counts as code that a run on this dataset reaches.
    layout = with_dataset / "fbu/data/layouts/polaroids.py"
    text = layout.read_text()
    layout.write_text(text.replace('["file", "person", "mood"]', '["mood", "file", "person"]'))
    assert python(with_dataset, "-c", reached).strip() != before
    layout.write_text(text)


def test_method_trains_and_fills_its_table(with_method: Path) -> None:
    said = python(with_method, "try_it.py")
    assert "plain labels" in said and "smoothed labels" in said and "this run (twin)" in said
    assert re.search(r"smoothed labels .*\d\.\d \(n = 1\).*(shows|opposite|inconclusive)", said)


def test_method_s_loss_is_the_formula(with_method: Path) -> None:
    code = (
        "import doctest, torch, fbu.losses.smoothing as m\n"
        "assert doctest.testmod(m).attempted == 3 and not doctest.testmod(m).failed\n"
        "z, y = torch.randn(5, 7), torch.tensor([0, 6, 2, 2, 1])\n"
        "wanted = torch.nn.functional.cross_entropy(z, y, label_smoothing=0.3)\n"
        "torch.testing.assert_close(m.label_smoothed_cross_entropy(z, y, 0.3), wanted)\n"
        "print(m.__file__)"
    )
    assert python(with_method, "-c", code).strip() == str(with_method / "fbu/losses/smoothing.py")


def test_method_s_table_has_a_command_once_its_paper_is_listed(with_method: Path) -> None:
    """The page says which line to change."""
    path = with_method / "fbu" / "experiments" / "__init__.py"
    text = path.read_text()
    changed = re.sub(r"^PAPERS = \((.*?),?\)$", r'PAPERS = (\1, "smoothing")', text, flags=re.MULTILINE)
    assert changed != text
    path.write_text(changed)
    words = ["-m", "fbu.cli", "run", "--table", "smoothing.table1_amount", "--profile", "full", "--dry-run"]
    said = python(with_method, *words)
    assert "of 7 recipes to run" in said  # two rows, three seeds, and the tower that all start from
    path.write_text(text)


@pytest.mark.parametrize("page", ["add_dataset", "add_method", "scale"])
def test_pages_show_files_that_are_there(page: str) -> None:
    text = (ROOT / "book" / f"{page}.md").read_text()
    shown = re.findall(r"```\{literalinclude\} (\S+)", text)
    assert shown and [name for name in shown if not (ROOT / "book" / name).is_file()] == []
    example = EXAMPLES / page
    files = [path for path in example.rglob("*.*") if path.is_file() and "__pycache__" not in path.parts]
    assert {path.relative_to(ROOT / "book").as_posix() for path in files} <= set(shown)
