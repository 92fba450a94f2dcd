"""DK-CLIP's Tables 1 to 6 and Figure 3: recall and accuracy of trainings that differ in one thing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from fbu import figures, reported
from fbu.experiments.common import Cell, Table
from fbu.experiments.dk_clip.stages import (
    B16,
    B32,
    BASELINE,
    BOTH,
    FOLD3,
    NAMES,
    PARTS,
    PROMPTS,
    TEMPORAL,
    TEXTS,
    VIDEO,
    WHOLE,
    Source,
    training,
)
from fbu.experiments.profiles import Profile, few_seeds, profile_named
from fbu.figures import PageFigure
from fbu.labels import prompting
from fbu.recipes import Recipe
from fbu.reported import Printed

QUOTED = "quoted by the paper, not run here"
METHOD = "DK-CLIP"
#: Scores as the paper names them -> in a run's numbers.
SCORES = {"UAR": "mean_class_accuracy", "WAR": "accuracy"}
_QUICK_PARTS = (BASELINE, VIDEO, BOTH, WHOLE)
_QUICK_TEMPORAL = ("average pooling", "hierarchical structure")
_QUICK_PROMPTS = ("class names", "learnable prompts enriched by activated AUs")
#: theta and N of Figure 3; its axes cannot be read off the text, 0.15 and 4 are the paper's choice.
THRESHOLDS = (0.0, 0.1, 0.15, 0.2, 0.25)
SNIPPETS = (1, 2, 4, 8)
THETA, FOUR = 0.15, 4


def table1_expression_aus() -> pd.DataFrame:
    """Table 1: the action units of each expression, and the class texts that are made of them.

    Returns:
        One row per expression: ``units`` as printed, ``ours`` as they are used here, and the texts ``or``
        (Table 6 (e)), ``and`` (Table 6 (d)) and ``files`` (the authors' label files).
    """
    printed = reported.table("dk_clip_table1_expression_aus")
    rows = {}
    for expression, part in printed.groupby("expression", sort=False):
        name = str(expression).lower()
        units = prompting.EXPRESSION_UNITS.get(name, ())
        rows[expression] = {
            "units": ", ".join(u for u in part["au"] if u),
            "ours": ", ".join(f"AU{n}" for n in units),
            **{joiner: prompting.enriched(name, joiner) for joiner in ("or", "and", "files")},
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("expression")


def shared_units() -> PageFigure:
    """How much of their action units two expressions share in Table 1: of all that either has."""
    units = {
        name: set(map(int, prompting.EXPRESSION_UNITS[str(name).lower()]))
        for name in table1_expression_aus().index
        if prompting.EXPRESSION_UNITS.get(str(name).lower())
    }
    share = [[len(a & b) / len(a | b) for b in units.values()] for a in units.values()]
    return figures.similarity_matrix(share, list(units), limits=(0, 1), label="share of units in common")


def same_as_files() -> pd.DataFrame:
    """The authors' class texts beside those that Sec. 3.4 describes: equal, and by what words they differ."""
    rows = {}
    for name, row in table1_expression_aus().iterrows():
        ours, theirs = (set(str(row[joiner]).replace(",", "").split()) for joiner in ("or", "files"))
        rows[name] = {
            "only in the paper's wording": ", ".join(sorted(ours - theirs)),
            "only in the authors' files": ", ".join(sorted(theirs - ours)),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("expression")


def table2_dfew(profile: str = "quick", source: Source = "twin", seeds: int | None = None) -> Table:
    """Table 2: recall of each expression, UAR and WAR on DFEW, beside what the paper quotes.

    Args:
        profile: quick, demo, full or paper. Quick and demo have one tower, under the name of ViT-B/16.
        source: "twin", "real", or one per dataset; there are no open clips, for which twins stand in.
        seeds: number of seeds; seed s is tested on fold s mod 5. Default: the profile's.
    """
    p, table = profile_named(profile), "dk_clip_table2_dfew"
    printed = reported.table(table)
    classes = [name for name in dict.fromkeys(printed["class_or_au"]) if name != "avg"]
    columns = [(name, name, "accuracy", f"recall/{name.lower()}") for name in classes]
    columns += [(score, "avg", score, metric) for score, metric in SCORES.items()]
    cells = []
    for column, part, score, metric in columns:
        for row in _methods(printed):
            where = Printed(table, row[0], "DFEW", score, row[1], part)
            cells.append(_compared(p, "DFEW", column, row, where, metric, source, seeds or p.seeds))
    return Table("dk_clip.table2_dfew", profile, cells)


def table3_ferv39k_mafw(profile: str = "quick", source: Source = "twin", seeds: int | None = None) -> Table:
    """Table 3: UAR and WAR on FERV39K and MAFW, beside what the paper quotes. Args as :func:`table2_dfew`."""
    p, table = profile_named(profile), "dk_clip_table3_ferv39k_mafw"
    printed, cells = reported.table(table), []
    for dataset in ("FERV39K", "MAFW"):
        for score, metric in SCORES.items():
            for row in _methods(printed):
                where = Printed(table, row[0], dataset, score, row[1])
                column = f"{dataset} {score}"
                cells.append(_compared(p, dataset, column, row, where, metric, source, seeds or p.seeds))
    return Table("dk_clip.table3_ferv39k_mafw", profile, cells)


def own(table: Table, column: str) -> Table:
    """A column of Table 2 or 3 with the paper's own rows alone."""
    part = table.part(column)
    part.cells = [cell for cell in part.cells if cell.label.startswith(METHOD)]
    return part


def _methods(printed: pd.DataFrame) -> list[tuple[str, str]]:
    return list(dict.fromkeys(zip(printed["method"], printed["variant"], strict=True)))


def _compared(
    p: Profile,
    dataset: str,
    column: str,
    row: tuple[str, str],
    where: Printed,
    metric: str,
    source: Source,
    seeds: int,
) -> Cell:
    method, variant = row
    backbone = variant.removeprefix("backbone=")
    ours = method == METHOD
    run = ours and (backbone == B16 or p.name in ("full", "paper"))
    value = where.value
    step = None
    if ours and backbone == B16:
        step = (
            value
            - Printed(where.table, method, dataset, where.metric, f"backbone={B32}", where.class_or_au).value
        )
    return Cell(
        f"{method} {backbone}".strip(),
        column,
        metric,
        tuple(training(p, dataset, source, s, backbone) for s in range(seeds)) if run else (),
        value if value == value else None,
        f"{METHOD} {B32}" if step is not None else None,
        step,
        why_empty=f"not run in {p.name}" if ours else QUOTED,
        printed=where if value == value else None,
    )


def table4_components(profile: str = "quick", source: Source = "twin", seeds: int | None = None) -> Table:
    """Table 4: hierarchical video encoder (HVE), enhanced texts (ETP), class-aware consistency (CCR).

    Steps are the paper's: each part from the row without it, the whole from the baseline's neighbour. Args as
    :func:`table2_dfew`; fold 3 in the paper's profile, quick has four rows.
    """
    against = {VIDEO: BASELINE, TEXTS: BASELINE, BOTH: BASELINE, WHOLE: BOTH}
    quick = _QUICK_PARTS
    rows = {parts: (NAMES[parts], PARTS[parts], against.get(parts)) for parts in PARTS}
    return _ablation("table4_components", "dk_clip_table4_modules", "", rows, quick, profile, source, seeds)


def table5_temporal(profile: str = "quick", source: Source = "twin", seeds: int | None = None) -> Table:
    """Table 5: how frames are put together; steps are measured from average pooling.

    The paper's number for cross-frame attention is that of HVE ETP in Table 4; here it is another encoder, see
    :data:`fbu.experiments.dk_clip.stages.TEMPORAL`. Args as :func:`table4_components`; quick has two rows.
    """
    first = next(iter(TEMPORAL))
    rows = {name: (name, options, None if name == first else first) for name, options in TEMPORAL.items()}
    return _ablation(
        "table5_temporal",
        "dk_clip_table5_temporal",
        "temporal=",
        rows,
        _QUICK_TEMPORAL,
        profile,
        source,
        seeds,
    )


def table6_prompts(profile: str = "quick", source: Source = "twin", seeds: int | None = None) -> Table:
    """Table 6: texts of the classes; steps are measured from class names.

    Descriptions "generated by LLMs" are in our words here. Args as :func:`table4_components`; quick has two rows.
    """
    first = next(iter(PROMPTS))
    rows = {name: (name, options, None if name == first else first) for name, options in PROMPTS.items()}
    return _ablation(
        "table6_prompts", "dk_clip_table6_prompts", "prompt=", rows, _QUICK_PROMPTS, profile, source, seeds
    )


def _ablation(
    stem: str,
    table: str,
    prefix: str,
    rows: Mapping[str, tuple[str, dict[str, Any], str | None]],
    quick: tuple[str, ...],
    profile: str,
    source: Source,
    seeds: int | None,
) -> Table:
    """Both scores of some rows: variant -> label, settings, and the variant that its step is measured from."""
    p, cells = profile_named(profile), []
    recipes = {
        name: tuple(training(p, FOLD3, source, s, **options) for s in range(seeds or p.seeds))
        for name, (_, options, _) in rows.items()
        if p.name != "quick" or name in quick
    }
    for score, metric in SCORES.items():
        for name, (label, _, base) in rows.items():
            printed = Printed(table, METHOD, FOLD3, score, prefix + name)
            under = None if base is None else Printed(table, METHOD, FOLD3, score, prefix + base)
            cells.append(
                Cell(
                    label,
                    score,
                    metric,
                    recipes.get(name, ()),
                    printed.value,
                    None if base is None else rows[base][0],
                    None if under is None else printed.value - under.value,
                    why_empty=f"not run in {p.name}",
                    printed=printed,
                )
            )
    return Table(f"dk_clip.{stem}", profile, cells)


def fig3_theta_n(profile: str = "quick", source: Source = "twin", seeds: int | None = None) -> Table:
    """Figure 3: the threshold theta, and the number of snippets N of as many frames.

    The paper draws curves without a number. Eight snippets have 1/8 each where all are alike, which is below 0.15.
    Args as :func:`table2_dfew`; one seed in quick and demo, quick has theta 0.25 and N = 2 beside the whole method.
    """
    p, cells = profile_named(profile), []
    rows: list[tuple[str, dict[str, Any], bool]] = [
        (f"θ = {value:g}", {} if value == THETA else {"threshold": value}, value in (THETA, 0.25))
        for value in THRESHOLDS
    ]
    rows += [
        (f"N = {value}", {} if value == FOUR else {"snippets": value}, value in (FOUR, 2))
        for value in SNIPPETS
    ]
    for score, metric in SCORES.items():
        for label, options, quick in rows:
            run = quick or p.name != "quick"
            recipes: tuple[Recipe, ...] = tuple(
                training(p, FOLD3, source, s, **options) for s in range(few_seeds(p, seeds) if run else 0)
            )
            cells.append(Cell(label, score, metric, recipes, why_empty=f"not run in {p.name}"))
    return Table("dk_clip.fig3_theta_n", profile, cells)
