"""Writes a drawn population as DISFA lies on disk."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
import pandas as pd

from fbu.data.layouts.files import World, write_lines, write_twin_pictures
from fbu.data.layouts.twin_frames import draw, whole_steps
from fbu.data.layouts.twin_places import Placed
from fbu.data.manifest import load_manifest

if TYPE_CHECKING:
    import av

LABELS = "ActionUnit_Labels"
#: As the owner's files are called; the two sides are spelled differently.
VIDEOS = {
    "left": "Videos_LeftCamera/LeftVideo{}_comp.avi",
    "right": "Video_RightCamera/RightVideo{}_Comp.avi",
}
_RATE = 20


def write(world: World, root: Path, *, image_size: int) -> None:
    """Write a video per view and subject, and twelve label files per subject.

    As in the real set, the videos of some subjects (about one in nine) end a frame before the labels do.

    Args:
        world: records with subject, view (``left`` or ``right``), frame (1, 2, ... in each video, in this order) and
            ``AU<n>_intensity``; the views of a subject show the same moments.
        root: the dataset's folder.
        image_size: side of the pictures in pixels.

    Raises:
        ValueError: frames of a video that do not count 1, 2, ...
    """
    records = world.records.reset_index(drop=True)
    counted = records.groupby(["view", "subject"]).cumcount() + 1
    if not (counted == records["frame"]).all():
        raise ValueError("frames of each view and subject must count 1, 2, ...")
    for subject, part in records.groupby("subject", sort=True):
        moments = part.drop_duplicates("frame")
        _write_labels(root / LABELS / str(subject), str(subject), moments)
    samples = [f"{s}/{n:04d}" for s, n in zip(records["subject"], records["frame"], strict=True)]
    paths = [VIDEOS[view].format(s) for view, s in zip(records["view"], records["subject"], strict=True)]
    placed = Placed(world, records.assign(frame_at=records["frame"] - 1))
    with _Videos() as save:
        write_twin_pictures(placed, root, samples, paths, image_size, save=save)


def _write_labels(folder: Path, subject: str, part: pd.DataFrame) -> None:
    frames = part["frame"].tolist()
    for unit in load_manifest("disfa").intensity_aus:
        steps = whole_steps(part[f"AU{unit}_intensity"]).tolist()
        text = [f"{frame},{step}" for frame, step in zip(frames, steps, strict=True)]
        if draw(subject) % 9 == 0:
            text.append(f"{frames[-1] + 1},{steps[-1]}")
        write_lines(folder / f"{subject}_au{unit}.txt", text)


class _Videos:
    """Appends pictures to videos, each frame on its own and nearly without loss (Motion JPEG)."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._open: dict[Path, tuple[av.container.OutputContainer, av.VideoStream]] = {}

    def __enter__(self) -> Self:
        self._stack.__enter__()
        return self

    def __call__(self, picture: np.ndarray, path: Path, sample: str) -> None:
        """Append a uint8 ``[S, S, 3]`` picture to the video at path."""
        import av

        if path not in self._open:
            self._open[path] = self._start(path, picture.shape[1], picture.shape[0])
        container, stream = self._open[path]
        container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is None:
            for container, stream in self._open.values():
                container.mux(stream.encode())
        self._stack.close()

    def _start(
        self, path: Path, width: int, height: int
    ) -> tuple[av.container.OutputContainer, av.VideoStream]:
        import av

        container = self._stack.enter_context(av.open(str(path), "w"))
        stream = container.add_stream("mjpeg", rate=_RATE)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuvj444p"
        stream.codec_context.qmin = stream.codec_context.qmax = 1
        return container, stream
