"""Scores of predictions, their uncertainty over people and seeds, and verdicts on claimed directions.

All scores are fractions (0..1), not per cent. ``metrics`` works on arrays, ``predictions`` on prediction
frames, ``bootstrap`` adds intervals and paired comparisons, ``verdicts`` judges claims.

A prediction frame has one row per tested sample: ``sample``, ``subject``, ``fold``, ``seed`` (fold and seed
may be missing), then for expressions ``target`` (class name) and ``p_<class>``; for action units
``target_AU1`` ... (0, 1, or -1 = not coded) and ``p_AU1`` ... .
"""

from fbu.evaluation.bootstrap import Interval, PairedDifference, bootstrap, paired_bootstrap
from fbu.evaluation.metrics import (
    accuracy,
    au_f1,
    calibration_error,
    class_recall,
    confusion,
    mean_class_accuracy,
    mean_f1,
    uar,
    war,
)
from fbu.evaluation.predictions import classes_of, kind_of, predicted, score
from fbu.evaluation.tallies import countable
from fbu.evaluation.verdicts import Verdict, verdict

__all__ = [
    "Interval",
    "PairedDifference",
    "Verdict",
    "accuracy",
    "au_f1",
    "bootstrap",
    "calibration_error",
    "class_recall",
    "classes_of",
    "confusion",
    "countable",
    "kind_of",
    "mean_class_accuracy",
    "mean_f1",
    "paired_bootstrap",
    "predicted",
    "score",
    "uar",
    "verdict",
    "war",
]
