"""EmoCo's trainings as recipes: what is pre-trained on expressions, and the two protocols on action units."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fbu.data.transforms import Augment
from fbu.experiments.profiles import Profile, part_of
from fbu.models.emoco_encoders import RESNET
from fbu.recipes import DataSpec, EncoderSpec, OptimSpec, Recipe

Source = str | Mapping[str, str]

# Table IV: what is ticked, as the variant of the reported table spells it without F -> settings of the pre-training.
WHOLE = "MQ=1;Lcont=1;Lemo=1;N=1"
ONE_QUEUE = "MQ=0;Lcont=1;Lemo=1;N=1"
L2 = "MQ=1;Lcont=1;Lemo=1;N=0"
CONTRAST = "MQ=1;Lcont=1;Lemo=0;N=0"
EMOTION = "MQ=1;Lcont=0;Lemo=1;N=0"
MOCO = "MQ=0;Lcont=1;Lemo=0;N=0"  # in Tables I to III only
PARTS: dict[str, dict[str, Any]] = {
    WHOLE: {},
    ONE_QUEUE: {"queues": "single"},
    L2: {"normalization": "l2"},
    CONTRAST: {"emotion": 0.0, "normalization": "l2"},
    EMOTION: {"contrast": False},
    MOCO: {"queues": "single", "emotion": 0.0, "normalization": "l2"},
}
NAMES = {
    WHOLE: "EmoCo",
    ONE_QUEUE: "one queue",
    L2: "L2 normalisation",
    CONTRAST: "contrast only",
    EMOTION: "emotion only",
    MOCO: "MoCo",
}
LINEAR, FINETUNE, SUPERVISED = "linear", "finetune", "supervised"

# Column of the paper -> data set.
COLUMNS = {"GFT": "gft", "DISFA": "disfa", "BP4D": "bp4d"}

_SIDE = 256  # of the aligned pictures (Sec. IV.B)
# Keys in a queue: the paper's 65,536 are many times the pictures of an emotion in a twin.
_KEYS = {"quick": 128, "demo": 512, "full": 4096}
# Few steps need a key encoder that follows faster than 0.999.
_MOMENTUM = {"quick": 0.99, "demo": 0.99, "full": 0.996}
# Quick is a smoke run of twenty steps, which stays at chance; demo is as long as 90 minutes for the chapter allow.
_PRETRAIN_IMAGES = {"quick": 640, "demo": 30_000, "full": 300_000}
_PRETRAIN_BATCH = {"quick": 32, "demo": 32, "full": 256}
# Of the twin's pictures 47 % are happy and 1 % disgusted. All parts of Table IV, MoCo as well, see the same pictures.
_BALANCE = 1.0

# Pictures seen in training a linear layer on features that are at hand, and in training all weights.
_LINEAR_IMAGES = {"quick": 8_000}
_TUNE_IMAGES = {"quick": 640, "demo": 10_000}

# What the paper leaves open (reported/hyperparameters.csv), or that the loop does in a way of its own.
ASSUMED_PRETRAIN = ("optim.warmup", "optim.clip_grad", "optim.precision", "data.preset")
ASSUMED_UNITS = ("optim", "augment", "balance", "data.preset")

# What the short profiles change was judged by people cut from AffectNet's training people, one seed of the emotion
# classifier alone on the twin of profile demo (7 emotions: chance 14.3, the most frequent is 46 %), before any action
# unit was scored. MoCo's windows down to a fifth of the picture leave little of a face of 64 pixels: nothing but how
# frequent emotions are was learned. With its colours on whole faces and a rate of 3e-3, a linear probe of the features
# read 11.8 (balanced accuracy) after 20,000 pictures, still nothing. With moved whole faces alone, a rate of 1e-3 and
# batches of 32 it read 24.6 after 12,000; the classifier itself reached 18.1 by then, from 13.8, and was rising.
# The whole method came to 29.3 after 30,000 (classifier 18.0, neighbours of the same emotion 30.5 % against 26.7 by
# chance): it learns emotions, slowly, as a classifier without temperature does. Its logits lie between plus and minus
# the length of its rows, which have 200 epochs to grow in the paper. Starting with the length that they would reach, 10
# in place of 0.6, the classifier came to 30.2, the probe to 33.6 and neighbours to 34.8 %.
_SHORT_AUGMENT = Augment()
_ROW_LENGTH = 10.0

# Aligned faces: the mild changes of the other methods, not MoCo's crops down to a fifth.
UNITS_AUGMENT = Augment()


def encoder_of(p: Profile) -> EncoderSpec:
    """Tiny in quick and demo, the paper's ResNet-50 in full and paper; all start at random."""
    return EncoderSpec(name="tiny-resnet" if p.name in ("quick", "demo") else RESNET)


def side_of(p: Profile) -> int:
    """Side of the pictures."""
    return _SIDE if p.name == "paper" else p.image_size


