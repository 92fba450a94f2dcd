"""CLEF's pre-training beside EmoCo's: one backbone, one start, one length, one linear protocol."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fbu.experiments.common.cells import Cell, Table
from fbu.experiments.profiles import FARL_FILE, Profile, few_seeds, profile_named, tower
from fbu.recipes import EncoderSpec, Recipe

Source = str | Mapping[str, str]

COLUMNS = ("BP4D", "DISFA")
RANDOM, START = "random weights", "start of all (FaRL)"
MOCO_HERE, EMOCO_HERE = "MoCo, BP4D", "EmoCo by activity, BP4D"
PICTURES, TEXTS = "CLEF stage 1 (PI), BP4D", "CLEF stage 1 (PA, PI), BP4D"
MOCO, EMOCO = "MoCo, AffectNet", "EmoCo, AffectNet"
ROWS = (RANDOM, START, MOCO_HERE, EMOCO_HERE, PICTURES, TEXTS, MOCO, EMOCO)
_QUICK = (RANDOM, EMOCO_HERE, TEXTS)


def pretraining_comparison(
    profile: str = "quick", source: Source = "twin", seeds: int | None = None
) -> Table:
    """Beyond the papers: action units by a linear layer on frozen features of CLEF's stage 1, of EmoCo and of MoCo.

    All rows have the image tower that CLEF uses; all but the random one start from the same weights (FaRL) and see as
    many pictures at the same rate. Four of them see the same pictures of BP4D with the same labels, the activities:
    MoCo leaves them aside, EmoCo takes them for emotions, CLEF for classes (PI) and texts (PA). Two see AffectNet, with
    emotions, as EmoCo's paper has it. DISFA is seen by none of them.

    Args:
        profile: quick, demo, full or paper.
        source: "twin", "real", or one per dataset.
        seeds: number of seeds; seed s is scored on fold s mod k. Default: one in quick and demo, else the profile's.
    """
    p, cells = profile_named(profile), []
    for column in COLUMNS:
        for label in ROWS:
            run = p.name != "quick" or (label in _QUICK and column == COLUMNS[0])
            recipes = tuple(
                _probed(p, column, source, s, label) for s in range(few_seeds(p, seeds) if run else 0)
            )
            cells.append(
                Cell(
                    label,
                    column,
                    "f1",
                    recipes,
                    against=None if label in (RANDOM, START) else START,
                    why_empty=f"not run in {p.name}",
                )
            )
    return Table("common.pretraining_comparison", profile, cells)


def backbone_of(p: Profile) -> EncoderSpec:
    """CLEF's image tower, as EmoCo's tasks name it."""
    if p.name == "paper":
        return EncoderSpec(name="vit-b16", checkpoint=FARL_FILE)
    return EncoderSpec(name="vit-b16" if p.name == "full" else "tiny-vit")


def _probed(p: Profile, column: str, source: Source, seed: int, label: str) -> Recipe:
    """The linear protocol of EmoCo on a row's tower."""
    # Papers' modules import this package.
    from fbu.experiments.emoco.stages import LINEAR, detection

    linear = detection(p, column, source, seed, LINEAR)
    encoder = backbone_of(p)
    if label == RANDOM:
        encoder = EncoderSpec(name=encoder.name)
    start = _pretrained(p, source, seed, label)
    return linear.model_copy(update={"encoder": encoder, "start": start, "data": _sized(linear, p)})


def _pretrained(p: Profile, source: Source, seed: int, label: str) -> Recipe | None:
    from fbu.experiments.clef import stages as clef
    from fbu.experiments.emoco import stages as emoco

    if label == RANDOM:
        return None
    if label == START:
        return tower("FaRL", p)
    stage1 = clef.pretraining(p, source, seed, text=label == TEXTS)
    if label in (PICTURES, TEXTS):
        return stage1
    parts = emoco.MOCO if label in (MOCO, MOCO_HERE) else emoco.WHOLE
    recipe = emoco.pretraining(p, source, seed, parts)
    here = label in (MOCO_HERE, EMOCO_HERE)
    options = dict(recipe.options)
    if here:
        options |= {"groups": "activity"}
        options.pop("balance", None)  # every activity has about as many pictures
    return recipe.model_copy(
        update={
            "data": stage1.data if here else _sized(recipe, p),
            "encoder": backbone_of(p),
            "start": stage1.start,
            "options": options,
            "optim": stage1.optim,
        }
    )


def _sized(recipe: Recipe, p: Profile) -> Any:
    """Data of a recipe, with pictures of the side that the tower takes."""
    return recipe.data.model_copy(update={"image_size": p.image_size})
