"""Datasets: real files, open files and twins, through one path.

``load`` reads the labels with the dataset's layout module, decodes the pictures once into a memory-mapped
array and cuts out one split.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd

from fbu.config import data_root
from fbu.data import cache, layouts, splits
from fbu.data.alignment import preset_named
from fbu.data.dataset import Dataset
from fbu.data.face_points import FacePoints
from fbu.data.layouts.files import TRUTH
from fbu.data.manifest import Manifest, Option, Protocol, load_manifest, names, options_of_copy
from fbu.data.stores import chosen_store
from fbu.data.twins import IMAGE_SIZES, check_size, export_twin, stamp_of, twin
from fbu.errors import DataError

__all__ = [
    "Dataset",
    "IMAGE_SIZES",
    "Manifest",
    "export_twin",
    "fingerprint",
    "load",
    "load_manifest",
    "locate",
    "names",
    "twin",
]

SOURCES = ("twin", "real", "open")


def load(
    name: str,
    split: str,
    *,
    source: str = "twin",
    root: str | Path | None = None,
    fold: int | None = None,
    protocol: str | None = None,
    size: str = "quick",
    seed: int = 0,
    image_size: int | None = None,
    preset: str | None = None,
    skip_unreadable: bool = False,
    options: dict[str, Option] | None = None,
) -> Dataset:
    """One split of a dataset.

    Args:
        name: dataset, one of `names`.
        split: ``train``, ``val`` or ``test``.
        source: ``twin`` (drawn, written on first use), ``real`` (the user's copy) or ``open`` (the
            same, of a set that may be shared).
        root: folder that holds ``<name>/``; default ``$FBU_DATA``. Not for twins.
        fold: block to test on; default: the dataset's first. Only for datasets with folds.
        protocol: one of the manifest's, e.g. ``clef``; default: all classes, validation cut from train.
        size: ``quick``, ``demo`` or ``full``: of the twin, and the default image size.
        seed: of the twin.
        image_size: side in pixels; default 64 (quick, demo) or 224 (full).
        preset: alignment, a name of `fbu.data.alignment.PRESETS`; default: the protocol's, then the manifest's.
        skip_unreadable: leave out pictures that cannot be read, and count them.
        options: reader options of the manifest, e.g. ``{"offset": -1}``.

    Raises:
        DataError: an unknown name, a missing copy ("not run: ..."), or malformed files.
    """
    manifest = load_manifest(name)
    _known("split", split, splits.SPLITS)
    _known("source", source, SOURCES)
    check_size(size)
    chosen = protocol_named(manifest, protocol)
    fold = splits.known_fold(manifest, fold)
    if split == "val" and chosen is not None and chosen.validation == "none":
        raise DataError(f"protocol {protocol!r} of {name} has no validation part: train and test are there")
    folder = locate(manifest, source, root=root, size=size, seed=seed)
    of_paper = chosen.options if chosen else {}
    manifest = manifest.with_options({**options_of_copy(folder), **of_paper, **(options or {})})
    table = layouts.read(folder, manifest)
    skipped: dict[str, int] = table.attrs["skipped"]
    side = IMAGE_SIZES[size] if image_size is None else image_size
    how = how_made(folder, table, manifest, side, preset or preset_of(manifest, chosen, folder))
    data = fingerprint(folder, table, manifest, f"{how.preset}, {how.store}")
    decoded = cache.decoded(folder, table, how, skip_unreadable=skip_unreadable)
    if decoded.unreadable:
        skipped = {**skipped, "unreadable": len(decoded.unreadable)}
        table = table[~table["sample"].isin(decoded.unreadable)].reset_index(drop=True)
    if decoded.cut:
        skipped = {**skipped, "clips cut short": len(decoded.cut)}
    at, blocks, labels = _select(table, manifest, split, fold, chosen)
    if not len(at):
        raise DataError(
            f"{folder}: no picture in split {split!r} of {name} (fold {fold}, protocol {protocol})"
        )
    records = table.assign(fold=blocks).iloc[at].reset_index(drop=True)
    records.attrs = {}
    spans = None
    if how.media.clips:
        ends = decoded.counts.cumsum()
        spans = np.stack([ends - decoded.counts, ends], 1)[at]
    images = decoded.images if how.media.clips else cache.rows(decoded, at)
    facts = (manifest.kind, data, skipped, fold, protocol, spans)
    return Dataset(name, split, source, images, records, labels, *facts)


def preset_of(manifest: Manifest, protocol: Protocol | None, folder: Path) -> str:
    """Alignment of a copy's pictures: the protocol's or the manifest's; a twin's faces are drawn in place."""
    name = protocol.preset if protocol is not None and protocol.preset else manifest.preset
    drawn = (folder / TRUTH).is_file()
    return "none" if drawn and preset_named(name).needs != "box" else name


def how_made(
    folder: Path, table: pd.DataFrame, manifest: Manifest, image_size: int, preset: str
) -> cache.How:
    """What the cache makes of a copy's pictures; see `points` for errors."""
    media, given = layouts.media(manifest.name), points(folder, table, manifest, preset)
    return cache.How(image_size, preset, manifest.version, media, chosen_store(), given)


