"""EmoCo eq. 1, 2, 4 and 5 against their transcriptions."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from fbu.losses import (
    emoco_pretraining,
    emotion_aware_contrast,
    emotion_classification,
    intra_class_normalize,
)

TAU = 0.3
N, C, K, D = 6, 4, 5, 3
LABELS = torch.tensor([0, 2, 1, 0, 2, 2])  # nobody of the last emotion
KINDS = ["queue per emotion", "one queue", "queue per emotion, L2", "one queue, L2"]


def units(*shapes: tuple[int, ...], seed: int = 0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [F.normalize(torch.randn(s, dtype=torch.float64, generator=generator), dim=-1) for s in shapes]


def inputs(kind: str, seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    queues = 1 if kind.startswith("one") else C
    q, k, queue, prototypes = units((N, D), (N, D), (queues, K, D), (C, D), seed=seed)
    return q, k, queue, None if kind.endswith("L2") else prototypes


def direct(
    q: Tensor,
    k: Tensor,
    queue: Tensor,
    labels: Tensor,
    prototypes: Tensor | None,
    temperature: float | Tensor = 0.2,
    own_key_mask: Tensor | None = None,
) -> Tensor:
    """Eq. 5 with every query's negatives picked out: (n, K, D)."""
    negatives = queue[labels] if len(queue) > 1 else queue.expand(len(q), -1, -1)
    if prototypes is not None:
        w = prototypes[labels]
        q, k = F.normalize(q - w, dim=-1), F.normalize(k - w, dim=-1)
        negatives = F.normalize(negatives - w[:, None], dim=-1)
    logits = (q[:, None] * negatives).sum(-1) / temperature
    if own_key_mask is not None:
        logits = logits.masked_fill(own_key_mask, -math.inf)
    every = torch.cat([(q * k).sum(-1, keepdim=True) / temperature, logits], 1)
    return F.cross_entropy(every, torch.zeros(len(q), dtype=torch.long))


# --- eq. 2


