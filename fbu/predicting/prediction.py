"""What a run says about one picture or video, in numbers, in words and drawn."""

from __future__ import annotations

import json
import os
import textwrap
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from fbu.errors import DataError
from fbu.runs import Run

if TYPE_CHECKING:
    from fbu.figures import PageFigure

Kind = Literal["expression", "au"]

_DPI = {"heatmap.png": 360}  # one face alone is small on a page


@dataclass(frozen=True)
class Prediction:
    """What a run says about one picture.

    Attributes:
        run: the run.
        kind: expression (probabilities add up to 1) or au (each unit on its own).
        labels: as the run's data names them, in its order.
        names: in words, e.g. "inner brow raiser" for AU1.
        probabilities: one per label.
        picture: what the model saw, uint8 ``[3, S, S]``.
        sources: where picture, run and its data come from, and how the picture was placed.
        heatmap: relevance of each patch for the likeliest label, ``[h, w]``, or None.
        why_no_heatmap: the reason in words where there is none.
        details: what the method says besides, as JSON takes it, by name.
        drawings: further figures that :meth:`write` keeps, by file name.
        remarks: lines that the command prints below the probabilities.
    """

    run: Run
    kind: Kind
    labels: tuple[str, ...]
    names: tuple[str, ...]
    probabilities: tuple[float, ...]
    picture: np.ndarray
    sources: dict[str, str]
    heatmap: np.ndarray | None
    why_no_heatmap: str = ""
    details: dict[str, Any] = field(default_factory=dict)
    drawings: dict[str, PageFigure] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    @property
    def top(self) -> int:
        """Position of the likeliest label."""
        return int(np.argmax(self.probabilities))

    def as_dict(self) -> dict[str, Any]:
        """What ``prediction.json`` holds."""
        return {
            "run": self.run.folder.name,
            "recipe": self.run.recipe.key(),
            "task": self.run.recipe.task,
            "kind": self.kind,
            "top": self.labels[self.top],
            "labels": list(self.labels),
            "names": list(self.names),
            "probabilities": [round(p, 6) for p in self.probabilities],
            "sources": self.sources,
            "heatmap": "heatmap.png" if self.heatmap is not None else None,
            "drawings": sorted(self.drawings),
            "why_no_heatmap": self.why_no_heatmap or None,
            **self.details,
        }

    def frame(self) -> pd.DataFrame:
        """Columns label, name and value (percent), the likeliest first for expressions, units in their order."""
        frame = pd.DataFrame({"label": self.labels, "name": self.names})
        frame["value"] = 100 * np.array(self.probabilities)
        return frame.sort_values("value", ascending=False) if self.kind == "expression" else frame

    def bars(self) -> PageFigure:
        """Probabilities as horizontal bars."""
        from fbu import figures

        frame = self.frame()
        if self.kind == "au":
            frame["label"] = frame["label"] + " " + frame["name"]
        what = "probability, %" if self.kind == "expression" else "probability of each unit, %"
        return figures.bars(frame[["label", "value"]], what, self._title())

    def heatmap_figure(self) -> PageFigure | None:
        """The picture above its heat map, or None without one."""
        from fbu import figures

        if self.heatmap is None:
            return None
        height, width = self.heatmap.shape
        rows = {f"relevance\n{height} × {width}": self.heatmap[None]}
        title = f"{self.names[self.top]} {100 * self.probabilities[self.top]:.0f} %"
        return figures.heatmap_sheet(self.picture[None], rows, [textwrap.fill(title, 16)])

    def _title(self) -> str:
        data = self.run.recipe.data
        return f"{Path(self.sources['picture']).name}: {self.run.recipe.task} on {data.name} ({data.source})"

    def write(self, folder: Path) -> list[Path]:
        """Write ``prediction.json``, ``bars.png`` and, where there are such, ``heatmap.png`` and further drawings.

        All are made under temporary names first and then take their places; pictures that an older prediction left and
        the new one does not have are taken away.

        Returns:
            Paths of what was written.

        Raises:
            DataError: the folder cannot be made or written to.
        """
        pictures = {"bars.png": self.bars(), "heatmap.png": self.heatmap_figure(), **self.drawings}
        drafts: dict[Path, Path] = {}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            answer = folder / "prediction.json"
            before = _drawn_before(answer)
            draft = folder / f".{answer.name}.{os.getpid()}"
            drafts[draft] = answer
            draft.write_text(json.dumps(self.as_dict(), indent=1) + "\n", encoding="utf-8")
            for name, figure in pictures.items():
                if figure is not None:
                    draft = folder / f".{name}.{os.getpid()}"
                    drafts[draft] = folder / name
                    figure.savefig(draft, format="png", dpi=_DPI.get(name, 144), facecolor="white")
            for draft, final in drafts.items():
                os.replace(draft, final)
            for name in before - {path.name for path in drafts.values()}:
                (folder / name).unlink(missing_ok=True)
        except OSError as error:
            raise DataError(f"{folder} cannot be written to: {error.strerror or error}") from error
        finally:
            for draft in drafts:
                draft.unlink(missing_ok=True)
        return list(drafts.values())


def _drawn_before(answer: Path) -> set[str]:
    """Names of the pictures that an earlier prediction may have left beside its answer."""
    try:
        drawings = list(json.loads(answer.read_text(encoding="utf-8")).get("drawings", []))
    except (OSError, ValueError, AttributeError, TypeError):  # none, or no answer of ours
        drawings = []
    # Names only: nothing outside the folder is touched, whatever stands in an old answer.
    return {"heatmap.png", *(Path(str(name)).name for name in drawings if str(name).endswith(".png"))}
