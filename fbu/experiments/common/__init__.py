"""What all experiments share: cells and tables, and the tables that hold methods of several papers."""

from __future__ import annotations

from collections.abc import Callable

from fbu.experiments.common.cells import NOT_IN_PROFILE, Cell, Table, interval, points, with_spread
from fbu.experiments.common.comparison import pretraining_comparison

TABLES: dict[str, Callable[..., Table]] = {"pretraining_comparison": pretraining_comparison}

__all__ = ["NOT_IN_PROFILE", "TABLES", "Cell", "Table", "interval", "points", "with_spread", *TABLES]
