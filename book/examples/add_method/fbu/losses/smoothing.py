"""Label smoothing (Szegedy et al., CVPR 2016, Sec. 7)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from fbu.losses._checks import check_classes, check_features, check_integers, check_shape


def label_smoothed_cross_entropy(logits: Tensor, targets: Tensor, amount: float = 0.1) -> Tensor:
    """Cross-entropy against ``1 - amount`` on the target and ``amount`` spread evenly over all C classes.

    Args:
        logits: (B, C).
        targets: (B,) integer classes 0..C-1.
        amount: 0 for plain cross-entropy, below 1.

    Returns:
        Scalar, the mean over the batch.

    Raises:
        ValueError: another shape or kind, a class out of range, an amount outside [0, 1).

    Example:
        >>> import torch
        >>> logits = torch.tensor([[0.0, 0.0]])
        >>> label_smoothed_cross_entropy(logits, torch.tensor([1]))  # log 2, whatever the target
        tensor(0.6931)
    """
    check_features(logits=logits)
    check_shape("targets", targets, (len(logits),), "one class per row of logits", logits=logits)
    check_integers("targets", targets)
    check_classes("targets", targets, logits.shape[1])
    if not 0 <= amount < 1:
        raise ValueError(f"amount must be at least 0 and below 1, got {amount}")
    log_p = F.log_softmax(logits.float(), dim=1)
    return (1 - amount) * F.nll_loss(log_p, targets.long()) - amount * log_p.mean()
