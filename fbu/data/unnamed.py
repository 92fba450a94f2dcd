"""A tower's faces with captions that leave words out: for zero-shot tests, the classes must not have been named."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from fbu.data.captions import captions_for
from fbu.data.towers import Captioned, captioned
from fbu.data.worlds import tower_scenes

_CHUNK = 2048


def unnamed(omit: Collection[str], *, style: str, size: str, image_size: int, seed: int = 0) -> Captioned:
    """The faces of :func:`fbu.data.towers.captioned` with captions in which some expressions have no words.

    The pictures are the same ones, so they are drawn once; the captions say all else that they would have said.

    Args:
        omit: expressions whose class names and synonyms never occur.
        style: caption style, as in :mod:`fbu.data.captions`.
        size: quick, demo or full.
        image_size: side, pixels.
        seed: as for ``captioned``.

    Raises:
        ValueError: an expression without words of its own.
    """
    base = captioned(faces=1.0, style=style, size=size, image_size=image_size, seed=seed)
    said: list[str] = []
    for first in range(0, len(base.images), _CHUNK):
        index = np.arange(first, min(first + _CHUNK, len(base.images)))
        scene, shown = tower_scenes(index, seed=seed)
        said += captions_for(scene, index, shown, style=style, seed=seed, omit=frozenset(omit))
    return replace(base, captions=said)
