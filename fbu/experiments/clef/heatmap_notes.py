"""What the page of Figure 6 says about its table: frames and figures, computed from the runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from fbu import figures
from fbu.data.specs import load_spec
from fbu.experiments import notes
from fbu.experiments.clef.heatmaps import MEASURES, NO_MASK
from fbu.experiments.common import Table, with_spread
from fbu.labels import prompting
from fbu.localisation import region
from fbu.models.heatmaps import ROLES, true_change
from fbu.runs import Run

NO_FACES = "pictures under licence are not drawn into pages: set show_faces=True on your own machine"
_DRAWS = 1000


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

    Bootstrap over the test people, in points; several seeds count alike. Empty without masks.
    """
    runs = after(table, dataset)
    pairs = [(kind, "chance") for kind in ("name", "description", "rollout")] + [("name", "absent")]
    rows: dict[str, dict[str, str]] = {}
    for kind, base in pairs:
        row: dict[str, str] = {}
        for measure, words in MEASURES.items():
            draws = [
                _draws(items(r), f"{measure}/{kind}", f"{measure}/{base}") for r in runs if _has_masks(r)
            ]
            if draws:
                mean, low, high = (np.mean([d[i] for d in draws]) for i in range(3))
                row[words] = f"{mean:+.1f} ({low:+.1f} to {high:+.1f})"
        rows[f"{kind} minus {base}"] = row
    return pd.DataFrame.from_dict(rows, orient="index", columns=list(MEASURES.values())).dropna()


def _has_masks(run: Run) -> bool:
    return "pointing/name" in run.metrics["test"]


def _draws(frame: pd.DataFrame, kind: str, base: str) -> tuple[float, float, float]:
    """Difference of two means over labels in points, and its 95 % interval over people."""
    frame = frame.dropna(subset=[kind, base])
    difference = 100 * (frame[kind] - frame[base]).to_numpy()
    people = pd.factorize(frame["subject"])[0]
    label = pd.factorize(frame["label"])[0]
    rng = np.random.default_rng(0)
    times = rng.multinomial(people.max() + 1, np.full(people.max() + 1, 1 / (people.max() + 1)), size=_DRAWS)
    weight = times[:, people]  # [draws, pictures]
    with np.errstate(invalid="ignore"):  # a draw may leave a label without pictures: it does not count there
        by_label = [
            (weight[:, label == i] @ difference[label == i]) / weight[:, label == i].sum(1)
            for i in range(label.max() + 1)
        ]
    means = np.nanmean(by_label, axis=0)
    mean = np.mean([difference[label == i].mean() for i in range(label.max() + 1)])
    low, high = np.quantile(means, [0.025, 0.975])
    return float(mean), float(low), float(high)


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
