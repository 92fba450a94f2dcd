"""A stand-in tower that never read the names of some expressions: the start of the zero-shot tables.

Published towers have read every emotion word, so "unseen" in the paper means unseen in fine-tuning. Here the words are
missing from the captions as well, which is the stricter reading.
"""

from __future__ import annotations

from functools import cached_property
from typing import ClassVar

from pydantic import Field

from fbu.data.towers import Captioned, captioned
from fbu.models.towers import Contrast, ContrastTask
from fbu.training import Options, Task


class Unnamed(Contrast):
    """What the tower is shown, and which expressions its captions never name."""

    omit: tuple[str, ...] = Field(description="expressions whose words are left out of the captions")


class UnnamedTask(ContrastTask):
    """Image-text contrast, with captions that leave out the words of some expressions."""

    options_type: ClassVar[type[Options]] = Unnamed

    @cached_property
    def shown(self) -> Captioned:
        """Everything that the tower is shown, with the shorter captions."""
        spec, settings = self.recipe.data, self.options
        return captioned(
            faces=settings.faces,
            style=settings.style,
            size=spec.size,
            image_size=spec.image_size,
            seed=spec.seed,
            omit=settings.omit,
        )


TASKS: dict[str, type[Task]] = {"contrast": UnnamedTask}
