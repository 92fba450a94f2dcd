"""What EmoCo's pre-training is good for: two protocols on action units, and a look at its features.

``emoco.linear`` trains a classifier on features that stay as they are, ``emoco.finetune`` the encoder as well; without
a start it is the supervised baseline. ``emoco.look`` asks what a trained encoder's features hold (Fig. 5).
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from fbu import featureprobes
from fbu.data.dataset import Dataset
from fbu.errors import DataError
from fbu.featureprobes import attribute_probe, silhouettes
from fbu.models.emoco_encoders import backbone, encoded, shown
from fbu.models.face_encoders import FaceEncoder, start_face_encoder
from fbu.models.frozen import ProbeTask
from fbu.models.pictures import Pictures
from fbu.models.tasks import SplitTask
from fbu.recipes import Recipe
from fbu.training import Options, Outcome

SHOWN_UNIT = "AU6"  # in Fig. 5


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
