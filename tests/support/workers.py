"""Processes that train, to be killed: forks of a server that has imported everything once."""

import multiprocessing
import os
import signal
from multiprocessing.process import BaseProcess

import torch

from fbu import runs
from fbu.processes import use_environment
from fbu.recipes import Recipe

_FORKS = multiprocessing.get_context("forkserver")


def started(wanted: Recipe, half_write: bool = False) -> BaseProcess:
    """A process that trains a recipe and keeps a checkpoint of every step.

    Args:
        wanted: the recipe.
        half_write: whether the process dies halfway through writing its fourth checkpoint.
    """
    # The server has the environment of whichever test was the first to need it.
    worker = _FORKS.Process(target=_train, args=(wanted.model_dump_json(), half_write, dict(os.environ)))
    worker.start()
    return worker


def _train(wanted: str, half_write: bool, environment: dict[str, str]) -> None:
    use_environment(environment)
    if half_write:
        _die_in_a_write(3)
    runs.run(Recipe.model_validate_json(wanted), device="cpu", checkpoint_every=0)


def _die_in_a_write(after: int) -> None:
    save, count = torch.save, 0

    def later(value: object, path: str) -> None:
        nonlocal count
        count += 1
        save(value, path)
        if count > after:
            os.truncate(path, os.path.getsize(path) // 2)
            os.kill(os.getpid(), signal.SIGKILL)

    torch.save = later
