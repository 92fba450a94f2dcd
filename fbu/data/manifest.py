"""What is known about each dataset: one YAML file per dataset in ``data_manifests``, checked on reading."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from fbu.errors import DataError
from fbu.resources import resource

Option = int | float | str


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Code(_Part):
    """One label code of the annotation file and the class that it means."""

    code: str = Field(description="the code as it stands in the file")
    name: str = Field(description="class name, one of fbu.labels.EXPRESSIONS or a compound name")


class Coding(_Part):
    """What the values of an action-unit column mean."""

    absent: int = Field(0, description="value for: unit not shown")
    present: int = Field(1, description="value for: unit shown")
    not_coded: int = Field(9, description="value for: nobody looked; read as -1")


class Tree(_Part):
    """Where files lie below the dataset's folder."""

    text: str = Field(description="the tree as the owner distributes it, for people")
    folders: dict[str, tuple[str, ...]] = Field(description="role -> accepted names, first one found wins")


class Splits(_Part):
    """Which rows are for training, validation and test."""

    rule: Literal["official", "column", "file", "hash"] = Field(
        description="official: column `part` of the reader; column: its column `fold`; file: subject -> fold; "
        "hash: subject, mod k"
    )
    file: str | None = Field(None, description="rule file: CSV `subject,fold` below data_manifests")
    folds: tuple[int, ...] = Field((), description="fold numbers; the first is used when none is asked for")
    val_one_in: int = Field(description="about one in this many training subjects is for validation", ge=2)
    source: str = Field(description="where the split comes from, and what in it is ours")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.rule == "official") != (not self.folds) or (self.rule == "file") != (self.file is not None):
            raise ValueError(
                "rules 'column', 'file' and 'hash' need folds, 'file' needs a file, 'official' has neither"
            )
        return self


class Protocol(_Part):
    """One way in which a paper scores the dataset."""

    description: str = Field(description="what the paper does, and what in it is assumed")
    source: str = Field(description="paper and section, or whose choice it is")
    metrics: tuple[str, ...] = Field(description="names of fbu.evaluation, the paper's main one first")
    classes: tuple[str, ...] = Field((), description="only rows of these classes count; empty: all")
    validation: Literal["part_of_train", "none", "test"] = Field(
        "part_of_train",
        description="none: train is the whole training part; test: so too, and val is the test part",
    )
    options: dict[str, Option] = Field({}, description="reader options that differ from the manifest's")
    preset: str | None = Field(None, description="alignment preset that differs from the manifest's")
    sampling: Literal["as_is", "balanced"] = Field(
        "as_is", description="balanced: training draws every class equally often"
    )


class Expected(_Part):
    """Published counts, against which a copy is checked."""

    rows: int | None = Field(None, description="labelled rows in all")
    subjects: int | None = Field(None, description="people")
    sequences: int | None = Field(None, description="labelled sequences")
    parts: dict[str, int] = Field({}, description="rows by official part")
    classes: dict[str, int] = Field({}, description="rows by class, all parts together")
    source: str = Field(description="where the counts come from")


class Twin(_Part):
    """What the synthetic stand-in imitates."""

    imitates: tuple[str, ...] = Field(description="properties of the real set that the twin shares")
    lacks: tuple[str, ...] = Field(description="properties that it does not have")


