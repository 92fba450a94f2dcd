"""Stand-in towers: dual encoders pre-trained here, on drawn pictures, in the place of published weights.

``towers.contrast`` is CLIP's symmetric image-text contrast (Radford et al. 2021). What makes one tower "CLIP" and
another "FaRL" is what it was shown: see :data:`TOWERS`. In the ``paper`` profile the published weights take their
place.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from fbu.data.towers import Captioned, captioned
from fbu.labels import prompting
from fbu.labels.names import EXPRESSIONS
from fbu.models.encoders import encode_text, tokenizer_for
from fbu.models.pictures import Pictures
from fbu.models.tasks import EncoderTask
from fbu.recipes import Recipe
from fbu.training import Options, Outcome, Task

if TYPE_CHECKING:
    from open_clip.model import CLIP


class Contrast(Options):
    """What a tower is shown."""

    faces: float = Field(1.0, gt=0, le=1, description="share of faces among the pictures")
    style: Literal["plain", "detailed"] = Field("detailed", description="how faces are captioned")


# Name of the published weights -> what its stand-in is shown.
TOWERS: dict[str, dict[str, Any]] = {
    "CLIP": {"faces": 0.6, "style": "plain"},
    "FaRL": {"faces": 1.0, "style": "detailed"},
}


class ContrastTask(EncoderTask):
    """Image-text contrast; scored by naming the expression of held-out faces without training for it."""

    options_type: ClassVar[type[Options]] = Contrast

    def __init__(self, recipe: Recipe, device: torch.device, start: Path | None) -> None:
        super().__init__(recipe, device, start)
        self.model: CLIP = self.encoder.to(device)
        self.tokenize = tokenizer_for(recipe.encoder.name)

    @cached_property
    def shown(self) -> Captioned:
        """Everything that the tower is shown, drawn once."""
        spec, settings = self.recipe.data, self.options
        return captioned(
            faces=settings.faces,
            style=settings.style,
            size=spec.size,
            image_size=spec.image_size,
            seed=spec.seed,
        )

    @cached_property
    def train_part(self) -> Captioned:
        """The pictures that are trained on."""
        return self.shown.part(test=False)

    @cached_property
    def tokens(self) -> Tensor:
        """Token ids (N, L) of the training captions."""
        return self.tokenize(self.train_part.captions).to(torch.int32)

    @cached_property
    def pictures(self) -> Pictures:
        """The training pictures."""
        return Pictures(self.train_part.images, self.device)

    def __len__(self) -> int:
        return len(self.train_part.images)

    def loss(self, rows: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """Mean of the picture-to-text and the text-to-picture cross-entropy of the batch."""
        from open_clip import ClipLoss

        x = self.pictures.batch(rows, self.recipe.augment, generator)
        z_image = F.normalize(self.model.encode_image(x), dim=-1)
        tokens = self.tokens[rows].long().to(self.device)
        z_text = F.normalize(encode_text(self.model, tokens), dim=-1)
        scale = self.model.logit_scale.exp().clamp(max=100)
        return {"loss": ClipLoss()(z_image.float(), z_text.float(), scale)}

    def evaluate(self, split: str) -> Outcome:
        """Zero-shot expression accuracy on held-out faces, and the cosines of the class names with each other."""
        held = self.shown.part(test=True)
        rows = np.flatnonzero(held.shown != "")
        half = rows[::2] if split == "val" else rows[1::2]
        names = list(EXPRESSIONS)
        prompts = prompting.prompts("clef", "name", prompting.names("expression", names))[0]
        tokens = self.tokenize(prompts).to(self.device)
        z_name = F.normalize(encode_text(self.model, tokens), dim=-1).cpu()
        z = self.features(held.images[half])
        found = (z @ z_name.T).argmax(1).numpy()
        truth = np.array([names.index(n) for n in held.shown[half]])
        recall = [(found[truth == c] == c).mean() for c in np.unique(truth)]
        metrics = {
            "zero_shot_accuracy": float((found == truth).mean()),
            "zero_shot_mean_class_accuracy": float(np.mean(recall)),
            "chance": 1 / len(names),
        }
        extra = {"labels": names, "name_cosine": (z_name @ z_name.T).tolist()}
        return Outcome({**metrics, "score": metrics["zero_shot_accuracy"]}, extra=extra)


TASKS: dict[str, type[Task]] = {"contrast": ContrastTask}
