"""KE-FER's training as a recipe: which encoder, which text tower, which of the three losses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fbu.data.transforms import Augment
from fbu.experiments.profiles import Profile, few_seeds, part_of, tower
from fbu.recipes import DataSpec, EncoderSpec, OptimSpec, Recipe

Source = str | Mapping[str, str]

ENCODERS = ("ResNet-18", "ViT-B/16", "Swin-T")
# What stands in for an encoder in 64 pixels on a processor, its name at full size, and its input there (Sec. 4.2).
_TINY = {"ResNet-18": "tiny-resnet", "ViT-B/16": "tiny-vit", "Swin-T": "tiny-swin"}
_WHOLE = {"ResNet-18": "resnet18", "ViT-B/16": "vit-b16", "Swin-T": "swin-t"}
_SIDE = {"ResNet-18": 224, "ViT-B/16": 224, "Swin-T": 112}
_FILES = {"ResNet-18": "resnet18_msceleb.pth", "Swin-T": "start_0.pt"}

# Table 2: which losses are ticked, as the variant of the reported table spells it -> weights of Eq. 11.
LOSSES: dict[str, dict[str, Any]] = {
    "Ls=0;Lt=0;Lc=0": {"supervision": "labels", "transformation": 0.0, "contrast": 0.0},
    "Ls=1;Lt=0;Lc=0": {"transformation": 0.0, "contrast": 0.0},
    "Ls=1;Lt=1;Lc=0": {"transformation": 1.0, "contrast": 0.0},
    "Ls=1;Lt=0;Lc=1": {"transformation": 0.0, "contrast": 1.0},
    "Ls=1;Lt=1;Lc=1": {},
}
CLASSIFIER, TEXT, WHOLE = "Ls=0;Lt=0;Lc=0", "Ls=1;Lt=0;Lc=0", "Ls=1;Lt=1;Lc=1"
NAMES = {
    CLASSIFIER: "labels",
    TEXT: "Ls",
    "Ls=1;Lt=1;Lc=0": "Ls Lt",
    "Ls=1;Lt=0;Lc=1": "Ls Lc",
    WHOLE: "Ls Lt Lc",
}

OPEN = "facial_expressions"
# Column of the paper -> data set and protocol.
COLUMNS: dict[str, tuple[str, str | None]] = {
    "RAF-DB": ("rafdb", "ke_fer"),
    "AffectNet-7": ("affectnet", "ke_fer_7"),
    "AffectNet-8": ("affectnet", "ke_fer_8"),
    "FERPlus": ("ferplus", "ke_fer"),
    OPEN: (OPEN, "six"),
}

# Rotation, crop, flip and erasing are named in Sec. 4.2, their ranges are not.
AUGMENT = Augment(
    flip=0.5, rotate=10.0, scale=(1.0, 1.0), translate=0.035, erase=0.5, erase_area=(0.02, 0.25)
)
ASSUMED = ("augment", "optim.warmup", "optim.clip_grad")


# Pictures that a training sees, but on open photographs, where they are not the profile's: so that the chapter's 143
# trainings fit into 90 minutes on two cores.
_IMAGES = {"demo": 15_000}


def seeds_of(p: Profile, label: str, seeds: int | None, column: str = "RAF-DB", *, run: bool = True) -> int:
    """Seeds of a row: the profile's for ResNet-18 on RAF-DB or open photographs, else one in quick and demo.

    Args:
        p: profile.
        label: encoder, one of :data:`ENCODERS`.
        seeds: number asked for, if any.
        column: data set as the paper names it, a key of :data:`COLUMNS`.
        run: whether the profile runs the row at all.
    """
    if not run:
        return 0
    return seeds or p.seeds if label == "ResNet-18" and column in ("RAF-DB", OPEN) else few_seeds(p, seeds)


def encoder_of(p: Profile, label: str) -> EncoderSpec:
    """Encoder of a row: tiny in quick and demo, of the paper's size in full, with published weights in paper."""
    if p.name in ("quick", "demo"):
        return EncoderSpec(name=_TINY[label])
    if p.name == "full":
        return EncoderSpec(name=_WHOLE[label])
    if label == "ViT-B/16":
        return EncoderSpec(name=_WHOLE[label], pretrained="openai")
    return EncoderSpec(name=_WHOLE[label], checkpoint=_FILES[label])


def start_of(p: Profile, label: str) -> Recipe | None:
    """The tower that stands in for an encoder's published weights."""
    if label == "ViT-B/16":
        return tower("CLIP", p)
    return tower("MS-Celeb", p, encoder=encoder_of(p, label).name)


def data_of(p: Profile, column: str, source: Source, label: str, seed: int) -> DataSpec:
    """Data of a column, in the size that the encoder wants."""
    return spec_of(p, *COLUMNS[column], source, label, seed)


def spec_of(
    p: Profile, dataset: str, protocol: str | None, source: Source, label: str, seed: int = 0
) -> DataSpec:
    """Data by name and protocol, in the size that the encoder wants; see :func:`part_of`."""
    side = None if p.name in ("quick", "demo") else _SIDE[label]
    return part_of(p, dataset, source, seed, protocol, side)


def training(
    p: Profile,
    column: str,
    source: Source,
    seed: int,
    label: str,
    losses: str = WHOLE,
    *,
    text: str = "CLIP",
    **options: Any,
) -> Recipe:
    """One training.

    Args:
        p: profile.
        column: data set as the paper names it, a key of :data:`COLUMNS`.
        source: where its pictures come from; sets that are not open fall to their twin.
        seed: decides the fold as well, where there are folds.
        label: encoder, one of :data:`ENCODERS`.
        losses: a key of :data:`LOSSES`.
        text: text tower, "CLIP", "ALIGN" or "BLIP".
        options: of the task, where they differ, e.g. ``template=3``.
    """
    spec = data_of(p, column, source, label, seed)
    reads = tower(text, p) if losses != CLASSIFIER else None
    if p.name == "paper" and text != "CLIP":
        options["text"] = text
    return Recipe(
        task="ke_fer.train",
        data=spec,
        encoder=encoder_of(p, label),
        start=start_of(p, label),
        reads={} if reads is None else {"text": reads},
        options={**LOSSES[losses], **options},
        optim=optimiser(p, spec.source),
        augment=AUGMENT,
        seed=seed,
        threads=p.threads,
        assumed=ASSUMED,
    )


def optimiser(p: Profile, source: str) -> OptimSpec:
    """SGD over 50 epochs as in Sec. 4.2; in the short profiles AdamW, which gets tiny encoders further in few steps."""
    if p.name == "paper":
        return OptimSpec(
            optimizer="sgd",
            lr=2e-3,
            weight_decay=5e-4,
            momentum=0.9,
            batch_size=64,
            epochs=50.0,
            warmup=0.02,  # one epoch, as in the authors' code
            clip_grad=None,
            precision=p.precision,
        )
    return OptimSpec(
        lr=p.finetune_lr,
        weight_decay=0.01,
        batch_size=p.finetune_batch,
        images=p.open_images if source == "open" else _IMAGES.get(p.name, p.twin_images),
        precision=p.precision,
    )
