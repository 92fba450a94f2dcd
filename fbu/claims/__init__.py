"""What the papers claim, parsed, and whether their own tables agree."""

from fbu.claims.grammar import Filter, Mode, Side, Sign, Statement, Term, parse
from fbu.claims.reading import Claim, Evaluation, claim, claims, contradicted, evaluate

__all__ = [
    "Claim",
    "Evaluation",
    "Filter",
    "Mode",
    "Side",
    "Sign",
    "Statement",
    "Term",
    "claim",
    "claims",
    "contradicted",
    "evaluate",
    "parse",
]
