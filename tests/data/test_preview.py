from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from fbu import cli, data
from fbu.data import preview, twins
from fbu.errors import DataError

runner = CliRunner()


@pytest.fixture(autouse=True)
def _small_worlds(monkeypatch: pytest.MonkeyPatch, faces: Callable, sequences: Callable) -> None:
    def small(name: str, size: str, seed: int) -> object:
        if name == "bp4d":
            return sequences([(s, "T1", (3, 4, 9)) for s in ("F001", "F003", "M003")], seed)
        labels = data.load_manifest(name).labels
        who = [f"train_{i:05d}" if name == "rafdb" else f"person{chr(97 + i)}" for i in range(18)]
        return faces(name, [(sample, labels[i % len(labels)]) for i, sample in enumerate(who)])

    monkeypatch.setattr(twins, "_world", small)


def texts(figure: object) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["rafdb", "bp4d", "facial_expressions"])
def test_command_writes_a_sheet_of_the_twin(name: str, tmp_path: Path) -> None:
    out = tmp_path / "new" / "sheet.png"
    result = runner.invoke(cli.app, ["data", "preview", name, "--rows", "1", "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert str(out) in result.stdout and preview.PRIVATE not in result.stdout
    assert np.asarray(Image.open(out).convert("L")).std() > 10


def test_sheet_of_a_licensed_set_says_so(tmp_path: Path) -> None:
    root = data.export_twin("rafdb", tmp_path)
    base = ["data", "preview", "rafdb", "--root", str(tmp_path), "--out", str(tmp_path / "a.png")]
    assert preview.PRIVATE not in runner.invoke(cli.app, base).stdout
    for name in (twins.STAMP, "twin_truth.csv"):
        (root / name).unlink()
    assert preview.PRIVATE in runner.invoke(cli.app, base).stdout
    figure = preview.preview(data.load_manifest("rafdb"), root, source="real")
    assert preview.PRIVATE in figure.get_suptitle()


def test_classes_stand_in_columns(tmp_path: Path) -> None:
    manifest = data.load_manifest("rafdb")
    root = data.export_twin("rafdb", tmp_path)
    assert texts(preview.preview(manifest, root, source="real", rows=2)) == [
        *manifest.labels,
        *manifest.labels,
    ]
    # 18 pictures: four classes have three, the others two.
    assert texts(preview.preview(manifest, root, source="real", rows=3))[:3] == ["surprise"] * 3


def test_frames_have_their_units(tmp_path: Path) -> None:
    figure = preview.preview(data.load_manifest("bp4d"), data.export_twin("bp4d", tmp_path), source="real")
    assert len(texts(figure)) == 9 and all("\n" in text for text in texts(figure))


def test_unreadable_picture_is_named(tmp_path: Path) -> None:
    root = data.export_twin("rafdb", tmp_path)
    for path in (root / "basic/Image/aligned").iterdir():
        path.write_bytes(b"")
    figure = preview.preview(data.load_manifest("rafdb"), root, source="real", rows=1)
    assert set(texts(figure)) == {"cannot be read"}


def test_rows(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="rows is 0"):
        preview.preview(data.load_manifest("rafdb"), tmp_path, source="real", rows=0)
