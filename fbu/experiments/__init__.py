"""Experiments: one module per paper, one function per table or figure, named as its notebook."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fbu.experiments.common import Table

PAPERS = ("clef", "ke_fer", "dk_clip", "emoco")
SHARED = "common"
"""Where tables stand that hold methods of several papers."""


def table(name: str, **settings: Any) -> Table:
    """Build a table by name.

    Args:
        name: ``"<paper>.<stem>"``, e.g. ``"clef.table7_ablation"``, or ``"common.<stem>"``.
        settings: passed to the function: profile, source, seeds.

    Raises:
        ValueError: no such paper or table; the message lists the known ones.
    """
    paper, _, stem = name.partition(".")
    if paper not in (*PAPERS, SHARED):
        raise ValueError(f"{name!r}: no experiments of {paper!r}; known papers: {', '.join(PAPERS)}")
    module = importlib.import_module(f"fbu.experiments.{paper}")
    if stem not in module.TABLES:
        raise ValueError(f"{name!r} is unknown; {paper} has {', '.join(module.TABLES)}")
    return module.TABLES[stem](**settings)


def names() -> list[str]:
    """Every table and figure that can be run, as ``"<paper>.<stem>"``, the shared ones last."""
    found = []
    for paper in (*PAPERS, SHARED):
        found += [f"{paper}.{stem}" for stem in importlib.import_module(f"fbu.experiments.{paper}").TABLES]
    return found


def __getattr__(name: str) -> Any:
    if name in PAPERS:
        return importlib.import_module(f"fbu.experiments.{name}")
    raise AttributeError(f"module 'fbu.experiments' has no attribute {name!r}")
