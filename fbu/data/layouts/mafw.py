"""MAFW: clips as videos or frame folders, and five pairs of word lists, with or without descriptions."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from fbu.data.layouts.clips import FOLDS, Format, Listed, Wrong, choice, clip_table, folds, two_fields
from fbu.data.layouts.files import folder, write_lines
from fbu.data.layouts.twin_clips import (
    ClipWorld,
    annotated,
    fold_lists,
    save_folder,
    save_video,
    write_clips,
)
from fbu.data.manifest import Manifest, load_manifest
from fbu.data.media.videos import Clips

media = Clips(64)
MEDIA = ("clips", "frames")
#: Lists without and with descriptions, and their encodings.
CAPTIONS = {"no_caption": "utf-8", "with_caption": "gb18030"}
_CLIP = re.compile(r"(\d+)\.mp4")
_LINES = {
    "no_caption": "03747.mp4 anger",
    "with_caption": "03747.mp4<tab>anger<tab>Chinese text<tab>English text",
}
#: Words of the classes in the Chinese descriptions of a twin.
_CHINESE = {
    "anger": "愤怒",
    "disgust": "厌恶",
    "fear": "恐惧",
    "happiness": "快乐",
    "neutral": "平静",
    "sadness": "悲伤",
    "surprise": "惊讶",
    "contempt": "轻蔑",
    "anxiety": "焦虑",
    "helplessness": "无助",
    "disappointment": "失望",
}


def read(root: Path, manifest: Manifest) -> pd.DataFrame:
    """Read the five test lists of the single set, and check that each training list holds the other four's clips.

    Option ``media`` chooses videos (``clips``) or frame folders (``frames``), option ``caption`` the lists without
    (``no_caption``) or with descriptions (``with_caption``, gb18030).

    Returns:
        sample (``03747``), path, subject (= sample), expression, fold (whose test list holds the clip); with
        descriptions also caption and caption_zh.

    Raises:
        DataError: missing folder or list, a malformed line, an unknown word, lists that do not fit each other.
    """
    found = lists(root, manifest)
    found.refuse()
    more: dict[str, list[object]] = {"fold": [clip.fold for clip in found.clips]}
    if manifest.options["caption"] == "with_caption":
        for at, name in enumerate(("caption_zh", "caption")):
            more[name] = [clip.entry.more[at] for clip in found.clips]
    return clip_table(found.clips, place(root, manifest), **more)


def roles(manifest: Manifest) -> tuple[str, ...]:
    """Folders that reading needs."""
    return "lists", choice(manifest, "media", MEDIA)


def lists(root: Path, manifest: Manifest) -> Listed:
    """Clips of all lists, with their folds and faults."""
    caption = choice(manifest, "caption", CAPTIONS)
    base = folder(root, manifest, "lists")
    parse = _words if caption == "no_caption" else _described
    form = Format(parse, manifest.codes, encoding=CAPTIONS[caption])
    tests, trains = ({i: base / list_name(caption, i, part) for i in FOLDS} for part in ("test", "train"))
    return folds(form, tests, trains)


def list_name(caption: str, fold: int, part: str) -> str:
    """Path of a list below the folder of the lists."""
    return f"single/{caption}/set_{fold}/{part}.txt"


def place(root: Path, manifest: Manifest) -> Callable[[str], str]:
    """Path of each clip, relative to root."""
    kind = choice(manifest, "media", MEDIA)
    base = folder(root, manifest, kind).relative_to(root).as_posix()
    return lambda clip: f"{base}/{clip}{'.mp4' if kind == 'clips' else ''}"


def _words(line: str) -> tuple[str, str, tuple[str, ...]]:
    name, word = two_fields(line, None, _LINES["no_caption"])
    return _number(name), word, ()


def _described(line: str) -> tuple[str, str, tuple[str, ...]]:
    fields = [item.strip() for item in line.split("\t")]
    if len(fields) != 4:
        what = f"expected a line like {_LINES['with_caption']}, found {len(fields)} fields between tabs"
        raise Wrong("wrong number of fields", what, "restore the line")
    return _number(fields[0]), fields[1], (fields[2], fields[3])


def _number(name: str) -> str:
    match = _CLIP.fullmatch(name)
    if match is None:
        leaves = "/" in name or "\\" in name
        kind = "path leaves the folder" if leaves else "malformed name"
        what = f"{name!r} is not the name of a clip"
        raise Wrong(kind, what, "write a bare name like 03747.mp4")
    return match[1]


def write(world: ClipWorld, root: Path, *, image_size: int, media: str = "clips") -> None:
    """Write a drawn population as MAFW lies on disk, with both kinds of lists.

    Args:
        world: records with sample (``03747``) and label (as annotated) or expression.
        root: the dataset's folder.
        image_size: side of the frames in pixels.
        media: as the reader's option.
    """
    manifest = load_manifest("mafw").with_options({"media": media})
    roles(manifest)  # refuses an unknown kind
    samples, labels = list(world.records["sample"]), annotated(world.records)
    base = root / manifest.tree.folders["lists"][0]
    for fold, part, chosen in fold_lists(samples, labels):
        words = [f"{samples[i]}.mp4 {labels[i]}" for i in chosen]
        write_lines(base / list_name("no_caption", fold, part), words)
        path = base / list_name("with_caption", fold, part)
        path.parent.mkdir(parents=True, exist_ok=True)
        told = "".join(f"{samples[i]}.mp4\t{labels[i]}\t{_description(labels[i])}\n" for i in chosen)
        path.write_bytes(told.encode(CAPTIONS["with_caption"]))
    folder_of = manifest.tree.folders[media][0]
    save, ending = (save_video, ".mp4") if media == "clips" else (save_folder("{clip}_{n}.png"), "")
    write_clips(world, root, [f"{folder_of}/{sample}{ending}" for sample in samples], image_size, save)


def _description(label: str) -> str:
    """Chinese and English text of a clip, with a tab between."""
    return f"一个人的脸上露出{_CHINESE[label]}的表情\tThe face of a person shows {label}."
