"""What tasks of several methods share: an encoder that starts somewhere, the splits of a dataset, class weights."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from fbu.data.dataset import Dataset
from fbu.data.specs import load_spec
from fbu.evaluation.predictions import prediction_frame, score
from fbu.models.encoders import encoder_from
from fbu.models.pictures import Pictures
from fbu.models.starting import start_weights
from fbu.recipes import Recipe
from fbu.training import Outcome, Task

if TYPE_CHECKING:
    from open_clip.model import CLIP


class SplitTask(Task):
    """A task on one dataset: its splits, and the pictures and targets of the training split."""

    def split(self, name: str) -> Dataset:
        """A split of the recipe's data."""
        return load_spec(self.recipe.data, name)

    @cached_property
    def train_split(self) -> Dataset:
        """The training people."""
        return self.split("train")

    @cached_property
    def pictures(self) -> Pictures:
        """The training pictures."""
        return Pictures(self.train_split.images, self.device)

    @cached_property
    def targets(self) -> Tensor:
        """Targets of the training pictures: (N,) classes or (N, A) units."""
        return torch.tensor(self.train_split.targets).to(self.device)

    def __len__(self) -> int:
        return len(self.train_split.images)

    def scores(self, images: np.ndarray) -> np.ndarray:
        """Probabilities (n, C) of pictures."""
        raise NotImplementedError

    def evaluate(self, split: str) -> Outcome:
        """Accuracy and mean-class accuracy, or F1 per action unit, with the prediction of every sample."""
        loaded = self.split(split)
        predictions = prediction_frame(loaded, self.scores(loaded.images))
        metrics = score(predictions, loaded.kind)
        metrics["score"] = metrics["accuracy"] if loaded.kind == "expression" else metrics["f1"]
        return Outcome(metrics, predictions)


class EncoderTask(Task):
    """A task whose model holds a dual encoder.

    Attributes:
        encoder: with the weights of the run that the recipe starts from, if there is one.
    """

    def __init__(self, recipe: Recipe, device: torch.device, start: Path | None) -> None:
        super().__init__(recipe, device, start)
        self.encoder: CLIP = self.make_encoder()

    def make_encoder(self) -> CLIP:
        """The recipe's encoder; a task that wants another architecture replaces this."""
        encoder = encoder_from(self.recipe.encoder)
        start_weights(encoder, self.start)
        return encoder

    def features(self, images: np.ndarray) -> Tensor:
        """Unit features (n, d) of pictures, on the CPU, without gradient."""
        with torch.no_grad():
            batches = Pictures(images, self.device).batches(256)
            encode = self.encoder.encode_image
            return torch.cat([F.normalize(encode(x), dim=-1).cpu() for x in batches])


def frequency_weights(targets: Tensor, classes: int, power: float = 1.0) -> Tensor:
    """Weights (C,) proportional to 1 / frequency ** power, with mean 1; a class that never occurs counts once.

    Args:
        targets: (n,) class indices, or (n, A) of 0, 1, -1 (not coded).
        classes: C.
        power: 1 for inverse frequency, 0.5 for its square root.
    """
    if targets.ndim == 1:
        count = torch.bincount(targets, minlength=classes).float().clamp(min=1) / len(targets)
    else:
        coded = (targets >= 0).sum(0).clamp(min=1)
        count = (targets == 1).sum(0).clamp(min=1) / coded
    weight = count.float() ** -power
    return weight / weight.mean()
