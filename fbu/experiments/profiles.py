"""Profiles: how large and how long everything is, and what stands in for published weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from fbu.data.manifest import load_manifest
from fbu.data.transforms import Augment
from fbu.models.face_encoders import face_encoder_size
from fbu.models.towers import TOWERS
from fbu.recipes import DataSpec, EncoderSpec, OptimSpec, Recipe

# Files of published weights, under FBU_DATA/weights (profile paper).
FARL_FILE = "FaRL-Base-Patch16-LAIONFace20M-ep64.pth"
# Picture encoders that the stand-in for MS-Celeb trains, by profile.
IDENTITY_ENCODERS = {
    "quick": ("tiny-resnet", "tiny-swin"),
    "demo": ("tiny-resnet", "tiny-swin"),
    "full": ("resnet18", "swin-t"),
}


class Profile(BaseModel):
    """Size and length of every training of a profile."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Literal["quick", "demo", "full", "paper"]
    size: Literal["quick", "demo", "full"] = Field(description="size of the twins")
    image_size: int
    encoder: str
    seeds: int
    threads: int
    precision: Literal["no", "bf16"] = "no"
    tower_images: int = Field(description="pictures seen in the pre-training of a stand-in tower")
    second_tower_images: int = Field(description="the same for towers that only one table uses")
    tower_lr: float
    pretrain_images: int
    pretrain_lr: float
    twin_images: int = Field(description="pictures seen in fine-tuning on a twin or a real set")
    open_images: int = Field(description="pictures seen in fine-tuning on open photographs")
    finetune_lr: float
    finetune_batch: int = Field(64, description="pictures per step in fine-tuning; the paper's 64")

    def finetune_images(self, source: str) -> int:
        """Length of a fine-tuning in pictures seen."""
        return self.open_images if source == "open" else self.twin_images

    def encoder_for(self, weights: str) -> EncoderSpec:
        """Encoder with published weights in ``paper``, without in the others (they start from a tower's run)."""
        if self.name != "paper":
            return EncoderSpec(name=self.encoder)
        if weights == "CLIP":
            return EncoderSpec(name=self.encoder, pretrained="openai")
        return EncoderSpec(name=self.encoder, checkpoint=FARL_FILE)


PROFILES = {
    p.name: p
    for p in (
        Profile(
            name="quick",
            size="quick",
            image_size=64,
            encoder="fbu-tiny",
            seeds=1,
            threads=1,
            tower_images=1_280,
            second_tower_images=640,
            tower_lr=1e-3,
            pretrain_images=320,
            pretrain_lr=5e-4,
            twin_images=400,
            open_images=400,
            finetune_lr=1e-3,
            finetune_batch=16,  # few pictures: more steps from them matter more than smooth ones
        ),
        Profile(
            name="demo",
            size="demo",
            image_size=64,
            encoder="fbu-tiny",
            seeds=3,
            threads=1,
            tower_images=300_000,
            second_tower_images=100_000,
            tower_lr=1e-3,
            pretrain_images=16_000,
            pretrain_lr=5e-4,
            twin_images=20_000,
            open_images=40_000,
            finetune_lr=1e-3,
            finetune_batch=16,
        ),
        Profile(
            name="full",
            size="full",
            image_size=224,
            encoder="ViT-B-16",
            seeds=3,
            threads=4,
            precision="bf16",
            tower_images=3_000_000,
            second_tower_images=1_000_000,
            tower_lr=5e-4,
            pretrain_images=100_000,
            pretrain_lr=5e-5,
            twin_images=100_000,
            open_images=100_000,
            finetune_lr=1e-4,
        ),
        Profile(
            name="paper",
            size="full",
            image_size=224,
            encoder="ViT-B-16-quickgelu",
            seeds=3,
            threads=4,
            precision="bf16",
            tower_images=1,
            second_tower_images=1,
            tower_lr=1e-4,
            pretrain_images=1,
            pretrain_lr=1e-5,
            twin_images=1,
            open_images=1,
            finetune_lr=2e-4,
        ),
    )
}


def profile_named(name: str) -> Profile:
    """A profile by name; ValueError with the known names otherwise."""
    if name not in PROFILES:
        raise ValueError(f"profile {name!r} is unknown; known: {', '.join(PROFILES)}")
    return PROFILES[name]


def source_of(dataset: str, source: str | Mapping[str, str]) -> Literal["twin", "open", "real"]:
    """Source of one dataset: its own entry of a mapping, else the common one; what is not open falls to its twin."""
    chosen = source.get(dataset, "twin") if not isinstance(source, str) else source
    if chosen == "open" and dataset != "facial_expressions":
        return "twin"
    if chosen not in ("twin", "open", "real"):
        raise ValueError(f"source of {dataset} is {chosen!r}; use twin, open or real")
    return chosen  # type: ignore[return-value]


def few_seeds(p: Profile, seeds: int | None) -> int:
    """Seeds of a sweep, or of a table with a tower of its own: one in quick and demo, unless more are asked for."""
    return seeds or (1 if p.name in ("quick", "demo") else p.seeds)


