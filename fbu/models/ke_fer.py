"""KE-FER (Li et al., 2024): any picture encoder against frozen text embeddings, and a neutral face to push away from.

``ke_fer.train``: a picture's vector v is compared with one text per expression (Eq. 4, 5); a small network makes a
neutral vector n of it (Eq. 6), so that v - n points as the texts do (Eq. 9); and v is pulled to its text while n is
pushed from it (Eq. 10). ``ke_fer.score`` tests a trained model on another dataset (Table 5), ``ke_fer.look`` asks what
its vectors hold (Fig. 1, 3, 7), whether its neutral vectors look neutral, and whether its classes lie on a circle.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar, Literal

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from safetensors.torch import load_file
from torch import Tensor, nn

from fbu.data.dataset import Dataset
from fbu.data.manifest import load_manifest
from fbu.data.specs import load_spec
from fbu.errors import DataError
from fbu.evaluation.circumplex import circle_agreement, neutral_offset, planarity
from fbu.evaluation.predictions import prediction_frame, score
from fbu.labels import prompting
from fbu.losses.ke_fer import knowledge_enhanced
from fbu.models.encoders import encode_text, encoder_from, load_dual_encoder, tokenizer_for
from fbu.models.face_encoders import FaceEncoder, face_encoder, start_face_encoder
from fbu.models.frozen import FrozenTask, ProbeTask, Probing
from fbu.models.pictures import Pictures
from fbu.models.published import weights_named
from fbu.models.starting import start_weights
from fbu.models.tasks import SplitTask
from fbu.models.texts import load_text_tower
from fbu.recipes import EncoderSpec, Recipe
from fbu.training import Options, Outcome, Task

HIDDEN = 128  # of the transformation network (Sec. 4.2)
NEUTRAL = "neutral"


class Training(Options):
    """Settings of a training."""

    supervision: Literal["text", "labels"] = Field(
        "text",
        description="similarity to text embeddings, or a classifier on discrete labels (Table 2, row 1)",
    )
    transformation: float = Field(1.0, ge=0, description="lambda_t of Eq. 11; 0 switches Eq. 9 off")
    contrast: float = Field(1.0, ge=0, description="lambda_c of Eq. 11; 0 switches Eq. 10 off")
    kind: Literal["self", "batch"] = Field(
        "self", description="the contrast: self-contrast, or contrastive learning over the batch (Fig. 4)"
    )
    pairing: Literal["row", "all"] = Field(
        "row", description="Eq. 10 within each row as printed, or over all pairs as in the authors' code"
    )
    margin: float = Field(2.0, description="gamma of Eq. 10: a constant, without influence on the gradient")
    temperature: float = Field(0.01, gt=0, description="tau of Eq. 5")
    template: int = Field(0, ge=0, le=8, description="row of Table 3, the paper's default first")
    text: Literal["CLIP", "ALIGN", "BLIP"] = Field(
        "CLIP", description="published text tower, where no run is read in its place"
    )
    update: Literal["summed", "sequential"] = Field(
        "summed", description="one update of the sum (Eq. 11), or one of each term in turn (Algorithm 1)"
    )

    @model_validator(mode="after")
    def _labels_alone(self) -> Training:
        if self.supervision == "labels" and (self.transformation or self.contrast):
            raise ValueError("a classifier has no text to transform or contrast with: set both weights to 0")
        return self


class KEFER(nn.Module):
    """A picture encoder beside frozen text embeddings.

    Args:
        encoder: of the pictures.
        texts: (C, d) embeddings of the classes, kept with the weights.
        supervision: as in :class:`Training`.
        transforms: whether there is a network that makes neutral vectors.
    """

    texts: Tensor

    def __init__(self, encoder: FaceEncoder, texts: Tensor, supervision: str, transforms: bool) -> None:
        super().__init__()
        width, d = encoder.width, texts.shape[1]
        self.encoder: FaceEncoder = encoder
        self.register_buffer("texts", texts)
        self.head = nn.Linear(width, len(texts)) if supervision == "labels" else None
        same = supervision == "labels" or width == d
        self.project: nn.Module = nn.Identity() if same else nn.Linear(width, d)
        self.transform: nn.Module | None = None
        if transforms:  # two layers; the paper does not name what stands between them
            self.transform = nn.Sequential(nn.Linear(d, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, d))

    def vectors(self, images: Tensor) -> Tensor:
        """v (n, d) of normalised pictures; with a classifier the encoder's features (n, width)."""
        return self.project(self.encoder(images))

    def logits(self, v: Tensor, temperature: float) -> Tensor:
        """(n, C) scores of vectors."""
        if self.head is not None:
            return self.head(v)
        return F.normalize(v.float(), dim=-1) @ F.normalize(self.texts.float(), dim=-1).T / temperature


