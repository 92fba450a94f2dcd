"""The second ledger: what was run on another processor, and what that allows a run to differ by."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fbu import experiments, ledger, provenance
from fbu.claims import record
from fbu.experiments import processors

NAME = "clef.table7_ablation"
# Values of three seeds, on one processor and on the other.
VALUES = {
    ("FaRL I", "RAF-DB"): ([60.0, 62.0, 64.0], [61.0, 62.0, 66.0]),
    ("FaRL I,N", "RAF-DB"): ([50.0, 52.0, 54.0], [62.0, 48.0, 70.0]),
    ("FaRL I", "BP4D"): ([40.0, 41.0, 42.0], [40.0, 41.0, 42.0]),
}


def rows(second: bool) -> pd.DataFrame:
    found = [
        {
            "table": NAME,
            "label": label,
            "column": column,
            "metric": "accuracy" if column == "RAF-DB" else "f1",
            "value": VALUES[label, column][second][seed],
            "source": "twin",
            "seed": seed,
            "recipe": f"{label} {seed}",
            "code": "one",
            "commit": f"{second:d}",
            "machine": f"processor {second:d}",
            "torch": "2.11.0",
            "images_per_second": 500.0 if second else 200.0,
        }
        for (label, column), seed in product(VALUES, range(3))
    ]
    return pd.DataFrame(found).reindex(columns=list(ledger.COLUMNS))


@pytest.fixture
def ledgers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FBU_LEDGER", str(tmp_path))
    ledger.save(rows(False), ledger.ledger_file("demo"))
    ledger.save(rows(True), ledger.ledger_file("repeated/demo"))
    return tmp_path


def test_a_column_s_spread_is_the_root_of_half_the_mean_square(ledgers: Path) -> None:
    squares = np.array([1, 0, 2, 12, -4, 16]) ** 2.0
    assert ledger.processor_spread("demo", NAME, "RAF-DB") == pytest.approx(np.sqrt(squares.sum() / 6 / 2))
    # Three numbers are too few for a spread of their own.
    assert ledger.processor_spread("demo", NAME, "BP4D") == pytest.approx(np.sqrt(squares.sum() / 9 / 2))
    assert np.isnan(ledger.processor_spread("demo", "clef.table2_bp4d", "AU1"))
    assert np.isnan(ledger.processor_spread("full", NAME, "RAF-DB"))


def test_the_spread_follows_the_files(ledgers: Path) -> None:
    before = ledger.processor_spread("demo", NAME, "RAF-DB")
    second = rows(True).assign(value=lambda f: f["value"] + 10)
    ledger.save(second, ledger.ledger_file("repeated/demo"))
    assert ledger.processor_spread("demo", NAME, "RAF-DB") > before
    ledger.ledger_file("repeated/demo").unlink()
    assert np.isnan(ledger.processor_spread("demo", NAME, "RAF-DB"))


@pytest.mark.parametrize("name", ["code", "recipe"])
def test_numbers_of_other_code_or_another_recipe_are_not_compared(ledgers: Path, name: str) -> None:
    ledger.save(rows(True).assign(**{name: "another"}), ledger.ledger_file("repeated/demo"))
    assert ledger.repeated("demo").empty
    assert np.isnan(ledger.processor_spread("demo", NAME, "RAF-DB"))


def test_a_table_s_differences(ledgers: Path) -> None:
    frame = processors.by_table("demo")
    row = frame.loc["clef.table7_ablation"]
    assert row["numbers"] == 9
    assert row["mean difference"] == pytest.approx(27 / 9, abs=0.05)
    assert row["one seed"] == pytest.approx(np.sqrt(421 / 9), abs=0.05)
    assert row["mean of three seeds"] == pytest.approx(np.sqrt((1 + 8**2 + 0) / 3), abs=0.05)
    assert row["expected from the seeds"] == pytest.approx(np.sqrt(2 / 3 * (4 + 4 + 1) / 3), abs=0.05)
    assert row["largest, one seed"] == 16


def test_steps_that_both_processors_made(ledgers: Path) -> None:
    frame = processors.steps("demo", NAME)
    assert frame.index.tolist() == [("RAF-DB", "FaRL I → FaRL I,N")]
    step = frame.iloc[0]
    assert step["reference"] == pytest.approx(-10) and step["second processor"] == pytest.approx(-3)
    assert step["seeds of one sign on both"] == "1 of 3" and step["same sign"]
    assert step["reported (paper)"] == pytest.approx(0.38)
    figure = processors.steps_figure("demo", NAME, "RAF-DB")
    assert len(figure.axes[0].patches) == 3  # bars


def test_machines(ledgers: Path) -> None:
    frame = processors.machines("demo")
    assert frame.index.tolist() == [("clef", "reference"), ("clef", "second processor")]
    assert frame["machine"].tolist() == ["processor 0", "processor 1"]
    assert frame["pictures a second"].tolist() == ["200", "500"]
    assert frame["numbers"].tolist() == [9, 9]


def test_where_nothing_was_run_twice(ledgers: Path) -> None:
    ledger.ledger_file("repeated/demo").unlink()
    frames = [processors.machines("demo"), processors.by_table("demo"), processors.signs("demo")]
    frames += [processors.steps("demo", NAME), processors.decisions("demo"), processors.otherwise("demo")]
    assert all(frame.empty and len(frame.columns) for frame in frames)
    with pytest.raises(ValueError, match="no step of clef.table7_ablation"):
        processors.steps_figure("demo", NAME, "RAF-DB")


@pytest.mark.parametrize(("limit", "large"), [(4.0, 1), (12.0, 0)])
def test_signs_are_counted_by_table(ledgers: Path, limit: float, large: int) -> None:
    assert processors.signs("demo", limit=limit).loc[NAME].tolist() == [1, 1, large, large]


def test_claims_decided_otherwise(ledgers: Path) -> None:
    said = pd.DataFrame(
        {
            "claim": ["clef-07", "clef-08", "clef-09"],
            "profile": "demo",
            "source": "twin",
            "label": ["supported", "inconclusive", "supported"],
            "code": ["one", "one", "older"],
        }
    ).reindex(columns=list(record.COLUMNS))
    ledger.save(said, ledger.ledger_file("claims"))
    second = said.assign(label="supported", code="one", claim=["clef-07", "clef-08", "clef-09"])
    ledger.save(second, ledger.ledger_file("repeated/claims"))
    assert processors.decisions("demo").index.tolist() == ["clef-07", "clef-08"]
    assert processors.otherwise("demo")["second processor"].to_dict() == {"clef-08": "supported"}


def test_the_committed_ledgers_have_numbers_in_common() -> None:
    both = ledger.repeated("demo")
    assert len(both) == len(ledger.read("repeated/demo"))
    assert (both["commit"] != both["commit_again"]).all()
    names = set(experiments.names())
    assert set(both["table"]) <= names


@pytest.fixture
def forgotten(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The machine is asked for anew, here and afterwards."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.backends.cpu.get_cpu_capability", lambda: "AVX2")
    provenance.machine.cache_clear()
    yield
    provenance.machine.cache_clear()


@pytest.mark.usefixtures("forgotten")
def test_a_processor_has_family_and_model(monkeypatch: pytest.MonkeyPatch) -> None:
    one = "processor\t: 0\ncpu family\t: 25\nmodel\t\t: 17\nmodel name\t: Some Maker 3\n\n"
    text = one + one.replace("17", "18")
    monkeypatch.setattr(Path, "read_text", lambda _: text)
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    assert provenance.machine() == "Some Maker 3 (family 25, model 17), AVX2, 2 cores"


@pytest.mark.usefixtures("forgotten")
def test_a_system_without_that_file_has_its_generic_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: Path) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", missing)
    monkeypatch.setattr("platform.processor", lambda: "")
    monkeypatch.setattr("platform.machine", lambda: "arm64")
    assert provenance.machine().startswith("arm64, ")
