"""AffectNet: the lists row by row, or the arrays file by file, whichever release is there."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from fbu.data.checks import Copy, Row
from fbu.data.checks.frames import numbered, numbered_pictures, strange_files
from fbu.data.checks.text import fields_of, has_width
from fbu.data.layouts.affectnet import (
    BOX,
    COLUMNS,
    EXPRESSION,
    FACES,
    LEFT_OUT,
    LISTS,
    NEEDED,
    PARTS,
    RELEASES,
    code_of,
    header_of,
    releases_there,
)
from fbu.data.layouts.files import inside
from fbu.errors import DataError
from fbu.wording import counted, some

_WHOLE = re.compile(r"-?\d+", re.ASCII)
_OTHERS = re.compile(r"\d+_(val|aro|lnd)\.npy")
_ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff")


def examine(copy: Copy) -> None:
    """Check the release that the option ``release`` names, or the only one that is there."""
    wanted = str(copy.manifest.options["release"])
    there = [wanted] if wanted in RELEASES else releases_there(copy.root, copy.manifest)
    if len(there) != 1:
        found = "both releases are" if there else "neither release is"
        folders = copy.manifest.tree.folders
        mend = f"put {folders['train'][0]} or {folders['lists'][0]} there, or set option release"
        copy.error("missing folder" if not there else "two releases", copy.root, None, f"{found} there", mend)
    elif there == ["csv"]:
        _lists(copy)
    else:
        for part in PARTS:
            _arrays(copy, part)


def _lists(copy: Copy) -> None:
    lists, whole = copy.folder("lists"), copy.folder("pictures")
    base = whole
    if whole is not None and copy.manifest.options["pictures"] == "faces":
        base = whole.parent / FACES
        if not base.is_dir():
            what = f"there is no folder {FACES}, and faces are read from there"
            mend = (
                "cut them out once with fbu.data.layouts.affectnet.crop_faces, or set option pictures=whole"
            )
            copy.error("missing folder", base, None, what, mend)
            base = None
    if lists is None:
        return
    named: set[str] = set()
    for part, name in LISTS.items():
        for row in _listed(copy, lists / name, part, named):
            copy.rows.append(_with_picture(copy, row, base, whole))
    if base is not None:
        copy.unlisted(base, [name for name in _pictures_below(base) if name not in named])


def _pictures_below(base: Path) -> Iterator[str]:
    for folder, _, names in os.walk(base):
        at = Path(folder).relative_to(base)
        for name in names:
            if name.lower().endswith(_ENDINGS) and not name.startswith("."):
                yield (at / name).as_posix()


def _listed(copy: Copy, path: Path, part: str, named: set[str]) -> list[Row]:
    """Rows of one list, each picture once; everything wrong in it is reported."""
    rows = fields_of(copy, path)
    if not rows:
        return []
    header = header_of(rows[0][1])
    missing = [name for name in NEEDED if name not in header]
    for name in missing:
        what = f"column {name!r} is missing; found {some(header, len(COLUMNS))}"
        copy.error("missing column", path, rows[0][0], what, f"name the columns {', '.join(COLUMNS)}")
    body = rows[1:] if header is rows[0][1] else rows
    if missing:
        return []
    if not body:
        copy.error(
            "empty file", path, rows[0][0], "there is a header and no row below it", "restore the list"
        )
    first: dict[str, tuple[int, str]] = {}
    contradicting: set[str] = set()
    found: dict[str, Row] = {}
    for line, row in body:
        if not has_width(copy, path, line, row, len(header)):
            continue
        fields = dict(zip(header, row, strict=True))
        picture, code = fields[COLUMNS[0]], fields["expression"]
        named.add(picture)
        if not _is_sound(copy, path, line, fields):
            continue
        if picture in first:
            _again(copy, path, line, picture, (code, *first[picture]))
            contradicting.update([picture] if first[picture][1] != code else [])
            continue
        first[picture] = line, code
        if code not in LEFT_OUT:
            stem = picture.rpartition(".")[0] or picture
            label, file = copy.manifest.codes[code], copy.relative(path)
            found[picture] = Row(f"{part}/{stem}", picture, stem, label, PARTS[part], file, line)
    return [row for picture, row in found.items() if picture not in contradicting]


def _is_sound(copy: Copy, path: Path, line: int, fields: dict[str, str]) -> bool:
    """Whether path, code and box of a row can be used; reports what cannot."""
    good = True
    picture, code = fields[COLUMNS[0]], fields["expression"]
    try:
        inside(picture, copy.root)
    except DataError:
        what = f"path {picture!r} is empty or leads out of the folder"
        copy.error(
            "path leaves the folder", path, line, what, "write folder and file, as 689/737d...63ca.jpg"
        )
        good = False
    if code not in copy.manifest.codes and code not in LEFT_OUT:
        known = ", ".join([*copy.manifest.codes, *LEFT_OUT])
        what = f"unknown label code {code!r}: known are {known}"
        copy.error("unknown label code", path, line, what, "restore the owner's list")
        good = False
    if code in LEFT_OUT:
        return good
    wrong = [name for name in BOX if not _WHOLE.fullmatch(fields[name])]
    for name in wrong:
        what = f"{name} is {fields[name]!r}, not a whole number"
        copy.error("not a whole number", path, line, what, "restore the owner's list")
    if not wrong and min(int(fields["face_width"]), int(fields["face_height"])) < 1:
        what = f"the face box is {fields['face_width']} x {fields['face_height']} pixels"
        copy.warning("odd box", path, line, what, "restore the owner's list; no face can be cut out")
    return good and not wrong


def _again(copy: Copy, path: Path, line: int, picture: str, said: tuple[str, int, str]) -> None:
    """Report a picture that comes up again in one list."""
    code, before, first = said
    if code == first:
        what = f"{picture} is listed again (first in line {before}); it counts once"
        copy.warning("duplicate row", path, line, what, "nothing to do: the owner's list has one such row")
    else:
        what = f"{picture} has code {code} here and {first} in line {before}, so all its rows are left out"
        copy.warning("contradicting labels", path, line, what, "keep the row that the owner's list has")


def _with_picture(copy: Copy, row: Row, base: Path | None, whole: Path | None) -> Row:
    """A row with the path of its picture below the dataset's folder."""
    if base is None:
        return row._replace(path="")
    if (
        base != whole
        and whole is not None
        and not (base / row.path).is_file()
        and (whole / row.path).is_file()
    ):
        what = f"no face was cut out of {row.path}"
        mend = "run crop_faces again; if that does not help, the box or the picture is damaged"
        copy.error("missing face", row.file, row.line, what, mend)
        return row._replace(path="")
    return row._replace(path=f"{copy.relative(base)}/{row.path}")


