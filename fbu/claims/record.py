"""Decisions on claims, written down: ``claims.csv`` in the ledger's folder.

Pages of the quick profile, whose runs are smoke runs, show the demo profile's decisions. A decision is stale once the
recipes that it reads, or their code, are others than when it was written.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from fbu.claims.deciding import Source, asked, code_of, source_name, tables_of
from fbu.claims.decision import Decision
from fbu.claims.reading import claim, claims
from fbu.errors import DataError
from fbu.experiments.common import Table
from fbu.ledger import ledger_file, save, shown
from fbu.provenance import commit, machine, now

COLUMNS = (
    ("claim", "profile", "source", "label", "probability", "right", "terms", "statistic", "differences")
    + ("seeds", "subjects", "reason", "code", "commit", "machine", "date")
)  # fmt: skip
_KEY = ["claim", "profile", "source"]


def read(folder: str = "") -> pd.DataFrame:
    """All rows; empty without a file.

    Args:
        folder: below the ledger's, e.g. ``fbu.ledger.REPEATED``.

    Raises:
        DataError: a column is missing.
    """
    path = ledger_file(f"{folder}claims")
    if not path.is_file():
        return pd.DataFrame(columns=list(COLUMNS))
    texts = dict.fromkeys(("code", "commit", "differences", "reason", "statistic", "source"), str)
    frame = pd.read_csv(path, dtype=texts, keep_default_na=False, na_values={"probability": [""]})
    missing = [column for column in COLUMNS if column not in frame]
    if missing:
        raise DataError(f"{path}: column {missing[0]} is missing; restore the file from version control")
    return frame


def write(decisions: Sequence[Decision], tables: Sequence[Table], source: Source = "twin") -> int:
    """Write decisions down, in place of older ones on the same claims, profile and source.

    What was not run is not written and replaces nothing.

    Args:
        decisions: e.g. from :func:`fbu.claims.deciding.decide_all`.
        tables: those that were read, for the fingerprint of their recipes.
        source: as it was asked for.

    Returns:
        Number of rows written.
    """
    about = {"commit": commit(), "machine": machine(), "date": now()}
    rows = [
        {
            **{name: getattr(one, name) for name in COLUMNS if hasattr(one, name)},
            "source": source_name(source),
            "probability": round(one.probability, 4),
            "code": code_of(asked(claim(one.claim), tables)),
            **about,
        }
        for one in decisions
        if one.label != "not run"
    ]
    if not rows:
        return 0
    new, old = pd.DataFrame(rows, columns=list(COLUMNS)), read()
    replaced = pd.MultiIndex.from_frame(old[_KEY]).isin(pd.MultiIndex.from_frame(new[_KEY]))
    merged = pd.concat([old[~replaced], new], ignore_index=True) if len(old) else new
    order = {one.id: number for number, one in enumerate(claims())}
    merged = merged.sort_values(
        ["profile", "source", "claim"], key=lambda c: c.map(order) if c.name == "claim" else c, kind="stable"
    )
    save(merged, ledger_file("claims"))
    return len(rows)


def reference(paper: str | None = None, profile: str = "demo", source: Source = "twin") -> pd.DataFrame:
    """The decisions that pages of a profile show, by claim, with a column ``stale``.

    Args:
        paper: of one paper; default: all.
        profile: of the page; quick shows demo.
        source: as it was asked for.
    """
    rows = read()
    known = [one.id for one in claims(paper)]
    rows = rows[
        rows["claim"].isin(known)
        & (rows["profile"] == shown(profile))
        & (rows["source"] == source_name(source))
    ]
    tables = tables_of(shown(profile), source, paper=paper) if len(rows) else []
    current = [code_of(asked(claim(name), tables)) for name in rows["claim"]]
    return rows.assign(stale=rows["code"].to_numpy() != current).set_index("claim")
