"""A complete report on one copy of a dataset: every problem, where it is, and how to mend it.

Reading stops at the first problem; this goes on. What is particular to a dataset is in
`fbu.data.checks`; here is what all share: pictures, published counts, folds, twins, and at the end the reader
itself, so that nothing is called sound that cannot be read.
"""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from fbu.data import layouts, splits
from fbu.data.checks import Copy, Problem, Row, examiner
from fbu.data.checks.media import check_media
from fbu.data.checks.pictures import Progress, check_pictures
from fbu.data.layouts.files import TRUTH
from fbu.data.manifest import COPY_OPTIONS, Manifest, load_manifest, options_of_copy
from fbu.data.media import PICTURES
from fbu.data.twins import STAMP, twin_fingerprint
from fbu.errors import DataError
from fbu.resources import resource
from fbu.wording import counted, some

#: Copies up to this many pictures are decoded completely unless something else is asked for.
SMALL = 20_000
#: How many pictures are decoded of a larger copy, and with ``fast=True``.
SAMPLED, FAST = 5_000, 500
_PLACE = re.compile(r"(?P<file>.+?):(?P<line>\d+): (?P<what>.*)", re.DOTALL)


@dataclass(frozen=True)
class Report:
    """What was found in one copy.

    Attributes:
        dataset: its name.
        root: its folder.
        twin: whether it is a twin.
        rows: labelled rows that were understood.
        pictures: pictures that the rows name and that are there.
        decoded: pictures that were decoded.
        problems: errors first, otherwise in the order of the files.
    """

    dataset: str
    root: Path
    twin: bool
    rows: int
    pictures: int
    decoded: int
    problems: tuple[Problem, ...] = field(default=())

    @property
    def errors(self) -> tuple[Problem, ...]:
        """What must be mended."""
        return tuple(p for p in self.problems if p.severity == "error")

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """What one should know."""
        return tuple(p for p in self.problems if p.severity == "warning")

    @property
    def ok(self) -> bool:
        """Whether there is no error."""
        return not self.errors

    def summary(self) -> str:
        """One line about what was looked at."""
        what = f"{self.dataset}{' (twin)' if self.twin else ''} in {self.root}"
        share = "all decoded" if self.decoded == self.pictures else f"{self.decoded:,} of them decoded"
        seen = f"{counted(self.rows, 'row', 'rows')}, {counted(self.pictures, 'picture', 'pictures')}"
        return f"{what}: {seen} ({share})"

    def verdict(self) -> str:
        """One line about what was found."""
        errors = counted(len(self.errors), "error", "errors")
        return f"{errors}, {counted(len(self.warnings), 'warning', 'warnings')}"

    def to_json(self) -> str:
        """The whole report."""
        said: dict[str, Any] = asdict(self) | {"root": str(self.root), "ok": self.ok}
        said |= {"errors": len(self.errors), "warnings": len(self.warnings)}
        return json.dumps(said, indent=1, ensure_ascii=False)


def check(
    name: str, folder: Path, *, fast: bool | None = None, progress: Progress = lambda done, total: None
) -> Report:
    """Examine one copy of a dataset completely.

    Args:
        name: dataset.
        folder: its files, as `fbu.data.locate` gives it.
        fast: decode a sample (True) or every picture (False); default: every picture of a small copy.
        progress: told (pictures done, pictures in all).

    Raises:
        DataError: unknown dataset.
    """
    manifest = load_manifest(name)
    copy = Copy(folder, manifest)
    try:
        copy.manifest = manifest.with_options(options_of_copy(folder))
    except DataError as error:
        path = folder / COPY_OPTIONS
        told = str(error).removeprefix(f"{path}: ")
        copy.error("wrong option", path, None, told, "correct the file, or remove it")
    copy.twin = _is_twin(copy)
    _examine(copy)
    # An absent list leaves nothing to count; the list is reported.
    if not copy.twin and copy.rows:
        _counts(copy)
    _subjects(copy)
    large = len(copy.rows) > SMALL
    chosen = FAST if fast else SAMPLED if fast is None and large else None
    if layouts.media(name) is PICTURES:
        pictures, decoded = check_pictures(copy, chosen, progress)
        if not any(problem.severity == "error" for problem in copy.problems):
            _read(copy)
    else:
        # Only the reader knows line and frame of a row; where something is wrong already, it would say it again.
        table = _read(copy, told=any(problem.severity == "error" for problem in copy.problems))
        pictures, decoded = (0, 0) if table is None else check_media(copy, table, chosen, progress)
    problems = sorted(copy.problems, key=_order)
    return Report(name, folder, copy.twin, len(copy.rows), pictures, decoded, tuple(problems))


