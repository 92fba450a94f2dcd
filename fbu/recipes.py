"""A recipe: the frozen, validated description of one training and its evaluation.

A recipe says *what* is computed and never *where*: no folder, no device, no number of workers. Its key, together
with a fingerprint of the code and of the data, names the run that it produces (:mod:`fbu.runs`).
"""

from __future__ import annotations

import hashlib
import importlib
import json
from collections.abc import Iterator
from functools import cache
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from fbu.data.transforms import Augment


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DataSpec(_Frozen):
    """Which pictures: dataset, source, split protocol."""

    name: str = Field(description="dataset, e.g. bp4d; 'tower' for the stand-in pre-training pictures")
    source: Literal["twin", "open", "real"] = Field(
        "twin", description="twin, open photographs or the user's copy"
    )
    size: Literal["quick", "demo", "full"] = Field("quick", description="size of the twin; unused otherwise")
    fold: int | None = Field(None, description="test fold, as numbered in the manifest")
    protocol: str | None = Field(None, description="protocol variant of the manifest")
    seed: int = Field(0, description="seed of the twin's population")
    image_size: int = Field(64, ge=8, description="side of the square pictures, pixels")
    preset: str | None = Field(None, description="alignment; default: the protocol's, then the manifest's")


class EncoderSpec(_Frozen):
    """Which dual encoder, and what it starts from when no earlier run is given."""

    name: str = Field("fbu-tiny", description="fbu-tiny or an open_clip model name")
    pretrained: str | None = Field(None, description="open_clip tag of published weights")
    checkpoint: str | None = Field(None, description="file name under FBU_DATA/weights (OpenAI CLIP, FaRL)")


class OptimSpec(_Frozen):
    """Optimiser and schedule: linear warm-up, then cosine decay."""

    optimizer: Literal["adamw", "sgd"] = "adamw"
    lr: float = Field(1e-3, gt=0, description="peak learning rate")
    min_lr: float = Field(0.0, ge=0, description="learning rate at the end of the cosine")
    weight_decay: float = Field(0.01, ge=0)
    momentum: float = Field(0.9, ge=0, lt=1, description="SGD only")
    batch_size: int = Field(
        64, ge=1, description="images per optimiser step, accumulated micro-batches included"
    )
    accumulation: int = Field(1, ge=1, description="micro-batches per optimiser step")
    images: int | None = Field(
        None, ge=0, description="training length in images seen, 0 to score the start; this or epochs"
    )
    epochs: float | None = Field(None, gt=0, description="training length in passes over the train split")
    warmup: float = Field(0.1, ge=0, lt=1, description="share of the steps spent warming up")
    schedule: Literal["cosine", "constant"] = "cosine"
    clip_grad: float | None = Field(1.0, gt=0, description="gradient norm limit; None for no limit")
    ema: float | None = Field(
        None, gt=0, lt=1, description="decay of the averaged weights used in evaluation"
    )
    precision: Literal["no", "bf16", "fp16"] = Field(
        "no", description="mixed precision, as accelerate names it"
    )

    @model_validator(mode="after")
    def _one_length(self) -> OptimSpec:
        if (self.images is None) == (self.epochs is None):
            raise ValueError("optim: give the training length once, as `images` or as `epochs`")
        if self.batch_size % self.accumulation:
            raise ValueError(
                f"optim: batch_size {self.batch_size} is not a multiple of accumulation {self.accumulation}"
            )
        return self

    def steps(self, n: int) -> int:
        """Optimiser steps for a train split of ``n`` samples."""
        images = self.images if self.images is not None else (self.epochs or 0) * n
        return max(1, round(images / self.batch_size)) if images else 0


