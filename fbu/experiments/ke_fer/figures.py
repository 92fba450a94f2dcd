"""KE-FER's Figures 1, 3, 6 and 7, and what the paper does not measure: neutral vectors, choosing by the test people."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from fbu import evaluation, figures
from fbu.data.specs import load_spec
from fbu.experiments.common import Cell, Table, points
from fbu.experiments.ke_fer.stages import (
    CLASSIFIER,
    NAMES,
    OPEN,
    TEXT,
    WHOLE,
    Source,
    data_of,
    seeds_of,
    spec_of,
    training,
)
from fbu.experiments.profiles import Profile, looked_at, profile_named, traced
from fbu.experiments.views import by_choice
from fbu.figures import PageFigure
from fbu.recipes import Recipe


def _column(source: Source) -> str:
    return OPEN if source == "open" else "RAF-DB"


def _look(p: Profile, source: Source, seed: int, encoder: str, losses: str) -> Recipe:
    column = _column(source)
    trained = training(p, column, source, seed, encoder, losses)
    return looked_at(trained, "ke_fer.look", data_of(p, column, source, encoder, seed), embed=1000)


def _separated(
    name: str, profile: str, source: Source, seeds: int | None, rows: tuple[str, ...], columns: dict[str, str]
) -> Table:
    p = profile_named(profile)
    cells = [
        Cell(
            f"ResNet-18 {NAMES[losses]}",
            column,
            metric,
            tuple(_look(p, source, s, "ResNet-18", losses) for s in range(seeds or p.seeds)),
        )
        for column, metric in columns.items()
        for losses in rows
    ]
    return Table(name, profile, cells)


def fig1_text_vs_discrete(profile: str = "quick", source: Source = "twin", seeds: int | None = None) -> Table:
    """Figure 1: vectors of RAF-DB's test pictures after training on labels and on text embeddings, ResNet-18.

    The paper draws t-SNE pictures and gives no number; here neighbours from other people and silhouettes do.

    Args:
        profile: quick, demo, full or paper.
        source: "twin", "real", "open" (``facial_expressions``), or one per dataset.
        seeds: number of seeds. Default: the profile's.
    """
    columns = {"neighbour purity": "expression_purity", "silhouette": "silhouette"}
    return _separated("ke_fer.fig1_text_vs_discrete", profile, source, seeds, (CLASSIFIER, TEXT), columns)


def fig3_tsne(profile: str = "quick", source: Source = "twin", seeds: int | None = None) -> Table:
    """Figure 3: the first loss alone against all three, ResNet-18, and how near expressions lie to neutral.

    Args as :func:`fig1_text_vs_discrete`.
    """
    columns = {
        "neighbour purity": "expression_purity",
        "silhouette": "silhouette",
        "cosine of happiness with neutral": "away/happiness",
        "cosine of sadness with neutral": "away/sadness",
    }
    return _separated("ke_fer.fig3_tsne", profile, source, seeds, (TEXT, WHOLE), columns)


def fig6_confusion(profile: str = "quick", source: Source = "twin", seeds: int | None = None) -> Table:
    """Figure 6: recall of each class, whole method, two encoders, on RAF-DB, AffectNet and FERPlus.

    Cells are recalls; :func:`fbu.evaluation.confusion` of the stored predictions gives the matrices.
    Args as :func:`fig1_text_vs_discrete`.
    """
    p, cells = profile_named(profile), []
    columns = [_column(source)] if source == "open" else ["RAF-DB", "AffectNet-7", "FERPlus"]
    for column in columns:
        for encoder in ("ResNet-18", "Swin-T"):
            run = p.name != "quick" or (column == columns[0] and encoder == "ResNet-18")
            count = seeds_of(p, encoder, seeds, column, run=run)
            recipes = tuple(training(p, column, source, s, encoder) for s in range(count))
            cells.append(
                Cell(encoder, column, "mean_class_accuracy", recipes, why_empty=f"not run in {p.name}")
            )
    return Table("ke_fer.fig6_confusion", profile, cells)


def fig7_tsne_ckplus(profile: str = "quick", source: Source = "twin", seeds: int | None = None) -> Table:
    """Figure 7: vectors of CK+ after training on RAF-DB: labels, the first loss, the whole with two encoders.

    Args as :func:`fig1_text_vs_discrete`; there is no open CK+.
    """
    p, cells = profile_named(profile), []
    rows = (
        ("Swin-T", CLASSIFIER),
        ("Swin-T", TEXT),
        ("ViT-B/16", WHOLE),
        ("Swin-T", WHOLE),
    )
    for column, metric in {"neighbour purity": "expression_purity", "silhouette": "silhouette"}.items():
        for encoder, losses in rows:
            count = seeds_of(p, encoder, seeds, run=p.name != "quick")
            recipes = []
            for s in range(count):
                trained = training(p, "RAF-DB", source, s, encoder, losses)
                spec = spec_of(p, "ckplus", "ke_fer", source, encoder)
                recipes.append(looked_at(trained, "ke_fer.look", spec, embed=636))
            cells.append(
                Cell(
                    f"{encoder} {NAMES[losses]}",
                    column,
                    metric,
                    tuple(recipes),
                    why_empty=f"not run in {p.name}",
                )
            )
    return Table("ke_fer.fig7_tsne_ckplus", profile, cells)


def neutral_vectors(profile: str = "quick", source: Source = "twin", seeds: int | None = None) -> Table:
    """Beyond the paper: does the transformed vector look neutral? Whole method, trained on RAF-DB, on the faces of CK+.

    CK+ shows everybody at rest and with an expression. Columns: share of neutral vectors closest to the text of
    neutral, before and after the transformation, and their cosine with the neutral faces of the same and of other
    people. Args as :func:`fig7_tsne_ckplus`.
    """
    p, cells = profile_named(profile), []
    columns = {
        "closest text is neutral, before": "neutral_named_before",
        "closest text is neutral": "neutral_named",
        "cosine with own neutral faces, before": "own_neutral_before",
        "cosine with own neutral faces": "own_neutral",
        "cosine with others' neutral faces": "other_neutral",
    }
    for encoder in ("ResNet-18",) if p.name == "quick" else ("ResNet-18", "ViT-B/16", "Swin-T"):
        for column, metric in columns.items():
            recipes = []
            for s in range(seeds_of(p, encoder, seeds)):
                trained = training(p, "RAF-DB", source, s, encoder)
                spec = spec_of(p, "ckplus", "ke_fer", source, encoder)
                recipes.append(looked_at(trained, "ke_fer.look", spec))
            cells.append(Cell(encoder, column, metric, tuple(recipes)))
    return Table("ke_fer.neutral_vectors", profile, cells)


def circumplex(profile: str = "quick", source: Source = "twin", seeds: int | None = None) -> Table:
    """Beyond the paper: do the learned vectors lie as on Russell's circumplex, on which the method builds?

    ResNet-18 on RAF-DB after training on labels, on texts and on all three losses. Columns, in hundredths: agreement of
    the distances between classes with those on the circle, of the pictures' vectors and of the text embeddings; share
    of the classes' spread that lies in a plane; distance of neutral from the centre of the others. Args as
    :func:`fig1_text_vs_discrete`.
    """
    columns = {
        "agreement with the circle": "circle",
        "agreement of the texts": "circle_texts",
        "share in a plane": "plane",
        "neutral from the centre": "neutral_offset",
    }
    table = _separated("ke_fer.circumplex", profile, source, seeds, (CLASSIFIER, TEXT, WHOLE), columns)
    label = f"ResNet-18 {NAMES[CLASSIFIER]}"
    table.cells = [
        replace(cell, recipes=(), why_empty="labels have no texts")
        if (cell.metric, cell.label) == ("circle_texts", label)
        else cell
        for cell in table.cells
    ]
    return table


def on_circle(table: Table) -> PageFigure:
    """Class means of the first seed of each row of :func:`circumplex`, beside Russell's circle."""
    panels = {}
    for cell in table.cells:
        runs = table.results(cell)
        if cell.column == table.columns()[0] and runs:
            panels[cell.label] = runs[0].extra["class_means"]
    return figures.circle(panels)


