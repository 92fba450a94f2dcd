"""Decode once: pictures as one memory-mapped uint8 array beside the list of their samples."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from filelock import FileLock

from fbu.config import home
from fbu.data.decoding import UNREADABLE, check_preset, decode, sizes
from fbu.errors import DataError

# Raised when the same files give other arrays.
_VERSION = 1
_THREADS = 2
_BLOCK = 64
_COPIED_ROWS = 1024
_PROBES = 64


@dataclass(frozen=True, eq=False)
class Decoded:
    """Pictures of a table.

    Attributes:
        images: uint8 ``[N, 3, S, S]``, memory-mapped, read only.
        samples: sample of each picture.
        unreadable: samples without a picture.
        folder: where they are kept.
    """

    images: np.ndarray
    samples: list[str]
    unreadable: list[str]
    folder: Path


def key_of(root: Path, paths: Sequence[str], image_size: int, preset: str, version: int) -> str:
    """Name of the cache of some files: from their names, sizes and part of their content, not their place."""
    digest = hashlib.sha256(json.dumps([_VERSION, version, image_size, preset]).encode())
    for path, size in zip(paths, sizes(root, paths), strict=True):
        digest.update(f"{path}\t{size}\n".encode())
    # Reading every file would cost as much as decoding; a few tell copies with equal sizes apart.
    for at in np.linspace(0, len(paths) - 1, min(_PROBES, len(paths))).astype(int):
        try:
            digest.update(hashlib.sha256((root / paths[at]).read_bytes()).digest())
        except OSError:
            digest.update(b"unreadable")
    return digest.hexdigest()[:24]


def decoded(
    root: Path,
    table: pd.DataFrame,
    *,
    image_size: int,
    preset: str = "none",
    version: int = 1,
    skip_unreadable: bool = False,
) -> Decoded:
    """Pictures of a table, decoded at the first call and read back afterwards.

    Args:
        root: the dataset's folder.
        table: columns sample and path (relative to root).
        image_size: side in pixels.
        preset: a name of `fbu.data.decoding.PRESETS`.
        version: of the manifest.
        skip_unreadable: leave out what cannot be read instead of failing.

    Raises:
        DataError: unknown preset, or unreadable pictures (counted, the first ones named).
    """
    check_preset(preset)
    if image_size < 1:
        raise DataError(f"image_size is {image_size}: it must be at least 1 pixel")
    key = key_of(root, list(table["path"]), image_size, preset, version)
    whole, partial = home() / "cache" / key, home() / "cache" / f"{key}-partial"
    with _locked(key):
        for folder in (whole, partial) if skip_unreadable else (whole,):
            if folder.is_dir():
                return _opened(folder)
        with new_folder(whole) as draft:
            reasons = _fill(draft, root, table, image_size, preset)
            if reasons and (not skip_unreadable or len(reasons) == len(table)):
                raise DataError(_complaint(root, reasons, len(table)))
            final = partial if reasons else whole
            os.replace(draft, final)
        return _opened(final)


def rows(cache: Decoded, at: np.ndarray) -> np.ndarray:
    """Some pictures of a cache as a memory map of their own (a view where they lie together).

    Args:
        cache: decoded pictures.
        at: positions, increasing, int ``[n]``, n >= 1.
    """
    if len(at) == at[-1] - at[0] + 1:
        return cache.images[at[0] : at[-1] + 1]
    name = hashlib.sha256(np.ascontiguousarray(at, dtype="<i8").tobytes()).hexdigest()[:16]
    path = cache.folder / f"rows-{name}.npy"
    with _locked(cache.folder.name):
        if not path.is_file():
            draft = path.with_suffix(".draft")
            _copy_rows(cache.images, at, draft)
            os.replace(draft, path)
    return np.load(path, mmap_mode="r")


@contextmanager
def new_folder(final: Path) -> Iterator[Path]:
    """A temporary folder beside ``final``, to be moved to its place; removed if it is still there at the end.

    To be used under a lock on ``final``: what an interrupted process left behind is removed first.
    """
    final.parent.mkdir(parents=True, exist_ok=True)
    for stale in final.parent.glob(f".{final.name}.*"):
        shutil.rmtree(stale, ignore_errors=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{final.name}.", dir=final.parent))
    draft.chmod(0o755)
    try:
        yield draft
    finally:
        shutil.rmtree(draft, ignore_errors=True)


@contextmanager
def _locked(key: str) -> Iterator[None]:
    folder = home() / "cache"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / f"{key}.lock"):
        yield


def _fill(draft: Path, root: Path, table: pd.DataFrame, image_size: int, preset: str) -> dict[str, str]:
    """Write images.npy, records.csv and unreadable.json; returns path -> reason of what could not be read."""
    paths = list(table["path"])
    shape = (len(paths), 3, image_size, image_size)
    out = np.lib.format.open_memmap(draft / "images.npy", mode="w+", dtype=np.uint8, shape=shape)

    def block(start: int) -> dict[int, str]:
        failed = {}
        for at in range(start, min(start + _BLOCK, len(paths))):
            try:
                picture = decode(root / paths[at], image_size, preset)
            except UNREADABLE as error:
                failed[at] = "missing" if isinstance(error, FileNotFoundError) else type(error).__name__
            else:
                out[at] = picture
        return failed

    with ThreadPoolExecutor(_THREADS) as pool:
        bad = {at: why for part in pool.map(block, range(0, len(paths), _BLOCK)) for at, why in part.items()}
    out.flush()
    good = np.setdiff1d(np.arange(len(paths)), list(bad))
    if bad and len(good):
        _copy_rows(out, good, draft / "kept.npy")
        os.replace(draft / "kept.npy", draft / "images.npy")
    table.iloc[good][["sample", "path"]].to_csv(draft / "records.csv", index=False, lineterminator="\n")
    lost = [str(table["sample"].iloc[at]) for at in sorted(bad)]
    (draft / "unreadable.json").write_text(json.dumps(lost), encoding="utf-8")
    return {paths[at]: bad[at] for at in sorted(bad)}


def _copy_rows(images: np.ndarray, at: np.ndarray, path: Path) -> None:
    shape = (len(at), *images.shape[1:])
    out = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
    for start in range(0, len(at), _COPIED_ROWS):
        out[start : start + _COPIED_ROWS] = images[at[start : start + _COPIED_ROWS]]
    out.flush()


def _opened(folder: Path) -> Decoded:
    images = np.load(folder / "images.npy", mmap_mode="r")
    samples = pd.read_csv(folder / "records.csv", dtype=str, keep_default_na=False)["sample"].tolist()
    lost = json.loads((folder / "unreadable.json").read_text(encoding="utf-8"))
    return Decoded(images, samples, lost, folder)


def _complaint(root: Path, reasons: dict[str, str], n: int) -> str:
    first = ", ".join(f"{path} ({reason})" for path, reason in list(reasons.items())[:3])
    more = " ..." if len(reasons) > 3 else ""
    mend = (
        "restore them"
        if len(reasons) == n
        else "restore them, or pass skip_unreadable=True to leave them out"
    )
    return f"{root}: {len(reasons)} of {n} pictures cannot be read: {first}{more}; {mend}"
