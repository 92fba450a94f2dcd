"""CLEF's tables and figures as rows of recipes, one function each, named as its notebook."""

from __future__ import annotations

from collections.abc import Callable

from fbu.experiments.clef.ablation import OPEN_ROWS, table7_ablation
from fbu.experiments.clef.comparisons import table2_bp4d, table3_disfa, table4_bp4dplus, table5_fer
from fbu.experiments.clef.figures import (
    fig1_pairing,
    fig4_tsne,
    fig5_similarity,
    identity_leak,
    pairing_rates,
)
from fbu.experiments.clef.heatmaps import fig6_relevancy
from fbu.experiments.clef.stages import FULL, finetuning, pretraining
from fbu.experiments.clef.sweeps import assumed_settings, intensity_words, lambda_sweep, weight_sharing
from fbu.experiments.clef.zero_shot import table6_zero_shot
from fbu.experiments.common import Table

TABLES: dict[str, Callable[..., Table]] = {
    "table2_bp4d": table2_bp4d,
    "table3_disfa": table3_disfa,
    "table4_bp4dplus": table4_bp4dplus,
    "table5_fer": table5_fer,
    "table6_zero_shot": table6_zero_shot,
    "table7_ablation": table7_ablation,
    "weight_sharing": weight_sharing,
    "lambda_sweep": lambda_sweep,
    "assumed_settings": assumed_settings,
    "intensity_words": intensity_words,
    "fig1_pairing": fig1_pairing,
    "fig4_tsne": fig4_tsne,
    "fig5_similarity": fig5_similarity,
    "fig6_relevancy": fig6_relevancy,
    "identity_leak": identity_leak,
}

__all__ = ["FULL", "OPEN_ROWS", "TABLES", "finetuning", "pairing_rates", "pretraining", *TABLES]
