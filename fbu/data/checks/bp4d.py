"""BP4D: occurrence files, intensity files and frames of eight tasks."""

from __future__ import annotations

from fbu.data.checks import Copy
from fbu.data.checks.frames import Form, examine_frames
from fbu.data.layouts.bp4d import TASKS, is_header


def examine(copy: Copy) -> None:
    """Check occurrence files, intensity files and frames."""
    examine_frames(copy, Form(TASKS, TASKS, is_header, "0,1,2, ... 99"))
