"""Which published weights the profile ``paper`` starts from, where they belong, and whether they are there.

The table is ``data_manifests/weights/published.yml``; ``fbu data weights`` prints it. Files lie under
``$FBU_DATA/weights``. Nothing here fetches anything: licences are between the user and the owner.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import nn

from fbu.config import data_root
from fbu.errors import DataError
from fbu.models.fitting import LoadReport
from fbu.resources import resource


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Use(_Part):
    """One place where a paper uses the weights."""

    paper: Literal["clef", "ke_fer", "dk_clip", "emoco"] = Field(description="which paper")
    part: str = Field(description="as what")


class Published(_Part):
    """One published file (or folder of the hub) and what is known about it."""

    name: str = Field(description="name in this library")
    file: str = Field(description="file or folder under $FBU_DATA/weights")
    title: str = Field(description="what it is, in print")
    uses: tuple[Use, ...] = Field(min_length=1, description="which paper uses it as what")
    loader: Literal["clip", "farl", "resnet", "swin", "vit", "align", "blip"] = Field(
        description="function that reads it: load_clip, load_farl, ..., load_text_tower"
    )
    architecture: str = Field(description="model that it fills, by the loader's name")
    tensors: int = Field(ge=1, description="tensors that a right file loads")
    numbers: int = Field(ge=1, description="numbers in them")
    content: str = Field(description="what is in the file")
    fetched: bool = Field(description="whether open_clip fetches the same weights when the file is absent")
    extra: str | None = Field(None, description="optional part of this package that reading it needs")
    licence: str = Field(description="terms in short")
    origin: str = Field(description="where it comes from")
    substitute: str = Field(description="what to use if it can no longer be had")

    @property
    def path(self) -> Path | None:
        """Where it belongs on this machine; None while FBU_DATA is not set."""
        root = data_root()
        return None if root is None else root / "weights" / self.file

    @property
    def present(self) -> bool:
        """Whether it is there."""
        return self.path is not None and self.path.exists()

    @property
    def papers(self) -> tuple[str, ...]:
        """Papers that use it, each once."""
        return tuple(dict.fromkeys(use.paper for use in self.uses))

    def row(self) -> dict[str, Any]:
        """All fields with ``path`` and ``present``, as plain values for JSON."""
        path = self.path
        return {**self.model_dump(mode="json"), "path": str(path) if path else None, "present": self.present}


def published() -> tuple[Published, ...]:
    """The whole table, in the order of the file.

    Raises:
        DataError: the file is malformed; names the entry and the field.
    """
    path = resource("weights/published.yml")
    entries = []
    for number, entry in enumerate(yaml.safe_load(path.read_text(encoding="utf-8"))):
        try:
            entries.append(Published.model_validate(entry))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise DataError(f"{path}: entry {number + 1}, field {where}: {first['msg']}") from error
    return tuple(entries)


def weights_named(name: str) -> Published:
    """One entry by name or by file name.

    Raises:
        DataError: unknown; lists the names.
    """
    for entry in published():
        if name in (entry.name, entry.file):
            return entry
    raise DataError(f"unknown weights {name!r}: known are {', '.join(e.name for e in published())}")


def load_published(name: str, **options: Any) -> tuple[nn.Module, LoadReport]:
    """Load published weights from ``$FBU_DATA/weights``.

    Args:
        name: name in the table, e.g. ``"farl-ep64"``.
        options: passed to the loader, e.g. ``image_size=112``.

    Returns:
        The model and the report, whose counts are those of the table.

    Raises:
        DataError: FBU_DATA is not set, the file is not there, or the loader refuses it.
        ImportError: an optional package is missing.
    """
    entry = weights_named(name)
    if entry.path is None:
        raise DataError(f"{entry.name}: FBU_DATA is not set; the file belongs in its folder weights/")
    if not entry.present:
        raise DataError(f"{entry.path} is not there; it comes from {entry.origin}")
    return _load(entry, entry.path, options)


def _load(entry: Published, path: Path, options: dict[str, Any]) -> tuple[nn.Module, LoadReport]:
    from fbu.models import texts, visual, weights

    if entry.loader == "clip":
        return weights.load_clip(entry.architecture, path, **options)
    if entry.loader == "farl":
        return weights.load_farl(path, **options)
    if entry.loader == "resnet":
        return visual.load_resnet(path, entry.architecture, **options)
    if entry.loader == "swin":
        return visual.load_swin(path, **options)
    if entry.loader == "vit":
        return visual.load_vit(path, entry.architecture, **options)
    return texts.load_text_tower("ALIGN" if entry.loader == "align" else "BLIP", path, **options)
