"""What loading gives: pictures, one row of facts per picture, and the names of the classes."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd


@dataclass(frozen=True, eq=False)
class Dataset:
    """One split of a dataset.

    Attributes:
        name: dataset.
        split: ``train``, ``val`` or ``test``.
        source: ``twin``, ``real`` or ``open``.
        images: uint8 ``[N, 3, S, S]``, memory-mapped, read only (a `fbu.data.stores.JpegImages` is indexed alike);
            of clips the frames of the whole dataset, to be cut by `spans`.
        records: N rows, index 0 .. N-1: sample, path, subject, then expression and/or AU columns (1, 0, -1 =
            not coded), activity and frame where the dataset has them, fold; a twin's truth as ``true_*``.
        labels: class names in the order of the files, or "AU1", "AU2", ... as papers print them.
        kind: ``expression`` or ``au``.
        fingerprint: of the whole dataset's labels and files.
        skipped: reason -> rows of the whole dataset that were left out.
        fold: block that is tested, None without folds.
        protocol: name, if one was asked for.
        spans: of clips: first frame in images and the one after the last, int64 ``[N, 2]``; None for pictures.
    """

    name: str
    split: str
    source: str
    images: np.ndarray
    records: pd.DataFrame
    labels: tuple[str, ...]
    kind: Literal["expression", "au"]
    fingerprint: str
    skipped: dict[str, int] = field(default_factory=dict)
    fold: int | None = None
    protocol: str | None = None
    spans: np.ndarray | None = None

    def __len__(self) -> int:
        """Number of pictures or clips."""
        return len(self.records)

    def clip(self, at: int) -> np.ndarray:
        """Frames of one clip, uint8 ``[n, 3, S, S]``; of a picture the one."""
        first, end = (at, at + 1) if self.spans is None else self.spans[at]
        return np.asarray(self.images[first:end])

    @property
    def unit(self) -> str:
        """What is counted: pictures or clips."""
        return "pictures" if self.spans is None else "clips"

    @cached_property
    def targets(self) -> np.ndarray:
        """Class indices, int64 ``[N]``; or action units, int8 ``[N, A]`` with -1 where not coded."""
        if self.kind == "au":
            return self.records[list(self.labels)].to_numpy(np.int8)
        place = {name: i for i, name in enumerate(self.labels)}
        return self.records["expression"].map(place).to_numpy(np.int64)

    @property
    def keys(self) -> tuple[Any, ...]:
        """Labels as `fbu.labels` knows them: names of expressions, numbers of action units."""
        return self.labels if self.kind == "expression" else tuple(int(name[2:]) for name in self.labels)

    def intensity(self, name: str) -> np.ndarray | None:
        """Strength ``[N]`` of an action unit, 0 to 5, -1 where not coded; None where nobody graded it.

        Of a twin the true, continuous one; else the coders'.

        Args:
            name: as in `labels`, e.g. "AU12".
        """
        for column in (f"true_{name}_intensity", f"{name}_intensity"):
            if column in self.records:
                return self.records[column].to_numpy(float)
        return None

    @property
    def shown(self) -> np.ndarray:
        """What each picture shows ``[N]``: its expression, or for action units what `expression_key` says."""
        if self.kind == "expression":
            return self.records["expression"].to_numpy()
        return expression_key(self.records)

    def counts(self) -> pd.DataFrame:
        """Pictures and subjects per class (action units: where present), rows in the order of ``labels``."""
        rows = []
        for i, name in enumerate(self.labels):
            on = self.targets[:, i] == 1 if self.kind == "au" else self.targets == i
            rows.append(
                {"label": name, self.unit: int(on.sum()), "subjects": self.records["subject"][on].nunique()}
            )
        return pd.DataFrame(rows).set_index("label")

    def describe(self) -> str:
        """Two lines: size and people, then pictures per class."""
        fold = "" if self.fold is None else f", fold {self.fold}"
        side = self.images.shape[-1]
        left_out = ", ".join(f"{n} {reason}" for reason, n in self.skipped.items()) or "nothing"
        head = f"{self.name} {self.split} ({self.source}{fold}): {len(self)} {self.unit} of {side} px"
        people = self.records["subject"].nunique()
        per_class = ", ".join(f"{name} {n}" for name, n in self.counts()[self.unit].items())
        return f"{head}, {people} subjects; left out of the whole set: {left_out}\n{per_class}"


def expression_key(records: pd.DataFrame) -> np.ndarray:
    """What "same expression" means in recordings: the twin's true one, or on real frames the set of active units."""
    if "true_expression" in records:
        return records["true_expression"].to_numpy()
    units = [c for c in map(str, records.columns) if c.startswith("AU")]
    return records[units].astype(str).agg("".join, axis=1).to_numpy()
