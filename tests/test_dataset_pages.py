"""Pages about datasets: complete, made once, and in the contents."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from PIL import Image

from fbu.book import dataset_pages
from fbu.book.dataset_pages import dataset_files
from fbu.book.pages import pages_of
from fbu.data import load_manifest, names

ROOT = Path(__file__).resolve().parent.parent


def test_the_contents_list_every_dataset() -> None:
    listed = pages_of(yaml.safe_load((ROOT / "_toc.yml").read_text()))
    assert [p.removeprefix("book/data/") for p in listed if p.startswith("book/data/")] == list(names())


def test_a_page_says_what_the_manifest_knows() -> None:
    found = dataset_files(["book/index", "book/data/rafdb", "book/data/bp4d"], workers=2)
    assert sorted(map(str, found)) == [f"book/data/{n}.{e}" for n in ("bp4d", "rafdb") for e in ("md", "png")]
    for name in ("rafdb", "bp4d"):
        manifest = load_manifest(name)
        text = found[Path(f"book/data/{name}.md")].read_text()
        assert text.startswith(f"# {manifest.title}\n")
        for part in (*manifest.protocols, *manifest.twin.imitates, *manifest.twin.lacks, *manifest.sources):
            assert part in text
        assert f"fbu data check {name}" in text and manifest.tree.text.splitlines()[0] in text
        with Image.open(found[Path(f"book/data/{name}.png")]) as sheet:
            assert sheet.width > 600
    rafdb = found[Path("book/data/rafdb.md")].read_text()
    assert "| happiness | 5,957 (38.8 %) | 618 (38.6 %) |" in rafdb
    assert "| AU12 is on | 56 % |" in found[Path("book/data/bp4d.md")].read_text()


def test_a_page_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    first = dataset_files(["book/data/rafdb"])
    monkeypatch.setattr(dataset_pages, "page", lambda *given: pytest.fail("made twice"))
    assert dataset_files(["book/data/rafdb", "book/data/of_nobody"]) == first
