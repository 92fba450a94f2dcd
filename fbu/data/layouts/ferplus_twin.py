"""Writes a drawn population as FER2013 and FERPlus lie on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from fbu.data.layouts.ferplus_votes import USAGES, VOTED, VOTES
from fbu.data.layouts.files import World, write_lines, write_twin_pictures
from fbu.data.layouts.twin_frames import draw
from fbu.data.layouts.twin_places import Placed
from fbu.data.manifest import load_manifest
from fbu.labels.orders import ORDERS

_SIDE = 48
_GREY = np.array([0.299, 0.587, 0.114])


def write(world: World, root: Path, *, image_size: int) -> None:
    """Write ``fer2013.csv``, ``fer2013new.csv`` and the three ``label.csv``.

    As in the real files, rows of nothing but NF votes have no name, numbers in names run ahead of rows, and about one
    picture in 22 has another's votes in fer2013new.csv.

    Args:
        world: records with split (``train``, ``val``, ``test``, one after the other), emotion (FER2013's label) and
            ``votes_<class>``, ``votes_unknown``, ``votes_NF``.
        root: the dataset's folder.
        image_size: not used, pictures of this set have 48 pixels a side.
    """
    records = world.records.reset_index(drop=True)
    usages = {part: usage for usage, part in USAGES.items()}
    usage = [usages[split] for split in records["split"]]
    votes = records[VOTES].to_numpy(int)
    nameless = votes[:, -1] == votes.sum(1)
    # Numbers are used up at about half of the nameless rows.
    used = np.cumsum(~nameless | (np.arange(len(votes)) % 2 == 0)) - 1
    names = ["" if none else f"fer{at:07d}.png" for none, at in zip(nameless, used, strict=True)]
    text = ["Usage,Image name," + ",".join(VOTED)]
    text += [
        f"{part},{name}," + ",".join(map(str, row))
        for part, name, row in zip(usage, names, _exchanged(votes, names, usage), strict=True)
    ]
    write_lines(root / "fer2013new.csv", text)
    box = f'"(0, 0, {_SIDE}, {_SIDE})"'
    folders = load_manifest("ferplus").tree.folders
    for split in USAGES.values():
        rows = np.flatnonzero((records["split"] == split) & ~nameless)
        own = [f"{names[row]},{box}," + ",".join(map(str, votes[row])) for row in rows]
        write_lines(root / folders[split][0] / "label.csv", own)
    _write_pictures(world, records, usage, nameless, root)


def _write_pictures(
    world: World, records: pd.DataFrame, usage: list[str], nameless: np.ndarray, root: Path
) -> None:
    samples = [f"{part}/{row:05d}" for row, part in enumerate(usage)]
    place = {sample: row for row, sample in enumerate(samples)}
    codes = [ORDERS["fer2013"].index(name) for name in records["emotion"]]
    with (root / "fer2013.csv").open("w", encoding="utf-8", newline="") as file:
        file.write("emotion,pixels,Usage\n")

        def save(picture: np.ndarray, path: Path, sample: str) -> None:
            row = place[sample]
            grey = np.rint(picture @ _GREY).astype(int)
            if nameless[row]:
                # What nobody takes for a face: chequers.
                chequers = np.indices(grey.shape).sum(0) // 6 % 2
                grey = 60 + draw(sample) % 80 + 60 * chequers
            file.write(f"{codes[row]},{' '.join(map(str, grey.ravel()))},{usage[row]}\n")

        placed = Placed(world, records.assign(line=np.arange(len(records)) + 2))
        write_twin_pictures(placed, root, samples, ["fer2013.csv"] * len(records), _SIDE, save=save)


def _exchanged(votes: np.ndarray, names: list[str], usage: list[str]) -> np.ndarray:
    """Votes in which some pictures and the next of their part have each other's."""
    out = votes.copy()
    for row in range(0, len(votes) - 1, 2):
        if names[row] and names[row + 1] and usage[row] == usage[row + 1] and draw(names[row]) % 22 == 0:
            out[[row, row + 1]] = votes[[row + 1, row]]
    return out
