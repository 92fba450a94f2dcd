"""FERV39K: both lists line by line, and what the folders say about the same clips."""

from __future__ import annotations

from fbu.data.checks import Copy
from fbu.data.checks.clips import examine_lists
from fbu.data.layouts import ferv39k
from fbu.wording import counted, some


def examine(copy: Copy) -> None:
    """Check lists and folders, words against folders, and clips that no list names."""
    examine_lists(copy, ferv39k)
    codes = copy.manifest.codes
    for row in copy.rows:
        scene, word, _ = row.sample.split("/")
        if scene not in ferv39k.SCENES:
            what = f"{row.sample}: {scene!r} is none of the 22 scenes"
            copy.warning("unknown scene", row.file, row.line, what, "take the owner's list")
        if codes.get(word) != row.label:
            what = f"{row.sample} lies in folder {word} and is labelled {row.label}"
            mend = "take the owner's list; the list counts, not the folder"
            copy.warning("label differs from folder", row.file, row.line, what, mend)
    if copy.rows and copy.manifest.options["setup"] == ferv39k.ALL:
        _unlisted(copy)


def _unlisted(copy: Copy) -> None:
    """Warn once about clips that no list names."""
    base = copy.folder("clips")
    assert base is not None  # there are rows
    known = {row.sample for row in copy.rows}
    # Scene by scene and not by a pattern, which would go through every frame.
    there = (clip for scene in base.iterdir() if scene.is_dir() for word in scene.iterdir() if word.is_dir()
             for clip in word.iterdir() if clip.is_dir())  # fmt: skip
    stray = sorted(set(clip.relative_to(base).as_posix() for clip in there) - known)
    if stray:
        what = f"{counted(len(stray), 'clip is', 'clips are')} in no list: {some(stray)}"
        mend = "nothing to do if the lists were cut down on purpose; otherwise restore them"
        copy.warning("clip without label", base, None, what, mend)
