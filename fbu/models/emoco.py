"""EmoCo (Sun et al., FG 2021): momentum contrast among faces of one emotion, for action units.

``emoco.pretrain``: a picture's query is classified by emotion (Eq. 2), and drawn to the key of another view of the
picture and away from earlier keys of the same emotion (Eq. 5), which a queue for each emotion holds. Its settings leave
parts out: MoCo, the emotion classifier alone, the contrast alone (Table IV). What follows it, ``emoco.linear``,
``emoco.finetune`` and ``emoco.look``, is in :mod:`fbu.models.emoco_units`.
"""

from __future__ import annotations

import copy
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from fbu.data.dataset import Dataset, expression_key
from fbu.distributed import gather_features
from fbu.errors import DataError
from fbu.evaluation.predictions import prediction_frame, score
from fbu.losses._numerics import unit
from fbu.losses.emoco import emoco_pretraining
from fbu.models.emoco_encoders import backbone, encoded, shown
from fbu.models.emoco_units import FinetuneTask, LinearTask, LookTask
from fbu.models.face_encoders import FaceEncoder, start_face_encoder
from fbu.models.pictures import Pictures
from fbu.models.queues import MultiQueue
from fbu.models.tasks import SplitTask
from fbu.probes import neighbour_purity
from fbu.recipes import Recipe
from fbu.training import Options, Outcome, Task

EMBEDDING = 128  # of queries and keys (Sec. III.B)


class Pretraining(Options):
    """Settings of the pre-training."""

    emotion: float = Field(1.0, ge=0, description="lambda of Eq. 1; 0 leaves the emotion classifier out")
    row_length: float | None = Field(
        None, gt=0, description="length of the classifier's rows at the start; None: PyTorch's, about 0.6"
    )
    contrast: bool = Field(True, description="whether there is a contrast (Eq. 5)")
    queues: Literal["per_class", "single", "batch"] = Field(
        "per_class",
        description="negatives: a queue for each emotion, one for all, or the emotion's keys in the batch",
    )
    normalization: Literal["intra_class", "l2"] = Field("intra_class", description="Eq. 4, or plain L2")
    queue_size: int = Field(65536, ge=1, description="K, slots of each queue")
    queue_dtype: Literal["float32", "bfloat16"] = Field("float32", description="of the stored keys")
    temperature: float = Field(0.2, gt=0, description="tau of Eq. 5")
    momentum: float = Field(0.999, ge=0, lt=1, description="m of Eq. 3")
    leave_own_out: bool = Field(False, description="a picture's own earlier keys are no negatives of it")
    groups: Literal["emotion", "activity"] = Field(
        "emotion", description="what is classified and has a queue: emotions, or the activities of recordings"
    )
    balance: float = Field(
        0.0,
        ge=0,
        le=1,
        description="pictures are drawn (1 / pictures of their emotion) ** balance times as often; 0: all alike",
    )

    @model_validator(mode="after")
    def _something_to_learn(self) -> Pretraining:
        if not self.emotion and not self.contrast:
            raise ValueError("nothing to learn: emotion is 0 and there is no contrast")
        if not self.emotion and self.normalization == "intra_class":
            raise ValueError("without the emotion classifier (emotion=0) there are no prototypes: use l2")
        return self


def momentum_update(key: nn.Module, query: nn.Module, m: float) -> None:
    """Let a key encoder follow its query encoder (EmoCo Eq. 3): theta_k := m theta_k + (1 - m) theta_q.

    Only what is trained follows; running statistics of batch normalisation are the key encoder's own, as in MoCo.

    Args:
        key: changed in place.
        query: of the same architecture.
        m: in [0, 1).

    Raises:
        ValueError: m out of range, or modules whose parameters differ in number or shape.

    Example:
        >>> key, query = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
        >>> _ = nn.init.zeros_(key.weight), nn.init.ones_(query.weight)
        >>> momentum_update(key, query, 0.75)
        >>> key.weight.item()
        0.25
    """
    if not 0 <= m < 1:
        raise ValueError(f"m must lie in [0, 1), got {m}")
    followers, leaders = list(key.parameters()), list(query.parameters())
    if [p.shape for p in followers] != [p.shape for p in leaders]:
        raise ValueError(
            f"key and query must be of one architecture, got {len(followers)} and {len(leaders)} parameters "
            f"of {sum(p.numel() for p in followers)} and {sum(p.numel() for p in leaders)} numbers"
        )
    with torch.no_grad():
        for follower, leader in zip(followers, leaders, strict=True):
            follower.lerp_(leader, 1 - m)


