"""DK-CLIP (Li et al., MM 2024): CLIP for expressions in videos, by snippets, action units in prompts, and consistency.

``dk_clip.train``: a clip's T frames are cut into N snippets; messages pass between the frames of a snippet, and a
transformer over snippets makes the clip's feature v (Sec. 3.3). Class texts name action units and look at the clip's
patches (Sec. 3.4). Snippets that are unlike v count as noise and are left out; what remains predicts the class, too,
and both predictions are made to agree (Sec. 3.5). Its settings leave parts out, as Tables 4 to 6 do. ``dk_clip.look``
asks what the features of a trained model hold (Fig. 4).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import torch
from pydantic import Field, model_validator
from safetensors.torch import load_file
from torch import Tensor, nn

from fbu import featureprobes, probes
from fbu.data.dataset import Dataset
from fbu.errors import DataError
from fbu.evaluation.predictions import prediction_frame, score
from fbu.losses._numerics import full_precision, unit
from fbu.losses.dk_clip import consistency_terms, fuse_snippets, snippet_scores
from fbu.models.clips import Clips
from fbu.models.encoders import encoder_from, load_dual_encoder, tokenizer_for
from fbu.models.frozen import FrozenTask, Probing
from fbu.models.mixing import mixed_clips, soft_targets
from fbu.models.noise import noise_metrics, noisy_share
from fbu.models.starting import start_weights
from fbu.models.tasks import SplitTask
from fbu.models.video import Temporal, VideoEncoder
from fbu.models.video_texts import VideoPrompts, Words, class_words, mean_patches, texts_of
from fbu.recipes import Recipe
from fbu.training import Options, Outcome, Task

if TYPE_CHECKING:
    from open_clip.model import CLIP


class Training(Options):
    """Settings of a training."""

    frames: int = Field(16, ge=1, description="T, frames of a clip")
    snippets: int = Field(4, ge=1, description="N, snippets that they are cut into")
    temporal: Temporal = Field("hierarchical", description="how frames are put together (Table 5)")
    layers: int = Field(1, ge=1, description="blocks over snippets or frames")
    words: Words = Field("or", description="class texts (Table 6)")
    context: int = Field(0, ge=0, description="learned vectors before each text; 0: none")
    conditioned: bool = Field(True, description="whether texts look at the clip (Eq. 8)")
    prompt_layers: int = Field(2, ge=1, description="layers of that look; 2 in the authors' code")
    consistency: bool = Field(
        True, description="noisy snippets are left out, local predictions learn, too (Sec. 3.5)"
    )
    threshold: float = Field(0.15, ge=0, description="theta of Eq. 9")
    weight: float = Field(1.0, ge=0, description="lambda of Eq. 11")
    fusion: Literal["logits", "probabilities"] = Field(
        "logits", description="what Eq. 10 fuses: logits as in the authors' code, or probabilities"
    )
    divergence: Literal["kl", "cross_entropy"] = Field(
        "kl", description="L_k of Eq. 11 as printed, or the authors' cross-entropy"
    )
    consistency_epochs: float | None = Field(
        None, gt=0, description="passes after which L_l and L_k end; 14 in the authors' code, None: never"
    )
    mixup: float = Field(0.8, ge=0, description="alpha of Mixup; 0: none")
    fmix: float = Field(1.0, ge=0, description="alpha of FMix; 0: none")
    smoothing: float = Field(0.1, ge=0, le=1, description="label smoothing, as in the authors' code")
    added_rate: float = Field(
        10.0, gt=0, description="learning rate of modules that CLIP does not have, relative to the others'"
    )
    frozen_patches: bool = Field(True, description="patch embedding stays as CLIP has it (Sec. 4.1)")
    checkpointing: bool = Field(False, description="less memory for more time in the image tower")

    @model_validator(mode="after")
    def _whole_snippets(self) -> Training:
        if self.frames % self.snippets:
            raise ValueError(f"frames={self.frames} must be a multiple of snippets={self.snippets}")
        return self


@dataclass(frozen=True)
class Predicted:
    """What the model says about n clips.

    Attributes:
        whole: (n, C) logits of the clips.
        snippets: (n, N, C) logits of their snippets.
        scores: (n, N) a*.
        kept: (n, N) booleans, False for snippets that count as noise.
        features: (n, d) v.
    """

    whole: Tensor
    snippets: Tensor
    scores: Tensor
    kept: Tensor
    features: Tensor


class DKCLIP(nn.Module):
    """A video encoder beside texts of the classes, in the space of a CLIP.

    Trained are the image tower, its patch embedding only if asked for, and all that is added to CLIP; the text tower
    and the temperature stay as they are. The model counts the clips that it has learned from where consistency ends, so
    that a resumed training goes on counting.

    Args:
        encoder: dual encoder, whose weights are used in place.
        texts: class texts: :class:`~fbu.models.video_texts.FixedTexts` or ``ContextTexts``.
        settings: which parts there are.
    """

    scale: Tensor
    seen: Tensor

    def __init__(self, encoder: CLIP, texts: nn.Module, settings: Training) -> None:
        super().__init__()
        self.settings = settings
        self.video = VideoEncoder(
            encoder.visual,
            settings.frames,
            settings.snippets,
            settings.temporal,
            settings.layers,
            settings.checkpointing,
            settings.frozen_patches,
        )
        self.texts = texts
        self.prompts: VideoPrompts | None = None
        if settings.conditioned:
            width, d = encoder.visual.transformer.width, encoder.visual.output_dim
            self.prompts = VideoPrompts(width, d, settings.prompt_layers)
        self.register_buffer("scale", encoder.logit_scale.detach().exp().clamp(max=100))
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))

    def added(self) -> list[nn.Module]:
        """Modules that CLIP does not have; of texts with a learned context that context."""
        learned = [self.texts] if any(p.requires_grad for p in self.texts.parameters()) else []
        return [*self.video.added(), *([] if self.prompts is None else [self.prompts]), *learned]

    def forward(self, clips: Tensor) -> Predicted:
        """Predictions for normalised frames (n, N, t, 3, S, S)."""
        seen = self.video(clips)
        scores = snippet_scores(seen.snippets, seen.whole)
        kept = torch.ones_like(scores, dtype=torch.bool)
        if self.settings.consistency:
            kept = scores >= self.settings.threshold
        texts = self.texts()
        if self.prompts is not None:
            texts = self.prompts(texts, mean_patches(seen.patches, kept))  # (n, C, d)
        with full_precision(seen.whole):
            v, s, c = unit(seen.whole[:, None], seen.snippets, texts)
            logits = self.scale.to(c) * torch.cat([v, s], 1) @ c.mT  # (n, 1 + N, C)
        return Predicted(logits[:, 0], logits[:, 1:], scores, kept, seen.whole)

    def local(self, found: Predicted) -> Tensor:
        """Logits (n, C) of the fused snippets (Eq. 10); of fused probabilities their logarithm."""
        threshold = self.settings.threshold if self.settings.consistency else 0.0
        fused = fuse_snippets(found.snippets, found.scores, threshold, of=self.settings.fusion)
        if self.settings.fusion == "logits":
            return fused
        return fused.clamp(min=torch.finfo(fused.dtype).tiny).log()


class TrainTask(SplitTask):
    """Training on clips of expressions.

    Raises:
        DataError: a dataset of single pictures or of action units.
    """

    options_type: ClassVar[type[Options]] = Training

    def __init__(self, recipe: Recipe, device: torch.device, start: Path | None) -> None:
        super().__init__(recipe, device, start)
        self.settings: Training = self.options
        if self.train_split.spans is None or self.train_split.kind != "expression":
            raise DataError(f"{recipe.data.name} holds no clips of expressions: {recipe.task} needs them")
        encoder = encoder_from(recipe.encoder)
        start_weights(encoder, start)
        words = class_words(self.settings.words, self.train_split.labels)
        texts = texts_of(encoder, tokenizer_for(recipe.encoder.name), words, self.settings.context)
        self.model: DKCLIP = DKCLIP(encoder, texts, self.settings).to(device)

    def __len__(self) -> int:
        return len(self.train_split)

    @cached_property
    def clips(self) -> Clips:
        """The training clips."""
        return self.shown(self.train_split)

    def shown(self, loaded: Dataset) -> Clips:
        """Clips as the model wants them."""
        return Clips(loaded, self.settings.frames, self.settings.snippets, self.device)

    def rate_factors(self) -> list[tuple[nn.Module, float]]:
        """What CLIP does not have learns faster."""
        return [(module, self.settings.added_rate) for module in self.model.added()]

    def loss(self, rows: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """Eq. 11 with its terms, each times its weight; without consistency the cross-entropy of the clips."""
        settings = self.settings
        x = self.clips.batch(rows, self.recipe.augment, generator)
        y = soft_targets(self.targets[rows.to(self.device)], len(self.train_split.labels), settings.smoothing)
        x, y = mixed_clips(x, y, generator, mixup_alpha=settings.mixup, fmix_alpha=settings.fmix)
        found = self.model(x)
        local = self.model.local(found)
        terms = consistency_terms(found.whole, local, y, divergence=settings.divergence)
        if not settings.consistency or self._ended(len(rows)):
            return {"loss": terms["global"]}
        weighted = {name: settings.weight * terms[name] for name in ("local", "divergence")}
        total = terms["global"] + weighted["local"] + weighted["divergence"]
        return {"loss": total, "global": terms["global"], **weighted}

    def _ended(self, clips: int) -> bool:
        """Whether the consistency is over; the model counts the clips that it has learned from."""
        ends = self.settings.consistency_epochs
        if ends is None:
            return False
        seen = int(self.model.seen)
        self.model.seen += clips
        return seen >= ends * len(self)

    def evaluate(self, split: str) -> Outcome:
        """Accuracy (WAR) and mean-class accuracy (UAR) of the global prediction, and beside them:

        ``accuracy_local``, ``accuracy_fused``: of the snippets together, and of the mean of both probabilities;
        ``erased``: share of snippets below theta. On twins, which know their noisy frames, what
        :func:`fbu.models.noise.noise_metrics` says. Predictions keep ``noise``, the share of a clip's frames looked at
        that are noisy (NaN where unknown), and a* of each snippet as ``a1``, ``a2``, ...
        """
        loaded = self.split(split)
        clips = self.shown(loaded)
        whole, local, scores = predicted(self.model, clips)
        predictions = prediction_frame(loaded, whole)
        metrics = score(predictions, "expression")
        for name, p in (("local", local), ("fused", (whole + local) / 2)):
            metrics[f"accuracy_{name}"] = score(prediction_frame(loaded, p), "expression")["accuracy"]
        metrics["erased"] = float((scores < self.settings.threshold).mean())
        metrics["score"] = metrics["accuracy"]
        right = whole.argmax(1) == loaded.targets
        metrics |= noise_metrics(loaded.records, clips.at.numpy(), scores, right)
        predictions["noise"] = noisy_share(loaded.records, clips.at.numpy()).mean(1)
        for i in range(scores.shape[1]):
            predictions[f"a{i + 1}"] = scores[:, i]
        return Outcome(metrics, predictions)


@torch.no_grad()
def predicted(model: DKCLIP, clips: Clips) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Global and local probabilities (n, C) and a* (n, N) of all clips, in order."""
    parts = []
    for x in clips.batches():
        found = model(x)
        three = (found.whole.softmax(1), model.local(found).softmax(1), found.scores)
        parts.append([z.float().cpu() for z in three])
    whole, local, scores = (torch.cat(z).numpy() for z in zip(*parts, strict=True))
    return whole, local, scores


