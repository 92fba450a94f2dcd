"""Fetches the datasets that anyone may download: into a temporary folder first, then renamed."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import shutil
import urllib.request
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from filelock import FileLock

from fbu.config import home
from fbu.data import layouts
from fbu.data.cache import new_folder
from fbu.data.layouts.files import inside
from fbu.data.manifest import Manifest, load_manifest
from fbu.errors import DataError

Progress = Callable[[int, int], None]

#: What a fetched copy says about its origin.
NOTE = "fetched.json"
_CHUNK = 1 << 16
_TIMEOUT_S = 30


@dataclass(frozen=True)
class Address:
    """Where a public archive lies.

    Attributes:
        page: for people.
        url: of a zip archive with one folder at its top.
        commit: (start of the) id that the archive's comment must hold; GitHub writes it there.
        keep: what is unpacked, files or folders below the archive's top folder.
        sha256: of the archive, where the server's bytes are stable; None: they are packed on request.
    """

    page: str
    url: str
    commit: str
    keep: tuple[str, ...]
    sha256: str | None = None


#: Open datasets by name.
ADDRESSES: dict[str, Address] = {
    "facial_expressions": Address(
        page="https://github.com/muxspace/facial_expressions",
        url="https://github.com/muxspace/facial_expressions/archive/5fb9c13a.zip",
        commit="5fb9c13a",
        keep=("data/legend.csv", "images", "LICENSE", "LICENSE.txt", "LICENSE.md", "README.md"),
    )
}


def fetch(name: str, root: Path, *, progress: Progress = lambda done, total: None) -> Path:
    """Download an open dataset to ``root/<name>``; nothing is left behind when it fails.

    The archive must name the commit of the manifest, every file must fit the archive's own checksum (CRC-32),
    the manifest's checksums must agree, and the reader must understand the result.

    Args:
        name: dataset.
        root: folder that is to hold ``<name>/``.
        progress: told (bytes so far, bytes in all or 0).

    Raises:
        DataError: not an open dataset, a folder that is there already, no network, or a wrong archive.
    """
    manifest = load_manifest(name)
    if name not in ADDRESSES:
        why = "has no public address" if manifest.open else "may not be downloaded by everyone"
        raise DataError(f"{manifest.title} {why}: {manifest.obtain}")
    final = Path(root).expanduser().resolve() / name
    home().mkdir(parents=True, exist_ok=True)
    with FileLock(home() / f"fetch-{name}.lock"):
        if final.exists():
            raise DataError(
                f"{final} is there already: remove it first, or check it with `fbu data check {name}`"
            )
        with new_folder(final) as draft:
            archive = draft / "archive.zip"
            digest = _download(ADDRESSES[name], archive, manifest, progress)
            _unpack(ADDRESSES[name], archive, draft)
            archive.unlink()
            _verify(draft, manifest)
            note = {"url": ADDRESSES[name].url, "commit": ADDRESSES[name].commit, "archive_sha256": digest}
            (draft / NOTE).write_text(json.dumps(note, indent=1) + "\n", encoding="utf-8")
            os.replace(draft, final)
    return final


def _download(address: Address, path: Path, manifest: Manifest, progress: Progress) -> str:
    """Save the archive; returns its sha256."""
    digest = hashlib.sha256()
    done = 0
    try:
        with urllib.request.urlopen(address.url, timeout=_TIMEOUT_S) as answer, path.open("wb") as out:
            total = int(answer.headers.get("Content-Length") or 0)
            while block := answer.read(_CHUNK):
                out.write(block)
                digest.update(block)
                done += len(block)
                progress(done, total)
    except (OSError, http.client.HTTPException) as error:
        why = str(getattr(error, "reason", "") or error) or type(error).__name__
        raise DataError(f"{address.url} cannot be fetched ({why}); {manifest.obtain}") from error
    if total and done != total:
        raise DataError(f"{address.url} ended after {done:,} of {total:,} bytes: try again")
    if address.sha256 and digest.hexdigest() != address.sha256:
        raise DataError(f"{address.url} has sha256 {digest.hexdigest()} and should have {address.sha256}")
    return digest.hexdigest()


def _unpack(address: Address, archive: Path, folder: Path) -> None:
    """Unpack what is kept, without the archive's top folder."""
    try:
        with zipfile.ZipFile(archive) as file:
            comment = file.comment.decode("ascii", "replace")
            if not comment.startswith(address.commit):
                raise DataError(f"{address.url} is of commit {comment or 'unknown'!r}, not {address.commit}")
            for member in file.infolist():
                kept = PurePosixPath(*PurePosixPath(member.filename).parts[1:]).as_posix()
                if member.is_dir() or not any(kept == k or kept.startswith(f"{k}/") for k in address.keep):
                    continue
                target = folder / inside(kept, folder, address.url)
                target.parent.mkdir(parents=True, exist_ok=True)
                with file.open(member) as source, target.open("wb") as out:
                    shutil.copyfileobj(source, out)
    except zipfile.BadZipFile as error:
        raise DataError(f"{address.url} gave a damaged archive ({error}): try again") from error


def _verify(folder: Path, manifest: Manifest) -> None:
    """The manifest's checksums, and that the reader understands the files."""
    for path, wanted in manifest.checksums.items():
        file = folder / path
        found = hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else "no file"
        if found != wanted:
            raise DataError(f"{manifest.name}/{path} has sha256 {found} and should have {wanted}")
    layouts.read(folder, manifest)
