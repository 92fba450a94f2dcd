"""Text-driven facial behaviour understanding: four papers rebuilt, from data to rendered page.

Submodules and the names below load on first use, so that ``import fbu`` stays quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fbu.ledger import check
    from fbu.recipes import Recipe
    from fbu.runs import Run, run

__version__ = "0.1.0"

_NAMES = {"Recipe": "fbu.recipes", "Run": "fbu.runs", "run": "fbu.runs", "check": "fbu.ledger"}
_MODULES = {
    "claims",
    "config",
    "data",
    "evaluation",
    "experiments",
    "explain",
    "figures",
    "labels",
    "ledger",
    "losses",
    "models",
} | {
    "parameters",
    "provenance",
    "recipes",
    "reported",
    "runs",
    "training",
}

__all__ = ["Recipe", "Run", "__version__", "check", "run"]


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        return getattr(importlib.import_module(_NAMES[name]), name)
    if name in _MODULES:
        return importlib.import_module(f"fbu.{name}")
    raise AttributeError(f"module 'fbu' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(_NAMES) | _MODULES)
