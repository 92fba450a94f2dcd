"""Where things lie: the working folder (``FBU_HOME``) and the user's datasets (``FBU_DATA``)."""

from __future__ import annotations

import os
from pathlib import Path


def home() -> Path:
    """Folder for caches, twins and runs: ``$FBU_HOME`` or ``.fbu`` in the current folder; absolute."""
    return Path(os.environ.get("FBU_HOME") or ".fbu").expanduser().resolve()


def data_root() -> Path | None:
    """Folder that holds the user's copies of the datasets, ``$FBU_DATA``, or None when it is not set."""
    value = os.environ.get("FBU_DATA")
    return Path(value).expanduser().resolve() if value else None


def use_data_root(root: str | Path | None) -> None:
    """Set ``FBU_DATA`` for this process and those it starts; None leaves it as it is."""
    if root is not None:
        os.environ["FBU_DATA"] = str(Path(root).expanduser().resolve())
