"""The tiny tower on a finer grid: 8 x 8 patches in place of 4 x 4, for explanations.

A heatmap of 16 cells says little about where on a face a model looked. Here the stem's last stride is left out, so that
the transformer sees 64 patches of 8 pixels. Every weight of a coarse tower keeps its meaning: at every second patch of
every second row the stem computes what it did before. Only the position embedding is resized, and a short training
on the tower's own pictures makes up for what changes: attention over four times as many patches.

Other encoders have a grid that is fine enough (ViT-B/16 at 224 pixels: 14 x 14) and are left as they are.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from safetensors.torch import load_file
from torch import nn

from fbu.data.dataset import expression_key
from fbu.models.clef import FinetuneTask, PretrainTask
from fbu.models.encoders import TINY, TINY_CONFIG, ConvStem, encoder_from
from fbu.models.fitting import LoadReport, fit
from fbu.models.starting import start_weights
from fbu.models.tasks import EncoderTask
from fbu.models.towers import ContrastTask
from fbu.probes import neighbour_purity
from fbu.recipes import EncoderSpec
from fbu.training import Outcome, Task

if TYPE_CHECKING:
    from open_clip.model import CLIP

PATCH = 8


class FineStem(ConvStem):
    """The stem of ``fbu-tiny`` without its last stride: (n, 3, 64, 64) -> (n, width, 8, 8), the same weights.

    Nothing behind the last strided convolution looks at neighbours, so at the even rows and columns the output is
    that of the coarse stem.
    """

    def __init__(self, width: int) -> None:
        super().__init__(width)
        strided = [m for m in self if isinstance(m, nn.Conv2d) and m.stride == (2, 2)]
        strided[-1].stride = (1, 1)


def fine_tiny() -> CLIP:
    """``fbu-tiny`` with patches of 8 pixels (65 image tokens) and random weights; open_clip's own class."""
    from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg

    vision = CLIPVisionCfg(**{**TINY_CONFIG["vision_cfg"], "patch_size": PATCH})
    model = CLIP(TINY_CONFIG["embed_dim"], vision, CLIPTextCfg(**TINY_CONFIG["text_cfg"]))
    model.visual.conv1 = FineStem(vision.width)
    return model


def fine_weights(encoder: CLIP, start: Path) -> LoadReport:
    """Load a finished run of the coarse or of the fine tower into the fine one, in place.

    Args:
        encoder: from :func:`fine_tiny`.
        start: folder of the run; heads and other parts beside the dual encoder are left behind.

    Returns:
        What was loaded; ``interpolated`` names the position embedding if the run was coarse.

    Raises:
        DataError: the run was made with another architecture.
    """
    path = start / "weights.safetensors"
    state = {name.removeprefix("encoder."): tensor for name, tensor in load_file(path).items()}
    rows, columns = encoder.visual.grid_size
    return fit(
        encoder,
        state,
        path,
        architecture=f"{TINY} with {rows} x {columns} patches",
        unexpected="list",
        positions={"visual.positional_embedding": (rows, columns)},
    )


def explainable_encoder(spec: EncoderSpec, start: Path | None) -> CLIP:
    """The encoder of a recipe on a grid that is fine enough for heatmaps, with the weights of a finished run.

    Args:
        spec: ``fbu-tiny`` gives the fine tower; any other encoder is built as always.
        start: folder of the run to start from, or None.

    Raises:
        DataError: as :func:`~fbu.models.encoders.encoder_from`, or the run was made with another architecture.
    """
    if spec.name != TINY:
        encoder = encoder_from(spec)
        start_weights(encoder, start)
        return encoder
    encoder = fine_tiny()
    if start is not None:
        fine_weights(encoder, start)
    return encoder


class _FineGrid(EncoderTask):
    """Put before a task, gives it the encoder on the fine grid."""

    def make_encoder(self) -> CLIP:
        """The recipe's encoder, with patches fine enough for heatmaps."""
        return explainable_encoder(self.recipe.encoder, self.start)


class FineContrastTask(_FineGrid, ContrastTask):
    """A stand-in tower on the fine grid, usually continued from the coarse one."""


class FinePretrainTask(_FineGrid, PretrainTask):
    """CLEF's stage 1 on the fine grid."""

    def evaluate(self, split: str) -> Outcome:
        """Nearest-neighbour purity of expressions alone: the probe of identities takes longer than the training."""
        loaded = self.split(split)
        z, people = self.features(loaded.images).numpy(), loaded.records["subject"].to_numpy()
        purity = neighbour_purity(z, expression_key(loaded.records), people)
        metrics = {"expression_purity": purity.value, "expression_chance": purity.chance}
        return Outcome({**metrics, "score": purity.value})


class FineFinetuneTask(_FineGrid, FinetuneTask):
    """CLEF's stage 2 on the fine grid."""


TASKS: dict[str, type[Task]] = {
    "contrast": FineContrastTask,
    "pretrain": FinePretrainTask,
    "finetune": FineFinetuneTask,
}