def test_classification_equals_the_equation() -> None:
    (q,) = units((N, D))
    weight = torch.randn(C, D, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    expected = 0.0
    for i, y in enumerate(LABELS.tolist()):
        exponentials = [math.exp(float(w @ q[i])) for w in weight]
        expected -= math.log(exponentials[y] / sum(exponentials)) / N
    assert emotion_classification(q, weight, LABELS).item() == pytest.approx(expected, abs=1e-13)
    # The length of a query does not count, that of the weights does.
    assert emotion_classification(7 * q, weight, LABELS).item() == pytest.approx(expected, abs=1e-13)
    assert abs(emotion_classification(q, 7 * weight, LABELS).item() - expected) > 0.1


# --- eq. 4


def test_normalisation_equals_the_equation() -> None:
    z, w = units((N, D), (N, D))
    expected = torch.stack([(z[i] - w[i]) / (z[i] - w[i]).norm() for i in range(N)])
    torch.testing.assert_close(intra_class_normalize(z, w), expected)


def test_a_feature_on_its_prototype_has_no_direction_and_sends_no_gradient() -> None:
    z, w = units((3, D), (3, D))
    z[1] = w[1]
    z.requires_grad_()
    found = intra_class_normalize(z, w)
    assert torch.equal(found[1], torch.zeros(D, dtype=torch.float64))
    (gradient,) = torch.autograd.grad(found.sum(), z)
    assert torch.equal(gradient.abs().sum(1) > 0, torch.tensor([True, False, True]))
    assert gradient.abs().max() < 1e3


# --- eq. 5


@pytest.mark.parametrize("kind", KINDS)
def test_contrast_equals_the_equation(kind: str) -> None:
    q, k, queue, prototypes = inputs(kind)
    expected = 0.0
    for i, y in enumerate(LABELS.tolist()):

        def similarity(key: Tensor, i: int = i, y: int = y) -> float:
            w = torch.zeros(D, dtype=torch.float64) if prototypes is None else prototypes[y]
            one, other = q[i] - w, key - w
            return math.exp(float(one @ other / (one.norm() * other.norm())) / TAU)

        negatives = sum(similarity(key) for key in queue[y % len(queue)])
        expected -= math.log(similarity(k[i]) / (similarity(k[i]) + negatives)) / N
    loss = emotion_aware_contrast(q, k, queue, LABELS, prototypes, TAU)
    assert loss.item() == pytest.approx(expected, abs=1e-13)


def test_contrast_has_the_temperature_of_the_paper() -> None:
    arguments = (*inputs(KINDS[0])[:3], LABELS, inputs(KINDS[0])[3])
    assert torch.equal(emotion_aware_contrast(*arguments), emotion_aware_contrast(*arguments, 0.2))


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_closed_form_is_the_direct_form_with_its_gradient(kind: str, masked: bool) -> None:
    q, k, queue, prototypes = inputs(kind, seed=3)
    q, k = q.requires_grad_(), k.requires_grad_()
    mask = torch.rand(N, K, generator=torch.Generator().manual_seed(2)) < 0.4 if masked else None
    tau = torch.tensor(TAU, requires_grad=True)
    results = []
    for loss in (emotion_aware_contrast, direct):
        value = loss(q, k, queue, LABELS, prototypes, tau, mask)
        results.append([value, *torch.autograd.grad(3 * value, (q, k, tau))])
    for ours, wanted in zip(*results, strict=True):
        torch.testing.assert_close(ours, wanted)


def near_keys(distance: float) -> tuple[Tensor, ...]:
    """A prototype with queries and two of three keys at a distance from it."""
    w, q, steps, far = units((1, 8), (2, 8), (3, 8), (1, 1, 8))
    z = [F.normalize(w + distance * x, dim=-1) for x in (q, q.flip(0), steps)]
    return z[0], z[1], torch.cat([z[2][None], far], 1), w


@pytest.mark.parametrize("distance", [0.3, 1e-1, 1e-2, 1e-3])
def test_keys_close_to_the_prototype_lose_no_digits(distance: float) -> None:
    """In float32 1 - w.k has few digits left; the direct form takes the difference first."""
    q, k, queue, w = near_keys(distance)
    single = [z.float() for z in (q, k, queue)]
    single[0].requires_grad_()
    q = single[0].detach().double().requires_grad_()  # what float32 holds of them, in float64
    labels = torch.zeros(2, dtype=torch.long)
    found = emotion_aware_contrast(*single, labels, w.float())
    wanted = direct(q, *(z.double() for z in single[1:]), labels, w.float().double())
    assert found.item() == pytest.approx(wanted.item(), rel=1e-4)
    (ours,), (theirs,) = torch.autograd.grad(found, single[0]), torch.autograd.grad(wanted, q)
    assert (ours - theirs).norm() < 1e-3 * theirs.norm()


def test_a_key_on_the_prototype_is_at_a_right_angle_to_all() -> None:
    q, k, queue, w = near_keys(0.3)
    queue[0, 1] = w[0]
    q.requires_grad_()
    labels = torch.zeros(2, dtype=torch.long)
    loss = emotion_aware_contrast(q, k, queue, labels, w, TAU)
    assert loss.item() == pytest.approx(direct(q, k, queue, labels, w, TAU).item(), abs=1e-12)
    assert torch.isfinite(torch.autograd.grad(loss, q)[0]).all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_query_all_of_whose_negatives_are_its_own_costs_nothing(kind: str) -> None:
    q, k, queue, prototypes = inputs(kind)
    q.requires_grad_()
    mask = torch.zeros(N, K, dtype=torch.bool)
    mask[1] = True
    loss = emotion_aware_contrast(q, k, queue, LABELS, prototypes, TAU, mask)
    rest = [0, 2, 3, 4, 5]
    others = emotion_aware_contrast(q[rest], k[rest], queue, LABELS[rest], prototypes, TAU)
    assert loss.item() == pytest.approx(others.item() * 5 / 6, abs=1e-13)
    (gradient,) = torch.autograd.grad(loss, q)
    assert torch.equal(gradient.abs().sum(1) > 0, torch.arange(N) != 1) and torch.isfinite(gradient).all()


def test_queue_and_prototypes_are_constants() -> None:
    q, k, queue, prototypes = (z.requires_grad_() for z in inputs(KINDS[0]))
    loss = emotion_aware_contrast(q, k, queue, LABELS, prototypes)
    found = torch.autograd.grad(loss, (q, k, queue, prototypes), allow_unused=True)
    assert [gradient is None for gradient in found] == [False, False, True, True]


def test_a_queue_in_half_precision_counts_as_the_numbers_that_it_holds() -> None:
    q, k, queue, prototypes = inputs(KINDS[0])
    half = queue.bfloat16()
    found = emotion_aware_contrast(q, k, half, LABELS, prototypes, TAU)
    wanted = direct(q, k, half.double(), LABELS, prototypes, TAU)
    assert found.item() == pytest.approx(wanted.item(), abs=1e-13)


def test_no_tensor_of_all_negatives_is_made() -> None:
    """Peak memory of a step: the similarities of one emotion, not (n, K, D)."""
    n, slots, width = 32, 4096, 64
    q, k, queue, w = (z.float() for z in units((n, width), (n, width), (4, slots, width), (4, width)))
    q.requires_grad_()
    activities = [torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=activities, profile_memory=True) as profile:
        emotion_aware_contrast(q, k, queue, torch.arange(n) % 4, w).backward()
    largest = max(event.self_cpu_memory_usage for event in profile.events())
    assert largest < 4 * 2 * n * slots < 4 * n * slots * width / 16


# --- eq. 1


def test_total_composes_the_terms() -> None:
    q, k, queue, _ = inputs(KINDS[0])
    weight = 3 * torch.randn(C, D, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    mask = torch.eye(N, K, dtype=torch.bool)
    total, terms = emoco_pretraining(
        q, k, queue, LABELS, weight, weight=0.7, temperature=TAU, own_key_mask=mask
    )
    emotion = emotion_classification(q, weight, LABELS)
    prototypes = weight / weight.norm(dim=1, keepdim=True)
    contrast = direct(q, k, queue, LABELS, prototypes, TAU, mask)
    assert list(terms) == ["emotion", "contrast"]
    torch.testing.assert_close(terms["emotion"], emotion)
    torch.testing.assert_close(terms["contrast"], contrast)
    torch.testing.assert_close(total, 0.7 * emotion + contrast)


def test_total_has_the_defaults_of_the_paper() -> None:
    q, k, queue, weight = inputs(KINDS[0])
    default, _ = emoco_pretraining(q, k, queue, LABELS, weight)
    explicit, _ = emoco_pretraining(
        q, k, queue, LABELS, weight, weight=1.0, contrast=True, intra_class=True, temperature=0.2
    )
    assert torch.equal(default, explicit)


def test_terms_can_be_switched_off() -> None:
    q, k, queue, weight = inputs(KINDS[0])
    alone, terms = emoco_pretraining(q, None, None, LABELS, weight, weight=2.0, contrast=False)
    assert list(terms) == ["emotion"]
    assert torch.equal(alone, 2 * emotion_classification(q, weight, LABELS))
    alone, terms = emoco_pretraining(q, k, queue, LABELS, None, weight=0.0, intra_class=False)
    assert list(terms) == ["contrast"]
    assert torch.equal(alone, emotion_aware_contrast(q, k, queue, LABELS, None))


def test_prototypes_send_no_gradient_to_the_classifier() -> None:
    q, k, queue, weight = inputs(KINDS[0])
    weight.requires_grad_()
    total, terms = emoco_pretraining(q, k, queue, LABELS, weight)
    (whole,) = torch.autograd.grad(total, weight, retain_graph=True)
    (emotion,) = torch.autograd.grad(terms["emotion"], weight)
    assert torch.equal(whole, emotion) and not terms["contrast"].requires_grad


# --- gradients and precision

LOSSES = {
    "classification": lambda q, k, queue, w: emotion_classification(q, w, LABELS),
    "normalisation": lambda q, k, queue, w: intra_class_normalize(q, w[LABELS]).square().sum(0)[0],
    "contrast": lambda q, k, queue, w: emotion_aware_contrast(q, k, queue, LABELS, w, TAU),
    "contrast, L2": lambda q, k, queue, w: emotion_aware_contrast(q, k, queue, LABELS, None, TAU),
    "one queue": lambda q, k, queue, w: emotion_aware_contrast(q, k, queue[:1], LABELS, w, TAU),
    "total": lambda q, k, queue, w: emoco_pretraining(q, k, queue, LABELS, w, temperature=TAU)[0],
}


@pytest.mark.parametrize("name", LOSSES)
def test_gradcheck(name: str) -> None:
    q, k, queue, w = inputs(KINDS[0])
    pair = (q.requires_grad_(), k.requires_grad_())
    assert torch.autograd.gradcheck(lambda q, k: LOSSES[name](q, k, queue, w) + 0 * k.sum(), pair)


@pytest.mark.parametrize("name", LOSSES)
def test_autocast_changes_nothing(name: str) -> None:
    q, k, queue, w = (z.float() for z in inputs(KINDS[0]))
    q.requires_grad_()
    results = []
    for enabled in (False, True):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            loss = LOSSES[name](q, k, queue, w)
        results.append([loss.detach(), *torch.autograd.grad(loss, q)])
    for plain, cast in zip(*results, strict=True):
        assert plain.dtype == cast.dtype == torch.float32
        assert torch.isfinite(plain).all() and torch.equal(plain, cast)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("name", LOSSES)
def test_half_features_are_computed_in_float32(name: str, dtype: torch.dtype) -> None:
    features = [z.to(dtype) for z in inputs(KINDS[0])]
    wide = torch.float64 if dtype == torch.float64 else torch.float32
    loss = LOSSES[name](*features)
    assert loss.dtype == wide
    assert torch.equal(loss, LOSSES[name](*[z.to(wide) for z in features]))


# --- invariances


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31 - 1), kind=st.sampled_from(KINDS), rows=st.integers(1, N))
def test_order_of_batch_slots_and_emotions_does_not_matter(seed: int, kind: str, rows: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    q, k, queue, prototypes = inputs(kind, seed=seed)
    q, k, labels = q[:rows], k[:rows], torch.randint(C, (rows,), generator=generator)
    mask = torch.rand(rows, K, generator=generator) < 0.3
    before = emotion_aware_contrast(q, k, queue, labels, prototypes, TAU, mask)
    order, slots = torch.randperm(rows, generator=generator), torch.randperm(K, generator=generator)
    moved = emotion_aware_contrast(
        q[order], k[order], queue[:, slots], labels[order], prototypes, TAU, mask[order][:, slots]
    )
    torch.testing.assert_close(moved, before)
    names = torch.randperm(C, generator=generator)  # emotion c is called names[c] now
    renamed = emotion_aware_contrast(
        q,
        k,
        queue[names.argsort()] if len(queue) > 1 else queue,
        names[labels],
        None if prototypes is None else prototypes[names.argsort()],
        TAU,
        mask,
    )
    torch.testing.assert_close(renamed, before)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31 - 1), kind=st.sampled_from(KINDS))
