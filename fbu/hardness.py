"""How hard the twins are, kept beside the ledger: measured before any two methods are compared on them."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pandas as pd

from fbu.data import difficulty
from fbu.data.twins import twin_fingerprint
from fbu.errors import DataError
from fbu.ledger import ledger_file
from fbu.provenance import commit, machine, now

COLUMNS = ("twin", "size", "measure", "floor", "linear", "oracle", "code", "commit", "machine", "date")


def read(name: str | None = None) -> pd.DataFrame:
    """Rows of ``twins.csv`` in the ledger's folder, in points; of one twin or of all. Empty without a file.

    A column ``stale`` says whether the code that draws the twin has changed since.

    Raises:
        DataError: a column is missing.
    """
    path = ledger_file("twins")
    if not path.is_file():
        return pd.DataFrame(columns=[*COLUMNS, "stale"])
    frame = pd.read_csv(path, dtype={"code": str, "commit": str})
    missing = [column for column in COLUMNS if column not in frame]
    if missing:
        raise DataError(f"{path}: column {missing[0]} is missing; restore the file from version control")
    frame = frame if name is None else frame[frame["twin"] == name]
    current = {twin: _code(twin) for twin in frame["twin"].unique()}
    return frame.assign(stale=frame["code"] != frame["twin"].map(current)).reset_index(drop=True)


def add(twins: Iterable[str], size: str, told: Callable[[str], None] = lambda name: None) -> pd.DataFrame:
    """Measure some twins and write them down, in place of older rows of the same twin and size.

    Args:
        twins: datasets.
        size: of their twins.
        told: called with each name when it is written.

    Returns:
        All rows, as `read` gives them.
    """
    path = ledger_file("twins")
    for name in twins:
        found = difficulty.measure(name, size)
        found[["floor", "linear", "oracle"]] = (100 * found[["floor", "linear", "oracle"]]).round(2)
        new = found.assign(code=_code(name), commit=commit(), machine=machine(), date=now())
        old = read()
        kept = old[~((old["twin"] == name) & (old["size"] == size))][list(COLUMNS)]
        rows = pd.concat([kept, new[list(COLUMNS)]] if len(kept) else [new[list(COLUMNS)]])
        rows = rows.sort_values(["twin", "size"], kind="stable")
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".draft")
        rows.to_csv(draft, index=False, lineterminator="\n")
        draft.replace(path)
        told(name)
    return read()


def _code(name: str) -> str:
    return twin_fingerprint(name)[:16]
