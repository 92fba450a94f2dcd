"""EmoCo's Tables I to IV and Figure 4: F1 of action units under both protocols."""

from __future__ import annotations

from fbu import reported
from fbu.experiments.common import Cell, Table
from fbu.experiments.emoco.stages import (
    COLUMNS,
    CONTRAST,
    EMOTION,
    FINETUNE,
    L2,
    LINEAR,
    MOCO,
    NAMES,
    ONE_QUEUE,
    SUPERVISED,
    WHOLE,
    Source,
    detection,
)
from fbu.experiments.profiles import Profile, few_seeds, profile_named
from fbu.reported import Printed

QUOTED = "quoted by the paper, not run here"
#: Rows of Tables I to III that are run: method and protocol as the paper prints them -> what is pre-trained.
RUN = {
    ("ResNet-50", SUPERVISED): WHOLE,
    ("MoCo", LINEAR): MOCO,
    ("EmoCo", LINEAR): WHOLE,
    ("MoCo", FINETUNE): MOCO,
    ("EmoCo", FINETUNE): WHOLE,
}
# In quick Table III has four rows, the others two.
_QUICK = (("ResNet-50", SUPERVISED), ("MoCo", LINEAR), ("EmoCo", LINEAR), ("EmoCo", FINETUNE))
_QUICK_LINEAR = (("MoCo", LINEAR), ("EmoCo", LINEAR))
#: Rows of Table IV, in its order.
ABLATION = (WHOLE, ONE_QUEUE, L2, CONTRAST, EMOTION)
_QUICK_ABLATION = (WHOLE, L2, CONTRAST, EMOTION)
#: lambda of Figure 4; its axis cannot be read off the text, 1 is the paper's choice.
LAMBDAS = (0.1, 0.5, 1.0, 2.0, 10.0)
CHOSEN = 1.0


def by_protocol(*methods: str) -> list[tuple[str, str]]:
    """Methods of Tables I to III under the linear, then under the finetuning protocol."""
    return [(method, protocol) for protocol in (LINEAR, FINETUNE) for method in methods]


def table1_gft(profile: str = "quick", source: Source = "twin", seeds: int | None = None) -> Table:
    """Table I: F1 of 10 action units on GFT.

    Args:
        profile: quick (four rows), demo, full or paper.
        source: "twin", "real", "open" (pre-training on ``facial_expressions``, action units on twins), or one per
            dataset.
        seeds: number of seeds; seed s is scored on fold s mod k, where there are folds. Default: the profile's.
    """
    return _units("emoco.table1_gft", "GFT", profile, source, seeds)


def table2_disfa(profile: str = "quick", source: Source = "twin", seeds: int | None = None) -> Table:
    """Table II: F1 of 8 action units on DISFA. Args as :func:`table1_gft`."""
    return _units("emoco.table2_disfa", "DISFA", profile, source, seeds)


def table3_bp4d(profile: str = "quick", source: Source = "twin", seeds: int | None = None) -> Table:
    """Table III: F1 of 12 action units on BP4D. Args as :func:`table1_gft`."""
    return _units("emoco.table3_bp4d", "BP4D", profile, source, seeds)


def _units(name: str, dataset: str, profile: str, source: Source, seeds: int | None) -> Table:
    p, table = profile_named(profile), name.replace(".", "_")
    printed = reported.table(table)
    rows = list(dict.fromkeys(zip(printed["method"], printed["variant"], strict=True)))
    known = set(rows)
    if ("ResNet-50", SUPERVISED) not in rows:  # the paper prints one for GFT alone
        rows.insert(0, ("ResNet-50", SUPERVISED))
    recipes = {
        row: tuple(detection(p, dataset, source, s, row[1], RUN[row]) for s in range(seeds or p.seeds))
        for row in (RUN if p.name != "quick" else _QUICK if dataset == "BP4D" else _QUICK_LINEAR)
    }
    cells = []
    for unit in dict.fromkeys(printed["class_or_au"]):
        title, metric = ("Avg", "f1") if unit == "avg" else (unit, f"f1/{unit}")
        for row in rows:
            method, protocol = row
            where = Printed(table, method, dataset, "f1", protocol, unit) if row in known else None
            cells.append(
                Cell(
                    f"{method} {protocol}",
                    title,
                    metric,
                    recipes.get(row, ()),
                    where.value if where else None,
                    *_step(table, dataset, row, unit),
                    why_empty=f"not run in {p.name}" if row in RUN else QUOTED,
                    printed=where,
                )
            )
    return Table(name, profile, cells)


