from pathlib import Path

import av
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fbu.data import cache
from fbu.data.media.videos import Clips, VideoFrames, count_frames, frames_of, read_frames, spread
from fbu.errors import DataError

SIDE = 32


def grey(level: int) -> np.ndarray:
    return np.full((SIDE, SIDE, 3), level, np.uint8)


def write_video(path: Path, levels: list[int], codec: str = "mpeg4", rate: int = 25) -> None:
    """A video whose frame i is grey level i; key frames are rare, so that seeking has to decode on."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.width = stream.height = SIDE
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.codec_context.gop_size = 12
        stream.codec_context.qmin, stream.codec_context.qmax = 1, 2
        for level in levels:
            for packet in stream.encode(av.VideoFrame.from_ndarray(grey(level), "rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)


def levels_of(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1).mean(1)


LEVELS = [10 + 6 * i for i in range(40)]


@pytest.mark.parametrize(("name", "codec"), [("v.mp4", "mpeg4"), ("v.avi", "mpeg4"), ("v.avi", "mjpeg")])
@pytest.mark.parametrize("wanted", [[0], list(range(40)), [5, 6, 30], [39], [7, 7, 8], [13, 25, 26]])
def test_frames_by_number(tmp_path: Path, name: str, codec: str, wanted: list[int]) -> None:
    write_video(tmp_path / name, LEVELS, codec)
    assert count_frames(tmp_path / name) == 40
    found = list(read_frames(tmp_path / name, wanted))
    seen = [np.asarray(f).mean() for f in found if isinstance(f, Image.Image)]
    assert len(seen) == len(wanted)
    np.testing.assert_allclose(seen, [LEVELS[i] for i in wanted], atol=2.9)


def test_frames_past_the_end_are_said(tmp_path: Path) -> None:
    write_video(tmp_path / "v.avi", LEVELS[:6])
    found = list(read_frames(tmp_path / "v.avi", [4, 5, 6, 7]))
    assert [isinstance(f, Image.Image) for f in found] == [True, True, False, False]
    assert found[2:] == ["frame 6 cannot be decoded", "frame 7 cannot be decoded"]


def test_video_frames_in_the_cache(tmp_path: Path) -> None:
    write_video(tmp_path / "a.avi", LEVELS)
    write_video(tmp_path / "b.avi", LEVELS[::-1])
    table = pd.DataFrame(
        {
            "sample": [f"s{i}" for i in range(6)],
            "path": ["a.avi"] * 3 + ["b.avi"] * 3,
            "frame_at": [0, 20, 39, 1, 2, 30],
        }
    )
    found = cache.decoded(tmp_path, table, cache.How(8, media=VideoFrames()))
    expected = [LEVELS[0], LEVELS[20], LEVELS[39], LEVELS[-2], LEVELS[-3], LEVELS[-31]]
    np.testing.assert_allclose(levels_of(found.images), expected, atol=2.9)
    (tmp_path / "b.avi").unlink()
    with pytest.raises(DataError, match=r"3 of 6 pictures cannot be read: b.avi: s3 \(missing\)"):
        cache.decoded(tmp_path, table, cache.How(8, media=VideoFrames()))


def folder_clip(root: Path, name: str, levels: list[int], pattern: str = "{}.png") -> None:
    (root / name).mkdir(parents=True)
    for i, level in enumerate(levels, start=1):
        Image.fromarray(grey(level)).save(root / name / pattern.format(i))


@pytest.mark.parametrize("pattern", ["{}.png", "{:05d}.png", "00001_{}.png", "{}_1.png"])
def test_frames_go_by_number(tmp_path: Path, pattern: str) -> None:
    folder_clip(tmp_path, "c", [*range(0, 120, 10)], pattern)
    (tmp_path / "c" / ".hidden.png").write_bytes(b"")
    (tmp_path / "c" / "Thumbs.db").write_bytes(b"")
    names = [p.name for p in frames_of(tmp_path / "c")]
    assert names == [pattern.format(i) for i in range(1, 13)]


def test_clips_keep_evenly_spread_frames(tmp_path: Path) -> None:
    folder_clip(tmp_path, "short", [50])
    folder_clip(tmp_path, "long", LEVELS)
    write_video(tmp_path / "video.mp4", LEVELS)
    table = pd.DataFrame({"sample": list("abc"), "path": ["short", "long", "video.mp4"]})
    found = cache.decoded(tmp_path, table, cache.How(8, media=Clips(8)))
    assert found.counts.tolist() == [1, 8, 8]
    kept = [LEVELS[i] for i in spread(40, 8)]
    np.testing.assert_allclose(levels_of(found.images), [50, *kept, *kept], atol=2.9)


def test_spread_is_the_middle_of_equal_parts() -> None:
    for n in range(1, 50):
        for limit in range(1, 20):
            at = spread(n, limit)
            assert len(at) == min(n, limit) and (np.diff(at) > 0).all() and at[0] >= 0 and at[-1] < n
            if n > limit:
                assert all(a <= (i + 0.5) * n / limit < a + 1 for i, a in enumerate(at))


def test_a_corrupt_tail_is_an_error_or_cut(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    with av.open(str(tmp_path / "v.avi"), "w") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.width = stream.height = SIDE
        stream.pix_fmt = "yuvj420p"
        for _ in range(20):
            noise = rng.integers(0, 255, (SIDE, SIDE, 3), dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(noise, "rgb24")))
    whole = (tmp_path / "v.avi").read_bytes()
    (tmp_path / "v.avi").write_bytes(whole[: len(whole) // 2])
    folder_clip(tmp_path, "c", [10, 20, 30])
    (tmp_path / "c" / "3.png").write_bytes(b"")
    table = pd.DataFrame({"sample": ["v", "c"], "path": ["v.avi", "c"]})
    with pytest.raises(DataError, match=r"c \(3.png: UnidentifiedImageError\)"):
        cache.decoded(tmp_path, table.iloc[1:], cache.How(8, media=Clips()))
    found = cache.decoded(tmp_path, table, cache.How(8, media=Clips()), skip_unreadable=True)
    assert found.counts[1] == 2 and 5 <= found.counts[0] < 20
    assert "c" in found.cut and found.unreadable == []


def test_nothing_to_see(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "bytes.mp4").write_bytes(b"no video")
    (tmp_path / "zero.mp4").write_bytes(b"")
    table = pd.DataFrame({"sample": list("abcd"), "path": ["empty", "bytes.mp4", "zero.mp4", "gone.mp4"]})
    found = [frames[0] for frames in Clips().open(tmp_path, table)]
    assert found[0] == "no frames" and found[3] == "missing"
    assert all(isinstance(f, str) for f in found)
    with pytest.raises(DataError, match="4 of 4 pictures cannot be read"):
        cache.decoded(tmp_path, table, cache.How(8, media=Clips()), skip_unreadable=True)
