"""What notebooks say about a table in words and small frames, computed from its runs."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pandas as pd

from fbu import figures, ledger
from fbu.data import difficulty, layouts
from fbu.data.dataset import Dataset
from fbu.data.manifest import load_manifest
from fbu.data.specs import load_spec
from fbu.experiments.common import Table, points, with_spread
from fbu.experiments.profiles import profile_named
from fbu.provenance import sources as sources_of
from fbu.recipes import DataSpec, Recipe, task_type


def sources(table: Table) -> pd.DataFrame:
    """Where the numbers of each column of the table come from: data, source, seeds, folds, samples, commit, machine."""
    rows: list[dict[str, object]] = []
    for column in table.columns():
        runs = [r for c in table.cells if c.column == column for r in table.results(c)]
        if not runs:
            rows.append({"column": column, "source": "not run"})
            continue
        about = runs[0].provenance
        rows.append(
            {
                "column": column,
                "dataset": about["dataset"],
                "source": sources_of(runs[0].recipe),
                "seeds": len({r.recipe.seed for r in runs}),
                "folds": ", ".join(sorted({str(r.recipe.data.fold) for r in runs})).replace(
                    "None", "official"
                ),
                "tested": _tested(runs[0]),
                "commit": about["commit"],
                "machine": about["machine"],
            }
        )
    return pd.DataFrame(rows, dtype=object).set_index("column").fillna("").T.rename_axis(columns="")


def _tested(run: object) -> str:
    metrics = run.metrics["test"]  # type: ignore[attr-defined]
    if "samples" not in metrics:
        return ""
    if layouts.media(run.recipe.data.name).clips:  # type: ignore[attr-defined]  # who is filmed is not known
        return f"{metrics['samples']:.0f} clips"
    return f"{metrics['samples']:.0f} pictures of {metrics['subjects']:.0f} people"


def steps(table: Table) -> pd.DataFrame:
    """Every step that the paper's rows imply: reported, reference by seed, this run with its interval, direction."""
    rows = []
    for cell in table.cells:
        if cell.against is None or cell.step is None:
            continue
        base = table.cell(cell.against, cell.column)
        differences = ledger.reference_step(table.name, table.profile, cell, base)
        row = {
            "column": cell.column,
            "step": f"{cell.against} → {cell.label}",
            "reported": f"{cell.step:+.2f}",
            "reference, seed by seed": " ".join(f"{d:+.1f}" for d in differences),
        }
        if table.results(cell) and table.results(base):
            ours = table.difference(cell, base)
            row["this run"] = (
                f"{100 * ours.difference:+.1f} ({100 * ours.low:+.1f} to {100 * ours.high:+.1f})"
            )
            row["seeds"], row["direction"] = str(ours.seeds), table.verdict(cell)
        else:
            row["this run"] = cell.why_empty or base.why_empty or "not run"
        rows.append(row)
    columns = ["column", "step", "reported", "reference, seed by seed", "this run", "seeds", "direction"]
    full = [{name: row.get(name, "") for name in columns} for row in rows]
    return pd.DataFrame(full, columns=columns).set_index(["column", "step"])


def assumed(table: Table) -> pd.DataFrame:
    """Settings that the paper does not state, with the values chosen here."""
    found: dict[tuple[str, str], str] = {}
    for recipe in (link for r in table.recipes() for link in r.chain()):
        settings = recipe.model_dump(mode="json")
        for name in recipe.assumed:
            value: object = {**settings, **settings["options"]}
            for part in name.split("."):
                value = value.get(part, _default(recipe, name)) if isinstance(value, dict) else value
            if name == "augment":
                value = ", ".join(f"{k} {v}" for k, v in settings["augment"].items() if _does_something(k, v))
            found[recipe.task, name] = str(value)
    rows = [{"task": task, "setting": name, "assumed": value} for (task, name), value in found.items()]
    return pd.DataFrame(rows, columns=["task", "setting", "assumed"]).set_index(["task", "setting"])


def _default(recipe: Recipe, name: str) -> object:
    """Value of a task's setting that the recipe does not mention."""
    field = task_type(recipe.task).options_type.model_fields.get(name)
    return "default" if field is None or field.default is None else field.default


def _does_something(name: str, value: object) -> bool:
    return name not in ("erase_area", "erase_fill") and value not in (0, 0.0, [1.0, 1.0])


@lru_cache(maxsize=8)
def _baseline(spec: DataSpec) -> dict[str, float]:
    train, test = (load_spec(spec, part) for part in ("train", "test"))
    guess = difficulty.floor(test.targets, test.kind)
    linear = {f"linear {k}": v for k, v in difficulty.pixel_linear(train, test, balanced=False).items()}
    balanced = {f"balanced linear {k}": v for k, v in difficulty.pixel_linear(train, test).items()}
    return {f"guess {k}": v for k, v in guess.items()} | linear | balanced


def pixel_baselines(table: Table) -> pd.DataFrame:
    """A guess and a linear model on pixels, on the folds of the table's runs; mean over folds, in points.

    The linear model is fitted twice: as the pictures come, which favours accuracy, and with classes weighted
    alike ("balanced"), which favours the mean over classes.
    """
    rows = {}
    for column in table.columns():
        specs = {r.data for c in table.cells if c.column == column for r in c.recipes}
        scores = [_baseline(spec) for spec in specs]
        if scores:
            rows[column] = {k: 100 * float(np.mean([x[k] for x in scores])) for k in scores[0]}
    return pd.DataFrame(rows).round(1)


