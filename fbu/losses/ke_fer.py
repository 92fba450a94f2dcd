"""Losses of KE-FER (2024), equations 5 to 11, and the contrast that its Fig. 4 compares with.

Symbols: N samples, M of them not neutral, C classes, D width, tau temperature; v are features of pictures,
n the neutral features derived from them, t features of texts. Without rows a loss is 0, attached to the
graph, since a batch may hold neutral faces only.
"""

import math
from collections.abc import Sequence
from functools import reduce as fold
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from fbu.losses._checks import (
    check_choice,
    check_classes,
    check_features,
    check_integers,
    check_rows,
    check_scale,
    check_shape,
    shapes,
)
from fbu.losses._directions import direction, wide
from fbu.losses._numerics import full_precision, scalar, unit

Pairing = Literal["row", "all"]


def text_similarity_cross_entropy(
    v: Tensor, t: Tensor, targets: Tensor, *, temperature: float | Tensor = 0.01
) -> Tensor:
    """Picture against the texts of all classes (KE-FER Eq. 5).

    ::

        L_s = -1/N  sum_i  log( exp(sim(t_{y_i}, v_i) / tau) / sum_c exp(sim(t_c, v_i) / tau) )

    sim is the cosine of Eq. 4.

    Args:
        v: (N, D) raw picture features.
        t: (C, D) raw text features, one row per class.
        targets: (N,) integer class indices y, 0..C-1. The range is checked on the CPU; an accelerator would
            have to stop for it.
        temperature: tau > 0; 0.01 in the paper. A tensor receives gradient; its value is not checked.

    Returns:
        Scalar, the mean over the batch; float32 for half-precision features, float64 stays float64. 0
        without rows.

    Raises:
        ValueError: features that are not floating point, of unequal width or without text, targets of the
            wrong shape or kind or out of range, a temperature that is not positive.

    Example:
        >>> pictures, texts = torch.eye(2), torch.eye(2)
        >>> text_similarity_cross_entropy(pictures, texts, torch.tensor([0, 1]), temperature=1.0)  # log(1 + 1/e)
        tensor(0.3133)
    """
    _check_similarity(v, t, targets, temperature)
    with full_precision(v):
        v, t = unit(v, t)
        logits = v / scalar(temperature, v) @ t.T  # (N, C)
        return _mean(F.cross_entropy(logits, targets.long(), reduction="none"))


def neutral_transformation(v: Tensor, n: Tensor, t: Tensor, t_neutral: Tensor) -> Tensor:
    """From expression to neutral, pictures go the way that texts go (KE-FER Eq. 7 to 9).

    ::

        L_t = 1/M  sum_i  1 - cos(t_i - t_neutral, v_i - n_i)

    The differences are those of the raw features, as Eq. 7 and 8 print them and as the authors' code
    computes them; only the differences are brought to unit length. The lengths of v and n therefore
    matter, one against the other. A difference of zero has no direction: its cosine is 0 and it sends no
    gradient.

    Args:
        v: (M, D) raw picture features, rows that are not neutral only.
        n: (M, D) raw neutral features of the same pictures.
        t: (M, D) raw text features, row i that of the class of picture i.
        t_neutral: (D,) raw text feature of the neutral class.

    Returns:
        Scalar in 0..2; float32 for half-precision features, float64 stays float64. 0 without rows.

    Raises:
        ValueError: features that are not floating point or of unequal shape.

    Example:
        The first picture moves as its text does, the second at a right angle to it.

        >>> v, n = torch.tensor([[3.0, 0.0], [0.0, 3.0]]), torch.eye(2)
        >>> t, t_neutral = torch.tensor([[1.0, 1.0], [1.0, 1.0]]), torch.tensor([0.0, 1.0])
        >>> neutral_transformation(v, n, t, t_neutral)
        tensor(0.5000)
    """
    _check_batch(v=v, n=n, t=t)
    check_rows("v", v=v, n=n, t=t)
    check_shape("t_neutral", t_neutral, (v.shape[1],), "as wide as v", v=v)
    _check_batch(v=v, t_neutral=t_neutral[None])
    with full_precision(v):
        v, n, t, t_neutral = wide(v, n, t, t_neutral)
        cosine = (direction(t - t_neutral) * direction(v - n)).sum(1)  # (M,)
        return _mean(1 - cosine)


