"""One module per dataset: ``read`` its owner's files, and ``write`` a twin in the same layout.

A layout module offers

* ``read(root, manifest) -> DataFrame``: one row per labelled picture: ``sample``, ``path`` (relative to
  root), ``subject``, then ``expression`` or ``AU<n>`` (1, 0, -1 not coded) and what else the files say; rows
  left out are counted by reason in ``frame.attrs["skipped"]``;
* ``write(world, root, *, image_size)``: the same files from a drawn population;
* ``media`` (optional): how rows that are not picture files are opened, see `fbu.data.media`;
* ``points(root, table, manifest, needs) -> FacePoints | None`` (optional): boxes or landmarks of the rows, for
  alignment presets.

It is found by the dataset's name, so a new dataset is one module here and one manifest.
"""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from types import ModuleType

import pandas as pd

from fbu.data.face_points import FacePoints
from fbu.data.layouts.files import TRUTH, inside, table
from fbu.data.manifest import Manifest
from fbu.data.media import PICTURES, Media
from fbu.errors import DataError

#: Columns that say where in its file a row's picture is: line of a table, frame of a video (from 0).
PLACES = ("line", "frame_at")


def layout(name: str) -> ModuleType:
    """Module that reads and writes a dataset.

    Raises:
        DataError: there is none.
    """
    if not name.isidentifier() or importlib.util.find_spec(f"{__name__}.{name}") is None:
        raise DataError(f"no reader for dataset {name!r}: fbu/data/layouts/{name}.py is missing")
    return importlib.import_module(f"{__name__}.{name}")


def media(name: str) -> Media:
    """How a dataset's rows are opened; one picture file per row unless its layout says otherwise."""
    found: Media = getattr(layout(name), "media", PICTURES)
    return found


def points(root: Path, table: pd.DataFrame, manifest: Manifest, needs: str) -> FacePoints | None:
    """Boxes or landmarks of a table's rows, read when they are asked for; None when the dataset has none."""
    module = layout(manifest.name)
    return module.points(root, table, manifest, needs) if hasattr(module, "points") else None


def read(root: Path, manifest: Manifest) -> pd.DataFrame:
    """All labelled pictures of one copy of a dataset, sorted by sample.

    Args:
        root: the dataset's folder.
        manifest: labels, folders and options.

    Returns:
        The layout's columns; a twin's ``twin_truth.csv`` is added as columns ``true_*``.

    Raises:
        DataError: malformed files, the same sample twice, or no row at all.
    """
    frame = layout(manifest.name).read(root, manifest)
    skipped = frame.attrs.get("skipped", {})
    if frame.empty:
        raise DataError(
            f"{root}: no labelled picture of {manifest.title} found (left out: {skipped or 'none'})"
        )
    twice = frame["sample"][frame["sample"].duplicated()]
    if len(twice):
        raise DataError(f"{root}: sample {twice.iloc[0]!r} is listed twice")
    for path in frame["path"].unique():
        inside(path, root)
    frame = frame.sort_values("sample", kind="stable").reset_index(drop=True)
    if (root / TRUTH).is_file():
        frame = _with_truth(frame, root / TRUTH)
    frame.attrs["skipped"] = {reason: int(n) for reason, n in skipped.items() if n}
    return frame


def _with_truth(frame: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Add the truth about each row's picture (which an offset may move away from the row's label)."""
    # Where many rows share a file, its line or frame tells them apart.
    place = ["path", *(column for column in PLACES if column in frame)]
    table(path, ["sample", *place])  # names the line of a malformed row
    text = dict.fromkeys(["sample", "subject", "activity", "occluder", "noisy", "person"], str)
    truth = pd.read_csv(path, dtype=text, keep_default_na=False, na_values=["nan"]).set_index(place)
    missing = ~pd.MultiIndex.from_frame(frame[place]).isin(pd.MultiIndex.from_frame(truth.index.to_frame()))
    if missing.any() or truth.index.has_duplicates:
        first = ":".join(map(str, frame.loc[missing.argmax(), place])) if missing.any() else ""
        what = f"no row for {first!r}" if first else "a picture twice"
        raise DataError(f"{path} has {what}: write the twin again")
    return frame.join(truth.add_prefix("true_"), on=place)
