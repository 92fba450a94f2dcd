"""What a decision on a claim consists of, and how its terms add up to a label."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from fbu.claims.grammar import Mode, Sign
from fbu.evaluation.bootstrap import PairedDifference
from fbu.evaluation.verdicts import enough, holds, verdict

Label = Literal["supported", "not supported", "inconclusive", "not testable here", "not run"]
LABELS: tuple[Label, ...] = ("supported", "not supported", "inconclusive", "not testable here", "not run")
State = Literal["decided", "refuted", "not testable here", "not run"]

CONFIDENCE = 0.95
COMPARABLE = 0.02
"""A term "left ~ right" holds while the difference is at most this large, as a fraction; no paper says how large."""


@dataclass(frozen=True)
class Part:
    """One term of a claim, decided or not.

    Attributes:
        what: the comparison in words, e.g. "CLEF PI,I - FaRL I, BP4D".
        sign: claimed relation of the two sides.
        state: "decided"; "refuted" where a side is not run in full, but what is run is enough to contradict the term;
            "not testable here" where a side is never run; "not run" where its runs are missing.
        measured: left minus right; None where nothing was measured.
        missing: what is not run, e.g. names of methods.
        why: why it is not testable, where that is not a method that is not run.
        unit: "points" (hundredths), or "plain" for a number that is no share, e.g. a cosine.
    """

    what: str
    sign: Sign
    state: State
    measured: PairedDifference | None = None
    missing: tuple[str, ...] = ()
    why: str = ""
    unit: Literal["points", "plain"] = "points"

    @property
    def right(self) -> bool:
        """Whether the term is decided and its difference has the claimed sign."""
        if self.state != "decided" or self.measured is None:
            return False
        return bool(holds(np.asarray(self.measured.difference), self.sign, COMPARABLE))

    @property
    def wrong(self) -> bool:
        """Whether the 95 % interval lies wholly on the wrong side."""
        if self.measured is None:
            return False
        return verdict([self.measured], [self.sign], margin=COMPARABLE).label == "not supported"

    def shown(self) -> str:
        """The difference and its interval, e.g. "+1.2 (-0.3 to +2.5)", or why there is none."""
        if self.measured is None:
            return self.state
        scale, digits = (100, 1) if self.unit == "points" else (1, 2)
        value, low, high = (
            f"{scale * x:+.{digits}f}"
            for x in (self.measured.difference, self.measured.low, self.measured.high)
        )
        return f"{value} (no interval)" if math.isnan(self.measured.low) else f"{value} ({low} to {high})"


@dataclass(frozen=True)
class Decision:
    """The decision on a claim.

    Attributes:
        claim: its id.
        profile: of the runs.
        label: supported, not supported, inconclusive, not testable here or not run.
        probability: joint probability of the decided terms; NaN where there is none.
        right: decided terms whose difference has the claimed sign.
        terms: all terms of the claim.
        parts: the terms.
        statistic: what was computed, in words.
        source: where the data came from, e.g. "twin".
        seeds: seeds that every decided term has; 0 where nothing was measured.
        subjects: people tested, over all datasets; 0 where people are not the unit.
        reason: why the label is what it is, in words.
    """

    claim: str
    profile: str
    label: Label
    probability: float
    right: int
    terms: int
    parts: tuple[Part, ...]
    statistic: str
    source: str
    seeds: int
    subjects: int
    reason: str

    @property
    def differences(self) -> str:
        """All terms' differences with their intervals; "-" for a term without one, "" if none has one."""
        if all(part.measured is None for part in self.parts):
            return ""
        return "; ".join("-" if part.measured is None else part.shown() for part in self.parts)


def undecided(
    claim: str, profile: str, reason: str, *, statistic: str = "", source: str = "", terms: int = 1
) -> Decision:
    """A decision "not run"."""
    nothing = float("nan")
    return Decision(claim, profile, "not run", nothing, 0, terms, (), statistic, source, 0, 0, reason)


def judged(parts: Sequence[Part], mode: Mode = "ALL", profile: str = "quick") -> tuple[Label, float, str]:
    """Label, joint probability of the decided terms, and the reason in words.

    With every term decided this is :func:`fbu.evaluation.verdict`. Otherwise the terms that are left can be anything,
    so the label is

    * not supported, if the claim fails even were all of them right;
    * supported, if the claim holds (MOST, SOME) even were all of them wrong;
    * "not run" while a run could still decide one, else "not testable here".

    The probability is that of the decided terms taken as a claim of their own, and the reason says which these are.

    Raises:
        ValueError: no part.
    """
    if not parts:
        raise ValueError("a decision needs at least one term")
    decided = [p for p in parts if p.state == "decided" and p.measured is not None]
    label: Label = "not run" if any(p.state == "not run" for p in parts) else "not testable here"
    probability, own = float("nan"), ""
    if decided:
        measured = [p.measured for p in decided if p.measured is not None]
        found = verdict(measured, [p.sign for p in decided], mode, confidence=CONFIDENCE, margin=COMPARABLE)
        probability, own = found.probability, found.label
        if any(math.isnan(m.low) for m in measured):
            probability = float("nan")  # a single seed or person: no distribution to speak of
        if len(decided) == len(parts):
            return found.label, probability, _all_decided(found.label, parts, mode)
    wrong = sum(p.wrong for p in parts)
    if not enough(len(parts) - wrong, len(parts), mode):
        label = "not supported"
    elif mode != "ALL" and decided and _sure(decided, len(parts), mode):
        label = "supported"
    return label, probability, _partly_decided(label, own, parts, profile)


