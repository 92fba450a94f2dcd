"""How runs are read: a module of this package for each method, with a reader for each task that names labels."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

from fbu.data.decoding import fit
from fbu.errors import DataError
from fbu.labels import prompting
from fbu.predicting.pictures import placement, read_picture
from fbu.predicting.prediction import Kind, Prediction
from fbu.predicting.stored import labels_of, sources_of
from fbu.runs import Run

#: From a file and a run to what the run says about it.
Reader = Callable[[Path, Run], Prediction]
#: From a run, its kind and labels, and a picture uint8 [3, S, S] to probabilities (C,), relevance [h, w] or None, and
#: why there is none.
PictureReader = Callable[
    [Run, Kind, tuple[str, ...], np.ndarray], tuple[np.ndarray, "np.ndarray | None", str]
]


def predict(file: Path, run: Run) -> Prediction:
    """What a run says about the face in a picture; for a run on clips, in a video.

    The picture is cut as those without a box or landmarks are: the largest square around its middle. Nothing looks for
    a face, so it should fill the picture. The data that the run was trained on need not be there.

    Raises:
        DataError: no picture, a video, or a run that does not name expressions or action units.
    """
    return reader_of(run)(file, run)


def reader_of(run: Run) -> Reader:
    """The reader of a run's task, in the module of its method.

    Raises:
        DataError: the task names no labels.
    """
    task = run.recipe.task
    method = task.partition(".")[0]
    known = _readers(method) if method in _modules() else {}
    if task not in known:
        raise DataError(
            f"run {run.folder.name} is of {task}, which names no expressions or action units; "
            f"those of {', '.join(readers())} do"
        )
    return known[task]


def readers() -> dict[str, Reader]:
    """Readers of all methods, by task."""
    return {task: reader for name in _modules() for task, reader in _readers(name).items()}


def _modules() -> list[str]:
    return [module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)])]


def _readers(method: str) -> dict[str, Reader]:
    module = importlib.import_module(f"fbu.predicting.{method}")
    return dict(getattr(module, "READERS", {}))


def of_picture(read: PictureReader) -> Reader:
    """A reader of picture files, from one of pictures."""

    def reader(image: Path, run: Run) -> Prediction:
        opened = read_picture(image)
        preset, why = placement(run.recipe.data)
        try:
            picture = fit(opened, run.recipe.data.image_size, preset)
        except ValueError as error:
            raise DataError(f"{image}: {error}") from None
        kind, labels = labels_of(run)
        probabilities, heatmap, reason = read(run, kind, labels, picture)
        keys = [name.removeprefix("AU") for name in labels] if kind == "au" else labels
        names = tuple(prompting.names(kind, keys))
        values = tuple(map(float, probabilities))
        about = sources_of(run, image, why)
        return Prediction(run, kind, labels, names, values, picture, about, heatmap, reason)

    return reader
