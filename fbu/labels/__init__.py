"""Words as data: expressions, action units, activities, class orders and prompt templates."""

from fbu.labels.activities import ACTIVITIES
from fbu.labels.names import EXPRESSIONS, action_units, expressions
from fbu.labels.orders import AU_SETS, ORDERS
from fbu.labels.prompting import (
    ENRICHED,
    EXPRESSION_UNITS,
    INTENSITY_SUFFIXES,
    describe,
    enriched,
    fill,
    names,
    prompts,
    templates,
)
from fbu.labels.types import OURS, OURS_FACS, ActionUnit, Activity, Label, Template

__all__ = [
    "ACTIVITIES",
    "AU_SETS",
    "ENRICHED",
    "EXPRESSIONS",
    "EXPRESSION_UNITS",
    "INTENSITY_SUFFIXES",
    "ORDERS",
    "OURS",
    "OURS_FACS",
    "ActionUnit",
    "Activity",
    "Label",
    "Template",
    "action_units",
    "describe",
    "enriched",
    "expressions",
    "fill",
    "names",
    "prompts",
    "templates",
]
