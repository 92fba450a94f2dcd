"""Beyond the paper, for any table with predictions: calibration, and how the score differs from person to person."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from fbu import figures
from fbu.evaluation.predictions import au_arrays, classes_of, kind_of
from fbu.evaluation.tallies import nan_mean, tally
from fbu.experiments.common import Cell, Table, points, with_spread
from fbu.runs import Run

LEAST_PICTURES = 5
"""Median number of pictures per person below which a person's own score says little."""


def calibration(table: Table) -> pd.DataFrame:
    """How far probabilities are from the truth, by row: expected calibration error, and on which side, in points.

    Of an expression the probability of the answer counts, of action units that of each unit. *Too sure* is the mean
    probability less the share that is right (of units: that is on); negative is too unsure. Rows whose scores are no
    probabilities read NaN.

    Returns:
        Index column, row; columns ``calibration error`` and ``too sure``, each mean, spread and n over seeds.
    """
    rows: list[dict[str, object]] = []
    for cell, runs in _with_predictions(table):
        error = pd.Series([points(r, "calibration_error") for r in runs])
        sure = pd.Series([100 * _too_sure(r.predictions) for r in runs])
        rows.append(
            {
                "column": cell.column,
                "row": cell.label,
                "calibration error": with_spread(error.mean(), error.std(), len(error)),
                "too sure": with_spread(sure.mean(), sure.std(), len(sure)),
            }
        )
    columns = ["column", "row", "calibration error", "too sure"]
    return pd.DataFrame(rows, columns=columns).set_index(["column", "row"])


def _too_sure(predictions: pd.DataFrame) -> float:
    names = classes_of(predictions)
    if kind_of(predictions) == "au":
        targets, scores, _ = au_arrays(predictions)
        coded = np.isin(targets, (0, 1))
        return float(scores[coded].mean() - targets[coded].mean())
    scores = predictions[[f"p_{name}" for name in names]].to_numpy(dtype=np.float64)
    said = np.asarray(names, dtype=object)[scores.argmax(axis=1)]
    return float(scores.max(axis=1).mean() - (said == predictions["target"].to_numpy(dtype=object)).mean())


def subject_scores(table: Table) -> pd.DataFrame:
    """Score of every tested person alone, by row, in points.

    A person who is tested under several seeds has the mean over them. A person of whom no action unit is ever on has
    no F1 (NaN).

    Returns:
        Columns column, label, subject, score, pictures.
    """
    parts = []
    for cell, runs in _with_predictions(table):
        stacked = pd.concat([run.predictions for run in runs], ignore_index=True)
        counted = tally([stacked], cell.metric)
        scores = nan_mean(counted.formula(counted.counts[0].astype(np.float64)))  # (U,)
        pictures = stacked.groupby(stacked["subject"].astype(str))["sample"].nunique()
        frame = pd.DataFrame({"subject": counted.units, "score": 100 * scores})
        frame["pictures"] = frame["subject"].map(pictures)
        parts.append(frame.assign(column=cell.column, label=cell.label))
    columns = ["column", "label", "subject", "score", "pictures"]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def subject_spread(table: Table) -> pd.DataFrame:
    """How the score differs from person to person, by row: mean, 10th and 90th percentile over people, in points.

    Returns:
        Index column, row; columns people, pictures (median per person), mean, 10th percentile, 90th percentile,
        worst (the lowest), note ("few pictures of each" below :data:`LEAST_PICTURES`).
    """
    scores = subject_scores(table)
    rows = []
    for (column, label), part in scores.groupby(["column", "label"], sort=False):
        known = part["score"].dropna()
        pictures = float(part["pictures"].median())
        rows.append(
            {
                "column": column,
                "row": label,
                "people": len(known),
                "pictures": pictures,
                "mean": known.mean(),
                "10th percentile": known.quantile(0.1),
                "90th percentile": known.quantile(0.9),
                "worst": known.min(),
                "note": "few pictures of each" if pictures < LEAST_PICTURES else "",
            }
        )
    columns = ["column", "row", "people", "pictures", "mean", "10th percentile", "90th percentile"]
    frame = pd.DataFrame(rows, columns=[*columns, "worst", "note"])
    return frame.set_index(["column", "row"]).round(1)


def subject_figure(table: Table, title: str = "") -> figures.PageFigure:
    """A dot per person, by row, with the mean and the range that holds the middle four fifths of the people.

    Columns with too few pictures per person are left out: their people's scores are mostly 0 or 100.

    Raises:
        ValueError: no column has enough.
    """
    scores = subject_scores(table)
    enough = scores.groupby("column")["pictures"].median() >= LEAST_PICTURES
    shown = scores[scores["column"].map(enough).astype(bool)] if len(scores) else scores
    return figures.people_dots(shown, "points, one person at a time", title)


def _with_predictions(table: Table) -> Iterator[tuple[Cell, list[Run]]]:
    """Cells whose finished runs keep predictions, in the table's order."""
    for cell in table.cells:
        runs = table.results(cell)
        if runs and all((run.folder / "predictions.csv").exists() for run in runs):
            yield cell, runs
