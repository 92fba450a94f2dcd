from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nbformat
import pytest
import yaml
from rich.console import Console
from rich.progress import Progress

from fbu.book import (
    Notebook,
    NotebookError,
    Options,
    build,
    find,
    pages,
    recipes,
    refresh,
    run_notebook,
    staging,
    train,
)
from fbu.book.__main__ import _source, main
from fbu.book.kernels import VARIABLE
from fbu.book.mathml import to_mathml
from fbu.book.notebooks import _plain
from fbu.book.pipeline import share_cores
from fbu.book.staging import code_key as real_code_key
from fbu.book.status import status_page
from fbu.errors import DataError
from fbu.parameters import ParameterError

ROOT = Path(__file__).resolve().parent.parent
TEXT = "A page of the book needs a heading and some sentences before it counts as a page. " * 4
CHECK = "from fbu.parameters import check_parameters\n\np = check_parameters(globals())"
CONTENTS = {
    "format": "jb-book",
    "root": "book/index",
    "parts": [
        {"caption": "First", "chapters": [{"file": "book/page"}]},
        {"caption": "Clef", "chapters": [{"file": "notebooks/clef/one"}]},
        {"caption": "Data", "chapters": [{"file": "notebooks/data/two"}]},
    ],
}
STATUS = "paper,item,shows,state,notebook\nclef,Table 1,texts,data,\nclef,Fig. 2,a model,diagram,\n"
STATUS += "clef,Table 7,an ablation,,clef/one\nemoco,Table I,scores,,\n"


def write_notebook(path: Path, *code: str, marked: bool = True) -> Path:
    v4 = nbformat.v4
    cells = [
        v4.new_markdown_cell(f"# Title of {path.stem}\n\n{TEXT}"),
        v4.new_code_cell('profile: str = "quick"\nsource = "twin"', metadata={"tags": ["parameters"]}),
        v4.new_code_cell(CHECK),
        *(v4.new_code_cell(text) for text in code),
    ]
    if marked:
        cells.append(v4.new_code_cell("print(p.profile)\n1 + 1", metadata={"tags": ["nbval-check-output"]}))
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number}"
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(v4.new_notebook(cells=cells), path)
    return path


def write_checkout(root: Path) -> Path:
    (root / "book").mkdir(parents=True)
    (root / "_toc.yml").write_text(yaml.safe_dump(CONTENTS, sort_keys=False))
    (root / "_config.yml").write_text(
        "title: a book\nexecute: {execute_notebooks: 'off'}\nonly_build_toc_files: true\n"
    )
    include = "\n```{include} status_table.txt\n```\n"
    (root / "book" / "index.md").write_text(f"# Home\n\n{TEXT}\n{include}")
    (root / "book" / "page.md").write_text(f"# Page\n\n{TEXT}")
    (root / "book" / "status.csv").write_text(STATUS)
    write_notebook(root / "notebooks" / "clef" / "one.ipynb", "print(p.source)")
    write_notebook(root / "notebooks" / "data" / "two.ipynb")
    return root


def console() -> tuple[Console, io.StringIO]:
    text = io.StringIO()
    return Console(file=text, width=200), text


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, Path | None]:
    root = write_checkout(tmp_path_factory.mktemp("checkout"))
    shown, text = console()
    index = build(root, Options(settings={"source": "open", "seeds": None}), shown)
    return root, text.getvalue(), index


@pytest.fixture(autouse=True, scope="module")
def same_code() -> Iterator[None]:
    """Editing the library while the tests run must not make a notebook stale; kernels of few imports start alone."""
    fixed = staging.code_key()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(staging, "code_key", lambda: fixed)
        patch.setenv(VARIABLE, "local-provisioner")
        yield


