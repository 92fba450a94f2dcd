"""DK-CLIP's runs on videos: the whole clip, each of its snippets, and the film of both."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fbu.data.decoding import UNREADABLE, fit
from fbu.data.media import reason
from fbu.data.media.videos import count_frames, frames_of, read_frames, spread
from fbu.data.snippets import snippet_frames
from fbu.errors import DataError
from fbu.labels import prompting
from fbu.predicting.pictures import placement, read_picture
from fbu.predicting.prediction import Prediction
from fbu.predicting.stored import labels_of, sources_of, unfitting
from fbu.runs import Run

#: Frames that are kept of a longer video, as in the caches of the data sets.
MOST_FRAMES = 64


def read(video: Path, run: Run) -> Prediction:
    """What a run of ``dk_clip.train`` says about the face in a video file, or in a folder with its frames.

    Frames are looked at as in testing, one from the middle of each part; each is cut as a single picture is. The
    picture of the prediction is the middle frame. ``details["snippets"]`` holds for each snippet its frames (of those
    kept), how much it is like the whole (a*), whether it counts as noise, and what it says by itself;
    ``timeline.png`` shows them in order.

    Raises:
        DataError: no video, a damaged one, or a run whose weights do not fit.
    """
    import torch

    from fbu import figures
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
    names = tuple(prompting.names(kind, labels))
    each = [
        {
            "frames": at[0, i].tolist(),
            "score": round(float(found.scores[0, i]), 6),
            "erased": not bool(found.kept[0, i]),
            "top": labels[int(p.argmax())],
            "probabilities": [round(float(value), 6) for value in p],
        }
        for i, p in enumerate(found.snippets[0].softmax(1))
    ]
    values = tuple(float(p) for p in found.whole[0].softmax(0))
    said = [f"{one['score']:.2f} {one['top']}{', erased' if one['erased'] else ''}" for one in each]
    line = f"{names[int(np.argmax(values))]}\n{100 * max(values):.0f} %"
    timeline = figures.film(clip.numpy(), [line], [said], np.array([[one["erased"] for one in each]]))
    return Prediction(
        run,
        kind,
        labels,
        names,
        values,
        frames[len(frames) // 2],
        sources_of(run, video, why),
        None,
        "no heat map: the model looks at many frames",
        details={"snippets": each},
        drawings={"timeline.png": timeline},
        remarks=(f"snippets, by how much each is like the whole: {'; '.join(said)}",),
    )


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


READERS = {"dk_clip.train": read}
