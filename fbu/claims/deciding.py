"""Deciding the papers' claims from finished runs; nothing is trained here.

A claim with numbers is decided by a paired bootstrap over (seed, person) of the stored predictions, term by term and
then jointly (:func:`fbu.evaluation.paired_bootstrap`, :func:`fbu.evaluation.verdict`). A claim about a figure has a
statistic of its own, registered by the claim's id in :mod:`fbu.claims.statements`.

A term that names a method which is not run here cannot be tested; its claim is then "not testable here", unless the
other terms settle it (:func:`fbu.claims.decision.judged`). Neither can one that compares datasets, which is about the
real people in them. Where a side is the best of many and only some of them are run, those can still contradict the
term: who is behind one of them is behind the best.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import pandas as pd

from fbu import reported
from fbu.claims.decision import COMPARABLE, Decision, Part, decision, undecided
from fbu.claims.grammar import Side, Sign, Term
from fbu.claims.matching import Cells, Match, recipes_of, sources_of
from fbu.claims.reading import Claim, claims
from fbu.claims.statements import RULES, apply
from fbu.errors import DataError
from fbu.evaluation.bootstrap import PairedDifference, paired_bootstrap
from fbu.evaluation.few import paired_t
from fbu.experiments.common import Table
from fbu.recipes import Recipe
from fbu.runs import Run

STATISTIC = "paired bootstrap over (seed, person) of the predictions, 1000 draws, terms judged jointly"
OTHER_SETS = "it compares two datasets, and how hard a twin is was chosen here"
Source = str | Mapping[str, str]
_FLIPPED: dict[Sign, Sign] = {">": "<", "<": ">", "~": "~"}


def tables_of(
    profile: str, source: Source = "twin", seeds: int | None = None, paper: str | None = None
) -> list[Table]:
    """Tables of a profile, of one paper or of all; no runs are looked up.

    Raises:
        ValueError: unknown profile or source.
    """
    from fbu import experiments

    names = [name for name in experiments.names() if paper in (None, name.partition(".")[0])]
    return [experiments.table(name, profile=profile, source=source, seeds=seeds) for name in names]


def gather(
    profile: str, source: Source = "twin", seeds: int | None = None, paper: str | None = None
) -> list[Table]:
    """As :func:`tables_of`, with the runs that are finished.

    Where data is missing, as a set that is not under FBU_DATA, the table stays without runs, and its claims "not run".
    """
    found = tables_of(profile, source, seeds, paper)
    for table in found:
        with contextlib.suppress(DataError):
            table.done()
    return found


def decide_all(
    profile: str,
    source: Source = "twin",
    seeds: int | None = None,
    paper: str | None = None,
    *,
    tables: Sequence[Table] | None = None,
) -> list[Decision]:
    """Decisions on all claims, or on those of a paper, from the finished runs of a profile.

    Args:
        profile: quick, demo, full or paper.
        source: twin, open or real, or one per dataset.
        seeds: number of seeds; default: the profile's.
        paper: one of the four; default: all.
        tables: as from :func:`gather`, where they have been gathered before.

    Raises:
        ValueError: unknown profile or source.
    """
    tables = gather(profile, source, seeds, paper) if tables is None else tables
    plan = tables_of("full", paper=paper)
    name = source_name(source)
    return [decide(claim, tables, plan, profile=profile, source=name) for claim in claims(paper)]


def source_name(source: Source) -> str:
    """A source in words: "twin", or "bp4d=real, rafdb=twin"."""
    return source if isinstance(source, str) else ", ".join(f"{k}={v}" for k, v in sorted(source.items()))


def decide(
    claim: Claim,
    tables: Sequence[Table],
    plan: Sequence[Table] | None = None,
    *,
    profile: str = "quick",
    source: str = "twin",
) -> Decision:
    """The decision on one claim.

    Args:
        claim: as from :func:`fbu.claims.claim`.
        tables: with their finished runs, e.g. from :func:`gather`.
        plan: the tables in a profile that runs every row, to tell "not run" from "not testable here".
        profile: what the tables' profile is called in the decision.
        source: what the source is called where nothing was run.
    """
    if claim.statement is not None:
        return apply(claim, tables, profile=profile, source=source)
    cells = Cells(tables, plan)
    sides = [(cells.match(t.left), cells.match(t.right)) for t in claim.terms if _in_table(t)]
    if len(sides) != len(claim.terms):
        raise ValueError(f"{claim.id} holds a number in place of a cell; compare cells of tables")
    parts = [_part(*pair, term) for pair, term in zip(sides, claim.terms, strict=True)]
    matches = [m for left, right in sides for m in (*left, *right)]
    if not any(m.known for m in matches):
        titles = ", ".join(dict.fromkeys(reported.title(m.printed.table) for m in matches))
        return undecided(
            claim.id,
            profile,
            f"{titles} is not built yet",
            statistic=STATISTIC,
            source=source,
            terms=len(parts),
        )
    statistic = STATISTIC
    if any(term.sign == "~" for term in claim.terms):
        statistic += f'; "comparable" is at most {100 * COMPARABLE:g} points apart'
    people: dict[str, int] = {}
    for (left, _), part in zip(sides, parts, strict=True):
        if part.measured is not None:
            people[left[0].dataset] = max(people.get(left[0].dataset, 0), part.measured.subjects)
    runs = [run for m in matches for run in m.runs]
    return decision(
        claim.id,
        profile,
        parts,
        claim.mode,
        statistic=statistic,
        source=sources_of(runs) or source,
        subjects=sum(people.values()),
        note=_shortened(matches),
    )


def asked(claim: Claim, tables: Sequence[Table]) -> list[Recipe]:
    """Recipes that a claim reads, finished or not, each once."""
    if claim.statement is not None:
        rule = RULES.get(claim.id)
        found = [] if rule is None else [r for c in rule.cells(tables) for r in c.recipes]
    else:
        cells = Cells(tables)
        found = recipes_of(m for t in claim.terms for side in (t.left, t.right) for m in cells.match(side))
    return list({recipe.key(): recipe for recipe in found}.values())


def code_of(recipes: Iterable[Recipe]) -> str:
    """One fingerprint of settings and code of many recipes, 16 hexadecimal digits; "" for none."""
    lines = sorted(f"{recipe.key()} {recipe.code()}" for recipe in recipes)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16] if lines else ""


def _in_table(term: Term) -> bool:
    return "number" not in (term.left.kind, term.right.kind)


def _part(left: list[Match], right: list[Match], term: Term) -> Part:
    """A term, measured if what it needs is there."""
    what = f"{_named(term.left, left)} - {_named(term.right, right)}, {left[0].place}"
    if {m.printed.dataset for m in left}.isdisjoint(m.printed.dataset for m in right):
        what = f"{_named(term.left, left)}, {left[0].place} - {_named(term.right, right)}, {right[0].place}"
        return Part(what, term.sign, "not testable here", why=OTHER_SETS)
    untestable = _names(m for m in (*left, *right) if not m.testable)
    missing = [m for m in (*left, *right) if m.testable and not m.runs]
    if missing and not untestable:
        return Part(what, term.sign, "not run", missing=_unrun(missing))
    if not untestable:
        common = _common_seeds([*left, *right])
        if not common:
            return Part(what, term.sign, "not run", missing=("a seed that both sides share",))
        return Part(what, term.sign, "decided", _measured(left, right, term, common))
    # The best of those that are run is no better than the best of all, so being behind it is being behind.
    one_sided = (term.sign, term.right.kind) in ((">", "max"), ("<", "min"))
    run_right = [m for m in right if m.runs]
    common = _common_seeds([*left, *run_right])
    if one_sided and run_right and common and all(m.runs for m in left):
        part = Part(what, term.sign, "refuted", _measured(left, run_right, term, common), untestable)
        if part.wrong:
            return part
    return Part(what, term.sign, "not testable here", missing=untestable)


def _measured(left: list[Match], right: list[Match], term: Term, seeds: set[int]) -> PairedDifference:
    if len(left) > 1 and len(right) > 1:
        raise ValueError("a term with several rows on both sides is not supported: name one side's row")
    if len(left) > 1:  # the best of many against one: the other way round
        swapped = Term(term.right, _FLIPPED[term.sign], term.left)
        return _negated(_measured(right, left, swapped, seeds))
    if not all(_keeps_predictions(run) for m in (*left, *right) for run in m.runs):
        return _by_seed(left[0], right, term.right, seeds)
    frames = [_stacked(m, seeds) for m in (*left, *right)]
    best: Literal["max", "min"] = "min" if term.right.kind == "min" else "max"
    return paired_bootstrap(frames[0], frames[1:], left[0].metric, best=best)


def _negated(found: PairedDifference) -> PairedDifference:
    return replace(
        found,
        difference=-found.difference,
        low=-found.high,
        high=-found.low,
        probability=1 - found.probability,
        draws=-found.draws,
    )


def _keeps_predictions(run: Run) -> bool:
    return (run.folder / "predictions.csv").exists()


def _by_seed(left: Match, right: list[Match], side: Side, seeds: set[int]) -> PairedDifference:
    """Without predictions of people, the seeds alone."""
    best = min if side.kind == "min" else max

    def value(match: Match, seed: int) -> float:
        run = next(r for r in match.runs if r.recipe.seed == seed)
        return float(run.metrics["test"][match.metric])

    return paired_t([value(left, s) - best(value(m, s) for m in right) for s in sorted(seeds)])


def _common_seeds(matches: Sequence[Match]) -> set[int]:
    seeds = [{run.recipe.seed for run in m.runs} for m in matches]
    return set.intersection(*seeds) if seeds else set()


def _stacked(match: Match, seeds: set[int]) -> pd.DataFrame:
    frames = [run.predictions for run in match.runs if run.recipe.seed in seeds]
    return pd.concat(frames, ignore_index=True)


def _named(side: Side, matches: list[Match]) -> str:
    if len(matches) == 1:
        return matches[0].label
    word = {"max": "best", "min": "lowest"}[side.kind]
    return f"{word} of {len(matches)} others"


def _names(matches: Iterable[Match]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(m.label for m in matches))


def _unrun(missing: Sequence[Match]) -> tuple[str, ...]:
    """What is missing, with the dataset, as a method may be there on another; or the table that nothing prints."""
    names = [
        f"{m.label} on {m.dataset}" if m.known else f"{m.label} ({reported.title(m.printed.table)})"
        for m in missing
    ]
    return tuple(dict.fromkeys(names))


def _shortened(matches: Sequence[Match]) -> str:
    """A remark where runs of some seeds are still missing."""
    short = [m for m in matches if m.cell is not None and 0 < len(m.runs) < len(m.cell.recipes)]
    if not short:
        return ""
    least = int(np.min([len(m.runs) for m in short]))
    total = max(len(m.cell.recipes) for m in short if m.cell is not None)
    return f"only {least} of {total} seeds are finished"
