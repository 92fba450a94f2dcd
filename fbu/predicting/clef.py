"""CLEF's runs on single pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fbu.predicting.prediction import Kind
from fbu.predicting.reading import of_picture
from fbu.predicting.stored import unfitting
from fbu.runs import Run

if TYPE_CHECKING:
    from torch import Tensor

    from fbu.models.clef import CLEF


def read(
    run: Run, kind: Kind, labels: tuple[str, ...], picture: np.ndarray
) -> tuple[np.ndarray, np.ndarray | None, str]:
    """Probabilities (C,), relevance [h, w] or None, and why there is none."""
    import torch

    from fbu.models.pictures import Pictures

    model = _clef_model(run, kind, labels)
    image = next(iter(Pictures(picture[None], torch.device("cpu")).batches(1)))
    with torch.no_grad():
        logits = model.logits(image)[0]
    probabilities = (logits.softmax(0) if kind == "expression" else logits.sigmoid()).numpy()
    heatmap, reason = _clef_relevance(model, image, int(probabilities.argmax()))
    return probabilities, heatmap, reason


def _clef_model(run: Run, kind: Kind, labels: tuple[str, ...]) -> CLEF:
    from fbu.models.clef import CLEF, Finetuning, label_tokens
    from fbu.models.encoders import load_dual_encoder

    name = run.recipe.encoder.name
    options = Finetuning.model_validate(run.recipe.options)
    keys = labels if kind == "expression" else tuple(int(label.removeprefix("AU")) for label in labels)
    # All weights come from the run, so published ones are not looked for.
    model = CLEF(
        load_dual_encoder(name),
        label_tokens(name, kind, keys),
        options.use,
        options.text_encoder,
    )
    try:
        model.load_state_dict(run.weights())
    except (RuntimeError, OSError) as error:
        raise unfitting(run, error) from None
    return model.eval()


def _clef_relevance(model: CLEF, image: Tensor, top: int) -> tuple[np.ndarray | None, str]:
    from fbu.explain import relevance

    if model.head is not None:
        return None, "no heat map: this run ends in a linear head and compares with no text"
    tokens = model.description_tokens if model.use == "ID" else model.name_tokens
    try:
        maps, _ = relevance(model.encoder, image, tokens[0][top][None])
    except ValueError as error:  # another kind of image tower
        return None, f"no heat map: {error}"
    return maps[0].numpy(), ""


READERS = {"clef.finetune": of_picture(read)}
