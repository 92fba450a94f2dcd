"""The authors' published training logs: what choosing the epoch by the test list gains, and what that does to ranks."""

from __future__ import annotations

import pandas as pd

from fbu import reported

#: Predictions that the logs hold: of the clip, of its snippets, of both.
KINDS = ("global", "local", "fused")


def published_logs() -> pd.DataFrame:
    """WAR on the test list after the best and after the last logged epoch of each published training.

    Returns:
        One row per data set, fold and kind of prediction: ``epochs`` logged, ``last``, ``best`` and its ``epoch``,
        ``gain`` (best less last), and ``readme``, the WAR that the authors publish for the fold.
    """
    folds = reported.table("dk_clip_readme_folds")
    readme = folds[folds["class_or_metric"] == "WAR"].set_index(["dataset", "fold"])["value"]
    found = []
    for (dataset, fold), log in reported.table("dk_clip_logs").groupby(["dataset", "fold"], sort=False):
        log = log.sort_values("epoch")
        for kind in KINDS:
            curve = log[f"war_{kind}"]
            found.append(
                {
                    "dataset": dataset,
                    "fold": fold,
                    "prediction": kind,
                    "epochs": len(log),
                    "last": curve.iloc[-1],
                    "best": curve.max(),
                    "epoch": int(log["epoch"].iloc[int(curve.to_numpy().argmax())]),
                    "gain": round(curve.max() - curve.iloc[-1], 2),
                    "readme": readme.get((dataset, str(fold)), float("nan")),
                }
            )
    return pd.DataFrame(found)


def chosen_on_test() -> pd.DataFrame:
    """Mean over folds of :func:`published_logs`, one row per data set and kind of prediction.

    Returns:
        ``last``, ``best``, ``gain``, ``readme`` (means over folds), and ``folds_at_best``: in how many folds the
        published number is that kind's best epoch, to two digits behind the point.
    """
    logs = published_logs()
    logs["folds_at_best"] = (logs["best"] - logs["readme"]).abs() < 0.006
    grouped = logs.groupby(["dataset", "prediction"], sort=False)
    means = grouped[["last", "best", "gain", "readme"]].mean().round(2)
    return means.assign(folds_at_best=grouped["folds_at_best"].sum(), folds=grouped.size())


def ranks() -> pd.DataFrame:
    """Where DK-CLIP (ViT-B/16) would stand by WAR with its last logged epoch, among what Tables 2 and 3 print.

    The other methods' numbers stay as printed, though some of them may be of a best test epoch, too.

    Returns:
        One row per data set: ``printed`` WAR and its ``rank``, mean of the ``last`` epochs and its ``rank_last``,
        the best other method and its WAR.
    """
    tables = {
        "DFEW": "dk_clip_table2_dfew",
        "FERV39K": "dk_clip_table3_ferv39k_mafw",
        "MAFW": "dk_clip_table3_ferv39k_mafw",
    }
    means = chosen_on_test()
    rows = {}
    for dataset, name in tables.items():
        frame = reported.table(name)
        frame = frame[(frame["dataset"] == dataset) & (frame["metric"] == "WAR") & frame["value"].notna()]
        own = (frame["method"] == "DK-CLIP") & (frame["variant"] == "backbone=ViT-B/16")
        others = frame[frame["method"] != "DK-CLIP"]
        printed = float(frame["value"][own].iloc[0])
        last = float(means["last"].xs("global", level="prediction")[dataset])
        best = others.sort_values("value").iloc[-1]
        rows[dataset] = {
            "printed": printed,
            "rank": 1 + int((others["value"] > printed).sum()),
            "last": last,
            "rank_last": 1 + int((others["value"] > last).sum()),
            "best other": best["method"],
            "its WAR": best["value"],
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("dataset")
