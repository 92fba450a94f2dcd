from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fbu.data import splits
from fbu.data.manifest import Manifest, load_manifest
from fbu.data.splits import assign, blocks, check_exclusive, fold_of, known_fold
from fbu.errors import DataError

BP4D = [f"F{i:03d}" for i in range(1, 24)] + [f"M{i:03d}" for i in range(1, 19)]
PEOPLE = [f"person_{i}" for i in range(400)]
EXPECTED = {
    1: "F001 F002 F008 F009 F010 F016 F018 F023 M001 M004 M007 M008 M012 M014",
    2: "F003 F005 F011 F013 F020 F022 M002 M005 M010 M011 M013 M016 M017 M018",
    3: "F004 F006 F007 F012 F014 F015 F017 F019 F021 M003 M006 M009 M015",
}


def records(name: str) -> tuple[pd.DataFrame, Manifest]:
    """Three rows per subject; for RAF-DB one, half of them in the official test part."""
    if name == "rafdb":
        samples = [f"train_{i:05d}" for i in range(300)] + [f"test_{i:04d}" for i in range(100)]
        part = [s.partition("_")[0] for s in samples]
        return pd.DataFrame({"sample": samples, "subject": samples, "part": part}), load_manifest(name)
    subjects = np.repeat(BP4D if name == "bp4d" else PEOPLE, 3)
    samples = [f"{s}/{i}" for i, s in enumerate(subjects)]
    return pd.DataFrame({"sample": samples, "subject": subjects}), load_manifest(name)


CASES = [("bp4d", f) for f in (1, 2, 3)] + [("facial_expressions", f) for f in range(5)] + [("rafdb", None)]


def test_hash_is_fixed_for_ever() -> None:
    """Values by ``printf %s NAME | sha256sum``, taken mod 5 and mod 8."""
    assert [fold_of(name, 5) for name in ("George_W_Bush", "Avinash", "AJ_Cook")] == [4, 1, 0]
    assert fold_of("AJ_Cook", 8, "validation:") == 1


@pytest.mark.parametrize(("name", "fold"), CASES)
def test_subjects_are_exclusive_and_all_rows_used(name: str, fold: int | None) -> None:
    table, manifest = records(name)
    found = assign(table, manifest, fold)
    per_subject = found["split"].groupby(table["subject"]).nunique()
    assert per_subject.max() == 1
    assert set(found["split"]) == {"train", "val", "test"}


@pytest.mark.parametrize(("name", "fold"), CASES)
@settings(max_examples=15, deadline=None)
@given(
    kept=st.lists(st.booleans(), min_size=60, max_size=60).filter(any), data=st.randoms(use_true_random=False)
)
def test_stable_when_rows_are_missing_or_shuffled(
    name: str, fold: int | None, kept: list[bool], data: object
) -> None:
    table, manifest = records(name)
    whole = assign(table, manifest, fold)
    order = [i for i in range(len(table)) if kept[i % 60]]
    data.shuffle(order)  # type: ignore[attr-defined]
    part = assign(table.iloc[order].reset_index(drop=True), manifest, fold)
    pd.testing.assert_frame_equal(part, whole.iloc[order].reset_index(drop=True))


@pytest.mark.parametrize(("name", "folds"), [("bp4d", (1, 2, 3)), ("facial_expressions", range(5))])
def test_every_subject_is_tested_once(name: str, folds: tuple[int, ...]) -> None:
    table, manifest = records(name)
    tested = Counter(s for f in folds for s in table["sample"][assign(table, manifest, f)["split"] == "test"])
    assert set(tested) == set(table["sample"]) and set(tested.values()) == {1}


@pytest.mark.parametrize("fold", [1, 2, 3])
def test_bp4d_blocks_as_printed(fold: int) -> None:
    table, manifest = records("bp4d")
    found = assign(table, manifest, fold)
    assert sorted(table["subject"][found["split"] == "test"].unique()) == EXPECTED[fold].split()
    assert (found["fold"][found["split"] == "test"] == fold).all()
    validation = table["subject"][found["split"] == "val"].nunique()
    assert validation in (4, 5)


