"""DFEW: clips of films as frame folders or videos, and five pairs of lists, each testing on a fifth of the clips."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from fbu.data.layouts.clips import FOLDS, Format, Listed, Wrong, choice, clip_table, folds, two_fields
from fbu.data.layouts.files import folder, write_lines
from fbu.data.layouts.twin_clips import (
    ClipWorld,
    Resampled,
    annotated,
    fold_lists,
    save_folder,
    save_video,
    write_clips,
)
from fbu.data.manifest import Manifest, load_manifest
from fbu.data.media.videos import Clips

media = Clips(64)
HEADER = "video_name,label"
#: Ending of a clip in each release; none: a folder of frames.
ENDINGS = {"clip_224x224": "", "clip_224x224_16f": "", "avi": ".avi", "original": ".mp4"}
#: Frames of every clip in the release that is resampled in time.
RESAMPLED = 16


def read(root: Path, manifest: Manifest) -> pd.DataFrame:
    """Read the five test lists, and check that each training list holds the clips of the other four.

    Option ``release`` says which clips are meant: ``clip_224x224`` (faces, all frames), ``clip_224x224_16f``
    (faces, 16 frames), ``avi`` (faces as videos) or ``original`` (whole pictures as videos).

    Returns:
        sample (``00001``), path, subject (= sample), expression, fold (whose test list holds the clip).

    Raises:
        DataError: missing folder or list, a malformed line, an unknown code, lists that do not fit each other.
    """
    found = lists(root, manifest)
    found.refuse()
    return clip_table(found.clips, place(root, manifest), fold=[clip.fold for clip in found.clips])


def roles(manifest: Manifest) -> tuple[str, ...]:
    """Folders that reading needs."""
    return "train", "test", choice(manifest, "release", ENDINGS)


def lists(root: Path, manifest: Manifest) -> Listed:
    """Clips of all lists, with their folds and faults."""
    train, test = folder(root, manifest, "train"), folder(root, manifest, "test")
    form = Format(_parsed, manifest.codes, header=HEADER)
    return folds(form, *({i: base / f"set_{i}.csv" for i in FOLDS} for base in (test, train)))


def place(root: Path, manifest: Manifest) -> Callable[[str], str]:
    """Path of each clip, relative to root."""
    release = choice(manifest, "release", ENDINGS)
    base = folder(root, manifest, release).relative_to(root).as_posix()
    return lambda clip: f"{base}/{clip}{ENDINGS[release]}"


def _parsed(line: str) -> tuple[str, str, tuple[str, ...]]:
    name, code = two_fields(line, ",", "1,2")
    # Names are written without padding, and folders with five digits.
    if not (name.isascii() and name.isdigit()):
        what = f"video_name is {name!r}, not a whole number"
        raise Wrong("malformed name", what, "write the number of the clip, as the owner's list does")
    return f"{int(name):05d}", code, ()


def write(world: ClipWorld, root: Path, *, image_size: int, release: str = "clip_224x224") -> None:
    """Write a drawn population as DFEW lies on disk.

    Args:
        world: records with sample (``00001``) and label (as annotated) or expression.
        root: the dataset's folder.
        image_size: side of the frames in pixels.
        release: as the reader's option.
    """
    manifest = load_manifest("dfew").with_options({"release": release})
    roles(manifest)  # refuses an unknown release
    if release == "clip_224x224_16f":
        world = Resampled(world, RESAMPLED)
    samples, labels = list(world.records["sample"]), annotated(world.records)
    codes = {name: code for code, name in manifest.codes.items()}
    lines = [f"{int(sample)},{codes[name]}" for sample, name in zip(samples, labels, strict=True)]
    for fold, part, chosen in fold_lists(samples, labels):
        path = root / manifest.tree.folders[part][0] / f"set_{fold}.csv"
        write_lines(path, [HEADER, *(lines[i] for i in chosen)])
    base = manifest.tree.folders[release][0]
    names = {"clip_224x224": "{clip}_{n:05d}.jpg", "clip_224x224_16f": "{n}.jpg"}
    save = save_folder(names[release]) if release in names else save_video
    write_clips(world, root, [f"{base}/{s}{ENDINGS[release]}" for s in samples], image_size, save)
