"""AffectNet in both its releases: csv lists of whole pictures, or face crops with an array file per annotation."""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from fbu.data.decoding import UNREADABLE
from fbu.data.layouts.files import (
    JPEG_QUALITY,
    World,
    folder,
    inside,
    label,
    number,
    numbered,
    optional_folder,
    write_lines,
    write_twin_pictures,
)
from fbu.data.layouts.frames import numbered_files
from fbu.data.manifest import Manifest, load_manifest
from fbu.errors import DataError

RELEASES = ("csv", "arrays")
#: Columns of the lists, which may come without a header.
COLUMNS = (
    "subDirectory_filePath",
    "face_x",
    "face_y",
    "face_width",
    "face_height",
    "facial_landmarks",
    "expression",
    "valence",
    "arousal",
)
BOX = COLUMNS[1:5]
#: Columns that are read.
NEEDED = (COLUMNS[0], *BOX, "expression")
#: Codes that are no expression.
LEFT_OUT = {"8": "none", "9": "uncertain", "10": "no face"}
#: Folder of face crops beside the whole pictures; see `crop_faces`.
FACES = "Manually_Annotated_Faces"
#: List of each part.
LISTS = {"train": "training.csv", "val": "validation.csv"}
#: The owner's validation part is for testing here.
PARTS = {"train": "train", "val": "test"}
EXPRESSION = re.compile(r"(\d+)_exp\.npy")
_FIRST = ["sample", "path", "subject", "expression", "part"]


def read(root: Path, manifest: Manifest) -> pd.DataFrame:
    """Read the release that is there (option ``release``: auto, csv, arrays).

    Rows that carry no expression (none, uncertain, no face) are counted and left out. In the csv release a
    picture that is listed twice counts once, and not at all when its labels differ. The owner's validation part
    is the test part here.

    Returns:
        sample (``train/0``, or ``train/689/737db...`` of a list), path, subject (the picture), expression, part
        (``train`` or ``test``); from the lists also face_x, face_y, face_width, face_height.

    Raises:
        DataError: both releases or none, a missing file, a malformed row, an unknown code.
    """
    release = _release(root, manifest)
    skipped: Counter[str] = Counter()
    if release == "csv":
        base, lists = pictures_folder(root, manifest), folder(root, manifest, "lists")
        rows = [
            row
            for part, name in LISTS.items()
            for row in _list(lists / name, part, base, root, manifest, skipped)
        ]
    else:
        rows = [row for part in PARTS for row in _arrays(root, part, manifest, skipped)]
    frame = pd.DataFrame(rows, columns=[*_FIRST, *(BOX if release == "csv" else ())])
    frame.attrs["skipped"] = dict(skipped)
    return frame


def crop_faces(root: Path, manifest: Manifest | None = None, *, margin: float = 0.0) -> int:
    """Cut the faces of the csv release out of its pictures, once, into ``Manually_Annotated_Faces``.

    Pictures of that release have any size and show more than the face; reading takes the crops. Faces that are
    there already are kept; pictures that cannot be read, and boxes outside the picture, are passed over.

    Args:
        root: the dataset's folder.
        manifest: default: the dataset's own.
        margin: what to add on each side, in parts of the box; 0 keeps the owner's box.

    Returns:
        Number of faces written.
    """
    manifest = (manifest or load_manifest("affectnet")).with_options({"pictures": "whole", "release": "csv"})
    whole = folder(root, manifest, "pictures")
    table, written = read(root, manifest), 0
    for path, *box in table[["path", *BOX]].itertuples(index=False):
        target = whole.parent / FACES / (root / path).relative_to(whole)
        if target.is_file():
            continue
        left, top, width, height = box
        x, y = margin * width, margin * height
        try:
            with Image.open(root / path) as image:
                right, bottom = min(left + width + x, image.width), min(top + height + y, image.height)
                edges = [round(value) for value in (max(left - x, 0), max(top - y, 0), right, bottom)]
                if edges[0] >= edges[2] or edges[1] >= edges[3]:
                    continue
                face = image.convert("RGB").crop((edges[0], edges[1], edges[2], edges[3]))
        except UNREADABLE:
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = target.with_name(f".{target.name}.draft")
        face.save(draft, format="JPEG", quality=JPEG_QUALITY, subsampling=0)
        os.replace(draft, target)
        written += 1
    return written


