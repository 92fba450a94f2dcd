"""Tasks that train nothing: what the features of an earlier run already hold.

The encoder of the recipe's ``start`` is kept as it is (``optim.images`` must be 0) and looked at on the test split:
``frozen.zero_shot`` lets texts name expressions that were never trained on (CLEF, Table 6), ``frozen.probe`` measures
what lies close together and what a linear model reads off (CLEF, Fig. 4 and Sec. 3.1), ``frozen.intensity`` asks
whether words of intensity in a label name mean anything (CLEF, Sec. 5). As recipes their numbers are kept, cited and
checked like any other.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from fbu import featureprobes, probes
from fbu.data.dataset import Dataset
from fbu.data.specs import load_spec
from fbu.errors import DataError
from fbu.evaluation.predictions import prediction_frame, score
from fbu.labels import prompting
from fbu.models.encoders import encode_text, tokenizer_for
from fbu.models.tasks import EncoderTask
from fbu.recipes import Recipe
from fbu.training import Options, Outcome, Task

MOST_CLASSES = 12


class FrozenTask(EncoderTask):
    """Base: the encoder of ``start``, features of a split, no training.

    Raises:
        ValueError: the recipe asks for training pictures.
    """

    def __init__(self, recipe: Recipe, device: torch.device, start: Path | None) -> None:
        if recipe.optim.images != 0:
            raise ValueError(f"{recipe.task} trains nothing: give optim.images=0, not {recipe.optim.images}")
        super().__init__(recipe, device, start)
        self.encoder.to(device).eval().requires_grad_(False)
        # The loop wants something to optimise and the store something to keep; the weights stay in the run of `start`.
        self.model: nn.Module = nn.ParameterList([torch.zeros(1)]).to(device)

    def __len__(self) -> int:
        return 1

    def loss(self, rows: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """Never called: there are no steps."""
        raise RuntimeError(f"{self.recipe.task} trains nothing")

    def evaluate(self, split: str) -> Outcome:
        """Numbers on the test split; nothing is selected, so there are none on the validation split."""
        return self.scored(self.tested) if split == "test" else Outcome({})

    @cached_property
    def tested(self) -> Dataset:
        """The test split."""
        return load_spec(self.recipe.data, "test")

    def scored(self, loaded: Dataset) -> Outcome:
        """Numbers on a loaded split."""
        raise NotImplementedError

    def text_features(self, texts: list[str]) -> Tensor:
        """Unit features (n, d) of texts, on the CPU."""
        with torch.no_grad():
            tokens = tokenizer_for(self.recipe.encoder.name)(texts).to(self.device)
            return F.normalize(encode_text(self.encoder, tokens), dim=-1).cpu()


class ZeroShot(Options):
    """Between which expressions the texts decide."""

    classes: tuple[str, ...] = Field((), description="expressions that count; empty: all of the split")
    by: Literal["description", "name"] = Field(
        "description", description="what stands for an expression (Sec. 4.4: descriptions)"
    )


class ZeroShotTask(FrozenTask):
    """Expressions by the text that a picture is most similar to; nothing was trained on them."""

    options_type: ClassVar[type[Options]] = ZeroShot

    def scored(self, loaded: Dataset) -> Outcome:
        """Accuracy and mean-class accuracy over the expressions that count."""
        loaded = only(loaded, self.options.classes) if self.options.classes else loaded
        words = prompting.names if self.options.by == "name" else prompting.describe
        texts = prompting.prompts("clef", self.options.by, words("expression", loaded.labels))[0]
        scale = self.encoder.logit_scale.exp().clamp(max=100).cpu()
        logits = scale * self.features(loaded.images) @ self.text_features(texts).T
        predictions = prediction_frame(loaded, logits.softmax(1).numpy())
        metrics = score(predictions, "expression")
        return Outcome(
            {**metrics, "chance": 1 / len(loaded.labels), "score": metrics["accuracy"]}, predictions
        )


def only(loaded: Dataset, classes: tuple[str, ...]) -> Dataset:
    """The pictures of some expressions, with these as the classes, in the order of the dataset.

    Raises:
        DataError: an expression that the dataset does not have.
    """
    unknown = [name for name in classes if name not in loaded.labels]
    if unknown:
        raise DataError(
            f"{loaded.name} has no expression {unknown[0]!r}: known are {', '.join(loaded.labels)}"
        )
    at = np.flatnonzero(loaded.records["expression"].isin(classes))
    labels = tuple(name for name in loaded.labels if name in classes)
    records = loaded.records.iloc[at].reset_index(drop=True)
    return replace(loaded, images=np.asarray(loaded.images[at]), records=records, labels=labels)


class Probing(Options):
    """What is drawn beside the numbers."""

    embed: int = Field(0, ge=0, description="pictures of the two-dimensional picture (t-SNE); 0: none")


class ProbeTask(FrozenTask):
    """What lies close together in the features, and what a linear model reads off them, on people not trained on."""

    options_type: ClassVar[type[Options]] = Probing

    def scored(self, loaded: Dataset) -> Outcome:
        """Neighbours and silhouette of expressions; on twins and recordings also the person and their looks."""
        records, z = loaded.records, self.features(loaded.images).numpy()
        people, shown = records["subject"].to_numpy(), loaded.shown
        purity = probes.neighbour_purity(z, shown, people)
        metrics = {"expression_purity": purity.value, "expression_chance": purity.chance}
        metrics |= {
            f"purity/{name}": value for name, value in featureprobes.class_purity(z, shown, people).items()
        }
        metrics |= {f"silhouette{name}": value for name, value in featureprobes.silhouettes(z, shown).items()}
        if "activity" in records:
            half = records["activity"].str[1:].astype(int).to_numpy() % 2 == 1
            leak = probes.identity_probe(z, people, half)
            metrics |= {"identity_leak": leak.value, "identity_chance": leak.chance}
        looks = featureprobes.looks(records)
        for name, column in looks.items():
            read = featureprobes.attribute_probe(z, column, people)
            metrics |= {f"{name}_leak": read.value, f"{name}_chance": read.chance}
        metrics["score"] = purity.value
        return Outcome(metrics, extra=self._embedded(z, shown))

    def _embedded(self, z: np.ndarray, shown: np.ndarray) -> dict[str, Any]:
        if not self.options.embed:
            return {}
        rows = featureprobes.spread(shown, self.options.embed, self.recipe.seed)
        places = featureprobes.embed(z[rows], self.recipe.seed)
        return {"x": places[:, 0].tolist(), "y": places[:, 1].tolist(), "expression": shown[rows].tolist()}


class Intensity(Options):
    """How strength is worded."""

    suffixes: tuple[str, str] = Field(
        prompting.INTENSITY_SUFFIXES, description="words for weak and for strong"
    )


class IntensityTask(FrozenTask):
    """Label names with words of intensity: whether the strong wording fits a strong unit better (CLEF, Sec. 5)."""

    options_type: ClassVar[type[Options]] = Intensity

    def scored(self, loaded: Dataset) -> Outcome:
        """Rank correlation of (strong minus weak) with the unit's intensity, where the unit is present."""
        z = self.features(loaded.images)
        weak, strong = (self._names(loaded, suffix) for suffix in self.options.suffixes)
        return Outcome(featureprobes.graded(loaded, (z @ (strong - weak).T).numpy()))

    def _names(self, loaded: Dataset, suffix: str) -> Tensor:
        names = prompting.names("au", [int(name[2:]) for name in loaded.labels])
        return self.text_features(prompting.prompts("clef", "name", [f"{n} {suffix}" for n in names])[0])


TASKS: dict[str, type[Task]] = {"zero_shot": ZeroShotTask, "probe": ProbeTask, "intensity": IntensityTask}