def self_contrast(
    t: Tensor, v: Tensor, n: Tensor, margin: float = 2.0, *, pairing: Pairing = "row"
) -> Tensor:
    """The text closer to the expression of a picture than to its neutral feature (KE-FER Eq. 10).

    ::

        L_c = 1/M  sum_i  sim(t_i, n_i) - sim(t_i, v_i) + gamma

    The margin only keeps the value from being negative; it changes no gradient. The authors' code averages
    over all pairs of the batch, so that a text also draws pictures of other classes; ``pairing="all"`` does
    so, at the cost of one product with the mean::

        L_c = 1/M^2  sum_ij  sim(t_i, n_j) - sim(t_i, v_j) + gamma

    Args:
        t: (M, D) raw text features, row i that of the class of picture i.
        v: (M, D) raw picture features, rows that are not neutral only.
        n: (M, D) raw neutral features of the same pictures.
        margin: gamma; 2 in the paper.
        pairing: "row" as printed, "all" as in the authors' code.

    Returns:
        Scalar in gamma-2..gamma+2; float32 for half-precision features, float64 stays float64. 0 without
        rows, whatever the margin.

    Raises:
        ValueError: features that are not floating point or of unequal shape, a margin that is not finite,
            an unknown pairing.

    Example:
        >>> z = torch.eye(2)
        >>> self_contrast(z, z, z.flip(0))  # 0 - 1 + 2
        tensor(1.)
        >>> self_contrast(z, z, z.flip(0), pairing="all")  # 1/2 - 1/2 + 2
        tensor(2.)
    """
    _check_batch(t=t, v=v, n=n)
    check_rows("t", t=t, v=v, n=n)
    _check_margin(margin)
    check_choice("pairing", pairing, ("row", "all"))
    with full_precision(v):
        t, v, n = unit(t, v, n)
        difference = n - v  # (M, D)
        if pairing == "all":
            difference = difference.sum(0) / max(len(v), 1)
        return _mean((t * difference).sum(1) + margin)


def text_expression_contrast(
    t: Tensor, v: Tensor, n: Tensor, targets: Tensor, *, temperature: float | Tensor = 0.01
) -> Tensor:
    """Contrast within a batch, in place of the self-contrast (baseline of KE-FER's Fig. 4, for Eq. 10).

    ::

        L_c = -1/M  sum_i  log( exp(sim(t_i, v_i) / tau) / sum_{k in K_i} exp(sim(t_i, k) / tau) )

    The paper says "contrastive learning", cites SimCLR and gives no formula; this is our reading. The
    anchor is the text t_i, its positive the picture v_i. K_i holds the positive, the neutral features of
    the whole batch and the pictures of other classes; other pictures of its own class are left out, because
    their text is the anchor itself.

    Args:
        t: (M, D) raw text features, row i that of the class of picture i.
        v: (M, D) raw picture features, rows that are not neutral only.
        n: (M, D) raw neutral features of the same pictures.
        targets: (M,) integer classes; which integers they are does not matter.
        temperature: tau > 0; 0.01 as in Eq. 5. A tensor receives gradient; its value is not checked.

    Returns:
        Scalar; float32 for half-precision features, float64 stays float64. 0 without rows.

    Raises:
        ValueError: features that are not floating point or of unequal shape, targets that are not M
            integers, a temperature that is not positive.

    Example:
        >>> z = torch.eye(2)
        >>> text_expression_contrast(z, z, z.flip(0), torch.tensor([0, 1]), temperature=1.0)  # log(2 + 2/e)
        tensor(1.0064)
        >>> text_expression_contrast(z, z, z.flip(0), torch.tensor([3, 3]), temperature=1.0)  # log(2 + 1/e)
        tensor(0.8620)
    """
    _check_batch(t=t, v=v, n=n)
    check_rows("t", t=t, v=v, n=n)
    _check_targets(targets, v)
    check_scale("temperature", temperature)
    with full_precision(v):
        t, v, n = unit(t, v, n)
        logits = t / scalar(temperature, t) @ torch.cat([v, n]).T  # (M, 2M)
        positive = logits.diagonal()  # (M,)
        classmate = (targets[:, None] == targets).fill_diagonal_(False)  # (M, M)
        left_out = F.pad(classmate, (0, len(n)))  # (M, 2M), no neutral feature
        return _mean(logits.masked_fill(left_out, -torch.inf).logsumexp(1) - positive)


