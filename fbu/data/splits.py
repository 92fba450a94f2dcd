"""Train, validation and test rows: stable when rows are missing, and never with one person on two sides."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from fbu.data.manifest import Manifest, Protocol
from fbu.errors import DataError
from fbu.resources import resource

SPLITS = ("train", "val", "test")
_VAL = "validation:"


def fold_of(subject: str, k: int, salt: str = "") -> int:
    """Fold of a subject: sha256 of salt + name (UTF-8) as a whole number, mod k.

    >>> fold_of("George_W_Bush", 5)
    4
    """
    if k < 1:
        raise DataError(f"k is {k}: it must be at least 1")
    return int(hashlib.sha256((salt + subject).encode()).hexdigest(), 16) % k


def known_fold(manifest: Manifest, fold: int | None) -> int | None:
    """The fold asked for, or the manifest's first one; None where the split is official.

    Raises:
        DataError: no such fold (names the known ones).
    """
    known = manifest.splits.folds
    if fold is None:
        return known[0] if known else None
    if isinstance(fold, bool) or not isinstance(fold, int | np.integer) or int(fold) not in known:
        has = f"known are {', '.join(map(str, known))}" if known else "it has an official split and no folds"
        raise DataError(f"unknown fold {fold!r} of {manifest.name}: {has}")
    return int(fold)


def assign(
    records: pd.DataFrame, manifest: Manifest, fold: int | None, protocol: Protocol | None = None
) -> pd.DataFrame:
    """Which split each row belongs to.

    Args:
        records: sample, subject and, for an official split, part (``train``, ``test``, and ``val`` where the owner
            has one), for the rule 'column', fold.
        manifest: the rule.
        fold: block to test on; see `known_fold`.
        protocol: may leave validation out or put it on the test rows.

    Returns:
        split (``train``, ``val``, ``test``) and fold (the subject's block, -1 without), rows as in records.

    Raises:
        DataError: a subject without a fold, on two sides, or an unknown fold.
    """
    fold = known_fold(manifest, fold)
    subjects = records["subject"].astype(str)
    if manifest.splits.rule == "official":
        block = dict.fromkeys(subjects, -1)
        test = records["part"].to_numpy() == "test"
    else:
        column = manifest.splits.rule == "column"
        block = _in_column(records) if column else blocks(manifest, subjects.unique())
        test = subjects.map(block).to_numpy() == fold
    split = np.where(test, "test", "train").astype(object)
    given = records["part"].to_numpy() == "val" if manifest.splits.rule == "official" else np.zeros(1, bool)
    if given.any():
        split[given] = "val"  # the owner's validation part; where a protocol has none, it is left out
    elif protocol is None or protocol.validation == "part_of_train":
        chosen = _validation(manifest, fold, subjects[~test].unique(), block)
        split[~test & subjects.isin(chosen).to_numpy()] = "val"
    out = pd.DataFrame({"split": split, "fold": subjects.map(block).to_numpy(int)}, index=records.index)
    check_exclusive(subjects, out["split"])
    return out


def blocks(manifest: Manifest, subjects: Iterable[str]) -> dict[str, int]:
    """Block of each subject, by the manifest's rule 'file' or 'hash'.

    Raises:
        DataError: a subject that the fold file does not list.
    """
    rule = manifest.splits
    if rule.rule == "hash":
        return {subject: rule.folds[fold_of(subject, len(rule.folds))] for subject in subjects}
    listed = _listed(str(rule.file))
    for subject in subjects:
        if subject not in listed:
            raise DataError(
                f"{manifest.name}: subject {subject!r} is not in data_manifests/{rule.file}: add it there"
            )
    return listed


def _in_column(records: pd.DataFrame) -> dict[str, int]:
    """Block of each subject as its rows say."""
    pairs = records[["subject", "fold"]].drop_duplicates()
    twice = pairs[pairs["subject"].duplicated()]
    if len(twice):
        raise DataError(f"subject {twice['subject'].iloc[0]!r} is in two folds: a person may be in one only")
    return dict(zip(pairs["subject"].astype(str), pairs["fold"].astype(int), strict=True))


def check_exclusive(subjects: pd.Series, split: pd.Series) -> None:
    """Refuse a subject with rows in two splits.

    Raises:
        DataError: names the subject and the splits.
    """
    pairs = pd.DataFrame({"subject": subjects.to_numpy(), "split": split.to_numpy()}).drop_duplicates()
    twice = pairs[pairs["subject"].duplicated(keep=False)].sort_values(["subject", "split"])
    if len(twice):
        subject = twice["subject"].iloc[0]
        where = " and ".join(twice["split"][twice["subject"] == subject])
        raise DataError(f"subject {subject!r} is in {where}: a person may be in one split only")


def _validation(
    manifest: Manifest, fold: int | None, train: Iterable[str], block: Mapping[str, int]
) -> set[str]:
    """Training subjects that are set aside.

    A list of all subjects gives an exact share, whoever is missing; otherwise each is drawn by its own hash.
    """
    one_in = manifest.splits.val_one_in
    if manifest.splits.rule != "file":
        return {subject for subject in train if fold_of(subject, one_in, _VAL) == 0}
    listed = [subject for subject, own in block.items() if own != fold]
    by_hash = sorted(listed, key=lambda subject: hashlib.sha256((_VAL + subject).encode()).hexdigest())
    return set(by_hash[: max(1, round(len(listed) / one_in))])


def _listed(name: str) -> dict[str, int]:
    with resource(name).open(encoding="utf-8", newline="") as file:
        return {row["subject"]: int(row["fold"]) for row in csv.DictReader(file)}
