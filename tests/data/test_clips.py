"""Worlds of clips, and their twins through loading."""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from fbu import data
from fbu.data import worlds
from fbu.data.snippets import clip_lengths, gather_snippets, snippet_frames
from fbu.data.worlds import clips

NAMES = ("dfew", "ferv39k", "mafw")
COUNTS = {"dfew": 100, "ferv39k": 120, "mafw": 120}


@pytest.fixture(scope="module")
def drawn() -> dict[str, clips.ClipWorld]:
    return {name: worlds.make(name, "quick") for name in NAMES}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def _own_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twins are written once for the module."""
    monkeypatch.setenv("FBU_HOME", str(home))
    monkeypatch.delenv("FBU_DATA", raising=False)


@pytest.mark.parametrize("name", NAMES)
def test_clips_of_a_world(name: str, drawn: dict[str, clips.ClipWorld]) -> None:
    world = drawn[name]
    records = world.records
    assert len(records) == COUNTS[name] == len(world.scenes) and records["sample"].is_unique
    assert records["frames"].between(1, 20).all() and (records["frames"] == 1).any()
    assert (records["frames"] < 16).mean() > 0.5 and len(records["frames"].unique()) > 8
    assert set(records["label"]) == set(data.load_manifest(name).labels)
    assert 0.0 < (records["label"] != records["expression"]).mean() < 0.25
    still = records["expression"] == "neutral"
    assert (records.loc[still, ["onset", "apex", "offset"]] == -1).all(axis=None)
    moving = records[~still]
    assert (moving["onset"] <= moving["apex"]).all() and (moving["apex"] <= moving["offset"]).all()
    assert (moving["offset"] < moving["frames"]).all() and (moving["onset"] > 0).any()
    assert worlds.make(name, "quick").records.equals(records)
    other = worlds.make(name, "quick", seed=1)
    assert not torch.equal(other.scenes.identity, world.scenes.identity)


def test_a_clip_does_not_depend_on_the_others(drawn: dict[str, clips.ClipWorld]) -> None:
    world = drawn["dfew"]
    rows = np.arange(len(world))
    everything = list(world.clips(rows, 16))
    assert [len(clip) for clip in everything] == world.records["frames"].tolist()
    some = list(world.clips(rows[[40, 3]], 16))
    assert np.array_equal(some[0], everything[40]) and np.array_equal(some[1], everything[3])
    assert not list(world.clips(rows[:0], 16))
    assert world.render(rows[:3], 16).shape == (3, 3, 16, 16)


def test_noisy_frames_are_where_the_truth_says(drawn: dict[str, clips.ClipWorld]) -> None:
    world = drawn["mafw"]
    noisy = world.records["noisy"].map(clips.noisy_frames)
    assert 0.25 < (noisy.str.len() > 0).mean() < 0.55
    assert {kind for frames in noisy for kind in frames.values()} == set(clips.NOISE)
    assert all(at < n for frames, n in zip(noisy, world.records["frames"], strict=True) for at in frames)
    assert noisy[world.records["frames"] == 1].str.len().sum() == 0
    rows = np.arange(len(world))
    for frames, clip in zip(noisy, world.clips(rows, 32), strict=True):
        flat = clip.reshape(len(clip), -1).std(1) == 0
        assert np.flatnonzero(flat).tolist() == [at for at, kind in frames.items() if kind == "blank"]
    calm = dataclasses.replace(world, plan=dataclasses.replace(world.plan, noise=world.plan.noise * 0 - 1))
    for frames, clip, clean in zip(noisy, world.clips(rows, 32), calm.clips(rows, 32), strict=True):
        changed = (clip != clean).any((1, 2, 3))
        assert np.flatnonzero(changed).tolist() == sorted(frames)


def test_an_expression_rises_and_falls(drawn: dict[str, clips.ClipWorld]) -> None:
    world = drawn["dfew"]
    population = world.population
    assert isinstance(population, clips.Filmed)
    long = np.flatnonzero((world.records["frames"] >= 10) & (world.records["expression"] == "happiness"))
    for row in long:
        n = int(world.records["frames"][row])
        clip, step = torch.full((n,), int(row)), torch.arange(n)
        smile = clips._scene(population, 0, world.plan, clip, step).au.sum(1)
        assert smile[0] <= 0.6 * smile.max() and smile.argmax() >= world.records["onset"][row]


def test_blends_are_weaker_than_their_parts() -> None:
    display = dataclasses.replace(worlds.population_of("mafw").display, keep=1.0, stray=0.0, mild=0.0)
    number = torch.arange(50)
    for name, parts in clips.BLENDS.items():
        blend = clips._apex(np.array([name] * 50), display, 0, number)
        first, second = (clips._apex(np.array([part] * 50), display, 0, number) for part, _ in parts)
        assert (blend <= torch.maximum(first, second) + 1e-5).all() and blend.sum() > 0


def test_lengths_and_classes_of_the_full_size() -> None:
    """Proportions are the real ones; the published counts are met exactly."""
    for name in ("dfew", "mafw"):
        records = worlds.make(name, "full").records
        assert records["label"].value_counts().to_dict() == data.load_manifest(name).expected.classes
        assert records["frames"].max() == 64 and records["sample"].is_unique
        assert int(records["sample"].max()) <= {"dfew": 16372, "mafw": 10045}[name]
    records = worlds.make("ferv39k", "full").records
    expected = data.load_manifest("ferv39k").expected
    assert records["label"].value_counts().to_dict() == expected.classes
    assert records["split"].value_counts().to_dict() == expected.parts
    assert records["frames"].mean() == pytest.approx(28, abs=1.5) and records["frames"].max() == 47
    assert (records["frames"] < 16).mean() == pytest.approx(0.105, abs=0.03)
    assert records["scene"].nunique() == 22 and records["sample"].is_unique
    first = records[records["sample"].str.endswith("/0000")]
    assert set(first["split"]) == {"test"}


@pytest.mark.parametrize("name", NAMES)
def test_twin_read_as_real_is_the_same(name: str, tmp_path: Path) -> None:
    data.export_twin(name, tmp_path)
    parts = {}
    for split in ("train", "val", "test"):
        own = data.load(name, split, image_size=16, fold=2 if name != "ferv39k" else None)
        real = data.load(name, split, source="real", root=tmp_path, image_size=16, fold=own.fold)
        np.testing.assert_array_equal(own.images, real.images)
        np.testing.assert_array_equal(own.spans, real.spans)
        pd.testing.assert_frame_equal(own.records, real.records)
        assert (own.fingerprint, own.labels, own.skipped) == (real.fingerprint, real.labels, real.skipped)
        parts[split] = own
        assert own.unit == "clips" and own.targets.dtype == np.int64
        assert clip_lengths(own).tolist() == own.records["true_frames"].tolist()
    assert sum(map(len, parts.values())) == COUNTS[name]
    assert set(parts["test"].targets) == set(range(len(own.labels)))


def test_protocols() -> None:
    for name in NAMES:
        manifest = data.load_manifest(name)
        assert manifest.protocols["dk_clip"].metrics == ("uar", "war")
        assert len(manifest.labels) == {"dfew": 7, "ferv39k": 7, "mafw": 11}[name]
        best = {
            split: data.load(name, split, protocol="best_on_test", image_size=16) for split in ("val", "test")
        }
        assert best["val"].records["sample"].tolist() == best["test"].records["sample"].tolist()


def test_snippets_of_a_twin() -> None:
    part = data.load("mafw", "test", fold=3, image_size=16)
    rows = np.array([0, 5, 2])
    at = snippet_frames(clip_lengths(part)[rows], generator=torch.Generator().manual_seed(1))
    found = gather_snippets(part, rows, at)
    assert found.shape == (3, 4, 4, 3, 16, 16)
    for row, frames, pictures in zip(rows, at, found, strict=True):
        np.testing.assert_array_equal(part.clip(row)[frames.flatten()], pictures.flatten(0, 1))


def test_difficulty_parameters_are_fixed() -> None:
    """A change here changes every reference result: it is a decision, not a tweak."""
    found = {name: worlds.population_of(name) for name in NAMES}
    assert {name: (p.label_errors, p.noisy) for name, p in found.items()} == {
        "dfew": (0.05, 0.40),
        "ferv39k": (0.10, 0.40),
        "mafw": (0.08, 0.40),
    }
    assert {name: dataclasses.astuple(p.display) for name, p in found.items()} == {
        "dfew": ((0.60, 1.10), 0.15, (0.30, 0.50), 0.92, 0.20, 0.04),
        "ferv39k": ((0.55, 1.05), 0.20, (0.30, 0.50), 0.90, 0.20, 0.05),
        "mafw": ((0.60, 1.10), 0.12, (0.30, 0.50), 0.93, 0.20, 0.04),
    }
    assert {name: dataclasses.astuple(p.look) for name, p in found.items()} == {
        "dfew": (0.8, 0.06, 0.9, 0.30, 1.0, 0.06),
        "ferv39k": (0.8, 0.06, 1.0, 0.35, 1.2, 0.08),
        "mafw": (0.8, 0.05, 0.8, 0.25, 1.0, 0.06),
    }
