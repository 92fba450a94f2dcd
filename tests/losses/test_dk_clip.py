"""DK-CLIP eq. 9 to 11 against their transcriptions."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from fbu.losses import class_aware_consistency, consistency_terms, fuse_snippets, snippet_scores

N, SNIPPETS, C, D = 5, 4, 3, 6
THETA = 0.15


def randoms(*shapes: tuple[int, ...], seed: int = 0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(s, dtype=torch.float64, generator=generator) for s in shapes]


def by_hand_scores(snippets: Tensor, whole: Tensor) -> list[list[float]]:
    rows = []
    for s, v in zip(snippets, whole, strict=True):
        a = [float(x @ v / (x.norm() * v.norm())) for x in s]
        low, high = min(a), max(a)
        e = [math.exp((x - low) / (high - low)) for x in a]
        rows.append([x / sum(e) for x in e])
    return rows


# --- eq. 9


def test_scores_equal_the_equation() -> None:
    snippets, whole = randoms((N, SNIPPETS, D), (N, D))
    wanted = torch.tensor(by_hand_scores(snippets, whole), dtype=torch.float64)
    torch.testing.assert_close(snippet_scores(snippets, whole), wanted)
    # Lengths do not count, nor does a scale of all similarities.
    torch.testing.assert_close(snippet_scores(3 * snippets, 0.1 * whole), wanted)


@settings(max_examples=30)
@given(snippets=st.integers(1, 6), seed=st.integers(0, 99), order=st.randoms(use_true_random=False))
def test_scores_follow_their_snippets(snippets: int, seed: int, order) -> None:
    s, v = randoms((2, snippets, D), (2, D), seed=seed)
    scores = snippet_scores(s, v)
    torch.testing.assert_close(scores.sum(1), torch.ones(2, dtype=torch.float64))
    at = list(range(snippets))
    order.shuffle(at)
    torch.testing.assert_close(snippet_scores(s[:, at], v), scores[:, at])
    # Between the bounds that the docstring gives: one snippet has x = 0, another x = 1.
    if snippets > 1:
        others = snippets - 2
        assert scores.min() >= 1 / (1 + math.e * (1 + others)) - 1e-12
        assert scores.max() <= math.e / (1 + math.e + others) + 1e-12


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_ties_are_uniform_and_send_no_gradient(dtype: torch.dtype) -> None:
    one, whole = (z.to(dtype) for z in randoms((N, 1, D), (N, D)))
    snippets = one.expand(-1, SNIPPETS, -1).clone().requires_grad_()
    scores = snippet_scores(snippets, whole)
    assert torch.equal(scores, torch.full_like(scores, 0.25))
    assert scores.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    (gradient,) = torch.autograd.grad((scores * torch.arange(SNIPPETS)).sum(), snippets)
    assert torch.equal(gradient, torch.zeros_like(gradient))


def test_a_feature_of_zeros_is_finite() -> None:
    scores = snippet_scores(torch.zeros(1, 3, D), torch.zeros(1, D))
    torch.testing.assert_close(scores, torch.full((1, 3), 1 / 3))


# --- eq. 9 and 10


@pytest.mark.parametrize("of", ["logits", "probabilities"])
def test_fusion_equals_the_equation(of: str) -> None:
    logits, free = randoms((N, SNIPPETS, C), (N, SNIPPETS))
    scores = free.softmax(1)
    assert 0 < (scores < THETA).sum() < scores.numel()
    wanted = torch.zeros(N, C, dtype=torch.float64)
    for i in range(N):
        for n in range(SNIPPETS):
            if scores[i, n] >= THETA:
                p = logits[i, n] if of == "logits" else logits[i, n].softmax(0)
                wanted[i] += scores[i, n] * p
    torch.testing.assert_close(fuse_snippets(logits, scores, THETA, of=of), wanted)
    if of == "logits":
        assert torch.equal(fuse_snippets(logits, scores, THETA), fuse_snippets(logits, scores, THETA, of=of))


def test_a_score_on_the_threshold_is_kept() -> None:
    logits = torch.ones(1, 2, 1)
    assert fuse_snippets(logits, torch.tensor([[0.5, 0.5]]), 0.5).item() == 1
    assert fuse_snippets(logits, torch.tensor([[0.5, 0.25]]), 0.5).item() == 0.5


@pytest.mark.parametrize("of", ["logits", "probabilities"])
def test_without_any_snippet_left_every_class_has_zero(of: str) -> None:
    logits, _ = randoms((N, 8, C), (N, 8))
    logits.requires_grad_()
    fused = fuse_snippets(logits, torch.full((N, 8), 1 / 8, dtype=torch.float64), THETA, of=of)
    assert torch.equal(fused, torch.zeros(N, C, dtype=torch.float64))
    loss = class_aware_consistency(torch.zeros(N, C), fused, torch.arange(N) % C)
    assert loss.item() == pytest.approx(2 * math.log(C))
    (gradient,) = torch.autograd.grad(loss, logits)
    assert torch.equal(gradient, torch.zeros_like(gradient))


# --- eq. 11


@pytest.mark.parametrize("soft", [False, True])
def test_consistency_equals_the_equation(soft: bool) -> None:
    every, local, free = randoms((N, C), (N, C), (N, C), seed=1)
    labels = torch.tensor([0, 2, 1, 1, 0])
    shares = free.softmax(1) if soft else F.one_hot(labels, C).double()
    total = {"global": 0.0, "local": 0.0, "kl": 0.0, "cross_entropy": 0.0}
    for i in range(N):
        g, p = ([math.exp(x) for x in row] for row in (every[i].tolist(), local[i].tolist()))
        g, p = ([x / sum(row) for x in row] for row in (g, p))
        for c in range(C):
            total["global"] -= float(shares[i, c]) * math.log(g[c]) / N
            total["local"] -= float(shares[i, c]) * math.log(p[c]) / N
            total["kl"] += g[c] * math.log(g[c] / p[c]) / N
            total["cross_entropy"] -= g[c] * math.log(p[c]) / N
    targets = shares if soft else labels
    for name in ("kl", "cross_entropy"):
        terms = consistency_terms(every, local, targets, divergence=name)
        wanted = {"global": total["global"], "local": total["local"], "divergence": total[name]}
        assert {k: v.item() for k, v in terms.items()} == pytest.approx(wanted, abs=1e-12)
    for weight in (0.0, 1.0, 0.3):
        loss = class_aware_consistency(every, local, targets, weight)
        wanted = total["global"] + weight * (total["local"] + total["kl"])
        assert loss.item() == pytest.approx(wanted, abs=1e-12)
    assert torch.equal(
        class_aware_consistency(every, local, targets), class_aware_consistency(every, local, targets, 1.0)
    )


def test_equal_predictions_are_no_distance_apart() -> None:
    every, local = randoms((N, C), (N, C))
    labels = torch.zeros(N, dtype=torch.long)
    assert consistency_terms(every, every + 7, labels)["divergence"].abs() < 1e-12
    assert consistency_terms(every, local, labels)["divergence"] > 0
    swapped = consistency_terms(local, every, labels)["divergence"]
    assert (swapped - consistency_terms(every, local, labels)["divergence"]).abs() > 1e-3  # not symmetric


def test_gradients() -> None:
    snippets, whole, logits, every, free = randoms((2, 3, D), (2, D), (2, 3, C), (2, C), (2, C), seed=2)
    shares = free.softmax(1)
    inputs = [z.requires_grad_() for z in (snippets, whole, logits, every)]

    def total(snippets: Tensor, whole: Tensor, logits: Tensor, every: Tensor) -> Tensor:
        scores = snippet_scores(snippets, whole)
        local = fuse_snippets(logits, scores, 0.2, of="probabilities").log()
        return class_aware_consistency(every, local, shares, 0.7)

    assert torch.autograd.gradcheck(total, inputs)


def test_autocast_changes_nothing() -> None:
    snippets, whole, logits, every = (
        z.float() for z in randoms((N, SNIPPETS, D), (N, D), (N, SNIPPETS, C), (N, C))
    )

    def total() -> Tensor:
        local = fuse_snippets(logits, snippet_scores(snippets, whole), THETA)
        return class_aware_consistency(every, local, torch.zeros(N, dtype=torch.long))

    plain = total()
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(total(), plain)


def test_large_logits_in_half_precision_stay_finite() -> None:
    """CLIP's scale of 100 in bfloat16: a class that has no chance at all on either side."""
    every = torch.tensor([[100.0, -100.0, 0.0]], dtype=torch.bfloat16, requires_grad=True)
    local = torch.tensor([[-100.0, 100.0, 0.0]], dtype=torch.bfloat16, requires_grad=True)
    loss = class_aware_consistency(every, local, torch.tensor([0]))
    assert loss.dtype == torch.float32 and loss.item() == pytest.approx(400, rel=1e-3)
    assert all(torch.isfinite(g).all() for g in torch.autograd.grad(loss, (every, local)))


