"""From pages and executed notebooks to HTML: stage the sources, run Jupyter Book, look at what came out."""

from __future__ import annotations

import filecmp
import html.parser
import posixpath
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from fbu.book.dataset_pages import dataset_files
from fbu.book.notebooks import ANSI
from fbu.book.status import status_page
from fbu.errors import DataError

_JUPYTER_BOOK = "from jupyter_book.cli.main import main; main()"  # the package has no `-m`
_MADE = ("_toc.yml", "status_table.txt")  # written by `stage` itself
_LEAST_TEXT = 200  # characters: less than a heading and a paragraph means that the page came out empty


def stage(root: Path, executed: Path, target: Path, facts: Mapping[str, str], workers: int = 1) -> list[str]:
    """Copy pages and executed notebooks to ``target``; returns the pages of the contents.

    Equal files stay untouched. Notebooks without an executed version are left out of the contents; so is a
    part that is left empty.

    Args:
        root: the checkout, with ``book/``, ``_config.yml`` and ``_toc.yml``.
        executed: folder of executed notebooks, by chapter.
        target: Jupyter Book's source folder.
        facts: what the status page says about this build, e.g. its profile.
        workers: dataset pages made at a time.

    Raises:
        DataError: the contents name a page that does not exist.
    """
    contents = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    files = {Path("_config.yml"): root / "_config.yml"}
    for path in (root / "book").rglob("*"):
        if path.is_file():
            files[path.relative_to(root / "book" if "_static" in path.parts else root)] = path
    for path in executed.glob("*/*.ipynb"):
        if (root / "notebooks" / path.relative_to(executed)).is_file() and not path.stem.endswith(".failed"):
            files[Path("notebooks") / path.relative_to(executed)] = path
    files |= dataset_files(pages_of(contents), workers)
    present = {path.with_suffix("").as_posix() for path in files if path.suffix in (".md", ".rst", ".ipynb")}
    missing = [page for page in pages_of(contents) if page not in present and not _is_source(root, page)]
    if missing:
        raise DataError(f"_toc.yml names {', '.join(missing)}, which does not exist")
    _mirror(files, target, present)
    contents = _without(contents, present)
    _write_if_new(target / "_toc.yml", yaml.safe_dump(contents, sort_keys=False))
    _write_if_new(
        target / "book" / "status_table.txt", status_page(root / "book" / "status.csv", present, facts)
    )
    return list(pages_of(contents))


def pages_of(contents: Any) -> Iterator[str]:
    """Page names of a table of contents, in order."""
    if isinstance(contents, dict):
        yield from (str(contents[key]) for key in ("root", "file") if key in contents)
        for value in contents.values():
            yield from pages_of(value)
    elif isinstance(contents, list):
        for value in contents:
            yield from pages_of(value)


def build_html(source: Path, work: Path, target: Path, pages: list[str]) -> tuple[Path, list[str]]:
    """Run Jupyter Book on ``source`` and put the checked result at ``target``.

    A build that fails leaves an older ``target`` as it was.

    Returns:
        The book's ``index.html``, and what Sphinx found odd in docstrings.

    Raises:
        DataError: Jupyter Book failed or warned about a page, or a page is missing or empty.
    """
    work.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-c", _JUPYTER_BOOK, "build", str(source), "--path-output", str(work)]
    done = subprocess.run([*command, "--quiet", "--keep-going"], capture_output=True, text=True)
    said, log = ANSI.sub("", done.stdout + done.stderr), work / "book.log"
    log.write_text(said)
    warnings = [line for line in said.splitlines() if "WARNING" in line or "ERROR" in line]
    notes = [line for line in warnings if "docstring of" in line]
    faults = [line for line in warnings if line not in notes]
    if done.returncode or faults:
        shutil.rmtree(
            work / "_build", ignore_errors=True
        )  # Sphinx warns once only about a page that it keeps
        last = faults[:10] or said.splitlines()[-10:]
        raise DataError("Jupyter Book failed:\n" + "\n".join([*last, f"the whole log is {log}"]))
    made = work / "_build" / "html"
    check_html(made, pages)
    fresh = target.with_name(f".{target.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    shutil.copytree(made, fresh)
    shutil.rmtree(target, ignore_errors=True)
    fresh.rename(target)
    return target / "index.html", notes


def check_html(folder: Path, pages: list[str]) -> None:
    """Raise :class:`~fbu.errors.DataError` unless every page is there, has a title and some text."""
    faults = []
    for page in ["index", *pages]:
        path = folder / f"{page}.html"
        if not path.is_file():
            faults.append(f"{page} is missing")
        elif page != "index" or page in pages:  # Jupyter Book's index.html may only forward to the first page
            article = _Article(path.read_text(encoding="utf-8"))
            if not article.title:
                faults.append(f"{page} has no title")
            elif article.letters < _LEAST_TEXT:
                faults.append(f"{page} is empty ({article.letters} characters)")
    if faults:
        raise DataError(f"the book in {folder} is incomplete: {'; '.join(faults)}")


class _Article(html.parser.HTMLParser):
    """Counts the letters inside a page's article and notes whether it has a title."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.letters, self.title, self._depth = 0, False, 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._depth += tag == "article"
        self.title |= bool(self._depth) and tag == "h1"

    def handle_endtag(self, tag: str) -> None:
        self._depth -= tag == "article"

    def handle_data(self, data: str) -> None:
        self.letters += len(data.strip()) if self._depth else 0


def _is_source(root: Path, page: str) -> bool:
    return (root / f"{page}.ipynb").is_file()


def _without(contents: Any, present: set[str]) -> Any:
    """Contents without the entries whose file is not ``present`` and without lists that become empty."""
    if isinstance(contents, list):
        kept = [_without(value, present) for value in contents]
        return [value for value in kept if value]
    if not isinstance(contents, dict):
        return contents
    if "file" in contents and contents["file"] not in present:
        return None
    kept_items = {key: _without(value, present) for key, value in contents.items()}
    lists = [key for key in ("parts", "chapters", "sections") if key in contents]
    for key in lists:
        if not kept_items[key]:
            del kept_items[key]
    return kept_items if "file" in contents or "root" in contents or len(kept_items) > 1 else None


def _mirror(files: Mapping[Path, Path], target: Path, present: set[str]) -> None:
    """Make ``target`` hold exactly ``files``; equal ones keep their time, so that Sphinx skips them."""
    for path in list(target.rglob("*")):
        if path.is_file() and path.relative_to(target) not in files and path.name not in _MADE:
            path.unlink()
    for name, path in files.items():
        copy = target / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        if name.suffix in (".md", ".ipynb"):
            _write_if_new(copy, _linked(path.read_text(encoding="utf-8"), name.parent.as_posix(), present))
        elif not copy.is_file() or not filecmp.cmp(path, copy, shallow=False):
            shutil.copyfile(path, copy)


def _linked(text: str, folder: str, present: set[str]) -> str:
    """Text of a page or notebook, with links to notebooks that are not in this copy turned into their names.

    Args:
        text: as it lies in the file; links stand alike in Markdown and in a notebook's JSON.
        folder: that the file lies in, from which links are read.
        present: pages of this copy.
    """

    def link(found: re.Match[str]) -> str:
        page = posixpath.normpath(posixpath.join(folder, found["page"]))
        return found[0] if page in present else found["text"] or f"`{page}`"

    return re.sub(r"\[(?P<text>[^][]*)\]\((?P<page>(?:\.\./)*[\w/]+)\.ipynb\)", link, text)


def _write_if_new(path: Path, text: str) -> None:
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