def points(folder: Path, table: pd.DataFrame, manifest: Manifest, preset: str) -> FacePoints | None:
    """What a preset needs, read when it is asked for; None where it needs nothing.

    Raises:
        DataError: the dataset has no boxes or landmarks.
    """
    needs = preset_named(preset).needs
    if needs == "nothing":
        return None
    found = layouts.points(folder, table, manifest, needs)
    if found is None:
        raise DataError(
            f"preset {preset!r} needs {needs}, which {manifest.title} does not come with: use none, centre or mtcnn"
        )
    return found


def _select(
    table: pd.DataFrame, manifest: Manifest, split: str, fold: int | None, protocol: Protocol | None
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Positions of a split's rows, the block of every row, and the classes that count."""
    parts = splits.assign(table, manifest, fold, protocol)
    on_test = split == "val" and protocol is not None and protocol.validation == "test"
    wanted = (parts["split"] == ("test" if on_test else split)).to_numpy(bool)
    labels = manifest.labels
    if protocol is not None and protocol.classes:
        labels = tuple(c for c in labels if c in protocol.classes)
        wanted = wanted & table["expression"].isin(labels).to_numpy(bool)
    return np.flatnonzero(wanted), parts["fold"].to_numpy(int), labels


def locate(
    manifest: Manifest, source: str, *, root: str | Path | None = None, size: str = "quick", seed: int = 0
) -> Path:
    """Folder of a dataset's files; a twin is written if need be.

    Raises:
        DataError: "not run: ..." when the user's copy is missing; source open for a set under licence.
    """
    if source == "twin":
        return twin(manifest.name, size=size, seed=seed)
    if source == "open" and not manifest.open:
        raise DataError(
            f"{manifest.title} may not be shared, so it has no source 'open': use 'real' or 'twin'"
        )
    base = Path(root).expanduser().resolve() if root is not None else data_root()
    folder = None if base is None else base / manifest.name
    if folder is None or not folder.is_dir():
        where = "FBU_DATA is not set" if folder is None else f"no folder {folder}"
        raise DataError(f"not run: {manifest.title} is not under FBU_DATA ({where}). {manifest.obtain}")
    return folder


def fingerprint(folder: Path, table: pd.DataFrame, manifest: Manifest, made: str = "none, array") -> str:
    """Sha256 over labels, picture names and file sizes of a whole dataset; the split does not matter.

    A twin is known by its stamp instead of its file sizes, because another JPEG library or processor may
    round a pixel differently.

    Args:
        folder: the copy.
        table: its rows.
        manifest: with the options that were used.
        made: alignment and store of the pictures.
    """
    columns = [c for c in table.columns if not c.startswith("true_")]
    digest = hashlib.sha256(json.dumps([manifest.name, manifest.version, made, columns]).encode())
    digest.update(table[columns].to_csv(index=False, lineterminator="\n").encode())
    stamp = stamp_of(folder) if (folder / TRUTH).is_file() else None
    known = stamp or layouts.media(manifest.name).sizes(folder, list(table["path"]))
    digest.update(json.dumps(known, sort_keys=True).encode())
    return digest.hexdigest()


def _known(what: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise DataError(f"unknown {what} {value!r}: known are {', '.join(known)}")


def protocol_named(manifest: Manifest, name: str | None) -> Protocol | None:
    """A protocol of a manifest, None for none; a DataError with the known ones."""
    if name is None:
        return None
    if name not in manifest.protocols:
        raise DataError(
            f"unknown protocol {name!r} of {manifest.name}: known are {', '.join(manifest.protocols)}"
        )
    return manifest.protocols[name]
