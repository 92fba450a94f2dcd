"""Each fault of the table must be noticed by its test, for the reason that the test is about.

A mutant runs in a copy of the package and in its own process, so workers may take them in any order.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
COPIED = ("fbu", "data_manifests", "pyproject.toml")
HONEST = (
    "AssertionError",
    "assert ",
    "Failed: DID NOT RAISE",
)  # how the message of a failed assertion begins

spec = importlib.util.spec_from_file_location("mutants_table", HERE / "mutants.py")
assert spec is not None and spec.loader is not None
table = importlib.util.module_from_spec(spec)
sys.modules["mutants_table"] = table  # dataclasses look their module up
spec.loader.exec_module(table)
MUTANTS = table.MUTANTS
TEST_FILES = sorted({mutant.test_file for mutant in MUTANTS})

Run = Callable[..., tuple[int, list[str], str]]


@pytest.fixture(scope="module")
def run_tests() -> Iterator[Run]:
    """Runs test nodes in a copy: exit code, messages of the failures, whole output."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "COV_", "FBU_"))}
    # No plugins and no `addopts` of the project: no workers or coverage within a mutant.
    environment |= {
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "OMP_NUM_THREADS": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    options = ["-x", "-q", "-p", "no:cacheprovider", "-o", "addopts=", "--junitxml=report.xml"]
    command = [sys.executable, str(HERE / "runner.py")]
    with subprocess.Popen(
        command, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as runner:
        assert runner.stdin is not None and runner.stdout is not None

        def run(copy: Path, *nodes: str) -> tuple[int, list[str], str]:
            print(
                json.dumps({"copy": str(copy), "arguments": [*options, *nodes]}),
                file=runner.stdin,
                flush=True,
            )
            code = int(runner.stdout.readline())
            report, messages = copy / "report.xml", []
            if report.exists():
                messages = [found.get("message", "") for found in ElementTree.parse(report).iter("failure")]
            return code, messages, (copy / "output.txt").read_text()

        yield run
        runner.stdin.close()


def copy_package(target: Path, test_file: str) -> None:
    """The package, what it reads, the test file and every conftest.py on the way to it."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            # Compiled files come along: they fit all modules but the one that is changed.
            # One that is being written has a longer name, and may be gone when its turn comes.
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("*.pyc.*"))
        else:
            shutil.copy(source, target / name)
    test = Path(test_file)
    (target / test).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / test, target / test)
    for folder in test.parents:
        if (ROOT / folder / "conftest.py").exists():
            shutil.copy(ROOT / folder / "conftest.py", target / folder / "conftest.py")


@pytest.mark.parametrize("test_file", TEST_FILES)
def test_control_the_unchanged_copy_passes(test_file: str, tmp_path: Path, run_tests: Run) -> None:
    copy_package(tmp_path, test_file)
    # Were the installed package tested in place of the copy, this one would fail.
    where = tmp_path / "test_the_copy_is_imported.py"
    where.write_text(
        f"import fbu\n\n\ndef test_it():\n    assert fbu.__file__.startswith({str(tmp_path)!r})\n"
    )
    nodes = sorted({mutant.test for mutant in MUTANTS if mutant.test_file == test_file})
    code, _, output = run_tests(tmp_path, where.name, *nodes)
    assert code == 0, output


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_mutant_is_noticed(mutant, tmp_path: Path, run_tests: Run) -> None:  # noqa: ANN001
    copy_package(tmp_path, mutant.test_file)
    source = tmp_path / mutant.file
    text = source.read_text()
    assert text.count(mutant.original) == 1, (
        f"{mutant.file} holds {mutant.original!r} not exactly once: mend the table"
    )
    source.write_text(text.replace(mutant.original, mutant.faulty))
    code, messages, output = run_tests(tmp_path, mutant.test)
    assert code == 1, f"{mutant.test} did not fail on: {mutant.name}\n{output}"
    assert len(messages) == 1 and messages[0].startswith(HONEST), (
        f"failed, but not by its assertion\n{output}"
    )


def test_the_table_is_sound() -> None:
    names = [mutant.name for mutant in MUTANTS]
    assert len(names) >= 15
    assert len(set(names)) == len(names)
    for mutant in MUTANTS:
        assert mutant.original != mutant.faulty
        assert "\n" not in mutant.original + mutant.faulty, f"{mutant.name}: one line each"
        assert (ROOT / mutant.test_file).is_file(), mutant.test