def expressions(p: Profile, source: Source) -> DataSpec:
    """What is pre-trained on: AffectNet's seven expressions, or open photographs of six."""
    if source == "open":
        return part_of(p, "facial_expressions", source, 0, "six", side_of(p))
    return part_of(p, "affectnet", source, 0, "emoco", side_of(p))


def units(p: Profile, column: str, source: Source, seed: int) -> DataSpec:
    """A data set of action units, by its column; seed s is tested on fold s mod k, where there are folds."""
    return part_of(p, COLUMNS[column], source, seed, "emoco", side_of(p))


def pretraining(p: Profile, source: Source, seed: int, parts: str = WHOLE, **options: Any) -> Recipe:
    """The pre-training on expressions.

    Args:
        p: profile.
        source: where the pictures come from; "open" is ``facial_expressions`` in place of AffectNet.
        seed: of weights, order and augmentation; the people are the same for every seed.
        parts: a key of :data:`PARTS`.
        options: of the task, where they differ, e.g. ``emotion=0.5``.
    """
    settings = {**PARTS[parts], **options}
    if p.name in ("quick", "demo"):
        settings["balance"] = _BALANCE
    if p.name != "paper" and settings.get("emotion", 1.0):
        settings["row_length"] = _ROW_LENGTH
    if p.name != "paper" and settings.get("contrast", True):
        settings = {"queue_size": _KEYS[p.name], "momentum": _MOMENTUM[p.name], **settings}
    return Recipe(
        task="emoco.pretrain",
        data=expressions(p, source),
        encoder=encoder_of(p),
        options=settings,
        optim=_pretrain_optim(p),
        augment=_SHORT_AUGMENT if p.name in ("quick", "demo") else Augment.moco(),
        seed=seed,
        threads=p.threads,
        assumed=ASSUMED_PRETRAIN,
    )


def _pretrain_optim(p: Profile) -> OptimSpec:
    """SGD over 200 epochs as in Sec. IV.B; in the short profiles AdamW, which gets a tiny encoder further."""
    if p.name == "paper":
        return OptimSpec(
            optimizer="sgd",
            lr=0.03,  # times batch size / 256
            weight_decay=1e-4,
            momentum=0.9,
            batch_size=256,
            epochs=200.0,
            warmup=0.0,
            clip_grad=None,
            precision=p.precision,
        )
    return OptimSpec(
        lr=1e-3,
        weight_decay=0.01,
        batch_size=_PRETRAIN_BATCH[p.name],
        images=_PRETRAIN_IMAGES[p.name],
        precision=p.precision,
    )


def detection(
    p: Profile,
    column: str,
    source: Source,
    seed: int,
    protocol: str,
    parts: str = WHOLE,
    **options: Any,
) -> Recipe:
    """A training on action units.

    Args:
        p: profile.
        column: data set as the paper names it, a key of :data:`COLUMNS`.
        source: where pictures come from, as :func:`pretraining`.
        seed: decides the fold as well, where there are folds.
        protocol: "linear", "finetune", or "supervised": the same without pre-training.
        parts: what is pre-trained, a key of :data:`PARTS`; for "supervised" of no account.
        options: of the pre-training, where they differ.
    """
    start = None if protocol == SUPERVISED else pretraining(p, source, seed, parts, **options)
    linear = protocol == LINEAR
    return Recipe(
        task="emoco.linear" if linear else "emoco.finetune",
        data=units(p, column, source, seed),
        encoder=encoder_of(p),
        start=start,
        optim=_linear_optim(p) if linear else _finetune_optim(p, protocol),
        augment=Augment.none() if linear else UNITS_AUGMENT,
        seed=seed,
        threads=p.threads,
        assumed=ASSUMED_UNITS,
    )


def _linear_optim(p: Profile) -> OptimSpec:
    """Features are at hand, so a step costs next to nothing: demo and full train equally long."""
    length: dict[str, Any] = (
        {"epochs": 20.0} if p.name == "paper" else {"images": _LINEAR_IMAGES.get(p.name, 40_000)}
    )
    return OptimSpec(lr=3e-3, weight_decay=1e-3, batch_size=64, warmup=0.0, **length)


def _finetune_optim(p: Profile, protocol: str) -> OptimSpec:
    """Ten epochs in the paper's profile: it says that fewer than five are enough after pre-training."""
    if p.name == "paper":
        rate = 0.01 if protocol == FINETUNE else 0.05
        return OptimSpec(
            optimizer="sgd",
            lr=rate,
            weight_decay=1e-4,
            batch_size=64,
            epochs=10.0,
            warmup=0.02,
            precision=p.precision,
        )
    return OptimSpec(
        lr=p.finetune_lr,
        weight_decay=0.01,
        batch_size=p.finetune_batch,
        images=_TUNE_IMAGES.get(p.name, p.twin_images),
        precision=p.precision,
    )
