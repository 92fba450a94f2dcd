"""The ledger: committed reference results with their provenance, and the comparison of new results with them.

One CSV per profile in ``book/ledger``. A row is one number of one run. Rows enter only through :func:`add`, from a
finished run on disk, so no number is typed. The folder ``repeated`` is a second ledger, of the same recipes on another
processor; it is written with ``FBU_LEDGER`` naming it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from fbu.errors import DataError
from fbu.experiments.common import points
from fbu.provenance import data_fingerprint
from fbu.runs import Run, find, rerun

if TYPE_CHECKING:
    from fbu.experiments.common import Cell, Table

COLUMNS = (
    ("table", "label", "column", "metric", "value", "samples", "source", "dataset", "size", "seed", "fold")
    + ("recipe", "code", "data", "commit", "machine", "torch", "threads")
    + ("seconds", "images", "images_per_second", "peak_memory_mb", "date")
)
TOLERANCE = 3.0
"""Points by which a run may differ from its reference where nothing wider has been measured."""
REPEATED = "repeated/"
"""Folder of the second ledger, below the ledger's own."""
_FEW = 6  # numbers of a column from which a spread is worth taking


def ledger_file(profile: str) -> Path:
    """File of a profile's ledger: in ``$FBU_LEDGER``, or in the checkout's ``book/ledger``."""
    folder = os.environ.get("FBU_LEDGER") or Path(__file__).resolve().parent.parent / "book" / "ledger"
    return Path(folder) / f"{profile}.csv"


def shown(profile: str) -> str:
    """The profile whose reference a page shows: quick is a smoke run, so its pages show demo's."""
    return "demo" if profile == "quick" else profile


def read(profile: str) -> pd.DataFrame:
    """All rows of a profile's ledger; empty when there is none.

    Raises:
        DataError: a column is missing.
    """
    path = ledger_file(profile)
    return _read(str(path), _changed(path))


def _changed(path: Path) -> int:
    return path.stat().st_mtime_ns if path.exists() else 0


@lru_cache(maxsize=8)
def _read(path: str, changed: int) -> pd.DataFrame:
    if not changed:
        return pd.DataFrame(columns=list(COLUMNS))
    frame = pd.read_csv(path, dtype={"recipe": str, "code": str, "data": str, "commit": str})
    missing = [c for c in COLUMNS if c not in frame]
    if missing:
        raise DataError(f"{path}: column {missing[0]} is missing; restore the file from version control")
    return frame


def repeated(profile: str) -> pd.DataFrame:
    """Rows of the ledger whose recipes another processor has run as well, by the same code.

    Returns:
        The ledger's columns, and ``value_again`` (points), ``images_per_second_again`` and so on of the second run.
        Empty where nothing was run twice.
    """
    both = read(profile), read(REPEATED + profile)
    if not all(map(len, both)):
        return pd.DataFrame(columns=[*COLUMNS, "value_again"])
    same = ["table", "label", "column", "metric", "source", "seed", "recipe", "code"]
    return both[0].merge(both[1], on=same, suffixes=("", "_again"))


def processor_spread(profile: str, table: str, column: str) -> float:
    """How far one training's number lies apart on two processors, as a standard deviation in points.

    Processors round differently, and training amplifies it. Taken over all numbers of the table's column that were run
    twice, or over the whole table where a column has fewer than six; NaN where the table was not run twice.
    """
    paths = ledger_file(profile), ledger_file(REPEATED + profile)
    return _spreads(profile, *paths, *map(_changed, paths)).get((table, column), np.nan)


@lru_cache(maxsize=8)
def _spreads(profile: str, *_files: Path | int) -> dict[tuple[str, str], float]:
    rows = repeated(profile)
    rows = rows.assign(square=(rows["value"] - rows["value_again"]) ** 2 / 2)  # two runs, hence the half
    return {
        (str(name), str(column)): float(np.sqrt((part if len(part) >= _FEW else of_table)["square"].mean()))
        for name, of_table in rows.groupby("table")
        for column, part in of_table.groupby("column")
    }


def add(table: Table) -> int:
    """Write the finished runs of a table into its profile's ledger, in place of rows of the same cell and seed.

    Older rows of the table, from the same source, leave if the table no longer asks for their recipe.

    Returns:
        Number of rows written.

    Raises:
        DataError: nothing of the table has been run.
    """
    rows = [_row(table, cell, run) for cell in table.cells for run in table.results(cell)]
    if not rows:
        raise DataError(f"{table.name} ({table.profile}): no finished runs to add; run the table first")
    new = pd.DataFrame(rows, columns=list(COLUMNS))
    old = read(table.profile)
    key = ["table", "label", "column", "metric", "source", "seed"]
    replaced = pd.MultiIndex.from_frame(old[key]).isin(pd.MultiIndex.from_frame(new[key]))
    asked = _codes(table.name, table.profile, tuple(sorted(set(new["source"]))))
    same = (old["table"] == table.name) & old["source"].isin(new["source"])
    old = old[~replaced & ~(same & ~old["recipe"].isin(asked))]
    merged = pd.concat([old, new], ignore_index=True) if len(old) else new
    merged = merged.sort_values(["table", "column", "source"], kind="stable")
    save(merged, ledger_file(table.profile))
    return len(rows)


