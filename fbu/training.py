"""One training loop for all methods: order, schedule, accumulation, averaging, checkpoints, resume.

Nothing random is carried from step to step. The order of the pictures follows from (seed, epoch), and everything
else that is drawn in a step from (seed, step). A run that was killed therefore ends, after it is resumed, with the
same weights as one that was not, bit for bit on a CPU.
"""

from __future__ import annotations

import json
import math
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

import pandas as pd
import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from fbu.recipes import OptimSpec, Recipe


class Options(BaseModel):
    """Base of a task's own settings: frozen, and unknown names are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass
class Outcome:
    """What an evaluation hands back: numbers by name, and the prediction frame (one row per sample) if there is one."""

    metrics: dict[str, float]
    predictions: pd.DataFrame | None = None
    extra: dict[str, Any] = field(default_factory=dict)


class Task(ABC):
    """What a method gives to the loop: its model, its loss on some rows, its evaluation.

    Args:
        recipe: the recipe being run.
        device: where the model and the pictures go.
        start: folder of the run whose weights the encoder starts from, or None.
        reads: folders of the further runs that the recipe names, by role.

    Attributes:
        roles: the further runs that tasks of this class read.
        phases: terms of the loss that a step minimises one after the other, each by an update of its own.
    """

    options_type: ClassVar[type[Options]] = Options
    roles: ClassVar[tuple[str, ...]] = ()
    phases: tuple[str, ...] = ("loss",)

    def __init__(
        self,
        recipe: Recipe,
        device: torch.device,
        start: Path | None,
        reads: Mapping[str, Path] = MappingProxyType({}),
    ) -> None:
        self.recipe, self.device, self.start, self.reads = recipe, device, start, reads
        self.options: Any = self.options_type.model_validate(recipe.options)

    model: nn.Module

    @abstractmethod
    def __len__(self) -> int:
        """Number of training samples."""

    @abstractmethod
    def loss(self, rows: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """Named terms for the training rows (n,); ``"loss"`` is the scalar that is minimised."""

    def sampling_weights(self) -> Tensor | None:
        """How often each training sample (n,) comes up, relatively; None: all equally often, once an epoch."""
        return None

    def rate_factors(self) -> Sequence[tuple[nn.Module, float]]:
        """Parts of the model that learn at a multiple of the recipe's rate, with the multiple; none by default."""
        return ()

    @abstractmethod
    def evaluate(self, split: str) -> Outcome:
        """Score the current weights on ``"val"`` or ``"test"``; the number to select on is ``"score"``."""


def draw(seed: int, *counters: int) -> torch.Generator:
    """A CPU generator that depends on the counters only, so that any step can be repeated alone."""
    mixed = seed & 0xFFFFFFFF
    for counter in counters:
        mixed = (mixed * 6364136223846793005 + counter * 1442695040888963407 + 1) & 0x7FFFFFFFFFFFFFFF
        mixed ^= mixed >> 29
    return torch.Generator().manual_seed(mixed)