class Manifest(_Part):
    """All that is known about one dataset."""

    name: str = Field(description="name in this library; also the folder below FBU_DATA")
    title: str = Field(description="name in print")
    version: int = Field(description="raised when reading the same files gives other records", ge=1)
    kind: Literal["expression", "au"] = Field(description="what is predicted")
    open: bool = Field(description="may be shared, so that source='open' is allowed")
    licence: str = Field(description="terms in short")
    obtain: str = Field(description="how to get a copy")
    tree: Tree = Field(description="files and folders")
    classes: tuple[Code, ...] = Field((), description="label codes in the order of the files")
    aus: tuple[int, ...] = Field((), description="scored action units, in the order that papers print")
    intensity_aus: tuple[int, ...] = Field((), description="action units with intensities 0-5")
    coding: Coding | None = Field(None, description="values in action-unit files")
    options: dict[str, Option] = Field({}, description="reader options and their defaults")
    splits: Splits = Field(description="train, validation and test")
    protocols: dict[str, Protocol] = Field(description="by paper")
    metric: str = Field(description="main metric, a name of fbu.evaluation")
    preset: str = Field(description="alignment preset (fbu.data.alignment) of real files")
    expected: Expected = Field(description="published counts")
    checksums: dict[str, str] = Field(
        {}, description="relative path -> sha256, where the owner's file is public"
    )
    twin: Twin = Field(description="the synthetic stand-in")
    sources: tuple[str, ...] = Field(description="public code and papers behind this manifest")

    @model_validator(mode="after")
    def _labels_fit_the_kind(self) -> Self:
        if (self.kind == "expression") != bool(self.classes) or (self.kind == "au") != bool(self.aus):
            raise ValueError("kind 'expression' needs classes and no aus, kind 'au' needs aus and no classes")
        for name, protocol in self.protocols.items():
            unknown = [c for c in protocol.classes if c not in self.labels]
            unknown += [o for o in protocol.options if o not in self.options]
            if unknown:
                raise ValueError(f"protocol {name!r} names unknown classes or options {unknown}")
        return self

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names in file order, or "AU1", "AU2", ... in printed order."""
        return tuple(c.name for c in self.classes) if self.classes else tuple(f"AU{n}" for n in self.aus)

    @property
    def codes(self) -> dict[str, str]:
        """Code in the file -> class name."""
        return {c.code: c.name for c in self.classes}

    def with_options(self, options: dict[str, Option]) -> Manifest:
        """Copy with other reader options.

        Raises:
            DataError: an option that the manifest does not declare.
        """
        for key in options:
            if key not in self.options:
                raise DataError(f"{self.name} has no reader option {key!r}: known are {sorted(self.options)}")
        return self.model_copy(update={"options": {**self.options, **options}})


#: Reader options of one copy of a dataset, beside its files.
COPY_OPTIONS = "fbu.yml"


def options_of_copy(folder: Path) -> dict[str, Option]:
    """Reader options in ``fbu.yml`` in a dataset's folder, e.g. ``offset: -1``; empty without the file.

    Raises:
        DataError: not a YAML file of names and plain values.
    """
    path = folder / COPY_OPTIONS
    if not path.is_file():
        return {}
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is not a YAML file: {str(error).splitlines()[0]}") from error
    if not isinstance(found, dict) or not all(isinstance(v, int | float | str) for v in found.values()):
        raise DataError(f"{path}: expected lines like 'offset: -1', reader options of the dataset by name")
    return {str(name): value for name, value in found.items()}


def names() -> tuple[str, ...]:
    """Datasets that have a manifest, sorted."""
    return tuple(sorted(path.stem for path in resource(".").glob("*.yml")))


def load_manifest(name: str) -> Manifest:
    """Manifest of a dataset.

    Raises:
        DataError: unknown dataset, or a malformed manifest (names the file and the field).
    """
    if name not in names():
        raise DataError(f"unknown dataset {name!r}: known are {', '.join(names())}")
    path = resource(f"{name}.yml")
    return parse_manifest(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=64)
def parse_manifest(path: Path, mtime: int = 0) -> Manifest:
    """Read and check one manifest file; its ``name`` must be the file's stem.

    Raises:
        DataError: names the file and the first wrong field.
    """
    try:
        manifest = Manifest.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "manifest"
        raise DataError(f"{path}: field {where}: {first['msg']}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is not a YAML file: {str(error).splitlines()[0]}") from error
    if manifest.name != path.stem:
        raise DataError(f"{path}: field name is {manifest.name!r} but the file is called {path.name}")
    return manifest