def knowledge_enhanced(
    v: Tensor,
    n: Tensor | None,
    t: Tensor,
    targets: Tensor,
    *,
    neutral: int,
    weights: Sequence[float] = (1.0, 1.0, 1.0),
    margin: float = 2.0,
    temperature: float | Tensor = 0.01,
    pairing: Pairing = "row",
    contrast: Literal["self", "batch"] = "self",
) -> tuple[Tensor, dict[str, Tensor]]:
    """The whole objective of KE-FER (Eq. 11).

    ::

        L = lambda_s L_s + lambda_t L_t + lambda_c L_c

    L_s is :func:`fbu.losses.text_similarity_cross_entropy` over the whole batch. L_t is
    :func:`fbu.losses.neutral_transformation` and L_c :func:`fbu.losses.self_contrast`, or
    :func:`fbu.losses.text_expression_contrast` for "batch"; these two see the rows that are not neutral,
    which are picked here (an accelerator stops once for it). A batch of neutral faces alone leaves them 0.

    Args:
        v: (N, D) raw picture features.
        n: (N, D) raw neutral features of the same pictures, of the neutral ones too; or None where neither
            the transformation nor the contrast is asked for.
        t: (C, D) raw text features, one row per class.
        targets: (N,) integer class indices 0..C-1. The range is checked on the CPU.
        neutral: index of the neutral class.
        weights: (lambda_s, lambda_t, lambda_c), none negative and not all 0; 1 each in the paper. A term of
            weight 0 is neither computed nor returned.
        margin: gamma of the self-contrast; 2 in the paper.
        temperature: tau > 0 of L_s and of the contrast within a batch; a tensor receives gradient from both.
        pairing: "row" or "all", for the self-contrast.
        contrast: "self" as in the paper, "batch" for the baseline of its Fig. 4.

    Returns:
        The total and its terms before weighting, named "similarity", "transformation" and "contrast", without those
        switched off; all scalars with gradient.

    Raises:
        ValueError: an unknown contrast or pairing, weights that are not three or are refused, no class
            ``neutral``, terms asked for that lack ``n``, or what the terms refuse.

    Example:
        Pictures as their texts say, neutral features as the neutral text says: 0 for the transformation,
        0 - 1 + 2 for the contrast, log(1 + 2/e) for the similarity.

        >>> z = torch.eye(3)
        >>> total, terms = knowledge_enhanced(
        ...     z, z[[2, 2, 2]], z, torch.tensor([0, 1, 2]), neutral=2, temperature=1.0
        ... )
        >>> total
        tensor(1.5514)
        >>> {name: round(float(term), 4) for name, term in terms.items()}
        {'similarity': 0.5514, 'transformation': 0.0, 'contrast': 1.0}
    """
    _check_weights(weights)
    check_choice("contrast", contrast, ("self", "batch"))
    check_choice("pairing", pairing, ("row", "all"))
    _check_margin(margin)
    _check_similarity(v, t, targets, temperature)
    if not 0 <= neutral < len(t):
        raise ValueError(f"neutral must lie in 0..{len(t) - 1}, got {neutral} with {shapes(t=t)}")
    similarity, transformation, contrasting = weights
    terms = {}
    if similarity:
        terms["similarity"] = text_similarity_cross_entropy(v, t, targets, temperature=temperature)
    if transformation or contrasting:
        if n is None:
            raise ValueError(f"n must be given with weights {tuple(weights)}, got None")
        _check_batch(v=v, n=n)
        check_rows("v", v=v, n=n)
        rows = (targets != neutral).nonzero().squeeze(1)  # (M,)
        classes = targets[rows].long()
        v, n, own_text = v[rows], n[rows], t[classes]  # (M, D) each
        if transformation:
            terms["transformation"] = neutral_transformation(v, n, own_text, t[neutral])
        if contrasting and contrast == "self":
            terms["contrast"] = self_contrast(own_text, v, n, margin, pairing=pairing)
        elif contrasting:
            terms["contrast"] = text_expression_contrast(own_text, v, n, classes, temperature=temperature)
    factors = {"similarity": similarity, "transformation": transformation, "contrast": contrasting}
    return fold(torch.add, (factors[name] * term for name, term in terms.items())), terms


def _mean(losses: Tensor) -> Tensor:
    """Mean over rows, 0 with a gradient where there are none: (M,) -> ()."""
    return losses.sum() / max(len(losses), 1)


def _check_batch(**features: Tensor) -> None:
    """:func:`check_features` for tensors that may have no rows."""
    stand_ins = {}
    for name, z in features.items():
        no_rows = isinstance(z, Tensor) and z.dim() == 2 and not len(z) and z.shape[1]
        stand_ins[name] = z.new_empty(1, z.shape[1]) if no_rows else z
        check_features(**{name: stand_ins[name]})
    if len({z.shape[1] for z in features.values()}) > 1:
        raise ValueError(f"features must share their width, got {shapes(**features)}")
    check_features(**stand_ins)


def _check_similarity(v: Tensor, t: Tensor, targets: Tensor, temperature: float | Tensor) -> None:
    check_features(t=t)
    _check_batch(v=v, t=t)
    _check_targets(targets, v)
    check_classes("targets", targets, len(t))
    check_scale("temperature", temperature)


def _check_targets(targets: Tensor, v: Tensor) -> None:
    check_shape("targets", targets, (len(v),), "one class per row of v", v=v)
    check_integers("targets", targets)


def _check_margin(margin: float) -> None:
    if not math.isfinite(margin):
        raise ValueError(f"margin must be finite, got {margin}")


def _check_weights(weights: Sequence[float]) -> None:
    if len(weights) != 3 or not all(0 <= weight < math.inf for weight in weights) or not any(weights):
        raise ValueError(f"weights must be three finite numbers, none negative and not all 0, got {weights}")
