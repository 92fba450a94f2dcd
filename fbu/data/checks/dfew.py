"""DFEW: the ten lists line by line and against each other, and clips that lost frames in time resampling."""

from __future__ import annotations

from fbu.data.checks import Copy
from fbu.data.checks.clips import examine_lists
from fbu.data.layouts import dfew
from fbu.data.media.videos import frames_of
from fbu.wording import some


def examine(copy: Copy) -> None:
    """Check lists and folders; in the release of 16 frames also their number."""
    examine_lists(copy, dfew)
    if copy.manifest.options["release"] != "clip_224x224_16f":
        return
    folders = [copy.root / row.path for row in copy.rows]
    other = [path for path in folders if path.is_dir() and len(frames_of(path)) != dfew.RESAMPLED]
    if other:
        told = some([f"{path.name} ({len(frames_of(path))})" for path in other])
        what = f"{len(other)} of {len(folders)} clips do not have {dfew.RESAMPLED} frames: {told}"
        copy.warning(
            "frames missing", other[0].parent, None, what, "unpack the archive of this release again"
        )
