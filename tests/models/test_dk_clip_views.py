"""Testing on several clips and crops: which frames and windows, and that the views' mean is what is scored."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fbu.data.snippets import gather_snippets, snippet_frames
from fbu.data.specs import load_spec
from fbu.data.transforms import Augment
from fbu.models.clips import Clips, augment_clips
from fbu.models.dk_clip import trained_model
from fbu.models.dk_clip_views import ViewsTask, cropped, sampled
from fbu.recipes import Recipe
from fbu.runs import Run, run


def recipe(task: str, images: int, start: Recipe | None = None, **options) -> Recipe:
    return Recipe.model_validate(
        {
            "task": task,
            "data": {"name": "dfew", "protocol": "dk_clip"},
            "options": options,
            "optim": {"images": images, "batch_size": 8},
            "start": start,
        }
    )


@pytest.fixture(scope="module")
def trained() -> Run:
    return run(recipe("dk_clip.train", 16, frames=8, snippets=4))


@given(st.lists(st.integers(1, 90), min_size=1, max_size=4), st.sampled_from([1, 2, 4]), st.integers(1, 5))
def test_samples_stay_in_their_parts(lengths: list[int], snippets: int, times: int) -> None:
    length = torch.tensor(lengths)
    found = sampled(length, 8, snippets, times)
    assert len(found) == times and all(at.shape == (len(lengths), snippets, 8 // snippets) for at in found)
    flat = torch.stack(found, -1).view(len(lengths), 8, times)
    edges = torch.arange(9) * length[:, None] / 8  # of the parts, between frames too
    assert (flat >= edges[:, :-1, None].floor()).all() and (flat < edges[:, 1:, None]).all()
    assert (flat.diff(dim=-1) >= 0).all()


def test_one_sample_is_the_tables_and_more_are_others() -> None:
    length = torch.tensor([40, 3])
    (one,) = sampled(length, 8, 4, 1)
    assert torch.equal(one, snippet_frames(length, 8, 4))
    four = sampled(length[:1], 8, 4, 4)
    assert len({tuple(at.flatten().tolist()) for at in four}) == 4


def test_windows_lie_from_left_to_right() -> None:
    picture = (
        torch.arange(8, dtype=torch.uint8).mul(30).expand(1, 1, 1, 3, 8, 8).clone()
    )  # brighter to the right
    left, middle, right = (x.float().mean().item() for x in cropped(picture, 3, 0.75))
    assert left < middle < right and middle == pytest.approx(105, abs=1)
    (whole,) = cropped(picture, 1, 1.0)
    assert torch.equal(whole, picture)
    (half,) = cropped(picture, 1, 0.5)
    assert half.shape == picture.shape and half.float().mean().item() == pytest.approx(105, abs=1)


def test_views_are_averaged(trained: Run) -> None:
    scored = run(recipe("dk_clip_views.score", 0, trained.recipe, clips=2, crops=2))
    metrics, own = scored.metrics["test"], trained.metrics["test"]
    assert metrics["one/accuracy"] == pytest.approx(own["accuracy"])
    assert metrics["one/mean_class_accuracy"] == pytest.approx(own["mean_class_accuracy"])
    assert {"accuracy", "clips/accuracy", "clips/mean_class_accuracy"} <= set(metrics)

    # The first two videos by hand.
    test = load_spec(trained.recipe.data, "test")
    model = trained_model(trained.recipe, trained.weights(), test.labels)
    rows = torch.arange(2)
    lengths = Clips(test, 8, 4, torch.device("cpu")).lengths[rows]
    said = []
    for at in sampled(lengths, 8, 4, 2):
        frames = gather_snippets(test, rows, at)
        for x in cropped(frames, 2, 0.875):
            normal = augment_clips(x, Augment.none(), torch.Generator())
            said.append(model(normal).whole.softmax(1).detach().numpy())
    wanted = np.mean(said, axis=0)
    columns = [f"p_{name}" for name in test.labels]
    assert np.allclose(scored.predictions[columns].to_numpy()[:2], wanted, atol=1e-4)
    assert not np.allclose(said[0], said[1], atol=1e-6)


def test_it_wants_a_finished_training() -> None:
    with pytest.raises(ValueError, match="dk_clip_views.score looks at a finished dk_clip.train"):
        ViewsTask(recipe("dk_clip_views.score", 0), torch.device("cpu"), None)
