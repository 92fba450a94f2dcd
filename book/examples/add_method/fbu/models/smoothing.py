"""A classifier with smoothed labels: the image tower and a linear head."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from fbu.data.specs import load_spec
from fbu.evaluation.predictions import score
from fbu.losses.smoothing import label_smoothed_cross_entropy
from fbu.models.clef import prediction_frame
from fbu.models.encoders import encoder_from
from fbu.models.pictures import Pictures
from fbu.models.starting import start_weights
from fbu.recipes import Recipe
from fbu.training import Options, Outcome, Task


class Classification(Options):
    """Settings of the task; a recipe with any other name is refused."""

    amount: float = Field(0.1, ge=0, lt=1, description="share of a label that is spread over all classes")


class ClassifyTask(Task):
    """Expressions by a linear head on the image tower."""

    options_type: ClassVar[type[Options]] = Classification

    def __init__(self, recipe: Recipe, device: torch.device, start: Path | None) -> None:
        super().__init__(recipe, device, start)
        train = load_spec(recipe.data, "train")
        encoder = encoder_from(recipe.encoder)
        start_weights(encoder, start)
        head = nn.Linear(encoder.text_projection.shape[1], len(train.labels))
        self.model: nn.Module = nn.Sequential(encoder.visual, head).to(device)
        self.pictures, self.targets = Pictures(train.images, device), torch.tensor(train.targets)

    def __len__(self) -> int:
        return len(self.targets)

    def loss(self, rows: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """Smoothed cross-entropy of augmented pictures."""
        logits = self.model(self.pictures.batch(rows, self.recipe.augment, generator))
        targets = self.targets[rows].to(self.device)
        return {"loss": label_smoothed_cross_entropy(logits, targets, self.options.amount)}

    def evaluate(self, split: str) -> Outcome:
        """Accuracies, and the probabilities of every sample."""
        loaded = load_spec(self.recipe.data, split)
        batches = Pictures(loaded.images, self.device).batches(256)
        scores = torch.cat([self.model(x).softmax(1).cpu() for x in batches])
        predictions = prediction_frame(loaded, scores.numpy())
        metrics = score(predictions, loaded.kind)
        return Outcome({**metrics, "score": metrics["accuracy"]}, predictions)


TASKS: dict[str, type[Task]] = {"classify": ClassifyTask}
