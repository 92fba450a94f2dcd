"""cross_modal_supcon against CLEF eq. 1, written out with loops."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from fbu.losses import cross_modal_supcon

LABELS = {
    "mixed": [0, 2, 0, 1, 2, 0],
    "one class": [5, 5, 5, 5],
    "all distinct": [3, -1, 7, 0, 2],
    "one sample": [4],
}


def draw(labels: list[int], width: int = 3, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(2, len(labels), width, dtype=torch.float64, generator=generator)
    return z[0], z[1], torch.tensor(labels)


def transcription(z_a: Tensor, z_b: Tensor, labels: Tensor, tau: float, normalizer: str) -> list[float]:
    """Eq. 1 term by term: i over anchors, j over positives, k over everything but i."""
    z = [row / row.norm() for row in [*z_a, *z_b]]
    y = labels.tolist() * 2
    n = len(labels)
    losses = []
    for i in range(n):
        total, positives = 0.0, 0
        for j in range(2 * n):
            if j == i or y[j] != y[i]:
                continue
            partition = sum(math.exp(float(z[i] @ z[k]) / tau) for k in range(2 * n) if k != i)
            total += math.log(math.exp(float(z[i] @ z[j]) / tau) / partition)
            positives += 1
        printed = 2 * sum(y[k] == y[i] for k in range(n))
        losses.append(-total / (printed if normalizer == "printed" else positives))
    return losses


@pytest.mark.parametrize("tau", [0.07, 0.25, 1.0])
@pytest.mark.parametrize("normalizer", ["printed", "positives"])
@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
def test_equals_the_equation(labels: list[int], normalizer: str, tau: float) -> None:
    z_a, z_b, y = draw(labels)
    expected = torch.tensor(transcription(z_a, z_b, y, tau, normalizer), dtype=torch.float64)
    options = {"temperature": tau, "normalizer": normalizer}
    torch.testing.assert_close(cross_modal_supcon(z_a, z_b, y, reduction="none", **options), expected)
    torch.testing.assert_close(cross_modal_supcon(z_a, z_b, y, reduction="sum", **options), expected.sum())
    torch.testing.assert_close(cross_modal_supcon(z_a, z_b, y, **options), expected.mean())


def test_defaults_are_those_of_the_paper_with_a_mean() -> None:
    z_a, z_b, y = draw(LABELS["mixed"])
    expected = sum(transcription(z_a, z_b, y, 0.25, "printed")) / len(y)
    assert cross_modal_supcon(z_a, z_b, y).item() == pytest.approx(expected, rel=1e-12)


def test_value_by_hand_two_orthogonal_samples() -> None:
    z = torch.eye(2, dtype=torch.float64)
    loss = cross_modal_supcon(z, z, torch.tensor([0, 1]), temperature=1.0)
    assert loss.item() == pytest.approx(math.log(1 + 2 / math.e) / 2, abs=1e-14)


def test_value_by_hand_one_class() -> None:
    # Every anchor: one positive at similarity 1 and two at 0, out of e + 2.
    z = torch.eye(2, dtype=torch.float64)
    loss = cross_modal_supcon(z, z, torch.tensor([9, 9]), temperature=1.0, reduction="sum")
    assert loss.item() == pytest.approx(2 * (3 * math.log(math.e + 2) - 1) / 4, abs=1e-14)


def test_single_sample_has_loss_zero() -> None:
    # Its partner is both the only positive and the only comparison.
    z_a, z_b, y = draw(LABELS["one sample"])
    assert cross_modal_supcon(z_a, z_b, y).item() == pytest.approx(0, abs=1e-14)


def test_normaliser_against_print() -> None:
    z_a, z_b, y = draw(LABELS["mixed"])
    printed = cross_modal_supcon(z_a, z_b, y, reduction="none")
    positives = cross_modal_supcon(z_a, z_b, y, reduction="none", normalizer="positives")
    n_class = (y[:, None] == y).sum(1)
    torch.testing.assert_close(printed / positives, (2 * n_class - 1) / (2.0 * n_class), check_dtype=False)


def test_anchors_come_from_the_first_argument_only() -> None:
    z_a, z_b, y = draw(LABELS["mixed"])
    one, other = cross_modal_supcon(z_a, z_b, y), cross_modal_supcon(z_b, z_a, y)
    assert abs(one - other) > 1e-3


OPTIONS = list(itertools.product(["printed", "positives"], ["mean", "sum", "none"], [None, 2]))


@pytest.mark.parametrize(("normalizer", "reduction", "chunk"), OPTIONS)
def test_gradcheck(normalizer: str, reduction: str, chunk: int | None) -> None:
    z_a, z_b, y = draw([0, 1, 0, 2, 1])
    tau = torch.tensor(0.4, dtype=torch.float64, requires_grad=True)

    def loss(z_a: Tensor, z_b: Tensor, tau: Tensor) -> Tensor:
        return cross_modal_supcon(
            z_a, z_b, y, temperature=tau, normalizer=normalizer, reduction=reduction, chunk=chunk
        )

    assert torch.autograd.gradcheck(loss, (z_a.requires_grad_(), z_b.requires_grad_(), tau))


@pytest.mark.parametrize("detached", ["z_a", "z_b"])
def test_gradient_of_either_input_alone(detached: str) -> None:
    # A text tower or a queue is often frozen: the other side must keep its gradient, chunked or not.
    z_a, z_b, y = draw(LABELS["mixed"])
    live = z_b if detached == "z_a" else z_a
    live.requires_grad_()
    whole, chunked = (
        torch.autograd.grad(cross_modal_supcon(z_a, z_b, y, chunk=chunk), live)[0] for chunk in (None, 4)
    )
    assert whole.abs().sum() > 1e-2
    torch.testing.assert_close(chunked, whole, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 12, 13, 100])
def test_chunks_change_neither_value_nor_gradient(chunk: int) -> None:
    generator = torch.Generator().manual_seed(1)
    z = torch.randn(2, 13, 5, dtype=torch.float64, generator=generator)
    y = torch.randint(0, 4, (13,), generator=generator)
    upstream = torch.randn(13, dtype=torch.float64, generator=generator)  # rows weigh differently
    results = []
    for size in (None, chunk):
        z_a, z_b = z[0].clone().requires_grad_(), z[1].clone().requires_grad_()
        tau = torch.tensor(0.1, dtype=torch.float64, requires_grad=True)
        loss = cross_modal_supcon(z_a, z_b, y, temperature=tau, reduction="none", chunk=size)
        results.append([loss.detach(), *torch.autograd.grad(loss, (z_a, z_b, tau), upstream)])
    for whole, chunked in zip(*results, strict=True):
        torch.testing.assert_close(chunked, whole, rtol=1e-12, atol=1e-12)


class Largest(TorchDispatchMode):
    """Remembers the number of elements of the largest tensor that any operation returned."""

    numel = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # noqa: ANN001, ANN204
        out = func(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, tuple | list) else [out]:
            if isinstance(tensor, Tensor):
                self.numel = max(self.numel, tensor.numel())
        return out


@pytest.mark.parametrize(("chunk", "rows"), [(None, 256), (8, 8)])
def test_chunks_bound_the_memory_of_both_passes(chunk: int | None, rows: int) -> None:
    z_a, z_b = torch.randn(2, 256, 4).unbind()
    saved = []
    with (
        Largest() as largest,
        torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t.numel()) or t, lambda t: t),
    ):
        loss = cross_modal_supcon(z_a.requires_grad_(), z_b, torch.arange(256) % 7, chunk=chunk)
        loss.backward()
    assert largest.numel == rows * 512  # one block of similarities, never more
    assert (max(saved) > 2048) == (chunk is None)  # kept for the backward pass: the features, not the block


def test_gradient_reaches_a_learned_temperature() -> None:
    z_a, z_b, y = draw(LABELS["mixed"])
    log_tau = torch.nn.Parameter(torch.tensor([-1.4]))  # float32, (1,), beside float64
    loss = cross_modal_supcon(z_a.requires_grad_(), z_b, y, temperature=log_tau.exp())
    loss.backward()
    assert loss.shape == () and loss.dtype == torch.float64
    step = 1e-4
    up, down = (cross_modal_supcon(z_a, z_b, y, temperature=math.exp(-1.4 + s)) for s in (step, -step))
    assert log_tau.grad is not None
    assert log_tau.grad.item() == pytest.approx((up - down).item() / (2 * step), rel=1e-4)


samples = st.integers(0, 2**31 - 1)


@settings(max_examples=25, deadline=None)
@given(seed=samples, n=st.integers(1, 9), classes=st.integers(1, 4), chunk=st.sampled_from([None, 2]))
def test_invariances(seed: int, n: int, classes: int, chunk: int | None) -> None:
    generator = torch.Generator().manual_seed(seed)
    y = torch.randint(0, classes, (n,), generator=generator)
    z_a, z_b, _ = draw(y.tolist(), width=4, seed=seed)
    loss = cross_modal_supcon(z_a, z_b, y, reduction="none", chunk=chunk)

    order = torch.randperm(n, generator=generator)
    permuted = cross_modal_supcon(z_a[order], z_b[order], y[order], reduction="none", chunk=chunk)
    torch.testing.assert_close(permuted, loss[order])

    scale = 10 ** (6 * torch.rand(2, n, 1, generator=generator, dtype=torch.float64) - 3)
    scaled = cross_modal_supcon(z_a * scale[0], z_b * scale[1], y, reduction="none", chunk=chunk)
    torch.testing.assert_close(scaled, loss)

    names = torch.randperm(100, generator=generator)[:classes] - 50
    renamed = cross_modal_supcon(z_a, z_b, names[y], reduction="none", chunk=chunk)
    torch.testing.assert_close(renamed, loss)


@pytest.mark.parametrize("chunk", [None, 2])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_half_features_are_computed_in_float32(dtype: torch.dtype, chunk: int | None) -> None:
    z_a, z_b, y = draw(LABELS["mixed"])
    z_a, z_b = z_a.to(dtype), z_b.to(dtype)
    loss = cross_modal_supcon(z_a, z_b, y, temperature=0.01, chunk=chunk)
    wide = torch.float64 if dtype == torch.float64 else torch.float32
    expected = cross_modal_supcon(z_a.to(wide), z_b.to(wide), y, temperature=0.01, chunk=chunk)
    assert loss.dtype == wide
    assert torch.equal(loss, expected)


@pytest.mark.parametrize("chunk", [None, 2])
@pytest.mark.parametrize("tau", [0.25, 1e-4])
def test_autocast_changes_nothing(tau: float, chunk: int | None) -> None:
    z_a, z_b, y = (t.float() if t.is_floating_point() else t for t in draw(LABELS["mixed"]))
    z_a.requires_grad_()
    results = []
    for enabled in (False, True):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            loss = cross_modal_supcon(z_a, z_b, y, temperature=tau, chunk=chunk)
        results.append((loss.detach(), torch.autograd.grad(loss, z_a)[0]))
    (plain, plain_grad), (cast, cast_grad) = results
    assert torch.isfinite(plain) and torch.isfinite(plain_grad).all()
    assert torch.equal(cast, plain) and torch.equal(cast_grad, plain_grad)


def test_chunked_backward_inside_autocast_stays_in_float32() -> None:
    z_a, z_b, y = (t.float() if t.is_floating_point() else t for t in draw(LABELS["mixed"]))
    z_a.requires_grad_()
    (outside,) = torch.autograd.grad(cross_modal_supcon(z_a, z_b, y, chunk=2), z_a)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        (inside,) = torch.autograd.grad(cross_modal_supcon(z_a, z_b, y, chunk=2), z_a)
    torch.testing.assert_close(inside, outside, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("chunk", [None, 1])
def test_collapsed_features_keep_finite_gradients(chunk: int | None) -> None:
    z_a = torch.zeros(4, 3, requires_grad=True)  # no direction at all
    z_b = torch.ones(4, 3, requires_grad=True)
    loss = cross_modal_supcon(z_a, z_b, torch.tensor([0, 0, 1, 1]), chunk=chunk)
    loss.backward()
    assert loss.item() == pytest.approx(0.75 * math.log(7), rel=1e-6)  # seven equal comparisons
    assert all(torch.isfinite(z.grad).all() for z in (z_a, z_b))


Z, Y = torch.ones(4, 8), torch.zeros(4, dtype=torch.long)
ERRORS = {
    "rows": ({"z_b": Z[:3]}, r"z_b must have one row per row of z_a, got z_a \(4, 8\), z_b \(3, 8\)"),
    "width": ({"z_b": Z[:, :5]}, r"share their width, got z_a \(4, 8\), z_b \(4, 5\)"),
    "empty": ({"z_a": Z[:0], "z_b": Z[:0], "labels": Y[:0]}, r"z_a must be .* got z_a \(0, 8\)"),
    "no width": ({"z_a": Z[:, :0], "z_b": Z[:, :0]}, r"z_a must be .* got z_a \(4, 0\)"),
    "one axis": ({"z_a": Z[0]}, r"z_a must be \(rows, width\).* got z_a \(8,\)"),
    "whole numbers": ({"z_b": Z.long()}, r"z_b must be a floating-point tensor, got torch.int64"),
    "no tensor": ({"z_a": [[1.0]]}, r"z_a must be a floating-point tensor, got list"),
    "other device": ({"z_b": Z.to("meta")}, r"one device, got z_a on cpu, z_b on meta"),
    "labels' shape": ({"labels": Y[:, None]}, r"labels must have shape .* got labels \(4, 1\), z_a \(4, 8\)"),
    "labels' type": ({"labels": [0, 0, 0, 0]}, r"labels must be a tensor of shape \(4,\).* got list"),
    "labels' dtype": ({"labels": Y.float()}, r"labels must be integers, got torch.float32 of shape \(4,\)"),
    "zero temperature": ({"temperature": 0.0}, r"temperature must be positive and finite, got 0.0"),
    "no temperature": ({"temperature": math.nan}, r"temperature must be positive and finite, got nan"),
    "temperatures": ({"temperature": torch.ones(4)}, r"temperature must .* got temperature \(4,\)"),
    "normalizer": ({"normalizer": "count"}, r"normalizer must be one of 'printed', 'positives', got 'count'"),
    "reduction": ({"reduction": "avg"}, r"reduction must be one of 'mean', 'sum', 'none', got 'avg'"),
    "chunk": ({"chunk": 0}, r"chunk must be None or at least 1, got 0"),
}


@pytest.mark.parametrize(("change", "message"), ERRORS.values(), ids=ERRORS)
def test_errors_name_the_argument_and_what_came(change: dict, message: str) -> None:
    arguments = {"z_a": Z, "z_b": Z, "labels": Y} | change
    with pytest.raises(ValueError, match=message):
        cross_modal_supcon(arguments.pop("z_a"), arguments.pop("z_b"), arguments.pop("labels"), **arguments)
