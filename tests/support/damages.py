"""Ways to damage a copy of a dataset, and what a report must say about each."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from fbu.data import doctor, twins

Damage = Callable[[Path], None]


@dataclass
class Noisy:
    """A world whose pictures are noise, no two alike."""

    name: str
    seed: int
    records: pd.DataFrame

    def render(self, rows: np.ndarray, image_size: int) -> np.ndarray:
        side = max(24, image_size)
        drawn = [np.random.default_rng(int(row)).integers(0, 256, (3, side, side)) for row in rows]
        return np.stack(drawn).astype(np.uint8)


def line(file: str, number: int, change: str | Callable[[str], str]) -> Damage:
    """Replace a line, or what a function makes of it."""

    def damage(root: Path) -> None:
        lines = (root / file).read_text().splitlines()
        lines[number - 1] = change if isinstance(change, str) else change(lines[number - 1])
        (root / file).write_text("\n".join(lines))

    return damage


def more(file: str, *lines: str) -> Damage:
    """Add lines at the end."""

    def damage(root: Path) -> None:
        (root / file).write_text("\n".join([*(root / file).read_text().splitlines(), *lines]))

    return damage


def also(file: str, number: int, other: str) -> Damage:
    """Add a line of a file at the end of another (or of itself)."""

    def damage(root: Path) -> None:
        more(other, (root / file).read_text().splitlines()[number - 1])(root)

    return damage


def content(file: str, raw: bytes | str) -> Damage:
    """Write a file."""

    def damage(root: Path) -> None:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_bytes(raw.encode() if isinstance(raw, str) else raw)

    return damage


def cut(file: str, keep: float) -> Damage:
    """Keep the first part of a file."""

    def damage(root: Path) -> None:
        raw = (root / file).read_bytes()
        (root / file).write_bytes(raw[: int(len(raw) * keep)] if keep < 1 else raw[:-2])

    return damage


def gone(path: str) -> Damage:
    """Remove a file or a folder."""

    def damage(root: Path) -> None:
        shutil.rmtree(root / path) if (root / path).is_dir() else (root / path).unlink()

    return damage


def moved(old: str, new: str) -> Damage:
    """Rename a file or a folder."""

    def damage(root: Path) -> None:
        (root / new).parent.mkdir(parents=True, exist_ok=True)
        (root / old).rename(root / new)

    return damage


def copied(old: str, new: str) -> Damage:
    """Copy a file, making the folder."""

    def damage(root: Path) -> None:
        (root / new).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(root / old, root / new)

    return damage


def picture(file: str, size: tuple[int, int], ending: str = "JPEG") -> Damage:
    """Write a picture of another size or format."""

    def damage(root: Path) -> None:
        noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3)).astype(np.uint8)
        Image.fromarray(noise).save(root / file, ending)

    return damage


def without_column(file: str, column: int) -> Damage:
    """Drop a column of a CSV file."""

    def damage(root: Path) -> None:
        rows = [text.split(",") for text in (root / file).read_text().splitlines()]
        (root / file).write_text("\n".join(",".join(r[:column] + r[column + 1 :]) for r in rows))

    return damage


def field(at: int, value: str) -> Callable[[str], str]:
    """Change one field of a line."""

    def change(text: str) -> str:
        fields = text.split(",")
        fields[at] = value
        return ",".join(fields)

    return change


def real(root: Path) -> None:
    """Make a twin look like the owner's files."""
    (root / twins.STAMP).unlink()
    (root / "twin_truth.csv").unlink()


def all_of(*damages: Damage) -> Damage:
    """One damage after the other."""

    def damage(root: Path) -> None:
        for each in damages:
            each(root)

    return damage


@dataclass
class Case:
    """A damage and the finding that it must give."""

    dataset: str
    what: str
    damage: Damage
    severity: str
    kind: str
    file: str
    line: int | None = None


def error(dataset: str, what: str, damage: Damage, kind: str, file: str, at: int | None = None) -> Case:
    return Case(dataset, what, damage, "error", kind, file, at)


def warning(dataset: str, what: str, damage: Damage, kind: str, file: str, at: int | None = None) -> Case:
    return Case(dataset, what, damage, "warning", kind, file, at)


def assert_reported(case: Case, root: Path) -> None:
    """Damage a copy; the report must name it, and end well only if it is a warning."""
    case.damage(root)
    report = doctor.check(case.dataset, root)
    found = [(p.severity, p.kind, p.file, p.line) for p in report.problems]
    assert (case.severity, case.kind, case.file, case.line) in found
    assert report.ok == (case.severity == "warning"), found
    for problem in report.problems:
        assert problem.message and problem.mend and "\n" not in problem.message
        assert not Path(problem.file).is_absolute()
