"""Figure 6: where a picture answers to a text, with numbers."""

from __future__ import annotations

from collections.abc import Iterator

from fbu import data
from fbu.data.manifest import Manifest
from fbu.experiments.clef.stages import (
    LETTERS,
    PROTOCOLS,
    Source,
    finetuning,
    pretraining,
    split_of,
    untrained,
)
from fbu.experiments.common import Cell, Table
from fbu.experiments.profiles import Profile, few_seeds, profile_named, source_of, tower
from fbu.models.encoders import TINY
from fbu.recipes import OptimSpec, Recipe

MEASURES = {"pointing": "pointing game", "energy": "energy inside", "auc": "AUC"}
# Kind of map (fbu.models.heatmaps) -> row of the table.
MAPS = {
    "name": "CLEF, by name",
    "description": "CLEF, by description",
    "name-last": "CLEF, by name, last layer",
    "description-last": "CLEF, by description, last layer",
    "absent": "CLEF, names of what is absent",
    "rollout": "CLEF, attention rollout",
    "attention": "CLEF, last layer's attention",
    "random": "random map",
    "chance": "chance",
}
BEFORE = {"name": "FaRL, by name", "description": "FaRL, by description"}
BY_LABEL = {"name": "by name", "description": "by description", "chance": "chance"}
AGREEMENT = {"own": "its own description", "other": "other descriptions"}
NO_MASK = "no mask: nobody knows which pixels of a photograph an expression changed"
NO_UNITS = "open photographs come without action units"

# Pictures per label that are scored, and what part of the profile's lengths the trainings take.
_PICTURES = {"quick": 4, "demo": 20, "full": 40, "paper": 40}
_SHORTER = {"quick": 4}
_TOWER_SHARE = 10


def fig6_relevancy(profile: str = "quick", source: Source = "twin", seeds: int | None = None) -> Table:
    """Figure 6: how well heatmaps of names and descriptions find what changed on a face.

    The paper shows examples. Here every map is scored on twins, where the changed region is known, beside the chance of
    that region's area; names are compared with descriptions on any data.

    Args:
        profile: quick, demo, full or paper.
        source: "twin", "real", "open" (expressions on ``facial_expressions``), or one per dataset.
        seeds: number of seeds; default: one in quick and demo, the profile's in full and paper.
    """
    p = profile_named(profile)
    seeds = few_seeds(p, seeds)
    cells: list[Cell] = []
    for column, dataset in (("BP4D", "bp4d"), ("AffectNet", "affectnet")):
        if source == "open" and dataset == "affectnet":
            column = dataset = "facial_expressions"
        cells += _cells(p, column, dataset, source, seeds)
    return Table("clef.fig6_relevancy", profile, cells)


def fine_tower(p: Profile) -> Recipe | None:
    """FaRL's stand-in with a grid that is fine enough: of the tiny tower a continued one, of others the same."""
    coarse = tower("FaRL", p)
    if coarse is None or p.encoder != TINY:
        return coarse
    images = p.tower_images // _TOWER_SHARE
    optim = coarse.optim.model_copy(update={"images": images, "lr": p.tower_lr / 2})
    return _changed(coarse, task="fine.contrast", start=coarse, optim=optim)


def explained(p: Profile, dataset: str, source: Source, seed: int) -> Recipe:
    """The full model, both stages, on a grid that is fine enough; the recipe of Table 7 or 5 where its own is.

    On the tiny tower stage 1 is that of BP4D for expressions, too, to save a training.
    """
    protocol = PROTOCOLS.get(dataset, "clef_8" if dataset == "affectnet" else None)
    if p.encoder != TINY:
        return finetuning(p, dataset, source, seed, "CLEF", LETTERS, protocol=protocol)
    cut = _SHORTER.get(p.name, 1)
    lengths = ("pretrain_images", "twin_images", "open_images")
    short = p.model_copy(update={name: getattr(p, name) // cut for name in lengths})
    first = _changed(pretraining(short, source, seed, text=True, start=fine_tower(p)), task="fine.pretrain")
    second = finetuning(short, dataset, source, seed, "CLEF", LETTERS, protocol=protocol, start=first)
    return _changed(second, task="fine.finetune")


def scoring(p: Profile, trained: Recipe, start: Recipe | None) -> Recipe:
    """Heatmaps of a finished run on the test pictures of ``trained``; ``start`` is the run that is asked."""
    return untrained("heatmaps.score", p, trained.data, start, trained.seed, pictures=_PICTURES[p.name])


def _changed(recipe: Recipe, **fields: object) -> Recipe:
    """A recipe with other fields, validated again."""
    return Recipe.model_validate({**recipe.model_dump(), **{k: _plain(v) for k, v in fields.items()}})


def _plain(value: object) -> object:
    return value.model_dump() if isinstance(value, Recipe | OptimSpec) else value


def _cells(p: Profile, column: str, dataset: str, source: Source, seeds: int) -> Iterator[Cell]:
    """All cells of one dataset."""
    why = _why_not_run(p, dataset, source)
    trained = [] if why else [explained(p, dataset, source, s) for s in range(seeds)]
    after = tuple(scoring(p, t, t) for t in trained)
    before = tuple(scoring(p, t, fine_tower(p)) for t in trained)
    masked = source_of(dataset, source) == "twin"
    hidden = why or NO_MASK
    for measure, words in MEASURES.items():
        for rows, recipes in ((MAPS, after), (BEFORE, before)):
            for kind, label in rows.items():
                known = recipes if masked else ()
                yield Cell(label, f"{column}: {words}", f"{measure}/{kind}", known, why_empty=hidden)
    for who, recipes in (("CLEF", after), ("FaRL", before)):
        for kind, label in AGREEMENT.items():
            yield Cell(
                f"{who}, {label}", f"{column}: likeness of maps", f"agreement/{kind}", recipes, why_empty=why
            )
    for role in ("name", "description"):
        for kind, label in (("", f"CLEF, {role}"), ("-chance", f"chance, {role}")):
            yield Cell(label, f"{column}: label's words", f"words/{role}{kind}", after, why_empty=why)
    for measure in ("pointing", "auc"):
        words = f"{column} by label: {MEASURES[measure]}"
        for name in localised_labels(data.load_manifest(dataset), split_of(p, dataset, source, 0).protocol):
            for kind, label in BY_LABEL.items():
                known = after if masked else ()
                yield Cell(f"{name}, {label}", words, f"{measure}/{kind}/{name}", known, why_empty=hidden)


def localised_labels(manifest: Manifest, protocol: str | None) -> list[str]:
    """Labels that have a region; a neutral face has none."""
    classes = manifest.protocols[protocol].classes if protocol else None
    return [name for name in classes or manifest.labels if name != "neutral"]


def _why_not_run(p: Profile, dataset: str, source: Source) -> str:
    if dataset == "bp4d" and source == "open":
        return NO_UNITS
    if dataset == "affectnet" and p.name == "quick":
        return "not run in quick"
    return ""