def test_build_makes_the_pages(built: tuple[Path, str, Path | None]) -> None:
    root, text, index = built
    assert index == root / "_build" / "quick" / "html" / "index.html" and index.is_file()
    home = (root / "_build/quick/html/book/index.html").read_text()
    assert "measured" in home and "not yet" in home and "kept as data" in home
    assert 'href="../notebooks/clef/one.html"' in home
    assert "executed clef/one" in text and str(index) in text


def test_build_passes_declared_settings_only(built: tuple[Path, str, Path | None]) -> None:
    ran = nbformat.read(built[0] / "_build/quick/notebooks/clef/one.ipynb", as_version=4)
    assert ran.cells[4].outputs[0].text == "open\n"


def test_build_leaves_sources_alone(built: tuple[Path, str, Path | None]) -> None:
    for path in (built[0] / "notebooks").rglob("*"):
        assert path.is_dir() or path.name in ("one.ipynb", "two.ipynb")
    assert not any(
        cell.get("outputs") for cell in nbformat.read(built[0] / "notebooks/clef/one.ipynb", 4).cells
    )


def test_second_build_executes_what_changed(built: tuple[Path, str, Path | None]) -> None:
    root = built[0]
    write_notebook(root / "notebooks" / "data" / "two.ipynb", "print('changed')")
    shown, text = console()
    assert build(root, Options(settings={"source": "open"}, dry_run=True), shown) is None
    assert "clef/one: unchanged" in text.getvalue() and "data/two: to be executed" in text.getvalue()
    build(root, Options(settings={"source": "open"}), shown)
    assert "1 notebooks unchanged, 1 executed" in text.getvalue()
    assert "changed" in (root / "_build/quick/html/notebooks/data/two.html").read_text()


def test_find(tmp_path: Path) -> None:
    root = write_checkout(tmp_path / "c")
    assert [book.name for book in find(root)] == ["clef/one", "data/two"]
    assert [book.name for book in find(root, "clef")] == ["clef/one"]
    assert [book.name for book in find(root, "data/two")] == ["data/two"]
    with pytest.raises(
        DataError, match="no notebook matches 'celf'; there are clef, data, clef/one, data/two"
    ):
        find(root, "celf")


def test_failing_notebook_is_named_and_its_output_kept_apart(tmp_path: Path) -> None:
    path = write_notebook(tmp_path / "notebooks/clef/bad.ipynb", "value = 3\nraise KeyError('lost')")
    output = tmp_path / "out" / "bad.ipynb"
    with pytest.raises(NotebookError, match=r"bad.ipynb failed; see .*(?s:.*)KeyError: 'lost'"):
        run_notebook(path, {}, output)
    assert [item.name for item in output.parent.iterdir()] == ["bad.failed.ipynb"]


def test_dead_kernel_is_named(tmp_path: Path) -> None:
    path = write_notebook(tmp_path / "notebooks/clef/dead.ipynb", "import os\nos._exit(1)")
    with pytest.raises(NotebookError, match="dead.ipynb failed: its kernel died"):
        run_notebook(path, {}, tmp_path / "out.ipynb")
    assert list(tmp_path.glob("*out*")) == []


def test_wrong_parameter_starts_no_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("papermill.execute_notebook", lambda *a, **k: pytest.fail("a kernel was started"))
    path = write_notebook(tmp_path / "one.ipynb")
    with pytest.raises(ParameterError, match="unknown parameter profil"):
        run_notebook(path, {"profil": "demo"}, tmp_path / "out.ipynb")


def test_other_notebooks_finish_when_one_fails(tmp_path: Path) -> None:
    books = [
        Notebook(
            "clef", "bad", write_notebook(tmp_path / "clef/bad.ipynb", "raise ValueError('on purpose')")
        ),
        Notebook("clef", "good", write_notebook(tmp_path / "clef/good.ipynb")),
    ]
    shown, _ = console()
    folder = tmp_path / "out"
    with Progress(console=shown) as progress, pytest.raises(NotebookError, match="on purpose"):
        jobs: list[Any] = [(book, {}, "key") for book in books]
        staging.execute(jobs, folder, root=tmp_path, workers=1, progress=progress)
    assert staging.is_current(folder / "clef/good.ipynb", "key")
    assert not staging.is_current(folder / "clef/bad.ipynb", "key")


