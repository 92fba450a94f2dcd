"""DK-CLIP's tables and figures as rows of recipes, one function each, named as its notebook."""

from __future__ import annotations

from collections.abc import Callable

from fbu.experiments.common import Table
from fbu.experiments.dk_clip.figures import (
    by_noise,
    chosen,
    fig4_tsne,
    fig5_snippets,
    gained,
    learning,
    more_views,
    noise,
    selection,
    shares,
    swept,
)
from fbu.experiments.dk_clip.logs import chosen_on_test, curves, published_logs, ranking, ranks
from fbu.experiments.dk_clip.pictures import film, snippet_table
from fbu.experiments.dk_clip.prompts import prompt_matrices, prompt_similarity
from fbu.experiments.dk_clip.stages import training
from fbu.experiments.dk_clip.tables import (
    fig3_theta_n,
    own,
    same_as_files,
    shared_units,
    table1_expression_aus,
    table2_dfew,
    table3_ferv39k_mafw,
    table4_components,
    table5_temporal,
    table6_prompts,
)

# Table 1 and the published logs are data, without a recipe: table1_expression_aus, published_logs.
TABLES: dict[str, Callable[..., Table]] = {
    "table2_dfew": table2_dfew,
    "table3_ferv39k_mafw": table3_ferv39k_mafw,
    "table4_components": table4_components,
    "table5_temporal": table5_temporal,
    "table6_prompts": table6_prompts,
    "fig3_theta_n": fig3_theta_n,
    "fig4_tsne": fig4_tsne,
    "fig5_snippets": fig5_snippets,
    "noise": noise,
    "selection": selection,
    "more_views": more_views,
}

__all__ = [
    "TABLES",
    "by_noise",
    "chosen",
    "chosen_on_test",
    "curves",
    "film",
    "gained",
    "learning",
    "own",
    "prompt_matrices",
    "prompt_similarity",
    "published_logs",
    "ranking",
    "ranks",
    "same_as_files",
    "shared_units",
    "shares",
    "snippet_table",
    "swept",
    "table1_expression_aus",
    "training",
    *TABLES,
]