def save(rows: pd.DataFrame, path: Path) -> None:
    """Write a file of the ledger under a temporary name, then put it in place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    rows.to_csv(temporary, index=False, lineterminator="\n")
    os.replace(temporary, path)


def add_run(folder: Path) -> int:
    """Write one finished run into the ledger, in every table that it is a part of.

    Args:
        folder: the run's folder.

    Returns:
        Number of rows written.

    Raises:
        DataError: the folder holds no finished run, its code or data is not today's, or no table asks for it.
    """
    from fbu import experiments
    from fbu.recipes import Recipe

    if not (folder / "done.json").is_file():
        raise DataError(f"{folder}: no finished run there; name a folder below FBU_HOME/runs")
    recipe = Recipe.model_validate_json((folder / "recipe.json").read_text())
    run = find(recipe)
    if run is None or run.folder.resolve() != folder.resolve():
        raise DataError(f"{folder}: made by other code or on other data than today's; run the recipe again")
    written = 0
    for name in experiments.names():
        for profile in ("quick", "demo", "full", "paper"):
            for source in ("twin", "open", "real"):
                table = experiments.table(name, profile=profile, source=source)
                if any(recipe.key() == r.key() for r in table.recipes()):
                    table.runs[recipe.key()] = run
                    written += add(table)
    if not written:
        raise DataError(f"{folder}: no table asks for recipe {recipe.key()}")
    return written


def _row(table: Table, cell: Cell, run: Run) -> dict[str, Any]:
    about, has = run.provenance, run.folder / "predictions.csv"
    return {
        **{c: about[c] for c in COLUMNS if c in about},
        "table": table.name,
        "label": cell.label,
        "column": cell.column,
        "metric": cell.metric,
        "value": round(points(run, cell.metric), 4),
        "samples": len(run.predictions) if has.exists() else "",
        "size": run.recipe.data.size if run.recipe.data.source == "twin" else "",
        "fold": "" if run.recipe.data.fold is None else run.recipe.data.fold,
    }


def reference(name: str, profile: str, cell: Cell) -> dict[str, Any]:
    """Reference of a cell: mean, spread and number of ledger rows, and whether their code has changed since."""
    rows = _reference_rows(name, profile, cell)
    if not len(rows):
        return {"reference": np.nan, "reference_spread": np.nan, "reference_n": 0, "stale": False}
    current = _codes(name, shown(profile), tuple(sorted(set(rows["source"]))))
    stale = any(current.get(r["recipe"]) != r["code"] for r in rows.to_dict("records"))
    spread = rows["value"].std(ddof=1) if len(rows) > 1 else np.nan
    return {
        "reference": rows["value"].mean(),
        "reference_spread": spread,
        "reference_n": len(rows),
        "stale": stale,
    }


def reference_step(name: str, profile: str, cell: Cell, base: Cell) -> np.ndarray:
    """Reference differences of a cell from another, in points, one per seed that both have."""
    return step_in(read(shown(profile)), name, cell, base)


def step_in(rows: pd.DataFrame, name: str, cell: Cell, base: Cell, value: str = "value") -> np.ndarray:
    """Differences of a cell from another in rows of a ledger, in points, one per seed that both have.

    Args:
        rows: as from :func:`read` or :func:`repeated`.
        name: of the table.
        cell: whose differences are taken.
        base: from which.
        value: column of the numbers, e.g. "value_again".
    """
    pair = ["source", "seed"]  # twin and real may stand in one column
    a, b = (_of_cell(rows, name, c).set_index(pair)[value].sort_index() for c in (cell, base))
    return (a - b).dropna().to_numpy(dtype=float)


def _reference_rows(name: str, profile: str, cell: Cell) -> pd.DataFrame:
    return _of_cell(read(shown(profile)), name, cell)


def _of_cell(rows: pd.DataFrame, name: str, cell: Cell) -> pd.DataFrame:
    rows = rows[(rows["table"] == name) & (rows["label"] == cell.label) & (rows["column"] == cell.column)]
    return rows[rows["metric"] == cell.metric]


@lru_cache(maxsize=64)
def _codes(name: str, profile: str, sources: tuple[str, ...]) -> dict[str, str]:
    """Code fingerprint by recipe key, of the table as it is written today."""
    from fbu import experiments

    found: dict[str, str] = {}
    for source in sources:
        table = experiments.table(name, profile=profile, source=source.split(" -> ")[-1])
        found |= {r.key(): r.code() for r in table.recipes()}
    return found


@dataclass(frozen=True)
class Comparison:
    """New results against the ledger.

    Attributes:
        frame: one row per number: label, column, seed, value, reference, difference, allowed, status. Status is
            "pass", "fail", "other data" (the reference was made on other data) or "no reference".
    """

    frame: pd.DataFrame

    @property
    def ok(self) -> bool:
        """No number fails."""
        return not (self.frame["status"] == "fail").any()

    def counts(self) -> dict[str, int]:
        """Number of rows by status."""
        return {str(k): int(v) for k, v in self.frame["status"].value_counts().sort_index().items()}

    def __str__(self) -> str:
        counts = ", ".join(f"{v} {k}" for k, v in self.counts().items()) or "nothing to compare"
        failed = self.frame[self.frame["status"] == "fail"]
        lines = [
            f"  {r.label} / {r.column}, seed {r.seed}: {r.value:.2f}, reference {r.reference:.2f}, "
            f"difference {r.difference:+.2f}, allowed {r.allowed:.2f}"
            for r in failed.itertuples()
        ]
        return "\n".join([counts, *lines])


def check(result: Run | Table) -> Comparison:
    """Compare a run or a table with its profile's ledger.

    A number passes when it lies within :data:`TOLERANCE` points of the reference of the same recipe, or, if that is
    wider, within three standard deviations: of the seeds, where the ledger has three or more, or of one training on two
    processors, where the table was run on another one as well.

    Args:
        result: a finished run, looked up in every ledger, or a table that was run.
    """
    from fbu.experiments.common import Table

    if isinstance(result, Table):
        numbers = [(c, r) for c in result.cells for r in result.results(c)]
        rows = [_compared(result.profile, r, result.name, c.metric, c.label, c.column) for c, r in numbers]
    else:
        rows = []
        for profile in ("quick", "demo", "full", "paper"):
            known = read(profile)
            known = known[known["recipe"] == result.recipe.key()]
            for k in known.drop_duplicates(["metric", "label", "column"]).to_dict("records"):
                rows.append(_compared(profile, result, k["table"], k["metric"], k["label"], k["column"]))
    columns = ["label", "column", "seed", "value", "reference", "difference", "allowed", "status"]
    return Comparison(pd.DataFrame(rows, columns=columns))


def _compared(profile: str, run: Run, table: str, metric: str, label: str, column: str) -> dict[str, Any]:
    value, ledger = points(run, metric), read(profile)
    row = {"label": label, "column": column, "seed": run.recipe.seed, "value": value}
    cell = ledger[(ledger["label"] == label) & (ledger["column"] == column) & (ledger["metric"] == metric)]
    cell = cell[cell["table"] == table]
    same = cell[cell["recipe"] == run.recipe.key()]
    if not len(same):
        return {**row, "reference": np.nan, "difference": np.nan, "allowed": np.nan, "status": "no reference"}
    reference = float(same["value"].iloc[0])
    of_seeds = cell["value"].std(ddof=1) if len(cell) >= 3 else np.nan
    allowed = float(np.nanmax([TOLERANCE, 3 * of_seeds, 3 * processor_spread(profile, table, column)]))
    status = "pass" if abs(value - reference) <= allowed else "fail"
    if same["data"].iloc[0] != data_fingerprint(run.recipe):
        status = "other data"
    return {
        **row,
        "reference": reference,
        "difference": value - reference,
        "allowed": allowed,
        "status": status,
    }


def verify(n: int, *, profile: str = "demo", seed: int | None = None) -> Comparison:
    """Run ``n`` random ledger rows again, in a folder of their own, and compare.

    The run that a row starts from is reused when it is in the store, otherwise it is run first.

    Raises:
        DataError: the profile's ledger is empty.
    """
    from fbu import experiments

    ledger = read(profile)
    if not len(ledger):
        raise DataError(f"{ledger_file(profile)} has no rows to verify")
    picked = ledger.sample(min(n, len(ledger)), random_state=seed)
    rows: list[dict[str, Any]] = []
    for row in picked.to_dict("records"):
        table: Table = experiments.table(
            row["table"], profile=profile, source=row["source"].split(" -> ")[-1]
        )
        recipe = next((r for r in table.recipes() if r.key() == row["recipe"]), None)
        if recipe is None:
            raise DataError(
                f"{row['table']}, {row['label']}: its recipe {row['recipe']} is no longer in the table; rerun the table"
            )
        rows.append(
            _compared(profile, rerun(recipe), row["table"], row["metric"], row["label"], row["column"])
        )
    return Comparison(pd.DataFrame(rows))


def stale(profile: str) -> list[str]:
    """Tables of a ledger with numbers older than the code that made them."""
    ledger, names = read(profile), []
    for (name, source), rows in ledger.groupby(["table", "source"]):
        current = _codes(name, profile, (source,))
        if any(current.get(r["recipe"]) != r["code"] for r in rows.to_dict("records")):
            names.append(f"{name} ({source})")
    return names
