"""Losses of DK-CLIP (MM 2024), equations 9 to 11.

Symbols: n clips, N snippets of each, C classes, D width; s are the features of snippets, v that of a clip, a* the
normalised similarities of both, theta the threshold below which a snippet counts as noise.
"""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from fbu.losses._checks import (
    check_choice,
    check_classes,
    check_features,
    check_integers,
    check_shape,
    shapes,
)
from fbu.losses._directions import wide
from fbu.losses._numerics import full_precision, unit

Fused = Literal["logits", "probabilities"]
Divergence = Literal["kl", "cross_entropy"]


def snippet_scores(snippets: Tensor, whole: Tensor) -> Tensor:
    """Normalised similarities a* of snippets with their clip (DK-CLIP Eq. 9).

    ::

        a_n  = cos(s_n, v)
        a*_n = exp(x_n) / sum_m exp(x_m),    x_n = (a_n - min a) / (max a - min a)

    The paper does not say how similarities are normalised; scaling by their range and softmax are the authors' code.
    x lies in 0..1, so a* depends on the order and spacing of the similarities alone: for N = 4 the least similar
    snippet always has between 0.109 and 0.175, the most similar one between 0.297 and 0.475. Where all are equally
    similar (to the precision of their dtype) x is 0 for all: a* is 1/N and sends no gradient.

    Args:
        snippets: (n, N, D) raw features of snippets.
        whole: (n, D) raw features of the clips.

    Returns:
        (n, N), rows that add up to 1; float32 for half-precision features, float64 stays float64.

    Raises:
        ValueError: features that are empty, not floating point, or do not fit each other.

    Example:
        >>> snippets = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
        >>> snippet_scores(snippets, torch.tensor([[2.0, 0.0]]))  # exp(1) : exp(0)
        tensor([[0.7311, 0.2689]])
    """
    _check_snippets("snippets", snippets)
    check_features(whole=whole)
    if whole.shape != (snippets.shape[0], snippets.shape[2]) or whole.device != snippets.device:
        raise ValueError(
            f"whole must be (clips, width) of snippets and beside it, got {shapes(whole=whole, snippets=snippets)}"
        )
    with full_precision(snippets):
        snippets, whole = wide(snippets, whole)
        s, v = unit(snippets, whole)
        similarity = (s @ v[:, :, None]).squeeze(2)  # (n, N)
        low, high = similarity.amin(1, keepdim=True), similarity.amax(1, keepdim=True)
        tied = high - low <= 8 * torch.finfo(similarity.dtype).eps
        span = torch.where(tied, torch.ones_like(low), high - low)
        return ((similarity - low) / span).masked_fill(tied, 0).softmax(1)


def fuse_snippets(local_logits: Tensor, scores: Tensor, threshold: float, *, of: Fused = "logits") -> Tensor:
    """One local prediction from those of a clip's snippets, noisy ones erased (DK-CLIP Eq. 9 and 10).

    ::

        p_l = sum_{n: a*_n >= theta} a*_n p_n

    The weights of the snippets that are kept are not brought to a sum of 1 again, as in the authors' code. The paper
    calls the p_n predictions; its authors fuse logits, which is the default here. Eq. 10 over no snippet at all, which
    can happen where theta is above 1/N, is an empty sum: 0 for every class, which for logits is the uniform prediction.

    Args:
        local_logits: (n, N, C) logits of the snippets.
        scores: (n, N) a*, e.g. of :func:`fbu.losses.snippet_scores`. Gradient flows through them as weights; which are
            kept is no smooth choice and sends none.
        threshold: theta; 0.15 in the paper. A score that equals it is kept.
        of: "logits" are fused, or the "probabilities" that they stand for.

    Returns:
        (n, C) fused logits, or fused probabilities, whose sum is that of the weights kept; float32 for half-precision
        inputs, float64 stays float64.

    Raises:
        ValueError: logits that are empty, not floating point or not (n, N, C), scores that do not fit them, a threshold
            that is not finite, an unknown ``of``.

    Example:
        >>> logits = torch.tensor([[[4.0, 0.0], [0.0, 8.0]]])
        >>> fuse_snippets(logits, torch.tensor([[0.75, 0.25]]), 0.15)
        tensor([[3., 2.]])
        >>> fuse_snippets(logits, torch.tensor([[0.9, 0.1]]), 0.15)  # the second is noise
        tensor([[3.6000, 0.0000]])
    """
    _check_snippets("local_logits", local_logits)
    check_shape("scores", scores, tuple(local_logits.shape[:2]), "one per snippet", local_logits=local_logits)
    if not scores.is_floating_point():
        raise ValueError(f"scores must be floating point, got {scores.dtype}")
    if not math.isfinite(threshold):
        raise ValueError(f"threshold must be finite, got {threshold}")
    check_choice("of", of, ("logits", "probabilities"))
    with full_precision(local_logits):
        local, weights = wide(local_logits, scores)
        weights = weights.masked_fill(scores < threshold, 0)  # compared as given: rounding must not decide
        if of == "probabilities":
            local = local.softmax(-1)
        return (weights[:, None] @ local).squeeze(1)


