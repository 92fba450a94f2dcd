"""EmoCo (Sun et al., FG 2021): momentum contrast among faces of one emotion, for action units.

``emoco.pretrain``: a picture's query is classified by emotion (Eq. 2), and drawn to the key of another view of the
picture and away from earlier keys of the same emotion (Eq. 5), which a queue for each emotion holds. Its settings leave
parts out: MoCo, the emotion classifier alone, the contrast alone (Table IV). ``emoco.linear`` and ``emoco.finetune``
are the two protocols on action units; the latter without a start is the supervised baseline. ``emoco.look`` asks what a
trained encoder's features hold (Fig. 5).
"""

from __future__ import annotations

import copy
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from fbu import featureprobes
from fbu.data.dataset import Dataset, expression_key
from fbu.distributed import gather_features
from fbu.errors import DataError
from fbu.evaluation.predictions import prediction_frame, score
from fbu.featureprobes import attribute_probe, silhouettes
from fbu.losses._numerics import unit
from fbu.losses.emoco import emoco_pretraining
from fbu.models.face_encoders import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    FaceEncoder,
    face_encoder,
    start_face_encoder,
)
from fbu.models.frozen import ProbeTask
from fbu.models.pictures import Pictures
from fbu.models.queues import MultiQueue
from fbu.models.tasks import SplitTask
from fbu.probes import neighbour_purity
from fbu.recipes import EncoderSpec, Recipe
from fbu.training import Options, Outcome, Task

EMBEDDING = 128  # of queries and keys (Sec. III.B)
SHOWN_UNIT = "AU6"  # in Fig. 5
RESNET = "resnet50"


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


class ResNet50(FaceEncoder):
    """The encoder of the paper: timm's ResNet-50 up to its global average pooling, 2048 numbers, random weights."""

    def __init__(self) -> None:
        import timm

        nn.Module.__init__(self)
        self.name = RESNET
        self.tower = timm.create_model(RESNET, pretrained=False, num_classes=0)
        self.width, self.image_size, self.fixed_size = 2048, 256, False
        self.mean, self.std = IMAGENET_MEAN, IMAGENET_STD


def backbone(spec: EncoderSpec) -> FaceEncoder:
    """Encoder of a recipe: "resnet50", or one of :data:`fbu.models.face_encoders.FACE_ENCODERS`.

    Raises:
        DataError: unknown name, or published weights for its own ResNet-50: EmoCo starts from none.
    """
    if spec.name == RESNET and (spec.pretrained is not None or spec.checkpoint is not None):
        raise DataError(f"{spec.name}: EmoCo starts from random weights, so name none")
    return ResNet50() if spec.name == RESNET else face_encoder(spec)


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


class Detecting(Options):
    """Settings of a training on action units."""

    balance: float = Field(
        0.5,
        ge=0,
        le=1,
        description="positives of a unit count (negatives / positives) ** balance times; 0: as often as they occur",
    )


class UnitsTask(SplitTask):
    """Base: action units by a linear classifier on an encoder, sigmoid and binary cross-entropy.

    Raises:
        DataError: a dataset of expressions.
    """

    options_type: ClassVar[type[Options]] = Detecting

    def __init__(self, recipe: Recipe, device: torch.device, start: Path | None) -> None:
        super().__init__(recipe, device, start)
        if self.train_split.kind != "au":
            raise DataError(f"{recipe.data.name} has expressions: {recipe.task} is for action units")
        self.encoder = backbone(recipe.encoder)
        start_face_encoder(self.encoder, start)
        self.encoder.to(device)

    @cached_property
    def positive_weight(self) -> Tensor:
        """Weights (A,) of positives, from the training split."""
        on, off = ((self.targets == value).sum(0).clamp(min=1) for value in (1, 0))
        return (off / on) ** self.options.balance

    def cross_entropy(self, logits: Tensor, rows: Tensor) -> dict[str, Tensor]:
        """Mean over pictures and units of the training rows; units that were not coded count nothing."""
        y = self.targets[rows.to(self.device)]
        each = F.binary_cross_entropy_with_logits(
            logits.float(), y.clamp(min=0).float(), pos_weight=self.positive_weight, reduction="none"
        )
        known = y >= 0
        return {"loss": (each * known).sum() / known.sum().clamp(min=1)}


