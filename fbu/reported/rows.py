"""Row types of the files of reported numbers, and the reader that holds every file to its type."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Annotated, Literal

import pandas as pd
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from fbu.errors import DataError

Dataset = Literal[
    "", "BP4D", "BP4D+", "DISFA", "GFT", "AffectNet-7", "AffectNet-8", "RAF-DB", "FERPlus", "CK+"
]
VideoDataset = Literal["DFEW", "DFEW-fold3", "FERV39K", "MAFW"]
Metric = Literal["f1", "accuracy", "mean_accuracy", "UAR", "WAR", "params_M", "accuracy_difference"]
Text = Annotated[str, Field(min_length=1)]
BLANK = BeforeValidator(lambda text: None if text == "" else text)
Number = Annotated[float | None, BLANK]
Percent = Annotated[float, Field(ge=0, le=100)]


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ResultRow(_Row):
    """One cell of a table of results."""

    method: Text = Field(description="as printed, without the citation")
    variant: str = Field(description="empty, key=value pairs joined by ';', a prompt template, or a protocol")
    dataset: Dataset | VideoDataset = Field(description="empty for parameter counts")
    class_or_au: str = Field(pattern=r"^(|avg|AU\d+|[A-Z][a-z]+)$", description="AU12, Happiness, or avg")
    metric: Metric
    value: Number = Field(description="per cent, or millions; empty where the paper prints a dash")
    note: str = Field(description="citation, marks of the paper, remarks on the reading")

    @model_validator(mode="after")
    def _is_a_percentage(self) -> ResultRow:
        if self.value is not None and self.metric != "params_M" and not 0 <= self.value <= 100:
            raise ValueError(f"value {self.value} of {self.metric} is no percentage")
        return self


class ActivityRow(_Row):
    """An activity of BP4D (CLEF, Table 1)."""

    activity_id: Text
    description: Text
    target_emotion: Text
    note: str


class ExpressionAuRow(_Row):
    """An action unit of an expression (DK-CLIP, Table 1)."""

    expression: Text
    position: Annotated[int | None, Field(ge=1), BLANK]
    au: str = Field(pattern=r"^(|AU\d+)$")
    au_text: str
    note: str


class PromptRow(_Row):
    """A prompt template; empty where the paper gives no wording."""

    paper: Text
    role: Text
    template: str
    where: str
    note: str


class HyperparameterRow(_Row):
    """A setting that a paper states, or ``not stated``."""

    paper: Text
    stage: str
    name: Text
    value: Text
    where: str


class DatasetRow(_Row):
    """What a paper says about a dataset."""

    dataset: Text
    paper: Text
    subjects: str
    images_or_clips: str
    classes_or_aus: str
    split_protocol: str
    metric: str
    note: str


class ClassPromptRow(_Row):
    """The text of one class in the authors' label files (DK-CLIP)."""

    label_set: Text
    label_id: int = Field(ge=0)
    prompt: Text
    source: Text


class FoldRow(_Row):
    """A number of the authors' table per fold (DK-CLIP)."""

    dataset: VideoDataset
    fold: str
    class_or_metric: Text
    value: Number


class LogRow(_Row):
    """WAR on the test list after one epoch, from the authors' training logs (DK-CLIP)."""

    dataset: VideoDataset
    fold: int = Field(ge=0)
    epoch: int = Field(ge=0)
    test_videos: int = Field(ge=1)
    war_global: Percent
    war_local: Percent
    war_fused: Percent


SCHEMAS: dict[str, type[_Row]] = {
    "clef_table1_activities": ActivityRow,
    "datasets": DatasetRow,
    "dk_clip_class_prompts": ClassPromptRow,
    "dk_clip_logs": LogRow,
    "dk_clip_readme_folds": FoldRow,
    "dk_clip_table1_expression_aus": ExpressionAuRow,
    "hyperparameters": HyperparameterRow,
    "prompts": PromptRow,
}


def read_rows(path: Path, schema: type[BaseModel]) -> pd.DataFrame:
    """A CSV file whose header and rows must fit ``schema``.

    Raises:
        DataError: another header, a missing or surplus cell, or a value that does not fit.
    """
    columns = list(schema.model_fields)
    rows = []
    with path.open(newline="", encoding="utf-8") as handle:
        reader = csv.DictReader(handle, restkey="surplus cells", restval=None)
        if reader.fieldnames != columns:
            raise DataError(
                f"{path.name} line 1: the header must be {','.join(columns)}, got {reader.fieldnames}"
            )
        for row in reader:
            try:
                rows.append(schema.model_validate(row).model_dump())
            except ValidationError as error:
                raise DataError(f"{path.name} line {reader.line_num}: {_explain(error)}") from None
    frame = pd.DataFrame(rows, columns=columns)
    return frame.astype({"value": "float64"}) if schema in (ResultRow, FoldRow) else frame


def _explain(error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"])) or "row"
    return f"{where}: {first['msg']}, got {first['input']!r}" if first["loc"] else str(first["msg"])
