"""Pictures with captions, for pre-training the stand-in towers that take the place of published weights.

*FaRL* saw faces only, with detailed facial captions. *CLIP* saw everything, with plain captions: its stand-in sees
faces among other drawn things. The people are never those of a twin (:mod:`fbu.data.worlds.towers`).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock

from fbu.config import home
from fbu.fingerprints import code_fingerprint, reached

COUNTS = {"quick": 2_000, "demo": 40_000, "full": 400_000}
HELD_OUT = 0.05
_PIECE = 2048


@dataclass(frozen=True)
class Captioned:
    """Pictures and what is said of them.

    Attributes:
        images: uint8 memmap (n, 3, S, S).
        captions: n texts.
        shown: n names of expressions; "" where none is shown (loose units, things).
    """

    images: np.ndarray
    captions: list[str]
    shown: np.ndarray

    def part(self, test: bool) -> Captioned:
        """The last pictures (HELD_OUT of them) for testing, or the others for training."""
        cut = round(len(self.images) * (1 - HELD_OUT))
        rows = slice(cut, None) if test else slice(0, cut)
        return Captioned(self.images[rows], self.captions[rows], self.shown[rows])


def captioned(
    *, faces: float, style: str, size: str, image_size: int, seed: int = 0, omit: Collection[str] = ()
) -> Captioned:
    """Pictures for a tower, drawn once and kept; captions of other styles belong to the same pictures.

    Args:
        faces: share of faces; the rest are other drawn things.
        style: caption style, as in :mod:`fbu.data.captions`.
        size: a key of ``COUNTS``.
        image_size: side, pixels.
        seed: another seed draws other scenes.
        omit: expressions whose class names and synonyms never occur; all else that would have been said stays.

    Raises:
        ValueError: unknown style, or an expression to omit that has no words of its own.
    """
    code = code_fingerprint(reached("fbu.data.towers"))
    folder = home() / "cache" / f"tower-{_short([faces, size, image_size, seed, code])}"
    pictures, said = folder / "images.npy", folder / f"captions-{_short([style, sorted(omit)])}.json"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "lock"):
        if not said.exists():
            _say(said, COUNTS[size], faces, style, omit, seed)
        if not pictures.exists():
            _draw(pictures, COUNTS[size], faces, image_size, seed)
    known = json.loads(said.read_text())
    return Captioned(np.load(pictures, mmap_mode="r"), known["captions"], np.array(known["shown"]))


def _short(what: object) -> str:
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()[:16]


def _pieces(count: int, faces: float, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Numbers of faces and of other things, in pieces, so that memory stays flat."""
    from fbu.data.faces import uniform

    for first in range(0, count, _PIECE):
        index = np.arange(first, min(first + _PIECE, count))
        face = uniform(seed, torch.from_numpy(index), 1, 977)[:, 0].numpy() < faces
        yield index[face], index[~face]


def _draw(path: Path, count: int, faces: float, image_size: int, seed: int) -> None:
    from fbu.data.faces import render_scene
    from fbu.data.objects import draw_objects
    from fbu.data.worlds import tower_scenes

    temporary = path.with_name(f".images.{os.getpid()}.npy")
    images = np.lib.format.open_memmap(temporary, "w+", np.uint8, (count, 3, image_size, image_size))
    try:
        for people, things in _pieces(count, faces, seed):
            if len(people):
                pictures = render_scene(tower_scenes(people, seed=seed)[0], image_size)
                assert isinstance(pictures, torch.Tensor)  # no masks were asked for
                images[people] = pictures.numpy()
            if len(things):
                images[things] = draw_objects(things, image_size, seed=seed)
        images.flush()
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _say(path: Path, count: int, faces: float, style: str, omit: Collection[str], seed: int) -> None:
    from fbu.data.captions import captions_for
    from fbu.data.objects import object_captions
    from fbu.data.worlds import tower_scenes

    captions, shown = [""] * count, [""] * count
    for people, things in _pieces(count, faces, seed):
        if len(people):
            scene, names = tower_scenes(people, seed=seed)
            texts = captions_for(scene, people, names, style=style, seed=seed, omit=omit)
            for i, text, name in zip(people, texts, names, strict=True):
                captions[i], shown[i] = text, str(name)
        if len(things):
            for i, text in zip(things, object_captions(things, seed=seed), strict=True):
                captions[i] = text
    temporary = path.with_name(f".captions.{os.getpid()}")
    temporary.write_text(json.dumps({"captions": captions, "shown": shown}))
    os.replace(temporary, path)
