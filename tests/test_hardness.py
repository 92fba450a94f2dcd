"""How hard the twins are: measured, written beside the ledger, stale when the twin's code changes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fbu import data, hardness
from fbu.book.dataset_pages import page
from fbu.data import difficulty
from fbu.errors import DataError


@pytest.fixture(autouse=True)
def _own_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FBU_LEDGER", str(tmp_path / "ledger"))


def rows(value: float) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "twin": "rafdb",
            "size": "quick",
            "measure": ["accuracy"],
            "floor": 0.4,
            "linear": value,
            "oracle": 0.97,
        }
    )


def test_rows_are_replaced_and_read_in_points(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(hardness.read()) == 0
    for value in (0.5, 0.61234):
        monkeypatch.setattr(difficulty, "measure", lambda name, size, value=value: rows(value))
        found = hardness.add(["rafdb"], "quick")
    assert len(found) == 1 and found["linear"][0] == 61.23 and not found["stale"].any()
    assert len(hardness.read("bp4d")) == 0
    monkeypatch.setattr(hardness, "_code", lambda name: "other")
    assert hardness.read("rafdb")["stale"].all()
    text = page(data.load_manifest("rafdb"), data.twin("rafdb"))
    assert "| accuracy | quick | 40.0 | 61.2 | 97.0 |" in text and "stale: the code" in text


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "ledger").mkdir()
    (tmp_path / "ledger" / "twins.csv").write_text("twin,size\nrafdb,quick\n")
    with pytest.raises(DataError, match="twins.csv: column measure is missing"):
        hardness.read()


def test_measures_of_pictures_units_and_a_set_that_is_only_tested_on() -> None:
    found = difficulty.measure("rafdb", "quick").set_index("measure")
    assert found["floor"]["accuracy"] < found["linear"]["accuracy"] < found["oracle"]["accuracy"] < 1
    tested = difficulty.measure("ckplus", "quick").set_index("measure")
    assert np.isnan(tested["linear"]["accuracy"]) and 0 < tested["floor"]["accuracy"] < 1


def test_the_middle_frame_stands_for_a_clip() -> None:
    clips = data.load("ferv39k", "test")
    assert clips.spans is not None
    middle = difficulty._pictures(clips)
    for at in (0, len(clips) - 1):
        own = clips.clip(at)
        np.testing.assert_array_equal(middle[at], own[len(own) // 2])
