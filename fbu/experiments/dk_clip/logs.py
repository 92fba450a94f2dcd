"""The authors' published training logs: what choosing the epoch by the test list gains, and what that does to ranks."""

from __future__ import annotations

import numpy as np
import pandas as pd

from fbu import reported
from fbu.figures.style import COLOURS, GREY, MARKERS, PageFigure, grid, page, styled

#: Predictions that the logs hold: of the clip, of its snippets, of both.
KINDS = ("global", "local", "fused")
#: Reported table of each data set.
TABLES = {
    "DFEW": "dk_clip_table2_dfew",
    "FERV39K": "dk_clip_table3_ferv39k_mafw",
    "MAFW": "dk_clip_table3_ferv39k_mafw",
}
#: Epochs at the end of a log, whose mean says whether the last one was an unlucky one.
LATE = 10


def published_logs() -> pd.DataFrame:
    """WAR on the test list after the best and after the last logged epoch of each published training.

    Returns:
        One row per data set, fold and kind of prediction: ``epochs`` logged, ``last``, ``late`` (mean of the last ten
        epochs), ``best`` and its ``epoch`` (counted from 0, as the logs do), ``gain`` (best less last), and ``readme``,
        the WAR that the authors publish for the fold.
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
                    "late": round(float(curve.iloc[-LATE:].mean()), 2),
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
        ``last``, ``late``, ``best``, ``gain``, ``readme`` (means over folds), and ``folds_at_best``: in how many folds
        the published number is that kind's best epoch, to two digits behind the point.
    """
    logs = published_logs()
    logs["folds_at_best"] = (logs["best"] - logs["readme"]).abs() < 0.006
    grouped = logs.groupby(["dataset", "prediction"], sort=False)
    means = grouped[["last", "late", "best", "gain", "readme"]].mean().round(2)
    return means.assign(folds_at_best=grouped["folds_at_best"].sum(), folds=grouped.size())


def ranks() -> pd.DataFrame:
    """Where DK-CLIP (ViT-B/16) would stand by WAR with its last logged epoch, among what Tables 2 and 3 print.

    The other methods' numbers stay as printed, though some of them may be of a best test epoch, too.

    Returns:
        One row per data set: ``printed`` WAR and its ``rank``, mean of the ``last`` epochs and its ``rank_last``,
        the best other method and its WAR.
    """
    means = chosen_on_test()
    rows = {}
    for dataset in TABLES:
        frame = _accuracies(dataset)
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


def _accuracies(dataset: str) -> pd.DataFrame:
    """The WAR that Tables 2 and 3 print on a data set."""
    frame = reported.table(TABLES[dataset])
    return frame[(frame["dataset"] == dataset) & (frame["metric"] == "WAR") & frame["value"].notna()]


def ranking(dataset: str) -> pd.DataFrame:
    """What Tables 2 and 3 print of WAR on a data set, in order, with the logs' last and late epochs among it.

    The other methods' numbers stay as printed, though some of them may be of a best test epoch, too.
    """
    printed = _accuracies(dataset)
    names = (printed["method"] + " " + printed["variant"].str.removeprefix("backbone=")).str.strip()
    rows = pd.DataFrame({"row": names, "WAR": printed["value"], "from": "reported (paper)"})
    mean = chosen_on_test().xs("global", level="prediction")
    ours = [
        {
            "row": f"DK-CLIP ViT-B/16, {words}",
            "WAR": float(mean[name][dataset]),
            "from": "authors' logs, mean over folds",
        }
        for name, words in (("last", "last epoch"), ("late", f"mean of the last {LATE} epochs"))
    ]
    every = pd.concat([rows, pd.DataFrame(ours)], ignore_index=True)
    return every.sort_values("WAR", ascending=False, kind="stable").set_index("row")


@styled
def curves() -> PageFigure:
    """WAR on the test list by epoch of the clips' prediction: a line per published training, a panel per data set.

    A filled mark is the best epoch, an open one the last; the dashed line is the best other method of the paper.
    """
    logs = reported.table("dk_clip_logs")
    figure = page(3.0)
    panels = figure.subplots(1, len(TABLES), squeeze=False)[0]
    for axes, dataset in zip(panels, TABLES, strict=True):
        for number, (fold, log) in enumerate(logs[logs["dataset"] == dataset].groupby("fold")):
            log = log.sort_values("epoch")
            x, y = log["epoch"].to_numpy(), log["war_global"].to_numpy()
            colour, marker = COLOURS[number], MARKERS[number]
            axes.plot(x, y, color=colour, linewidth=1, label=f"fold {fold}")
            best = int(np.argmax(y))
            axes.plot(x[best], y[best], marker, color=colour, markersize=6)
            axes.plot(x[-1], y[-1], marker, color=colour, markersize=6, markerfacecolor="white")
        other = ranks().loc[dataset]
        axes.axhline(other["its WAR"], color=GREY, linestyle="--", linewidth=1)
        axes.set_title(f"{dataset} (dashed: {other['best other']})", fontsize=8.5)
        axes.set_ylim(bottom=logs.loc[logs["dataset"] == dataset, "war_global"].quantile(0.08) - 2)
        axes.set_xlabel("epoch")
        grid(axes, "y")
    panels[0].set_ylabel("WAR on the test list")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return figure
