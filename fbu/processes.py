"""Worker processes for work that holds the interpreter."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor

_PRELOADED = ("torch", "accelerate", "fbu.runs", "fbu.training")


def pool(workers: int) -> ProcessPoolExecutor:
    """Processes that share what they import, where the system can fork, and start afresh elsewhere.

    Forked is a server that has one thread and has never computed anything: copies of a process that has used torch
    can hang.

    Args:
        workers: number of processes.
    """
    forks = "forkserver" in multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if forks else "spawn")
    if forks:
        context.set_forkserver_preload(list(_PRELOADED))  # of no effect on a server that runs already
    return ProcessPoolExecutor(workers, context, initializer=_begin, initargs=(dict(os.environ),))


def _begin(environment: Mapping[str, str]) -> None:
    os.environ.clear()  # the server's are those of when it started
    os.environ.update(environment)