def test_key_follows_everything_that_matters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    book = Notebook("clef", "one", write_notebook(tmp_path / "one.ipynb"))
    ledger = tmp_path / "ledger"
    ledger.mkdir()
    keys = [staging.notebook_key(book, {"profile": "quick"}, "code", ledger)]
    assert keys == [staging.notebook_key(book, {"profile": "quick"}, "code", ledger)]
    keys.append(staging.notebook_key(book, {"profile": "demo"}, "code", ledger))
    keys.append(staging.notebook_key(book, {"profile": "quick"}, "other", ledger))
    (ledger / "demo.csv").write_text("a")
    keys.append(staging.notebook_key(book, {"profile": "quick"}, "code", ledger))
    monkeypatch.setenv("FBU_DATA", "/data")
    keys.append(staging.notebook_key(book, {"profile": "quick"}, "code", ledger))
    write_notebook(book.path, "1")
    keys.append(staging.notebook_key(book, {"profile": "quick"}, "code", ledger))
    assert len(set(keys)) == len(keys)


def test_code_key_follows_code_and_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    modules: list[str] = []

    def fingerprint(names: list[str]) -> str:
        modules[:] = names
        return "code"

    monkeypatch.setattr("fbu.fingerprints.code_fingerprint", fingerprint)
    monkeypatch.setattr(staging, "resource", lambda name: tmp_path)
    (tmp_path / "reported").mkdir()
    table = tmp_path / "reported" / "table.csv"
    table.write_text("1")
    first = real_code_key()
    assert first == real_code_key()
    assert {"fbu", "fbu.losses.clef", "fbu.parameters"} <= set(modules)
    assert not [name for name in modules if name.startswith(("fbu.book", "fbu.cli"))]
    table.write_text("2")
    assert real_code_key() != first


def test_refresh_stores_marked_outputs_only(tmp_path: Path) -> None:
    path = write_notebook(tmp_path / "one.ipynb", "print('not kept')")
    refresh(path, cwd=tmp_path)
    stored = nbformat.read(path, as_version=4).cells
    assert [cell.id for cell in stored] == [f"cell-{i}" for i in range(5)]
    assert stored[3].outputs == [] and stored[3].execution_count is None
    assert [output.output_type for output in stored[4].outputs] == ["stream", "execute_result"]
    assert stored[4].outputs[0].text == "quick\n" and stored[4].outputs[1].execution_count == 1
    again = path.read_bytes()
    refresh(path, cwd=tmp_path)
    assert path.read_bytes() == again


def test_refresh_refuses_a_notebook_that_compares_nothing(tmp_path: Path) -> None:
    path = write_notebook(tmp_path / "one.ipynb", marked=False)
    before = path.read_bytes()
    with pytest.raises(DataError, match="one.ipynb: tag at least one cell nbval-check-output"):
        refresh(path)
    book = nbformat.read(path, as_version=4)
    book.cells[2].metadata.tags = ["nbval-check-output"]
    nbformat.write(book, path)
    with pytest.raises(DataError, match="cell 2 is tagged nbval-check-output but printed nothing"):
        refresh(path)
    assert before != path.read_bytes() and not nbformat.read(path, as_version=4).cells[2].outputs


def test_pieces_of_printed_text_are_joined() -> None:
    out, err = (nbformat.v4.new_output("stream", name=name, text=name) for name in ("stdout", "stderr"))
    again = nbformat.v4.new_output("stream", name="stderr", text=" twice")
    shown = nbformat.v4.new_output("execute_result", data={"text/plain": "3"}, execution_count=7)
    kept = _plain([out, err, again, shown])
    assert [output.get("text") for output in kept] == ["stdout", "stderr twice", None]
    assert kept[2].execution_count == 1


