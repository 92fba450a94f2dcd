"""EmoCo's tables and figures as rows of recipes, one function each, named as its notebook."""

from __future__ import annotations

from collections.abc import Callable

from fbu.experiments.common import Table
from fbu.experiments.emoco.figures import (
    ahead,
    best_epochs,
    by_lambda,
    convergence,
    curves,
    fig5_features,
    fig_convergence,
    margins,
    spans,
    within_emotion,
)
from fbu.experiments.emoco.stages import detection, pretraining
from fbu.experiments.emoco.tables import (
    averages,
    fig4_lambda,
    table1_gft,
    table2_disfa,
    table3_bp4d,
    table4_ablation,
)

TABLES: dict[str, Callable[..., Table]] = {
    "table1_gft": table1_gft,
    "table2_disfa": table2_disfa,
    "table3_bp4d": table3_bp4d,
    "table4_ablation": table4_ablation,
    "fig4_lambda": fig4_lambda,
    "fig5_features": fig5_features,
    "fig_convergence": fig_convergence,
    "margins": margins,
}

__all__ = [
    "TABLES",
    "ahead",
    "averages",
    "best_epochs",
    "by_lambda",
    "convergence",
    "curves",
    "detection",
    "pretraining",
    "spans",
    "within_emotion",
    *TABLES,
]