def _order(problem: Problem) -> tuple[bool, str, str, int]:
    return problem.severity != "error", problem.kind, problem.file, problem.line or 0


def _examine(copy: Copy) -> None:
    """What is particular to the dataset; through its reader where nobody wrote it down."""
    module = examiner(copy.manifest.name)
    try:
        if module is not None:
            module.examine(copy)
        else:
            frame = _read(copy)
            for row in () if frame is None else frame.to_dict("records"):
                who = str(row["sample"]), str(row["path"]), str(row["subject"])
                copy.rows.append(
                    Row(*who, str(row.get("expression", "")), str(row.get("part", "")), ".", None)
                )
    except OSError as error:
        what = f"{error.filename or copy.root} cannot be read: {error.strerror or type(error).__name__}"
        copy.error("unreadable file", str(error.filename or "."), None, what, "check the rights of the file")


def _read(copy: Copy, told: bool = False) -> Any:
    """The reader's table, or None; its complaint becomes an error, unless what is wrong was told already."""
    try:
        frame = layouts.read(copy.root, copy.manifest)
        # The folds are tried as well, because training would fail there.
        for fold in copy.manifest.splits.folds or (None,):
            splits.assign(frame, copy.manifest, fold)
        return frame
    # A damaged file may stop the reader in ways that it does not foresee; the report names them all the same.
    except Exception as error:
        if told:
            return None
        said = str(error) if isinstance(error, DataError) else f"{type(error).__name__}: {error}"
        found = _PLACE.match(said)
        if found is not None and Path(found["file"]).is_file():
            file, line, said = Path(found["file"]), int(found["line"]), found["what"]
        else:
            file, line = copy.root, None
        copy.error("cannot be read", file, line, said.split("\n")[0], "mend the file as the message says")
        return None


def _is_twin(copy: Copy) -> bool:
    """Whether the copy is a twin; a stamp that does not fit is reported."""
    path = copy.root / STAMP
    if not path.is_file():
        if (copy.root / TRUTH).is_file():
            what = f"{TRUTH} is there and {STAMP} is not, so this twin would be taken for the real set"
            copy.error("damaged twin", TRUTH, None, what, "write the twin again with `fbu data twin`")
        return False
    again = "write the twin again with `fbu data twin`"
    try:
        stamp = json.loads(path.read_bytes())
        dataset, code = stamp["dataset"], stamp["code"]
    except (ValueError, KeyError, TypeError):
        copy.error("damaged twin", path, None, "the stamp of the twin cannot be read", again)
        return True
    if dataset != copy.manifest.name:
        copy.error(
            "damaged twin", path, None, f"the stamp says {dataset!r}: it is another dataset's twin", again
        )
    elif code != twin_fingerprint(copy.manifest.name):
        what = "the twin was written by another version of fbu, which may draw other pictures"
        copy.warning("older twin", path, None, what, again)
    if not (copy.root / TRUTH).is_file():
        copy.error("damaged twin", TRUTH, None, "the truth about the pictures is missing", again)
    return True


