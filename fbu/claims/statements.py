"""The rules of all claims about figures, by id, and their application."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from fbu.claims import clef, dk_clip, emoco, ke_fer
from fbu.claims.decision import Decision, decision, listed, undecided, with_label
from fbu.claims.matching import sources_of
from fbu.claims.reading import Claim
from fbu.claims.rules import Rule
from fbu.errors import DataError
from fbu.experiments.common import Table

RULES: dict[str, Rule] = {**clef.RULES, **ke_fer.RULES, **dk_clip.RULES, **emoco.RULES}


def apply(claim: Claim, tables: Sequence[Table], *, profile: str, source: str) -> Decision:
    """The decision on a claim about a figure.

    Args:
        claim: one with a statement.
        tables: with their finished runs.
        profile: of the tables.
        source: what the source is called where nothing was run.
    """
    rule = RULES.get(claim.id)
    if rule is None:
        return undecided(claim.id, profile, "no statistic is written down yet", source=source)
    table = next((t for t in tables if t.name == rule.table), None)
    if table is None:
        why = f"{rule.table} is not built yet"
        return undecided(claim.id, profile, why, statistic=rule.statistic, source=source)
    cells = rule.cells([table])
    missing = [f"{c.label} ({c.column})" for c in cells if not table.results(c)]
    if not cells or len(missing) == len(cells) or (missing and not rule.partial):
        why = f"not run in {profile}: {listed(missing) or f'{rule.table} has no such row'}"
        return undecided(claim.id, profile, why, statistic=rule.statistic, source=source)
    try:
        with warnings.catch_warnings():
            # A library of the towers asks for widgets as soon as it is imported in a notebook.
            warnings.filterwarnings("ignore", message="IProgress not found")
            found = rule.judge(claim, table, cells)
    except DataError as error:  # e.g. the pictures are no longer there
        return undecided(claim.id, profile, str(error), statistic=rule.statistic, source=source)
    runs = [run for cell in cells for run in table.results(cell)]
    made = decision(
        claim.id,
        profile,
        found.parts,
        statistic=rule.statistic,
        source=sources_of(runs) or source,
        subjects=found.subjects,
        note=found.note,
    )
    return made if found.label is None else with_label(made, found.label)
