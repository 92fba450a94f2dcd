"""Polaroids: a table of pictures, people and moods, beside a folder of JPEGs."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from fbu.data.layouts.files import World, folder, inside, label, table, write_lines, write_twin_pictures
from fbu.data.manifest import Manifest, load_manifest

TABLE = "moods.csv"


def read(root: Path, manifest: Manifest) -> pd.DataFrame:
    """Rows of ``moods.csv``: sample, path, subject, expression.

    Raises:
        DataError: a missing file or column, an unknown mood, a name that leads out of the folder.
    """
    listing = root / TABLE
    pictures = folder(root, manifest, "pictures").relative_to(root).as_posix()
    rows = []
    for at, row in table(listing, ["file", "person", "mood"]):
        file = inside(row["file"], root, f"{listing}:{at}")
        mood = label(row["mood"], manifest.codes, listing, at)
        rows.append((file, f"{pictures}/{file}", row["person"], mood))
    return pd.DataFrame(rows, columns=["sample", "path", "subject", "expression"])


def write(world: World, root: Path, *, image_size: int) -> None:
    """Write a drawn population in the same layout."""
    codes = {name: code for code, name in load_manifest("polaroids").codes.items()}
    files = [f"{number:05d}.jpg" for number in range(len(world.records))]
    people, moods = world.records["subject"], world.records["label"]
    rows = [f"{f},{who},{codes[mood]}" for f, who, mood in zip(files, people, moods, strict=True)]
    write_lines(root / TABLE, ["file,person,mood", *rows])
    write_twin_pictures(world, root, files, [f"pictures/{file}" for file in files], image_size)
