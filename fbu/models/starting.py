"""Starting weights: what a task takes over from the run before it."""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import load_file
from torch import nn

from fbu.errors import DataError


def start_weights(encoder: nn.Module, start: Path | None) -> None:
    """Load the encoder's weights from a finished run; heads and other parts of that run's model are left behind.

    Args:
        encoder: dual encoder to fill, in place.
        start: folder of the run, or None to leave the encoder as it is.

    Raises:
        DataError: the run was made with another architecture.
    """
    if start is None:
        return
    path = start / "weights.safetensors"
    state = {k.removeprefix("encoder."): v for k, v in load_file(path).items()}
    wanted = encoder.state_dict()
    bad = [k for k, v in wanted.items() if k not in state or state[k].shape != v.shape]
    if bad:
        raise DataError(f"{path}: does not fit this encoder ({len(bad)} weights differ, e.g. {bad[0]})")
    encoder.load_state_dict({k: state[k] for k in wanted})