class TrainTask(SplitTask):
    """Training on expressions.

    Raises:
        DataError: a dataset of action units, or without neutral faces where these are needed.
    """

    options_type: ClassVar[type[Options]] = Training
    roles = ("text",)

    def __init__(
        self,
        recipe: Recipe,
        device: torch.device,
        start: Path | None,
        reads: Mapping[str, Path] = MappingProxyType({}),
    ) -> None:
        super().__init__(recipe, device, start, reads)
        self.settings: Training = self.options
        encoder = face_encoder(recipe.encoder)
        start_face_encoder(encoder, start)
        transforms = bool(self.settings.transformation or self.settings.contrast)
        if self.settings.supervision == "labels":
            texts = torch.zeros(
                len(self.classes), encoder.width
            )  # no text is looked at, so no tower is needed
        else:
            texts = class_texts(self.settings, recipe, self.classes, reads.get("text"))
        model = KEFER(encoder, texts, self.settings.supervision, transforms)
        self.model: KEFER = model.to(device)
        if transforms and NEUTRAL not in self.classes:
            raise DataError(f"{recipe.data.name} has no class {NEUTRAL!r}, which Eq. 9 and 10 need")
        self.phases = self._phases()

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """Expressions that the model knows, in its order."""
        if self.train_split.kind != "expression":
            raise DataError(f"{self.recipe.data.name} has action units: KE-FER is trained on expressions")
        return self.train_split.labels

    @cached_property
    def pictures(self) -> Pictures:
        """The training pictures."""
        return self.shown(self.train_split.images)

    def shown(self, images: np.ndarray) -> Pictures:
        """Pictures as the encoder wants them."""
        encoder = self.model.encoder
        return Pictures(images, self.device, encoder.mean, encoder.std)

    def sampling_weights(self) -> Tensor | None:
        """One over the pictures of the class, where the protocol draws all classes equally often."""
        protocol = load_manifest(self.recipe.data.name).protocols.get(self.recipe.data.protocol or "")
        if protocol is None or protocol.sampling != "balanced":
            return None
        targets = self.targets.cpu()
        return 1.0 / targets.bincount(minlength=len(self.classes))[targets].double()

    def _phases(self) -> tuple[str, ...]:
        """Algorithm 1: L_t, then L_c, then L_s, each its own update."""
        settings = self.settings
        if settings.update == "summed" or settings.supervision == "labels":
            return ("loss",)
        weights = {"transformation": settings.transformation, "contrast": settings.contrast}
        return (*(name for name, weight in weights.items() if weight), "similarity")

    def loss(self, rows: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """Eq. 11 with its terms, each times its weight; cross-entropy of the classifier on discrete labels."""
        settings, model = self.settings, self.model
        x = self.pictures.batch(rows, self.recipe.augment, generator)
        y = self.targets[rows.to(self.device)]
        v = model.vectors(x)
        if model.head is not None:
            return {"loss": F.cross_entropy(model.head(v).float(), y)}
        total, terms = knowledge_enhanced(
            v,
            None if model.transform is None else model.transform(v),
            model.texts,
            y,
            neutral=self.classes.index(NEUTRAL) if NEUTRAL in self.classes else 0,
            weights=(1.0, settings.transformation, settings.contrast),
            margin=settings.margin,
            temperature=settings.temperature,
            pairing=settings.pairing,
            contrast=settings.kind,
        )
        weighted = {"transformation": settings.transformation, "contrast": settings.contrast}
        return {"loss": total, **{name: term * weighted.get(name, 1.0) for name, term in terms.items()}}

    @torch.no_grad()
    def vectors(self, images: np.ndarray) -> Tensor:
        """v (n, d) of pictures, on the CPU."""
        return torch.cat([self.model.vectors(x).float().cpu() for x in self.shown(images).batches(256)])

    @torch.no_grad()
    def scores(self, images: np.ndarray) -> np.ndarray:
        """Probabilities (n, C) of the model's classes."""
        logits = self.model.logits(self.vectors(images).to(self.device), self.settings.temperature)
        return logits.softmax(1).cpu().numpy()


def class_texts(settings: Training, recipe: Recipe, classes: tuple[str, ...], run: Path | None) -> Tensor:
    """Embeddings (C, d) of the classes' texts, by a text tower that is not trained further.

    Args:
        settings: which template, and which published tower.
        recipe: names the recipe of the run that is read.
        classes: expressions.
        run: folder of a finished tower; None for the published one.
    """
    filled = prompting.prompts("ke_fer", "category", prompting.names("expression", classes))[
        settings.template
    ]
    with torch.no_grad():
        if run is None:
            return published_texts(settings.text, filled)
        spec = recipe.reads["text"].encoder
        tower = encoder_from(spec).eval()
        start_weights(tower, run)
        return encode_text(tower, tokenizer_for(spec.name)(filled)).clone()


def published_texts(kind: Literal["CLIP", "ALIGN", "BLIP"], texts: list[str]) -> Tensor:
    """Embeddings (n, d) by a published text tower: d is 512 (CLIP ViT-B/16), 640 (ALIGN) or 256 (BLIP).

    Raises:
        DataError: the files of ALIGN or BLIP are not under ``$FBU_DATA/weights``.
    """
    if kind == "CLIP":
        name = "ViT-B-16-quickgelu"
        tower = load_dual_encoder(name, "openai").eval()
        return encode_text(tower, tokenizer_for(name)(texts))
    entry = weights_named({"ALIGN": "align", "BLIP": "blip"}[kind])
    if not entry.present:
        raise DataError(f"not run: {entry.title} is not under FBU_DATA/weights ({entry.file})")
    return load_text_tower(kind, str(entry.path))[0].encode(texts)


def trained_model(recipe: Recipe, weights: Mapping[str, Tensor]) -> KEFER:
    """The model of a finished training; its texts' embeddings lie among the weights, so no text tower is needed.

    Args:
        recipe: of the training.
        weights: as the run keeps them.

    Raises:
        RuntimeError: they do not fit the model.
    """
    supervision = "labels" if "head.weight" in weights else "text"
    encoder = face_encoder(EncoderSpec(name=recipe.encoder.name))
    model = KEFER(encoder, weights["texts"], supervision, "transform.0.weight" in weights)
    model.load_state_dict(dict(weights))
    return model


class Finished(FrozenTask):
    """Base: the whole model of a finished training, without training it further.

    Raises:
        ValueError: the recipe starts from no KE-FER training.
    """

    encoder: KEFER

    def make_encoder(self) -> KEFER:
        """The model of the run that the recipe starts from."""
        trained = self.recipe.start
        if trained is None or trained.task != "ke_fer.train" or self.start is None:
            raise ValueError(f"{self.recipe.task} looks at a finished ke_fer.train: name it as start")
        model = trained_model(trained, load_file(self.start / "weights.safetensors"))
        self.trained = Training.model_validate(trained.options)
        self.classes = load_spec(trained.data, "train").labels
        return model

    @torch.no_grad()
    def vectors(self, images: np.ndarray) -> Tensor:
        """v (n, d) of pictures, on the CPU."""
        tower = self.encoder.encoder
        batches = Pictures(images, self.device, tower.mean, tower.std).batches(256)
        return torch.cat([self.encoder.vectors(x).float().cpu() for x in batches])

    def features(self, images: np.ndarray) -> Tensor:
        """Unit vectors (n, d) of pictures, on the CPU."""
        return F.normalize(self.vectors(images), dim=-1)


class ScoreTask(Finished):
    """A trained model on another dataset, its classes matched by name (Table 5)."""

    def scored(self, loaded: Dataset) -> Outcome:
        """Accuracy and mean-class accuracy.

        Raises:
            DataError: the dataset has an expression that the model does not know.
        """
        unknown = [name for name in loaded.labels if name not in self.classes]
        if unknown:
            raise DataError(
                f"{loaded.name} has {', '.join(unknown)}, which the model was not trained on: choose a protocol "
                "without it"
            )
        with torch.no_grad():
            v = self.vectors(loaded.images).to(self.device)
            found = self.encoder.logits(v, self.trained.temperature).softmax(1).cpu()
        order = [self.classes.index(name) for name in loaded.labels]
        predictions = prediction_frame(loaded, found[:, order].numpy())
        metrics = score(predictions, "expression")
        return Outcome({**metrics, "score": metrics["accuracy"]}, predictions)


class LookTask(Finished, ProbeTask):
    """What a trained model's vectors hold, and whether its neutral vectors look neutral."""

    options_type: ClassVar[type[Options]] = Probing

    def scored(self, loaded: Dataset) -> Outcome:
        """Neighbours and silhouettes of expressions as :class:`~fbu.models.frozen.ProbeTask` gives them, and:

        ``away/<class>``: cosine of a class's mean vector with the mean of the neutral faces (Fig. 3: lower is farther);
        for a model with a transformation network, over the faces that show an expression, ``neutral_named``: share of
        neutral vectors that are closest to the text of neutral (``neutral_named_before``: of v itself);
        ``own_neutral``: cosine of the neutral vector with the mean vector of the same person's neutral faces,
        ``own_neutral_before``: of v itself, ``other_neutral``: with those of other people. NaN where nobody has both.

        And of the classes' mean vectors, against Russell's circumplex (:mod:`fbu.evaluation.circumplex`):
        ``circle``: agreement with the distances on his circle (``circle_texts``: of the text embeddings), ``plane``:
        share of their spread in two dimensions, ``neutral_offset``: how far neutral lies from the centre. The vectors
        themselves are kept as ``class_means``.
        """
        outcome = super().scored(loaded)
        means = self._means(loaded)
        outcome.extra["class_means"] = {name: mean.tolist() for name, mean in means.items()}
        outcome.metrics |= self._away(means)
        outcome.metrics |= {
            "circle": circle_agreement(means),
            "plane": planarity(means),
            "neutral_offset": neutral_offset(means),
        }
        if self.encoder.head is None:
            texts = F.normalize(self.encoder.texts.float().cpu(), dim=-1).numpy()
            outcome.metrics["circle_texts"] = circle_agreement(dict(zip(self.classes, texts, strict=True)))
        if self.encoder.transform is not None:
            outcome.metrics |= self._neutral(loaded)
        return outcome

    def _means(self, loaded: Dataset) -> dict[str, np.ndarray]:
        """Unit mean vector (d,) of each class of the pictures."""
        z, shown = self.features(loaded.images), loaded.shown
        return {str(n): F.normalize(z[shown == n].mean(0), dim=0).numpy() for n in np.unique(shown)}

    def _away(self, means: dict[str, np.ndarray]) -> dict[str, float]:
        if NEUTRAL not in means:
            return {}
        return {f"away/{n}": float(m @ means[NEUTRAL]) for n, m in means.items() if n != NEUTRAL}

    def _neutral(self, loaded: Dataset) -> dict[str, float]:
        shown, people = loaded.shown, loaded.records["subject"].to_numpy()
        v = self.vectors(loaded.images)
        with torch.no_grad():
            n = self.encoder.transform(v.to(self.device)).cpu()  # type: ignore[misc]
        rows = shown != NEUTRAL
        texts = F.normalize(self.encoder.texts.float().cpu(), dim=-1)
        at = self.classes.index(NEUTRAL)
        unit_v, unit_n = F.normalize(v, dim=-1), F.normalize(n, dim=-1)
        found = {
            "neutral_named": float(((unit_n[rows] @ texts.T).argmax(1) == at).float().mean()),
            "neutral_named_before": float(((unit_v[rows] @ texts.T).argmax(1) == at).float().mean()),
        }
        own: dict[str, list[float]] = {"own_neutral": [], "own_neutral_before": [], "other_neutral": []}
        calm = {
            p: F.normalize(unit_v[(people == p) & ~rows].mean(0), dim=0) for p in np.unique(people[~rows])
        }
        everybody = unit_v[~rows].sum(0)
        for person, mean in calm.items():
            mine = (people == person) & rows
            if mine.any():
                others = F.normalize(everybody - unit_v[(people == person) & ~rows].sum(0), dim=0)
                own["own_neutral"].append(float((unit_n[mine] @ mean).mean()))
                own["own_neutral_before"].append(float((unit_v[mine] @ mean).mean()))
                own["other_neutral"].append(float((unit_n[mine] @ others).mean()))
        return found | {
            name: float(np.mean(values)) if values else float("nan") for name, values in own.items()
        }


TASKS: dict[str, type[Task]] = {"train": TrainTask, "score": ScoreTask, "look": LookTask}
