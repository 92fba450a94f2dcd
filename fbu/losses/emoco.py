"""Losses of EmoCo (FG 2021), equations 1, 2, 4 and 5.

Symbols: n samples, C emotions, K keys in a queue, D width, tau temperature; q are queries, k keys, w the prototypes of
the emotions, that is the rows of the emotion classifier brought to unit length.
"""

from collections.abc import Iterator
from functools import reduce as fold
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from fbu.losses._checks import (
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

# Squared distance from a prototype below which a key's direction is taken from the difference itself: in float32 the
# closed form of the distance, a difference of numbers near 1, has lost half of its digits there.
_NEAR = 1e-2


def emotion_classification(q: Tensor, weight: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of the emotion classifier (EmoCo Eq. 2).

    ::

        L_emo = -1/n  sum_i  log( exp(w_{y_i} . q_i) / sum_c exp(w_c . q_i) )

    The classifier has no bias and no temperature: the length of its rows takes the place of one, and therefore is not
    touched.

    Args:
        q: (n, D) raw queries; brought to unit length here, as the paper's head does.
        weight: (C, D) weights of the classifier, of any length.
        labels: (n,) integer emotions 0..C-1. The range is checked on the CPU; an accelerator would have to stop for
            it.

    Returns:
        Scalar, the mean over the batch; float32 for half-precision features, float64 stays float64.

    Raises:
        ValueError: features that are empty, not floating point or of unequal width, labels of the wrong shape or kind
            or out of range.

    Example:
        >>> emotion_classification(2 * torch.eye(2), torch.eye(2), torch.tensor([0, 1]))  # log(1 + 1/e)
        tensor(0.3133)
    """
    check_features(q=q, weight=weight)
    _check_labels(labels, q, len(weight))
    with full_precision(q):
        q, weight = wide(q, weight)
        (q,) = unit(q)
        return F.cross_entropy(q @ weight.T, labels.long())


def intra_class_normalize(z: Tensor, prototypes: Tensor) -> Tensor:
    """Direction of a feature as seen from the prototype of its emotion (EmoCo Eq. 4, after ANCOR).

    ::

        N(z) = (z - w) / |z - w|

    A feature that equals its prototype has no direction: it becomes 0 and sends no gradient.

    Args:
        z: (n, D) features of unit length.
        prototypes: (n, D) unit prototypes, row i that of the emotion of row i of ``z``.

    Returns:
        (n, D) rows of unit length; float32 for half-precision features, float64 stays float64.

    Raises:
        ValueError: features that are empty, not floating point or of unequal shape.

    Example:
        >>> intra_class_normalize(torch.eye(2), torch.eye(2).flip(0))
        tensor([[ 0.7071, -0.7071],
                [-0.7071,  0.7071]])
    """
    check_features(z=z, prototypes=prototypes)
    check_rows("z", z=z, prototypes=prototypes)
    with full_precision(z):
        z, prototypes = wide(z, prototypes)
        return direction(z - prototypes)


def emotion_aware_contrast(
    q: Tensor,
    k: Tensor,
    queue: Tensor,
    labels: Tensor,
    prototypes: Tensor | None,
    temperature: float | Tensor = 0.2,
    own_key_mask: Tensor | None = None,
) -> Tensor:
    """Contrast of a query with its key and the queued keys of its emotion (EmoCo Eq. 5).

    ::

        L_cont = -1/n  sum_i  log( exp(s(q_i, k_i)) / (exp(s(q_i, k_i)) + sum_j exp(s(q_i, k_j^-))) )
        s(q, k) = <N(q), N(k)> / tau

    N is that of Eq. 4 with the prototype of the query's emotion, for its negatives too. The k_j^- are the K keys in
    the queue of that emotion, or in the only queue there is.

    No (n, K, D) tensor is made. The queries of one emotion share their queue and prototype, so one product for each
    emotion in the batch gives them N(q) . k, and with w as one more row w . k, from which follow::

        <N(q), N(k)> = (N(q) . k - N(q) . w) / |k - w|,    |k - w|^2 = |k|^2 - 2 w . k + |w|^2

    The gradient is taken on the way forward, where the similarities are at hand, so that those of one emotion at a
    time lie in memory. There are no second derivatives, therefore.

    Args:
        q: (n, D) queries of unit length.
        k: (n, D) keys of unit length; row i belongs to the same picture as row i of ``q``.
        queue: (C, K, D) earlier keys of unit length, queue c those of emotion c; or (1, K, D), one queue for all, where
            prototypes follow the labels all the same. Any floating-point dtype; constant.
        labels: (n,) integer emotions 0..C-1. The range is checked on the CPU.
        prototypes: (C, D) of unit length; constant. None leaves N out, that is plain L2 normalisation.
        temperature: tau > 0; 0.2 in the paper. A tensor receives gradient; its value is not checked.
        own_key_mask: (n, K) booleans, True where a slot of the query's queue holds an earlier key of the query's own
            picture, which then is no negative. Where all are, the loss of that query is 0.

    Returns:
        Scalar, the mean over the batch; float32 for half-precision features, float64 stays float64.

    Raises:
        ValueError: features that are empty, not floating point or of unequal shape, a queue or prototypes that do not
            fit, labels of the wrong shape or kind or out of range, a temperature that is not positive, a mask of the
            wrong shape or kind.

    Example:
        One query that equals its key, and two keys at a right angle in its queue: log(1 + 2/e). Seen from the prototype
        -q, that angle is 45 degrees.

        >>> q, queue = torch.tensor([[1.0, 0.0]]), torch.tensor([[[0.0, 1.0], [0.0, -1.0]]])
        >>> emotion_aware_contrast(q, q, queue, torch.tensor([0]), None, temperature=1.0)
        tensor(0.5514)
        >>> emotion_aware_contrast(q, q, queue, torch.tensor([0]), -q, temperature=1.0)  # log(1 + 2 exp(0.7071 - 1))
        tensor(0.9132)
    """
    _check_contrast(q, k, queue, labels, prototypes, temperature, own_key_mask)
    with full_precision(q):
        q, k = wide(q, k)
        if prototypes is not None:
            prototypes = prototypes.detach().to(q.dtype)
            own = prototypes[labels.long()]  # (n, D)
            q, k = direction(q - own), direction(k - own)
        anchors = q / scalar(temperature, q)
        positive = (anchors * k).sum(1)  # (n,)
        negative = _NegativePartition.apply(anchors, queue.detach(), labels.long(), prototypes, own_key_mask)
        return (torch.logaddexp(positive, negative) - positive).mean()


def emoco_pretraining(
    q: Tensor,
    k: Tensor | None,
    queue: Tensor | None,
    labels: Tensor,
    classifier: Tensor | None,
    *,
    weight: float = 1.0,
    contrast: bool = True,
    intra_class: bool = True,
    temperature: float | Tensor = 0.2,
    own_key_mask: Tensor | None = None,
) -> tuple[Tensor, dict[str, Tensor]]:
    """The whole objective of EmoCo (Eq. 1).

    ::

        L = lambda L_emo + L_cont

    L_emo is :func:`fbu.losses.emotion_classification`, L_cont :func:`fbu.losses.emotion_aware_contrast` with the rows
    of the classifier, brought to unit length and cut off from its gradient, as prototypes.

    Args:
        q: (n, D) queries of unit length.
        k: (n, D) keys of unit length; None without the contrast.
        queue: (C, K, D) or (1, K, D) earlier keys of unit length; None without the contrast.
        labels: (n,) integer emotions 0..C-1.
        classifier: (C, D) weights of the emotion classifier; None where neither term looks at it.
        weight: lambda >= 0; 1 in the paper. 0 leaves the classification out.
        contrast: whether there is a contrast; without it the whole is lambda L_emo.
        intra_class: intra-class normalisation (Eq. 4), or plain L2.
        temperature: tau of the contrast.
        own_key_mask: as in :func:`fbu.losses.emotion_aware_contrast`.

    Returns:
        The total and its terms before weighting, named "emotion" and "contrast", without those switched off.

    Raises:
        ValueError: a weight that is negative or not finite, both terms switched off, an argument that a term needs and
            that is missing, or what the terms refuse.

    Example:
        >>> q, queue = torch.eye(2), torch.eye(2).flip(0)[:, None]
        >>> total, terms = emoco_pretraining(q, q, queue, torch.tensor([0, 1]), torch.eye(2), intra_class=False)
        >>> {name: round(float(term), 4) for name, term in terms.items()}  # log(1 + 1/e), log(1 + exp(-1/0.2))
        {'emotion': 0.3133, 'contrast': 0.0067}
    """
    _check_total(k, queue, classifier, weight, contrast, intra_class)
    terms = {}
    if weight and classifier is not None:
        terms["emotion"] = emotion_classification(q, classifier, labels)
    if contrast and k is not None and queue is not None:
        prototypes = None
        if intra_class and classifier is not None:
            check_features(classifier=classifier)
            (prototypes,) = unit(classifier.detach())
        terms["contrast"] = emotion_aware_contrast(q, k, queue, labels, prototypes, temperature, own_key_mask)
    factors = {"emotion": weight, "contrast": 1.0}
    return fold(torch.add, (factors[name] * term for name, term in terms.items())), terms


class _NegativePartition(torch.autograd.Function):
    """log sum_j exp(a_i . N(k_j)) over the queue of each anchor: (n, D) -> (n,)."""

    @staticmethod
    def forward(
        ctx: Any,
        anchors: Tensor,
        queue: Tensor,
        labels: Tensor,
        prototypes: Tensor | None,
        left_out: Tensor | None,
    ) -> Tensor:
        result = anchors.new_empty(len(anchors))
        gradient = torch.empty_like(anchors) if ctx.needs_input_grad[0] else None
        for emotion, rows in _by_emotion(labels, queue, prototypes):
            keys = queue[emotion if len(queue) > 1 else 0].to(anchors.dtype)  # (K, D)
            centre = None if prototypes is None else prototypes[emotion]
            slots = None if left_out is None else left_out[rows]
            found, slope = _partition(anchors[rows], keys, centre, slots, gradient is not None)
            result[rows] = found
            if gradient is not None and slope is not None:
                gradient[rows] = slope
        ctx.save_for_backward(gradient)
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = ctx.saved_tensors
        return gradient * grad[:, None], None, None, None, None


def _by_emotion(labels: Tensor, queue: Tensor, prototypes: Tensor | None) -> Iterator[tuple[int, Tensor]]:
    """Emotions in the batch with the rows that they have; all rows together where nothing depends on the emotion."""
    if len(queue) == 1 and prototypes is None:
        yield 0, torch.arange(len(labels), device=labels.device)
        return
    order = labels.argsort()
    for emotion, rows in enumerate(order.split(labels.bincount().tolist())):
        if len(rows):
            yield emotion, rows


def _partition(
    anchors: Tensor, keys: Tensor, centre: Tensor | None, left_out: Tensor | None, wants_slope: bool
) -> tuple[Tensor, Tensor | None]:
    """Log partition (m,) of anchors (m, D) over keys (K, D) seen from a centre (D,), and its gradient (m, D)."""
    if centre is None:
        logits = anchors @ keys.T  # (m, K)
    else:
        products = torch.cat([anchors, centre[None]]) @ keys.T  # (m + 1, K)
        logits, along = products[:-1], products[-1]
        square = torch.linalg.vector_norm(keys, dim=1).square() - 2 * along + centre.square().sum()  # (K,)
        near = (square < _NEAR).nonzero().squeeze(1)
        inverse = square.rsqrt().index_fill(0, near, 0)  # (K,) 1 / |k - w|
        logits.sub_((anchors @ centre)[:, None]).mul_(inverse)
        directions = direction(keys[near] - centre)
        logits[:, near] = anchors @ directions.T
    if left_out is not None:
        logits.masked_fill_(left_out, -torch.inf)
    top = logits.amax(1, keepdim=True).clamp(
        min=torch.finfo(logits.dtype).min
    )  # finite where all are left out
    weights = logits.sub_(top).exp_()
    total = weights.sum(1, keepdim=True)
    result = (total.log() + top).squeeze(1)
    if not wants_slope:
        return result, None
    if centre is None:
        slope = weights @ keys
    else:
        slope = weights[:, near] @ directions
        weights.mul_(inverse)
        slope += weights @ keys - weights.sum(1, keepdim=True) * centre
    return result, slope / total.clamp(min=1)  # at least exp(0), where anything is left


def _check_labels(labels: Tensor, q: Tensor, classes: int | None) -> None:
    check_shape("labels", labels, (len(q),), "one emotion per row of q", q=q)
    check_integers("labels", labels)
    if classes is not None:
        check_classes("labels", labels, classes)


def _check_contrast(
    q: Tensor,
    k: Tensor,
    queue: Tensor,
    labels: Tensor,
    prototypes: Tensor | None,
    temperature: float | Tensor,
    own_key_mask: Tensor | None,
) -> None:
    check_features(q=q, k=k)
    check_rows("q", q=q, k=k)
    if (
        not isinstance(queue, Tensor)
        or not queue.is_floating_point()
        or queue.dim() != 3
        or not queue.numel()
    ):
        kind = shapes(queue=queue) if isinstance(queue, Tensor) else type(queue).__name__
        raise ValueError(
            f"queue must be floating point (emotions or 1, keys, width), none of them 0, got {kind}"
        )
    if queue.shape[2] != q.shape[1] or queue.device != q.device:
        where = f"queue on {queue.device}, q on {q.device}"
        raise ValueError(f"queue must be as wide as q and beside it, got {shapes(queue=queue, q=q)}, {where}")
    classes = len(queue) if len(queue) > 1 else None
    if prototypes is not None:
        check_features(q=q, prototypes=prototypes)
        if classes not in (None, len(prototypes)):
            raise ValueError(
                f"prototypes must have one row per queue, got {shapes(prototypes=prototypes, queue=queue)}"
            )
        classes = len(prototypes)
    _check_labels(labels, q, classes)
    check_scale("temperature", temperature)
    if own_key_mask is not None:
        of = "queries by slots of a queue"
        check_shape("own_key_mask", own_key_mask, (len(q), queue.shape[1]), of, q=q, queue=queue)
        if own_key_mask.dtype != torch.bool:
            raise ValueError(f"own_key_mask must be boolean, got {own_key_mask.dtype}")


def _check_total(
    k: Tensor | None,
    queue: Tensor | None,
    classifier: Tensor | None,
    weight: float,
    contrast: bool,
    intra_class: bool,
) -> None:
    if not 0 <= weight < float("inf"):
        raise ValueError(f"weight must be finite and not negative, got {weight}")
    if not weight and not contrast:
        raise ValueError(
            "weight must be positive where there is no contrast, got 0: nothing is left of the loss"
        )
    needed = {"k": k, "queue": queue} if contrast else {}
    if weight or (contrast and intra_class):
        needed["classifier"] = classifier
    for name, value in needed.items():
        if value is None:
            asked = f"weight={weight}, contrast={contrast}, intra_class={intra_class}"
            raise ValueError(f"{name} must be given with {asked}, got None")
