"""Decoding a dataset before anything trains on it: what it takes, whether it fits, and doing it."""

from __future__ import annotations

import math
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from fbu import data
from fbu.config import home
from fbu.data import cache, layouts, stores
from fbu.data.manifest import load_manifest, options_of_copy
from fbu.data.media.videos import Clips
from fbu.errors import DataError

# Clips that are looked into for an estimate.
_PROBED = 64
# What else is written, and must not be taken away from others: records, and a file system is never filled up.
_MARGIN = 1.02
_UNITS = ("bytes", "kB", "MB", "GB", "TB")


@dataclass(frozen=True)
class Plan:
    """What decoding one copy takes.

    Attributes:
        dataset: its name.
        folder: the copy.
        rows: pictures or clips.
        pictures: pictures that are kept; of clips an estimate.
        image_size: side in pixels.
        preset: alignment.
        store: ``array`` or ``jpeg``.
        bytes: size of the cache; of JPEGs an estimate.
        free: bytes left on the file system of the cache.
        done: whether it is there already.
    """

    dataset: str
    folder: Path
    rows: int
    pictures: int
    image_size: int
    preset: str
    store: str
    bytes: int
    free: int
    done: bool

    @property
    def fits(self) -> bool:
        """Whether there is room."""
        return self.done or self.bytes <= self.free

    def __str__(self) -> str:
        what = f"{self.rows:,} rows" + (
            f", about {self.pictures:,} frames" if self.pictures != self.rows else ""
        )
        how = f"{self.image_size} px, preset {self.preset}, store {self.store}"
        state = "cached" if self.done else f"{readable(self.free)} free in {home()}"
        return f"{self.dataset} in {self.folder}: {what} at {how}: {readable(self.bytes)}; {state}"


def cache_dataset(
    name: str,
    folder: Path,
    *,
    image_size: int,
    protocol: str | None = None,
    preset: str | None = None,
    dry_run: bool = False,
    skip_unreadable: bool = False,
    progress: cache.Progress | None = None,
) -> Plan:
    """Decode a copy of a dataset into the cache, unless it is there or would not fit.

    Args:
        name: dataset.
        folder: its files, as `fbu.data.locate` gives it.
        image_size: side in pixels.
        protocol: whose reader options and alignment are taken, as in `fbu.data.load`.
        preset: alignment; default: the protocol's, then the manifest's.
        dry_run: only say what it would take.
        skip_unreadable: leave out what cannot be read instead of failing.
        progress: told (rows done, rows in all).

    Raises:
        DataError: it does not fit (said before anything is decoded), or see `fbu.data.load`.
    """
    manifest = load_manifest(name)
    chosen = data.protocol_named(manifest, protocol)
    manifest = manifest.with_options({**options_of_copy(folder), **(chosen.options if chosen else {})})
    table = layouts.read(folder, manifest)
    how = data.how_made(
        folder, table, manifest, image_size, preset or data.preset_of(manifest, chosen, folder)
    )
    pictures = round(len(table) * _frames_per_row(folder, list(table["path"]), how))
    plan = Plan(
        dataset=name,
        folder=folder,
        rows=len(table),
        pictures=pictures,
        image_size=image_size,
        preset=how.preset,
        store=how.store,
        bytes=round(pictures * stores.bytes_per_picture(how.store, image_size) * _MARGIN),
        free=shutil.disk_usage(_existing(home())).free,
        done=cache.is_cached(folder, table, how),
    )
    if dry_run or plan.done:
        return plan
    if not plan.fits:
        smaller = "" if how.store == "jpeg" else "FBU_CACHE_STORE=jpeg, "
        raise DataError(
            f"{plan}, which is too little: choose {smaller}a smaller --image-size, or FBU_HOME on a larger disk"
        )
    cache.decoded(folder, table, how, skip_unreadable=skip_unreadable, progress=progress)
    return replace(plan, done=True)


def readable(n: float) -> str:
    """Bytes for people.

    >>> readable(1_500_000_000)
    '1.5 GB'
    """
    steps = min(int(math.log10(max(n, 1)) / 3), len(_UNITS) - 1)
    return f"{n / 1000**steps:,.{0 if steps == 0 else 1}f} {_UNITS[steps]}"


def _frames_per_row(folder: Path, paths: list[str], how: cache.How) -> float:
    """Pictures that a row takes: 1, or of clips the mean over some of them."""
    if not isinstance(how.media, Clips):
        return 1.0
    probed = [paths[at] for at in np.linspace(0, len(paths) - 1, min(_PROBED, len(paths))).astype(int)]
    return float(np.mean([how.media.kept(folder / path) for path in probed]))


def _existing(path: Path) -> Path:
    """The path, or the nearest folder above it that is there."""
    while not path.exists():
        path = path.parent
    return path
