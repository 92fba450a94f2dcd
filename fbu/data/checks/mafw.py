"""MAFW: the ten lists of the single set line by line and against each other."""

from __future__ import annotations

from fbu.data.checks import Copy
from fbu.data.checks.clips import examine_lists
from fbu.data.layouts import mafw


def examine(copy: Copy) -> None:
    """Check lists and folders."""
    examine_lists(copy, mafw)
