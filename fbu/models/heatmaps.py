"""Scoring of heatmaps (CLEF, Fig. 6): ``heatmaps.score`` trains nothing and asks a finished run where it looked.

Every label is asked twice on pictures that show it, by its name and by its description. On twins the answers are held
against the region that truly changed; everywhere, name and description are held against each other. The
numbers lie in a run's metrics as ``<measure>/<map>`` and ``<measure>/<map>/<label>``, in 0..1:

* measures ``pointing``, ``energy``, ``auc`` (:mod:`fbu.localisation`), means over pictures, then over labels;
* maps ``name`` and ``description`` (relevance, all layers), ``name-last`` and ``description-last`` (the last layer
  alone), ``absent`` (names of what the picture does not show: what a map owes to the question), ``rollout`` and
  ``attention`` (no question at all), ``random`` (a random value per patch), ``chance``;
* ``agreement/own`` and ``agreement/other``: correlation of a name's map with that of its own description, and of
  other descriptions, on one picture;
* ``words/<role>`` and ``words/<role>-chance``: share of the text's relevance on the label's own tokens, and the
  share of the tokens that these are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd
import torch
from pydantic import Field
from torch import Tensor

from fbu.attention import attention_maps
from fbu.data.dataset import Dataset
from fbu.data.regions import TwinRegions
from fbu.explain import relevance
from fbu.labels import prompting
from fbu.localisation import correlation, region
from fbu.models.clef import label_tokens
from fbu.models.encoders import tokenizer_for
from fbu.models.fine import explainable_encoder
from fbu.models.frozen import FrozenTask
from fbu.models.heatmap_scores import localised, means, on_label
from fbu.models.pictures import Pictures
from fbu.recipes import Recipe
from fbu.training import Options, Outcome, Task, draw
from fbu.words import slots, words

if TYPE_CHECKING:
    from open_clip.model import CLIP

LEAST_GRID = 8
ROLES = ("name", "description")


class Scoring(Options):
    """What is scored."""

    pictures: int = Field(40, ge=1, description="test pictures per label, at most")
    intensity: float = Field(2.0, gt=0, description="least intensity of the unit on a twin (0-5)")
    share: float = Field(0.8, gt=0, le=1, description="of the change: how much the true region holds")


@dataclass(frozen=True)
class Answers:
    """Answers of one picture to all C labels; maps are float32 ``[C, h, w]`` on the patch grid, by kind of map."""

    maps: dict[str, Tensor]
    tokens: dict[str, Tensor]  # by role, [C, L]


class ScoreTask(FrozenTask):
    """Heatmaps of a finished run on test pictures.

    Raises:
        ValueError: ``optim.images`` is not 0, or the grid of patches is coarser than 8 x 8.
    """

    options_type: ClassVar[type[Options]] = Scoring

    def __init__(self, recipe: Recipe, device: torch.device, start: Path | None) -> None:
        super().__init__(recipe, device, start)
        if min(self.encoder.visual.grid_size) < LEAST_GRID:
            raise ValueError(
                f"the patch grid is {self.encoder.visual.grid_size}: heatmaps need at least 8 x 8"
            )

    def make_encoder(self) -> CLIP:
        """The recipe's encoder, with patches fine enough for heatmaps."""
        return explainable_encoder(self.recipe.encoder, self.start)

    @cached_property
    def tokens(self) -> dict[str, Tensor]:
        """Token ids (C, L) by role, each with the fixed template."""
        found = label_tokens(self.recipe.encoder.name, self.tested.kind, self.tested.keys)
        return {role: found[role][0].to(self.device) for role in ROLES}

    @cached_property
    def slots(self) -> dict[str, list[tuple[int, int]]]:
        """By role, where in each text the label's own tokens stand."""
        tokenize, kind = tokenizer_for(self.recipe.encoder.name), self.tested.kind
        fillings = {"name": prompting.names, "description": prompting.describe}
        return {
            role: slots(
                tokenize,
                prompting.prompts("clef", role, fill(kind, self.tested.keys))[0],
                fill(kind, self.tested.keys),
            )
            for role, fill in fillings.items()
        }

    def scored(self, loaded: Dataset) -> Outcome:
        """Score the test pictures that show a label."""
        items = chosen(loaded, self.options)
        masks = self._masks(items)
        scored, examples = [], {}
        for row in np.unique(items["row"]):
            places = np.flatnonzero(items["row"] == row)
            answers, here = self.ask(int(row)), items.iloc[places]
            truth = None if masks is None else masks[torch.from_numpy(places)]
            scored += self._scores(answers, here, truth)
            for item in here[here["example"]].itertuples():
                examples[item.label] = self._example(answers, item)
        table = pd.DataFrame(scored)
        metrics = means(table)
        metrics["score"] = metrics["agreement/own"]
        extra = {
            "labels": list(self.tested.labels),
            "items": table.round(5).to_dict("list"),
            "examples": [examples[name] for name in self.tested.labels if name in examples],
        }
        return Outcome(metrics, extra=extra)

    def ask(self, row: int) -> Answers:
        """Answers of one test picture to every name and description."""
        picture = next(Pictures(self.tested.images[row : row + 1], self.device).batches(1))
        texts, count = torch.cat([self.tokens[role] for role in ROLES]), len(self.tested.keys)
        maps, tokens = relevance(self.encoder, picture, texts)
        last, _ = relevance(self.encoder, picture, texts, start_layer=-1)
        found = dict(zip(ROLES, maps.cpu().split(count), strict=True))
        found |= {f"{role}-last": m for role, m in zip(ROLES, last.cpu().split(count), strict=True)}
        for name, how in (("rollout", "rollout"), ("attention", "last")):
            found[name] = attention_maps(self.encoder, picture, how).cpu().expand(count, -1, -1)  # type: ignore[arg-type]
        found["random"] = torch.rand(found["name"].shape, generator=draw(self.recipe.seed, 3, row))
        return Answers(found, dict(zip(ROLES, tokens.cpu().split(count), strict=True)))

    def _masks(self, items: pd.DataFrame) -> Tensor | None:
        """True regions bool ``[items, S, S]``, empty where a face shows nothing; None for photographs."""
        if self.recipe.data.source != "twin":
            return None
        change = true_change(self.recipe, list(items["sample"]), list(items["label"]))
        return region(change, self.options.share)

    def _scores(self, answers: Answers, items: pd.DataFrame, masks: Tensor | None) -> list[dict[str, Any]]:
        """One row of numbers per label that the picture shows."""
        labels = items["index_of_label"].to_numpy()
        shown = (
            set(self.tested.targets[items["row"].iloc[0]].nonzero()[0]) if self.tested.kind == "au" else set()
        )
        out = []
        for k, label in enumerate(labels):
            row: dict[str, Any] = {c: items[c].iloc[k] for c in ("label", "sample", "subject")}
            others = [i for i in range(len(self.tested.keys)) if i != label]
            row |= self._agreement(answers, int(label), others)
            if masks is not None and bool(masks[k].any()):
                absent = [i for i in others if i not in shown] or others
                row |= localised(answers.maps, int(label), absent, masks[k])
            out.append(row)
        return out

    def _agreement(self, answers: Answers, label: int, others: Sequence[int]) -> dict[str, float]:
        asked = answers.maps["name"][label : label + 1]
        told = correlation(asked.expand(len(self.tested.keys), -1, -1), answers.maps["description"])
        found = {"agreement/own": float(told[label]), "agreement/other": float(told[others].mean())}
        for role in ROLES:
            own, chance = on_label(
                answers.tokens[role][label], self.tokens[role][label], self.slots[role][label]
            )
            found |= {f"words/{role}": own, f"words/{role}-chance": chance}
        return found

    def _example(self, answers: Answers, item: Any) -> dict[str, Any]:
        """One answered question (a row of :func:`chosen`) as plain numbers, for a figure."""
        at, found = item.index_of_label, {"label": item.label, "row": int(item.row), "sample": item.sample}
        for role in ROLES:
            found[f"{role}_map"] = answers.maps[role][at].tolist()
            found[f"{role}_words"] = words(self.tokens[role][at].cpu(), answers.tokens[role][at])
        return found


