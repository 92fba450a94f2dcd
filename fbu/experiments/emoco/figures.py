"""EmoCo's figures: its features (Fig. 5), how fast finetuning converges, F1 by lambda, margins over MoCo by set."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from fbu import figures, reported
from fbu.experiments.common import Cell, Table, points
from fbu.experiments.emoco.stages import (
    COLUMNS,
    EMOTION,
    FINETUNE,
    LINEAR,
    MOCO,
    NAMES,
    SUPERVISED,
    WHOLE,
    Source,
    detection,
    pretraining,
    units,
)
from fbu.experiments.emoco.tables import by_protocol, table1_gft, table2_disfa, table3_bp4d
from fbu.experiments.profiles import few_seeds, looked_at, profile_named, source_of, traced
from fbu.figures import PageFigure
from fbu.figures.scatter import clouds
from fbu.models.emoco_units import SHOWN_UNIT
from fbu.runs import Run

#: Length of what is traced, in epochs: the paper speaks of the fifth, which other trainings of demo do not reach.
EPOCHS = 8.0


def fig5_features(profile: str = "quick", source: Source = "twin", seeds: int | None = None) -> Table:
    """Figure 5: features of BP4D's test people by emotion, and by AU6 within an emotion; MoCo's beside them.

    The paper draws t-SNE pictures of the emotion classifier's features and of EmoCo's, and gives no number. Here are
    neighbours from other people and silhouettes of emotions, a linear probe and the silhouette of AU6 within emotions
    (chance 50 and 0), and how well a person can be recognised; on twins also sex and age (chance 50).

    Args:
        profile: quick (without MoCo), demo, full or paper.
        source: "twin" or "real", or one per dataset; "open" for the pre-training.
        seeds: number of seeds. Default: the profile's.
    """
    p = profile_named(profile)
    columns = {
        "neighbour purity of emotions": "expression_purity",
        "silhouette of emotions": "silhouette",
        "AU6 within an emotion": "within/AU6",
        "silhouette of AU6": "apart/AU6",
        "all units within an emotion": "within",
        "identity": "identity_leak",
        "sex": "sex_leak",
        "age": "age_leak",
    }
    if source_of("bp4d", source) == "real":  # nobody wrote down what its people look like
        columns = {name: metric for name, metric in columns.items() if name not in ("sex", "age")}
    cells = [
        Cell(
            NAMES[parts],
            column,
            metric,
            tuple(
                looked_at(
                    pretraining(p, source, s, parts),
                    "emoco.look",
                    units(p, "BP4D", source, s),
                    embed=210 if p.name == "quick" else 1000,  # pictures of a t-SNE
                )
                for s in range(0 if p.name == "quick" and parts == MOCO else seeds or p.seeds)
            ),
            why_empty=f"not run in {p.name}",
        )
        for column, metric in columns.items()
        for parts in (EMOTION, WHOLE, MOCO)
    ]
    return Table("emoco.fig5_features", profile, cells)


def within_emotion(table: Table) -> PageFigure:
    """One emotion's pictures by t-SNE, with and without AU6; a panel for each row of :func:`fig5_features`."""
    panels = {}
    for cell in table.cells:
        runs = table.results(cell)
        if cell.column != table.columns()[0] or not runs or "within" not in runs[0].extra:
            continue
        found = runs[0].extra["within"]
        labels = [SHOWN_UNIT if on else f"no {SHOWN_UNIT}" for on in found[SHOWN_UNIT]]
        panels[f"{cell.label}, {found['emotion']}"] = pd.DataFrame(
            {"x": found["x"], "y": found["y"], "label": labels}
        )
    return clouds(panels)


def fig_convergence(profile: str = "quick", source: Source = "twin", seeds: int | None = None) -> Table:
    """Section IV.D: F1 by epoch of finetuning and of supervised training; the paper says fewer than 5 epochs.

    Trainings of eight epochs, in quick of as few pictures as all others. Args as :func:`fig5_features`; one seed in
    quick and demo, quick has BP4D alone. :func:`convergence` reads the curves.
    """
    p, cells = profile_named(profile), []
    epochs = EPOCHS if p.name in ("demo", "full") else None  # quick is a smoke run, paper has ten
    for column in COLUMNS:
        for label, protocol in (("ResNet-50 supervised", SUPERVISED), ("EmoCo finetune", FINETUNE)):
            count = 0 if p.name == "quick" and column != "BP4D" else few_seeds(p, seeds)
            trainings = (detection(p, column, source, s, protocol) for s in range(count))
            recipes = tuple(traced(p, r, epochs=epochs) for r in trainings)
            cells.append(Cell(label, column, "f1", recipes, why_empty=f"not run in {p.name}"))
    return Table("emoco.fig_convergence", profile, cells)


def margins(profile: str = "quick", source: Source = "twin", seeds: int | None = None) -> Table:
    """Section IV.D: how far finetuned EmoCo is ahead, by set; the text says that it is most apparent on GFT.

    The averages of Tables I to III again, under both protocols; :func:`ahead` takes the differences. Args as
    :func:`fig5_features`.
    """
    tables = (table1_gft, table2_disfa, table3_bp4d)
    cells = []
    for column, built in zip(COLUMNS, tables, strict=True):
        table = built(profile, source, seeds)
        for method, protocol in by_protocol("MoCo", "EmoCo"):
            cell = table.cell(f"{method} {protocol}", "Avg")
            cells.append(replace(cell, column=column))
    return Table("emoco.margins", profile, cells)


