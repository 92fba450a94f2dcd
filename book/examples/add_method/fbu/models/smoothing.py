"""A classifier with smoothed labels: the image tower and a linear head."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from fbu.losses.smoothing import label_smoothed_cross_entropy
from fbu.models.pictures import Pictures
from fbu.models.tasks import EncoderTask, SplitTask
from fbu.recipes import Recipe
from fbu.training import Options, Task


class Classification(Options):
    """Settings of the task; a recipe with any other name is refused."""

    amount: float = Field(0.1, ge=0, lt=1, description="share of a label that is spread over all classes")


class ClassifyTask(EncoderTask, SplitTask):
    """Expressions by a linear head on the image tower."""

    options_type: ClassVar[type[Options]] = Classification

    def __init__(self, recipe: Recipe, device: torch.device, start: Path | None) -> None:
        super().__init__(recipe, device, start)
        head = nn.Linear(self.encoder.text_projection.shape[1], len(self.train_split.labels))
        self.model: nn.Module = nn.Sequential(self.encoder.visual, head).to(device)

    def loss(self, rows: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """Smoothed cross-entropy of augmented pictures."""
        logits = self.model(self.pictures.batch(rows, self.recipe.augment, generator))
        targets = self.targets[rows.to(self.device)]
        return {"loss": label_smoothed_cross_entropy(logits, targets, self.options.amount)}

    def scores(self, images: np.ndarray) -> np.ndarray:
        """Probabilities (n, C) of pictures."""
        batches = Pictures(images, self.device).batches(256)
        return torch.cat([self.model(x).softmax(1).cpu() for x in batches]).numpy()


TASKS: dict[str, type[Task]] = {"classify": ClassifyTask}
