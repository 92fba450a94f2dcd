"""Pictures and clips a second through decoding and caching, reading back, and the memory that it takes.

Run with ``python benchmarks/bench_cache.py``. Each speed is also given as a ratio to a plain Pillow or PyAV loop that
ends with the same arrays, measured in the same run.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent))

import baselines  # noqa: E402
from bench_pictures import per_second  # noqa: E402

from fbu.config import home  # noqa: E402
from fbu.data import cache, faces  # noqa: E402
from fbu.data.media.videos import Clips  # noqa: E402

PICTURES, CLIPS, FRAMES, KEPT = 384, 12, 48, 16
SIDE, SMALL = 224, 64
_MEMORY = (10_000, 100_000)


def write_pictures(root: Path, count: int, side: int) -> pd.DataFrame:
    """Drawn faces as JPEGs, and their table."""
    drawn = faces.render_scene(faces.Scene.sample(3, torch.arange(min(count, 64))), side).numpy()
    for i in range(count):
        Image.fromarray(drawn[i % len(drawn)].transpose(1, 2, 0)).save(root / f"{i}.jpg", quality=95)
    return pd.DataFrame(
        {"sample": [str(i) for i in range(count)], "path": [f"{i}.jpg" for i in range(count)]}
    )


def write_clips(root: Path, count: int, frames: int, side: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The same clips as frame folders and as video files, and their tables."""
    import av

    drawn = (
        faces.render_scene(faces.Scene.sample(4, torch.arange(frames)), side).numpy().transpose(0, 2, 3, 1)
    )
    names = [f"c{i}" for i in range(count)]
    for name in names:
        (root / name).mkdir()
        with av.open(str(root / f"{name}.mp4"), "w") as container:
            stream = container.add_stream("mpeg4", rate=25)
            stream.width = stream.height = side
            stream.pix_fmt = "yuv420p"
            for at, frame in enumerate(drawn):
                Image.fromarray(frame).save(root / name / f"{at}.jpg", quality=95)
                picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), "rgb24")
                container.mux(stream.encode(picture))
            container.mux(stream.encode())
    folders = pd.DataFrame({"sample": names, "path": names})
    return folders, folders.assign(path=[f"{name}.mp4" for name in names])


def decoding(root: Path, table: pd.DataFrame, how: cache.How) -> int:
    """Decode and cache a table from scratch; returns its rows."""
    shutil.rmtree(home() / "cache", ignore_errors=True)
    return len(cache.decoded(root, table, how).samples)


def rows(count: int, clips: int) -> list[dict[str, Any]]:
    """Speeds, each with its ratio to the plain loop."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        table = write_pictures(root, count, SIDE)
        paths = [root / p for p in table["path"]]
        how = cache.How(SMALL)
        plain = per_second(lambda: baselines.decode_pictures(paths, SMALL, root / "plain.npy"), 3)
        ours = per_second(lambda: decoding(root, table, how), 3)
        images = cache.decoded(root, table, how).images
        order = np.random.default_rng(0).permutation(count)
        batches = [order[i : i + 64] for i in range(0, count, 64)]
        back = per_second(lambda: sum(len(images[np.sort(b)]) for b in batches))
        again = per_second(
            lambda: sum(len(baselines.read_pictures([paths[i] for i in b], SMALL)) for b in batches), 3
        )
        out = [
            {"name": f"pictures of {SIDE} px, decoded and cached", "per second": ours, "ratio": ours / plain},
            {"name": "pictures, read back in random batches", "per second": back, "ratio": back / again},
        ]
        as_folders, as_videos = write_clips(root, clips, FRAMES, SIDE)
        how = cache.How(SMALL, media=Clips(KEPT))
        for what, chosen in (("frame folders", as_folders), ("video files", as_videos)):
            places = [root / p for p in chosen["path"]]
            plain = per_second(lambda places=places: baselines.decode_clips(places, SMALL, KEPT), 3)
            ours = per_second(lambda chosen=chosen: decoding(root, chosen, how), 3)
            name = f"clips of {FRAMES} frames, {what}, {KEPT} kept and cached"
            out.append({"name": name, "per second": ours, "ratio": ours / plain})
        return out


def memory(count: int) -> int:
    """Peak resident bytes of a process that decodes and caches so many pictures."""
    command = [sys.executable, __file__, "--memory", str(count)]
    with tempfile.TemporaryDirectory() as folder:
        found = subprocess.run(
            command, env={**os.environ, "FBU_HOME": folder}, check=True, capture_output=True, text=True
        )
    return int(found.stdout.split()[-1])


def _memory_of(count: int) -> int:
    """In a process of its own: few files that many rows name, as their number is what memory may depend on."""
    with tempfile.TemporaryDirectory() as folder:
        few = write_pictures(Path(folder), 100, SMALL)
        table = few.iloc[np.arange(count) % len(few)].reset_index(drop=True)
        cache.decoded(Path(folder), table.assign(sample=[str(i) for i in range(count)]), cache.How(32))
    return _peak()


def _peak() -> int:
    """Peak resident bytes of this program; Linux's getrusage would count the process that started it as well."""
    status = Path("/proc/self/status")
    if status.is_file():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main(count: int = PICTURES, clips: int = CLIPS, sizes: tuple[int, int] = _MEMORY) -> list[dict[str, Any]]:
    """Measure everything; one row per measurement."""
    kept = os.environ.get("FBU_HOME")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["FBU_HOME"] = folder  # decoding from scratch must not empty the user's cache
        try:
            found = rows(count, clips)
        finally:
            if kept is None:
                os.environ.pop("FBU_HOME")
            else:
                os.environ["FBU_HOME"] = kept
    for row in found:
        print(f"{row['name']:58} {row['per second']:9.0f} / s  {row['ratio']:.1f} x the plain loop")
    few, many = (memory(n) for n in sizes)
    growth = (many - few) / (sizes[1] - sizes[0])
    found.append({"name": "memory", "few": few, "many": many, "bytes per row": growth})
    print(
        f"peak memory, {sizes[0]:,} and {sizes[1]:,} pictures cached: {few / 1e6:.0f} and {many / 1e6:.0f} MB "
        f"({growth:.0f} bytes a row; a picture has {3 * 32 * 32:,})"
    )
    return found


if __name__ == "__main__":
    if "--memory" in sys.argv:
        print(_memory_of(int(sys.argv[-1])))
    else:
        main()
