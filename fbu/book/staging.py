"""Which executed notebooks are still good, and how the others are made: a few at a time, with progress."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from pathlib import Path
from typing import Any

from rich.progress import Progress

from fbu import processes
from fbu.book.notebooks import Notebook, NotebookError, run_notebook
from fbu.resources import resource

# These modules place and show results; a change in them leaves the results alone.
_NO_INFLUENCE = ("fbu.book", "fbu.cli")


def code_key() -> str:
    """Hash of the library's code and of the tables that travel with it."""
    import fbu
    from fbu.fingerprints import code_fingerprint

    package = Path(fbu.__file__).parent
    modules = (path.relative_to(package.parent).with_suffix("") for path in package.rglob("*.py"))
    names = [".".join(module.parts).removesuffix(".__init__") for module in modules]
    digest = hashlib.sha256(code_fingerprint([n for n in names if not n.startswith(_NO_INFLUENCE)]).encode())
    for path in sorted(resource(".").rglob("*")):
        if path.is_file():
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def notebook_key(notebook: Notebook, parameters: Mapping[str, Any], code: str, ledger: Path) -> str:
    """Hash of all that an executed notebook depends on; real data enters by its folder's name only."""
    digest = hashlib.sha256(notebook.path.read_bytes())
    settings = [dict(parameters), code, os.environ.get("FBU_DATA", "")]
    digest.update(json.dumps(settings, sort_keys=True).encode())
    for path in sorted(ledger.glob("*.csv")):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def is_current(output: Path, key: str) -> bool:
    """Whether ``output`` was made under ``key``."""
    stamp = _stamp(output)
    return output.is_file() and stamp.is_file() and stamp.read_text() == key


def execute(
    jobs: Sequence[tuple[Notebook, dict[str, Any], str]],
    folder: Path,
    *,
    root: Path,
    workers: int,
    progress: Progress,
) -> None:
    """Execute notebooks into ``folder/<chapter>/<stem>.ipynb``, ``workers`` at a time.

    Args:
        jobs: notebook, parameters and key of each.
        folder: where executed notebooks go.
        root: the checkout, in which the kernels work.
        workers: notebooks at a time.
        progress: gets one bar for all and one line for each that is running.

    Raises:
        NotebookError: one or more failed; all others were executed. The message holds each traceback's end.
    """
    overall = progress.add_task("notebooks", total=len(jobs))
    waiting = list(jobs)
    running: dict[Future[Any], tuple[Notebook, str, float, Any]] = {}
    failures: list[str] = []
    # Papermill changes the working folder, hence a process for each.
    with processes.pool(workers) as pool:
        while waiting or running:
            while waiting and len(running) < workers:
                notebook, parameters, key = waiting.pop(0)
                output = output_of(notebook, folder)
                future = pool.submit(run_notebook, notebook.path, parameters, output, cwd=root)
                line = progress.add_task(f"  {notebook.name}", total=None)
                running[future] = (notebook, key, time.monotonic(), line)
            finished, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                notebook, key, start, line = running.pop(future)
                progress.remove_task(line)
                progress.advance(overall)
                try:
                    _stamp(future.result()).write_text(key)
                    progress.console.print(f"executed {notebook.name} in {time.monotonic() - start:.0f} s")
                except (NotebookError, ValueError) as error:
                    failures.append(f"{notebook.name}: {error}")
    if failures:
        raise NotebookError("\n\n".join(failures))


def output_of(notebook: Notebook, folder: Path) -> Path:
    """Where the executed notebook lies."""
    return folder / notebook.chapter / f"{notebook.stem}.ipynb"


def _stamp(output: Path) -> Path:
    return output.with_name(f".{output.stem}.key")
