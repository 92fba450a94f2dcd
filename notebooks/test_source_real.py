"""One notebook per paper with `source real`: a lab's own copy takes the way of a twin and gives the same numbers.

It stands beside the notebooks, and is run with them, because it shares their trained runs.
"""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest

from fbu import config, data, experiments, runs
from fbu.book import find, run_notebook
from fbu.book.notebooks import MARK

ROOT = Path(__file__).resolve().parent.parent
NAMES = ("clef/fig5_similarity", "ke_fer/fig6_confusion", "dk_clip/fig5_snippets", "emoco/table1_gft")


def checked(path: Path) -> list[str]:
    """Outputs of the cells that are held still."""
    cells = nbformat.read(path, as_version=4).cells
    marked = [cell for cell in cells if MARK in cell.metadata.get("tags", [])]
    return [output.text for cell in marked for output in cell.outputs]


@pytest.mark.parametrize("name", NAMES)
def test_a_written_twin_read_as_real_gives_the_metrics_of_the_twin(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = name.replace("/", ".")
    twin, real = (experiments.table(table, profile="quick", source=source) for source in ("twin", "real"))
    chain = [step for recipe in real.recipes() for step in recipe.chain()]
    for dataset in {step.data.name for step in chain if step.data.source == "real"}:
        data.export_twin(dataset, tmp_path)
    path = next(book.path for book in find(ROOT) if book.name == name)
    found = run_notebook(path, {"source": "real", "data_root": str(tmp_path)}, tmp_path / "real.ipynb")
    assert checked(found) == checked(path) != []
    monkeypatch.setenv("FBU_DATA", str(tmp_path))
    assert config.data_root() == tmp_path.resolve()
    twin.run(workers=1, device="cpu")
    for of_twin, of_real in zip(twin.recipes(), real.recipes(), strict=True):
        a, b = runs.find(of_twin), runs.find(of_real)
        assert a is not None and b is not None and b.provenance["source"].endswith("real")
        assert b.metrics == a.metrics and b.folder != a.folder
