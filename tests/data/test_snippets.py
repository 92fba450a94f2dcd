import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fbu.data.dataset import Dataset
from fbu.data.snippets import clip_lengths, gather_snippets, snippet_frames

LENGTHS = st.lists(st.integers(1, 900), min_size=1, max_size=6)
SHAPES = st.tuples(st.integers(1, 6), st.integers(1, 8))


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@given(lengths=LENGTHS, shape=SHAPES, seed=st.none() | st.integers(0, 99))
def test_snippets_go_through_the_clip_in_order(lengths: list[int], shape: tuple[int, int], seed: int | None):
    snippets, each = shape
    frames = snippets * each
    length = torch.tensor(lengths)
    at = snippet_frames(length, frames, snippets, generator=None if seed is None else seeded(seed))
    assert at.dtype == torch.int64 and at.shape == (len(lengths), snippets, each)
    assert (at.flatten(1).diff(dim=1) >= 0).all()
    assert (at >= 0).all() and (at < length[:, None, None]).all()
    for row, n in zip(at, lengths, strict=True):
        for s, inside in enumerate(row.tolist()):
            # Of its own part of the clip, and at least one frame of it.
            assert n * s // snippets <= inside[0]
            assert inside[-1] < max(-(-n * (s + 1) // snippets), 1)
        if n >= frames:
            assert len(row.unique()) == frames  # no frame twice
            parts = [(n * t // frames, n * (t + 1) // frames) for t in range(frames)]
            assert all(a <= f < b for f, (a, b) in zip(row.flatten().tolist(), parts, strict=True))
        else:
            assert row.unique().tolist() == list(range(n))  # all are seen
            counts = row.flatten().bincount()
            assert counts.max() - counts.min() <= 1


@given(length=st.integers(1, 300), seed=st.integers(0, 5))
def test_a_clip_does_not_depend_on_the_others(length: int, seed: int) -> None:
    alone = snippet_frames(torch.tensor([length]), generator=seeded(seed))
    first = snippet_frames(torch.tensor([length, 40, 7]), generator=seeded(seed))[:1]
    assert torch.equal(alone, first)
    middle = snippet_frames(np.array([9, length]))[1]
    assert torch.equal(middle, snippet_frames(torch.tensor([length]))[0])


def test_sixteen_frames_in_four_snippets() -> None:
    assert snippet_frames(torch.tensor([16])).tolist() == [torch.arange(16).view(4, 4).tolist()]
    assert snippet_frames(torch.tensor([1])).unique().tolist() == [0]
    assert snippet_frames(torch.tensor([48])).flatten().tolist() == list(range(1, 48, 3))
    assert snippet_frames(torch.tensor([], dtype=torch.int64)).shape == (0, 4, 4)


def test_training_reaches_every_frame() -> None:
    seen = snippet_frames(torch.full((400,), 50), generator=seeded(0))
    assert seen.unique().tolist() == list(range(50))
    # 17 frames: the first parts have one frame each, the last has two.
    at = snippet_frames(torch.full((400,), 17), generator=seeded(0)).flatten(1)
    assert at[:, :15].unique(dim=0).tolist() == [list(range(15))] and set(at[:, 15].tolist()) == {15, 16}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (dict(lengths=torch.tensor([4]), frames=10, snippets=4), "frames is 10 and snippets is 4"),
        (dict(lengths=torch.tensor([4]), frames=4, snippets=0), "must be a multiple of snippets"),
        (dict(lengths=torch.tensor([4, 0])), "lengths must be at least 1, got 0"),
        (dict(lengths=torch.tensor([4.0])), r"got torch.float32 of shape \(1,\)"),
        (dict(lengths=torch.tensor([[4]])), r"lengths must be whole numbers \[n\], .* shape \(1, 1\)"),
    ],
)
def test_wrong_arguments_of_snippets(given: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        snippet_frames(**given)


@pytest.fixture
def dataset() -> Dataset:
    """Three clips of 2, 5 and 1 frames; frame i of the whole has the value i."""
    images = np.broadcast_to(np.arange(8, dtype=np.uint8)[:, None, None, None], (8, 3, 4, 4))
    spans = np.array([[0, 2], [2, 7], [7, 8]])
    records = pd.DataFrame({"sample": list("abc"), "expression": "fear"})
    return Dataset("dfew", "test", "twin", images, records, ("fear",), "expression", "x", spans=spans)


def test_gather(dataset: Dataset) -> None:
    assert clip_lengths(dataset).tolist() == [2, 5, 1]
    rows = np.array([1, 2, 0, 1])
    at = snippet_frames(clip_lengths(dataset)[rows], 4, 2)
    found = gather_snippets(dataset, rows, at)
    assert found.shape == (4, 2, 2, 3, 4, 4) and found.dtype == torch.uint8
    first = torch.tensor([2, 7, 0, 2])[:, None, None]
    assert torch.equal(found[..., 0, 0, 0].long(), first + at)
    assert (found == found[..., :1, :1, :1]).all()


def test_gather_reads_each_frame_once(dataset: Dataset) -> None:
    class Counted:
        def __init__(self, images: np.ndarray) -> None:
            self.images, self.read = images, []

        def __getitem__(self, key: np.ndarray) -> np.ndarray:
            self.read += key.tolist()
            return self.images[key]

    counted = Counted(dataset.images)
    object.__setattr__(dataset, "images", counted)
    gather_snippets(dataset, np.array([2, 2, 0]), snippet_frames(torch.tensor([1, 1, 2])))
    assert counted.read == [0, 1, 7]


@pytest.mark.parametrize(
    ("rows", "at", "message"),
    [
        ([0], [[[2]]], "at asks for a frame outside clip 0, which has 2"),
        ([1, 2], [[[0]], [[-1]]], "outside clip 2, which has 1"),
        ([0, 1], [[[0]]], r"got \(2,\) and \(1, 1, 1\)"),
        ([0], [[0]], r"at \[n, N, T / N\]"),
    ],
)
def test_wrong_arguments_of_gather(dataset: Dataset, rows: list, at: list, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        gather_snippets(dataset, np.array(rows), torch.tensor(at))


def test_pictures_have_no_snippets(dataset: Dataset) -> None:
    object.__setattr__(dataset, "spans", None)
    with pytest.raises(ValueError, match="dfew holds single pictures: clips are needed"):
        clip_lengths(dataset)
