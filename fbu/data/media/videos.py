"""Videos: single frames of a video file, and whole clips as frame folders or video files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from PIL import Image

from fbu.data.decoding import UNREADABLE
from fbu.data.media import file_sizes, head_of, reason

if TYPE_CHECKING:
    import av

PICTURE_ENDINGS = (".jpg", ".jpeg", ".png", ".bmp")
_NUMBERS = re.compile(r"\d+")


def spread(n: int, limit: int) -> np.ndarray:
    """Frames that are kept of n, int64 ``[min(n, limit)]``: the middles of equal parts.

    >>> spread(10, 4).tolist()
    [1, 3, 6, 8]
    """
    if n <= limit:
        return np.arange(n)
    return ((np.arange(limit) + 0.5) * n / limit).astype(np.int64)


def frames_of(folder: Path) -> list[Path]:
    """Picture files of a frame folder in the order of their numbers (1, 2, 10), whatever their padding."""
    found = [p for p in folder.iterdir() if p.suffix.lower() in PICTURE_ENDINGS and p.name[0] != "."]
    return sorted(found, key=lambda p: ([int(n) for n in _NUMBERS.findall(p.stem)], p.name))


def count_frames(file: Path) -> int:
    """Frames that a video file holds, from its packets: nothing is decoded, and no header is trusted.

    Raises:
        OSError: missing, or not a video.
    """
    with _opened(file) as container:
        return sum(1 for packet in container.demux(container.streams.video[0]) if packet.size)


def read_frames(file: Path, wanted: Sequence[int]) -> Iterator[Image.Image | str]:
    """Frames of a video file by their number from 0, in the order given, which must not fall.

    What comes after damage is reported as a text, once per frame that is asked for.

    Raises:
        OSError: missing, or not a video.
    """
    with _opened(file) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        decoded = _numbered(container, stream, wanted[0] if len(wanted) else 0)
        at, frame = -1, None
        for number in wanted:
            while at < number and (pair := next(decoded, None)) is not None:
                at, frame = pair
            if frame is None or at != number:
                yield f"frame {number} cannot be decoded"
            else:
                yield frame.to_image()


class VideoFrames:
    """Single frames of video files.

    Rows have path (of the video) and frame_at (its frame, from 0), and should come in that order: a block of rows of
    one video is decoded in one go.
    """

    name, clips, block = "video-frames", False, 256

    def sizes(self, root: Path, paths: Sequence[str]) -> list[int]:
        """Bytes of each row's video, -1 where there is none."""
        return file_sizes(root, paths)

    def content(self, root: Path, path: str) -> bytes:
        """First part of the video."""
        return head_of(root / path)

    def open(self, root: Path, rows: pd.DataFrame) -> Iterator[list[Image.Image | str]]:
        """One frame per row."""
        runs = (rows["path"] != rows["path"].shift()) | (rows["frame_at"].diff() < 0)
        for _, run in rows.groupby(runs.cumsum()):
            wanted = [int(n) for n in run["frame_at"]]
            done = 0
            try:
                for frame in read_frames(root / str(run["path"].iloc[0]), wanted):
                    done += 1
                    yield [frame]
            except UNREADABLE as error:
                for _ in wanted[done:]:
                    yield [reason(error)]


class Clips:
    """Whole clips: column path is a folder of frames or a video file.

    Args:
        limit: frames kept of a longer clip, evenly spread; sampling before caching bounds the cache's size.
    """

    clips, block = True, 8

    def __init__(self, limit: int = 64) -> None:
        self.limit = limit
        self.name = f"clips-{limit}"

    def sizes(self, root: Path, paths: Sequence[str]) -> list[int]:
        """Bytes of each clip's frames or file, -1 where there is none."""
        return [self._size(root / path) for path in paths]

    def content(self, root: Path, path: str) -> bytes:
        """The first frame of a folder, or the first part of a video."""
        clip = root / path
        if not clip.is_dir():
            return head_of(clip)
        frames = frames_of(clip)
        return frames[0].read_bytes() if frames else b""

    def open(self, root: Path, rows: pd.DataFrame) -> Iterator[list[Image.Image | str]]:
        """The kept frames of each row; a clip without any has one text that says so."""
        for path in rows["path"]:
            try:
                yield list(self._folder(root / path) if (root / path).is_dir() else self._video(root / path))
            except UNREADABLE as error:
                yield [reason(error)]

    def kept(self, clip: Path) -> int:
        """Frames that are kept of a clip; 0 if it cannot be read."""
        try:
            return min(self.limit, len(frames_of(clip)) if clip.is_dir() else count_frames(clip))
        except UNREADABLE:
            return 0

    def _folder(self, folder: Path) -> Iterator[Image.Image | str]:
        files = frames_of(folder)
        if not files:
            yield "no frames"
        for at in spread(len(files), self.limit):
            try:
                # A clip's frames are open together, and files that stay open run out: so each is read whole.
                with Image.open(files[at]) as image:
                    image.load()
                yield image
            except UNREADABLE as error:
                yield f"{files[at].name}: {reason(error)}"

    def _video(self, file: Path) -> Iterator[Image.Image | str]:
        n = count_frames(file)
        if not n:
            yield "no frames"
        yield from read_frames(file, spread(n, self.limit).tolist())

    def _size(self, clip: Path) -> int:
        try:
            if clip.is_dir():
                return sum(p.stat().st_size for p in frames_of(clip))
            return clip.stat().st_size
        except OSError:
            return -1


def _opened(file: Path) -> av.container.InputContainer:
    import av

    try:
        container = av.open(str(file))
    except av.FFmpegError as error:
        if not file.is_file():
            raise FileNotFoundError(str(file)) from None
        raise OSError(f"not a video: {error}") from None
    if not container.streams.video:
        container.close()
        raise OSError("no video in the file")
    return container


def _numbered(
    container: av.container.InputContainer, stream: av.VideoStream, first: int
) -> Iterator[tuple[int, av.VideoFrame]]:
    """Frames with their numbers, from the last key frame at or before `first` on, until the end or damage."""
    import av

    # Ticks of the clock per frame; files without one cannot be sought in, and are counted from the start.
    rate, base, start = stream.average_rate, stream.time_base, stream.start_time or 0
    ticks = 1 / (rate * base) if rate and base else None
    if first and ticks:
        container.seek(start + int(first * ticks), stream=stream, backward=True)
    try:
        for count, frame in enumerate(container.decode(stream)):
            yield round((frame.pts - start) / ticks) if ticks and frame.pts is not None else count, frame
    except av.FFmpegError:
        return
