import shutil
from collections import namedtuple
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fbu import data
from fbu.cli import app
from fbu.config import home
from fbu.data import caching
from fbu.data.caching import cache_dataset, readable
from fbu.errors import DataError

Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return data.export_twin("facial_expressions", tmp_path)


def caches() -> list[Path]:
    return [p for p in (home() / "cache").glob("*") if p.is_dir()] if (home() / "cache").is_dir() else []


def test_a_dry_run_says_what_it_takes_and_writes_nothing(folder: Path) -> None:
    plan = cache_dataset("facial_expressions", folder, image_size=32, dry_run=True)
    assert plan.rows == plan.pictures == len(list((folder / "images").iterdir()))
    assert plan.rows * 3 * 32**2 <= plan.bytes <= 1.05 * plan.rows * 3 * 32**2
    assert plan.fits and not plan.done and caches() == []
    assert f"{plan.rows:,} rows at 32 px, preset" in str(plan) and "free in" in str(plan)


def test_what_was_cached_is_what_is_loaded(folder: Path) -> None:
    seen: list[tuple[int, int]] = []
    cache_dataset("facial_expressions", folder, image_size=32, progress=lambda *at: seen.append(at))
    assert seen[-1][0] == seen[-1][1] and len(caches()) == 1
    data.load("facial_expressions", "test", source="open", root=folder.parent, image_size=32)
    assert len(caches()) == 1
    assert cache_dataset("facial_expressions", folder, image_size=32, dry_run=True).done


def test_too_little_room_is_said_before_anything_is_decoded(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**9, 0, 10**5))
    with pytest.raises(
        DataError, match="100.0 kB free .* choose FBU_CACHE_STORE=jpeg, a smaller --image-size"
    ):
        cache_dataset("facial_expressions", folder, image_size=32)
    assert caches() == []
    found = CliRunner().invoke(
        app, ["data", "cache", "facial_expressions", "--root", str(folder.parent), "--dry-run"]
    )
    assert found.exit_code == 1 and "this does not fit" in found.output


def test_jpegs_need_less(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = cache_dataset("facial_expressions", folder, image_size=64, dry_run=True)
    monkeypatch.setenv("FBU_CACHE_STORE", "jpeg")
    packed = cache_dataset("facial_expressions", folder, image_size=64)
    written = sum(p.stat().st_size for p in caches()[0].iterdir())
    assert written < 0.5 * plain.bytes and 0.5 * packed.bytes < written < 1.5 * packed.bytes


def test_command(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FBU_CACHE_STORE", "array")  # so that the command's own setting is taken back
    call = ["data", "cache", "facial_expressions", "--root", str(folder.parent), "--image-size", "16"]
    found = CliRunner().invoke(app, [*call, "--store", "jpeg"])
    assert found.exit_code == 0 and "; cached" in found.output and "FBU_CACHE_STORE=jpeg" in found.output
    wrong = CliRunner().invoke(app, [*call, "--preset", "square"])
    assert isinstance(wrong.exception, DataError) and "unknown alignment preset 'square'" in str(
        wrong.exception
    )


def test_sizes_for_people() -> None:
    assert [readable(n) for n in (0, 999, 1000, 2.5e6, 3.04e9, 1e12, 5e15)] == [
        "0 bytes",
        "999 bytes",
        "1.0 kB",
        "2.5 MB",
        "3.0 GB",
        "1.0 TB",
        "5,000.0 TB",
    ]


def test_folder_of_the_cache_need_not_be_there(tmp_path: Path) -> None:
    assert caching._existing(tmp_path / "a" / "b") == tmp_path
