"""Relevance against the benchmark's slow transcription of the paper's formula; the model comes back as it was."""

import copy

import pytest
import torch

from benchmarks import baselines
from fbu.explain import relevance
from fbu.models import load_dual_encoder

CONTEXT, END = 48, 4513


def tokens(*lengths: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    rows = torch.zeros(len(lengths), CONTEXT, dtype=torch.int64)
    for row, length in zip(rows, lengths, strict=True):
        row[0], row[1:length] = 4512, torch.randint(1, 4000, (length - 1,), generator=generator)
        row[length] = END
    return rows


def pictures(count: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, 3, 64, 64, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture(scope="module")
def model() -> torch.nn.Module:
    torch.manual_seed(0)
    model = load_dual_encoder("fbu-tiny").double()
    # Weights of a new model are so small that attention is nearly even: sharpen it.
    for tower in (model.visual.transformer, model.transformer):
        for block in tower.resblocks:
            torch.nn.init.normal_(block.attn.in_proj_weight, std=0.4)
    return model.eval()


@pytest.mark.parametrize("start_layer", [0, 1, -1])
def test_equals_the_formula(model, start_layer):
    images, texts = pictures(3), tokens(5, 12, 30)
    maps, rows = relevance(model, images, texts, start_layer)
    assert maps.shape == (3, 4, 4) and rows.shape == (3, CONTEXT)
    for i in range(3):
        slow = baselines.relevance_by_layer(model, images[i : i + 1], texts[i : i + 1], start_layer)
        torch.testing.assert_close(maps[i].double(), slow[0][0], rtol=1e-4, atol=1e-9)
        torch.testing.assert_close(rows[i].double(), slow[1][0], rtol=1e-4, atol=1e-9)


def test_several_texts_on_one_picture_are_the_pairs(model):
    image, texts = pictures(1), tokens(4, 9, 20, 7)
    maps, rows = relevance(model, image, texts)
    again, rows_again = relevance(model, image.expand(4, -1, -1, -1), texts)
    torch.testing.assert_close(maps, again, rtol=1e-4, atol=1e-9)
    torch.testing.assert_close(rows, rows_again, rtol=1e-4, atol=1e-9)
    assert (maps[0] - maps[1]).abs().max() > 1e-6  # the text decides where


def test_a_pair_does_not_depend_on_its_batch(model):
    images, texts = pictures(3), tokens(5, 12, 30)
    maps, rows = relevance(model, images, texts)
    for i in (2, 0):
        one, row = relevance(model, images[i : i + 1], texts[i : i + 1])
        torch.testing.assert_close(one[0], maps[i], rtol=1e-4, atol=1e-9)
        torch.testing.assert_close(row[0], rows[i], rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize("chunk", [1, 2, 3, 8])
def test_pairs_at_a_time_change_nothing(model, chunk):
    images, texts = pictures(5), tokens(5, 12, 30, 7, 9)
    whole = relevance(model, images, texts, chunk=5)
    parts = relevance(model, images, texts, chunk=chunk)
    for a, b in zip(whole, parts, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-9)


def test_a_large_encoder_takes_two_pairs_at_a_time(model):
    from fbu.explain import _pairs_at_a_time

    assert _pairs_at_a_time(load_dual_encoder("ViT-B-16")) == 2
    assert _pairs_at_a_time(model) > 100
    with pytest.raises(ValueError, match="chunk is 0"):
        relevance(model, pictures(2), tokens(5, 6), chunk=0)


def test_nothing_behind_the_end_and_the_end_itself_counts(model):
    _, rows = relevance(model, pictures(2), tokens(6, 15))
    assert not rows[0, 7:].any() and not rows[1, 16:].any()
    assert rows[0, 6] >= 1 and rows[1, 15] >= 1  # the identity in the product
    assert bool((rows >= 0).all())


def test_scale_of_the_logits_is_included(model):
    """A third of the scale makes every gradient a third as long; the first order in it scales alike."""
    images, texts = pictures(1), tokens(8)
    before, _ = relevance(model, images, texts, -1)
    cooler = copy.deepcopy(model)
    with torch.no_grad():
        cooler.logit_scale.sub_(torch.tensor(3.0).log())
    after, _ = relevance(cooler, images, texts, -1)
    torch.testing.assert_close(after * 3, before, rtol=1e-4, atol=1e-9)


def state(model):
    return (
        [(n, p.requires_grad) for n, p in model.named_parameters()],
        [m.training for m in model.modules()],
        ["forward" in m.__dict__ for m in model.modules()],
        [getattr(m, "grad_checkpointing", None) for m in model.modules()],
    )


def test_the_model_comes_back_as_it_was(model):
    own = copy.deepcopy(model).float().train()
    own.visual.set_grad_checkpointing(True)
    own.visual.conv1.requires_grad_(False)
    before, weights = state(own), {k: v.clone() for k, v in own.state_dict().items()}
    relevance(own, pictures(2).float(), tokens(5, 6))
    assert state(own) == before
    assert all(torch.equal(v, weights[k]) for k, v in own.state_dict().items())
    assert all(p.grad is None for p in own.parameters())
    with pytest.raises(IndexError):  # a token that the tower does not know: fails half-way
        relevance(own, pictures(1).float(), torch.full((1, CONTEXT), 9999))
    assert state(own) == before


def test_works_without_gradient_mode_and_with_half_precision(model):
    own = copy.deepcopy(model)
    exact, _ = relevance(own, pictures(2), tokens(5, 9))
    with torch.no_grad():
        same, _ = relevance(own, pictures(2), tokens(5, 9))
    assert torch.equal(exact, same)
    rough, _ = relevance(own.bfloat16(), pictures(2).bfloat16(), tokens(5, 9))
    assert rough.dtype == torch.float32
    assert torch.corrcoef(torch.stack([rough.flatten(), exact.flatten()]))[0, 1] > 0.9


@pytest.mark.parametrize(
    ("images", "texts", "start", "message"),
    [
        (pictures(2), tokens(5, 6, 7), 0, r"got \[2, 3, 64, 64\] and \[3, 48\]"),
        (pictures(2)[0], tokens(5), 0, r"images must be \[n, 3, S, S\]"),
        (pictures(1), tokens(5), 2, "start_layer is 2: the tower has layers 0 to 1"),
        (pictures(1), tokens(5), -4, "start_layer is -4"),
    ],
)
def test_wrong_arguments_are_named(model, images, texts, start, message):
    with pytest.raises(ValueError, match=message):
        relevance(model, images, texts, start)


def test_other_pooling_is_refused(model):
    other = copy.deepcopy(model)
    other.visual.pool_type = "avg"
    with pytest.raises(ValueError, match=r"pools \('avg', 'argmax'\)"):
        relevance(other, pictures(1), tokens(5))
