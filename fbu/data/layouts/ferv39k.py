"""FERV39K: frame folders by scene, expression and number, and one list each for training and testing."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from fbu.data.layouts.clips import Format, Listed, Wrong, choice, clip_table, parts, two_fields
from fbu.data.layouts.files import folder, inside, write_lines
from fbu.data.layouts.twin_clips import ClipWorld, annotated, save_folder, write_clips
from fbu.data.manifest import Manifest, load_manifest
from fbu.data.media.videos import Clips
from fbu.errors import DataError

media = Clips(64)
ALL = "All_scenes"
SCENES = tuple(
    "Action Argue Business Conflict Contest Crime Crisis DailyLife ElegantArt Experiment History Interview Liveshow "
    "Medicine OfficialEvent ScholarReport School Social Speech Talkshow Terror War".split()
)
PARTS = ("train", "test")
_CLIP = re.compile(r"[^/\s]+/[^/\s]+/\d+")
_LINE = "Action/Happy/0267 Happy"


def read(root: Path, manifest: Manifest) -> pd.DataFrame:
    """Read the lists of all scenes, or of the one that option ``setup`` names.

    Returns:
        sample (``Action/Happy/0267``: numbers alone are not unique), path, subject (= sample), expression, part
        (``train`` or ``test``), scene.

    Raises:
        DataError: missing folder or list, a malformed line, an unknown word, a clip in both parts.
    """
    found = lists(root, manifest)
    found.refuse()
    scenes = [clip.entry.clip.partition("/")[0] for clip in found.clips]
    part = [clip.part for clip in found.clips]
    return clip_table(found.clips, place(root, manifest), part=part, scene=scenes)


def roles(manifest: Manifest) -> tuple[str, ...]:
    """Folders that reading needs."""
    return "lists", "clips"


def lists(root: Path, manifest: Manifest) -> Listed:
    """Clips of both lists, with their parts and faults."""
    setup = choice(manifest, "setup", (ALL, *SCENES))
    base = folder(root, manifest, "lists")
    form = Format(_parsed, manifest.codes)
    return parts(form, {part: base / list_name(setup, part) for part in PARTS})


def list_name(setup: str, part: str) -> str:
    """Path of a list below the folder of the lists."""
    return f"{ALL}/{part}_All.csv" if setup == ALL else f"22_scenes/{part}_{setup}.csv"


def place(root: Path, manifest: Manifest) -> Callable[[str], str]:
    """Path of each clip, relative to root."""
    base = folder(root, manifest, "clips").relative_to(root).as_posix()
    return lambda clip: f"{base}/{clip}"


def _parsed(line: str) -> tuple[str, str, tuple[str, ...]]:
    clip, code = two_fields(line, None, _LINE)
    try:
        inside(clip, Path("the folder of the clips"))
    except DataError:
        what = f"path {clip!r} leads out of the folder of the clips"
        raise Wrong("path leaves the folder", what, f"write a path like {_LINE.split()[0]}") from None
    if not _CLIP.fullmatch(clip):
        what = f"{clip!r} is not scene, expression and number"
        raise Wrong("malformed name", what, f"write a path like {_LINE.split()[0]}")
    return clip, code, ()


def write(world: ClipWorld, root: Path, *, image_size: int) -> None:
    """Write a drawn population as FERV39K lies on disk, with the lists of all scenes and of each.

    Args:
        world: records with sample (``Action/Happy/0267``), split (``train`` or ``test``) and label (as annotated) or
            expression.
        root: the dataset's folder.
        image_size: side of the frames in pixels.
    """
    manifest = load_manifest("ferv39k")
    codes = {name: code for code, name in manifest.codes.items()}
    samples = list(world.records["sample"])
    words = [codes[name] for name in annotated(world.records)]
    base = root / manifest.tree.folders["lists"][0]
    for setup in (ALL, *sorted({sample.partition("/")[0] for sample in samples})):
        for part in PARTS:
            chosen = [
                f"{sample} {word}"
                for sample, word, own in zip(samples, words, world.records["split"], strict=True)
                if own == part and (setup == ALL or sample.startswith(f"{setup}/"))
            ]
            # A scene of a small twin may lack one of the parts.
            if chosen:
                write_lines(base / list_name(setup, part), chosen)
    clips = manifest.tree.folders["clips"][0]
    write_clips(
        world, root, [f"{clips}/{sample}" for sample in samples], image_size, save_folder("{n:02d}.jpg")
    )
