"""Worker processes for work that holds the interpreter.

Where the system can, they are forked from a server that has one thread and has never computed anything: copies of a
process that has used torch can hang.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor

TRAINING = ("accelerate", "fbu.runs", "fbu.training")
"""What every training imports."""


def _forks() -> bool:
    return "forkserver" in multiprocessing.get_all_start_methods()


def preload(*modules: str) -> None:
    """Let worker processes share what they import; of no effect once there has been a pool.

    Args:
        modules: imported by the server that workers are forked from.
    """
    if _forks():
        multiprocessing.get_context("forkserver").set_forkserver_preload(list(modules))


def pool(workers: int) -> ProcessPoolExecutor:
    """Processes with the environment of this one.

    Args:
        workers: number of processes.
    """
    context = multiprocessing.get_context("forkserver" if _forks() else "spawn")
    return ProcessPoolExecutor(workers, context, initializer=use_environment, initargs=(dict(os.environ),))


def use_environment(variables: Mapping[str, str]) -> None:
    """Replace the variables of this process: a forked one has those of when its server started."""
    os.environ.clear()
    os.environ.update(variables)
