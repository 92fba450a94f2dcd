"""Supervised contrast between two sets of features of the same samples.

Symbols: N samples, D width, tau temperature.
"""

from typing import Any, Literal

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from fbu.losses._checks import (
    check_choice,
    check_features,
    check_integers,
    check_reduction,
    check_rows,
    check_scale,
    check_shape,
)
from fbu.losses._numerics import Reduction, full_precision, reduce, scalar, unit

Normalizer = Literal["printed", "positives"]


def cross_modal_supcon(
    z_a: Tensor,
    z_b: Tensor,
    labels: Tensor,
    *,
    temperature: float | Tensor = 0.25,
    normalizer: Normalizer = "printed",
    reduction: Reduction = "mean",
    chunk: int | None = None,
) -> Tensor:
    """Cross-modal supervised contrastive loss (CLEF Eq. 1, after SupCon Eq. 2).

    Each row of ``z_a`` is an anchor. It is compared with all 2N features of both sets, itself
    excepted, and drawn to those of its own class::

        loss_i = -1/(2 N_i)  sum_{j in J_i}  log( exp(z_i.z_j / tau) / sum_{k != i} exp(z_i.z_k / tau) )

    J_i are the other features that share the label of i, N_i the samples of its class, itself included.
    Row i of ``z_b`` is always in J_i, so no anchor lacks a positive and no epsilon is needed.

    Two things to know. CLEF prints 2 N_i as divisor although J_i has 2 N_i - 1 members;
    ``normalizer="positives"`` divides by that number instead, as SupCon does. And the anchors come from
    ``z_a`` only, as printed: for a symmetric loss average both orders of the arguments.

    Args:
        z_a: (N, D) raw features, e.g. of images; brought to unit length here.
        z_b: (N, D) raw features of another view or modality; row i belongs to the same sample.
        labels: (N,) integers, e.g. activity ids; which integers they are does not matter.
        temperature: tau > 0. A model that learns it passes its tensor, which then receives gradient; the
            value of a tensor is not checked.
        normalizer: what divides the sum of an anchor: "printed" 2 N_i, or "positives" 2 N_i - 1.
        reduction: "mean" over anchors, "sum" as printed in the paper, or "none" for the (N,) losses.
        chunk: anchors compared at a time. None keeps all (N, 2N) similarities for the backward pass; a
            number keeps (chunk, 2N) and computes them again there: same values and first derivatives,
            memory O(chunk N) instead of O(N^2), one matrix product more.

    Returns:
        Scalar, or (N,) for "none", on the device of ``z_a``. float32 for half-precision features, also
        under autocast; float64 stays float64.

    Raises:
        ValueError: features that are empty, not floating point or of unequal shape, labels that are not
            N integers, a temperature or chunk that is not positive, an unknown normalizer or reduction.

    Example:
        Two orthogonal samples, each equal to its partner: log(1 + 2/e) / 2.

        >>> z = torch.eye(2)
        >>> cross_modal_supcon(z, z, torch.tensor([0, 1]), temperature=1.0)
        tensor(0.2757)
        >>> cross_modal_supcon(z, z, torch.tensor([0, 1]), temperature=1.0, normalizer="positives")
        tensor(0.5514)
        >>> cross_modal_supcon(z, z, torch.tensor([0, 1]), temperature=1.0, reduction="none", chunk=1)
        tensor([0.2757, 0.2757])
    """
    _check(z_a, z_b, labels, temperature, normalizer, reduction, chunk)
    with full_precision(z_a):
        z_a, z_b = unit(z_a, z_b)
        anchors = z_a / scalar(temperature, z_a)  # (N, D), so that anchors @ z.T are the logits
        _, group, size = labels.unique(return_inverse=True, return_counts=True)
        n_class = size[group]  # (N,) N_i
        # The logits of the positives add up to one product with the sum of the class: no (N, 2N) mask.
        totals = z_a.new_zeros(len(size), z_a.shape[1]).index_add(0, group, z_a + z_b)
        positive = (anchors * (totals.index_select(0, group) - z_a)).sum(1)  # (N,) over J_i
        log_partition = _log_partition(anchors, torch.cat([z_a, z_b]), chunk)  # (N,)
        divisor = 2 * n_class - int(normalizer == "positives")
        return reduce(((2 * n_class - 1) * log_partition - positive) / divisor, reduction)


def _check(
    z_a: Tensor,
    z_b: Tensor,
    labels: Tensor,
    temperature: float | Tensor,
    normalizer: str,
    reduction: str,
    chunk: int | None,
) -> None:
    check_features(z_a=z_a, z_b=z_b)
    check_rows("z_a", z_a=z_a, z_b=z_b)
    check_shape("labels", labels, (len(z_a),), "one label per row of z_a", z_a=z_a)
    check_integers("labels", labels)
    check_scale("temperature", temperature)
    check_choice("normalizer", normalizer, ("printed", "positives"))
    check_reduction(reduction)
    if chunk is not None and chunk < 1:
        raise ValueError(f"chunk must be None or at least 1, got {chunk}")


def _log_partition(anchors: Tensor, z: Tensor, chunk: int | None) -> Tensor:
    """log sum_{k != i} exp(anchors_i . z_k) for each anchor i: (N, D), (M, D) -> (N,)."""
    if chunk is None:
        return _logits(anchors, z, first=0).logsumexp(1)
    return _ChunkedLogPartition.apply(anchors, z, chunk)


def _logits(anchors: Tensor, z: Tensor, first: int) -> Tensor:
    """(n, M) similarities; row i is sample ``first + i``, whose own entry becomes -inf."""
    logits = anchors @ z.T
    logits.diagonal(first).fill_(-torch.inf)
    return logits


class _ChunkedLogPartition(torch.autograd.Function):
    """Log partition by rows: keeps its (N,) results and computes the similarities again going backward."""

    @staticmethod
    def forward(ctx: Any, anchors: Tensor, z: Tensor, chunk: int) -> Tensor:
        rows = range(0, len(anchors), chunk)
        result = torch.cat([_logits(anchors[i : i + chunk], z, i).logsumexp(1) for i in rows])
        ctx.save_for_backward(anchors, z, result)
        ctx.chunk = chunk
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        anchors, z, result = ctx.saved_tensors
        grad_anchors, grad_z = torch.empty_like(anchors), torch.zeros_like(z)
        with full_precision(anchors):
            for i in range(0, len(anchors), ctx.chunk):
                rows = slice(i, i + ctx.chunk)
                softmax = _logits(anchors[rows], z, i).sub_(result[rows, None]).exp_()  # 0 at self
                weight = softmax.mul_(grad[rows, None])
                torch.mm(weight, z, out=grad_anchors[rows])
                grad_z.addmm_(weight.T, anchors[rows])
        return grad_anchors, grad_z, None
