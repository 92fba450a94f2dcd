"""KE-FER's tables and figures as rows of recipes, one function each, named as its notebook."""

from __future__ import annotations

from collections.abc import Callable

from fbu.experiments.common import Table
from fbu.experiments.ke_fer.figures import (
    chosen,
    circumplex,
    confusions,
    fig1_text_vs_discrete,
    fig3_tsne,
    fig6_confusion,
    fig7_tsne_ckplus,
    neutral_vectors,
    on_circle,
    recalls,
    selection,
)
from fbu.experiments.ke_fer.stages import training
from fbu.experiments.ke_fer.tables import (
    fig4_self_contrast_vs_contrastive,
    fig5_loss_weights,
    table1_text_encoders,
    table2_losses,
    table3_prompts,
    table4_comparison,
    table5_cross_dataset,
)

TABLES: dict[str, Callable[..., Table]] = {
    "table1_text_encoders": table1_text_encoders,
    "table2_losses": table2_losses,
    "table3_prompts": table3_prompts,
    "table4_comparison": table4_comparison,
    "table5_cross_dataset": table5_cross_dataset,
    "fig1_text_vs_discrete": fig1_text_vs_discrete,
    "fig3_tsne": fig3_tsne,
    "fig4_self_contrast_vs_contrastive": fig4_self_contrast_vs_contrastive,
    "fig5_loss_weights": fig5_loss_weights,
    "fig6_confusion": fig6_confusion,
    "fig7_tsne_ckplus": fig7_tsne_ckplus,
    "neutral_vectors": neutral_vectors,
    "circumplex": circumplex,
    "selection": selection,
}

__all__ = ["TABLES", "chosen", "confusions", "on_circle", "recalls", "training", *TABLES]
