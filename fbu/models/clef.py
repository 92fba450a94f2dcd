"""CLEF (Zhang et al., ICCV 2023): activity-supervised contrast, then names and descriptions as labels.

Stage 1, ``clef.pretrain``: pictures of one activity are positives of each other and of the activity's text (Eq. 1, 2).
Stage 2, ``clef.finetune``: a picture is compared with the label names (Eq. 4, 5), and the names with the label
descriptions (Eq. 3); one text tower reads both. The ablation's letters are kept: PA activity texts and PI pictures in
stage 1; I picture only (a linear head), N names, D descriptions in stage 2.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from fbu.data.dataset import expression_key
from fbu.data.transforms import Augment
from fbu.labels import prompting
from fbu.labels.activities import ACTIVITIES
from fbu.losses.clef import clef_finetuning, clef_pretraining
from fbu.losses.contrastive import cross_modal_supcon
from fbu.models.encoders import encode_text, tokenizer_for
from fbu.models.pictures import Pictures
from fbu.models.tasks import EncoderTask, SplitTask, frequency_weights
from fbu.probes import identity_probe, neighbour_purity
from fbu.recipes import Recipe
from fbu.training import Options, Outcome, Task

if TYPE_CHECKING:
    from open_clip.model import CLIP


class Pretraining(Options):
    """Settings of stage 1."""

    activity_text: bool = Field(True, description="PA: contrast pictures with the activity's text as well")
    pairing: Literal["activity", "self"] = Field(
        "activity", description="positives share the activity, or are two views of one picture (Fig. 1a)"
    )
    temperature: float = Field(0.25, gt=0, description="epsilon of Eq. 1, fixed")
    normalizer: Literal["printed", "positives"] = Field("printed", description="divisor of Eq. 1")


class Finetuning(Options):
    """Settings of stage 2."""

    use: Literal["I", "IN", "ID", "IND"] = Field("IND", description="which of picture, names, descriptions")
    weight: float = Field(2.0, gt=0, description="lambda of Eq. 6")
    class_weight: Literal["inverse_frequency", "inverse_sqrt", "none"] = Field(
        "inverse_frequency", description="w_c of Eq. 4 and 5 from the train split, mean 1"
    )
    text_encoder: Literal["shared", "separate"] = Field(
        "shared", description="one text tower for names and descriptions, or two (Sec. 4.5)"
    )


class CLEF(nn.Module):
    """A dual encoder with the texts of a label set.

    Args:
        encoder: open_clip dual encoder.
        tokens: token ids by role: "name" and "description" (templates, C, L).
        use: which modalities are compared, as in :class:`Finetuning`.
        text_encoder: "shared" or "separate".
    """

    name_tokens: Tensor
    description_tokens: Tensor

    def __init__(self, encoder: CLIP, tokens: dict[str, Tensor], use: str, text_encoder: str) -> None:
        super().__init__()
        self.encoder: CLIP = encoder
        self.use = use
        for role, ids in tokens.items():
            self.register_buffer(f"{role}_tokens", ids, persistent=False)
        self.head: nn.Linear | None = None
        self.description_encoder: CLIP | None = None
        classes = tokens["name"].shape[1]
        if use == "I":
            self.head = nn.Linear(_width(encoder), classes)
            _freeze_text(encoder)
        elif text_encoder == "separate" and use == "IND":
            import copy

            self.description_encoder = copy.deepcopy(encoder)
            self.description_encoder.visual = nn.Identity()
            self.description_encoder.logit_scale.requires_grad_(False)

    def texts(self, template: int) -> tuple[Tensor, Tensor]:
        """Features (C, d) of the names and of the descriptions; a role that is not used is an empty tensor."""
        name = self.name_tokens[0]
        description = self.description_tokens[template]
        if self.description_encoder is not None:
            return encode_text(self.encoder, name), encode_text(self.description_encoder, description)
        if self.use == "IND":  # one pass for both
            both = encode_text(self.encoder, torch.cat([name, description]))
            return both[: len(name)], both[len(name) :]
        features = encode_text(self.encoder, name if self.use == "IN" else description)
        empty = features.new_empty(0, features.shape[1])
        return (features, empty) if self.use == "IN" else (empty, features)

    def label_features(self, template: int = 0) -> Tensor:
        """Features (C, d) that pictures are compared with: the names, or the descriptions where only they are used."""
        names, descriptions = self.texts(template)
        return names if len(names) else descriptions

    @property
    def logit_scale(self) -> Tensor:
        """1 / tau, at most 100 as in CLIP."""
        return self.encoder.logit_scale.exp().clamp(max=100)

    def logits(self, images: Tensor) -> Tensor:
        """(n, C) logits of normalised pictures (n, 3, S, S)."""
        z = self.encoder.encode_image(images)
        if self.head is not None:
            return self.head(z)
        return self.logit_scale * F.normalize(z, dim=-1) @ F.normalize(self.label_features(), dim=-1).T


def _width(encoder: CLIP) -> int:
    return int(encoder.text_projection.shape[-1])


def _freeze_text(encoder: CLIP) -> None:
    """Leave only the image tower trainable: nothing reads the text tower or the temperature."""
    for parameter in encoder.parameters():
        parameter.requires_grad_(False)
    for parameter in encoder.visual.parameters():
        parameter.requires_grad_(True)


def label_tokens(encoder: str, kind: str, keys: tuple[Any, ...]) -> dict[str, Tensor]:
    """Token ids (templates, C, L) of the names and descriptions of a label set."""
    tokenize = tokenizer_for(encoder)
    texts = {"name": prompting.names(kind, keys), "description": prompting.describe(kind, keys)}
    return {
        role: torch.stack([tokenize(filled) for filled in prompting.prompts("clef", role, words)])
        for role, words in texts.items()
    }


class PretrainTask(EncoderTask, SplitTask):
    """Stage 1. Evaluated by what its features hold: expression of the nearest neighbour, identity of the person."""

    options_type: ClassVar[type[Options]] = Pretraining

    def __init__(self, recipe: Recipe, device: torch.device, start: Path | None) -> None:
        super().__init__(recipe, device, start)
        activities = ACTIVITIES.get(recipe.data.name)
        if activities is None:
            known = ", ".join(ACTIVITIES)
            raise ValueError(f"{recipe.data.name} has no activities: pre-train on one of {known}")
        self.tasks = [a.task for a in activities]
        tokenize = tokenizer_for(recipe.encoder.name)
        filled = prompting.prompts("clef", "activity", [a.description for a in activities])
        self.tokens = torch.stack([tokenize(texts) for texts in filled]).to(device)
        if not self.options.activity_text:
            _freeze_text(self.encoder)
        self.encoder.logit_scale.requires_grad_(False)  # epsilon is fixed
        self.model: CLIP = self.encoder.to(device)

    @cached_property
    def activity(self) -> Tensor:
        """Activity (N,) of the training pictures."""
        return torch.tensor([self.tasks.index(a) for a in self.train_split.records["activity"]])

    def loss(self, rows: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """Eq. 2, or its first term alone without activity texts (PI only)."""
        settings, augment = self.options, self.recipe.augment
        views = [self.pictures.batch(rows, augment, generator) for _ in range(2)]
        z_image, z_view = self.model.encode_image(torch.cat(views)).chunk(2)
        same = self.activity[rows] if settings.pairing == "activity" else torch.arange(len(rows))
        same = same.to(self.device)
        common = {"temperature": settings.temperature, "normalizer": settings.normalizer}
        if not settings.activity_text:
            loss = cross_modal_supcon(z_image, z_view, same, **common)
            return {"loss": loss, "image_view": loss}
        template = int(torch.randint(len(self.tokens), (1,), generator=generator))
        z_text = encode_text(self.model, self.tokens[template])[self.activity[rows]]
        total, terms = clef_pretraining(z_image, z_view, z_text, same, temperature=settings.temperature)
        return {"loss": total, **terms}

    def evaluate(self, split: str) -> Outcome:
        """Nearest-neighbour purity across people and how well identity can be read off, on unseen people."""
        loaded = self.split(split)
        z, records = self.features(loaded.images).numpy(), loaded.records
        purity = neighbour_purity(z, expression_key(records), records["subject"].to_numpy())
        activity = neighbour_purity(z, records["activity"].to_numpy(), records["subject"].to_numpy())
        half = records["activity"].str[1:].astype(int).to_numpy() % 2 == 1
        leak = identity_probe(z, records["subject"].to_numpy(), half)
        metrics = {
            "expression_purity": purity.value,
            "expression_chance": purity.chance,
            "activity_purity": activity.value,
            "identity_leak": leak.value,
            "identity_chance": leak.chance,
        }
        return Outcome({**metrics, "score": metrics["expression_purity"]})


class FinetuneTask(EncoderTask, SplitTask):
    """Stage 2, for expressions and for action units."""

    options_type: ClassVar[type[Options]] = Finetuning

    def __init__(self, recipe: Recipe, device: torch.device, start: Path | None) -> None:
        super().__init__(recipe, device, start)
        train = self.train_split  # its labels and not the manifest's: a protocol may leave classes out
        self.kind: Literal["expression", "au"] = train.kind
        model = CLEF(self.encoder, self.tokens(), self.options.use, self.options.text_encoder)
        self.model: CLEF = model.to(device)

    def tokens(self) -> dict[str, Tensor]:
        """Token ids (templates, C, L) of the label set, by role."""
        return label_tokens(self.recipe.encoder.name, self.kind, self.train_split.keys)

    @cached_property
    def class_weight(self) -> Tensor | None:
        """Weights (C,) of Eq. 4 or 5 from the training split."""
        if self.options.class_weight == "none":
            return None
        power = 1.0 if self.options.class_weight == "inverse_frequency" else 0.5
        return frequency_weights(self.targets, len(self.train_split.labels), power)

    def loss(self, rows: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """Eq. 6; cross-entropy on a linear head for "I"."""
        x = self.pictures.batch(rows, self.recipe.augment, generator)
        y = self.targets[rows.to(self.device)]
        model, use = self.model, self.options.use
        if use == "I":
            loss = self._head_loss(model.logits(x), y)
            return {"loss": loss, "head": loss}
        z_image = model.encoder.encode_image(x)
        template = int(torch.randint(len(model.description_tokens), (1,), generator=generator))
        z_name, z_description = model.texts(template)
        weight = {"class_weight" if self.kind == "expression" else "pos_weight": self.class_weight}
        total, terms = clef_finetuning(
            z_image,
            z_name if len(z_name) else z_description,
            z_description if use == "IND" else None,
            y,
            model.logit_scale,
            task=self.kind,
            weight=self.options.weight,
            **weight,
        )
        return {"loss": total, **terms}

    def _head_loss(self, logits: Tensor, y: Tensor) -> Tensor:
        if self.kind == "expression":
            return F.cross_entropy(logits, y, weight=self.class_weight, reduction="sum") / len(y)
        known = (y >= 0).float()
        each = F.binary_cross_entropy_with_logits(
            logits, y.clamp(min=0).float(), pos_weight=self.class_weight, reduction="none"
        )
        return (each * known).sum(1).mean()

    def scores(self, images: np.ndarray) -> np.ndarray:
        """Probabilities (n, C): softmax over expressions, sigmoid for each action unit."""
        with torch.no_grad():
            logits = torch.cat(
                [self.model.logits(x).float().cpu() for x in Pictures(images, self.device).batches(256)]
            )
        return (logits.softmax(1) if self.kind == "expression" else logits.sigmoid()).numpy()

    def evaluate(self, split: str) -> Outcome:
        """Accuracy and mean-class accuracy, or F1 per action unit; of the test split the texts' similarities, too."""
        outcome = super().evaluate(split)
        if split == "test":
            outcome.extra = self._similarities(self.train_split.labels)
        return outcome

    @torch.no_grad()
    def _similarities(self, names: tuple[str, ...]) -> dict[str, Any]:
        """Cosines of descriptions with names, and correlations of names with names (Fig. 5)."""
        if self.options.use != "IND":
            return {}
        z_name, z_description = (F.normalize(z, dim=-1).cpu() for z in self.model.texts(0))
        return {
            "labels": list(names),
            "description_name_cosine": (z_description @ z_name.T).tolist(),
            "name_correlation": np.corrcoef(z_name.numpy()).tolist(),
            "temperature": float(1 / self.model.logit_scale),
        }


TASKS: dict[str, type[Task]] = {"pretrain": PretrainTask, "finetune": FinetuneTask}

# Stage 1 as the paper words it: random cropping, flipping, rotation (Sec. 4.2); the ranges are assumed.
PRETRAIN_AUGMENT = Augment(flip=0.5, rotate=15.0, crop=(0.6, 1.0), scale=(1.0, 1.0), translate=0.0)
