"""CK+: posed sequences from a neutral first frame to an expression in the last, which alone is coded."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from fbu.data.layouts.files import (
    World,
    folder,
    label,
    lines,
    optional_folder,
    write_lines,
    write_twin_pictures,
)
from fbu.data.layouts.frames import STRONGEST, numbered_files
from fbu.data.layouts.twin_frames import draw, whole_steps
from fbu.data.manifest import Manifest, load_manifest
from fbu.errors import DataError

IMAGES = "cohn-kanade-images"
FIRST_FRAMES = ("labelled", "basic", "all", "none")
SUBJECT, SEQUENCE = re.compile(r"S\d{3}"), re.compile(r"\d{3}")
#: Names of the files of one frame.
PICTURE = re.compile(r"S\d{3}_\d{3}_(\d+)\.png")
FACS = re.compile(r"S\d{3}_\d{3}_(\d+)_facs\.txt")
EMOTION = re.compile(r"S\d{3}_\d{3}_(\d+)_emotion\.txt")


def read(root: Path, manifest: Manifest) -> pd.DataFrame:
    """The last frame of every sequence with an emotion file, and first frames as neutral faces.

    Option ``first_frames`` says of which sequences the first frame counts: ``labelled`` (all that have an
    emotion file), ``basic`` (those but for contempt), ``all`` (also unlabelled sequences) or ``none``.

    Returns:
        sample (``S005/001/00000011``), path, subject, expression, part (``test``), frame; AU1 ... (1 coded, 0 not,
        -1 without a FACS file or for a first frame) and AU1_intensity ... (1-5, 0 absent, -1 not given).

    Raises:
        DataError: missing folder, two emotion files of a sequence, a malformed file, an unknown code.
    """
    wanted = str(manifest.options["first_frames"])
    if wanted not in FIRST_FRAMES:
        known = ", ".join(FIRST_FRAMES)
        raise DataError(f"ckplus: option first_frames is {wanted!r}: known are {known}")
    images, emotions = folder(root, manifest, "images"), folder(root, manifest, "emotion")
    facs = optional_folder(root, manifest, "facs")
    units = manifest.intensity_aus if facs is not None else ()
    skipped: Counter[str] = Counter()
    rows: list[list[str | int]] = []
    for subject, sequence in _sequences(images):
        base = images / subject / sequence
        pictures = numbered_files(base, PICTURE)
        emotion = _emotion(emotions / subject / sequence, manifest)
        if not pictures:
            skipped["labelled sequences without a picture"] += emotion is not None
            continue
        first, last = min(pictures), max(pictures)
        chosen: list[tuple[int, str, dict[int, int] | None]] = []
        if emotion is None:
            skipped["sequences without an emotion file"] += 1
        elif emotion[0] != last:
            skipped["labelled sequences that do not end with the labelled frame"] += 1
            continue
        else:
            coded = _facs(facs / subject / sequence, last) if facs is not None else None
            chosen.append((last, emotion[1], coded))
        if first != last and first_counts(wanted, emotion):
            chosen.append((first, "neutral", None))
        for frame, name, coded in chosen:
            path = (base / pictures[frame]).relative_to(root).as_posix()
            sample = f"{subject}/{sequence}/{frame:08d}"
            rows.append([sample, path, subject, name, "test", frame, *_grades(units, coded)])
    graded = [f"AU{unit}{ending}" for unit in units for ending in ("", "_intensity")]
    columns = ["sample", "path", "subject", "expression", "part", "frame", *graded]
    table = pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(graded, "int8"))
    table.attrs["skipped"] = dict(skipped)
    return table


def first_counts(wanted: str, emotion: tuple[int, str] | None) -> bool:
    """Whether the first frame of a sequence is one of the neutral faces."""
    if emotion is None or wanted in ("all", "none"):
        return wanted == "all"
    return wanted == "labelled" or emotion[1] != "contempt"


def _sequences(images: Path) -> Iterator[tuple[str, str]]:
    """Subject and number of every sequence; other files and folders are passed over."""
    for subject in sorted(images.iterdir()):
        if SUBJECT.fullmatch(subject.name) and subject.is_dir():
            for sequence in sorted(subject.iterdir()):
                if SEQUENCE.fullmatch(sequence.name) and sequence.is_dir():
                    yield subject.name, sequence.name


def _emotion(base: Path, manifest: Manifest) -> tuple[int, str] | None:
    """Labelled frame and expression of a sequence, or None: it is not labelled, which does not mean neutral."""
    files = numbered_files(base, EMOTION)
    if not files:
        return None
    if len(files) > 1:
        raise DataError(f"{base}: {' and '.join(files.values())}: a sequence has one emotion file")
    ((frame, name),) = files.items()
    values = _values(base / name, 1)
    if len(values) != 1:
        raise DataError(f"{base / name}:1: expected one number, found {len(values)} lines")
    line, (code,) = values[0]
    return frame, label(str(code), manifest.codes, base / name, line)


def _facs(base: Path, frame: int) -> dict[int, int] | None:
    """Unit -> intensity of the coded frame (0: present, strength not given), or None without a file."""
    name = numbered_files(base, FACS).get(frame)
    if name is None:
        return None
    found: dict[int, int] = {}
    for line, (unit, intensity) in _values(base / name, 2):
        if not 0 <= intensity <= STRONGEST:
            raise DataError(
                f"{base / name}:{line}: unknown intensity {intensity}: known are 0 to {STRONGEST}"
            )
        if unit in found:
            raise DataError(f"{base / name}:{line}: AU{unit} is listed twice")
        found[unit] = intensity
    return found


def _values(path: Path, count: int) -> list[tuple[int, list[int]]]:
    """Whole numbers of each line that is not blank, written as ``   3.0000000e+00``, with the line's number."""
    found = []
    for at, text in enumerate(lines(path), start=1):
        if not text.strip():
            continue
        numbers = whole_values(text, count)
        if numbers is None:
            raise DataError(f"{path}:{at}: {expected(count)}, found {text.strip()!r}")
        found.append((at, numbers))
    return found


