"""The benchmarks run; how fast is their business."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import interpreters
import pytest
import torch

from benchmarks import bench_cache, bench_dk_clip, bench_emoco, bench_explain, bench_pictures

ROOT = Path(__file__).parents[1]


def test_picture_benchmarks_run(monkeypatch):
    monkeypatch.setattr(bench_pictures, "per_second", lambda what, repeats=5: float(what()))
    threads = torch.get_num_threads()
    try:
        rows = bench_pictures.main()
    finally:
        torch.set_num_threads(threads)
    assert rows[0]["per second"] == 512 and rows[1]["per second"] == 32  # every face that was asked for
    assert (
        rows[2]["per second"] == rows[3]["per second"]
    )  # both input paths deliver the same number of pictures
    assert [row["per second"] for row in rows[4:]] == [256, 256, 256]


def test_relevance_benchmark_runs(capsys):
    rows = bench_explain.main("fbu-tiny", repeats=1)
    assert [row["difference"] < 1e-4 for row in rows] == [True, True]
    assert all(row[name] > 0 for row in rows for name in ("seconds", "time", "memory"))
    assert capsys.readouterr().out.count("relevance, fbu-tiny") == 2


def test_cache_benchmark_runs(monkeypatch, capsys):
    def forked(command, env, **_):
        done = interpreters.python(*command[1:], folder=ROOT, path=ROOT, variables=env)
        assert done.returncode == 0, done.stderr
        return done

    monkeypatch.setattr(bench_cache.subprocess, "run", forked)
    monkeypatch.setattr(bench_cache, "per_second", lambda what, repeats=5: float(what()))
    found = bench_cache.main(count=8, clips=2, sizes=(100, 200))
    # Both sides deliver the same number of pictures and clips, so every ratio is 1 when only they are counted.
    assert [row["per second"] for row in found[:-1]] == [8, 8, 2, 2]
    assert all(row["ratio"] == 1 for row in found[:-1])
    assert found[-1]["few"] > 10**7 and "peak memory, 100 and 200 pictures cached" in capsys.readouterr().out


def test_contrast_benchmark_runs(capsys):
    threads = torch.get_num_threads()
    try:
        rows = bench_emoco.main(64, batch=20, emotions=3, width=16, repeats=1)
    finally:
        torch.set_num_threads(threads)
    assert [row["name"] for row in rows][0] == "ours" and rows[0]["difference"] < 1e-5
    assert rows[0]["time"] == rows[0]["memory"] == 1 and all(row["seconds"] > 0 for row in rows)
    assert "ours and the gather differ" in capsys.readouterr().out


def test_clip_benchmark_runs(capsys):
    threads = torch.get_num_threads()
    try:
        rows = bench_dk_clip.main("fbu-tiny", repeats=1, sizes=("ViT-B-32",))
    finally:
        torch.set_num_threads(threads)
    assert [row["name"] for row in rows] == ["ours", "clip by clip", "ViT-B-32"]
    assert rows[0]["difference"] < 1e-4 and rows[0]["time"] == 1 and rows[1]["seconds"] > 0
    size = rows[2]
    # Twelve blocks on 50 tokens of 768 numbers: 12 x 768^2 x 50 multiply-adds each, attention itself apart.
    assert size["frames alone"] == pytest.approx(16 * 12 * 12 * 768**2 * 50 / 1e9, rel=0.05)
    assert size["video"] > size["frames alone"] and size["learned"] < size["parameters"]
    assert "logits differ by" in capsys.readouterr().out