def _counts(copy: Copy) -> None:
    """Compare with the published counts: fewer rows are a subset, other classes are other labels."""
    expected = copy.manifest.expected
    rows = len(copy.rows)
    found = {
        "subjects": (len({row.subject for row in copy.rows}), expected.subjects),
        "sequences": (len(copy.sequences), expected.sequences),
    }
    source = f"published: {expected.source}"
    if expected.rows is not None and rows < expected.rows:
        what = f"{rows:,} of {expected.rows:,} published rows could be read here"
        copy.warning("subset", copy.root, None, what, f"say so beside a result ({source})")
    elif expected.rows is not None and rows > expected.rows:
        what = f"{rows:,} rows are here and {expected.rows:,} were published"
        copy.warning(
            "more than published", copy.root, None, what, f"look for rows of another release ({source})"
        )
    for what_is, (n, wanted) in found.items():
        if wanted is not None and n != wanted:
            kind = "subset" if n < wanted else "more than published"
            what = f"{n:,} {what_is} are here and {wanted:,} were published"
            copy.warning(kind, copy.root, None, what, f"say so beside a result ({source})")
    _shares(copy, "class", Counter(row.label for row in copy.rows), expected.classes)
    _shares(copy, "part", Counter(row.part for row in copy.rows), expected.parts)


def _shares(copy: Copy, what_is: str, found: Counter[str], published: dict[str, int]) -> None:
    """Rows by class or part: a subset has none above the published number, a whole copy has them all."""
    whole = copy.manifest.expected.rows is not None and len(copy.rows) >= copy.manifest.expected.rows
    wrong = [name for name, n in published.items() if found[name] > n or (whole and found[name] != n)]
    if wrong and len(copy.rows) <= (copy.manifest.expected.rows or 0):
        told = some([f"{name} {found[name]:,} instead of {published[name]:,}" for name in wrong])
        what = f"rows by {what_is} differ from the published ones as no subset can: {told}"
        mend = (
            f"take the owner's label file; this one was changed (published: {copy.manifest.expected.source})"
        )
        copy.error("wrong counts", copy.rows[0].file, None, what, mend)
    elif wrong:
        told = some([f"{name} {found[name]:,} ({published[name]:,})" for name in wrong])
        what = f"rows by {what_is} (published): {told}"
        copy.warning("more than published", copy.rows[0].file, None, what, "look for rows of another release")


def _subjects(copy: Copy) -> None:
    """Nobody in two parts or folds, and nobody without a fold."""
    first: dict[str, Row] = {}
    parts: dict[str, set[str]] = {}
    for row in copy.rows:
        first.setdefault(row.subject, row)
        parts.setdefault(row.subject, set()).add(row.part)
    rule = copy.manifest.splits
    if rule.rule == "official":
        for subject, named in parts.items():
            if len(named) > 1:
                what = f"subject {subject!r} is in {' and '.join(sorted(named))}"
                mend = "a person may be in one part only: keep the rows of one part"
                copy.error("subject in two parts", first[subject].file, first[subject].line, what, mend)
    if rule.rule == "file":
        listed = _fold_file(copy, copy.manifest)
        for subject in sorted(set(first) - set(listed)):
            row = first[subject]
            what = f"subject {subject!r} is not in data_manifests/{rule.file}, so it has no fold"
            copy.error(
                "unknown subject", row.file, row.line, what, "correct the name, or add the subject there"
            )


def _fold_file(copy: Copy, manifest: Manifest) -> dict[str, str]:
    """Fold by subject; a subject with two folds is reported, since a reader would take the last."""
    path = resource(str(manifest.splits.file))
    found: dict[str, str] = {}
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file)
        for row in rows:
            before = found.setdefault(row["subject"], row["fold"])
            if before != row["fold"]:
                what = f"subject {row['subject']!r} is in fold {before} and in fold {row['fold']}"
                mend = "a person may be in one fold only: remove one of the lines"
                copy.error("subject in two folds", path, rows.line_num, what, mend)
    return found