def _arrays(copy: Copy, part: str) -> None:
    """Check the annotation of each picture of one part."""
    base = copy.folder(part)
    if base is None:
        return
    for name in ("images", "annotations"):
        if not (base / name).is_dir():
            what = f"folder {name} is missing"
            copy.error("missing folder", base, None, what, "put the folder back: see `tree` of the manifest")
    copy.extra_folders(base, ("images", "annotations"))
    annotations, images = base / "annotations", base / "images"
    if not annotations.is_dir():
        return
    pictures = numbered_pictures(copy, images)
    files = numbered(copy, annotations, EXPRESSION)
    others = [path.name for path in annotations.iterdir() if path.name not in files.values()]
    strange = [
        n for n in others if not (_OTHERS.fullmatch(n) or EXPRESSION.fullmatch(n) or n.startswith("."))
    ]
    strange_files(copy, annotations, sorted(strange), "0_exp.npy")
    left_out: Counter[str] = Counter()
    for at, name in sorted(files.items()):
        code = _code(copy, annotations / name)
        if code in LEFT_OUT:
            left_out[code] += 1
        elif code is not None:
            picture = _picture(copy, annotations / name, images, pictures.get(at))
            label, file = copy.manifest.codes[code], copy.relative(annotations / name)
            copy.rows.append(Row(f"{part}/{at}", picture, f"{part}/{at}", label, PARTS[part], file, None))
    for code, n in left_out.items():
        what = f"{counted(n, 'file says', 'files say')} {code} ({LEFT_OUT[code]}), which the owner's arrays do not"
        copy.warning("no expression", annotations, None, what, "nothing to do: they are left out and counted")
    if images.is_dir():
        copy.unlisted(images, [name for at, name in pictures.items() if at not in files])


def _code(copy: Copy, path: Path) -> str | None:
    """Label code of an array file; reports one that cannot be used."""
    try:
        code = code_of(path)
    except DataError as error:
        what = str(error).replace(str(path), path.name)
        copy.error("not an array file", path, None, what, "restore the file from the owner's delivery")
        return None
    if code in copy.manifest.codes or code in LEFT_OUT:
        return code
    what = f"unknown label code {code!r}: known are {', '.join([*copy.manifest.codes, *LEFT_OUT])}"
    copy.error("unknown label code", path, None, what, "restore the file")
    return None


def _picture(copy: Copy, path: Path, images: Path, name: str | None) -> str:
    """Path of a picture below the dataset's folder; empty, and a warning, if there is none."""
    if name is not None:
        return f"{copy.relative(images)}/{name}"
    if images.is_dir():
        what = f"there is no picture of this number in {copy.relative(images)}, so it is left out"
        copy.warning("annotation without picture", path, None, what, "restore the picture")
    return ""
