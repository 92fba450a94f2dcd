"""The two stages of CLEF as recipes, and which data each starts from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fbu.experiments.profiles import Profile, part_of, tower
from fbu.models.clef import PRETRAIN_AUGMENT
from fbu.recipes import DataSpec, OptimSpec, Recipe

LETTERS = "PA,PI,I,N,D"
FULL = f"CLEF {LETTERS}"
# What the paper leaves open (reported/hyperparameters.csv) and this project had to choose.
ASSUMED_PRETRAIN = ("optim.lr", "augment", "optim.clip_grad")
ASSUMED_FINETUNE = (
    "optim.epochs",
    "optim.warmup",
    "optim.weight_decay",
    "optim.min_lr",
    "augment",
    "class_weight",
)

RATE_NOT_STATED = ("bp4dplus",)
# Stage 1 runs on the recordings of the same people, or, for sets without activities, on BP4D+ (Sec. 4.1.1, 4.3.2).
PRETRAINED_ON = {"bp4d": "bp4d", "disfa": "bp4d", "bp4dplus": "bp4dplus"}
# Frames of all ten activities, labelled or not (Sec. 4.1.1).
PRETRAIN_PROTOCOL = {"bp4dplus": "clef_pretraining"}
# Learning rate by data set, as a share of the rate on BP4D, AffectNet and RAF-DB (Sec. 4.2: 1e-4 and 2e-4).
RATES = {"disfa": 0.5, "ferplus": 0.5}
PROTOCOLS = {"facial_expressions": "six"}  # fear and contempt: 30 pictures in all

Source = str | Mapping[str, str]


def split_of(p: Profile, dataset: str, source: Source, seed: int, protocol: str | None = None) -> DataSpec:
    """Data of a recipe, with the protocol that this paper's tables use; see :func:`part_of`."""
    return part_of(p, dataset, source, seed, protocol or PROTOCOLS.get(dataset))


def pretraining(
    p: Profile,
    source: Source,
    seed: int,
    *,
    text: bool,
    pairing: str = "activity",
    images: int | None = None,
    dataset: str = "bp4d",
    start: Recipe | None = None,
) -> Recipe:
    """Stage 1 on the training subjects of the seed's fold.

    Args:
        p: profile.
        source: of the recordings.
        seed: decides the fold as well.
        text: PA, whether pictures are contrasted with the activities' texts, too.
        pairing: "activity", or "self" for two views of one picture.
        images: length in pictures; 0 keeps the start as it is. Default: the profile's; ``paper``: five epochs.
        dataset: bp4d or bp4dplus.
        start: tower to start from; default: FaRL.
    """
    length: dict[str, Any] = {"epochs": 5.0} if p.name == "paper" else {"images": p.pretrain_images}
    if images is not None:
        length = {"images": images}
    optim = OptimSpec(
        lr=p.pretrain_lr,
        min_lr=1e-6,
        weight_decay=0.01,
        batch_size=64,
        warmup=0.2,
        precision=p.precision,
        **length,
    )
    return Recipe(
        task="clef.pretrain",
        data=split_of(p, dataset, source, seed, PRETRAIN_PROTOCOL.get(dataset)),
        encoder=p.encoder_for("FaRL"),
        start=start or tower("FaRL", p),
        options={"activity_text": text, "pairing": pairing},
        optim=optim,
        augment=PRETRAIN_AUGMENT,
        seed=seed,
        threads=p.threads,
        assumed=ASSUMED_PRETRAIN,
    )


def finetuning(
    p: Profile,
    dataset: str,
    source: Source,
    seed: int,
    method: str,
    letters: str,
    *,
    protocol: str | None = None,
    start: Recipe | None = None,
    **options: Any,
) -> Recipe:
    """Stage 2 on one data set.

    Args:
        p: profile.
        dataset: what is trained on.
        source: where its pictures come from; sets that are not open fall to their twin.
        seed: decides the fold as well, where there are folds.
        method: starting weights: "CLIP", "FaRL", "ViT", or "CLEF" for stage 1.
        letters: what is ticked in Table 7, e.g. "PA,PI,I,N,D".
        protocol: of the manifest, if not the usual one.
        start: recipe to start from; default: by ``method``. On DISFA the model of the same kind trained on BP4D.
        options: of the task, where they differ from its defaults, e.g. ``weight=1.0``.
    """
    ticked = letters.split(",")
    spec = split_of(p, dataset, source, seed, protocol)
    length: dict[str, Any] = (
        {"epochs": 20.0} if p.name == "paper" else {"images": p.finetune_images(spec.source)}
    )
    options = {"use": "".join(t for t in ticked if t in ("I", "N", "D")), **options}
    if (
        spec.source == "open"
    ):  # 33 neutral faces for one of disgust: the inverse frequency is all about the rare ones
        options["class_weight"] = "inverse_sqrt"
    return Recipe(
        task="clef.finetune",
        data=spec,
        encoder=p.encoder_for("FaRL" if method == "CLEF" else method),
        start=start or _start(p, dataset, source, seed, method, letters),
        options=options,
        optim=OptimSpec(
            lr=p.finetune_lr * RATES.get(dataset, 1.0),
            weight_decay=0.01,
            batch_size=p.finetune_batch,
            precision=p.precision,
            **length,
        ),
        seed=seed,
        threads=p.threads,
        assumed=ASSUMED_FINETUNE + (("optim.lr",) if dataset in RATE_NOT_STATED else ()),
    )


def _start(p: Profile, dataset: str, source: Source, seed: int, method: str, letters: str) -> Recipe | None:
    if dataset == "disfa":
        return finetuning(p, "bp4d", source, seed, method, letters)
    if method != "CLEF":
        return tower(method, p)
    recordings = PRETRAINED_ON.get(dataset, "bp4dplus")
    return pretraining(p, source, seed, text="PA" in letters.split(","), dataset=recordings)


def untrained(
    task: str, p: Profile, data_spec: DataSpec, start: Recipe | None, seed: int, **options: Any
) -> Recipe:
    """A look at a finished model: a task that trains nothing.

    Args:
        task: e.g. "frozen.probe".
        p: profile.
        data_spec: whose test split is looked at.
        start: the model; None for the published weights.
        seed: of what the task draws.
        options: of the task.
    """
    return Recipe(
        task=task,
        data=data_spec,
        encoder=p.encoder_for("FaRL"),
        start=start,
        options=options,
        optim=OptimSpec(images=0),
        seed=seed,
        threads=p.threads,
    )
