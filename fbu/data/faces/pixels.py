"""Per-pixel building blocks: windows of pixels, antialiased steps, compositing, table look-up.

A plane is [B, N]: N pixels of each of B faces, in rows of the picture or as listed by a `Pixels` window; a
picture is [B, 3, N]. Functions ending in an underscore, and arguments said to be "used up", change in place.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


class Pixels:
    """A list of pixels per face, of equal length: only there is fine detail computed.

    Faces with fewer pixels repeat one of theirs; as no pixel depends on another, the repeats agree.
    """

    def __init__(self, mask: Tensor, skipped: int = 0) -> None:
        """List where `mask` [B, N] is true (a face without any gets its first pixel).

        `skipped` pixels precede those of the mask.
        """
        rows, columns = mask.shape
        at = mask.flatten().nonzero()[:, 0]
        start = torch.arange(rows + 1, device=mask.device) * columns
        bounds = torch.searchsorted(at, start)
        first, count = bounds[:-1, None], bounds.diff()[:, None]
        longest = int(count.max())
        if longest == 0:
            self.at = torch.zeros(rows, 1, dtype=torch.int64, device=mask.device)
            return
        step = torch.arange(longest, device=mask.device)
        slot = torch.minimum(step, count - 1).add_(first).clamp_(0, len(at) - 1)
        own = at.take(slot).sub_(start[:-1, None] - skipped)
        self.at = own.masked_fill_(count == 0, 0)

    @classmethod
    def near(
        cls, u: Tensor, v: Tensor, half_u: Tensor | float, half_v: Tensor | float, skipped: int = 0
    ) -> Pixels:
        """The pixels in a box of distances u and v (both used up) from its centre."""
        # Comparing and searching planes is slow: one comparison, and only in rows where some face has the box.
        box = u.abs_().div_(half_u)
        torch.maximum(box, v.abs_().div_(half_v), out=box)
        rows = Frame.span(box.amin(0) < 1)
        return cls(box[:, rows] < 1, skipped + rows.start)

    def _index(self, plane: Tensor) -> Tensor:
        return self.at if plane.dim() == 2 else self.at[:, None].expand(-1, plane.shape[1], -1)

    def get(self, plane: Tensor) -> Tensor:
        """The listed pixels [B, M] (or [B, 3, M]) of a plane or picture."""
        return plane.gather(-1, self._index(plane))

    def put(self, plane: Tensor, values: Tensor) -> None:
        """Write listed pixels back into a contiguous plane or picture."""
        plane.scatter_(-1, self._index(plane), values)

    def paint(self, picture: Tensor, colour: Tensor, opacity: Tensor) -> None:
        """Composite a colour [B, 3, 1] or listed pixels [B, 3, M] over the picture, in place."""
        part = self.get(picture)
        over(part, colour, opacity)
        self.put(picture, part)


class Frame:
    """A rectangle of the picture, the same for all faces."""

    def __init__(self, size: int, mask: Tensor) -> None:
        """The smallest rectangle around where `mask` [N] is true (one pixel if nowhere)."""
        square = mask.view(size, size)
        self.size = size
        self.rows, self.columns = self.span(square.any(1)), self.span(square.any(0))

    @staticmethod
    def span(mask: Tensor) -> slice:
        """From the first to the last true entry (the first entry if none is)."""
        where = mask.nonzero()[:, 0]
        return slice(int(where[0]), int(where[-1]) + 1) if len(where) else slice(0, 1)

    def cut(self, plane: Tensor) -> Tensor:
        """View [..., h, w] of a plane or picture."""
        return plane.unflatten(-1, (self.size, self.size))[..., self.rows, self.columns]


def soft(distance: Tensor, width: float) -> Tensor:
    """Antialiased step: 0 below -width / 2, 1 above width / 2; `distance` is used up."""
    return F.hardsigmoid(distance.mul_(6 / width), inplace=True)


def matrix(n: dict[str, Tensor], *rows: str) -> Tensor:
    """[B, rows, columns] per face, from the names in each row: one product with it replaces many sums of planes."""
    names = [row.split() for row in rows]
    entries = torch.cat([n[name] for row in names for name in row], 1)
    return entries.view(-1, len(names), len(names[0]))


def over(picture: Tensor, colour: Tensor, opacity: Tensor) -> None:
    """Composite a colour [B, 3, 1] or a picture [B, 3, N] over `picture`, in place."""
    picture.lerp_(colour.expand_as(picture), opacity[:, None])


def look_up_stack(table: Tensor, u: Tensor, v: Tensor, half_u: float, half_v: float) -> Tensor:
    """`look_up` with its planes in one tensor [B, C, N]."""
    where = torch.empty(len(u), 2, u.shape[1], device=u.device)
    torch.mul(u, 1 / half_u, out=where[:, 0])
    torch.mul(v, 1 / half_v, out=where[:, 1])
    at = where.transpose(1, 2)[:, None]  # planes of u and v are read faster than pairs
    return F.grid_sample(table, at, padding_mode="border", align_corners=False)[:, :, 0]


def look_up(table: Tensor, u: Tensor, v: Tensor, half_u: float, half_v: float) -> tuple[Tensor, ...]:
    """Bilinear look-up in tables [B, C, h, w] at (u, v) [B, N]: C planes [B, N]."""
    return look_up_stack(table, u, v, half_u, half_v).unbind(1)


def block_rows(size: int) -> int:
    """Faces per matrix product: always the same shape, so that a face rounds the same in any batch."""
    return 16 if size <= 96 else 4


def blend(weights: Tensor, table: Tensor, block: int, out: Tensor | None = None) -> Tensor:
    """weights [B, K] @ table [K, M] in blocks of rows; B must be a multiple of `block`."""
    out = torch.empty(len(weights), table.shape[1], device=table.device) if out is None else out
    for start in range(0, len(weights), block):
        torch.mm(weights[start : start + block], table, out=out[start : start + block])
    return out


def bump(x: Tensor) -> Tensor:
    """A cheap Gaussian of x = (distance / width)**2, zero from x = 2.5."""
    return (1 - 0.4 * x).clamp_(0).square_()
