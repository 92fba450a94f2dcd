"""Files that travel with the package: manifests, reported numbers, claims, folds."""

from __future__ import annotations

from pathlib import Path

from fbu.errors import DataError

_HERE = Path(__file__).resolve().parent
# The wheel carries the folder inside the package; a checkout has it beside the package.
_ROOTS = (_HERE / "data_manifests", _HERE.parent / "data_manifests")


def resource(name: str) -> Path:
    """Path of a file or folder under ``data_manifests``.

    Args:
        name: path relative to ``data_manifests``, e.g. ``"reported/claims.csv"``.

    Raises:
        DataError: no such file in this installation.
    """
    for root in _ROOTS:
        if (root / name).exists():
            return root / name
    raise DataError(f"data_manifests/{name} is not part of this installation: reinstall fbu")
