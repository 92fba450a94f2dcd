"""Stand-ins for the text towers that KE-FER compares with CLIP's: ALIGN and BLIP.

*ALIGN* (Jia et al. 2021) learned from captions that were not cleaned: its stand-in reads captions of which a share
belongs to other pictures. *BLIP* (Li et al. 2022) also learned to say whether a text and a picture match: its stand-in
has a head for that beside the contrast. Both see what the FaRL stand-in sees.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from fbu.data.towers import Captioned
from fbu.models.encoders import encode_text
from fbu.models.pictures import Pictures
from fbu.models.towers import Contrast, ContrastTask
from fbu.recipes import Recipe
from fbu.training import Options, Outcome, Task, draw

if TYPE_CHECKING:
    from open_clip.model import CLIP


class Noisy(Contrast):
    """What the tower is shown, and how many of its captions are wrong."""

    noise: float = Field(0.3, ge=0, le=1, description="share of captions that belong to another picture")


class NoisyTask(ContrastTask):
    """Image-text contrast in which a share of the training captions belongs to other pictures.

    Which ones, and whose caption they get, is drawn once with the recipe's seed, so every epoch reads the same errors.
    """

    options_type: ClassVar[type[Options]] = Noisy

    @cached_property
    def donors(self) -> Tensor:
        """Picture (N,) whose caption each training picture has: mostly its own."""
        n = len(self.shown.part(test=False).images)
        generator = draw(self.recipe.seed, 3)
        donors = torch.arange(n)
        if n > 1:
            wrong = torch.randperm(n, generator=generator)[: round(self.options.noise * n)]
            donors[wrong] += torch.randint(1, n, (len(wrong),), generator=generator)
        return donors % max(n, 1)

    @cached_property
    def train_part(self) -> Captioned:
        """The pictures that are trained on, with the captions that they are given."""
        part = self.shown.part(test=False)
        return replace(part, captions=[part.captions[i] for i in self.donors.tolist()])


class Matching(Contrast):
    """What the tower is shown, and how much matching counts."""

    weight: float = Field(1.0, ge=0, description="of the matching loss, beside the contrast")


class Matched(nn.Module):
    """A dual encoder, and a head that says whether a picture and a text belong together.

    Args:
        encoder: the dual encoder.
    """

    def __init__(self, encoder: CLIP) -> None:
        super().__init__()
        self.encoder: CLIP = encoder
        width = int(encoder.text_projection.shape[-1])
        self.head = nn.Sequential(nn.Linear(2 * width, width), nn.GELU(), nn.Linear(width, 1))

    @property
    def logit_scale(self) -> Tensor:
        """The dual encoder's."""
        return self.encoder.logit_scale

    def encode_image(self, images: Tensor) -> Tensor:
        """Features (n, d) of pictures, by the dual encoder."""
        return self.encoder.encode_image(images)

    def encode_text(self, tokens: Tensor) -> Tensor:
        """Features (n, d) of texts, by the dual encoder."""
        return encode_text(self.encoder, tokens)

    def match(self, z_image: Tensor, z_text: Tensor) -> Tensor:
        """Logits (n,) that row i of both belongs together.

        Args:
            z_image: unit features (n, d) of pictures.
            z_text: unit features (n, d) of texts.
        """
        a, b = (z * z.shape[-1] ** 0.5 for z in (z_image, z_text))  # entries of about 1
        return self.head(torch.cat([a * b, (a - b).abs()], dim=-1))[:, 0]


class MatchingTask(ContrastTask):
    """Image-text contrast and image-text matching with hard negatives of the batch (Li et al. 2022, section 3.2).

    In BLIP a text encoder that attends to the picture decides whether they match; here a small head on both features
    does. The dual encoder's weights are stored under ``encoder.``.
    """

    options_type: ClassVar[type[Options]] = Matching

    def __init__(self, recipe: Recipe, device: torch.device, start: Path | None) -> None:
        super().__init__(recipe, device, start)
        self.model: Matched = Matched(self.encoder).to(device)

    def loss(self, rows: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """Contrast of the batch, plus the cross-entropy of matching: each pair, and hard negatives both ways."""
        from open_clip import ClipLoss

        x = self.pictures.batch(rows, self.recipe.augment, generator)
        tokens = self.tokens[rows].long().to(self.device)
        z_image = F.normalize(self.model.encode_image(x), dim=-1).float()
        z_text = F.normalize(self.model.encode_text(tokens), dim=-1).float()
        scale = self.model.logit_scale.exp().clamp(max=100)
        contrast = ClipLoss()(z_image, z_text, scale)
        same = (tokens[:, None] == tokens[None, :]).all(-1)  # a picture's own caption, said of another one
        logits = scale.detach() * z_image.detach() @ z_text.detach().T
        image, text = hard_negatives(logits, same, generator)
        text_too, image_too = hard_negatives(logits.T, same, generator)
        said = self.model.match(
            torch.cat([z_image, z_image[image], z_image[image_too]]),
            torch.cat([z_text, z_text[text], z_text[text_too]]),
        )
        truth = (torch.arange(len(said), device=said.device) < len(z_image)).to(said.dtype)
        matching = F.binary_cross_entropy_with_logits(said, truth)
        return {
            "loss": contrast + self.options.weight * matching,
            "contrast": contrast,
            "matching": matching,
        }

    def evaluate(self, split: str) -> Outcome:
        """As for the contrast, and ``matching_accuracy`` on held-out pairs, half of them wrong; chance is 0.5.

        A wrong pair has the caption of the picture after it. Nothing is mined here, so negatives are easier than in
        training.
        """
        outcome = super().evaluate(split)
        held = self.shown.part(test=True)
        half = slice(0, None, 2) if split == "val" else slice(1, None, 2)
        captions = held.captions[half]
        tokens = self.tokenize(captions).to(self.device)
        z_text = torch.cat([F.normalize(self.model.encode_text(t), dim=-1) for t in tokens.split(256)])
        batches = Pictures(held.images[half], self.device).batches(256)
        z_image = torch.cat([F.normalize(self.model.encode_image(x), dim=-1) for x in batches])
        other = np.array(captions) != np.roll(captions, -1)
        right = self.model.match(z_image, z_text) > 0
        wrong = self.model.match(z_image, z_text.roll(-1, 0))[torch.from_numpy(other).to(self.device)] <= 0
        outcome.metrics["matching_accuracy"] = float(right.float().mean() + wrong.float().mean()) / 2
        return outcome


def hard_negatives(logits: Tensor, same: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw a wrong partner for each row, more often one that looks right (Li et al. 2021, 2022).

    Args:
        logits: (n, n) scaled similarities of rows and candidates.
        same: (n, n) symmetric; pairs that are no negatives, the diagonal included.
        generator: of the draws, on the CPU.

    Returns:
        Rows (m,) and their partners (m,); a row without any negative is left out.
    """
    weight = (logits.float().softmax(1) + 1e-4).masked_fill(same, 0).cpu()
    rows = weight.any(1).nonzero()[:, 0]
    if not len(rows):
        return rows.to(logits.device), rows.to(logits.device)
    partners = torch.multinomial(weight[rows], 1, generator=generator)[:, 0]
    return rows.to(logits.device), partners.to(logits.device)


TASKS: dict[str, type[Task]] = {"noisy": NoisyTask, "matching": MatchingTask}