def whole_values(text: str, count: int) -> list[int] | None:
    """Whole numbers of a line, or None where it does not hold ``count`` of them."""
    try:
        numbers = [float(field) for field in text.split()]
    except ValueError:
        return None
    if len(numbers) != count or not all(value.is_integer() for value in numbers):
        return None
    return [int(value) for value in numbers]


def expected(count: int) -> str:
    """What a line of ``count`` numbers should be."""
    what = "one whole number" if count == 1 else f"{count} whole numbers"
    return f"expected {what} like 3.0000000e+00"


def _grades(units: tuple[int, ...], coded: dict[int, int] | None) -> list[int]:
    """Presence and intensity of each unit in turn."""
    if coded is None:
        return [-1, -1] * len(units)
    # Intensity 0 in the file means that the unit is there and its strength was not judged.
    return [value for unit in units for value in ((1, coded[unit] or -1) if unit in coded else (0, 0))]


def write(world: World, root: Path, *, image_size: int) -> None:
    """Write a drawn population as CK+ lies on disk.

    Every last frame gets a FACS file, labelled ones an emotion file. Pictures are wider than high, and grey but for
    one subject in ten; about one unit in ten has no strength, and a folder holds a ``.DS_Store``.

    Args:
        world: records with sample (``S001/001/00000001``), label ("" where nobody labelled) and ``AU<n>_intensity``.
        root: the dataset's folder.
        image_size: height of the pictures in pixels.
    """
    codes = {name: code for code, name in load_manifest("ckplus").codes.items()}
    records = world.records.reset_index(drop=True)
    split = records["sample"].str.rpartition("/")
    last = records.groupby(split[0])["sample"].transform("max") == records["sample"]
    for row in np.flatnonzero(last):
        record = records.iloc[row]
        stem = f"{record['sample']}".replace("/", "_")
        base = split[0][row]
        if record["label"]:
            text = [f"   {float(codes[record['label']]):.7e}"]
            write_lines(root / "Emotion" / base / f"{stem}_emotion.txt", text)
        write_lines(root / "FACS" / base / f"{stem}_facs.txt", _facs_lines(record))
    samples = list(records["sample"])
    paths = [
        f"{IMAGES}/{base}/{sample.replace('/', '_')}.png"
        for base, sample in zip(split[0], samples, strict=True)
    ]
    write_twin_pictures(world, root, samples, paths, image_size, save=_save)
    write_lines(root / IMAGES / split[0][0] / ".DS_Store", ["Bud1"])


def _facs_lines(record: pd.Series) -> list[str]:
    """Units of at least the first grade; the file of a face without any is empty."""
    found = []
    for unit in load_manifest("ckplus").intensity_aus:
        step = int(whole_steps(record.get(f"AU{unit}_intensity", 0)))
        if step >= 1:
            unknown = draw(f"{record['sample']} AU{unit}") % 10 == 0
            found.append(f"   {unit:.7e}   {0 if unknown else step:.7e}")
    return found


def _save(picture: np.ndarray, path: Path, sample: str) -> None:
    """A PNG file of about 4 : 3 whose central square is the drawn picture; grey, but for a few people."""
    from PIL import Image

    side = picture.shape[0] // 6
    image = Image.fromarray(np.pad(picture, ((0, 0), (side, side), (0, 0)), mode="edge"))
    grey = draw(sample.partition("/")[0]) % 10 > 0
    (image.convert("L") if grey else image).save(path, format="PNG")