def mean_class(table: Table) -> pd.DataFrame:
    """Accuracy and mean-class accuracy of the expression rows, mean over seeds and spread, in points."""
    rows = []
    for cell in table.cells:
        runs = table.results(cell)
        if not runs or cell.metric != "accuracy":
            continue
        scores = [r.metrics["test"] for r in runs]
        row = {"column": cell.column, "row": cell.label}
        for name in ("accuracy", "mean_class_accuracy"):
            values = 100 * pd.Series([s[name] for s in scores])
            row[name.replace("_", " ")] = with_spread(values.mean(), values.std(), len(values))
        rows.append(row)
    columns = ["column", "row", "accuracy", "mean class accuracy"]
    return pd.DataFrame(rows, columns=columns).set_index(["column", "row"])


def people(table: Table) -> pd.DataFrame:
    """Pictures and people of each class in the test part of the first seed's fold, by expression dataset."""
    parts = {}
    for column in table.columns():
        recipes = [r for c in table.cells if c.column == column and c.metric == "accuracy" for r in c.recipes]
        if recipes:
            parts[column] = load_spec(recipes[0].data, "test").counts()
    return pd.concat(parts, axis=1) if parts else pd.DataFrame()


def probe_bars(table: Table) -> figures.PageFigure:
    """Bars of Figure 1's measures, with the spread over seeds as interval where there is more than one."""
    frame = table.frame()
    bars = frame[["label", "value"]].assign(
        group=frame["column"], low=frame["value"] - frame["spread"], high=frame["value"] + frame["spread"]
    )
    return figures.bars(bars, "points, people not trained on", "After stage 1")


def probe_findings(table: Table) -> pd.DataFrame:
    """Activity pairing against self-supervised pairing, seed by seed: in how many seeds the paper's direction shows."""
    rows = []
    wanted = {"expression purity": 1, "identity leak": -1}
    for column, sign in wanted.items():
        base, ours = (table.cell(label, column) for label in ("self-supervised pairs", "activity pairs (PI)"))
        pairs = list(zip(table.results(ours), table.results(base), strict=True))
        differences = np.array([points(a, ours.metric) - points(b, base.metric) for a, b in pairs])
        rows.append(
            {
                "measure": column,
                "argued": "rises" if sign > 0 else "falls",
                "activity minus self-supervised": " ".join(f"{d:+.1f}" for d in differences),
                "seeds in the argued direction": f"{int((sign * differences > 0).sum())} of {len(differences)}",
            }
        )
    return pd.DataFrame(rows).set_index("measure")


def similarities(table: Table, name: str) -> dict[str, np.ndarray]:
    """Mean matrix over seeds by row label, from the runs' ``extra`` files."""
    found = {c.label: [r.extra[name] for r in table.results(c)] for c in table.cells}
    return {label: np.mean(matrices, axis=0) for label, matrices in found.items() if matrices}


def class_labels(table: Table) -> list[str]:
    """Class names in the order of the matrices."""
    return list(table.results(table.cells[0])[0].extra["labels"])


def own_description(table: Table) -> pd.DataFrame:
    """How many names are closest to their own description, and by how much, by row."""
    rows = {}
    for label, matrix in similarities(table, "description_name_cosine").items():
        own = np.diag(matrix)
        other = np.where(np.eye(len(matrix), dtype=bool), -np.inf, matrix)
        rows[label] = {
            "names closest to their own description": f"{int((own > other.max(0)).sum())} of {len(own)}",
            "cosine with the own": f"{own.mean():.2f}",
            "with the best other": f"{other.max(0).mean():.2f}",
        }
    return pd.DataFrame(rows).T.rename_axis("row")


def twin_size(profile: str) -> str:
    """Size of the twins that a profile uses."""
    return profile_named(profile).size


def difficulty_table(profile: str) -> pd.DataFrame:
    """Floor, linear model and oracle of the twins, and how easily people are told apart, in points."""
    p, rows = profile_named(profile), []
    for name, fold in (("rafdb", None), ("bp4d", 1)):
        spec = DataSpec(name=name, fold=fold, size=p.size, image_size=p.image_size)
        train, test = (load_spec(spec, split) for split in ("train", "test"))
        floor, linear = difficulty.floor(test.targets, test.kind), difficulty.pixel_linear(train, test)
        oracle = {"accuracy": difficulty.oracle(test.records)} if test.kind == "expression" else {}
        for metric in floor:
            rows.append((name, metric, floor[metric], linear[metric], oracle.get(metric, np.nan)))
    names = test.records["subject"].to_numpy()
    known = difficulty.identity_probe(test.images, names, test.records["activity"].to_numpy())
    rows.append(("bp4d", "identity, other tasks", known["chance"], known["accuracy"], np.nan))
    frame = pd.DataFrame(rows, columns=["twin", "measure", "floor", "linear on pixels", "oracle"])
    return (frame.set_index(["twin", "measure"]) * 100).round(1)


def unit_rates(bp4d: Dataset) -> pd.DataFrame:
    """Occurrence of each action unit in a split of the twin, beside the real set's (derived), in percent."""
    on = {name: 100 * float((bp4d.targets[:, i] == 1).mean()) for i, name in enumerate(bp4d.labels)}
    real = {f"AU{n}": rate for n, rate in load_manifest("bp4d").expected.rates.items()}
    return pd.DataFrame({"twin": on, "real (derived)": real}).round(0).astype(int)