def test_shares_of_the_hash_rules() -> None:
    table, manifest = records("facial_expressions")
    share = assign(table, manifest, 0)["split"].value_counts(normalize=True)
    assert 0.14 < share["test"] < 0.26 and 0.06 < share["val"] < 0.14
    table, manifest = records("rafdb")
    found = assign(table, manifest, None)
    assert ((found["split"] == "test") == (table["part"] == "test")).all()
    assert 0.06 < (found["split"] == "val").sum() / 300 < 0.14


def test_protocols_may_move_the_validation_part() -> None:
    table, manifest = records("rafdb")
    for name in ("whole_train", "best_on_test"):
        found = assign(table, manifest, None, manifest.protocols[name])
        assert found["split"].value_counts().to_dict() == {"train": 300, "test": 100}


def test_subject_in_two_splits_is_refused() -> None:
    subjects, split = pd.Series(["a", "b", "a"]), pd.Series(["train", "val", "test"])
    with pytest.raises(DataError, match="subject 'a' is in test and train"):
        check_exclusive(subjects, split)
    table, manifest = records("rafdb")
    with pytest.raises(DataError, match="subject 'same' is in test"):
        assign(table.assign(subject="same"), manifest, None)


def test_subject_without_a_block_is_named() -> None:
    with pytest.raises(DataError, match="subject 'F099' is not in data_manifests/folds/bp4d_folds.csv"):
        blocks(load_manifest("bp4d"), ["F001", "F099"])


@pytest.mark.parametrize(
    ("name", "fold", "message"),
    [
        ("bp4d", 0, "unknown fold 0 of bp4d: known are 1, 2, 3"),
        ("bp4d", True, "unknown fold True"),
        ("bp4d", "1", "unknown fold '1'"),
        ("facial_expressions", 5, "known are 0, 1, 2, 3, 4"),
        ("rafdb", 0, "official split and no folds"),
    ],
)
def test_unknown_fold(name: str, fold: int, message: str) -> None:
    with pytest.raises(DataError, match=message):
        known_fold(load_manifest(name), fold)


def test_default_fold() -> None:
    assert known_fold(load_manifest("bp4d"), None) == 1
    assert known_fold(load_manifest("facial_expressions"), np.int64(3)) == 3
    assert known_fold(load_manifest("rafdb"), None) is None


def test_k_must_be_positive() -> None:
    with pytest.raises(DataError, match="k is 0"):
        splits.fold_of("a", 0)


def in_column() -> Manifest:
    """RAF-DB's manifest with five folds that the reader's table says."""
    manifest = load_manifest("rafdb")
    rule = manifest.splits.model_copy(update={"rule": "column", "folds": (1, 2, 3, 4, 5)})
    return manifest.model_copy(update={"splits": rule})


def test_folds_from_a_column() -> None:
    subjects = [f"c{i:03d}" for i in range(200)]
    table = pd.DataFrame({"sample": subjects, "subject": subjects, "fold": np.arange(200) % 5 + 1})
    for fold in range(1, 6):
        found = assign(table, in_column(), fold)
        assert (found["fold"] == table["fold"]).all()
        assert ((found["split"] == "test") == (table["fold"] == fold)).all()
        assert 0 < (found["split"] == "val").sum() < 60


def test_a_subject_in_two_folds_of_a_column_is_refused() -> None:
    table = pd.DataFrame({"sample": ["a", "b", "c"], "subject": ["x", "y", "x"], "fold": [1, 1, 2]})
    with pytest.raises(DataError, match="subject 'x' is in two folds"):
        assign(table, in_column(), 1)


def test_the_owners_validation_part() -> None:
    """It is what selects, and where a protocol wants none it is left out; training rows never move for it."""
    table = pd.DataFrame({"sample": list("abcdef"), "subject": list("abcdef")})
    table["part"] = ["train", "train", "val", "val", "test", "train"]
    manifest = load_manifest("rafdb")
    expected = ["train", "train", "val", "val", "test", "train"]
    for name in (None, "clef", "whole_train"):
        protocol = manifest.protocols[name] if name else None
        assert list(assign(table, manifest, None, protocol)["split"]) == expected
