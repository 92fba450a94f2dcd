"""Small pieces of sentences for messages and reports; :mod:`fbu.words` takes the towers' texts apart."""

from __future__ import annotations

from collections.abc import Iterable


def some(names: Iterable[str], n: int = 3) -> str:
    """The first names, and dots if there are more.

    >>> some(["a", "b"]), some(["a", "b", "c", "d"])
    ('a, b', 'a, b, c ...')
    """
    names = list(names)
    return ", ".join(names[:n]) + (" ..." if len(names) > n else "")


def counted(n: int, one: str, more: str) -> str:
    """A number with its noun.

    >>> counted(1, "row", "rows"), counted(1200, "row", "rows")
    ('1 row', '1,200 rows')
    """
    return f"{n:,} {one if n == 1 else more}"
