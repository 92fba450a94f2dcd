"""What a user gets: the wheel, the commands of the README, the pages' promises."""

from __future__ import annotations

import csv
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

from fbu.book.dataset_pages import FOLDER
from fbu.book.pages import pages_of
from fbu.book.status import PAPERS, status_rows

ROOT = Path(__file__).resolve().parent.parent
TARGETS = ("book", "test", "lint", "bench", "verify-ledger")


def outside(code: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run Python code in a folder outside the checkout."""
    environment = {**os.environ, "FBU_HOME": str(folder / "home"), **variables}
    command = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--quiet"]
    done = subprocess.run([*command, "-w", str(folder), str(ROOT)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return next(folder.glob("fbu-*.whl"))


def test_wheel_holds_code_and_tables_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tables = {p.relative_to(ROOT).as_posix() for p in (ROOT / "data_manifests").rglob("*") if p.is_file()}
    modules = {p.relative_to(ROOT).as_posix() for p in (ROOT / "fbu").rglob("*.py")}
    held = {name for name in names if ".dist-info/" not in name}
    assert held == modules | {f"fbu/{name}" for name in tables}
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_wheel_runs_outside_the_checkout(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    code = (
        "import fbu, fbu.data, fbu.reported\n"
        "from fbu.resources import resource\n"
        "print(fbu.__file__)\nprint(resource('claims.csv'))\nprint(fbu.data.load_manifest('bp4d').name)\n"
        "print(fbu.reported.value('clef_text_separate_encoders', variant='text_encoder=shared'))"
    )
    done = outside(code, tmp_path, PYTHONPATH=str(tmp_path / "site"))
    assert done.returncode == 0, done.stderr
    package, claims, *rest = done.stdout.split()
    assert package == str(tmp_path / "site/fbu/__init__.py")
    assert claims == str(tmp_path / "site/fbu/data_manifests/claims.csv")
    assert rest == ["bp4d", "65.9"]


def test_import_is_light(tmp_path: Path) -> None:
    heavy = "{'torch', 'pandas', 'numpy', 'sklearn', 'matplotlib', 'open_clip'}"
    done = outside(f"import sys, fbu; print(sorted({heavy} & set(sys.modules)))", tmp_path)
    assert done.stdout == "[]\n", done.stderr


def test_command_is_installed() -> None:
    command = Path(sys.executable).with_name("fbu")
    done = subprocess.run([command, "--help"], capture_output=True, text=True)
    assert done.returncode == 0 and "ledger" in done.stdout


def names_of(requirements: list[str]) -> set[str]:
    return {re.split(r"[<>=\[ ]", line)[0].lower().replace("_", "-") for line in requirements}


def test_conda_has_the_same_set() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = names_of([*project["dependencies"], *extras["book"], *extras["test"]])
    listed = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    through_pip = [line for entry in listed if isinstance(entry, dict) for line in entry["pip"]]
    given = names_of([entry for entry in listed if isinstance(entry, str)] + through_pip)
    assert (given | {"torch"}) - {"pytorch", "python", "make", "pip"} == wanted


def test_citation_names_the_licence_and_the_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert (citation["version"], citation["license"]) == (project["version"], "Apache-2.0")
    assert len(citation["references"]) == len(PAPERS)
    assert project["version"] in (ROOT / "CHANGELOG.md").read_text()


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
@pytest.mark.parametrize("target", TARGETS)
def test_make_target_says_what_it_does(target: str) -> None:
    def make(*words: str) -> str:
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS", "VENV"))}
        done = subprocess.run(["make", *words], capture_output=True, text=True, cwd=ROOT, env=environment)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert f"make {target} " in make()
    with_given = make("-n", target, "VENV=/given")
    assert f'echo "{target}' in with_given and "/given/bin/" in with_given
    assert "pip install" not in with_given
    assert "pip install" in make("-n", "-W", "pyproject.toml", target)


def test_readme_snippets_run(tmp_path: Path) -> None:
    text = (ROOT / "README.md").read_text()
    snippets = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    assert snippets
    for snippet in snippets:
        done = outside(snippet, tmp_path)
        assert done.returncode == 0, done.stderr


def test_readme_links_exist() -> None:
    targets = re.findall(r"\]\(([^)#]+)[^)]*\)", (ROOT / "README.md").read_text())
    local = [target for target in targets if "://" not in target]
    assert [target for target in local if not (ROOT / target).exists()] == [] != local


def test_every_page_is_in_the_contents() -> None:
    listed = set(pages_of(yaml.safe_load((ROOT / "_toc.yml").read_text())))
    written = {path.relative_to(ROOT).with_suffix("").as_posix() for path in (ROOT / "book").rglob("*.md")}
    made = {page for page in listed if page.startswith(f"{FOLDER}/")}  # from the manifests
    assert {page for page in listed if page.startswith("book/")} - made == written != set()


def test_status_lists_every_reported_table() -> None:
    rows = status_rows(ROOT / "book" / "status.csv")
    assert {row["paper"] for row in rows} == set(PAPERS)
    assert {row["state"] for row in rows} <= {"", "data", "diagram"}
    missing = [
        r["notebook"]
        for r in rows
        if r["notebook"] and not (ROOT / f"notebooks/{r['notebook']}.ipynb").is_file()
    ]
    assert missing == []
    items = {(row["paper"], row["item"]) for row in rows}
    roman = {"1": "I", "2": "II", "3": "III", "4": "IV"}
    for path in (ROOT / "data_manifests" / "reported").glob("*_table*.csv"):
        paper, number = re.match(r"(\w+?)_table(\d)", path.name).groups()  # type: ignore[union-attr]
        assert (paper, f"Table {roman[number] if paper == 'emoco' else number}") in items


def test_every_reported_table_is_read_as_csv() -> None:
    for path in (ROOT / "data_manifests" / "reported").glob("*.csv"):
        with path.open(encoding="utf-8", newline="") as lines:
            widths = {len(row) for row in csv.reader(lines)}
        assert len(widths) == 1, path.name


def test_method_page_names_real_functions_and_tests() -> None:
    import fbu.losses

    page = (ROOT / "book" / "clef.md").read_text()
    functions = re.findall(r"\{func\}`~?fbu\.losses\.(\w+)`", page)
    assert len(functions) >= 6
    assert [name for name in functions if not callable(getattr(fbu.losses, name, None))] == []
    tests = re.findall(r"`(test_\w+)`", page)
    assert len(tests) >= 6
    written = "".join(path.read_text() for path in (ROOT / "tests" / "losses").glob("test_*.py"))
    assert [name for name in tests if f"def {name}(" not in written] == []