def _release(root: Path, manifest: Manifest) -> str:
    """Release that the option names, or the only one that is there."""
    wanted = str(manifest.options["release"])
    if wanted in RELEASES:
        return wanted
    if wanted != "auto":
        raise DataError(f"affectnet: option release is {wanted!r}: known are auto, {', '.join(RELEASES)}")
    there = releases_there(root, manifest)
    if len(there) == 1:
        return there[0]
    found = "both releases are" if there else "neither release is"
    raise DataError(
        f"{root}: {found} there: set option release to {' or '.join(RELEASES)}; AffectNet lies as\n"
        f"{manifest.tree.text}"
    )


def releases_there(root: Path, manifest: Manifest) -> list[str]:
    """Releases whose files are there, of `RELEASES`."""
    roles = {"csv": "lists", "arrays": "train"}
    return [name for name in RELEASES if optional_folder(root, manifest, roles[name]) is not None]


def pictures_folder(root: Path, manifest: Manifest) -> Path:
    """Folder of the lists' pictures: the face crops, or the whole pictures if the option says so."""
    wanted = manifest.options["pictures"]
    whole = folder(root, manifest, "pictures")
    if wanted == "whole":
        return whole
    if wanted != "faces":
        raise DataError(f"affectnet: option pictures is {wanted!r}: known are faces, whole")
    faces = whole.parent / FACES
    if not faces.is_dir():
        raise DataError(
            f"{faces} is missing: cut the faces out once with fbu.data.layouts.affectnet.crop_faces, or read "
            "whole pictures with option pictures=whole"
        )
    return faces


def _list(
    path: Path, part: str, base: Path, root: Path, manifest: Manifest, skipped: Counter[str]
) -> list[list[str | int]]:
    """Rows of one list, each picture once."""
    directory = base.relative_to(root).as_posix()
    codes = manifest.codes
    seen: dict[str, tuple[str, list[str | int]]] = {}
    times: Counter[str] = Counter()
    contradicting: set[str] = set()
    places: list[int] | None = None
    width = len(COLUMNS)
    for at, row in numbered(path):
        if places is None:
            header = header_of(row)
            places, width = _places(header, path), len(header)
            if header is row:
                continue
        if len(row) != width:
            raise DataError(f"{path}:{at}: {len(row)} fields where {width} are expected")
        picture, code = inside(row[places[0]], base, f"{path}:{at}"), row[places[-1]]
        times[picture] += 1
        if picture in seen:
            if seen[picture][0] != code:
                contradicting.add(picture)
            continue
        box: list[str | int] = []
        if code not in LEFT_OUT:
            label(code, {**codes, **LEFT_OUT}, path, at)
            box = [number(row[i], path, at, name) for i, name in zip(places[1:-1], BOX, strict=True)]
        seen[picture] = code, box
    rows: list[list[str | int]] = []
    for picture, (code, box) in seen.items():
        if picture in contradicting:
            skipped["rows with contradicting labels"] += times[picture]
            continue
        skipped["rows of a picture listed before"] += times[picture] - 1
        if code in LEFT_OUT:
            skipped[f"rows labelled {LEFT_OUT[code]}"] += 1
            continue
        stem = picture.rpartition(".")[0] or picture
        rows.append([f"{part}/{stem}", f"{directory}/{picture}", stem, codes[code], PARTS[part], *box])
    return rows


def header_of(first: list[str]) -> list[str]:
    """Header of a list by its first row, which names a picture in a folder where there is no header."""
    return list(COLUMNS) if "/" in first[0] else first


def _places(header: list[str], path: Path) -> list[int]:
    """Columns of the path, the box and the expression."""
    for name in NEEDED:
        if name not in header:
            raise DataError(f"{path}:1: column {name!r} is missing; found {', '.join(header)}")
    return [header.index(name) for name in NEEDED]


def _arrays(root: Path, part: str, manifest: Manifest, skipped: Counter[str]) -> list[list[str | int]]:
    """Rows of one part of the array release, by number of the file."""
    base = folder(root, manifest, part)
    if not (base / "annotations").is_dir():
        raise DataError(f"{base / 'annotations'} is missing: AffectNet lies as\n{manifest.tree.text}")
    pictures = numbered_files(base / "images")
    files = numbered_files(base / "annotations", EXPRESSION)
    skipped["pictures without an annotation"] += len(pictures.keys() - files.keys())
    directory = (base / "images").relative_to(root).as_posix()
    rows: list[list[str | int]] = []
    for at, name in sorted(files.items()):
        if at not in pictures:
            skipped["annotations without a picture"] += 1
            continue
        path = base / "annotations" / name
        code = code_of(path)
        if code in LEFT_OUT:
            skipped[f"rows labelled {LEFT_OUT[code]}"] += 1
            continue
        if code not in manifest.codes:
            known = ", ".join([*manifest.codes, *LEFT_OUT])
            raise DataError(f"{path}: unknown label code {code!r}: known are {known}")
        sample = f"{part}/{at}"
        rows.append([sample, f"{directory}/{pictures[at]}", sample, manifest.codes[code], PARTS[part]])
    return rows