def projector(width: int) -> nn.Sequential:
    """Head of two layers; the hidden one is as wide as the encoder's feature, 2048 in the paper."""
    return nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, EMBEDDING))


class EmoCo(nn.Module):
    """Query and key encoder, emotion classifier and queues.

    Under ``DistributedDataParallel`` (with ``broadcast_buffers=False``: the queues are equal on all processes as it is)
    keys are gathered before they are queued, so that every process holds the keys of the whole batch. Batch
    normalisation is synchronised by :func:`fbu.models.synchronised.synchronise_batch_norm` first.

    Args:
        encoder: of the pictures.
        classes: C, emotions.
        settings: which parts there are.
    """

    def __init__(self, encoder: FaceEncoder, classes: int, settings: Pretraining) -> None:
        super().__init__()
        self.settings = settings
        self.encoder: FaceEncoder = encoder
        self.head = projector(encoder.width)
        self.classifier = nn.Linear(EMBEDDING, classes, bias=False) if settings.emotion else None
        if self.classifier is not None and settings.row_length is not None:
            with torch.no_grad():
                (rows,) = unit(self.classifier.weight)
                self.classifier.weight.copy_(settings.row_length * rows)
        self.key_encoder: FaceEncoder | None = None
        self.key_head: nn.Module | None = None
        self.queue: MultiQueue | None = None
        if settings.contrast:
            self.key_encoder = copy.deepcopy(encoder).requires_grad_(False)
            self.key_head = copy.deepcopy(self.head).requires_grad_(False)
        if settings.contrast and settings.queues != "batch":
            queues = classes if settings.queues == "per_class" else 1
            dtype = getattr(torch, settings.queue_dtype)
            self.queue = MultiQueue(queues, settings.queue_size, EMBEDDING, dtype=dtype)

    def queries(self, images: Tensor) -> Tensor:
        """q (n, 128), unit rows, of normalised pictures."""
        (q,) = unit(self.head(self.encoder(images)))
        return q

    @torch.no_grad()
    def keys(self, images: Tensor) -> Tensor:
        """k (n, 128), unit rows, by the key encoder, which takes a step after the query encoder first (Eq. 3)."""
        if self.key_encoder is None or self.key_head is None:
            raise RuntimeError("without a contrast there are no keys")
        if self.training:
            momentum_update(self.key_encoder, self.encoder, self.settings.momentum)
            momentum_update(self.key_head, self.head, self.settings.momentum)
        (k,) = unit(self.key_head(self.key_encoder(images)))
        return k

    def forward(
        self, x_q: Tensor, x_k: Tensor | None, labels: Tensor, samples: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Eq. 1 of a batch, whose keys are queued afterwards.

        Args:
            x_q: (n, 3, S, S) views for the queries.
            x_k: other views of the same pictures for the keys; None without a contrast.
            labels: (n,) emotions.
            samples: (n,) numbers of the pictures.

        Returns:
            The total, and its terms before weighting.
        """
        settings = self.settings
        q = self.queries(x_q)
        weight = None if self.classifier is None else self.classifier.weight
        if x_k is None or not settings.contrast:
            return emoco_pretraining(q, None, None, labels, weight, weight=settings.emotion, contrast=False)
        k = self.keys(x_k)
        every, facts = gather_features(k, labels=torch.stack([labels, samples], 1))
        negatives, left_out = self._negatives(every, facts, labels, samples)
        total, terms = emoco_pretraining(
            q,
            k,
            negatives,
            labels,
            weight,
            weight=settings.emotion,
            intra_class=settings.normalization == "intra_class",
            temperature=settings.temperature,
            own_key_mask=left_out,
        )
        if self.queue is not None and self.training:
            self.queue.enqueue(every, self._queue_of(facts[:, 0]), facts[:, 1])
        return total, terms

    def _negatives(
        self, every: Tensor, facts: Tensor, labels: Tensor, samples: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        """Keys to push away from, and (n, K) which of them a query leaves out."""
        if self.queue is None:  # the batch is the queue: without oneself and the other emotions
            others = (labels[:, None] != facts[:, 0]) | (samples[:, None] == facts[:, 1])
            return every[None], others
        own = self.queue.holds(samples, self._queue_of(labels)) if self.settings.leave_own_out else None
        return self.queue.keys, own

    def _queue_of(self, labels: Tensor) -> Tensor:
        return labels if self.settings.queues == "per_class" else torch.zeros_like(labels)


class PretrainTask(SplitTask):
    """Pre-training on expressions. Evaluated by what lies close together in the encoder's features, on other people.

    With ``groups="activity"`` the activities of recordings take the place of the emotions.

    Raises:
        DataError: a dataset of action units, or one without activities where these are asked for.
        ValueError: micro-batches: the queues move once for each batch.
    """

    options_type: ClassVar[type[Options]] = Pretraining

    def __init__(self, recipe: Recipe, device: torch.device, start: Path | None) -> None:
        super().__init__(recipe, device, start)
        self.settings: Pretraining = self.options
        if recipe.optim.accumulation > 1:
            raise ValueError(
                f"emoco.pretrain takes whole batches, not accumulation={recipe.optim.accumulation}: the queues and "
                "the key encoder move once for each"
            )
        by_activity = self.settings.groups == "activity"
        if by_activity and "activity" not in self.train_split.records:
            raise DataError(f"{recipe.data.name} has no activities to take for emotions")
        if not by_activity and self.train_split.kind != "expression":
            raise DataError(f"{recipe.data.name} has action units: EmoCo is pre-trained on expressions")
        encoder = backbone(recipe.encoder)
        start_face_encoder(encoder, start)
        self.model: EmoCo = EmoCo(encoder, len(self.groups), self.settings).to(device)

    @cached_property
    def groups(self) -> tuple[str, ...]:
        """What is classified: the emotions, or the activities of the training people."""
        if self.settings.groups == "activity":
            return tuple(sorted(self.train_split.records["activity"].unique()))
        return self.train_split.labels

    @cached_property
    def targets(self) -> Tensor:
        """Emotion, or activity, (N,) of each training picture."""
        return torch.tensor(self.grouped(self.train_split)).to(self.device)

    def grouped(self, loaded: Dataset) -> np.ndarray:
        """Emotion, or activity, (n,) of each picture of a split."""
        if self.settings.groups == "activity":
            places = {name: i for i, name in enumerate(self.groups)}
            return loaded.records["activity"].map(places).to_numpy(np.int64)
        return loaded.targets

    def sampling_weights(self) -> Tensor | None:
        """One over the pictures of the emotion, to the power of ``balance``; None for 0."""
        if not self.settings.balance:
            return None
        labels = self.targets.cpu()
        return labels.bincount(minlength=len(self.groups))[labels].double() ** -self.settings.balance

    @cached_property
    def pictures(self) -> Pictures:
        """The training pictures."""
        return shown(self.train_split.images, self.model.encoder, self.device)

    def loss(self, rows: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """Eq. 1 with its terms, each times its weight."""
        augment, at = self.recipe.augment, rows.to(self.device)
        x_q = self.pictures.batch(rows, augment, generator)
        x_k = self.pictures.batch(rows, augment, generator) if self.settings.contrast else None
        total, terms = self.model(x_q, x_k, self.targets[at], at)
        weights = {"emotion": self.settings.emotion}
        return {"loss": total, **{name: term * weights.get(name, 1.0) for name, term in terms.items()}}

    def scores(self, images: np.ndarray) -> np.ndarray:
        """Probabilities (n, C) of the emotion classifier."""
        if self.model.classifier is None:
            raise RuntimeError("this model classifies no emotions")
        with torch.no_grad():
            batches = shown(images, self.model.encoder, self.device).batches(256)
            logits = [self.model.classifier(self.model.queries(x)).float().cpu() for x in batches]
        return torch.cat(logits).softmax(1).numpy()

    def evaluate(self, split: str) -> Outcome:
        """Emotion of the nearest neighbour of another person; with a classifier also its accuracy.

        Of activities no predictions are kept: only the accuracy counts.
        """
        loaded = self.split(split)
        z = encoded(self.model.encoder, loaded.images, self.device).numpy()
        found = neighbour_purity(z, expression_key(loaded.records), loaded.records["subject"].to_numpy())
        metrics = {"expression_purity": found.value, "expression_chance": found.chance, "score": found.value}
        if self.model.classifier is None:
            return Outcome(metrics)
        if self.settings.groups == "activity":
            said = self.scores(loaded.images).argmax(1)
            return Outcome({"accuracy": float((said == self.grouped(loaded)).mean()), **metrics})
        predictions = prediction_frame(loaded, self.scores(loaded.images))
        return Outcome({**score(predictions, loaded.kind), **metrics}, predictions)


TASKS: dict[str, type[Task]] = {
    "pretrain": PretrainTask,
    "linear": LinearTask,
    "finetune": FinetuneTask,
    "look": LookTask,
}
