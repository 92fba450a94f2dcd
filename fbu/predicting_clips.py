"""One video through a finished run on clips: what the model says about the face, and about each snippet."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fbu.data.decoding import UNREADABLE, fit
from fbu.data.media import reason
from fbu.data.media.videos import count_frames, frames_of, read_frames, spread
from fbu.data.snippets import snippet_frames
from fbu.errors import DataError
from fbu.labels import prompting
from fbu.predicting import Prediction, code_of, labels_of, placement, read_picture, unfitting
from fbu.provenance import sources
from fbu.runs import Run

#: Frames that are kept of a longer video, as in the caches of the data sets.
MOST_FRAMES = 64


def predict_clip(video: Path, run: Run) -> Prediction:
    """What a run of ``dk_clip.train`` says about the face in a video file, or in a folder with its frames.

    Frames are looked at as in testing, one from the middle of each part; each is cut as a single picture is. The
    picture of the prediction is the middle frame, ``sources["snippets"]`` says how much each snippet was like the whole
    and which counted as noise.

    Raises:
        DataError: no video, a damaged one, or a run whose weights do not fit.
    """
    import torch

    from fbu.data.transforms import Augment
    from fbu.models.clips import augment_clips
    from fbu.models.dk_clip import trained_model

    kind, labels = labels_of(run)
    try:
        model = trained_model(run.recipe, run.weights(), labels)
    except (RuntimeError, OSError, KeyError) as error:
        raise unfitting(run, error) from None
    preset, why = placement(run.recipe.data)
    frames = read_clip(video, run.recipe.data.image_size, preset)
    settings = model.settings
    at = snippet_frames(np.array([len(frames)]), settings.frames, settings.snippets)
    clip = torch.from_numpy(frames)[at]
    with torch.no_grad():
        found = model(augment_clips(clip, Augment.none(), torch.Generator()))
    values = tuple(float(p) for p in found.whole[0].softmax(0))
    parts = [
        f"{float(a):.2f}{'' if kept else ' (noise)'}"
        for a, kept in zip(found.scores[0], found.kept[0], strict=True)
    ]
    about = {
        "picture": str(video),
        "placement": why,
        "snippets": ", ".join(parts),
        "run": str(run.folder),
        "data": f"{run.recipe.data.name} ({sources(run.recipe)})",
        "code": code_of(run),
    }
    names = tuple(prompting.names(kind, labels))
    why_not = "no heat map: the model looks at many frames"
    return Prediction(run, kind, labels, names, values, frames[len(frames) // 2], about, None, why_not)


def read_clip(video: Path, side: int, preset: str) -> np.ndarray:
    """Frames of a video file or of a folder of pictures, at most 64, evenly spread: uint8 ``[n, 3, side, side]``.

    Raises:
        DataError: neither, none that can be read, or a frame that cannot be placed.
    """
    if not video.exists():
        raise DataError(f"{video}: no such video")
    try:
        if video.is_dir():
            files = frames_of(video)
            opened = [read_picture(files[i]) for i in spread(len(files), MOST_FRAMES)]
        else:
            wanted = spread(count_frames(video), MOST_FRAMES).tolist()
            read = list(read_frames(video, wanted))
            opened = [frame for frame in read if not isinstance(frame, str)]
    except UNREADABLE as error:
        raise DataError(f"{video} is no video that can be read ({reason(error)})") from None
    if not opened:
        raise DataError(f"{video} holds no frames that can be read")
    try:
        return np.stack([fit(frame, side, preset) for frame in opened])
    except ValueError as error:
        raise DataError(f"{video}: {error}") from None


__all__ = ["MOST_FRAMES", "predict_clip", "read_clip"]
