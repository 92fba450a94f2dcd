"""What notebooks import and look up, done once before their kernels are forked; see :mod:`fbu.book.kernels`."""

from __future__ import annotations

import gc
import importlib

_MODULES = ("ipykernel.kernelapp", "fbu.claims", "fbu.figures", "fbu.ledger", "fbu.parameters")
_EXPERIMENTS = ("notes", "people", "views", "wide")


def _warm() -> None:
    for name in (*_MODULES, *(f"fbu.experiments.{stem}" for stem in _EXPERIMENTS)):
        importlib.import_module(name)
    from fbu import experiments

    for name in experiments.names():  # imports the models, and reads the code that each recipe reaches
        for recipe in experiments.table(name).recipes():
            recipe.code()


try:
    _warm()
except Exception:  # whatever is broken, the notebooks that need it will say so, each for itself
    pass
gc.freeze()  # a collection in a kernel would copy all pages that it shares with the others
