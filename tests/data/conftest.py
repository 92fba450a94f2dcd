import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

AUS = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 24, 25, 26)


@pytest.fixture(autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FBU_HOME", str(tmp_path_factory.mktemp("home")))
    monkeypatch.delenv("FBU_DATA", raising=False)


@dataclass
class FlatWorld:
    """A world of one-coloured pictures, the colour being a function of the row."""

    name: str
    records: pd.DataFrame
    seed: int = 0

    def render(self, rows: np.ndarray, image_size: int) -> np.ndarray:
        colour = np.stack([40 + rows * 7 % 200, 30 + rows * 13 % 200, 50 + rows * 29 % 200], axis=1)
        return np.broadcast_to(colour[:, :, None, None], (*colour.shape, image_size, image_size)).astype(
            np.uint8
        )


def make_faces(name: str, people: Iterable[tuple[str, str]]) -> FlatWorld:
    """(sample or subject, label) pairs as a world of expressions."""
    rows = [{"sample": who, "subject": who, "expression": label, "label": label} for who, label in people]
    return FlatWorld(name, pd.DataFrame(rows, columns=["sample", "subject", "expression", "label"]))


def make_sequences(sequences: Iterable[tuple[str, str, Iterable[int]]], seed: int = 0) -> FlatWorld:
    """(subject, task, frame numbers) as a world with action units."""
    rows = [
        {"sample": f"{s}/{t}/{n:04d}", "subject": s, "expression": "neutral", "activity": t, "frame": n}
        for s, t, frames in sequences
        for n in frames
    ]
    draw = np.random.default_rng(seed).uniform(0, 5, (len(rows), len(AUS))).round(3)
    units = pd.DataFrame(draw, columns=[f"AU{n}_intensity" for n in AUS])
    return FlatWorld("bp4d", pd.concat([pd.DataFrame(rows), units], axis=1), seed)


@dataclass
class FlatClips(FlatWorld):
    """A world of clips whose frames have one colour each."""

    def clips(self, rows: np.ndarray, image_size: int) -> Iterator[np.ndarray]:
        for row in rows:
            yield self.render(int(row) * 100 + np.arange(int(self.records["frames"][row])), image_size)


def make_clips(name: str, clips: Iterable[tuple[str, str, str, int]]) -> FlatClips:
    """(sample, split, label, frames) as a world of clips, every third with a noisy frame."""
    rows = [
        {"sample": s, "split": split, "subject": s, "expression": label, "label": label, "frames": n}
        for s, split, label, n in clips
    ]
    records = pd.DataFrame(rows)
    records["onset"], records["apex"], records["offset"] = 0, records["frames"] // 2, records["frames"] - 1
    records["noisy"] = [
        f"{n - 1}:blank" if i % 3 == 0 and n > 1 else "" for i, n in enumerate(records["frames"])
    ]
    return FlatClips(name, records)


@pytest.fixture(scope="session")
def clips() -> Callable[..., FlatClips]:
    return make_clips


@pytest.fixture(scope="session")
def faces() -> Callable[..., FlatWorld]:
    return make_faces


@pytest.fixture(scope="session")
def sequences() -> Callable[..., FlatWorld]:
    return make_sequences


@pytest.fixture(scope="session")
def picture() -> Callable[..., None]:
    def write(
        path: Path, colour: tuple[int, int, int] = (90, 120, 150), size: tuple[int, int] = (12, 12)
    ) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, colour).save(path)

    return write


@pytest.fixture
def own(written: Path, tmp_path: Path) -> Callable[[str], Path]:
    """Copies one of the twins that the test module has written (its fixture ``written``) for one test."""

    def copy(name: str) -> Path:
        return Path(shutil.copytree(written / name, tmp_path / name))

    return copy


@pytest.fixture(scope="session")
def photographs() -> Path:
    """Folder that holds the open photographs, if they are on this machine."""
    given = os.environ.get("FBU_TEST_OPEN_DATA")
    root = Path(given) if given else Path(__file__).resolve().parents[2].parent / "shared" / "data"
    if not (root / "facial_expressions" / "data" / "legend.csv").is_file():
        pytest.skip(
            f"no open photographs at {root}: set FBU_TEST_OPEN_DATA to a folder with facial_expressions"
        )
    return root
