"""Decode once: pictures as one memory-mapped uint8 array beside the list of their samples."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from filelock import FileLock
from PIL import Image

from fbu.config import home
from fbu.data.alignment import preset_named
from fbu.data.decoding import UNREADABLE, fit
from fbu.data.face_points import FacePoints
from fbu.data.media import PICTURES, Media, reason
from fbu.data.stores import JpegImages, open_store, pack, writer
from fbu.errors import DataError

# Raised when the same files give other arrays.
_VERSION = 2
_THREADS = 2
_AHEAD = 4  # blocks that are decoded and not yet written, so that memory stays flat
_COPIED_ROWS = 1024
_PROBES = 64

#: Called with (rows done, rows in all) while pictures are decoded.
Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Decoded:
    """Pictures of a table.

    Attributes:
        images: uint8 ``[F, 3, S, S]``, memory-mapped, read only (or a `fbu.data.stores.JpegImages`): one picture
            per sample, or the frames of one clip after the other.
        counts: frames of each sample, int64 ``[N]``; all 1 for pictures.
        samples: sample of each picture or clip.
        unreadable: samples without a picture.
        cut: samples of which only a part of the frames could be read.
        folder: where they are kept.
    """

    images: np.ndarray
    counts: np.ndarray
    samples: list[str]
    unreadable: list[str]
    cut: list[str]
    folder: Path


@dataclass(frozen=True, eq=False)
class How:
    """What is made of each picture, apart from where it lies.

    Attributes:
        image_size: side in pixels.
        preset: a name of `fbu.data.alignment.PRESETS`.
        version: of the manifest.
        media: what a row's path points to.
        store: ``array`` or ``jpeg``.
        points: what the preset needs, of each row.

    Raises:
        DataError: unknown preset, or an image size below 1.
    """

    image_size: int
    preset: str = "none"
    version: int = 1
    media: Media = PICTURES
    store: str = "array"
    points: FacePoints | None = None

    def __post_init__(self) -> None:
        preset_named(self.preset)
        if self.image_size < 1:
            raise DataError(f"image_size is {self.image_size}: it must be at least 1 pixel")

    def text(self) -> str:
        """Everything in here, for a key."""
        points = None if self.points is None else self.points.digest
        known = [_VERSION, self.version, self.image_size, self.preset, self.media.name, self.store, points]
        return json.dumps(known)


def key_of(root: Path, paths: Sequence[str], how: How) -> str:
    """Name of the cache of some files: from their names, sizes and part of their content, not their place."""
    digest = hashlib.sha256(how.text().encode())
    for path, size in zip(paths, how.media.sizes(root, paths), strict=True):
        digest.update(f"{path}\t{size}\n".encode())
    # Reading every file would cost as much as decoding; a few tell copies with equal sizes apart.
    probed = {paths[at] for at in np.linspace(0, len(paths) - 1, min(_PROBES, len(paths))).astype(int)}
    for path in sorted(probed):
        try:
            digest.update(hashlib.sha256(how.media.content(root, path)).digest())
        except OSError:
            digest.update(b"unreadable")
    return digest.hexdigest()[:24]


def decoded(
    root: Path,
    table: pd.DataFrame,
    how: How,
    *,
    skip_unreadable: bool = False,
    progress: Progress | None = None,
) -> Decoded:
    """Pictures of a table, decoded at the first call and read back afterwards.

    Args:
        root: the dataset's folder.
        table: columns sample and path (relative to root), and what the media need.
        how: what is made of them.
        skip_unreadable: leave out what cannot be read instead of failing.
        progress: told about the rows that are done.

    Raises:
        DataError: unreadable pictures (counted, the first ones named).
    """
    key = key_of(root, list(table["path"]), how)
    whole, partial = home() / "cache" / key, home() / "cache" / f"{key}-partial"
    with _locked(key):
        for folder in (whole, partial) if skip_unreadable else (whole,):
            if folder.is_dir():
                return _opened(folder)
        with new_folder(whole) as draft:
            reasons, kept = _fill(draft, root, table, how, progress)
            if reasons and (not skip_unreadable or not kept):
                raise DataError(_complaint(root, reasons, len(table), kept))
            final = partial if reasons else whole
            os.replace(draft, final)
        return _opened(final)


def is_cached(root: Path, table: pd.DataFrame, how: How) -> bool:
    """Whether all pictures of a table have been decoded already."""
    return (home() / "cache" / key_of(root, list(table["path"]), how)).is_dir()


def rows(cache: Decoded, at: np.ndarray) -> np.ndarray:
    """Some pictures of a cache as a memory map of their own (a view where they lie together).

    Args:
        cache: decoded pictures.
        at: positions, increasing, int ``[n]``, n >= 1.
    """
    if isinstance(cache.images, JpegImages):
        return cache.images.rows(at)
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


def _fill(
    draft: Path, root: Path, table: pd.DataFrame, how: How, progress: Progress | None
) -> tuple[dict[str, str], int]:
    """Write the pictures and records; returns path -> reason of what could not be read, and the rows kept."""
    block = how.media.block
    points = None if how.points is None else how.points.array  # read before the threads start

    def decode_block(start: int) -> list[list[bytes | str]]:
        part = table.iloc[start : start + block]
        found: list[list[bytes | str]] = []
        for at, frames in enumerate(how.media.open(root, part), start):
            given = None if points is None else points[at]
            found.append([_packed(frame, how, given) for frame in frames])
        return found

    reasons: dict[str, str] = {}
    counts, lost = np.zeros(len(table), np.int64), np.zeros(len(table), np.int64)
    with ThreadPoolExecutor(_THREADS) as pool, writer(draft, how.store, how.image_size) as out:
        waiting: deque[tuple[int, Future[list[list[bytes | str]]]]] = deque()
        starts = iter(range(0, len(table), block))
        while True:
            while len(waiting) < _AHEAD and (start := next(starts, None)) is not None:
                waiting.append((start, pool.submit(decode_block, start)))
            if not waiting:
                break
            start, future = waiting.popleft()
            try:
                done = future.result()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
            for at, frames in enumerate(done, start):
                for frame in frames:
                    if isinstance(frame, bytes):
                        out.add(frame)
                        counts[at] += 1
                    else:
                        lost[at] += 1
                        reasons.setdefault(_named(table, at, how.media), frame)
            if progress is not None:
                progress(min(start + block, len(table)), len(table))
    records = table[["sample", "path"]].assign(frames=counts, lost=lost)
    records.to_csv(draft / "records.csv", index=False, lineterminator="\n")
    return reasons, int((counts > 0).sum())


def _packed(frame: Image.Image | str, how: How, points: np.ndarray | None) -> bytes | str:
    """What is stored of one picture, or (text) the reason why it cannot be read."""
    if isinstance(frame, str):
        return frame
    try:
        return pack(fit(frame, how.image_size, how.preset, points), how.store)
    except UNREADABLE as error:
        return reason(error)


def _named(table: pd.DataFrame, at: int, media: Media) -> str:
    """A row's file, and its sample where many rows share a file."""
    path, sample = str(table["path"].iloc[at]), str(table["sample"].iloc[at])
    return path if media is PICTURES or media.clips else f"{path}: {sample}"


def _copy_rows(images: np.ndarray, at: np.ndarray, path: Path) -> None:
    shape = (len(at), *images.shape[1:])
    out = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
    for start in range(0, len(at), _COPIED_ROWS):
        out[start : start + _COPIED_ROWS] = images[at[start : start + _COPIED_ROWS]]
    out.flush()


def _opened(folder: Path) -> Decoded:
    records = pd.read_csv(folder / "records.csv", dtype={"sample": str, "path": str}, keep_default_na=False)
    kept = records["frames"] > 0
    return Decoded(
        open_store(folder),
        records["frames"][kept].to_numpy(np.int64),
        records["sample"][kept].tolist(),
        records["sample"][~kept].tolist(),
        records["sample"][kept & (records["lost"] > 0)].tolist(),
        folder,
    )


def _complaint(root: Path, reasons: dict[str, str], n: int, kept: int) -> str:
    first = ", ".join(f"{path} ({reason})" for path, reason in list(reasons.items())[:3])
    more = " ..." if len(reasons) > 3 else ""
    mend = "restore them, or pass skip_unreadable=True to leave them out" if kept else "restore them"
    return f"{root}: {len(reasons)} of {n} pictures cannot be read: {first}{more}; {mend}"