S, V, L, A, G, Y = (
    torch.ones(2, 3, 4),
    torch.ones(2, 4),
    torch.ones(2, 3, 5),
    torch.ones(2, 3),
    torch.ones(2, 5),
    torch.zeros(2, dtype=torch.long),
)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: snippet_scores(V, V), r"snippets must be \(clips, snippets, width\).*got snippets \(2, 4\)"),
        (lambda: snippet_scores(S.long(), V), "snippets must be a floating-point tensor, got torch.int64"),
        (lambda: snippet_scores(S[:, :0], V), r"none of them 0, got snippets \(2, 0, 4\)"),
        (lambda: snippet_scores(S, G), r"whole must be .*got whole \(2, 5\), snippets \(2, 3, 4\)"),
        (lambda: snippet_scores(S, V[:1]), r"got whole \(1, 4\), snippets \(2, 3, 4\)"),
        (lambda: fuse_snippets(G, A, 0.1), r"local_logits must be .*got local_logits \(2, 5\)"),
        (lambda: fuse_snippets(L, A[:, :2], 0.1), r"scores must have shape \(2, 3\), one per snippet, got scores"),
        (lambda: fuse_snippets(L, A.long(), 0.1), "scores must be floating point, got torch.int64"),
        (lambda: fuse_snippets(L, A, math.nan), "threshold must be finite, got nan"),
        (lambda: fuse_snippets(L, A, 0.1, of="votes"), "of must be one of 'logits', 'probabilities', got 'votes'"),
        (lambda: class_aware_consistency(G, G[:, :4], Y), "features must share their width"),
        (lambda: class_aware_consistency(G, G[:1], Y), r"local_logits must have shape \(2, 5\).*logits \(1, 5\)"),
        (lambda: class_aware_consistency(G, G, Y[:1]), r"targets must have shape \(2,\), one class per clip"),
        (lambda: class_aware_consistency(G, G, Y.float()), "targets must be integers, got torch.float32"),
        (lambda: class_aware_consistency(G, G, Y + 5), r"targets must lie in 0..4, got values from 5 to 5"),
        (lambda: class_aware_consistency(G, G, V), r"targets must have shape \(2, 5\), shares of classes per clip"),
        (lambda: class_aware_consistency(G, G, G), r"add up to 1, got targets \(2, 5\) with .* sum of 5"),
        (lambda: class_aware_consistency(G, G, G.long()), r"targets of shape \(2, 5\) must be floating-point shares"),
        (lambda: class_aware_consistency(G, G, [0, 1]), "targets must be a tensor, got list"),
        (lambda: class_aware_consistency(G, G, Y, -1.0), "weight must be finite and not negative, got -1.0"),
        (lambda: consistency_terms(G, G, Y, divergence="js"), "divergence must be one of 'kl', 'cross_entropy'"),
    ],
)  # fmt: skip
def test_refusals(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
