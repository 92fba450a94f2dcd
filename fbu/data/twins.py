"""Twins: drawn populations, written once in the layout of the dataset that they stand in for."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

from filelock import FileLock

from fbu.config import home
from fbu.data import layouts
from fbu.data.cache import new_folder
from fbu.data.layouts.files import World
from fbu.data.manifest import load_manifest
from fbu.errors import DataError
from fbu.fingerprints import code_fingerprint, reached, reached_by_name

#: Side of the pictures in pixels, by size.
IMAGE_SIZES = {"quick": 64, "demo": 64, "full": 224}
STAMP = "twin.json"


def twin_modules(name: str) -> list[str]:
    """Modules that decide what a dataset's twin looks like."""
    return sorted({*reached("fbu.data.worlds"), *reached_by_name(name)})


def twin_fingerprint(name: str) -> str:
    """Fingerprint of the code (without comments and docstrings) and label codes behind a dataset's twin."""
    manifest = load_manifest(name)
    known = json.dumps([manifest.version, manifest.codes, manifest.aus, manifest.intensity_aus])
    return hashlib.sha256(f"{code_fingerprint(twin_modules(name))}{known}".encode()).hexdigest()


def twin(name: str, *, size: str = "quick", seed: int = 0) -> Path:
    """Folder of a dataset's twin below ``home()/twins``, written at the first call.

    Args:
        name: dataset.
        size: quick, demo or full.
        seed: another seed has other people.

    Raises:
        DataError: unknown size, or no population is drawn for this dataset.
    """
    check_size(size)
    code = twin_fingerprint(name)[:12]
    final = home() / "twins" / f"{name}-{size}-seed{seed}-{code}"
    final.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(final.with_name(final.name + ".lock")):
        if not final.is_dir():
            with new_folder(final) as draft:
                write_twin(name, _world(name, size, seed), draft, size=size, image_size=IMAGE_SIZES[size])
                os.replace(draft, final)
    return final


def export_twin(name: str, root: Path, *, size: str = "quick", seed: int = 0) -> Path:
    """Copy a twin to ``root/<name>``, where source ``real`` finds it; returns that folder.

    Raises:
        DataError: the folder is there already, or see `twin`.
    """
    final = Path(root).expanduser().resolve() / name
    if final.exists():
        raise DataError(f"{final} is there already: choose another folder, or remove it first")
    source = twin(name, size=size, seed=seed)
    with new_folder(final) as draft:
        shutil.copytree(source, draft, dirs_exist_ok=True)
        os.replace(draft, final)
    return final


def write_twin(name: str, world: World, folder: Path, *, size: str, image_size: int) -> None:
    """Write a population into a folder, in the dataset's layout, with a stamp that says what it is.

    Not atomic: write into a temporary folder and move it, as `twin` does.
    """
    layouts.layout(name).write(world, folder, image_size=image_size)
    stamp = {
        "dataset": name,
        "size": size,
        "seed": world.seed,
        "image_size": image_size,
        "code": twin_fingerprint(name),
    }
    (folder / STAMP).write_text(json.dumps(stamp, indent=1) + "\n", encoding="utf-8")


def stamp_of(folder: Path) -> dict[str, Any] | None:
    """Stamp of a twin, or None for other files."""
    path = folder / STAMP
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def check_size(size: str) -> None:
    """Refuse an unknown size with a DataError."""
    if size not in IMAGE_SIZES:
        raise DataError(f"unknown size {size!r}: known are {', '.join(IMAGE_SIZES)}")


def _world(name: str, size: str, seed: int) -> World:
    from fbu.data import worlds

    try:
        return worlds.make(name, size=size, seed=seed)
    except ValueError as error:
        raise DataError(f"no twin of {name}: {error}") from error
