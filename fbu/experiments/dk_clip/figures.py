"""DK-CLIP's Figures 4 and 5, and what the paper does not measure: noisy frames, choosing by the test clips."""

from __future__ import annotations

import numpy as np
import pandas as pd

from fbu import evaluation, figures
from fbu.experiments.common import Cell, Table, points
from fbu.experiments.dk_clip.stages import (
    BASELINE,
    BOTH,
    FOLD3,
    NAMES,
    PARTS,
    WHOLE,
    Source,
    training,
)
from fbu.experiments.dk_clip.tables import FOUR, SCORES, THETA
from fbu.experiments.profiles import few_seeds, looked_at, profile_named, traced
from fbu.experiments.views import by_choice
from fbu.figures import PageFigure

#: Clips and crops of a test with many views.
VIEWS = (4, 3)
ONE_VIEW = "one clip"
#: Bins of the share of a clip's frames that are noise, by their upper ends.
SHARES = (0.0, 0.15, 0.3, 1.0)


def fig4_tsne(profile: str = "quick", source: Source = "twin", seeds: int | None = None) -> Table:
    """Figure 4: features of the test clips after the baseline's training and after the whole method's.

    The paper draws t-SNE pictures, beside those of other methods, and gives no number; here the nearest other clip and
    silhouettes do. :func:`fbu.experiments.views.tsne` draws.

    Args:
        profile: quick, demo, full or paper.
        source: "twin", "real", or one per dataset.
        seeds: number of seeds. Default: the profile's.
    """
    p = profile_named(profile)
    columns = {"neighbour purity": "expression_purity", "silhouette": "silhouette"}
    recipes = {
        parts: tuple(
            looked_at(training(p, FOLD3, source, s, **PARTS[parts]), "dk_clip.look", embed=1000)
            for s in range(seeds or p.seeds)
        )
        for parts in (BASELINE, BOTH, WHOLE)
    }
    cells = [
        Cell(NAMES[parts], column, metric, recipes[parts])
        for column, metric in columns.items()
        for parts in recipes
    ]
    return Table("dk_clip.fig4_tsne", profile, cells)


def fig5_snippets(profile: str = "quick", source: Source = "twin", seeds: int | None = None) -> Table:
    """Figure 5: global and local predictions of the whole method, and how many snippets it erases.

    The paper shows four clips; :func:`~fbu.experiments.dk_clip.pictures.film` draws as many. Columns: WAR of the global
    prediction, of the snippets together and of both; share of snippets erased. Args as :func:`fig4_tsne`.
    """
    p = profile_named(profile)
    columns = {
        "WAR global": "accuracy",
        "WAR local": "accuracy_local",
        "WAR both": "accuracy_fused",
        "snippets erased": "erased",
    }
    recipes = tuple(training(p, FOLD3, source, s) for s in range(seeds or p.seeds))
    cells = [Cell(NAMES[WHOLE], column, metric, recipes) for column, metric in columns.items()]
    return Table("dk_clip.fig5_snippets", profile, cells)


def noise(profile: str = "quick", source: Source = "twin", seeds: int | None = None) -> Table:
    """Beyond the paper: do low scores mean noisy frames, and high ones a strong expression? Twins know.

    Rows: with and without consistency, and the baseline, whose scores nothing has trained. Columns: chance that a
    snippet of mostly noise has a lower a* than a clean one, of any clip and of its own (chance 50); correlation of a*
    with the share of a snippet's frames at half the expression's height or more, in hundredths (chance 0); WAR of clips
    without and with noisy frames. Args as :func:`fig4_tsne`; nothing is known of real clips.
    """
    p = profile_named(profile)
    columns = {
        "noise detected": "noise_auroc",
        "noise detected within a clip": "noise_auroc_within",
        "follows the expression": "shown_correlation",
        "WAR of clean clips": "accuracy_clean",
        "WAR of noisy clips": "accuracy_noisy",
    }
    recipes = {
        parts: tuple(training(p, FOLD3, source, s, **PARTS[parts]) for s in range(seeds or p.seeds))
        for parts in (BASELINE, BOTH, WHOLE)
    }
    known = "twin" in {r.data.source for found in recipes.values() for r in found}
    cells = [
        Cell(
            NAMES[parts],
            column,
            metric,
            recipes[parts] if known else (),
            why_empty="nothing is known of the frames of real clips",
        )
        for column, metric in columns.items()
        for parts in recipes
    ]
    return Table("dk_clip.noise", profile, cells)


def by_noise(table: Table) -> pd.DataFrame:
    """WAR in points by the share of a clip's frames that are noise, rows and seeds of :func:`noise` pooled by row.

    Columns: row, noise (at most this share), clips, WAR.
    """
    found = []
    for cell in table.part(table.columns()[0]).cells:
        runs = table.results(cell)
        if not runs:
            continue
        frame = pd.concat([r.predictions for r in runs], ignore_index=True)
        right = pd.Series(evaluation.predicted(frame) == frame["target"].to_numpy())
        share = pd.cut(frame["noise"], [-1.0, *SHARES], labels=[f"{s:.0%}" for s in SHARES])
        for upper, hits in right.groupby(share, observed=False):
            value = 100 * float(hits.mean()) if len(hits) else np.nan
            found.append({"row": cell.label, "noise": upper, "clips": len(hits), "WAR": value})
    frame = pd.DataFrame(found, columns=["row", "noise", "clips", "WAR"])
    return frame.assign(**{name: _in_order(frame[name]) for name in ("row", "noise")})


