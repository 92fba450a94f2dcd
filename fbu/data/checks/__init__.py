"""What can be wrong with one copy of a dataset; one module per dataset, found by the dataset's name.

A reader in `fbu.data.layouts` stops at the first problem. A module here goes on: it offers
``examine(copy: Copy) -> None``, which reports every problem of the annotation files to the copy and adds the
labelled rows that it understood. What is the same for all datasets (pictures, counts, folds) is done by
`fbu.data.doctor`, which falls back on the reader where a dataset has no module.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Literal, NamedTuple

from fbu.data.layouts.files import optional_folder
from fbu.data.manifest import Manifest
from fbu.wording import counted, some

__all__ = ["Copy", "Problem", "Row", "Severity", "examiner"]

#: error: reading fails, or something that should be there is lost or damaged; warning: reading works.
Severity = Literal["error", "warning"]

# Written by the twins and by operating systems; nobody needs to be told.
_ALWAYS_KNOWN = {"__MACOSX", "__pycache__"}


@dataclass(frozen=True)
class Problem:
    """One finding.

    Attributes:
        severity: error or warning.
        kind: short name; problems of one kind are mended in one way.
        file: path relative to the dataset's folder, "." for the folder itself.
        line: line of the file, counted from 1, where there is one.
        message: one sentence.
        mend: what to do about it.
    """

    severity: Severity
    kind: str
    file: str
    line: int | None
    message: str
    mend: str

    @property
    def where(self) -> str:
        """``file:line``, or the file alone."""
        return self.file if self.line is None else f"{self.file}:{self.line}"


class Row(NamedTuple):
    """One labelled row, and where it was read.

    Attributes:
        sample: name of the picture within the dataset.
        path: picture relative to the dataset's folder; empty if it was looked for and is known to be missing.
        subject: person.
        label: class; empty for action units.
        part: official part; empty without.
        file: list that names it, relative to the dataset's folder.
        line: line of that list.
    """

    sample: str
    path: str
    subject: str
    label: str
    part: str
    file: str
    line: int | None


@dataclass
class Copy:
    """One copy of a dataset while it is examined.

    Attributes:
        root: the dataset's folder.
        manifest: what is known about the dataset.
        twin: whether the files carry the stamp of a twin.
        problems: found so far.
        rows: labelled rows, repeated ones included.
        sequences: names of the labelled sequences, for video.
    """

    root: Path
    manifest: Manifest
    twin: bool = False
    problems: list[Problem] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    sequences: set[str] = field(default_factory=set)

    def error(self, kind: str, file: Path | str, line: int | None, message: str, mend: str) -> None:
        """Report what keeps the copy from being read, or what is lost."""
        self.problems.append(Problem("error", kind, self.relative(file), line, message, mend))

    def warning(self, kind: str, file: Path | str, line: int | None, message: str, mend: str) -> None:
        """Report what a reader copes with."""
        self.problems.append(Problem("warning", kind, self.relative(file), line, message, mend))

    def relative(self, file: Path | str) -> str:
        """A path as the report prints it."""
        path = Path(file)
        return path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else path.as_posix()

    def folder(self, role: str, parent: Path | None = None) -> Path | None:
        """First accepted folder of a role; None, and an error, when there is none."""
        base = self.root if parent is None else parent
        found = optional_folder(base, self.manifest, role)
        if found is None:
            self.error(
                "missing folder",
                base,
                None,
                f"folder {' or '.join(self.manifest.tree.folders[role])} ({role}) is missing",
                f"{self.manifest.title} lies as in `tree` of its manifest: put the folder back",
            )
        return found

    def unlisted(self, folder: Path, names: Collection[str]) -> None:
        """Warn once about pictures of a folder that no label row names."""
        if names:
            self.warning(
                "picture without label",
                folder,
                None,
                f"{counted(len(names), 'picture is', 'pictures are')} in no label row: {some(sorted(names))}",
                "nothing to do if the labels were cut down on purpose; otherwise restore the label file",
            )

    def extra_folders(self, folder: Path, known: Collection[str]) -> None:
        """Warn once about folders that the layout does not have."""
        extra = sorted(
            path.name
            for path in folder.iterdir()
            if path.is_dir()
            and path.name not in known
            and path.name not in _ALWAYS_KNOWN
            and not path.name.startswith(".")
        )
        if extra:
            self.warning(
                "extra folder",
                folder,
                None,
                f"{counted(len(extra), 'folder is', 'folders are')} not part of the layout and not read: {some(extra)}",
                "move them elsewhere, or rename the one that should be read",
            )


def examiner(name: str) -> ModuleType | None:
    """Module that examines a dataset, or None."""
    # Names that are not datasets, such as the shared modules here, have no function of that name.
    if not name.isidentifier() or importlib.util.find_spec(f"{__name__}.{name}") is None:
        return None
    module = importlib.import_module(f"{__name__}.{name}")
    return module if hasattr(module, "examine") else None
