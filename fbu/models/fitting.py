"""Fitting weights to a model, accounted for tensor by tensor.

:func:`~fbu.models.reading.read_weights` opens a file, :func:`fit` puts its tensors into a model and returns a
:class:`LoadReport`. A file that does not fill the whole model is refused, because half-loaded weights train, run and
score worse without a word.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fbu.errors import DataError
from fbu.wording import some

# Wrappers that save a model under another name put these before every key.
PREFIXES = ("module.", "_orig_mod.", "model.", "visual.", "encoder.", "backbone.")
# Files written before PyTorch 0.4.1 lack this counter; it is unused unless batch norm has no momentum.
_MAY_LACK = "*num_batches_tracked"


@dataclass(frozen=True)
class LoadReport:
    """What became of the tensors of a file.

    Attributes:
        file: the file.
        architecture: the model that was filled.
        loaded: tensors copied into the model.
        numbers: numbers in them.
        prefix: what was cut from the front of every name, e.g. ``"module."``.
        missing: tensors of the model that the file may lack and does (counters of batch norm); others are an error.
        unexpected: tensors of the file that nobody knows; an error unless the loader takes such files.
        ignored: tensors of the file that are known and not wanted, e.g. the classifier of another task.
        interpolated: position embeddings that were resized to another input size.
    """

    file: Path
    architecture: str
    loaded: int
    numbers: int
    prefix: str = ""
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    interpolated: tuple[str, ...] = ()

    def __str__(self) -> str:
        parts = [
            f"{self.file.name} -> {self.architecture}: {self.loaded} tensors, {self.numbers:,} numbers loaded"
        ]
        if self.prefix:
            parts.append(f"{self.prefix!r} cut from every name")
        for what in ("missing", "unexpected", "ignored", "interpolated"):
            names = getattr(self, what)
            if names:
                parts.append(f"{len(names)} {what} ({some(names)})")
        return "; ".join(parts)


def fit(
    model: nn.Module,
    state: Mapping[str, Tensor],
    path: str | Path,
    *,
    architecture: str,
    ignore: Iterable[str] = (),
    unexpected: Literal["refuse", "list"] = "refuse",
    positions: Mapping[str, tuple[int, int]] | None = None,
) -> LoadReport:
    """Copy the tensors of a file into a model, in place, and say what became of each.

    A prefix of :data:`PREFIXES` is cut when every name of the file begins with it and none of the model's does.

    Args:
        model: filled in place; its values are untouched when the file is refused.
        state: tensors by name, from :func:`~fbu.models.reading.read_weights`.
        path: where they come from, for messages.
        architecture: name of the model, for messages.
        ignore: patterns (``"fc.*"``) of names that the file may hold and the model does not want.
        unexpected: what to do with names that are neither the model's nor ignored.
        positions: position embeddings that may be resized: name -> patch grid (rows, columns) of the model.

    Raises:
        DataError: the file lacks weights of the model, has others than expected, or has them in another shape.
    """
    wanted = model.state_dict()
    state, prefix = cut_prefixes(state, wanted)
    interpolated = []
    for name, grid in (positions or {}).items():
        if name in state and name in wanted and state[name].shape != wanted[name].shape:
            resized = _resized(state[name], grid, wanted[name].shape)
            if resized is not None:
                state[name] = resized
                interpolated.append(name)
    rest = [k for k in state if k not in wanted]
    ignored = tuple(k for k in rest if any(fnmatchcase(k, pattern) for pattern in ignore))
    unknown = tuple(k for k in rest if k not in ignored)
    lacking = [k for k in wanted if k not in state]
    missing = tuple(k for k in lacking if fnmatchcase(k, _MAY_LACK))
    _refuse(path, architecture, "lacks", [k for k in lacking if k not in missing], wanted, state)
    other = [k for k, v in wanted.items() if k in state and state[k].shape != v.shape]
    shapes = [f"{k} {tuple(state[k].shape)} instead of {tuple(wanted[k].shape)}" for k in other]
    _refuse(path, architecture, "has other shapes for", shapes, wanted, state)
    if unexpected == "refuse":
        _refuse(path, architecture, "has unknown names beside the", unknown, wanted, state)
    used = {k: state[k] for k in wanted if k in state}
    model.load_state_dict(used, strict=False)
    return LoadReport(
        file=Path(path),
        architecture=architecture,
        loaded=len(used),
        numbers=sum(v.numel() for v in used.values()),
        prefix=prefix,
        missing=missing,
        unexpected=unknown,
        ignored=ignored,
        interpolated=tuple(interpolated),
    )


def _refuse(
    path: str | Path,
    architecture: str,
    what: str,
    names: Iterable[str],
    wanted: Mapping[str, Tensor],
    state: Mapping[str, Tensor],
) -> None:
    names = list(names)
    if names:
        raise DataError(
            f"{path}: {what} {len(names)} of {len(wanted)} weights of {architecture} ({some(names)}); the file holds "
            f"{len(state)} tensors ({some(state)}): name the architecture that it was made for"
        )


def cut_prefixes(state: Mapping[str, Tensor], wanted: Iterable[str] = ()) -> tuple[dict[str, Tensor], str]:
    """Cut what wrappers put before every name (:data:`PREFIXES`, several in a row too).

    A prefix is cut only when all names begin with it, so nothing is renamed by half, and only when none of ``wanted``
    does, because then it belongs to the model's names.

    Example:
        >>> cut_prefixes({"module.fc.bias": torch.zeros(2), "module.fc.weight": torch.zeros(2, 3)})[1]
        'module.'
    """
    names, cut, wanted = dict(state), "", list(wanted)
    while names:
        found = [p for p in PREFIXES if all(k.startswith(p) for k in names)]
        found = [p for p in found if not any(k.startswith(p) for k in wanted)]
        if not found:
            break
        names = {k.removeprefix(found[0]): v for k, v in names.items()}
        cut += found[0]
    return names, cut


def resize_positions(table: Tensor, grid: tuple[int, int], *, leading: int = 1) -> Tensor:
    """Resize learned position embeddings to another patch grid, bicubic with antialiasing (as timm and open_clip do).

    Args:
        table: (..., leading + S * S, D), patches row by row after the leading rows (class token), which stay.
        grid: rows and columns of patches that are wanted.

    Returns:
        (..., leading + rows * columns, D).

    Raises:
        ValueError: the number of patch rows in ``table`` is no square.

    Example:
        >>> resize_positions(torch.zeros(197, 768), (7, 7)).shape  # 224 pixels -> 112 pixels
        torch.Size([50, 768])
    """
    first, patches = table[..., :leading, :], table[..., leading:, :]
    side = math.isqrt(patches.shape[-2])
    if side * side != patches.shape[-2] or side == 0:
        raise ValueError(f"table {tuple(table.shape)}: {patches.shape[-2]} patch rows are no square grid")
    flat = patches.reshape(-1, side, side, table.shape[-1]).permute(0, 3, 1, 2)  # (N, D, S, S)
    flat = F.interpolate(flat, size=grid, mode="bicubic", antialias=True, align_corners=False)
    patches = flat.permute(0, 2, 3, 1).reshape(*patches.shape[:-2], grid[0] * grid[1], table.shape[-1])
    return torch.cat([first, patches], dim=-2)


def _resized(table: Tensor, grid: tuple[int, int], shape: torch.Size) -> Tensor | None:
    """The table in the wanted shape, or None where its width or its number of rows says that it is another model's."""
    if table.dim() != len(shape) or table.shape[-1] != shape[-1]:
        return None
    try:
        resized = resize_positions(table, grid)
    except ValueError:
        return None
    return resized if resized.shape == shape else None