def code_of(path: Path) -> str:
    """The one value of an array file, which is text in some files and a number in others."""
    try:
        # Never a pickle: that could run code.
        array = np.load(path, allow_pickle=False)
    # A damaged header is parsed as Python and fails in as many ways as there are.
    except Exception as error:
        told = (str(error) or type(error).__name__).splitlines()[0]
        raise DataError(f"{path} is not an array file: {told}") from error
    if not isinstance(array, np.ndarray) or array.size != 1 or array.dtype.kind not in "USiuf":
        what = f"{array.dtype} {list(array.shape)}" if isinstance(array, np.ndarray) else "an archive"
        raise DataError(f"{path}: expected one number or text, found {what}")
    value = array.reshape(-1)[0]
    if array.dtype.kind == "f" and float(value).is_integer():
        value = int(value)
    return value.decode("ascii", "replace").strip() if isinstance(value, bytes) else str(value).strip()


def write(world: World, root: Path, *, image_size: int) -> None:
    """Write a drawn population as the array release; numbers have gaps, and codes are text or numbers in turn.

    Args:
        world: records with sample (``train/1``, ``val/1``) and label (as annotated) or expression.
        root: the dataset's folder.
        image_size: side of the pictures in pixels.
    """
    codes = {name: code for code, name in load_manifest("affectnet").codes.items()}
    samples, paths = [], []
    for sample, name in zip(world.records["sample"], _annotated(world), strict=True):
        part, at = _part(sample)
        at += at // 10
        base = root / f"{part}_set/annotations"
        base.mkdir(parents=True, exist_ok=True)
        np.save(base / f"{at}_exp.npy", np.array(codes[name] if at % 2 else int(codes[name])))
        samples.append(f"{part}/{at}")
        paths.append(f"{part}_set/images/{at}.jpg")
    write_twin_pictures(world, root, samples, paths, image_size)


def write_csv(world: World, root: Path, *, image_size: int) -> None:
    """Write a drawn population as the csv release.

    The training list has a header, its first picture twice and rows without an expression (whose pictures are not
    written); the validation list has no header. Faces fill the pictures.

    Args:
        world: as for `write`.
        root: the dataset's folder.
        image_size: side of the pictures in pixels.
    """
    codes = {name: code for code, name in load_manifest("affectnet").codes.items()}
    lists: dict[str, list[str]] = {"train": [], "val": []}
    samples, paths = [], []
    for sample, name in zip(world.records["sample"], _annotated(world), strict=True):
        part, at = _part(sample)
        picture = _picture(sample, at)
        # Shares of the real training list: 0.12, 0.04 and 0.29 rows per labelled row.
        extra = {"8": at % 9 == 0, "9": at % 25 == 0, "10": at % 7 < 2}
        lists[part].append(_row(picture, codes[name], image_size))
        lists[part] += [
            _row(_picture(f"{sample} {code}", at), code, image_size)
            for code, there in extra.items()
            if there and part == "train"
        ]
        samples.append(f"{part}/{picture.removesuffix('.jpg')}")
        paths.append(f"Manually_Annotated_Images/{picture}")
    train = [",".join(COLUMNS), *lists["train"], *lists["train"][:1]]
    write_lines(root / "Manually_Annotated_file_lists/training.csv", train)
    write_lines(root / "Manually_Annotated_file_lists/validation.csv", lists["val"])
    write_twin_pictures(world, root, samples, paths, image_size)


def _annotated(world: World) -> pd.Series:
    return world.records["label"] if "label" in world.records else world.records["expression"]


def _part(sample: str) -> tuple[str, int]:
    part, _, at = sample.partition("/")
    return part, int(at)


def _picture(sample: str, at: int) -> str:
    return f"{at % 1000}/{hashlib.sha224(sample.encode()).hexdigest()}.jpg"


def _row(picture: str, code: str, side: int) -> str:
    """A line of a list: the box is the whole picture, the landmarks an ellipse, valence and arousal unknown."""
    angles = np.linspace(0, 2 * np.pi, 68, endpoint=False)
    points = np.stack([0.5 + 0.35 * np.cos(angles), 0.5 + 0.45 * np.sin(angles)], 1) * side
    landmarks = ";".join(f"{value:.2f}" for value in points.ravel())
    return f"{picture},0,0,{side},{side},{landmarks},{code},-2,-2"
