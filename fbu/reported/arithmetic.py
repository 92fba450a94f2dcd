"""The papers' own arithmetic: averages, cells that two papers print, and marks of the second best."""

from __future__ import annotations

import pandas as pd

from fbu.reported.tables import results

TOLERANCE = 0.06
"""Difference, in points, beyond which a printed average counts as off.

With one decimal everywhere, rounding leaves about 0.03 between an average and the mean of its parts, 0.1 at worst.
"""

_MEAN_METRICS = ("f1", "UAR", "mean_accuracy")  # unweighted means over the classes; accuracy and WAR are not
_ALIASES = {"JAA": "JAA-Net"}  # one method, two spellings; every other name is the same in all papers


def averages(tolerance: float = TOLERANCE) -> pd.DataFrame:
    """Every printed average whose parts are printed too, with the mean of the parts.

    Only metrics that are unweighted means (f1, UAR, mean accuracy) over at least two printed parts.

    Returns:
        Columns ``paper, table, method, variant, dataset, metric, reported, recomputed, parts, difference``
        (reported minus recomputed) and ``off`` (beyond ``tolerance``).
    """
    frame = results().dropna(subset="value")
    key = ["paper", "table", "method", "variant", "dataset"]
    parts = frame[~frame["class_or_au"].isin(["", "avg"])]
    means = parts.groupby(key, sort=False)["value"].agg(recomputed="mean", parts="size").reset_index()
    printed = frame[(frame["class_or_au"] == "avg") & frame["metric"].isin(_MEAN_METRICS)]
    out = printed.rename(columns={"value": "reported"}).merge(means[means["parts"] >= 2], on=key)
    out["difference"] = out["reported"] - out["recomputed"]
    out["off"] = out["difference"].abs() > tolerance + 1e-9
    return out[[*key, "metric", "reported", "recomputed", "parts", "difference", "off"]]


def leaders() -> pd.DataFrame:
    """First row of every table by the printed averages and by the recomputed ones.

    Returns:
        One row per table, with ``first, margin`` (points above the second) by the printed averages and
        ``first_recomputed, margin_recomputed``. Only rows whose parts are printed take part.
    """
    frame = averages()
    frame["row"] = (frame["method"] + ", " + frame["variant"]).str.removesuffix(", ")
    out = []
    for (name, dataset, metric), part in frame.groupby(["table", "dataset", "metric"], sort=False):
        entry = {"table": name, "dataset": dataset, "metric": metric}
        for column, suffix in (("reported", ""), ("recomputed", "_recomputed")):
            best = part.nlargest(2, column)
            entry[f"first{suffix}"] = best["row"].iloc[0]
            entry[f"margin{suffix}"] = best[column].iloc[0] - best[column].iloc[-1]
        out.append(entry)
    return pd.DataFrame(out)


def shared_cells() -> pd.DataFrame:
    """Cells that two papers print for the same method, dataset, class and metric.

    Returns:
        Columns ``method, dataset, class_or_au, metric``, one column per paper (NaN where it does not print
        the cell), ``range`` (largest minus smallest) and ``differs``.
    """
    frame = results().dropna(subset="value")
    frame["method"] = frame["method"].replace(_ALIASES)
    key = ["method", "dataset", "class_or_au", "metric"]
    # A cell that a paper prints in several variants has no single value to compare.
    single = frame[~frame.duplicated([*key, "paper"], keep=False)]
    wide = single.pivot(index=key, columns="paper", values="value").rename_axis(columns=None)
    wide = wide[wide.notna().sum(axis=1) > 1].dropna(axis=1, how="all")
    spread = wide.max(axis=1) - wide.min(axis=1)
    return wide.assign(range=spread, differs=spread > 1e-9).reset_index()


def second_best_marks() -> pd.DataFrame:
    """Every value that a paper marks as second best, with how many rows of its table are better.

    Returns:
        Columns ``paper, table, method, dataset, class_or_au, metric, value, better`` and ``wrong`` (not
        exactly one row is better).
    """
    frame = results().dropna(subset="value")
    column = ["table", "dataset", "class_or_au", "metric"]
    # All marked metrics grow with quality, so the best of a column has rank 1; equal values share a rank.
    frame["better"] = (frame.groupby(column)["value"].rank(method="min", ascending=False) - 1).astype(int)
    marked = frame[frame["note"].str.contains("second best", regex=False)].copy()
    marked["wrong"] = marked["better"] != 1
    names = ["paper", "table", "method", "dataset", "class_or_au", "metric", "value", "better", "wrong"]
    return marked[names].reset_index(drop=True)
