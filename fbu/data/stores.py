"""How decoded pictures are kept: as one array, or as JPEGs for sets that would not fit."""

from __future__ import annotations

import io
import os
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

import numpy as np
from PIL import Image

from fbu.errors import DataError

STORES = ("array", "jpeg")
_ARRAY, _BLOB, _OFFSETS = "images.npy", "images.jpegs", "offsets.npy"
_QUALITY = 95


def chosen_store() -> str:
    """``$FBU_CACHE_STORE``: ``array`` (default), or ``jpeg``: smaller by about ten, slower, and not bit for bit.

    Raises:
        DataError: another value.
    """
    name = os.environ.get("FBU_CACHE_STORE") or "array"
    if name not in STORES:
        raise DataError(f"FBU_CACHE_STORE is {name!r}: known are {', '.join(STORES)}")
    return name


def pack(picture: np.ndarray, store: str) -> bytes:
    """Bytes of one picture, uint8 ``[3, S, S]``; may run in any thread."""
    if store == "array":
        return picture.tobytes()
    out = io.BytesIO()
    whole = Image.fromarray(np.ascontiguousarray(picture.transpose(1, 2, 0)))
    whole.save(out, format="JPEG", quality=_QUALITY, subsampling=0)
    return out.getvalue()


def writer(folder: Path, store: str, image_size: int) -> _ArrayWriter | _JpegWriter:
    """Writer of a folder's pictures; what it wrote counts when the ``with`` block is left without an exception."""
    return _ArrayWriter(folder, image_size) if store == "array" else _JpegWriter(folder, image_size)


def open_store(folder: Path) -> np.ndarray:
    """Pictures of a folder: memory-mapped uint8 ``[N, 3, S, S]``, or a `JpegImages`, which is indexed alike."""
    if (folder / _ARRAY).is_file():
        return cast(np.ndarray, np.load(folder / _ARRAY, mmap_mode="r", allow_pickle=False))
    offsets = np.load(folder / _OFFSETS, allow_pickle=False)
    return cast(np.ndarray, JpegImages(folder / _BLOB, offsets[1:], int(offsets[0])))


def bytes_per_picture(store: str, image_size: int) -> int:
    """Size of a stored picture; of a JPEG about: 2.4 bits a pixel and channel were measured on faces."""
    raw = 3 * image_size**2
    return raw if store == "array" else raw * 3 // 10


class JpegImages:
    """Pictures kept as JPEGs, decoded when they are asked for: ``images[rows]`` is uint8 ``[n, 3, S, S]``.

    Args:
        path: the JPEGs, one after the other.
        offsets: where each begins, and the end, int64 ``[N + 1]``.
        image_size: S in pixels.
        rows: pictures that are meant, in order; default all.
    """

    dtype = np.dtype(np.uint8)

    def __init__(
        self, path: Path, offsets: np.ndarray, image_size: int, rows: np.ndarray | None = None
    ) -> None:
        self._path, self._offsets, self._size = path, offsets, image_size
        self._rows = np.arange(len(offsets) - 1) if rows is None else rows
        self._bytes = np.memmap(path, np.uint8, "r") if offsets[-1] else np.empty(0, np.uint8)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """N, 3, S, S."""
        return len(self._rows), 3, self._size, self._size

    def __len__(self) -> int:
        """Number of pictures."""
        return len(self._rows)

    def rows(self, at: np.ndarray) -> JpegImages:
        """Some of the pictures, still undecoded."""
        return JpegImages(self._path, self._offsets, self._size, self._rows[at])

    def __getitem__(self, key: Any) -> np.ndarray:
        """Decoded pictures of a slice, a list or a mask; one picture ``[3, S, S]`` of a whole number."""
        chosen = self._rows[key]
        if np.ndim(chosen) == 0:
            return self._decode(int(chosen))
        out = np.empty((len(chosen), *self.shape[1:]), np.uint8)
        for at, row in enumerate(chosen):
            out[at] = self._decode(int(row))
        return out

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """All pictures, decoded."""
        return self[:] if dtype is None else self[:].astype(dtype)

    def _decode(self, row: int) -> np.ndarray:
        data = self._bytes[self._offsets[row] : self._offsets[row + 1]].tobytes()
        with Image.open(io.BytesIO(data)) as image:
            return np.asarray(image.convert("RGB")).transpose(2, 0, 1)


class _ArrayWriter:
    def __init__(self, folder: Path, image_size: int) -> None:
        self._file = (folder / _ARRAY).open("wb")
        self._size, self._n = image_size, 0
        self._header()
        self._begin = self._file.tell()

    def _header(self) -> None:
        shape = (self._n, 3, self._size, self._size)
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        # The format leaves room for a longer first axis, so the final header fits in the place of the first.
        np.lib.format.write_array_header_1_0(self._file, header)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        if kind is None:
            self._file.seek(0)
            self._header()
            assert self._file.tell() == self._begin
        self._file.close()

    def add(self, picture: bytes) -> None:
        self._file.write(picture)
        self._n += 1


class _JpegWriter:
    def __init__(self, folder: Path, image_size: int) -> None:
        self._folder, self._size = folder, image_size
        self._file = (folder / _BLOB).open("wb")
        self._offsets = [0]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._file.close()
        if kind is None:
            np.save(self._folder / _OFFSETS, np.array([self._size, *self._offsets], np.int64))

    def add(self, picture: bytes) -> None:
        self._file.write(picture)
        self._offsets.append(self._offsets[-1] + len(picture))
