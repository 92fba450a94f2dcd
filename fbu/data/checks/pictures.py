"""Pictures, one by one: there, whole, a picture at all, and of a shape that a face may have."""

from __future__ import annotations

import hashlib
import io
import os
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from PIL import Image, UnidentifiedImageError

from fbu.data.checks import Copy, Problem, Row
from fbu.data.decoding import UNREADABLE
from fbu.data.layouts.files import in_any_case
from fbu.wording import some

Progress = Callable[[int, int], None]

_THREADS = 2
_BLOCK = 64
_SMALLEST = 16
_LONGEST = 2.5
_USUAL_SHARE = 0.9
_DRAFT = (64, 64)
_RESTORE = "restore the picture, or load with skip_unreadable=True"
_ENDINGS = {"JPEG": (".jpg", ".jpeg"), "PNG": (".png",)}


class _Seen(NamedTuple):
    """What one picture turned out to be."""

    problem: Problem | None = None
    size: tuple[int, int] | None = None
    digest: bytes = b""


def check_pictures(copy: Copy, chosen: int | None, progress: Progress) -> tuple[int, int]:
    """Look at every picture that a row names.

    Args:
        copy: examined rows; problems are added to it.
        chosen: about how many to decode, spread over all; None: all.
        progress: told (done, total).

    Returns:
        Number of pictures that are there, and of those decoded.
    """
    rows = {row.path: row for row in reversed(copy.rows) if row.path}
    there = []
    for path in sorted(rows):
        problem = _absent(copy, path, rows[path])
        if problem is None:
            there.append(path)
        else:
            copy.problems.append(problem)
    step = 1 if chosen is None else max(1, -(-len(there) // max(1, chosen)))
    sample = there[::step]
    seen: dict[str, _Seen] = {}
    with warnings.catch_warnings():
        # Remarks about EXIF and the like are no damage; only a picture that expands without measure is.
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        for path, found in zip(sample, _looked_at(copy.root, sample, progress), strict=True):
            seen[path] = found
            if found.problem is not None:
                copy.problems.append(found.problem)
    _unusual(copy, {path: found.size for path, found in seen.items() if found.size is not None})
    # Neighbouring frames of a video may well be equal, and drawn faces may too.
    if copy.manifest.kind == "expression" and not copy.twin:
        _identical(copy, {path: found.digest for path, found in seen.items() if found.digest})
    return len(there), len(sample)


def _looked_at(root: Path, paths: Sequence[str], progress: Progress) -> Iterator[_Seen]:
    def block(start: int) -> list[_Seen]:
        return [_look(root, path) for path in paths[start : start + _BLOCK]]

    done = 0
    with ThreadPoolExecutor(_THREADS) as pool:
        for part in pool.map(block, range(0, len(paths), _BLOCK)):
            done += len(part)
            progress(done, len(paths))
            yield from part


def _absent(copy: Copy, path: str, row: Row) -> Problem | None:
    """A problem if there is no file, or an empty one."""
    full = copy.root / path
    try:
        size = os.stat(full).st_size if full.is_file() else -1
    except OSError:
        size = -1
    if size > 0:
        return None
    if size == 0:
        return Problem("error", "empty picture", path, None, "the file has 0 bytes", _RESTORE)
    if full.is_dir():
        what = f"{path} is a folder, not a picture"
        return Problem("error", "missing picture", row.file, row.line, what, "put the picture in its place")
    what, mend = f"{path} is missing", "restore the picture, or remove its row"
    if others := in_any_case(full.parent, full.name):
        what, mend = f"{what}, but {others[0].name} is there", "rename the file: letters count"
    return Problem("error", "missing picture", row.file, row.line, what, mend)


def _look(root: Path, path: str) -> _Seen:
    """Decode one picture."""

    def error(kind: str, message: str, mend: str = _RESTORE) -> _Seen:
        return _Seen(Problem("error", kind, path, None, message, mend))

    try:
        raw = (root / path).read_bytes()
    except OSError as problem:
        return error("unreadable file", f"the file cannot be read: {problem.strerror}")
    try:
        with Image.open(io.BytesIO(raw)) as image:
            size, kind = image.size, image.format or "unknown"
            image.draft(None, _DRAFT)
            image.load()
            colours = image.convert("RGB").getcolors(1)
    except UnidentifiedImageError:
        what = "it holds text" if _is_text(raw) else "its bytes are no known format"
        return error("not a picture", f"the file is not a picture: {what}")
    except Image.DecompressionBombWarning as problem:
        return error("odd shape", f"the picture is suspiciously large: {problem}")
    except UNREADABLE as problem:
        if "truncated" in str(problem) or _is_cut(raw):
            return error("truncated picture", "the picture ends too early")
        return error(
            "damaged picture", f"the picture cannot be decoded: {str(problem) or type(problem).__name__}"
        )
    found = _remark(path, raw, size, kind)
    if found is None and colours is not None:
        what, mend = "the picture has one colour only", "look at it; restore it if it should show a face"
        found = Problem("warning", "blank picture", path, None, what, mend)
    return _Seen(found, size, hashlib.sha256(raw).digest())


def _is_cut(raw: bytes) -> bool:
    """Whether a JPEG file lacks its end marker after the last scan (which cannot contain one)."""
    return raw[:2] == b"\xff\xd8" and raw.rfind(b"\xff\xd9") <= raw.rfind(b"\xff\xda")


def _remark(path: str, raw: bytes, size: tuple[int, int], kind: str) -> Problem | None:
    """What is odd about a picture that can be decoded."""
    if _is_cut(raw):
        # Broken downloads keep their full size, filled with zeros, and decode to half a face and grey.
        what = "the picture has no end marker, so part of it may be missing"
        return Problem("error", "truncated picture", path, None, what, _RESTORE)
    if min(size) < _SMALLEST or max(size) > _LONGEST * min(size):
        what = f"the picture is {size[0]} x {size[1]} pixels"
        return Problem("warning", "odd shape", path, None, what, "look at it; restore it if it was cut")
    if kind in _ENDINGS and Path(path).suffix.lower() not in _ENDINGS[kind]:
        what = f"the file is {kind} by content and {Path(path).suffix} by name"
        return Problem("warning", "wrong ending", path, None, what, "nothing to do: it is read by content")
    return None


def _is_text(raw: bytes) -> bool:
    start = raw[:256]
    return b"\0" not in start and all(byte >= 32 or byte in b"\t\r\n" for byte in start)


def _unusual(copy: Copy, sizes: Mapping[str, tuple[int, int]]) -> None:
    """Warn once about pictures of another size, where nearly all have the same."""
    common = Counter(sizes.values()).most_common(1)
    if not common or common[0][1] == len(sizes) or common[0][1] < _USUAL_SHARE * len(sizes):
        return
    usual = common[0][0]
    other = [path for path, size in sizes.items() if size != usual]
    told = some([f"{Path(path).name} ({sizes[path][0]} x {sizes[path][1]})" for path in other])
    what = f"{len(other)} of {len(sizes)} pictures are not {usual[0]} x {usual[1]} pixels: {told}"
    copy.warning("odd shape", other[0], None, what, "look at them; restore them if they were changed")


def _identical(copy: Copy, digests: Mapping[str, bytes]) -> None:
    """Warn about one picture under several names, with what its rows say."""
    rows = {row.path: row for row in reversed(copy.rows)}
    same: dict[bytes, list[str]] = defaultdict(list)
    for path, digest in digests.items():
        same[digest].append(path)
    for paths in same.values():
        if len(paths) < 2:
            continue
        names = " and ".join(Path(path).name for path in paths)
        labels = {rows[path].label for path in paths}
        parts = {rows[path].part for path in paths}
        people = {rows[path].subject for path in paths}
        last = max((rows[path] for path in paths), key=lambda row: row.line or 0)
        if len(labels) > 1:
            told = " and ".join(rows[path].label for path in paths)
            what = f"{names} are the same picture, labelled {told}"
            copy.warning(
                "contradicting labels", last.file, last.line, what, "look at the picture and keep one row"
            )
        elif len(parts) > 1:
            what = f"{names} are the same picture, in {' and '.join(sorted(parts))}"
            copy.warning(
                "picture in two parts", last.file, last.line, what, "keep it in one part, and say so"
            )
        else:
            # Folds go by person, so the same picture may be in training and in test.
            what = f"{names} are the same picture{', under two people' if len(people) > 1 else ''}"
            copy.warning(
                "picture under two names", last.file, last.line, what, "nothing to do, or remove one row"
            )
