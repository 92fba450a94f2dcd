"""Splits of a recipe's data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fbu.data import load

if TYPE_CHECKING:
    from fbu.data.dataset import Dataset
    from fbu.recipes import DataSpec


def load_spec(spec: DataSpec, split: str) -> Dataset:
    """One split of the data that a recipe names; see :func:`fbu.data.load`.

    Args:
        spec: all its fields are arguments of `load`. The pictures of the stand-in towers (``tower``) are no dataset
            with splits: :func:`fbu.data.towers.captioned` draws them.
        split: ``train``, ``val`` or ``test``.

    Raises:
        DataError: as `load`.
    """
    return load(split=split, **spec.model_dump())
