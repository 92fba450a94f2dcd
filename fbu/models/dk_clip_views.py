"""DK-CLIP's trained model on several clips and crops of each video, as the authors' code tests at its very end.

``dk_clip_views.score``: the frames of a video are sampled several times over, each time others of the same parts of the
video; each sample is looked at whole and through windows; the probabilities of all views are averaged. The paper
does not say that it tests this way, so that one clip of whole pictures is what the tables hold.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor
from torchvision.transforms.v2.functional import resized_crop

from fbu.data.dataset import Dataset
from fbu.data.snippets import gather_snippets, snippet_frames
from fbu.data.transforms import Augment
from fbu.evaluation.predictions import prediction_frame, score
from fbu.models.clips import TESTED, Clips, augment_clips
from fbu.models.dk_clip import LookTask
from fbu.training import Options, Outcome, Task


class Views(Options):
    """How often a video is looked at."""

    clips: int = Field(4, ge=1, description="samples of frames of a video")
    crops: int = Field(3, ge=1, description="windows of a picture, from its left to its right side")
    window: float = Field(0.875, gt=0, le=1, description="side of a window, as a share of the picture's")


class ViewsTask(LookTask):
    """Accuracy and mean-class accuracy of a finished training over several views of each test video.

    Raises:
        ValueError: the recipe starts from no DK-CLIP training.
    """

    options_type: ClassVar[type[Options]] = Views

    @torch.no_grad()
    def scored(self, loaded: Dataset) -> Outcome:
        """``accuracy`` and the like of all windows of all samples.

        Beside them, named ``one/...`` and ``clips/...``, those of the tables' single view, and of all samples with
        whole pictures. Predictions are those of all windows.
        """
        settings, views = self.encoder.settings, self.options
        looked = Clips(loaded, settings.frames, settings.snippets, self.device)
        found: dict[str, list[Tensor]] = {"one": [], "clips": [], "": []}
        for rows in torch.arange(len(loaded)).split(TESTED):
            found["one"].append(self._probabilities(gather_snippets(loaded, rows, looked.at[rows])))
            whole, windows = [], []
            for at in sampled(looked.lengths[rows], settings.frames, settings.snippets, views.clips):
                frames = gather_snippets(loaded, rows, at)
                whole.append(self._probabilities(frames))
                windows += [self._probabilities(x) for x in cropped(frames, views.crops, views.window)]
            found["clips"].append(torch.stack(whole).mean(0))
            found[""].append(torch.stack(windows).mean(0))
        metrics: dict[str, float] = {}
        for name, parts in found.items():
            predictions = prediction_frame(loaded, torch.cat(parts).numpy())
            scores = score(predictions, "expression")
            metrics |= {f"{name}/{key}" if name else key: value for key, value in scores.items()}
        return Outcome({**metrics, "score": metrics["accuracy"]}, predictions)

    def _probabilities(self, frames: Tensor) -> Tensor:
        """(n, C) of uint8 frames (n, N, t, 3, S, S), on the CPU."""
        x = augment_clips(frames.to(self.device), Augment.none(), torch.Generator())
        return self.encoder(x).whole.softmax(1).float().cpu()


def sampled(lengths: Tensor, frames: int, snippets: int, times: int) -> list[Tensor]:
    """Frames to look at, several times over, each time others of the same parts of a video.

    Args:
        lengths: (n,) frames of each video.
        frames: T.
        snippets: N.
        times: samples; one is that of :func:`~fbu.data.snippets.snippet_frames`.

    Returns:
        ``times`` tensors (n, N, T / N). Of a video of fewer than ``times`` T frames some are alike.

    Example:
        >>> [at.flatten().tolist() for at in sampled(torch.tensor([8]), frames=4, snippets=2, times=2)]
        [[0, 2, 4, 6], [1, 3, 5, 7]]
    """
    fine = snippet_frames(lengths, frames * times, 1).view(len(lengths), snippets, frames // snippets, times)
    return list(fine.unbind(-1))


def cropped(frames: Tensor, windows: int, share: float) -> list[Tensor]:
    """Windows of pictures, from the left side to the right, at half height, in the pictures' size.

    Args:
        frames: uint8 (..., 3, S, S).
        windows: how many; one lies in the middle.
        share: side of a window, as a share of S.

    Returns:
        ``windows`` uint8 tensors of the shape of ``frames``.
    """
    side = frames.shape[-1]
    small = max(1, round(share * side))
    room = side - small
    lefts = [room // 2] if windows == 1 else [round(i * room / (windows - 1)) for i in range(windows)]
    return [resized_crop(frames, room // 2, left, small, small, [side, side]) for left in lefts]


TASKS: dict[str, type[Task]] = {"score": ViewsTask}
