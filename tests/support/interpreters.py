"""A Python that starts at once: a fork of the server that ``conftest.py`` lets import the libraries."""

from __future__ import annotations

import multiprocessing
import os
import runpy
import sys
import tempfile
import traceback
from collections.abc import Mapping
from pathlib import Path
from subprocess import CompletedProcess

from fbu.processes import use_environment

_FORKS = multiprocessing.get_context("forkserver")


def python(*words: str, folder: Path, path: Path, variables: Mapping[str, str]) -> CompletedProcess[str]:
    """What ``python -m module ...``, ``python -c code`` or ``python file ...`` says and answers.

    Args:
        words: the command line behind ``python``.
        folder: working folder.
        path: folder from which ``fbu`` is imported, in place of the one that the server has imported.
        variables: the environment.
    """
    with tempfile.TemporaryDirectory() as kept:
        files = [Path(kept, name) for name in ("stdout", "stderr")]
        environment = {**variables, "PYTHONPATH": str(path)}
        worker = _FORKS.Process(target=_answer, args=(words, str(folder), environment, *map(str, files)))
        worker.start()
        worker.join()
        said = [file.read_text() for file in files]
    return CompletedProcess(["python", *words], worker.exitcode or 0, *said)


def _answer(words: tuple[str, ...], folder: str, environment: dict[str, str], *files: str) -> None:
    for number, file in enumerate(files, start=1):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT), number)
    for name in [name for name in sys.modules if name.partition(".")[0] == "fbu"]:
        del sys.modules[name]
    os.chdir(folder)
    use_environment(environment)
    sys.path.insert(0, environment["PYTHONPATH"])
    try:
        code = _run(*words)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _run(first: str, *rest: str) -> int:
    if first == "-c":
        exec(compile(rest[0], "<string>", "exec"), {"__name__": "__main__"})
    elif first == "-m":
        sys.argv = list(rest)
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    else:
        sys.argv = [first, *rest]
        runpy.run_path(first, run_name="__main__")
    return 0
