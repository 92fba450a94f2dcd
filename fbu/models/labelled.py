"""A stand-in tower for ViT: trained on the labels of pictures, without any text.

The published ViT knows the thousand classes of ImageNet, in which people occur and are not a class. The stand-in
tells apart the drawn things that the CLIP stand-in reads about, and "person".
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from fbu.data.objects import THINGS
from fbu.data.towers import Captioned, captioned
from fbu.models.encoders import encoder_from
from fbu.models.pictures import Pictures
from fbu.recipes import Recipe
from fbu.training import Options, Outcome, Task

if TYPE_CHECKING:
    from open_clip.model import CLIP

PERSON = "person"
CLASSES = (*THINGS, PERSON)


class Labelled(Options):
    """What the tower is shown."""

    faces: float = Field(0.6, gt=0, le=1, description="share of faces among the pictures")


class Classifier(nn.Module):
    """A dual encoder of which only the picture tower is trained, and a linear head on its feature."""

    def __init__(self, encoder: CLIP, classes: int) -> None:
        super().__init__()
        self.encoder: CLIP = encoder
        for parameter in encoder.parameters():
            parameter.requires_grad_(False)
        for parameter in encoder.visual.parameters():
            parameter.requires_grad_(True)
        self.head = nn.Linear(int(encoder.text_projection.shape[-1]), classes)

    def forward(self, images: Tensor) -> Tensor:
        """(n, C) logits of normalised pictures (n, 3, S, S)."""
        return self.head(self.encoder.encode_image(images))


class PicturesTask(Task):
    """Which thing a picture shows; scored on held-out pictures. The text tower stays random."""

    options_type: ClassVar[type[Options]] = Labelled

    def __init__(self, recipe: Recipe, device: torch.device, start: Path | None) -> None:
        super().__init__(recipe, device, start)
        self.model: Classifier = Classifier(encoder_from(recipe.encoder), len(CLASSES)).to(device)

    @cached_property
    def shown(self) -> Captioned:
        """The pictures of the CLIP stand-in; their captions give the labels and are not read otherwise."""
        spec = self.recipe.data
        return captioned(
            faces=self.options.faces,
            style="plain",
            size=spec.size,
            image_size=spec.image_size,
            seed=spec.seed,
        )

    @cached_property
    def targets(self) -> Tensor:
        """Classes (N,) of the training pictures."""
        return labels(self.shown.part(test=False).captions).to(self.device)

    @cached_property
    def pictures(self) -> Pictures:
        """The training pictures."""
        return Pictures(self.shown.part(test=False).images, self.device)

    def __len__(self) -> int:
        return len(self.pictures.images)

    def loss(self, rows: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """Cross-entropy of the batch."""
        x = self.pictures.batch(rows, self.recipe.augment, generator)
        return {"loss": F.cross_entropy(self.model(x), self.targets[rows.to(self.device)])}

    def evaluate(self, split: str) -> Outcome:
        """Accuracy on one half of the held-out pictures; the other half is for the other split."""
        held = self.shown.part(test=True)
        half = slice(0, None, 2) if split == "val" else slice(1, None, 2)
        batches = Pictures(held.images[half], self.device).batches(256)
        said = torch.cat([self.model(x).argmax(1).cpu() for x in batches])
        right = float((said == labels(held.captions[half])).float().mean())
        return Outcome({"accuracy": right, "chance": 1 / len(CLASSES), "score": right})


def labels(captions: list[str]) -> Tensor:
    """Class (N,) of each caption's picture: the thing that it names, or the person where it names none."""
    place = {name: i for i, name in enumerate(CLASSES)}
    things = [[word for word in text.rstrip(".").split() if word in THINGS] for text in captions]
    return torch.tensor([place[found[-1]] if found else place[PERSON] for found in things])


TASKS: dict[str, type[Task]] = {"pictures": PicturesTask}
