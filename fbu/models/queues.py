"""Queues of earlier keys, one for each class: the dictionary that momentum contrast takes its negatives from."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fbu.losses._checks import check_classes, check_features, check_integers, check_rows, check_shape, shapes

NOBODY = -1  # sample of a slot that holds no picture's key


class MultiQueue(nn.Module):
    """The last keys of each class (EmoCo, Sec. III.C); with one class, the queue of MoCo.

    Each queue is a ring with a pointer of its own: new keys take the places of the oldest ones. All is in the state
    dict, so that a resumed training goes on with the same negatives. At 7 x 65,536 x 128, the size of the paper, the
    keys take 235 MB, and half of that in bfloat16.

    Args:
        num_classes: C.
        size: K, slots of each queue.
        dim: D, width of a key.
        dtype: of the stored keys.

    Attributes:
        keys: (C, K, D), at the start random rows of unit length, as in MoCo.
        pointers: (C,) slot that the next key of a class goes to.
        counts: (C,) slots of a class that hold keys of pictures.
        samples: (C, K) number of the picture that a key belongs to, -1 where that is unknown.

    Raises:
        ValueError: a size that is not positive, a dtype that is not floating point.

    Example:
        >>> queue = MultiQueue(num_classes=2, size=3, dim=1)
        >>> queue.enqueue(torch.tensor([[1.0], [2.0], [3.0], [4.0]]), torch.tensor([0, 0, 0, 0]))
        >>> queue.keys[0, :, 0], queue.pointers, queue.counts
        (tensor([4., 2., 3.]), tensor([1, 0]), tensor([3, 0]))
    """

    keys: Tensor
    pointers: Tensor
    counts: Tensor
    samples: Tensor

    def __init__(self, num_classes: int, size: int, dim: int, *, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        for name, value in (("num_classes", num_classes), ("size", size), ("dim", dim)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        if not dtype.is_floating_point:
            raise ValueError(f"dtype must be floating point, got {dtype}")
        keys = torch.randn(num_classes, size, dim)
        self.register_buffer("keys", F.normalize(keys, dim=-1, out=keys).to(dtype))
        self.register_buffer("pointers", torch.zeros(num_classes, dtype=torch.long))
        self.register_buffer("counts", torch.zeros(num_classes, dtype=torch.long))
        self.register_buffer("samples", torch.full((num_classes, size), NOBODY, dtype=torch.int32))

    @torch.no_grad()
    def enqueue(self, keys: Tensor, labels: Tensor, samples: Tensor | None = None) -> None:
        """Put a batch in, in its order, as if key by key.

        Args:
            keys: (n, D) of unit length.
            labels: (n,) class 0..C-1 of each key.
            samples: (n,) number of the picture of each key, to know it again; default: unknown.

        Raises:
            ValueError: keys of another width, labels or samples that are not n integers, a label out of range (seen
                on the CPU).
        """
        self._check(keys, labels, samples)
        labels = labels.long()
        order = labels.argsort(stable=True)
        labels = labels[order]
        new = labels.bincount(minlength=len(self.keys))  # (C,)
        place = torch.arange(len(labels), device=labels.device) - (new.cumsum(0) - new)[labels]
        size = self.keys.shape[1]
        if len(labels) > size:  # of more keys of a class than slots the last ones stay
            stays = place >= (new - size)[labels]
            order, labels, place = order[stays], labels[stays], place[stays]
        slots = (self.pointers[labels] + place) % size
        self.keys[labels, slots] = keys[order].to(self.keys.dtype)
        self.samples[labels, slots] = NOBODY if samples is None else samples[order].to(self.samples.dtype)
        self.pointers.add_(new).remainder_(size)
        self.counts.add_(new).clamp_(max=size)

    def holds(self, samples: Tensor, labels: Tensor) -> Tensor:
        """Where a picture meets its own earlier keys: (n, K) booleans over the slots of its class.

        Args:
            samples: (n,) numbers of pictures.
            labels: (n,) their classes.
        """
        return self.samples[labels.long()] == samples.to(self.samples.dtype)[:, None]

    def _check(self, keys: Tensor, labels: Tensor, samples: Tensor | None) -> None:
        check_features(keys=keys)
        if keys.shape[1] != self.keys.shape[2]:
            raise ValueError(f"keys must be as wide as the queue's, got {shapes(keys=keys, queue=self.keys)}")
        check_shape("labels", labels, (len(keys),), "one class per row of keys", keys=keys)
        check_integers("labels", labels)
        check_classes("labels", labels, len(self.keys))
        if samples is not None:
            check_rows("keys", keys=keys, samples=samples)
            check_integers("samples", samples)