def _sure(decided: Sequence[Part], terms: int, mode: Mode) -> bool:
    """Whether enough of all terms hold by those that are decided alone."""
    measured = [p.measured for p in decided if p.measured is not None]
    if any(math.isnan(m.low) for m in measured) or not enough(sum(p.right for p in decided), terms, mode):
        return False
    held = [holds(m.draws, p.sign, COMPARABLE) for p, m in zip(decided, measured, strict=True)]
    counts = np.sum(held, axis=0)
    return float(np.mean([enough(int(c), terms, mode) for c in counts])) >= CONFIDENCE


def _all_decided(label: str, parts: Sequence[Part], mode: Mode) -> str:
    right, n = sum(p.right for p in parts), len(parts)
    wrong = [i for i, p in enumerate(parts, 1) if p.wrong]
    need = {"ALL": "", "MOST": ", more than half are claimed", "SOME": ", one is claimed"}[mode]
    said = f"{right} of {n} terms in the claimed direction{need}"
    if n == 1:
        said = "the difference has the claimed sign" if right else "the difference has the other sign"
    if wrong:
        said += f"; wholly on the wrong side: {numbers(wrong)}"
    if any(p.measured is not None and math.isnan(p.measured.low) for p in parts):
        said += "; one seed or one person gives no interval"
    return said


def _partly_decided(label: Label, own: str, parts: Sequence[Part], profile: str) -> str:
    n, said = len(parts), []
    decided = [i for i, p in enumerate(parts, 1) if p.state == "decided"]
    if decided:
        said.append(f"{numbers(decided)} of {n}: {own}")
    reasons: dict[str, list[int]] = {}
    unrun = [name for p in parts if p.state == "not run" for name in p.missing]
    for i, part in enumerate(parts, 1):
        if part.state == "not run":
            reasons.setdefault(f"not run in {profile}: {listed(unrun)}", []).append(i)
        elif part.state != "decided":
            reasons.setdefault(_why(part), []).append(i)
    said += [f"{numbers(where)} {why}" if n > 1 else why for why, where in reasons.items()]
    wrong = [i for i, p in enumerate(parts, 1) if p.wrong and p.state == "decided"]
    if wrong:
        said.append(f"wholly on the wrong side: {numbers(wrong)}")
    if label in ("supported", "not supported") and any(p.measured is None for p in parts):
        said.append("the rest could not change that")
    return "; ".join(said)


def _why(part: Part) -> str:
    if part.why:
        return f"not testable: {part.why}"
    be = "is" if len(part.missing) == 1 else "are"
    if part.state == "refuted":
        return f"contradicted by what is run, although {listed(part.missing)} {be} not"
    return f"not testable: {listed(part.missing, 12)} {be} not run here"


def numbers(which: Sequence[int]) -> str:
    """Terms by number.

    Example:
        >>> numbers([1]), numbers([1, 3, 4])
        ('term 1', 'terms 1, 3-4')
    """
    runs: list[list[int]] = []
    for i in which:
        if runs and i == runs[-1][-1] + 1:
            runs[-1].append(i)
        else:
            runs.append([i])
    text = ", ".join(str(r[0]) if len(r) == 1 else f"{r[0]}-{r[-1]}" for r in runs)
    return f"term{'s' if len(which) > 1 else ''} {text}"


def listed(names: Sequence[str], most: int = 4) -> str:
    """The first few of several names, and how many more there are.

    Example:
        >>> listed(["a", "b"]), listed(list("abcdef"))
        ('a, b', 'a, b, c and 3 more')
    """
    names = list(dict.fromkeys(names))
    if len(names) <= most:
        return ", ".join(names)
    return f"{', '.join(names[: most - 1])} and {len(names) - most + 1} more"


def decision(
    claim: str,
    profile: str,
    parts: Sequence[Part],
    mode: Mode = "ALL",
    *,
    statistic: str,
    source: str,
    subjects: int = 0,
    note: str = "",
) -> Decision:
    """Put a decision together from its terms; ``note`` is added to the reason."""
    label, probability, reason = judged(parts, mode, profile)
    seeds = [p.measured.seeds for p in parts if p.measured is not None]
    return Decision(
        claim=claim,
        profile=profile,
        label=label,
        probability=probability,
        right=sum(p.right for p in parts),
        terms=len(parts),
        parts=tuple(parts),
        statistic=statistic,
        source=source,
        seeds=min(seeds, default=0),
        subjects=subjects,
        reason="; ".join(filter(None, [reason, note])),
    )


def with_label(one: Decision, label: Label) -> Decision:
    """The decision with another label, for a reason that the intervals do not know and the decision's note gives."""
    return replace(one, label=label)