def averages(table: Table) -> Table:
    """The averages of one of Tables I to III, without the methods that no profile runs."""
    part, known = table.part("Avg"), {f"{method} {protocol}" for method, protocol in RUN}
    part.cells = [cell for cell in part.cells if cell.label in known]
    return part


def _step(table: str, dataset: str, row: tuple[str, str], unit: str) -> tuple[str | None, float | None]:
    """EmoCo is measured from MoCo under the same protocol."""
    method, protocol = row
    if method != "EmoCo":
        return None, None
    ours, base = (Printed(table, m, dataset, "f1", protocol, unit).value for m in ("EmoCo", "MoCo"))
    return f"MoCo {protocol}", ours - base


def table4_ablation(profile: str = "quick", source: Source = "twin", seeds: int | None = None) -> Table:
    """Table IV: parts left out, under both protocols on three data sets; steps are measured from the whole.

    Args as :func:`table1_gft`; quick has four rows under the linear protocol on BP4D.
    """
    p, cells, table = profile_named(profile), [], "emoco_table4_ablation"
    for column in COLUMNS:
        for protocol in (LINEAR, FINETUNE):
            for parts in ABLATION:
                run = p.name != "quick" or (
                    column == "BP4D" and protocol == LINEAR and parts in _QUICK_ABLATION
                )
                printed = _ablated(table, column, protocol, parts)
                cells.append(
                    Cell(
                        f"{protocol} {NAMES[parts]}",
                        column,
                        "f1",
                        tuple(
                            detection(p, column, source, s, protocol, parts)
                            for s in range((seeds or p.seeds) if run else 0)
                        ),
                        printed.value,
                        None if parts == WHOLE else f"{protocol} {NAMES[WHOLE]}",
                        None
                        if parts == WHOLE
                        else printed.value - _ablated(table, column, protocol, WHOLE).value,
                        why_empty=f"not run in {p.name}",
                        printed=printed,
                    )
                )
    return Table("emoco.table4_ablation", profile, cells)


def _ablated(table: str, column: str, protocol: str, parts: str) -> Printed:
    return Printed(table, "EmoCo", column, "f1", f"F={int(protocol == FINETUNE)};{parts}")


def fig4_lambda(profile: str = "quick", source: Source = "twin", seeds: int | None = None) -> Table:
    """Figure 4: the weight of the emotion classification, with intra-class and with L2 normalisation.

    The paper draws curves without a number. Args as :func:`table1_gft`; one seed in quick and demo, quick has lambda 1,
    and 10 with intra-class normalisation, under the linear protocol on BP4D.
    """
    p, cells = profile_named(profile), []
    for dataset in COLUMNS:
        for protocol in (LINEAR, FINETUNE):
            for parts in (WHOLE, L2):
                for value in LAMBDAS:
                    cells.append(_at_lambda(p, dataset, protocol, parts, value, source, seeds))
    return Table("emoco.fig4_lambda", profile, cells)


def _at_lambda(
    p: Profile, dataset: str, protocol: str, parts: str, value: float, source: Source, seeds: int | None
) -> Cell:
    quick = dataset == "BP4D" and protocol == LINEAR and (value == CHOSEN or (value == 10 and parts == WHOLE))
    run = p.name != "quick" or quick
    # The default is left unsaid, so that the run is the one of Table IV.
    options = {} if value == CHOSEN else {"emotion": value}
    return Cell(
        f"{'intra-class' if parts == WHOLE else 'L2'}, λ = {value:g}",
        f"{dataset} {protocol}",
        "f1",
        tuple(
            detection(p, dataset, source, s, protocol, parts, **options)
            for s in range(few_seeds(p, seeds) if run else 0)
        ),
        why_empty=f"not run in {p.name}",
    )
