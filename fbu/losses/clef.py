"""Losses of CLEF (Zhang et al., ICCV 2023), equations 2 to 6; equation 1 is in ``contrastive``.

Symbols: N samples, B batch, C classes or action units, D width, tau temperature.
Text features come once per class, (C, D), not once per image.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from fbu.losses._checks import (
    check_choice,
    check_classes,
    check_features,
    check_integers,
    check_probabilities,
    check_reduction,
    check_rows,
    check_scale,
    check_shape,
)
from fbu.losses._numerics import Reduction, full_precision, reduce, scalar, unit
from fbu.losses.contrastive import Normalizer, cross_modal_supcon


def clef_pretraining(
    z_image: Tensor,
    z_view: Tensor,
    z_activity: Tensor,
    labels: Tensor,
    *,
    temperature: float | Tensor = 0.25,
    normalizer: Normalizer = "printed",
    reduction: Literal["mean", "sum"] = "mean",
    chunk: int | None = None,
) -> tuple[Tensor, dict[str, Tensor]]:
    """CLEF's first stage: images against their second view and against activity texts (Eq. 2).

    ::

        L_pre = supcon(image, view) + supcon(image, activity)

    Both terms are :func:`fbu.losses.cross_modal_supcon` with the activities as labels, which also
    explains the options. Anchors are the images, as printed.

    Args:
        z_image: (N, D) raw image features.
        z_view: (N, D) raw features of the same images under a second augmentation.
        z_activity: (N, D) raw text features, row i the description of the activity of image i.
        labels: (N,) integer activity ids.
        temperature: tau > 0; 0.25 in the paper, fixed.
        normalizer: "printed" or "positives".
        reduction: "mean" over anchors, so that the step does not grow with the batch, or "sum" as printed.
        chunk: anchors compared at a time, None for all.

    Returns:
        The total and its terms, {"image_view": ..., "image_activity": ...}; all scalars with gradient.

    Raises:
        ValueError: see :func:`fbu.losses.cross_modal_supcon`; the message names the argument.

    Example:
        Two orthogonal samples of one class: (3 log(e + 2) - 1) / 4 for either term.

        >>> z = torch.eye(2)
        >>> total, terms = clef_pretraining(z, z, z.flip(0), torch.tensor([3, 3]), temperature=1.0)
        >>> total
        tensor(1.8272)
        >>> {name: round(float(term), 4) for name, term in terms.items()}
        {'image_view': 0.9136, 'image_activity': 0.9136}
    """
    check_features(z_image=z_image, z_view=z_view, z_activity=z_activity)
    check_rows("z_image", z_image=z_image, z_view=z_view, z_activity=z_activity)
    check_choice("reduction", reduction, ("mean", "sum"))
    terms = {
        name: cross_modal_supcon(
            z_image,
            other,
            labels,
            temperature=temperature,
            normalizer=normalizer,
            reduction=reduction,
            chunk=chunk,
        )
        for name, other in {"image_view": z_view, "image_activity": z_activity}.items()
    }
    return terms["image_view"] + terms["image_activity"], terms


def name_description_contrast(z_description: Tensor, z_name: Tensor, logit_scale: float | Tensor) -> Tensor:
    """Each label description finds its own label name among all names (CLEF Eq. 3).

    ::

        L_DN = -1/C  sum_i  log( exp(d_i.n_i / tau) / sum_j exp(d_i.n_j / tau) )

    The paper prints index j in the numerator as well; it must be i, the description's own name. Only the
    direction from description to name is in the formula. With one class the loss is 0.

    Args:
        z_description: (C, D) raw text features of the label descriptions.
        z_name: (C, D) raw text features of the label names, in the same order.
        logit_scale: 1/tau > 0, i.e. the exponential of CLIP's parameter. A tensor receives gradient; its
            value is not checked.

    Returns:
        Scalar; float32 for half-precision features, float64 stays float64.

    Raises:
        ValueError: features that are empty, not floating point or of unequal shape, a scale not positive.

    Example:
        >>> z = torch.eye(3)
        >>> name_description_contrast(z, z, 1.0)  # log(1 + 2/e)
        tensor(0.5514)
    """
    check_features(z_description=z_description, z_name=z_name)
    check_rows("z_name", z_name=z_name, z_description=z_description)
    with full_precision(z_description):
        logits = _logits(z_description, z_name, logit_scale)  # (C, C)
        return F.cross_entropy(logits, torch.arange(len(logits), device=logits.device))


def image_name_cross_entropy(
    z_image: Tensor,
    z_name: Tensor,
    targets: Tensor,
    logit_scale: float | Tensor,
    class_weight: Tensor | None = None,
    *,
    reduction: Reduction = "mean",
) -> Tensor:
    """Image against label names for one expression per image (CLEF Eq. 4).

    ::

        L_IN = -1/B  sum_i  w_{y_i} log( exp(z_i.n_{y_i} / tau) / sum_c exp(z_i.n_c / tau) )

    The weighted sum is divided by B, as printed. ``torch.nn.functional.cross_entropy`` divides by the sum
    of the weights of the batch instead.

    Args:
        z_image: (B, D) raw image features.
        z_name: (C, D) raw text features of the label names.
        targets: (B,) integer class indices 0..C-1. The range is checked on the CPU; an accelerator
            would have to stop for it.
        logit_scale: 1/tau > 0, i.e. the exponential of CLIP's parameter. A tensor receives gradient; its
            value is not checked.
        class_weight: (C,) w_c, or None for 1.
        reduction: "mean" over the batch, "sum", or "none" for the (B,) losses.

    Returns:
        Scalar, or (B,) for "none"; float32 for half-precision features, float64 stays float64.

    Raises:
        ValueError: an argument of the wrong shape or kind, empty features, targets out of range.

    Example:
        >>> images, names = torch.eye(2), torch.eye(2)
        >>> image_name_cross_entropy(images, names, torch.tensor([0, 1]), 1.0)  # log(1 + 1/e)
        tensor(0.3133)
        >>> weight = torch.tensor([3.0, 1.0])
        >>> image_name_cross_entropy(images, names, torch.tensor([0, 1]), 1.0, weight)  # twice that
        tensor(0.6265)
    """
    check_features(z_image=z_image, z_name=z_name)
    check_reduction(reduction)
    check_shape("targets", targets, (len(z_image),), "one class per row of z_image", z_image=z_image)
    check_integers("targets", targets)
    check_classes("targets", targets, len(z_name))
    if class_weight is not None:
        check_shape("class_weight", class_weight, (len(z_name),), "one per row of z_name", z_name=z_name)
    with full_precision(z_image):
        logits = _logits(z_image, z_name, logit_scale)  # (B, C)
        weight = None if class_weight is None else class_weight.to(logits)
        return reduce(F.cross_entropy(logits, targets.long(), weight=weight, reduction="none"), reduction)


def image_name_bce(
    z_image: Tensor,
    z_name: Tensor,
    targets: Tensor,
    logit_scale: float | Tensor,
    pos_weight: Tensor | None = None,
    *,
    reduction: Reduction = "mean",
) -> Tensor:
    """Image against label names for action units, any number of which may be present (CLEF Eq. 5).

    ::

        L_IN = -1/B  sum_i sum_c  w_c y_ic log(s_ic) + (1 - y_ic) log(1 - s_ic)
        s_ic = sigmoid(z_i.n_c / tau)

    A sum over the action units and a mean over the batch, as printed. A target of -1 or NaN was not coded
    and counts nothing, though its image stays in B; a batch without any known target gives 0, attached to
    the graph.

    Args:
        z_image: (B, D) raw image features.
        z_name: (C, D) raw text features of the action units' names.
        targets: (B, C) of any real dtype: 0 or 1 (or between), -1 or NaN where unknown. The range is
            checked on the CPU; an accelerator would have to stop for it.
        logit_scale: 1/tau > 0, i.e. the exponential of CLIP's parameter. A tensor receives gradient; its
            value is not checked.
        pos_weight: (C,) w_c of the present units, or None for 1.
        reduction: "mean" over the batch, "sum", or "none" for the (B,) losses.

    Returns:
        Scalar, or (B,) for "none"; float32 for half-precision features, float64 stays float64.

    Raises:
        ValueError: an argument of the wrong shape or kind, empty features, targets out of range.

    Example:
        >>> images, names = torch.eye(2), torch.eye(2)
        >>> targets = torch.tensor([[1, 0], [-1, 1]])
        >>> image_name_bce(images, names, targets, 1.0)  # (2 log(1 + 1/e) + log 2) / 2
        tensor(0.6598)
    """
    check_features(z_image=z_image, z_name=z_name)
    check_reduction(reduction)
    shape = (len(z_image), len(z_name))
    check_shape("targets", targets, shape, "images by names", z_image=z_image, z_name=z_name)
    if pos_weight is not None:
        check_shape("pos_weight", pos_weight, (len(z_name),), "one per row of z_name", z_name=z_name)
    with full_precision(z_image):
        logits = _logits(z_image, z_name, logit_scale)  # (B, C)
        targets = targets.to(logits)
        known = (targets != -1) & ~targets.isnan()
        check_probabilities("targets", targets, known)
        weight = None if pos_weight is None else pos_weight.to(logits)
        losses = F.binary_cross_entropy_with_logits(
            logits, targets.masked_fill(~known, 0), pos_weight=weight, reduction="none"
        )
        return reduce(losses.masked_fill(~known, 0).sum(1), reduction)


def clef_finetuning(
    z_image: Tensor,
    z_name: Tensor,
    z_description: Tensor | None,
    targets: Tensor,
    logit_scale: float | Tensor,
    *,
    task: Literal["expression", "au"],
    weight: float = 2.0,
    class_weight: Tensor | None = None,
    pos_weight: Tensor | None = None,
) -> tuple[Tensor, dict[str, Tensor]]:
    """CLEF's second stage: images against names, names against descriptions (Eq. 6).

    ::

        L_fine = (lambda L_IN + L_DN) / 2

    L_IN is :func:`fbu.losses.image_name_cross_entropy` for expressions and
    :func:`fbu.losses.image_name_bce` for action units, L_DN is
    :func:`fbu.losses.name_description_contrast`. Without descriptions L_DN is left out and nothing else
    changes: lambda L_IN / 2, so that rows of an ablation share the size of their steps.

    Args:
        z_image: (B, D) raw image features.
        z_name: (C, D) raw text features of the label names.
        z_description: (C, D) raw text features of the label descriptions, or None.
        targets: (B,) class indices for "expression", (B, C) of 0, 1, -1 or NaN for "au".
        logit_scale: 1/tau > 0, shared by both terms; a tensor receives gradient from both.
        task: "expression" or "au".
        weight: lambda >= 0; 2 in the paper.
        class_weight: (C,) w_c of Eq. 4, for "expression" only.
        pos_weight: (C,) w_c of Eq. 5, for "au" only.

    Returns:
        The total and its terms before weighting, ``{"image_name": ..., "name_description": ...}``, the latter
        absent without descriptions; all scalars with gradient.

    Raises:
        ValueError: an unknown task, a weight of the other task, a negative lambda, or what the terms refuse.

    Example:
        >>> images, names, descriptions = torch.eye(2), torch.eye(2), torch.eye(2)
        >>> total, terms = clef_finetuning(
        ...     images, names, descriptions, torch.tensor([0, 1]), 1.0, task="expression", weight=2.0
        ... )
        >>> total  # (2 + 1) / 2 of log(1 + 1/e)
        tensor(0.4699)
        >>> sorted(terms)
        ['image_name', 'name_description']
    """
    check_choice("task", task, ("expression", "au"))
    if task == "au" and class_weight is not None:
        raise ValueError("class_weight belongs to task 'expression'; task 'au' takes pos_weight")
    if task == "expression" and pos_weight is not None:
        raise ValueError("pos_weight belongs to task 'au'; task 'expression' takes class_weight")
    if not 0 <= weight < float("inf"):
        raise ValueError(f"weight must be finite and not negative, got {weight}")
    if task == "expression":
        image_name = image_name_cross_entropy(z_image, z_name, targets, logit_scale, class_weight)
    else:
        image_name = image_name_bce(z_image, z_name, targets, logit_scale, pos_weight)
    terms = {"image_name": image_name}
    total = weight * image_name
    if z_description is not None:
        terms["name_description"] = name_description_contrast(z_description, z_name, logit_scale)
        total = total + terms["name_description"]
    return total / 2, terms


def _logits(z: Tensor, z_name: Tensor, logit_scale: float | Tensor) -> Tensor:
    """Cosine similarities times 1/tau: (B, D), (C, D) -> (B, C)."""
    check_scale("logit_scale", logit_scale)
    z, z_name = unit(z, z_name)
    return z * scalar(logit_scale, z) @ z_name.T