def test_other_emotions_and_rotations_do_not_matter(seed: int, kind: str) -> None:
    generator = torch.Generator().manual_seed(seed)
    q, k, queue, prototypes = inputs(kind, seed=seed)
    before = emotion_aware_contrast(q, k, queue, LABELS, prototypes, TAU)
    turn = torch.linalg.qr(torch.randn(D, D, dtype=torch.float64, generator=generator))[0]
    turned = [None if z is None else z @ turn for z in (q, k, queue, prototypes)]
    torch.testing.assert_close(
        emotion_aware_contrast(turned[0], turned[1], turned[2], LABELS, turned[3], TAU), before
    )
    if len(queue) > 1:  # nobody shows the last emotion
        queue[-1] = queue[-1].flip(-1)
        torch.testing.assert_close(emotion_aware_contrast(q, k, queue, LABELS, prototypes, TAU), before)


# --- errors

Z, W, Q = torch.ones(4, 8), torch.ones(3, 8), torch.ones(3, 5, 8)
Y = torch.tensor([0, 1, 2, 2])
ERRORS = {
    "classification width": (emotion_classification, (Z, W[:, :4], Y), r"q \(4, 8\), weight \(3, 4\)"),
    "classification without rows": (emotion_classification, (Z[:0], W, Y[:0]), r"q must be .* q \(0, 8\)"),
    "classification range": (emotion_classification, (Z, W, Y + 1), r"labels must lie in 0..2, .* 1 to 3"),
    "classification kind": (emotion_classification, (Z, W, Y.float()), "labels must be integers"),
    "normalisation rows": (intra_class_normalize, (Z, W), r"prototypes must have one row per row of z"),
    "normalisation kind": (intra_class_normalize, (Z.long(), Z), "z must be a floating-point tensor"),
    "contrast keys": (
        emotion_aware_contrast,
        (Z, W, Q, Y, W),
        r"k must have one row per row of q, got q \(4, 8\), k \(3, 8\)",
    ),
    "contrast queue": (emotion_aware_contrast, (Z, Z, Q[0], Y, W), r"queue must be .* queue \(5, 8\)"),
    "contrast empty queue": (
        emotion_aware_contrast,
        (Z, Z, Q[:, :0], Y, W),
        r"none of them 0, .* \(3, 0, 8\)",
    ),
    "contrast list": (emotion_aware_contrast, (Z, Z, [Q], Y, W), "queue must be .* got list"),
    "contrast width": (
        emotion_aware_contrast,
        (Z, Z, Q[..., :4], Y, W),
        r"queue must be as wide as q .* queue \(3, 5, 4\), q \(4, 8\)",
    ),
    "contrast device": (emotion_aware_contrast, (Z, Z, Q.to("meta"), Y, W), "queue on meta, q on cpu"),
    "contrast prototypes": (
        emotion_aware_contrast,
        (Z, Z, Q, Y, W[:2]),
        r"prototypes must have one row per queue, got prototypes \(2, 8\), queue \(3, 5, 8\)",
    ),
    "contrast labels": (emotion_aware_contrast, (Z, Z, Q, Y[:3], W), r"labels must have shape \(4,\)"),
    "contrast range": (emotion_aware_contrast, (Z, Z, Q[:1], Y + 1, W), r"labels must lie in 0..2"),
    "contrast range of queues": (emotion_aware_contrast, (Z, Z, Q, Y + 1, None), r"labels must lie in 0..2"),
    "contrast temperature": (emotion_aware_contrast, (Z, Z, Q, Y, W, 0.0), "temperature must be positive"),
    "contrast mask shape": (
        emotion_aware_contrast,
        (Z, Z, Q, Y, W, 0.2, torch.ones(4, 4, dtype=torch.bool)),
        r"own_key_mask must have shape \(4, 5\), .* own_key_mask \(4, 4\)",
    ),
    "contrast mask kind": (
        emotion_aware_contrast,
        (Z, Z, Q, Y, W, 0.2, torch.ones(4, 5)),
        "own_key_mask must be boolean, got torch.float32",
    ),
}


@pytest.mark.parametrize(("loss", "arguments", "message"), ERRORS.values(), ids=ERRORS)
def test_errors_name_the_argument_and_what_came(loss, arguments: tuple, message: str) -> None:  # noqa: ANN001
    with pytest.raises(ValueError, match=message):
        loss(*arguments)


TOTAL_ERRORS = {
    "negative": ({"weight": -1.0}, "weight must be finite and not negative, got -1.0"),
    "nothing": ({"weight": 0.0, "contrast": False}, "nothing is left of the loss"),
    "keys": ({"k": None}, "k must be given with .* contrast=True"),
    "queue": ({"queue": None}, "queue must be given"),
    "classifier": ({"classifier": None}, "classifier must be given with weight=1.0"),
    "prototypes": ({"classifier": None, "weight": 0.0}, "classifier must be given with .* intra_class=True"),
}


@pytest.mark.parametrize(("change", "message"), TOTAL_ERRORS.values(), ids=TOTAL_ERRORS)
def test_errors_of_the_total(change: dict, message: str) -> None:
    arguments = {"q": Z, "k": Z, "queue": Q, "labels": Y, "classifier": W}
    with pytest.raises(ValueError, match=message):
        emoco_pretraining(**(arguments | change))
