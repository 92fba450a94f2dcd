"""CLEF with words of intensity in its label names, trained: two names for each action unit (CLEF, Sec. 5).

The paper proposes "with low intensity" and "with high intensity" and does not try them. Here a unit at 3.5 or more is
to match its strong name and a weaker one its weak name; it counts as present by the better match of the two.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from scipy.special import logit
from torch import Tensor

from fbu.data.dataset import Dataset
from fbu.errors import DataError
from fbu.evaluation.predictions import prediction_frame, score
from fbu.featureprobes import graded
from fbu.labels import prompting
from fbu.models.clef import FinetuneTask, Finetuning
from fbu.models.encoders import tokenizer_for
from fbu.recipes import Recipe
from fbu.training import Options, Outcome, Task

STRONG = 3.5


class GradedTask(FinetuneTask):
    """Stage 2 on action units with a weak and a strong name for each: classes are all weak ones, then all strong ones.

    Raises:
        DataError: a dataset of expressions, or one that does not grade all its units.
        ValueError: option ``use`` without names.
    """

    options_type: ClassVar[type[Options]] = Finetuning

    def __init__(self, recipe: Recipe, device: torch.device, start: Path | None) -> None:
        super().__init__(recipe, device, start)
        if "N" not in self.options.use:
            raise ValueError(
                f"words of intensity stand in label names, but option use is {self.options.use!r}"
            )

    def tokens(self) -> dict[str, Tensor]:
        """Token ids of all weak wordings, then of all strong ones, by role."""
        if self.kind != "au":
            raise DataError(f"{self.recipe.data.name} has expressions: words of intensity need action units")
        tokenize, units = tokenizer_for(self.recipe.encoder.name), self.train_split.keys
        said = {"name": prompting.names("au", units), "description": prompting.describe("au", units)}
        tokens = {}
        for role, words in said.items():
            both = [f"{text} {suffix}" for suffix in prompting.INTENSITY_SUFFIXES for text in words]
            tokens[role] = torch.stack([tokenize(filled) for filled in prompting.prompts("clef", role, both)])
        return tokens

    @cached_property
    def targets(self) -> Tensor:
        """Targets (N, 2 A) of the training pictures: weak, then strong."""
        return torch.tensor(graded_targets(self.train_split)).to(self.device)

    def evaluate(self, split: str) -> Outcome:
        """F1 of presence as for plain names, and how well the strong name's lead follows the intensity."""
        loaded = self.split(split)
        weak, strong = np.split(self.scores(loaded.images), 2, axis=1)
        predictions = prediction_frame(loaded, np.maximum(weak, strong))
        metrics = score(predictions, "au")
        lead = logit(strong) - logit(weak)
        metrics |= {**graded(loaded, lead), "score": metrics["f1"]}
        return Outcome(metrics, predictions)


def graded_targets(loaded: Dataset) -> np.ndarray:
    """Targets int8 (N, 2 A): unit present and weak, unit present and strong; -1 where it was not coded.

    Raises:
        DataError: a unit without intensities.
    """
    strong = np.empty((len(loaded), len(loaded.labels)), bool)
    for i, name in enumerate(loaded.labels):
        intensity = loaded.intensity(name)
        if intensity is None:
            raise DataError(
                f"{loaded.name} does not grade {name}: words of intensity can be trained on its twin only"
            )
        strong[:, i] = intensity >= STRONG
    on, coded = loaded.targets == 1, loaded.targets >= 0
    both = np.concatenate([on & ~strong, on & strong], axis=1).astype(np.int8)
    both[~np.concatenate([coded, coded], axis=1)] = -1
    return both


TASKS: dict[str, type[Task]] = {"finetune": GradedTask}