class Recipe(_Frozen):
    """One training and evaluation.

    Attributes:
        task: ``"<module of fbu.models>.<task>"``, e.g. ``"clef.finetune"``: what is trained and how it is scored.
        data: the pictures.
        encoder: the dual encoder's architecture.
        start: recipe whose trained weights the encoder starts from; None for the encoder's own weights.
        reads: further recipes whose finished runs the task reads, by the role that the task names.
        options: settings of the task, validated by it; unknown names are refused.
        optim: optimiser, schedule and length.
        augment: augmentation of the training pictures.
        seed: of initialisation, order, augmentation and dropout.
        threads: CPU threads; part of the recipe because sums round differently with another number.
        select: weights that are scored: the last ones, or the best on the validation subjects.
        evaluations: how often the validation subjects are scored during training; 1: never, there is nothing to choose.
        traced: score the test subjects then, too, for curves and to measure what choosing by them would gain;
            nothing is ever chosen by them.
        assumed: names of settings that the paper does not state, listed on its page.
    """

    task: str
    data: DataSpec
    encoder: EncoderSpec = EncoderSpec()
    start: Recipe | None = None
    reads: dict[str, Recipe] = Field(default_factory=dict)
    options: dict[str, Any] = Field(default_factory=dict)
    optim: OptimSpec
    augment: Augment = Augment()
    seed: int = 0
    threads: int = Field(1, ge=1)
    select: Literal["last", "val"] = "last"
    evaluations: int = Field(1, ge=1)
    traced: bool = False
    assumed: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _valid_task(self) -> Recipe:
        task = task_type(self.task)
        task.options_type.model_validate(self.options)
        unknown = set(self.reads) - set(task.roles)
        if unknown:
            known = ", ".join(task.roles) or "no further runs"
            raise ValueError(f"{self.task} reads {known}, not {', '.join(sorted(unknown))}")
        if self.select == "val" and self.evaluations < 2:
            raise ValueError("select 'val' needs evaluations >= 2: there is nothing to choose from otherwise")
        if self.traced and self.evaluations < 2:
            raise ValueError("traced needs evaluations >= 2: there is no curve otherwise")
        return self

    def key(self) -> str:
        """Hash of the settings alone: 16 hexadecimal digits, equal on every machine and for every code version."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def code(self) -> str:
        """Fingerprint of the code that the recipe and the recipes it starts from reach."""
        own = _code(self.task, self.data.name)
        needed = "".join(recipe.code() for recipe in self.needs())
        return hashlib.sha256((own + needed).encode()).hexdigest()[:16] if needed else own

    def needs(self) -> list[Recipe]:
        """The recipes that must have been run before this one: those that it reads, and its start."""
        return [*self.reads.values(), *([] if self.start is None else [self.start])]

    def chain(self) -> Iterator[Recipe]:
        """The recipes that must be run, first to last, this one included."""
        for recipe in self.needs():
            yield from recipe.chain()
        yield self

    def __hash__(self) -> int:
        return int(self.key(), 16)


def task_type(name: str) -> Any:
    """Class of a task: ``"clef.finetune"`` is ``fbu.models.clef.TASKS["finetune"]``.

    Raises:
        ValueError: unknown module or task; the message lists the tasks of the module.
    """
    module, _, task = name.partition(".")
    try:
        tasks = importlib.import_module(f"fbu.models.{module}").TASKS
    except (ModuleNotFoundError, AttributeError):
        raise ValueError(f"task {name!r}: fbu.models has no module {module!r} with tasks") from None
    if task not in tasks:
        known = ", ".join(f"{module}.{t}" for t in sorted(tasks))
        raise ValueError(f"task {name!r} is unknown; fbu.models.{module} has {known}")
    return tasks[task]


@cache
def _code(task: str, dataset: str) -> str:
    """Fingerprint of the modules reached by a task and by what is found by a dataset's name at run time."""
    from fbu.fingerprints import code_fingerprint, reached, reached_by_name

    method = f"fbu.models.{task.partition('.')[0]}"
    modules = [*reached(method), *reached("fbu.training"), *reached_by_name(dataset)]
    return code_fingerprint(modules)[:16]