def _in_order(names: pd.Series) -> pd.Categorical:
    """Names that sort as they come."""
    return pd.Categorical(names, list(dict.fromkeys(names)))


def selection(profile: str = "quick", source: Source = "twin", seeds: int | None = None) -> Table:
    """Beyond the paper: what choosing the epoch by the test clips gains, as the authors' logs do. Whole method.

    Trained once and scored ten times (twice in quick) on validation and on test clips; :func:`chosen` compares. Args as
    :func:`fig4_tsne`.
    """
    p = profile_named(profile)
    recipes = tuple(traced(p, training(p, FOLD3, source, s), select="val") for s in range(seeds or p.seeds))
    return Table("dk_clip.selection", profile, [Cell(NAMES[WHOLE], "WAR", "accuracy", recipes)])


def more_views(profile: str = "quick", source: Source = "twin", seeds: int | None = None) -> Table:
    """Beyond the paper: the whole method tested on several clips and crops, as the authors' code does at its very end.

    The same training scored three ways: one clip of whole pictures, as in all tables; four clips of whole
    pictures; four clips in three windows each. Args as :func:`fig4_tsne`; one seed in quick and demo.
    """
    p = profile_named(profile)
    trained = [training(p, FOLD3, source, s) for s in range(few_seeds(p, seeds))]
    clips, crops = VIEWS
    recipes = tuple(looked_at(t, "dk_clip_views.score", clips=clips, crops=crops) for t in trained)
    rows = {ONE_VIEW: "one/", f"{VIEWS[0]} clips": "clips/", f"{VIEWS[0]} clips × {VIEWS[1]} crops": ""}
    cells = [
        Cell(label, column, prefix + metric, recipes)
        for column, metric in SCORES.items()
        for label, prefix in rows.items()
    ]
    return Table("dk_clip.more_views", profile, cells)


def gained(table: Table) -> pd.DataFrame:
    """What more views of a clip add to one, in points, by score; means over the seeds of :func:`more_views`."""
    rows = {}
    for column in table.columns():
        for cell in table.part(column).cells:
            runs = table.results(cell)
            if runs and cell.label != ONE_VIEW:
                base = table.results(table.cell(ONE_VIEW, column))
                one = table.cell(ONE_VIEW, column).metric
                steps = [points(a, cell.metric) - points(b, one) for a, b in zip(runs, base, strict=True)]
                rows[column, cell.label] = {
                    "gain": np.mean(steps),
                    "least": min(steps),
                    "most": max(steps),
                    "seeds": len(steps),
                }
    found = pd.DataFrame.from_dict(rows, orient="index", columns=["gain", "least", "most", "seeds"])
    return found.rename_axis(index=["score", "views"]).round(2)


def chosen(table: Table) -> pd.DataFrame:
    """WAR of :func:`selection` by how the epoch is chosen; see :func:`fbu.experiments.views.by_choice`."""
    return by_choice(table, "clips").droplevel("row")


def learning(table: Table) -> PageFigure:
    """WAR along the trainings of :func:`selection`, on validation and on test clips, mean over seeds."""
    rows = [
        {"x": scored["step"], "y": 100 * scored[part]["accuracy"], "series": f"{words} clips"}
        for cell in table.cells
        for run in table.results(cell)
        for scored in run.extra["history"]
        for part, words in (("val", "validation"), ("test", "test"))
    ]
    means = pd.DataFrame(rows).groupby(["series", "x"], sort=False)["y"].mean().reset_index()
    return figures.sweep(means, "step", "WAR", "The whole method along its training")


def swept(table: Table, prefix: str) -> PageFigure:
    """Both scores of :func:`fbu.experiments.dk_clip.fig3_theta_n` over "θ" or "N", this run, mean over seeds."""
    rows = [
        {
            "x": float(cell.label.removeprefix(f"{prefix} = ")),
            "y": float(np.mean([points(run, cell.metric) for run in table.results(cell)])),
            "series": cell.column,
        }
        for cell in table.cells
        if cell.label.startswith(f"{prefix} = ") and table.results(cell)
    ]
    frame = pd.DataFrame(rows).sort_values("x", kind="stable")
    return figures.sweep(frame, prefix, "points", marked={"θ": THETA, "N": float(FOUR)}[prefix])


def shares(table: Table) -> PageFigure:
    """Bars of :func:`by_noise`, a colour for each row."""
    frame = by_noise(table).dropna(subset="WAR")
    ends = {f"{SHARES[0]:.0%}": "none", f"{SHARES[-1]:.0%}": f"more than {SHARES[-2]:.0%}"}
    label = [ends.get(name, f"up to {name}") for name in frame["noise"].astype(str)]
    rows = pd.DataFrame({"label": label, "value": frame["WAR"], "group": frame["row"].astype(str)})
    return figures.bars(rows, "WAR by share of noisy frames, points")