@dataclass(frozen=True)
class FakeRecipe:
    name: str
    task: str = "clef.finetune"
    seed: int = 1

    @property
    def data(self) -> Any:
        return SimpleNamespace(name="bp4d", fold=2)

    def key(self) -> str:
        return self.name


def test_wanted_recipes_are_collected_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []

    def table(profile: str = "quick", seeds: int | None = None) -> Any:
        asked.append({"profile": profile, "seeds": seeds})
        return SimpleNamespace(recipes=lambda: [FakeRecipe("a"), FakeRecipe("b")])

    functions = {"one": table, "two": table, "prose": None, "data": lambda: ["no table"]}
    monkeypatch.setattr(recipes, "experiment", lambda notebook: functions[notebook.stem])
    books = [Notebook("clef", stem, Path(stem)) for stem in functions]
    found = recipes.wanted(books, {"profile": "demo", "seeds": 2, "device": "cpu"})
    assert [recipe.key() for recipe in found] == ["a", "b"]
    assert asked == [{"profile": "demo", "seeds": 2}] * 2


def test_experiment_is_found_by_name() -> None:
    from fbu.experiments import clef

    assert recipes.experiment(Notebook("clef", "table7_ablation", Path())) is clef.table7_ablation
    assert recipes.experiment(Notebook("clef", "no_such_table", Path())) is None
    assert recipes.experiment(Notebook("no_such_paper", "table7_ablation", Path())) is None


def test_training_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    done = {"a"}
    every: list[Any] = [FakeRecipe("a"), FakeRecipe("b")]

    def run_all(wanted: Any, *, workers: int, device: str, progress: Any) -> None:
        assert (list(wanted), workers, device) == (every, 2, "cpu")
        progress(every[1], 0, 4)
        progress(every[1], 3, 4)
        done.add("b")
        progress(every[1], 1, 1)

    run = SimpleNamespace(provenance={"seconds": 12.3})
    monkeypatch.setattr("fbu.runs.ordered", list)
    monkeypatch.setattr("fbu.runs.find", lambda recipe: run if recipe.key() in done else None)
    monkeypatch.setattr("fbu.runs.run_all", run_all)
    shown, text = console()
    with Progress(console=shown) as progress:
        recipes.train(every, workers=2, device="cpu", progress=progress)
        assert [(task.description, task.completed, task.total) for task in progress.tasks] == [
            ("recipes", 2, 2)
        ]
    assert "trained clef.finetune bp4d, fold 2, seed 1 (b) in 12 s" in text.getvalue()


