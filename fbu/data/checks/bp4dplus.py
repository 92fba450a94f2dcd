"""BP4D+: occurrence files of four tasks, intensity files, frames of ten tasks, archives not yet unpacked."""

from __future__ import annotations

from pathlib import Path

from fbu.data.checks import Copy
from fbu.data.checks.frames import Form, examine_frames
from fbu.data.layouts.bp4dplus import CODED_TASKS, TASKS, UNITS, is_header
from fbu.data.layouts.files import optional_folder
from fbu.wording import counted, some


def examine(copy: Copy) -> None:
    """Check occurrence files, intensity files, frames and archives."""
    header = ",".join(map(str, [1, *UNITS[:4]]))
    examine_frames(copy, Form(TASKS, CODED_TASKS, is_header, f"{header}, ... {UNITS[-1]}"))
    images = optional_folder(copy.root, copy.manifest, "images")
    if images is not None:
        _archives(copy, images)


def _archives(copy: Copy, images: Path) -> None:
    """The owner delivers one archive per subject; a forgotten one would look like a subset."""
    packed = sorted(path.name for path in images.glob("*.zip") if not path.with_suffix("").is_dir())
    if packed:
        what = f"{counted(len(packed), 'archive is', 'archives are')} not unpacked: {some(packed)}"
        copy.error(
            "packed archive", images, None, what, "unpack each into a folder of its name, as F001/T1/000.jpg"
        )