def true_change(recipe: Recipe, samples: Sequence[str], labels: Sequence[str]) -> Tensor:
    """What changed on a twin's faces, float32 ``[n, S, S]``: by one unit each, or by all units of an expression."""
    regions = TwinRegions(recipe.data)
    if all(label.startswith("AU") for label in labels):
        return regions.units(samples, [int(label[2:]) for label in labels])
    return regions.expressions(samples)


def chosen(tested: Dataset, options: Scoring) -> pd.DataFrame:
    """Pictures that are asked, evenly spread over those of a split that show a label.

    On a twin the true intensity counts (a unit's own; of an expression's units the strongest, and the face truly shows
    what is written, if it is not neutral); on photographs the label.

    Returns:
        Columns row, index_of_label, label, sample, subject, example (the picture that a
        figure shows: of a unit the strongest, else the first).
    """
    records, found = tested.records, []
    strong = records.filter(regex=r"^true_AU\d+_intensity$")
    for index, name in enumerate(tested.labels):
        at = tested.targets[:, index] == 1 if tested.kind == "au" else tested.targets == index
        height = np.zeros(len(records))
        if len(strong.columns):
            own = strong[f"true_{name}_intensity"] if tested.kind == "au" else strong.max(axis=1)
            height = own.to_numpy(float)
            if tested.kind == "expression":
                at = at & (records["true_expression"] == name).to_numpy(bool)
            if name != "neutral":
                at = at & (height >= options.intensity)
        rows = np.flatnonzero(at)
        if not len(rows):
            continue
        picked = rows[np.unique(np.linspace(0, len(rows) - 1, options.pictures).round().astype(int))]
        example = picked[np.argmax(height[picked])] if tested.kind == "au" else picked[0]
        for row in picked:
            who = records.loc[row, ["sample", "subject"]]
            found.append((int(row), index, name, *who, row == example))
    return pd.DataFrame(found, columns=["row", "index_of_label", "label", "sample", "subject", "example"])


TASKS: dict[str, type[Task]] = {"score": ScoreTask}
