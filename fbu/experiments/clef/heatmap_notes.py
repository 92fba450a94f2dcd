"""What the page of Figure 6 says about its table: frames and figures, computed from the runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from fbu import figures
from fbu.data.specs import load_spec
from fbu.evaluation.bootstrap import PairedDifference, paired_difference
from fbu.evaluation.tallies import tally_values
from fbu.experiments import notes
from fbu.experiments.clef.heatmaps import MEASURES, NO_MASK
from fbu.experiments.common import Table, with_spread
from fbu.labels import prompting
from fbu.localisation import region
from fbu.models.heatmaps import ROLES, true_change
from fbu.runs import Run

NO_FACES = "pictures under licence are not drawn into pages: set show_faces=True on your own machine"


def datasets(table: Table) -> list[str]:
    """Datasets of the table as its columns name them, in reading order."""
    return list(
        dict.fromkeys(column.partition(":")[0].removesuffix(" by label") for column in table.columns())
    )


def sources(table: Table) -> pd.DataFrame:
    """Where the numbers of each dataset come from, as :func:`fbu.experiments.notes.sources` says it of columns."""
    columns = {f"{dataset}: likeness of maps": dataset for dataset in datasets(table)}
    cells = [cell for cell in table.cells if cell.column in columns]
    return notes.sources(Table(table.name, table.profile, cells, table.runs)).rename(columns=columns)


def scores(table: Table, dataset: str, wanted: tuple[str, ...] = tuple(MEASURES.values())) -> pd.DataFrame:
    """Columns of one dataset side by side, each as reference (ledger) and this run; times 100, with n = seeds."""
    frame, parts = table.frame(), {}
    for words in wanted:
        part = frame[frame["column"] == f"{dataset}: {words}"].set_index("label")
        source = next((s for s in part["source"] if s), "none")
        parts[words, "reference"] = part.apply(_reference, axis=1)
        parts[words, f"this run ({source})"] = part.apply(_ours, axis=1)
    return pd.DataFrame(parts).rename_axis("row")


def _reference(row: pd.Series) -> str:
    text = with_spread(row["reference"], row["reference_spread"], row["reference_n"])
    return text + (" stale" if row["stale"] else "")


def _ours(row: pd.Series) -> str:
    return with_spread(row["value"], row["spread"], row["n"]) if row["n"] else str(row["note"])


def above_chance(table: Table, dataset: str) -> pd.DataFrame:
    """How far maps of the full model lie above chance, and names above names of what is absent, with 95 % intervals.

    Means over labels; bootstrap over seeds and test people, in points. Empty without masks.
    """
    runs = [r for r in after(table, dataset) if _has_masks(r)]
    if not runs:
        return pd.DataFrame(columns=list(MEASURES.values()))
    asked = pd.concat([answered(r) for r in runs], ignore_index=True)
    pairs = [(kind, "chance") for kind in ("name", "description", "rollout")] + [("name", "absent")]
    rows: dict[str, dict[str, str]] = {}
    for kind, base in pairs:
        found = {
            words: means_apart(asked, [f"{measure}/{kind}"], [f"{measure}/{base}"])
            for measure, words in MEASURES.items()
        }
        rows[f"{kind} minus {base}"] = {
            words: f"{100 * d.difference:+.1f} ({100 * d.low:+.1f} to {100 * d.high:+.1f})"
            for words, d in found.items()
            if d is not None
        }
    return pd.DataFrame.from_dict(rows, orient="index", columns=list(MEASURES.values()))


def answered(run: Run) -> pd.DataFrame:
    """The questions of a scoring, one per picture and label, with the columns that ``tally_values`` counts by."""
    frame = items(run).assign(seed=run.recipe.seed)
    frame["target"], frame["sample"] = frame["label"], frame["sample"] + "/" + frame["label"]
    return frame


def means_apart(asked: pd.DataFrame, ours: Sequence[str], base: Sequence[str]) -> PairedDifference | None:
    """Mean of some numbers minus the mean of others, over the pictures of a label and then labels.

    Args:
        asked: as from :func:`answered`, of one run or several.
        ours: columns whose mean counts.
        base: columns that it is held against.

    Returns:
        The difference with its interval over seeds and people, as fractions; None where a column is not there.
    """
    columns = [*ours, *base]
    known = asked.dropna(subset=columns) if set(columns) <= set(asked) else asked.iloc[:0]
    if known.empty:
        return None
    a, b = (known.assign(value=known[list(names)].mean(axis=1)) for names in (ours, base))
    return paired_difference(tally_values([a, b], sorted(known["target"].unique())))


def _has_masks(run: Run) -> bool:
    return "pointing/name" in run.metrics["test"]


def after(table: Table, dataset: str) -> list[Run]:
    """Finished scorings of the full model on a dataset, one per seed."""
    return table.results(table.cell("CLEF, its own description", f"{dataset}: likeness of maps"))


def items(run: Run) -> pd.DataFrame:
    """Scores of a scoring, one row per picture and label, as fractions."""
    return pd.DataFrame(run.extra["items"])


def by_label(table: Table, dataset: str, measure: str = "pointing") -> pd.DataFrame:
    """Scores of each label in points, mean over seeds: columns label, group, value, chance; empty without masks."""
    runs, rows = [r for r in after(table, dataset) if _has_masks(r)], []
    found = [run.metrics["test"] for run in runs]
    names = [
        name for name in (runs[0].extra["labels"] if runs else []) if f"{measure}/name/{name}" in found[0]
    ]
    groups = {"name": "by name", "description": "by description", "rollout": "attention rollout"}
    for label in names:
        chance = _mean(found, f"{measure}/chance/{label}")
        for kind, words in groups.items():
            value = _mean(found, f"{measure}/{kind}/{label}")
            rows.append({"label": label, "group": words, "value": value, "chance": chance})
    return pd.DataFrame(rows, columns=["label", "group", "value", "chance"])


def _mean(found: list[dict[str, float]], name: str) -> float:
    return 100 * float(np.mean([metrics[name] for metrics in found if name in metrics]))


def examples(run: Run, count: int = 8) -> list[dict[str, Any]]:
    """At most ``count`` answered questions of a scoring, evenly spread over its labels."""
    every = run.extra["examples"]
    at = np.unique(np.linspace(0, len(every) - 1, min(count, len(every))).round().astype(int))
    return [every[i] for i in at]


def overlays(table: Table, dataset: str, *, show_faces: bool = False) -> figures.PageFigure | str:
    """Figure 6's pictures: one per label, first seed; the true region is outlined where it is known.

    Args:
        table: after its run.
        dataset: as the table's columns name it.
        show_faces: draw photographs of people, too; without it their heatmaps stand alone.

    Returns:
        The figure, or in words why there is none.
    """
    runs = after(table, dataset)
    if not runs:
        return why_empty(table, dataset)
    run, shown = runs[0], examples(runs[0])
    drawn = run.recipe.data.source == "twin"
    pictures = None
    if drawn or show_faces:
        pictures = load_spec(run.recipe.data, "test").images[np.array([e["row"] for e in shown])]
    masks = None
    if drawn:
        change = true_change(run.recipe, [e["sample"] for e in shown], [e["label"] for e in shown])
        masks = region(change).numpy()
    maps = {role: np.array([e[f"{role}_map"] for e in shown]) for role in ROLES}
    return figures.heatmap_sheet(pictures, maps, [_title(e["label"]) for e in shown], masks=masks)


def texts(table: Table, dataset: str, role: str = "description") -> figures.PageFigure | str:
    """The texts that :func:`overlays` asks with, every word shaded by its relevance; or why there are none."""
    runs = after(table, dataset)
    if not runs:
        return why_empty(table, dataset)
    shown = examples(runs[0])
    return figures.shaded_words([e[f"{role}_words"] for e in shown], [e["label"] for e in shown])


def why_empty(table: Table, dataset: str) -> str:
    """Why a dataset has no scoring in this table, in words."""
    cell = table.cell("CLEF, its own description", f"{dataset}: likeness of maps")
    return f"{dataset}: {'not run yet' if cell.recipes else cell.why_empty}"


def against_chance(table: Table, dataset: str, measure: str = "pointing") -> figures.PageFigure | str:
    """Dots of :func:`by_label` beside the chance of each label's region, or why there are none."""
    frame = by_label(table, dataset, measure)
    if frame.empty:
        return why_empty(table, dataset) if not after(table, dataset) else f"{dataset}: {NO_MASK}"
    return figures.against_chance(frame, f"{MEASURES[measure]}, per cent", dataset)


def _title(label: str) -> str:
    """AU12 with its name below it, in short lines; an expression alone."""
    if not label.startswith("AU"):
        return label
    words = prompting.names("au", [label])[0].split(" ")
    half = -(-len(words) // 2)
    lines = [" ".join(words[:half]), " ".join(words[half:])]
    return "\n".join([label, *lines]).rstrip()
