"""Pictures with captions, for pre-training the stand-in towers that take the place of published weights.

*FaRL* saw faces only, with detailed facial captions. *CLIP* saw everything, with plain captions: its stand-in sees
faces among other drawn things. The people are never those of a twin (:mod:`fbu.data.worlds.towers`).
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock

from fbu.config import home
from fbu.fingerprints import code_fingerprint, reached

COUNTS = {"quick": 2_000, "demo": 40_000, "full": 400_000}
HELD_OUT = 0.05


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


def captioned(*, faces: float, style: str, size: str, image_size: int, seed: int = 0) -> Captioned:
    """Pictures for a tower, drawn once and kept.

    Args:
        faces: share of faces; the rest are other drawn things.
        style: caption style, as in :mod:`fbu.data.captions`.
        size: a key of ``COUNTS``.
        image_size: side, pixels.
        seed: another seed draws other scenes.
    """
    code = code_fingerprint(reached("fbu.data.towers"))
    about = json.dumps([faces, style, size, image_size, seed, code])
    folder = home() / "cache" / f"tower-{hashlib.sha256(about.encode()).hexdigest()[:16]}"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "lock"):
        if not (folder / "captions.json").exists():
            _draw(folder, COUNTS[size], faces, style, image_size, seed)
    said = json.loads((folder / "captions.json").read_text())
    return Captioned(np.load(folder / "images.npy", mmap_mode="r"), said["captions"], np.array(said["shown"]))


def _draw(folder: Path, count: int, faces: float, style: str, image_size: int, seed: int) -> None:
    """Draw in pieces, so that memory stays flat; the captions are written last and mark the folder as complete."""
    from fbu.data.captions import captions_for
    from fbu.data.faces import render_scene, uniform
    from fbu.data.objects import draw_objects, object_captions
    from fbu.data.worlds import tower_scenes

    temporary = folder / f".images.{os.getpid()}.npy"
    images = np.lib.format.open_memmap(temporary, "w+", np.uint8, (count, 3, image_size, image_size))
    captions, shown = [""] * count, [""] * count
    try:
        for first in range(0, count, 2048):
            index = np.arange(first, min(first + 2048, count))
            face = uniform(seed, torch.from_numpy(index), 1, 977)[:, 0].numpy() < faces
            if face.any():
                scene, names = tower_scenes(index[face], seed=seed)
                pictures = render_scene(scene, image_size)
                assert isinstance(pictures, torch.Tensor)  # no masks were asked for
                images[index[face]] = pictures.numpy()
                texts = captions_for(scene, index[face], names, style=style, seed=seed)
                for i, text, name in zip(index[face], texts, names, strict=True):
                    captions[i], shown[i] = text, str(name)
            if not face.all():
                images[index[~face]] = draw_objects(index[~face], image_size, seed=seed)
                for i, text in zip(index[~face], object_captions(index[~face], seed=seed), strict=True):
                    captions[i] = text
        images.flush()
        os.replace(temporary, folder / "images.npy")
    finally:
        temporary.unlink(missing_ok=True)
    said = folder / f".captions.{os.getpid()}"
    said.write_text(json.dumps({"captions": captions, "shown": shown}))
    os.replace(said, folder / "captions.json")
