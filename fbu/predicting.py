"""One picture, or video, through a finished run: what the model says about a face, and where it looked."""

from __future__ import annotations

import json
import os
import re
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from PIL import Image, ImageOps

from fbu.config import home
from fbu.data.alignment import preset_named
from fbu.data.decoding import UNREADABLE, fit
from fbu.data.manifest import load_manifest
from fbu.errors import DataError
from fbu.labels import prompting
from fbu.provenance import sources
from fbu.recipes import DataSpec, Recipe
from fbu.runs import Run, find

if TYPE_CHECKING:
    from torch import Tensor

    from fbu.figures import PageFigure
    from fbu.models.clef import CLEF

Kind = Literal["expression", "au"]

#: What `fbu predict` takes when no run is named: table, row, column.
DEFAULT = ("clef.table7_ablation", "CLEF PA,PI,I,N,D", "RAF-DB")
_VIDEOS = {".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".flv"}
#: The task whose runs take videos instead.
CLIPS = "dk_clip.train"
_FILES = ("prediction.json", "bars.png", "heatmap.png")
_DPI = {"bars.png": 144, "heatmap.png": 360}  # one face alone is small on a page


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
            "why_no_heatmap": self.why_no_heatmap or None,
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
        """Write ``prediction.json``, ``bars.png`` and, where there is one, ``heatmap.png``; returns their paths.

        All are made under temporary names first and then take their places; an older heat map is taken away where the
        new prediction has none.

        Raises:
            DataError: the folder cannot be made or written to.
        """
        pictures = {"bars.png": self.bars(), "heatmap.png": self.heatmap_figure()}
        drafts: dict[Path, Path] = {}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name in _FILES:
                draft = folder / f".{name}.{os.getpid()}"
                figure = pictures.get(name)
                if name.endswith(".json"):
                    draft.write_text(json.dumps(self.as_dict(), indent=1) + "\n", encoding="utf-8")
                elif figure is not None:
                    figure.savefig(draft, format="png", dpi=_DPI[name], facecolor="white")
                else:
                    continue
                drafts[draft] = folder / name
            for draft, final in drafts.items():
                os.replace(draft, final)
            if self.heatmap is None:
                (folder / "heatmap.png").unlink(missing_ok=True)
        except OSError as error:
            raise DataError(f"{folder} cannot be written to: {error.strerror or error}") from error
        finally:
            for draft in drafts:
                draft.unlink(missing_ok=True)
        return list(drafts.values())


def predict(image: Path, run: Run) -> Prediction:
    """What a run says about the face in a picture; for a run on clips, in a video.

    The picture is cut as those without a box or landmarks are: the largest square around its middle. Nothing looks for
    a face, so it should fill the picture. The data that the run was trained on need not be there.

    Raises:
        DataError: no picture, a video, or a run that does not name expressions or action units.
    """
    if run.recipe.task == CLIPS:
        from fbu.predicting_clips import predict_clip

        return predict_clip(image, run)
    if run.recipe.task not in _READERS:
        raise DataError(
            f"run {run.folder.name} is of {run.recipe.task}, which names no expressions or action units; "
            f"those of {', '.join([*_READERS, CLIPS])} do"
        )
    opened = read_picture(image)
    preset, why = placement(run.recipe.data)
    try:
        picture = fit(opened, run.recipe.data.image_size, preset)
    except ValueError as error:
        raise DataError(f"{image}: {error}") from None
    kind, labels = labels_of(run)
    probabilities, heatmap, reason = _READERS[run.recipe.task](run, kind, labels, picture)
    keys = [name.removeprefix("AU") for name in labels] if kind == "au" else labels
    about = {
        "picture": str(image),
        "placement": why,
        "run": str(run.folder),
        "data": f"{run.recipe.data.name} ({sources(run.recipe)})",
        "code": code_of(run),
    }
    names = tuple(prompting.names(kind, keys))
    values = tuple(map(float, probabilities))
    return Prediction(run, kind, labels, names, values, picture, about, heatmap, reason)


def read_picture(path: Path) -> Image.Image:
    """A picture file as RGB, upright; transparent parts become black, and of an animation the first frame is taken.

    Raises:
        DataError: no such file, no picture, a damaged one, or a video.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such picture")
    try:
        with Image.open(path) as opened:
            opened.load()
            upright = ImageOps.exif_transpose(opened)
            if upright.mode.startswith("I") or upright.mode == "F":
                return _eight_bits(upright)
            if upright.has_transparency_data:
                cut = upright.convert("RGBA")
                return Image.composite(cut, Image.new("RGBA", cut.size), cut.getchannel("A")).convert("RGB")
            return upright.convert("RGB")
    except UNREADABLE as error:
        if path.suffix.lower() in _VIDEOS:
            raise DataError(
                f"{path} is a video, which takes a run of {CLIPS}: name one, or give a picture"
            ) from None
        detail = "" if isinstance(error, Image.UnidentifiedImageError) else f" ({error})"
        raise DataError(f"{path} is no picture that can be read, or is damaged{detail}") from None


def _eight_bits(image: Image.Image) -> Image.Image:
    """A grey picture of more than 8 bits: by its format's range, or by its own where the format has none."""
    values = np.asarray(image, dtype=np.float64)
    top = 65_535.0 if values.min() >= 0 and 255 < values.max() <= 65_535 else max(values.max(), 255.0)
    return Image.fromarray((255 * values.clip(0) / top).round().astype(np.uint8)).convert("RGB")


def placement(spec: DataSpec) -> tuple[str, str]:
    """Alignment preset for a single picture under a run's data, and the sentence that says so.

    A single picture has no box and no landmarks, so presets that need them give way to the middle of the picture. So
    does the preset that takes a whole picture: data sets use it for square pictures, and others would be squeezed.
    """
    manifest = load_manifest(spec.name)
    protocol = manifest.protocols.get(spec.protocol or "")
    name = spec.preset or (protocol.preset if protocol is not None else None) or manifest.preset
    if spec.source == "twin":
        name = spec.preset or "none"  # drawn in place
    if name == "mtcnn":
        return name, "mtcnn: around the largest face found"
    needs = preset_named(name).needs
    middle = "the largest square around the middle"
    wanted = {"box": "a box", "landmarks": "landmarks"}.get(needs)
    return "centre", middle if wanted is None else f"{middle}; the run's preset {name} needs {wanted}"


def labels_of(run: Run) -> tuple[Kind, tuple[str, ...]]:
    """Kind and labels of a run, in the order of its model's outputs, read from its predictions.

    Raises:
        DataError: the run's predictions are missing.
    """
    path = run.folder / "predictions.csv"
    if not path.is_file():
        raise DataError(f"{path} is missing: the run's labels stand there; run the recipe again")
    columns = list(map(str, pd.read_csv(path, nrows=0).columns))
    labels = tuple(name.removeprefix("p_") for name in columns if name.startswith("p_"))
    return ("expression" if "target" in columns else "au"), labels


def _clef(
    run: Run, kind: Kind, labels: tuple[str, ...], picture: np.ndarray
) -> tuple[np.ndarray, np.ndarray | None, str]:
    """Probabilities (C,), relevance [h, w] or None, and why there is none."""
    import torch

    from fbu.models.pictures import Pictures

    model = _clef_model(run, kind, labels)
    image = next(iter(Pictures(picture[None], torch.device("cpu")).batches(1)))
    with torch.no_grad():
        logits = model.logits(image)[0]
    probabilities = (logits.softmax(0) if kind == "expression" else logits.sigmoid()).numpy()
    heatmap, reason = _clef_relevance(model, image, int(probabilities.argmax()))
    return probabilities, heatmap, reason


def _clef_model(run: Run, kind: Kind, labels: tuple[str, ...]) -> CLEF:
    from fbu.models.clef import CLEF, Finetuning, label_tokens
    from fbu.models.encoders import load_dual_encoder

    name = run.recipe.encoder.name
    options = Finetuning.model_validate(run.recipe.options)
    keys = labels if kind == "expression" else tuple(int(label.removeprefix("AU")) for label in labels)
    # All weights come from the run, so published ones are not looked for.
    model = CLEF(
        load_dual_encoder(name),
        label_tokens(name, kind, keys),
        options.use,
        options.text_encoder,
    )
    try:
        model.load_state_dict(run.weights())
    except (RuntimeError, OSError) as error:
        raise unfitting(run, error) from None
    return model.eval()


def _clef_relevance(model: CLEF, image: Tensor, top: int) -> tuple[np.ndarray | None, str]:
    from fbu.explain import relevance

    if model.head is not None:
        return None, "no heat map: this run ends in a linear head and compares with no text"
    tokens = model.description_tokens if model.use == "ID" else model.name_tokens
    try:
        maps, _ = relevance(model.encoder, image, tokens[0][top][None])
    except ValueError as error:  # another kind of image tower
        return None, f"no heat map: {error}"
    return maps[0].numpy(), ""


def _ke_fer(
    run: Run, kind: Kind, labels: tuple[str, ...], picture: np.ndarray
) -> tuple[np.ndarray, np.ndarray | None, str]:
    """As :func:`_clef`; the method looks at no single text with its picture encoder, so there is no heat map."""
    import torch

    from fbu.models.ke_fer import Training, trained_model
    from fbu.models.pictures import Pictures

    try:
        model = trained_model(run.recipe, run.weights()).eval()
    except (RuntimeError, OSError, KeyError) as error:
        raise unfitting(run, error) from None
    seen = Pictures(picture[None], torch.device("cpu"), model.encoder.mean, model.encoder.std)
    settings = Training.model_validate(run.recipe.options)
    with torch.no_grad():
        logits = model.logits(model.vectors(next(iter(seen.batches(1)))), settings.temperature)[0]
    return logits.softmax(0).numpy(), None, "no heat map: relevance is defined for CLIP's two towers"


def unfitting(run: Run, error: Exception) -> DataError:
    """The error for weights that today's model does not take."""
    first = str(error).splitlines()[0]
    return DataError(
        f"the weights of run {run.folder.name} do not fit today's model ({first}): run the recipe again"
    )


_Reader = Callable[[Run, Kind, tuple[str, ...], np.ndarray], tuple[np.ndarray, "np.ndarray | None", str]]
#: How a task's runs are read; each new method that names labels adds itself here.
_READERS: dict[str, _Reader] = {"clef.finetune": _clef, "ke_fer.train": _ke_fer}


def run_in(folder: Path) -> Run:
    """The finished run in a folder.

    Raises:
        DataError: there is none.
    """
    if not (folder / "done.json").is_file() or not (folder / "recipe.json").is_file():
        raise DataError(f"{folder} holds no finished run (recipe.json and done.json)")
    return Run(Recipe.model_validate_json((folder / "recipe.json").read_text()), folder)


def run_with_key(key: str) -> Run:
    """The finished run of a recipe by (the beginning of) its key; that of today's code, otherwise the newest.

    Raises:
        DataError: none, or the beginning fits several recipes.
    """
    folders = [
        path.parent for path in (home() / "runs").glob("*/done.json") if path.parent.name.startswith(key)
    ]
    if not folders or not re.fullmatch(r"[0-9a-f]+", key):
        raise DataError(
            f"no finished run of recipe {key!r} under {home() / 'runs'}: train it with `fbu run RECIPE.json` or "
            "`fbu run --table TABLE`"
        )
    keys = sorted({folder.name.partition("-")[0] for folder in folders})
    if len(keys) > 1:
        raise DataError(f"{key!r} fits {len(keys)} recipes: {', '.join(keys[:4])}; give more of the key")
    newest = max(folders, key=lambda folder: (folder / "done.json").stat().st_mtime)
    present = find(run_in(newest).recipe)
    return present or run_in(newest)


def run_of_table(table: str, label: str | None, column: str | None, profile: str, source: str) -> Run:
    """The run of the first seed behind a table's cell.

    Raises:
        DataError: the cell is not run in this profile, or its run is missing (with the command that trains it).
        ValueError: an unknown table, row or column (lists the known ones).
    """
    from fbu import experiments

    found = experiments.table(table, profile=profile, source=source)
    rows = list(dict.fromkeys(cell.label for cell in found.cells))
    if label is None:
        raise ValueError(f"{table}: name a row with --label: {'; '.join(rows)}")
    if column is None:
        column = next((cell.column for cell in found.cells if cell.label == label), found.columns()[0])
    if column not in found.columns():
        raise ValueError(f"{table} has no column {column!r}; there are {', '.join(found.columns())}")
    cell = found.cell(label, column)
    if not cell.recipes:
        raise DataError(f"{label} / {column} of {table}: {cell.why_empty or f'not run in {profile}'}")
    run = find(cell.recipes[0])
    if run is None:
        raise DataError(
            f"{label} / {column} of {table} is not trained yet; "
            f"fbu run --table {table} --profile {profile} --source {source} --seeds 1 trains it"
        )
    return run


def code_of(run: Run) -> str:
    """Whether a run was made by the present code."""
    made = run.folder.name.split("-")
    present = run.recipe.code()[:8]
    return "present" if len(made) > 1 and made[1] == present else f"older than the present code ({present})"
