"""Frames that a page on claims shows: what is claimed, what the paper's numbers say, what was decided here."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from fbu.claims import record
from fbu.claims.deciding import STATISTIC, Source, source_name
from fbu.claims.decision import LABELS, Decision
from fbu.claims.reading import Claim, claim, claims, evaluate
from fbu.claims.statements import RULES


def overview(decisions: Sequence[Decision], profile: str, source: Source = "twin") -> pd.DataFrame:
    """One row per claim: in words, where it stands, the paper's own numbers, the reference and this run.

    Args:
        decisions: of this run, e.g. from :func:`fbu.claims.deciding.decide_all`.
        profile: of the page.
        source: of the page.
    """
    known = _references(decisions, profile, source)
    rows = {}
    for one in decisions:
        about = claim(one.claim)
        rows[one.claim] = {
            "claim": about.claim,
            "where": about.where,
            "paper's own numbers": own_numbers(about),
            "reference (ledger)": _reference(known, one.claim),
            f"this run ({source_name(source)})": verdict_in_words(
                one.label, one.probability, one.right, one.terms
            ),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("id")


def own_numbers(one: Claim) -> str:
    """Whether the paper's own table agrees with a claim, with its differences in points."""
    result = evaluate(one)
    if result is None:
        return "no numbers"
    listed = "; ".join(f"{difference:+.2f}" for difference in result.differences)
    if result.holds:
        return f"agree: {listed}"
    wrong = len(result.right) - sum(result.right)
    return f"contradicted in {wrong} of {len(result.right)} terms: {listed}"


def verdict_in_words(label: str, probability: float, right: int, terms: int) -> str:
    """A label with what stands behind it, e.g. "supported (probability 0.98, 4 of 4 terms)"."""
    if math.isnan(probability):
        return label
    return f"{label} (probability {probability:.2f}, {right} of {terms} terms)"


def _references(decisions: Sequence[Decision], profile: str, source: Source) -> pd.DataFrame:
    """What is written down about the papers of some decisions; building all papers' tables takes its time."""
    papers = {claim(one.claim).paper for one in decisions}
    return record.reference(papers.pop() if len(papers) == 1 else None, profile, source)


def _reference(known: pd.DataFrame, name: str) -> str:
    if name not in known.index:
        return "not decided yet"
    row = known.loc[[name]].to_dict("records")[0]
    said = verdict_in_words(row["label"], row["probability"], row["right"], row["terms"])
    return f"{said}, stale" if row["stale"] else said


def reference_details(paper: str | None, profile: str, source: Source = "twin") -> pd.DataFrame:
    """Of each reference decision: the terms' differences with their intervals, and the reason."""
    known = record.reference(paper, profile, source)
    sizes = zip(known["seeds"].astype(int), known["subjects"].astype(int), strict=True)
    tested = [_size(seeds, people) for seeds, people in sizes]
    return pd.DataFrame(
        {
            "decision": known["label"] + known["stale"].map({True: ", stale", False: ""}),
            "differences (95 % interval)": known["differences"],
            "from": tested,
            "reason": known["reason"],
        }
    )


def _size(seeds: int, people: int) -> str:
    """E.g. "3 seeds, 41 people"; "" where nothing was measured, and no people where they are not the unit."""
    said = [f"{seeds} seed{'s' if seeds > 1 else ''}"] if seeds else []
    return ", ".join(said + ([f"{people:,} people"] if people else []))


def details(decisions: Sequence[Decision]) -> pd.DataFrame:
    """Of each decision of this run: every term with its difference, and the reason."""
    rows = []
    for one in decisions:
        for part in one.parts:
            rows.append((one.claim, part.what, part.sign, part.shown()))
    columns = ["id", "term", "claimed", "this run (95 % interval)"]
    return pd.DataFrame(rows, columns=columns).set_index(["id", "term"])


def reasons(decisions: Sequence[Decision]) -> pd.DataFrame:
    """Why each decision of this run is what it is."""
    rows = {one.claim: {"this run": one.label, "reason": one.reason} for one in decisions}
    return pd.DataFrame.from_dict(rows, orient="index", columns=["this run", "reason"]).rename_axis("id")


def statistics(paper: str) -> pd.DataFrame:
    """What decides each kind of claim of a paper."""
    found: dict[str, list[str]] = {}
    for one in claims(paper):
        rule = RULES.get(one.id)
        text = rule.statistic if rule else STATISTIC if one.numeric else "none is written down yet"
        found.setdefault(text, []).append(one.id)
    rows = [{"claims": ", ".join(names), "statistic": text} for text, names in found.items()]
    return pd.DataFrame(rows, columns=["claims", "statistic"]).set_index("claims")


def counts(decisions: Sequence[Decision], profile: str, source: Source = "twin") -> pd.DataFrame:
    """How many claims got which label, in the reference and in this run."""
    names = [one.claim for one in decisions]
    known = _references(decisions, profile, source)
    written = _labels(known, names)
    ours: list[str] = [one.label for one in decisions]
    columns: dict[str, list[str]] = {"reference (ledger)": written, f"this run ({source_name(source)})": ours}
    rows = {name: [listed.count(name) for listed in columns.values()] for name in LABELS}
    return pd.DataFrame.from_dict(rows, orient="index", columns=list(columns))


def by_paper(profile: str, source: Source = "twin") -> pd.DataFrame:
    """How many claims of each paper got which label in the reference, and how many of these are older than the code."""
    known = record.reference(None, profile, source)
    rows: dict[str, dict[str, int]] = {}
    for paper in dict.fromkeys(one.paper for one in claims()):
        names = [one.id for one in claims(paper)]
        listed = _labels(known, names)
        stale = int(known["stale"][known.index.isin(names)].sum())
        rows[paper] = {**{label: listed.count(label) for label in LABELS}, "stale": stale}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("paper")


def _labels(known: pd.DataFrame, names: Sequence[str]) -> list[str]:
    """Labels that are written down for some claims; nothing is written down of what was not run."""
    written = [str(label) for label in known["label"][known.index.isin(names)]]
    return written + ["not run"] * (len(names) - len(written))