def batch_rows(n: int, batch_size: int, step: int, seed: int, weights: Tensor | None = None) -> Tensor:
    """Rows (batch_size,) of one step: epochs are permutations, cut into whole batches.

    A split smaller than a batch is repeated, so every batch is full.

    Args:
        n: samples.
        batch_size: rows of a step.
        step: which.
        seed: of the order.
        weights: (n,) how often each sample comes up, relatively; an epoch is then n draws with replacement.
    """
    per_epoch = max(1, n // batch_size)
    epoch, position = divmod(step, per_epoch)
    repeats = max(1, -(-batch_size // n))
    if weights is not None:
        drawn = draw(seed, 1, epoch)
        order = torch.multinomial(weights.double(), n * repeats, replacement=True, generator=drawn)
    else:
        order = torch.cat([torch.randperm(n, generator=draw(seed, 1, epoch)) for _ in range(repeats)])
    return order[position * batch_size : (position + 1) * batch_size]


def learning_rate(optim: OptimSpec, step: int, steps: int) -> float:
    """Rate of a step: linear from near zero over the warm-up share, then cosine to ``min_lr`` or constant."""
    warm = round(optim.warmup * steps)
    if step < warm:
        return optim.lr * (step + 1) / (warm + 1)
    if optim.schedule == "constant":
        return optim.lr
    progress = (step - warm) / max(1, steps - warm)
    return optim.min_lr + (optim.lr - optim.min_lr) * 0.5 * (1 + math.cos(math.pi * progress))


def make_optimizer(
    model: nn.Module, optim: OptimSpec, factors: Sequence[tuple[nn.Module, float]] = ()
) -> torch.optim.Optimizer:
    """Optimiser over the trainable parameters; vectors and scalars (biases, norms, temperature) do not decay.

    Args:
        model: what is trained.
        optim: optimiser and its settings.
        factors: parts of the model that learn at a multiple of the rate; each group keeps its own as ``"factor"``.
    """
    params = [p for p in model.parameters() if p.requires_grad]
    if not params:
        raise ValueError("nothing to train: every parameter of the model is frozen")
    faster = {id(p): factor for part, factor in factors for p in part.parameters()}
    groups = []
    for factor in dict.fromkeys([1.0, *faster.values()]):
        own = [p for p in params if faster.get(id(p), 1.0) == factor]
        groups += [
            {"params": [p for p in own if p.ndim > 1], "weight_decay": optim.weight_decay, "factor": factor},
            {"params": [p for p in own if p.ndim <= 1], "weight_decay": 0.0, "factor": factor},
        ]
    if optim.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=optim.lr, momentum=optim.momentum)
    return torch.optim.AdamW(groups, lr=optim.lr, fused=True)  # one pass: a tenth of a small model's step


def save_atomic(value: Any, path: Path) -> None:
    """``torch.save`` to a temporary name, then rename: a kill leaves the old file or the new one."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        torch.save(value, temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@dataclass
class Trained:
    """Result of :func:`train`: final and validated numbers, cost."""

    metrics: dict[str, dict[str, float]]
    predictions: pd.DataFrame | None
    extra: dict[str, Any]
    seconds: float
    images: int
    state: dict[str, Tensor]


def train(
    task: Task,
    folder: Path,
    *,
    report: Callable[[int, int, dict[str, float]], None] | None = None,
    checkpoint_every: float = 30.0,
    stop_after: int | None = None,
) -> Trained:
    """Train and score a task, resuming from ``folder/checkpoint.pt`` when it is there.

    Args:
        task: model, loss and evaluation.
        folder: where the checkpoint and the log are kept.
        report: called as ``report(step, steps, terms)`` about once a second.
        checkpoint_every: seconds between checkpoints.
        stop_after: stop (raise ``InterruptedError``) once so many steps are done; for tests of resuming.
    """
    loop = _Loop(task, folder)
    loop.resume()
    began = saved = told = time.monotonic()
    while loop.step < loop.steps:
        terms = loop.advance()
        now = time.monotonic()
        if now - told > 1 or loop.step == loop.steps:
            told = now
            loop.log(terms)
            if report is not None:
                report(loop.step, loop.steps, terms)
        loop.maybe_validate()
        if now - saved > checkpoint_every:
            loop.seconds += now - began
            began = saved = now
            loop.save()
        if stop_after is not None and loop.step >= stop_after:
            raise InterruptedError(f"stopped after {loop.step} steps as asked")
    loop.seconds += time.monotonic() - began
    return loop.finish()


class _Loop:
    """State of one training."""

    def __init__(self, task: Task, folder: Path) -> None:
        from accelerate import Accelerator

        self.task, self.recipe, self.folder = task, task.recipe, folder
        optim = self.recipe.optim
        self.steps = optim.steps(len(task))
        self.accelerator = Accelerator(
            cpu=task.device.type == "cpu",
            mixed_precision=optim.precision,
            gradient_accumulation_steps=1,  # micro-batches are ours: the whole step's rows are known at once
        )
        self.optimizer = make_optimizer(task.model, optim, task.rate_factors())
        self.average: nn.Module | None = None
        if optim.ema is not None:
            average = torch.optim.swa_utils.get_ema_multi_avg_fn(optim.ema)
            self.average = torch.optim.swa_utils.AveragedModel(
                task.model, multi_avg_fn=average, use_buffers=True
            )
        self.weights = task.sampling_weights()
        self.step, self.seconds = 0, 0.0
        self.best: dict[str, Any] = {"score": -math.inf, "step": -1, "state": None}
        self.history: list[dict[str, Any]] = []
        count = self.recipe.evaluations
        self.validation_steps = (
            {round(self.steps * (i + 1) / count) for i in range(count)} if count > 1 else set()
        )

    def advance(self) -> dict[str, float]:
        """One step: one update, or one for each phase of the task."""
        optim = self.recipe.optim
        rate = learning_rate(optim, self.step, self.steps)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["factor"]
        rows = batch_rows(len(self.task), optim.batch_size, self.step, self.recipe.seed, self.weights)
        for phase in self.task.phases:
            totals = self._update(rows, phase)
        self.step += 1
        return totals

    def _update(self, rows: Tensor, phase: str) -> dict[str, float]:
        """Minimise one term of the loss on some rows; all phases of a step see the same augmented pictures."""
        optim, seed = self.recipe.optim, self.recipe.seed
        generator = draw(seed, 2, self.step)
        torch.manual_seed(int(torch.randint(2**31, (1,), generator=generator)))  # dropout and the like
        self.task.model.train()
        self.optimizer.zero_grad(set_to_none=True)
        totals: dict[str, float] = {}
        for part in rows.chunk(optim.accumulation):
            with self.accelerator.autocast():
                terms = self.task.loss(part, generator)
            if not torch.isfinite(terms["loss"]):
                raise FloatingPointError(
                    f"loss is not finite at step {self.step} of recipe {self.recipe.key()}"
                )
            self.accelerator.backward(terms[phase] / optim.accumulation)
            for name, value in terms.items():
                totals[name] = totals.get(name, 0.0) + float(value.detach()) / optim.accumulation
        if optim.clip_grad is not None:
            nn.utils.clip_grad_norm_(self.task.model.parameters(), optim.clip_grad)
        self.optimizer.step()
        if self.average is not None:
            self.average.update_parameters(self.task.model)  # type: ignore[operator]
        return totals

    def log(self, terms: dict[str, float]) -> None:
        line = {"step": self.step, "steps": self.steps, "lr": self.optimizer.param_groups[0]["lr"], **terms}
        with (self.folder / "log.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")

    def maybe_validate(self) -> None:
        if self.step not in self.validation_steps:
            return
        outcome = self._scored("val")
        scored: dict[str, Any] = {"step": self.step, "val": _plain(outcome.metrics)}
        if self.recipe.traced:
            scored["test"] = _plain(self._scored("test").metrics)
        self.history.append(scored)
        with (self.folder / "log.jsonl").open("a") as file:
            file.write(json.dumps(scored) + "\n")
        if outcome.metrics["score"] > self.best["score"]:
            state = {k: v.detach().cpu().clone() for k, v in self._weights().items()}
            self.best = {"score": outcome.metrics["score"], "step": self.step, "state": state}

    def save(self) -> None:
        state = {
            "model": self.task.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average.state_dict() if self.average is not None else None,
            "step": self.step,
            "seconds": self.seconds,
            "best": self.best,
            "history": self.history,
        }
        save_atomic(state, self.folder / "checkpoint.pt")

    def resume(self) -> None:
        path = self.folder / "checkpoint.pt"
        if not path.exists():
            return
        state = torch.load(path, map_location=self.task.device, weights_only=True)
        self.task.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self.step, self.seconds, self.best = state["step"], state["seconds"], state["best"]
        self.history = state["history"]

    def _weights(self) -> dict[str, Tensor]:
        if self.average is not None:
            return dict(self.average.module.state_dict())  # type: ignore[union-attr]
        return dict(self.task.model.state_dict())

    def _scored(self, split: str, state: dict[str, Tensor] | None = None) -> Outcome:
        """Evaluate with the given (default: averaged or current) weights, then put the trained ones back."""
        kept = None
        if state is not None or self.average is not None:
            kept = {k: v.detach().clone() for k, v in self.task.model.state_dict().items()}
            self.task.model.load_state_dict(state if state is not None else self._weights())
        self.task.model.eval()
        with torch.no_grad():
            outcome = self.task.evaluate(split)
        if kept is not None:
            self.task.model.load_state_dict(kept)
        return outcome

    def finish(self) -> Trained:
        metrics = {"val": self.history[-1]["val"]} if self.history else {}
        outcome = self._scored("test")
        metrics["last"] = outcome.metrics
        state = self._weights()
        if self.recipe.select == "val":
            outcome = self._scored("test", self.best["state"])
            state = self.best["state"]
            metrics["selected"] = {"step": float(self.best["step"]), "val_score": float(self.best["score"])}
        metrics["test"] = outcome.metrics
        state = {k: v.detach().cpu().contiguous().clone() for k, v in state.items()}
        images = self.steps * self.recipe.optim.batch_size
        extra = {**outcome.extra, "history": self.history} if self.history else outcome.extra
        return Trained(metrics, outcome.predictions, extra, self.seconds, images, state)


def _plain(metrics: dict[str, float]) -> dict[str, float]:
    return {name: float(value) for name, value in metrics.items()}  # numpy's floats cannot be in a checkpoint