class LinearHead(nn.Module):
    """A linear classifier on features that are brought to mean 0 and deviation 1 of the training split.

    The standardisation is linear, too; it spares the learning rate from depending on the length of the features.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, features: Tensor, units: int) -> None:
        super().__init__()
        deviation = features.std(0)
        self.register_buffer("mean", features.mean(0))
        # A number that never moved in training would be blown up where it does.
        self.register_buffer("deviation", deviation.clamp(min=0.01 * float(deviation.mean()) + 1e-12))
        self.linear = nn.Linear(features.shape[1], units)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, features: Tensor) -> Tensor:
        """(n, A) logits of features (n, width)."""
        return self.linear((features - self.mean) / self.deviation)


class LinearTask(UnitsTask):
    """Linear protocol (Sec. IV.C): the encoder stays as it is, so each picture is encoded once, unaugmented.

    The run keeps the classifier; the encoder is that of its start.
    """

    def __init__(self, recipe: Recipe, device: torch.device, start: Path | None) -> None:
        super().__init__(recipe, device, start)
        self.encoder.eval().requires_grad_(False)
        self.features = encoded(self.encoder, self.train_split.images, device).to(device)
        self.model: LinearHead = LinearHead(self.features, len(self.train_split.labels)).to(device)

    def loss(self, rows: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """Binary cross-entropy of some rows."""
        return self.cross_entropy(self.model(self.features[rows.to(self.device)]), rows)

    def scores(self, images: np.ndarray) -> np.ndarray:
        """Probabilities (n, A)."""
        z = encoded(self.encoder, images, self.device).to(self.device)
        with torch.no_grad():
            return self.model(z).sigmoid().cpu().numpy()


class Detector(nn.Module):
    """An encoder and a linear classifier of action units on it."""

    def __init__(self, encoder: FaceEncoder, units: int) -> None:
        super().__init__()
        self.encoder: FaceEncoder = encoder
        self.head = nn.Linear(encoder.width, units)

    def forward(self, images: Tensor) -> Tensor:
        """(n, A) logits of normalised pictures."""
        return self.head(self.encoder(images))


class FinetuneTask(UnitsTask):
    """Finetuning protocol (Sec. IV.C); without a start, supervised training from random weights."""

    def __init__(self, recipe: Recipe, device: torch.device, start: Path | None) -> None:
        super().__init__(recipe, device, start)
        self.model: Detector = Detector(self.encoder, len(self.train_split.labels)).to(device)

    @cached_property
    def pictures(self) -> Pictures:
        """The training pictures."""
        return shown(self.train_split.images, self.encoder, self.device)

    def loss(self, rows: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """Binary cross-entropy of some augmented pictures."""
        x = self.pictures.batch(rows, self.recipe.augment, generator)
        return self.cross_entropy(self.model(x), rows)

    def scores(self, images: np.ndarray) -> np.ndarray:
        """Probabilities (n, A)."""
        with torch.no_grad():
            batches = shown(images, self.encoder, self.device).batches(256)
            return torch.cat([self.model(x).float().sigmoid().cpu() for x in batches]).numpy()


class LookTask(ProbeTask):
    """What the features of a trained encoder hold, and how well action units separate within an emotion (Fig. 5)."""

    encoder: Any

    def make_encoder(self) -> Any:
        """The encoder of the run that the recipe starts from, or a random one."""
        encoder = backbone(self.recipe.encoder)
        start_face_encoder(encoder, self.start)
        return encoder

    def features(self, images: np.ndarray) -> Tensor:
        """Unit features (n, width) of pictures, on the CPU."""
        return F.normalize(encoded(self.encoder, images, self.device), dim=-1)

    def scored(self, loaded: Dataset) -> Outcome:
        """As :class:`~fbu.models.frozen.ProbeTask`, and for splits with action units ``within/AU<n>``.

        That is the balanced accuracy of a linear probe for the unit on people that it was not fitted on, mean over the
        emotions in which the unit occurs and is missing; ``within`` is the mean over units, chance 0.5.
        ``apart/AU<n>``: mean silhouette of with against without, within those emotions. With ``embed`` also the places
        of one emotion alone, that in which AU6 is closest to half and half, and whether AU6 is there.
        """
        outcome = super().scored(loaded)
        if loaded.kind == "au":
            z = self.features(loaded.images).numpy()
            outcome.metrics |= unit_separability(z, loaded)
            if self.options.embed and SHOWN_UNIT in loaded.labels:
                outcome.extra["within"] = self._within(z, loaded)
        return outcome

    def _within(self, z: np.ndarray, loaded: Dataset) -> dict[str, Any]:
        """Emotion, places by t-SNE of its pictures, and the unit (0, 1) in each."""
        coded = loaded.targets[:, loaded.labels.index(SHOWN_UNIT)]
        emotion = most_even(loaded.shown[coded >= 0], coded[coded >= 0])
        rows = np.flatnonzero((loaded.shown == emotion) & (coded >= 0))
        rows = rows[featureprobes.spread(coded[rows], self.options.embed, self.recipe.seed)]
        places = featureprobes.embed(z[rows], self.recipe.seed)
        return {
            "emotion": str(emotion),
            "x": places[:, 0].tolist(),
            "y": places[:, 1].tolist(),
            SHOWN_UNIT: coded[rows].tolist(),
        }


def most_even(shown: np.ndarray, coded: np.ndarray) -> str:
    """The emotion in which a unit is closest to half and half; of equally close ones the one with more pictures.

    Args:
        shown: (n,) emotions.
        coded: (n,) 0 or 1.

    Example:
        >>> most_even(np.array(["joy", "joy", "fear", "fear", "fear"]), np.array([1, 1, 1, 0, 0]))
        'fear'
    """
    names, counts = np.unique(shown, return_counts=True)
    shares = np.array([coded[shown == name].mean() for name in names])
    return str(names[np.lexsort((-counts, np.abs(shares - 0.5)))[0]])


def unit_separability(features: np.ndarray, loaded: Dataset, least: int = 10) -> dict[str, float]:
    """How well each action unit can be told within an emotion; see :meth:`LookTask.scored`.

    Args:
        features: (N, d) of the split's pictures.
        loaded: split with action units.
        least: pictures with the unit, and without, that an emotion must have to count.
    """
    people, shows = loaded.records["subject"].to_numpy(), loaded.shown
    found: dict[str, float] = {}
    for i, name in enumerate(loaded.labels):
        coded = loaded.targets[:, i]
        read, apart = [], []
        for emotion in np.unique(shows):
            rows = (shows == emotion) & (coded >= 0)
            if min((coded[rows] == 1).sum(), (coded[rows] == 0).sum()) < least:
                continue
            read.append(attribute_probe(features[rows], coded[rows], people[rows]).value)
            apart.append(silhouettes(features[rows], coded[rows])[""])
        if read:
            found |= {f"within/{name}": float(np.nanmean(read)), f"apart/{name}": float(np.nanmean(apart))}
    means = {
        measure: float(np.mean([v for k, v in found.items() if k.startswith(f"{measure}/")] or [np.nan]))
        for measure in ("within", "apart")
    }
    return {**means, **found}


def shown(images: np.ndarray, encoder: FaceEncoder, device: torch.device) -> Pictures:
    """Pictures as an encoder wants them."""
    return Pictures(images, device, encoder.mean, encoder.std)


@torch.no_grad()
def encoded(encoder: FaceEncoder, images: np.ndarray, device: torch.device) -> Tensor:
    """Features (n, width) of pictures after global average pooling, on the CPU."""
    return torch.cat([encoder(x).float().cpu() for x in shown(images, encoder, device).batches(256)])


TASKS: dict[str, type[Task]] = {
    "pretrain": PretrainTask,
    "linear": LinearTask,
    "finetune": FinetuneTask,
    "look": LookTask,
}