def traced(
    p: Profile, recipe: Recipe, *, select: Literal["last", "val"] = "last", epochs: float | None = None
) -> Recipe:
    """The same training, scored evenly on its way on validation and test subjects: ten times, in quick twice.

    Args:
        p: profile.
        recipe: the training.
        select: weights that are scored as its result: the last, or those that validation subjects choose.
        epochs: another length.
    """
    length = {} if epochs is None else {"images": None, "epochs": epochs}
    optim = recipe.optim.model_copy(update=length)
    evaluations = 2 if p.name == "quick" else 10
    changed = {"optim": optim, "select": select, "evaluations": evaluations, "traced": True}
    return recipe.model_copy(update=changed)


def looked_at(trained: Recipe, task: str, data: DataSpec | None = None, **options: Any) -> Recipe:
    """A look at a finished training, which trains nothing.

    Args:
        trained: the training.
        task: e.g. "ke_fer.look".
        data: whose test split is looked at; default: the training's own.
        options: of the task.
    """
    return Recipe(
        task=task,
        data=data or trained.data,
        encoder=trained.encoder,
        start=trained,
        options=options,
        optim=OptimSpec(images=0),
        seed=trained.seed,
        threads=trained.threads,
    )


@cache
def _folds(dataset: str) -> tuple[int, ...]:
    return load_manifest(dataset).splits.folds


def part_of(
    p: Profile,
    dataset: str,
    source: str | Mapping[str, str],
    seed: int,
    protocol: str | None = None,
    image_size: int | None = None,
) -> DataSpec:
    """Data of a recipe; where a set has folds, seed s is tested on fold s mod k.

    Args:
        p: profile.
        dataset: name.
        source: of all sets, or one per set.
        seed: decides the fold.
        protocol: of the manifest.
        image_size: side of the pictures; default: the profile's.
    """
    folds = _folds(dataset)
    return DataSpec(
        name=dataset,
        source=source_of(dataset, source),
        size=p.size,
        fold=folds[seed % len(folds)] if folds else None,
        protocol=protocol,
        image_size=image_size or p.image_size,
    )


def tower(weights: str, p: Profile, omit: Sequence[str] = (), *, encoder: str | None = None) -> Recipe | None:
    """Recipe of the stand-in for published weights; None in ``paper``, which loads them.

    Args:
        weights: what is stood in for: "CLIP", "FaRL", "ViT", "ALIGN", "BLIP" or "MS-Celeb".
        p: profile.
        omit: expressions that the tower's captions never name, for zero-shot tables; FaRL only.
        encoder: picture encoder that is trained, one of ``IDENTITY_ENCODERS`` of the profile; MS-Celeb only.

    Raises:
        ValueError: no stand-in for these weights, names to omit for another one than FaRL, an encoder for another one
            than MS-Celeb, or one that the profile does not train.
    """
    if omit and weights != "FaRL":
        raise ValueError(f"only the FaRL stand-in can leave names out, not {weights!r}")
    if encoder is not None and weights != "MS-Celeb":
        raise ValueError(f"only the MS-Celeb stand-in has a choice of encoders, not {weights!r}")
    known = [*TOWERS, "ViT", "ALIGN", "BLIP", "MS-Celeb"]
    if p.name == "paper":
        return None
    if weights not in known:
        raise ValueError(f"no stand-in tower {weights!r}; known: {', '.join(known)}")
    if weights == "MS-Celeb":
        return _identities(p, encoder)
    if weights == "ViT":
        return _tower(p, "labelled.pictures", {}, p.second_tower_images)
    if weights == "ALIGN":
        return _tower(p, "text_towers.noisy", {**TOWERS["FaRL"], "noise": 0.3}, p.second_tower_images)
    if weights == "BLIP":
        return _tower(p, "text_towers.matching", TOWERS["FaRL"], p.second_tower_images)
    if omit:
        options = {**TOWERS[weights], "omit": list(omit)}
        return _tower(p, "unnamed.contrast", options, p.second_tower_images)
    return _tower(p, "towers.contrast", TOWERS[weights], p.tower_images)


def _identities(p: Profile, encoder: str | None) -> Recipe:
    if encoder not in IDENTITY_ENCODERS[p.name]:
        known = ", ".join(IDENTITY_ENCODERS[p.name])
        raise ValueError(f"profile {p.name} trains MS-Celeb's stand-in for {known}, not for {encoder!r}")
    recipe = _tower(p, "identities.classify", {}, p.second_tower_images)
    data = recipe.data.model_copy(update={"image_size": face_encoder_size(encoder)})
    return recipe.model_copy(update={"data": data, "encoder": EncoderSpec(name=encoder)})


def _tower(p: Profile, task: str, options: dict[str, Any], images: int) -> Recipe:
    return Recipe(
        task=task,
        data=DataSpec(name="tower", size=p.size, image_size=p.image_size),
        encoder=EncoderSpec(name=p.encoder),
        options=options,
        optim=OptimSpec(
            lr=p.tower_lr,
            weight_decay=0.05,
            batch_size=64,
            images=images,
            warmup=0.05,
            precision=p.precision,
        ),
        augment=Augment(),
        threads=p.threads,
    )
