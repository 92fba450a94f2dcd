"""KE-FER's runs on single pictures."""

from __future__ import annotations

import numpy as np

from fbu.predicting.prediction import Kind
from fbu.predicting.reading import of_picture
from fbu.predicting.stored import unfitting
from fbu.runs import Run


def read(
    run: Run, kind: Kind, labels: tuple[str, ...], picture: np.ndarray
) -> tuple[np.ndarray, np.ndarray | None, str]:
    """Probabilities (C,); the method looks at no single text with its picture encoder, so there is no heat map."""
    import torch

    from fbu.models.ke_fer import Training, trained_model
    from fbu.models.pictures import Pictures

    try:
        model = trained_model(run.recipe, run.weights()).eval()
    except (RuntimeError, OSError, KeyError) as error:
        raise unfitting(run, error) from None
    seen = Pictures(picture[None], torch.device("cpu"), model.encoder.mean, model.encoder.std)
    settings = Training.model_validate(run.recipe.options)
    with torch.no_grad():
        logits = model.logits(model.vectors(next(iter(seen.batches(1)))), settings.temperature)[0]
    return logits.softmax(0).numpy(), None, "no heat map: relevance is defined for CLIP's two towers"


READERS = {"ke_fer.train": of_picture(read)}