def test_training_alone_takes_the_recipes_of_the_chosen_notebooks(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    books = [Notebook("clef", stem, tmp_path / stem) for stem in ("one", "two")]
    monkeypatch.setattr(
        "fbu.book.pipeline.find", lambda root, only: [b for b in books if only in (None, b.stem)]
    )
    table = SimpleNamespace(recipes=lambda: [FakeRecipe("a")])
    functions = {"one": lambda profile: table, "two": None}
    monkeypatch.setattr(recipes, "experiment", lambda notebook: functions[notebook.stem])
    trained: list[tuple[list[str], int]] = []
    monkeypatch.setattr(
        recipes, "train", lambda asked, *, workers, **_: trained.append(([r.key() for r in asked], workers))
    )
    train(tmp_path, Options(workers=1))
    train(tmp_path, Options(only="two"))
    assert trained == [(["a"], 1), ([], 2)]


def test_summary_counts_what_is_left() -> None:
    import pandas as pd

    plan = pd.DataFrame({"done": [True, False, False], "seconds": [9, 60, 30], "memory_mb": [9000, 400, 500]})
    text = recipes.summary(plan)
    assert "3 recipes, 1 done" in text and "1.5 minutes" in text and "500 MB" in text


def test_contents_name_a_missing_page(tmp_path: Path) -> None:
    root = write_checkout(tmp_path / "c")
    (root / "book" / "page.md").unlink()
    with pytest.raises(DataError, match="_toc.yml names book/page, which does not exist"):
        pages.stage(root, root / "none", root / "source", {})


def test_unexecuted_notebooks_leave_the_contents(tmp_path: Path) -> None:
    root = write_checkout(tmp_path / "c")
    write_notebook(root / "done" / "clef" / "one.ipynb")
    write_notebook(root / "done" / "clef" / "one.failed.ipynb")
    write_notebook(root / "done" / "clef" / "removed.ipynb")
    target = root / "source"
    assert pages.stage(root, root / "done", target, {}) == ["book/index", "book/page", "notebooks/clef/one"]
    assert [path.name for path in target.rglob("*.ipynb")] == ["one.ipynb"]
    assert [part["caption"] for part in yaml.safe_load((target / "_toc.yml").read_text())["parts"]] == [
        "First",
        "Clef",
    ]


def test_links_to_notebooks_that_are_not_built_become_their_names(tmp_path: Path) -> None:
    """A chapter built alone must not stop at a link into another one, wherever the link stands."""
    root = write_checkout(tmp_path / "c")
    said = (
        "See [two](../data/two.ipynb), [one\nitself](../clef/one.ipynb), [](three.ipynb) and [it](one.ipynb)."
    )
    path = write_notebook(root / "done" / "clef" / "one.ipynb")
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.append(nbformat.v4.new_markdown_cell(said.replace("\n", " ")))
    nbformat.write(notebook, path)
    (root / "book" / "page.md").write_text(
        said.replace("../", "../notebooks/").replace("(three", "(../notebooks/clef/three")
    )
    target = root / "source"
    pages.stage(root, root / "done", target, {})
    found = nbformat.read(target / "notebooks" / "clef" / "one.ipynb", as_version=4).cells[-1].source
    assert found == "See two, [one itself](../clef/one.ipynb), `notebooks/clef/three` and [it](one.ipynb)."
    page = (target / "book" / "page.md").read_text()
    assert page.startswith("See two, [one\nitself](../notebooks/clef/one.ipynb), `notebooks/clef/three`")


def test_staging_mirrors_and_keeps_times(tmp_path: Path) -> None:
    root = write_checkout(tmp_path / "c")
    target = root / "source"
    pages.stage(root, root / "none", target, {})
    page = target / "book" / "page.md"
    os.utime(page, (1, 1))
    (target / "book" / "stray.md").write_text("left over")
    pages.stage(root, root / "none", target, {})
    assert page.stat().st_mtime == 1
    assert not (target / "book" / "stray.md").exists()
    (root / "book" / "page.md").write_text("# New")
    pages.stage(root, root / "none", target, {})
    assert page.read_text() == "# New"


def test_failed_render_keeps_the_old_book(tmp_path: Path) -> None:
    root = write_checkout(tmp_path / "c")
    (root / "book" / "page.md").write_text(f"# Page\n\n{TEXT} [broken](nowhere.md)")
    source, work, target = root / "source", root / "work", root / "html"
    listed = pages.stage(root, root / "none", source, {})
    target.mkdir()
    (target / "index.html").write_text("old")
    with pytest.raises(DataError, match=r"Jupyter Book failed:(?s:.*)page.md(?s:.*)nowhere.md"):
        pages.build_html(source, work, target, listed)
    assert (target / "index.html").read_text() == "old"


def test_missing_and_empty_pages_are_named(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<meta refresh>")
    (tmp_path / "empty.html").write_text(f"<p>{TEXT}</p><article><h1>T</h1></article><p>{TEXT}</p>")
    (tmp_path / "untitled.html").write_text(f"<h1>Site</h1><article>{TEXT}</article>")
    (tmp_path / "good.html").write_text(f"<article><h1>T</h1>{TEXT}</article>")
    pages.check_html(tmp_path, ["good"])
    with pytest.raises(
        DataError, match=r"absent is missing; empty is empty \(1 characters\); untitled has no title"
    ):
        pages.check_html(tmp_path, ["good", "absent", "empty", "untitled"])


def test_status_page(tmp_path: Path) -> None:
    (tmp_path / "status.csv").write_text(STATUS)
    text = status_page(tmp_path / "status.csv", {"notebooks/clef/one"}, {"profile": "quick"})
    assert "built with profile **quick**" in text
    assert "| Table\N{NO-BREAK SPACE}7 | an ablation | [measured](../notebooks/clef/one.ipynb) |" in text
    assert "| Table\N{NO-BREAK SPACE}I | scores | not yet |" in text
    assert text.count("| Item |") == 2


def test_source_option() -> None:
    assert _source(None) is None
    assert _source("open") == "open"
    assert _source("rafdb=open, bp4d=twin") == {"rafdb": "open", "bp4d": "twin"}


def test_command_line_errors_are_one_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(write_checkout(tmp_path / "c"))
    monkeypatch.setattr("sys.argv", ["fbu.book", "build", "--only", "celf"])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 1
    assert "fbu.book: no notebook matches 'celf'" in capsys.readouterr().err


def test_command_line_refresh(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = write_checkout(tmp_path / "c")
    monkeypatch.chdir(root)
    seen: list[Any] = []
    monkeypatch.setattr("fbu.book.__main__.refresh", lambda path, cwd: seen.append((path, cwd)))
    monkeypatch.setattr("sys.argv", ["fbu.book", "refresh", "data"])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 0 and capsys.readouterr().out == "refreshed data/two\n"
    assert seen == [(root / "notebooks/data/two.ipynb", root)]


def test_command_line_passes_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("fbu.book.__main__.build", lambda root, options: seen.append((root, options)))
    words = "build --profile demo --only clef --workers 3 --dry-run --source open --seeds 2"
    words += " --data-root d --device cpu"
    monkeypatch.setattr("sys.argv", ["fbu.book", *words.split()])
    with pytest.raises(SystemExit):
        main()
    settings = {"source": "open", "data_root": "d", "seeds": 2, "device": "cpu"}
    assert seen == [(tmp_path, Options("demo", "clef", 3, True, settings))]


def test_formulas_become_mathml() -> None:
    text = to_mathml(r"y_i \log s + (1 - y) \log(s)", display=True)
    assert text.startswith("<math") and 'display="block"' in text
    assert text.count("<mspace") == 3  # around the first log, before the second
    assert "<mspace" not in to_mathml(r"\exp(x)", display=False)
    assert "arg" in to_mathml(r"\arg\max_c x_c", display=False)


@pytest.mark.parametrize("latex", [r"\frac", "a_", r"\nosuch{a}"])
def test_unreadable_formula_is_named(latex: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"formula {latex!r} cannot be read")):
        to_mathml(latex, display=False)


def test_unreadable_formula_stops_the_build(tmp_path: Path) -> None:
    root = write_checkout(tmp_path / "c")
    (root / "_config.yml").write_text((ROOT / "_config.yml").read_text())
    (root / "book" / "page.md").write_text(f"# Page\n\n{TEXT}\n\n$$\n\\nosuch{{a}}\n$$ (first)\n\nand $a_i$")
    listed = pages.stage(root, root / "none", root / "source", {})
    with pytest.raises(DataError, match=r"page.md(?s:.*)unknown command .nosuch"):
        pages.build_html(root / "source", root / "work", root / "html", listed)


@pytest.mark.parametrize(
    ("cores", "workers", "each"), [(2, 2, "1"), (16, 2, "8"), (1, 4, "1"), (None, 2, "1")]
)
def test_processes_share_the_cores(
    cores: int | None, workers: int, each: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    share_cores(workers)
    assert os.environ["OMP_NUM_THREADS"] == "3"  # the user's own
    monkeypatch.delenv("OMP_NUM_THREADS")
    share_cores(workers)
    assert os.environ["OMP_NUM_THREADS"] == each