#: Reported table of each set.
PRINTED = {"GFT": "emoco_table1_gft", "DISFA": "emoco_table2_disfa", "BP4D": "emoco_table3_bp4d"}


def ahead(table: Table) -> pd.DataFrame:
    """EmoCo's lead in F1 points by protocol and set: the paper's over every self-supervised method, over MoCo, ours.

    Args:
        table: :func:`margins` with its runs.
    """
    rows = {}
    for protocol in (LINEAR, FINETUNE):
        for column, name in PRINTED.items():
            printed = reported.table(name)
            averages = printed[(printed["class_or_au"] == "avg") & (printed["variant"] == protocol)]
            scores = averages.set_index("method")["value"]
            others = scores.drop("EmoCo")
            row: dict[str, Any] = {
                "paper, over the best other": f"{scores['EmoCo'] - others.max():+.1f} ({others.idxmax()})",
                "paper, over MoCo": f"{scores['EmoCo'] - scores['MoCo']:+.1f}",
            }
            ours, base = (table.cell(f"{m} {protocol}", column) for m in ("EmoCo", "MoCo"))
            if table.results(ours) and table.results(base):
                found = table.difference(ours, base)
                row["this run, over MoCo"] = (
                    f"{100 * found.difference:+.1f} ({100 * found.low:+.1f} to {100 * found.high:+.1f})"
                )
            else:
                row["this run, over MoCo"] = f"not run in {table.profile}"
            rows[protocol, column] = row
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(index=["protocol", "set"])


def by_lambda(table: Table, column: str) -> PageFigure:
    """F1 over lambda with both normalisations, a column of Figure 4 as its notebook draws it."""
    rows = []
    for cell in table.cells:
        runs = table.results(cell)
        if cell.column == column and runs:
            series, _, value = cell.label.partition(", λ = ")
            rows.append(
                {"x": float(value), "y": np.mean([points(r, cell.metric) for r in runs]), "series": series}
            )
    return figures.sweep(pd.DataFrame(rows), "λ", "F1", f"EmoCo, Figure 4: {column}", marked=1.0, log=True)


def spans(table: Table) -> pd.DataFrame:
    """How far F1 moves over lambda, by normalisation, set and protocol: highest less lowest of the mean over seeds.

    Args:
        table: Figure 4 with its runs.
    """
    rows = []
    for column in table.columns():
        for series in dict.fromkeys(c.label.partition(", λ")[0] for c in table.cells):
            cells = [c for c in table.cells if c.column == column and c.label.startswith(f"{series},")]
            scores = [
                np.mean([points(r, c.metric) for r in table.results(c)]) for c in cells if table.results(c)
            ]
            row: dict[str, Any] = {"column": column, "normalisation": series, "values of λ run": len(scores)}
            if len(scores) > 1:
                row |= {"lowest": min(scores), "highest": max(scores), "range": max(scores) - min(scores)}
            rows.append(row)
    names = ["column", "normalisation", "values of λ run", "lowest", "highest", "range"]
    frame = pd.DataFrame(rows, columns=names)
    return frame[frame["values of λ run"] > 0].set_index(["column", "normalisation"]).round(1)


def epochs_needed(run: Run, metric: str = "f1") -> float:
    """Epoch after which a traced training scores highest on its validation people; the first of equally good ones."""
    return _epochs(run)[int(np.argmax([s["val"][metric] for s in run.extra["history"]]))]


def trained_for(run: Run) -> float:
    """Length of a traced training in epochs."""
    return _epochs(run)[-1]


def _epochs(run: Run) -> list[float]:
    pictures = len(run.task().train_split)  # type: ignore[attr-defined]
    return [s["step"] * run.recipe.optim.batch_size / pictures for s in run.extra["history"]]


def best_epochs(table: Table) -> pd.DataFrame:
    """Length in epochs and the epoch of the best validation F1, by set and row of :func:`fig_convergence`; means."""
    rows = {}
    for cell in table.cells:
        runs = table.results(cell)
        if runs:
            rows[cell.column, cell.label] = {
                "epochs trained": np.mean([trained_for(r) for r in runs]),
                "epoch of the best validation F1": np.mean([epochs_needed(r, cell.metric) for r in runs]),
                "seeds": len(runs),
            }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(index=["set", "row"]).round(1)


def curves(table: Table) -> list[PageFigure]:
    """Validation F1 by epoch of :func:`fig_convergence`, mean over seeds: a picture for each set that was run."""
    found = convergence(table).rename(columns={"epoch": "x", "validation": "y", "row": "series"})
    drawn = []
    for column, part in found.groupby("column", sort=False):
        means = part.groupby(["series", "x"], sort=False)["y"].mean().reset_index()
        means["x"] = means["x"].round(1)
        drawn.append(figures.sweep(means, "epoch", "F1 of the validation people", f"EmoCo: {column}"))
    return drawn


def convergence(table: Table) -> pd.DataFrame:
    """F1 in points along each training of :func:`fig_convergence`.

    Columns: row, column, seed, epoch (passes over the training split), validation and test F1.
    """
    found = []
    for cell in table.cells:
        for run in table.results(cell):
            for epoch, scored in zip(_epochs(run), run.extra["history"], strict=True):
                found.append(
                    {
                        "row": cell.label,
                        "column": cell.column,
                        "seed": run.recipe.seed,
                        "epoch": epoch,
                        "validation": 100 * scored["val"][cell.metric],
                        "test": 100 * scored["test"][cell.metric],
                    }
                )
    return pd.DataFrame(found, columns=["row", "column", "seed", "epoch", "validation", "test"])
