"""Sets of clips: every fault of their lists, and the labelled rows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from fbu.data.checks import Copy, Row
from fbu.data.layouts.clips import Listed
from fbu.data.manifest import Manifest
from fbu.errors import DataError


class ClipLayout(Protocol):
    """What a layout module of clips offers beside reading and writing."""

    def roles(self, manifest: Manifest) -> tuple[str, ...]:
        """Folders that reading needs."""
        ...

    def lists(self, root: Path, manifest: Manifest) -> Listed:
        """Clips of all lists and their faults."""
        ...

    def place(self, root: Path, manifest: Manifest) -> Callable[[str], str]:
        """Path of each clip, relative to root."""
        ...


def examine_lists(copy: Copy, layout: ClipLayout) -> None:
    """Check options and folders, report every fault of the lists, and add the rows that were understood."""
    try:
        roles = layout.roles(copy.manifest)
        # All are asked for, so that all missing ones are reported.
        if None in [copy.folder(role) for role in roles]:
            return
        found, place = layout.lists(copy.root, copy.manifest), layout.place(copy.root, copy.manifest)
    except DataError as error:
        copy.error("wrong option", copy.root, None, str(error), "correct fbu.yml, or remove it")
        return
    for fault in found.faults:
        copy.error(fault.kind, fault.file, fault.line, fault.what, fault.mend)
    for clip in found.clips:
        name, file = clip.entry.clip, copy.relative(clip.entry.file)
        copy.rows.append(Row(name, place(name), name, clip.entry.label, clip.part, file, clip.entry.line))