def trained_model(recipe: Recipe, weights: Mapping[str, Tensor], classes: tuple[str, ...]) -> DKCLIP:
    """The model of a finished training; nothing but its weights is read.

    Args:
        recipe: of the training.
        weights: as the run keeps them.
        classes: expressions that the model knows, in its order.

    Raises:
        RuntimeError: they do not fit the model.
    """
    settings, name = Training.model_validate(recipe.options), recipe.encoder.name
    encoder = load_dual_encoder(name)
    words = class_words(settings.words, classes)
    model = DKCLIP(encoder, texts_of(encoder, tokenizer_for(name), words, settings.context), settings)
    model.load_state_dict(dict(weights))
    return model.eval()


class LookTask(FrozenTask):
    """What the features of a trained model's test clips hold (Fig. 4): neighbours, silhouettes, places by t-SNE.

    Raises:
        ValueError: the recipe starts from no DK-CLIP training.
    """

    options_type: ClassVar[type[Options]] = Probing
    encoder: DKCLIP

    def make_encoder(self) -> DKCLIP:
        """The model of the run that the recipe starts from."""
        trained = self.recipe.start
        if trained is None or trained.task != "dk_clip.train" or self.start is None:
            raise ValueError(f"{self.recipe.task} looks at a finished dk_clip.train: name it as start")
        return trained_model(trained, load_file(self.start / "weights.safetensors"), self.tested.labels)

    @torch.no_grad()
    def features_of(self, loaded: Dataset) -> np.ndarray:
        """Unit features (n, d) of clips."""
        settings = self.encoder.settings
        batches = Clips(loaded, settings.frames, settings.snippets, self.device).batches()
        return torch.cat([unit(self.encoder.video(x).whole)[0].cpu() for x in batches]).numpy()

    def scored(self, loaded: Dataset) -> Outcome:
        """``expression_purity``: how often the nearest other clip shows the same expression; silhouettes by class."""
        z, shown = self.features_of(loaded), loaded.shown
        found = probes.neighbour_purity(z, shown, loaded.records["subject"].to_numpy())
        metrics = {"expression_purity": found.value, "expression_chance": found.chance, "score": found.value}
        metrics |= {f"silhouette{name}": value for name, value in featureprobes.silhouettes(z, shown).items()}
        if not self.options.embed:
            return Outcome(metrics)
        rows = featureprobes.spread(shown, self.options.embed, self.recipe.seed)
        places = featureprobes.embed(z[rows], self.recipe.seed)
        extra = {"x": places[:, 0].tolist(), "y": places[:, 1].tolist(), "expression": shown[rows].tolist()}
        return Outcome(metrics, extra=extra)


TASKS: dict[str, type[Task]] = {"train": TrainTask, "look": LookTask}
