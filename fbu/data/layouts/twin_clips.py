"""What the writers of clips share: folds, frame folders and videos of a drawn population, and its truth."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

import numpy as np
import pandas as pd

from fbu.data.layouts.clips import FOLDS
from fbu.data.layouts.files import World, save_jpeg, write_truth
from fbu.data.layouts.twin_frames import draw
from fbu.data.layouts.twin_places import Wrapped

if TYPE_CHECKING:
    import av

#: Frames per second of the videos.
RATE = 25
_CODECS = {".mp4": ("mpeg4", "yuv420p"), ".avi": ("mjpeg", "yuvj420p")}


class ClipWorld(World, Protocol):
    """What a twin of clips is written from; `fbu.data.worlds.clips.ClipWorld` is one."""

    def clips(self, rows: np.ndarray, image_size: int) -> Iterator[np.ndarray]:
        """Frames of some records in turn: uint8 ``[n, 3, S, S]``."""
        ...


@dataclass(frozen=True)
class Resampled(Wrapped):
    """A world whose clips all have the same number of frames, evenly spread, repeated where there are fewer."""

    world: ClipWorld
    frames: int

    @property
    def records(self) -> pd.DataFrame:
        """Truth in terms of the new frames."""
        old = self.world.records
        kept = [self._kept(int(n)) for n in old["frames"]]
        marks: dict[str, list] = {
            "frames": [self.frames] * len(old),
            # -1, for clips that show nothing, stays.
            **{
                name: [
                    int(np.abs(at - mark).argmin()) if mark >= 0 else -1
                    for at, mark in zip(kept, old[name], strict=True)
                ]
                for name in ("onset", "apex", "offset")
                if name in old
            },
            "noisy": [_moved(text, at) for text, at in zip(old["noisy"], kept, strict=True)],
        }
        return old.assign(**{name: pd.Series(values, old.index) for name, values in marks.items()})

    def clips(self, rows: np.ndarray, image_size: int) -> Iterator[np.ndarray]:
        """Frames of some records in turn."""
        for clip in self.world.clips(rows, image_size):
            yield clip[self._kept(len(clip))]

    def _kept(self, n: int) -> np.ndarray:
        return ((np.arange(self.frames) + 0.5) * n / self.frames).astype(np.int64)


def _moved(noisy: str, kept: np.ndarray) -> str:
    kinds = dict(item.split(":") for item in noisy.split())
    return " ".join(f"{new}:{kinds[str(old)]}" for new, old in enumerate(kept) if str(old) in kinds)


def fold_per_clip(samples: Sequence[str], labels: Sequence[str]) -> list[int]:
    """A fold for each clip of a twin; as in the real lists, folds differ by one clip at most in each class."""
    order = sorted(range(len(samples)), key=lambda i: (labels[i], draw(samples[i])))
    return [FOLDS[place % len(FOLDS)] for place in np.argsort(order)]


def fold_lists(samples: Sequence[str], labels: Sequence[str]) -> Iterator[tuple[int, str, list[int]]]:
    """Fold, part (``train`` or ``test``) and the clips of each list, as positions in samples."""
    own = np.array(fold_per_clip(samples, labels))
    for fold in FOLDS:
        yield fold, "train", np.flatnonzero(own != fold).tolist()
        yield fold, "test", np.flatnonzero(own == fold).tolist()


def annotated(records: pd.DataFrame) -> list[str]:
    """Classes as annotated: column label, or else expression."""
    return list(records["label"] if "label" in records else records["expression"])


def write_clips(
    world: ClipWorld,
    root: Path,
    paths: Sequence[str],
    image_size: int,
    save: Callable[[np.ndarray, Path], None],
) -> None:
    """Draw and save every clip of a world, and write down the truth.

    Args:
        world: what is drawn; records have sample, as reading gives it.
        root: the dataset's folder.
        paths: of the clips, relative to root.
        image_size: side of the frames in pixels.
        save: given frames, uint8 ``[n, 3, S, S]``, and the clip's path.
    """
    for parent in {(root / path).parent for path in paths}:
        parent.mkdir(parents=True, exist_ok=True)
    for path, frames in zip(paths, world.clips(np.arange(len(paths)), image_size), strict=True):
        save(np.ascontiguousarray(frames.transpose(0, 2, 3, 1)), root / path)
    write_truth(world, root, list(world.records["sample"]), paths)


def save_folder(name: str) -> Callable[[np.ndarray, Path], None]:
    """Saves a clip as a folder of pictures; ``name`` is formatted with ``n`` (from 1) and ``clip``."""

    def save(frames: np.ndarray, path: Path) -> None:
        from PIL import Image

        path.mkdir()
        for n, frame in enumerate(frames, start=1):
            file = path / name.format(n=n, clip=path.name)
            if file.suffix == ".jpg":
                save_jpeg(frame, file, path.name)
            else:
                Image.fromarray(frame).save(file)

    return save


def save_video(frames: np.ndarray, path: Path) -> None:
    """Save a clip as a video file, ``.mp4`` or ``.avi``; sides must be even."""
    import av

    codec, pixels = _CODECS[path.suffix]
    with av.open(str(path), "w") as container:
        stream = cast("av.VideoStream", container.add_stream(codec, rate=RATE))
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = pixels
        # One thread: the bytes must not depend on the machine.
        stream.codec_context.thread_count = 1
        stream.codec_context.qmin, stream.codec_context.qmax = 1, 3
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, "rgb24")))
        container.mux(stream.encode())
