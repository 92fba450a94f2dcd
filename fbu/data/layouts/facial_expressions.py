"""muxspace/facial_expressions: a legend with labels in mixed case, and pictures named after people."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path, PurePosixPath

import pandas as pd

from fbu.data.layouts.files import (
    World,
    folder,
    inside,
    label,
    table,
    write_lines,
    write_twin_pictures,
)
from fbu.data.manifest import Manifest, load_manifest

LEGEND = "data/legend.csv"
_NUMBER = re.compile(r"[_-]?\d+[a-z]?$")


def subject_of(image: str) -> str:
    """Person of a picture: the file's stem without its number.

    >>> subject_of("AJ_Cook_0001.jpg"), subject_of("facial-expressions_2868588k.jpg"), subject_of("12.jpg")
    ('AJ_Cook', 'facial-expressions', '12')
    """
    stem = PurePosixPath(image).stem
    return _NUMBER.sub("", stem) or stem


def read(root: Path, manifest: Manifest) -> pd.DataFrame:
    """Read ``data/legend.csv``; repeated rows are dropped, and images with two different labels altogether.

    Returns:
        sample (file name), path, subject, expression, annotator.

    Raises:
        DataError: missing file or column, an unknown label, a path that leaves the folder.
    """
    legend = root / LEGEND
    seen: dict[str, list[tuple[str, str]]] = {}
    for at, row in table(legend, ["user.id", "image", "emotion"]):
        image = inside(row["image"], root, f"{legend}:{at}")
        name = label(row["emotion"].lower(), manifest.codes, legend, at)
        seen.setdefault(image, []).append((name, row["user.id"]))
    directory = folder(root, manifest, "images").relative_to(root).as_posix()
    skipped: Counter[str] = Counter()
    rows = []
    for image, given in seen.items():
        if len({name for name, _ in given}) > 1:
            skipped["rows with contradicting labels"] += len(given)
            continue
        skipped["duplicate rows"] += len(given) - 1
        rows.append((image, f"{directory}/{image}", subject_of(image), *given[0]))
    frame = pd.DataFrame(rows, columns=["sample", "path", "subject", "expression", "annotator"])
    frame.attrs["skipped"] = dict(skipped)
    return frame


def write(world: World, root: Path, *, image_size: int) -> None:
    """Write a drawn population in this layout; with capitals in some labels and the first row twice.

    Args:
        world: records with subject and label (as annotated) or expression.
        root: the dataset's folder.
        image_size: side of the pictures in pixels.
    """
    codes = {name: code for code, name in load_manifest("facial_expressions").codes.items()}
    records = world.records
    count: Counter[str] = Counter()
    samples = []
    for subject in records["subject"]:
        count[subject] += 1
        samples.append(f"{subject}_{count[subject]:04d}.jpg")
    annotated = records["label"] if "label" in records else records["expression"]
    rows = []
    for i, (sample, name) in enumerate(zip(samples, annotated, strict=True)):
        rows.append(f"{628 + i % 5},{sample},{codes[name].upper() if i % 7 == 3 else codes[name]}")
    write_lines(root / LEGEND, ["user.id,image,emotion", *rows, *rows[:1]])
    write_twin_pictures(world, root, samples, [f"images/{sample}" for sample in samples], image_size)
