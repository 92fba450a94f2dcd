"""What the readers of clips share: lists of clips and labels, and folds given by lists.

The lists are gone through completely and every fault is kept: a reader refuses with the first one, and
`fbu.data.checks` reports them all.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from fbu.data.manifest import Manifest
from fbu.errors import DataError
from fbu.wording import counted, some

FOLDS = (1, 2, 3, 4, 5)
_RESTORE = "restore the file from the owner's delivery"


class Fault(NamedTuple):
    """Something wrong in a list: where, what, and how to mend it."""

    file: Path
    line: int | None
    kind: str
    what: str
    mend: str


class Wrong(Exception):
    """A line that cannot be used: kind, what is wrong, how to mend it."""


class Entry(NamedTuple):
    """One line of a list; ``more`` is what follows the label."""

    clip: str
    label: str
    more: tuple[str, ...]
    file: Path
    line: int


class Placed(NamedTuple):
    """One clip, as the list that tests on it has it (the training list, without folds)."""

    entry: Entry
    fold: int
    part: str


@dataclass(frozen=True)
class Listed:
    """All clips of a copy and what is wrong with its lists."""

    clips: list[Placed]
    faults: list[Fault]

    def refuse(self) -> None:
        """Raise a DataError about the first fault, if there is one."""
        for fault in self.faults:
            line = "" if fault.line is None else f":{fault.line}"
            raise DataError(f"{fault.file}{line}: {fault.what}: {fault.mend}")


@dataclass(frozen=True)
class Format:
    """How the lines of a list are read.

    Attributes:
        parse: gives clip, label code and what follows; raises `Wrong`.
        codes: label code -> class.
        header: first line; empty without.
        encoding: of the text.
    """

    parse: Callable[[str], tuple[str, str, tuple[str, ...]]]
    codes: Mapping[str, str] = field(default_factory=dict)
    header: str = ""
    encoding: str = "utf-8"


def choice(manifest: Manifest, option: str, known: Collection[str]) -> str:
    """Value of a reader option; DataError if it is none of the known ones."""
    value = str(manifest.options[option])
    if value not in known:
        raise DataError(f"{manifest.name}: option {option} is {value!r}: known are {', '.join(known)}")
    return value


def entries(path: Path, form: Format) -> tuple[list[Entry], list[Fault]]:
    """Lines of a list that can be used, and the faults of the others; blank lines are passed over."""
    try:
        raw = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        kind = "missing file" if missing else "unreadable file"
        what = "the list is missing" if missing else f"the list cannot be read ({error.strerror})"
        return [], [Fault(path, None, kind, what, _RESTORE)]
    texts = raw.splitlines()
    first = 1 if form.header else 0
    if form.header and texts and texts[0].strip() != form.header.encode():
        what = f"expected the header {form.header}, found {texts[0][:40].decode('ascii', 'replace')!r}"
        return [], [Fault(path, 1, "missing column", what, f"put the line {form.header} first")]
    if not b"".join(texts[first:]).strip():
        return [], [Fault(path, None, "empty file", "the list is empty", _RESTORE)]
    found: dict[str, Entry] = {}
    faults = []
    for line, text in enumerate(texts[first:], start=first + 1):
        if not text.strip():
            continue
        try:
            entry = Entry(*_understood(text, form), path, line)
            before = found.setdefault(entry.clip, entry)
            if before is not entry:
                what = f"clip {entry.clip} is listed again (first in line {before.line})"
                raise Wrong("duplicate row", what, "remove one of the lines")
        except Wrong as wrong:
            faults.append(Fault(path, line, *wrong.args))
    return list(found.values()), faults


def _understood(text: bytes, form: Format) -> tuple[str, str, tuple[str, ...]]:
    try:
        line = text.decode(form.encoding)
    except UnicodeDecodeError as error:
        name = {"utf-8": "UTF-8"}.get(form.encoding, form.encoding)
        what = f"byte {error.start + 1} of the line is not {name} text"
        raise Wrong(f"not {name}", what, f"save the file as {name}") from None
    clip, code, more = form.parse(line)
    if code not in form.codes:
        what = f"unknown label code {code!r}: known are {', '.join(form.codes)}"
        raise Wrong("unknown label code", what, "take the owner's list")
    return clip, form.codes[code], more


def two_fields(text: str, separator: str | None, example: str) -> tuple[str, str]:
    """The two fields of a line; raises `Wrong` for another number of them."""
    fields = [item.strip() for item in text.split(separator)]
    if len(fields) != 2:
        what = f"expected a line like {example!r}, found {text.strip()[:60]!r}"
        raise Wrong("wrong number of fields", what, "restore the line")
    return fields[0], fields[1]


def folds(form: Format, tests: Mapping[int, Path], trains: Mapping[int, Path]) -> Listed:
    """Clips with the fold whose test list holds them; the training list of a fold must hold the other folds.

    Args:
        form: of the lists.
        tests: fold -> test list.
        trains: fold -> training list.
    """
    read = {path: entries(path, form) for path in (*tests.values(), *trains.values())}
    faults = [fault for _, found in read.values() for fault in found]
    placed: dict[str, Placed] = {}
    for fold, path in tests.items():
        for entry in read[path][0]:
            before = placed.setdefault(entry.clip, Placed(entry, fold, ""))
            if before.fold != fold:
                what = f"clip {entry.clip} is also in the test list of fold {before.fold} ({_where(before.entry)})"
                faults.append(
                    Fault(path, entry.line, "clip in two test folds", what, "keep it in one test list")
                )
    # A line that cannot be read would be missed in every other list.
    if not faults:
        for fold, path in trains.items():
            faults += _compared(fold, path, read[path][0], placed)
    return Listed(list(placed.values()), faults)


def _compared(fold: int, path: Path, train: Sequence[Entry], placed: Mapping[str, Placed]) -> Iterator[Fault]:
    """Faults of the training list of a fold, given the test lists of all."""
    for entry in train:
        test = placed.get(entry.clip)
        if test is None:
            what = f"clip {entry.clip} is in no test list"
            yield Fault(
                path, entry.line, "clip without fold", what, "remove the line, or restore the test list"
            )
        elif test.fold == fold:
            what = f"clip {entry.clip} is in the test list of the same fold ({_where(test.entry)})"
            yield Fault(path, entry.line, "clip in train and test", what, "remove one of the lines")
        elif test.entry.label != entry.label:
            what = f"clip {entry.clip} is {entry.label} here and {test.entry.label} in {_where(test.entry)}"
            mend = "keep the label that the owner's lists have"
            yield Fault(path, entry.line, "contradicting labels", what, mend)
    lost = {clip for clip, test in placed.items() if test.fold != fold} - {entry.clip for entry in train}
    if lost:
        what = f"{counted(len(lost), 'clip', 'clips')} of the other folds' test lists not here: {some(sorted(lost))}"
        yield Fault(path, None, "train list is not the other folds", what, _RESTORE)


def parts(form: Format, lists: Mapping[str, Path]) -> Listed:
    """Clips with their part, ``train`` or ``test``, from one list each."""
    placed: dict[str, Placed] = {}
    faults = []
    for part, path in lists.items():
        found, wrong = entries(path, form)
        faults += wrong
        for entry in found:
            before = placed.setdefault(entry.clip, Placed(entry, -1, part))
            if before.part != part:
                what = f"clip {entry.clip} is also in {before.part} ({_where(before.entry)})"
                mend = "keep the line of one part"
                faults.append(Fault(path, entry.line, "clip in two parts", what, mend))
    return Listed(list(placed.values()), faults)


def _where(entry: Entry) -> str:
    return f"{entry.file.parent.name}/{entry.file.name}:{entry.line}"


def clip_table(
    clips: Sequence[Placed], place: Callable[[str], str], **more: Sequence[object]
) -> pd.DataFrame:
    """Rows of clips: sample, path, subject (every clip its own: nobody says who is seen), expression, and more.

    Args:
        clips: in the order of the rows.
        place: path of a clip.
        more: further columns.
    """
    samples = [placed.entry.clip for placed in clips]
    columns = {
        "sample": samples,
        "path": [place(sample) for sample in samples],
        "subject": samples,
        "expression": [placed.entry.label for placed in clips],
    }
    return pd.DataFrame({**columns, **more}, columns=[*columns, *more])