def consistency_terms(
    global_logits: Tensor,
    local_logits: Tensor,
    targets: Tensor,
    *,
    divergence: Divergence = "kl",
) -> dict[str, Tensor]:
    """The three terms of class-aware consistency (DK-CLIP Eq. 11), before weighting.

    Args:
        global_logits: (n, C) of the clips.
        local_logits: (n, C), fused from the snippets.
        targets: (n,) integer classes, or (n, C) shares of classes that add up to 1 (mixtures, label smoothing).
        divergence: "kl", KL(p_g || p_l) as the paper says, or "cross_entropy", -sum p_g log p_l as in the authors'
            code, which differs by the entropy of p_g and so rewards certainty, too.

    Returns:
        "global" and "local", the cross-entropies L_g and L_l, and "divergence", L_k; scalars, means over the batch.

    Raises:
        ValueError: as :func:`fbu.losses.class_aware_consistency`, or an unknown divergence.

    Example:
        >>> logits = torch.tensor([[0.0, 0.0]])
        >>> terms = consistency_terms(logits, logits, torch.tensor([1]), divergence="cross_entropy")
        >>> {name: round(float(term), 4) for name, term in terms.items()}
        {'global': 0.6931, 'local': 0.6931, 'divergence': 0.6931}
    """
    check_choice("divergence", divergence, ("kl", "cross_entropy"))
    _check_predictions(global_logits, local_logits, targets)
    with full_precision(global_logits):
        every, local = (z.log_softmax(1) for z in wide(global_logits, local_logits))
        shares = targets.to(every.dtype) if targets.ndim == 2 else targets.long()
        apart = (every - local if divergence == "kl" else -local) * every.exp()
        return {
            "global": _cross_entropy(every, shares),
            "local": _cross_entropy(local, shares),
            "divergence": apart.sum(1).mean(),
        }


def class_aware_consistency(
    global_logits: Tensor, local_logits: Tensor, targets: Tensor, weight: float = 1.0
) -> Tensor:
    """Classification of clips and of their snippets, and agreement of both (DK-CLIP Eq. 11).

    ::

        L = L_g + lambda (L_l + L_k),    L_k = KL(p_g || p_l)

    L_g and L_l are the cross-entropies of the global and of the local prediction. Gradient flows into both sides of
    L_k. :func:`fbu.losses.consistency_terms` gives the terms one by one.

    Args:
        global_logits: (n, C) of the clips.
        local_logits: (n, C), fused from the snippets by :func:`fbu.losses.fuse_snippets`; for probabilities their
            logarithm.
        targets: (n,) integer classes, or (n, C) shares of classes that add up to 1. The range is checked on the CPU.
        weight: lambda >= 0; the paper does not state it.

    Returns:
        Scalar, the mean over the batch; float32 for half-precision logits, float64 stays float64.

    Raises:
        ValueError: logits that are empty, not floating point or of unequal shape, targets of the wrong shape or kind or
            out of range, a weight that is negative or not finite.

    Example:
        >>> same = torch.tensor([[2.0, 0.0]])
        >>> class_aware_consistency(same, same, torch.tensor([0]))  # 2 log(1 + exp(-2)) + 0
        tensor(0.2539)
    """
    if not (math.isfinite(weight) and weight >= 0):
        raise ValueError(f"weight must be finite and not negative, got {weight}")
    terms = consistency_terms(global_logits, local_logits, targets)
    return terms["global"] + weight * (terms["local"] + terms["divergence"])


def _cross_entropy(log_prob: Tensor, targets: Tensor) -> Tensor:
    """Of log probabilities (n, C) with classes (n,) or shares (n, C)."""
    if targets.ndim == 1:
        return F.nll_loss(log_prob, targets)
    return -(targets * log_prob).sum(1).mean()


def _check_snippets(name: str, value: Tensor) -> None:
    if not isinstance(value, Tensor) or not value.is_floating_point():
        kind = value.dtype if isinstance(value, Tensor) else type(value).__name__
        raise ValueError(f"{name} must be a floating-point tensor, got {kind}")
    if value.dim() != 3 or not value.numel():
        raise ValueError(
            f"{name} must be (clips, snippets, width), none of them 0, got {shapes(**{name: value})}"
        )


def _check_predictions(global_logits: Tensor, local_logits: Tensor, targets: Tensor) -> None:
    check_features(global_logits=global_logits, local_logits=local_logits)
    of = "as global_logits"
    check_shape("local_logits", local_logits, tuple(global_logits.shape), of, global_logits=global_logits)
    if not isinstance(targets, Tensor):
        raise ValueError(f"targets must be a tensor, got {type(targets).__name__}")
    n, classes = global_logits.shape
    if targets.ndim == 2:
        of = "shares of classes per clip"
        check_shape("targets", targets, (n, classes), of, global_logits=global_logits)
        _check_shares(targets)
        return
    check_shape("targets", targets, (n,), "one class per clip", global_logits=global_logits)
    check_integers("targets", targets)
    check_classes("targets", targets, classes)


def _check_shares(targets: Tensor) -> None:
    """Shares add up to 1. Read on the CPU only: an accelerator would have to stop for it."""
    if not targets.is_floating_point():
        raise ValueError(
            f"targets of shape {tuple(targets.shape)} must be floating-point shares, got {targets.dtype}"
        )
    if targets.device.type != "cpu":
        return
    total = targets.detach().float().sum(1)
    tolerance = 1e-2 if targets.dtype in (torch.float16, torch.bfloat16) else 1e-4
    if bool((targets < 0).any()) or bool(((total - 1).abs() > tolerance).any()):
        worst = total[(total - 1).abs().argmax()].item()
        raise ValueError(
            f"targets must be shares of at least 0 that add up to 1, got {shapes(targets=targets)} with values from "
            f"{targets.min().item():.4g} and a sum of {worst:.4g}"
        )