def selection(profile: str = "quick", source: Source = "twin", seeds: int | None = None) -> Table:
    """Beyond the paper: what choosing the epoch by the test people gains. ResNet-18, whole method and first loss.

    The authors' code keeps the epoch that is best on the test pictures. Each row is trained once and scored ten times
    (twice in quick) on validation and on test people; :func:`chosen` compares the last epoch, the one that validation
    people choose and the best on the test people. Args as :func:`fig1_text_vs_discrete`.
    """
    p, column = profile_named(profile), _column(source)
    rows = (WHOLE,) if p.name == "quick" else (TEXT, WHOLE)
    cells = []
    for losses in rows:
        recipes = []
        for s in range(seeds or p.seeds):
            recipes.append(traced(p, training(p, column, source, s, "ResNet-18", losses), select="val"))
        cells.append(Cell(f"ResNet-18 {NAMES[losses]}", column, "accuracy", tuple(recipes)))
    return Table("ke_fer.selection", profile, cells)


def chosen(table: Table) -> pd.DataFrame:
    """Accuracy of :func:`selection` by how the epoch is chosen; see :func:`fbu.experiments.views.by_choice`."""
    return by_choice(table, "people")


def confusions(table: Table) -> list[PageFigure]:
    """Confusion matrices of :func:`fig6_confusion`, one per cell that was run, counts of all seeds together."""
    drawn = []
    for cell in table.cells:
        runs = table.results(cell)
        if runs:
            frame = pd.concat([r.predictions for r in runs], ignore_index=True)
            names = evaluation.classes_of(frame)
            counts = evaluation.confusion(frame["target"], evaluation.predicted(frame), names)
            drawn.append(figures.confusion(counts, names, f"{cell.label}, {cell.column}"))
    return drawn


def recalls(table: Table) -> pd.DataFrame:
    """Recall of each class in points, mean over seeds, above the class's share of the training pictures in per cent."""
    rows = {}
    for cell in table.cells:
        runs = table.results(cell)
        if runs:
            counts = load_spec(cell.recipes[0].data, "train").counts().iloc[:, 0]
            rows[cell.column, cell.label] = {
                name: np.mean([points(r, f"recall/{name}") for r in runs]) for name in counts.index
            }
            rows[cell.column, "share in training"] = dict(100 * counts / counts.sum())
    return pd.DataFrame.from_dict(rows, orient="index").round(1)
