"""The table on the home page: which tables and figures of the four papers this copy of the book measures."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Set
from itertools import groupby
from pathlib import Path

PAPERS = {
    "clef": "CLEF (ICCV 2023)",
    "ke_fer": "KE-FER (2024)",
    "dk_clip": "DK-CLIP (ACM MM 2024)",
    "emoco": "EmoCo (FG 2021)",
}
_STATES = {"data": "kept as data", "diagram": "a drawing"}


def status_rows(path: Path) -> list[dict[str, str]]:
    """Rows of ``status.csv``: paper, item, shows, state (empty, ``data`` or ``diagram``), notebook."""
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def status_page(path: Path, present: Set[str], facts: Mapping[str, str]) -> str:
    """Markdown of the status tables, one per paper; *measured* means that the notebook ran for this copy.

    Args:
        path: the CSV file.
        present: pages of this copy, e.g. ``"notebooks/clef/fig5_similarity"``.
        facts: what is said about this copy, e.g. ``{"profile": "quick"}``.
    """
    said = ", ".join(f"{name} **{value}**" for name, value in facts.items())
    lines = [f"This copy was built with {said}.", ""]
    for paper, rows in groupby(status_rows(path), key=lambda row: row["paper"]):
        lines += [f"**{PAPERS[paper]}**", "", "| Item | Shows | Status |", "|---|---|---|"]
        lines += [f"| {_unbroken(row['item'])} | {row['shows']} | {_status(row, present)} |" for row in rows]
        lines.append("")
    return "\n".join(lines)


def _unbroken(text: str) -> str:
    return text.replace(" ", "\N{NO-BREAK SPACE}")


def _status(row: Mapping[str, str], present: Set[str]) -> str:
    page = f"notebooks/{row['notebook']}"
    if row["notebook"] and page in present:
        return f"[measured](../{page}.ipynb)"
    return _STATES.get(row["state"], "not yet")
