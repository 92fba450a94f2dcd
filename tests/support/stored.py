"""Runs on disk that nobody trained: what a table, a note or a claim reads."""

import json

from fbu import runs
from fbu.provenance import provenance

COST = {"seconds": 3.0, "images": 64, "images_per_second": 21.3, "peak_memory_mb": 500}


def store(recipe, metrics, *, extra=None, predictions=None, **about):
    """Write a finished run; ``about`` replaces entries of its provenance."""
    folder = runs.folder_of(recipe)
    folder.mkdir(parents=True, exist_ok=True)
    if predictions is not None:
        predictions.assign(seed=recipe.seed, fold="").to_csv(folder / "predictions.csv", index=False)
    (folder / "metrics.json").write_text(json.dumps({"test": metrics}))
    (folder / "extra.json").write_text(json.dumps(extra or {}))
    (folder / "provenance.json").write_text(json.dumps({**provenance(recipe), **COST, **about}))
    (folder / "recipe.json").write_text(recipe.model_dump_json())
    (folder / "done.json").write_text("{}")
