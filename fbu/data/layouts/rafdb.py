"""RAF-DB (basic): a list of names and codes, and aligned pictures; every picture is its own person."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from fbu.data.layouts.files import World, folder, label, lines, write_lines, write_twin_pictures
from fbu.data.manifest import Manifest, load_manifest
from fbu.errors import DataError

# The misspelling is the owner's. Copies with changed labels lie beside it, so it is taken by name.
LIST = "EmoLabel/list_patition_label.txt"
_NAME = re.compile(r"(train|test)_\d+\.jpg")


def read(root: Path, manifest: Manifest) -> pd.DataFrame:
    """Read ``list_patition_label.txt``.

    Returns:
        sample (``train_00001``), path, subject (= sample), expression, part (``train`` or ``test``).

    Raises:
        DataError: missing folder or list, a malformed or repeated line, an unknown code.
    """
    images = manifest.options["images"]
    if images not in ("aligned", "original"):
        raise DataError(f"rafdb: option images is {images!r}: known are aligned, original")
    base = folder(root, manifest, "base")
    listing = base / LIST
    text = lines(listing)
    directory = folder(base, manifest, str(images)).relative_to(root).as_posix()
    suffix = "_aligned.jpg" if images == "aligned" else ".jpg"
    rows: dict[str, dict[str, str]] = {}
    for at, line in enumerate(text, start=1):
        fields = line.split()
        if len(fields) != 2 or not _NAME.fullmatch(fields[0]):
            raise DataError(
                f"{listing}:{at}: expected 'train_00001.jpg 5' or 'test_0001.jpg 5', found {line!r}"
            )
        sample = fields[0].removesuffix(".jpg")
        if sample in rows:
            raise DataError(f"{listing}:{at}: {fields[0]} is listed twice")
        rows[sample] = {
            "sample": sample,
            "path": f"{directory}/{sample}{suffix}",
            "subject": sample,
            "expression": label(fields[1], manifest.codes, listing, at),
            "part": sample.partition("_")[0],
        }
    return pd.DataFrame(list(rows.values()), columns=["sample", "path", "subject", "expression", "part"])


def write(world: World, root: Path, *, image_size: int) -> None:
    """Write a drawn population as RAF-DB lies on disk: ``basic/EmoLabel`` and ``basic/Image/aligned``.

    Args:
        world: records with sample (``train_00001``) and label (as annotated) or expression.
        root: the dataset's folder.
        image_size: side of the pictures in pixels.
    """
    codes = {name: code for code, name in load_manifest("rafdb").codes.items()}
    records = world.records
    samples = list(records["sample"])
    annotated = records["label"] if "label" in records else records["expression"]
    listed = [f"{sample}.jpg {codes[name]}" for sample, name in zip(samples, annotated, strict=True)]
    write_lines(root / "basic" / LIST, listed, final_newline=False)
    paths = [f"basic/Image/aligned/{sample}_aligned.jpg" for sample in samples]
    write_twin_pictures(world, root, samples, paths, image_size)
