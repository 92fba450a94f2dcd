"""Many pictures of each of many people, for stand-ins of towers that were trained to tell people apart.

The people are never those of a twin, and never those of the captioned pictures either (:mod:`fbu.data.towers`): they
have numbers of their own behind the first of the towers' people. Expression, pose, light and background change from
picture to picture.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from filelock import FileLock

from fbu.config import home
from fbu.fingerprints import code_fingerprint, reached

# People, and pictures of each.
COUNTS = {"quick": (100, 20), "demo": (1_000, 40), "full": (8_000, 50)}
#: Share of the people who are strangers: no picture of them is trained on.
STRANGERS = 0.2
#: Share of the pictures of the other people that are held out.
HELD_OUT = 0.2
# The captioned pictures use numbers below 400,000, for people and for pictures.
FIRST = 500_000
_PIECE = 2048

Part = Literal["train", "held_out", "strangers"]


@dataclass(frozen=True)
class People:
    """Pictures of people, those of a person in a row.

    Attributes:
        images: uint8 memmap (n, 3, S, S).
        person: int64 (n,), who it is: 0, 1, ...; the last of them are strangers.
        pictures: of each person.
    """

    images: np.ndarray
    person: np.ndarray
    pictures: int

    @property
    def known(self) -> int:
        """Number of people who are not strangers: 0 to ``known`` - 1."""
        return _without_strangers(len(self.person) // self.pictures)

    def rows(self, part: Part) -> np.ndarray:
        """Row numbers of a part, without reading the pictures.

        Args:
            part: "train" or "held_out" pictures of the known people, or all of the "strangers".

        Raises:
            ValueError: another part.
        """
        number = np.arange(len(self.person)) % self.pictures
        known = self.person < self.known
        training = number < self.pictures - round(self.pictures * HELD_OUT)
        chosen = {"train": known & training, "held_out": known & ~training, "strangers": ~known}
        if part not in chosen:
            raise ValueError(f"part is {part!r}; known: {', '.join(chosen)}")
        return np.flatnonzero(chosen[part])


def known_people(size: str) -> int:
    """Number of people of a size who are trained on, without drawing them; ValueError for an unknown size."""
    return _without_strangers(_counts(size)[0])


def people(*, size: str, image_size: int, seed: int = 0) -> People:
    """Pictures of people, drawn once and kept.

    Args:
        size: a key of ``COUNTS``.
        image_size: side, pixels.
        seed: another seed draws other pictures of the same people.

    Raises:
        ValueError: unknown size.
    """
    count, pictures = _counts(size)
    person = np.repeat(np.arange(count), pictures)
    code = code_fingerprint(reached("fbu.data.people"))
    what = json.dumps([count, pictures, image_size, seed, code])
    folder = home() / "cache" / f"people-{hashlib.sha256(what.encode()).hexdigest()[:16]}"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "lock"):
        if not (folder / "images.npy").exists():
            _draw(folder / "images.npy", person, image_size, seed)
    return People(np.load(folder / "images.npy", mmap_mode="r"), person, pictures)


def _counts(size: str) -> tuple[int, int]:
    if size not in COUNTS:
        raise ValueError(f"size is {size!r}; known: {', '.join(COUNTS)}")
    return COUNTS[size]


def _without_strangers(count: int) -> int:
    return count - round(count * STRANGERS)


def _draw(path: Path, person: np.ndarray, image_size: int, seed: int) -> None:
    from fbu.data.faces import render_scene
    from fbu.data.worlds import tower_scenes

    temporary = path.with_name(f".images.{os.getpid()}.npy")
    images = np.lib.format.open_memmap(temporary, "w+", np.uint8, (len(person), 3, image_size, image_size))
    try:
        for first in range(0, len(person), _PIECE):
            rows = np.arange(first, min(first + _PIECE, len(person)))
            scene, _ = tower_scenes(FIRST + rows, seed=seed, people=FIRST + person[rows])
            images[rows] = render_scene(scene, image_size).numpy()
        images.flush()
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
