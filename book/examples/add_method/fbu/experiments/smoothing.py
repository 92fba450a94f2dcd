"""Tables about label smoothing."""

from __future__ import annotations

from collections.abc import Callable

from fbu.experiments.common import Cell, Table
from fbu.experiments.profiles import Profile, profile_named, source_of, tower
from fbu.recipes import DataSpec, OptimSpec, Recipe

ROWS = {"plain labels": 0.0, "smoothed labels": 0.1}


def classification(p: Profile, source: str, seed: int, amount: float, images: int | None) -> Recipe:
    """One training on RAF-DB; without a length of its own it starts from the CLIP stand-in."""
    data = DataSpec(name="rafdb", source=source_of("rafdb", source), size=p.size, image_size=p.image_size)
    return Recipe(
        task="smoothing.classify",
        data=data,
        encoder=p.encoder_for("CLIP"),
        start=tower("CLIP", p) if images is None else None,
        options={"amount": amount},
        optim=OptimSpec(lr=p.finetune_lr, batch_size=p.finetune_batch, images=images or p.twin_images),
        seed=seed,
        threads=p.threads,
    )


def table1_amount(
    profile: str = "quick", source: str = "twin", seeds: int | None = None, images: int | None = None
) -> Table:
    """Does smoothing help on RAF-DB? ``images`` sets another length, for a first try."""
    p = profile_named(profile)
    cells = []
    for label, amount in ROWS.items():
        recipes = tuple(classification(p, source, s, amount, images) for s in range(seeds or p.seeds))
        # The step that is claimed: smoothed is better than plain; its sign is what twins can confirm.
        step = {"against": "plain labels", "step": 1.0} if amount else {}
        cells.append(Cell(label, "RAF-DB", "accuracy", recipes, **step))
    return Table("smoothing.table1_amount", profile, cells)


TABLES: dict[str, Callable[..., Table]] = {"table1_amount": table1_amount}
