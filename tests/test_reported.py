from __future__ import annotations

import csv
import math
from pathlib import Path

import pandas as pd
import pytest

from fbu import reported
from fbu.errors import DataError
from fbu.resources import resource

HEADER = "method,variant,dataset,class_or_au,metric,value,note\n"


def raw(name: str) -> list[dict[str, str]]:
    with resource(f"reported/{name}.csv").open(newline="", encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


@pytest.mark.parametrize("name", reported.names())
def test_every_file_loads_row_by_row(name: str) -> None:
    frame, rows = reported.table(name), raw(name)
    assert len(frame) == len(rows) > 0
    assert list(frame.columns) == list(rows[0])
    text = "method" if "method" in frame else frame.columns[0]
    assert frame[text].tolist() == [row[text] for row in rows]


def test_values_are_numbers_and_dashes_are_nan() -> None:
    frame, rows = reported.table("clef_table5_fer"), raw("clef_table5_fer")
    assert frame["value"].dtype == "float64"
    for number, row in zip(frame["value"], rows, strict=True):
        assert math.isnan(number) if row["value"] == "" else number == float(row["value"])
    assert frame["value"].isna().sum() == sum(row["value"] == "" for row in rows) > 0


def test_a_table_is_a_copy() -> None:
    mine = reported.table("clef_table5_fer")
    mine["value"] = 0.0
    assert reported.table("clef_table5_fer")["value"].max() > 50


def test_unknown_tables_are_named_with_close_ones() -> None:
    with pytest.raises(ValueError, match="did you mean .*clef_table5_fer"):
        reported.table("clef_table5")


def test_names_of_results_only() -> None:
    names = reported.names(results_only=True)
    assert "clef_table7_ablation" in names and "prompts" not in names and "dk_clip_logs" not in names
    assert {reported.paper_of(name) for name in names} == set(reported.PAPERS)


@pytest.mark.parametrize(
    ("table", "where", "expected"),
    [
        ("clef_table2_bp4d", {"method": "CLEF"}, 65.9),
        ("clef_table2_bp4d", {"method": "CLEF", "class_or_au": "AU12"}, 87.8),
        (
            "clef_table7_ablation",
            {"method": "CLIP", "variant": "PA=0;PI=0;I=1;N=0;D=0", "dataset": "BP4D"},
            63.4,
        ),
        (
            "ke_fer_table2_losses",
            {"method": "KE-FER ResNet-18", "variant": "Ls=0;Lt=0;Lc=0", "dataset": "RAF-DB"},
            86.64,
        ),
    ],
)
def test_single_values(table: str, where: dict[str, str], expected: float) -> None:
    assert reported.value(table, **where) == expected


def test_a_printed_dash_is_nan() -> None:
    assert math.isnan(reported.value("clef_table5_fer", method="RAN", dataset="AffectNet-8"))


def test_no_match_and_several_matches_list_what_is_near() -> None:
    with pytest.raises(ValueError, match=r"0 rows .* no method 'CLEFF', but 'CLEF'"):
        reported.value("clef_table2_bp4d", method="CLEFF")
    with pytest.raises(ValueError, match=r"13 rows .*'AU1'"):
        reported.value("clef_table2_bp4d", method="CLEF", class_or_au=None)
    with pytest.raises(ValueError, match="not a table of results"):
        reported.value("prompts", method="CLEF")


def test_hyperparameters_of_one_paper() -> None:
    frame = reported.hyperparameters("clef")
    assert list(frame.columns) == ["stage", "name", "value", "where"]
    encoder = frame[(frame["stage"] == "model") & (frame["name"] == "image encoder")]
    assert encoder["value"].tolist() == ["ViT-B/16"]
    sizes = [len(reported.hyperparameters(paper)) for paper in reported.PAPERS]
    assert sum(sizes) == len(raw("hyperparameters")) and min(sizes) > 10
    with pytest.raises(ValueError, match="known papers: clef"):
        reported.hyperparameters("clip")


# ---- arithmetic


def averages_by_hand() -> dict[tuple[str, ...], tuple[float, float]]:
    out = {}
    for name in reported.names(results_only=True):
        cells: dict[tuple[str, ...], list[float]] = {}
        printed: dict[tuple[str, ...], float] = {}
        for row in raw(name):
            key = (name, row["method"], row["variant"], row["dataset"])
            if row["value"] and row["class_or_au"] not in ("", "avg"):
                cells.setdefault(key, []).append(float(row["value"]))
            elif row["value"] and row["metric"] in ("f1", "UAR", "mean_accuracy") and row["class_or_au"]:
                printed[key] = float(row["value"])
        out |= {k: (printed[k], sum(v) / len(v)) for k, v in cells.items() if len(v) > 1 and k in printed}
    return out


def test_averages_agree_with_a_loop_over_the_files() -> None:
    frame, expected = reported.averages(), averages_by_hand()
    assert len(frame) == len(expected) == 79
    for row in frame.itertuples():
        value, mean = expected[(row.table, row.method, row.variant, row.dataset)]
        assert row.reported == value and row.recomputed == pytest.approx(mean)
        assert row.off == (abs(value - mean) > 0.06 + 1e-9)


def test_eleven_averages_are_off_and_the_largest_is_eac_on_disfa() -> None:
    frame = reported.averages()
    off = frame[frame["off"]]
    assert len(off) == 11
    worst = off.loc[off["difference"].abs().idxmax()]
    assert (worst["method"], worst["dataset"]) == ("EAC", "DISFA")
    assert worst["difference"] == pytest.approx(-8.9125)
    marked = [row for name in reported.names(results_only=True) for row in raw(name)]
    assert sum("average inconsistent" in row["note"] for row in marked) == len(off)
    assert reported.averages(tolerance=10)["off"].sum() == 0


def test_first_rows_by_printed_and_recomputed_averages() -> None:
    frame = reported.leaders().set_index("table")
    assert len(frame) == 7 and (frame["first"] == frame["first_recomputed"]).all()
    assert frame.loc["dk_clip_table2_dfew", "metric"] == "UAR"
    clef = frame.loc["clef_table4_bp4dplus"]
    assert (clef["first"], clef["margin"]) == ("CLEF", pytest.approx(0.9))
    means = sorted(mean for key, (_, mean) in averages_by_hand().items() if key[0] == "clef_table4_bp4dplus")
    assert clef["first_recomputed"] == "CLEF"
    assert clef["margin_recomputed"] == pytest.approx(means[-1] - means[-2])
    emoco = frame.loc["emoco_table3_bp4d"]
    assert (emoco["first"], emoco["margin"]) == ("SRERL, supervised", pytest.approx(0.2))
    assert emoco["margin_recomputed"] == pytest.approx(1.0, abs=0.05)


def test_titles_as_readers_know_them() -> None:
    assert reported.title("dk_clip_table5_temporal") == "DK-CLIP, Table 5"
    assert reported.title("emoco_table3_bp4d") == "EmoCo, Table III"
    assert reported.title("ke_fer_fig4_selfcontrast_text") == "KE-FER, Figure 4"
    assert reported.title("clef_text_separate_encoders") == "CLEF, text"
    with pytest.raises(ValueError, match="'datasets' belongs to no paper"):
        reported.title("datasets")


def test_cells_of_two_papers() -> None:
    frame = reported.shared_cells()
    differing = frame[frame["differs"]]
    assert (len(frame), len(differing)) == (79, 5)
    cells = set(differing[["method", "dataset"]].itertuples(index=False, name=None))
    assert cells == {
        ("DSIN", "BP4D"),
        ("EAC", "RAF-DB"),
        ("SCN", "RAF-DB"),
        ("RUL", "AffectNet-7"),
        ("RUL", "FERPlus"),
    }
    dsin = differing[differing["method"] == "DSIN"].iloc[0]
    assert (dsin["clef"], dsin["emoco"], dsin["range"]) == (56.0, 56.6, pytest.approx(0.6))
    assert "JAA-Net" in set(frame["method"])  # spelled JAA in one of the two papers


def test_second_best_marks() -> None:
    frame = reported.second_best_marks()
    assert len(frame) == 53
    wrong = frame[frame["wrong"]]
    cells = set(wrong[["dataset", "class_or_au"]].itertuples(index=False, name=None))
    assert cells == {("DISFA", f"AU{n}") for n in (4, 6, 9, 26)} | {("BP4D+", f"AU{n}") for n in (2, 12)}
    assert (wrong["better"] == 2).all()


# ---- malformed files


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("CLEF,,BP4D,avg,f1,sixty,\n", "line 2: value: .*'sixty'"),
        (",,BP4D,avg,f1,60.0,\n", "line 2: method"),
        ("CLEF,,BP5D,avg,f1,60.0,\n", "line 2: dataset.*'BP5D'"),
        ("CLEF,,BP4D,12,f1,60.0,\n", "line 2: class_or_au"),
        ("CLEF,,BP4D,avg,speed,60.0,\n", "line 2: metric.*'speed'"),
        ("CLEF,,BP4D,avg,f1,160.0,\n", "line 2: .*160.0 of f1 is no percentage"),
        ("CLEF,,BP4D,avg,f1,60.0,\nCLEF,,BP4D\n", "line 3: "),
        ("CLEF,,BP4D,avg,f1,60.0,,extra\n", "line 2: surplus cells"),
    ],
)
def test_malformed_rows_name_file_and_line(tmp_path: Path, body: str, message: str) -> None:
    path = tmp_path / "my_table.csv"
    path.write_text(HEADER + body, encoding="utf-8")
    with pytest.raises(DataError, match=f"my_table.csv {message}"):
        reported.read_rows(path, reported.ResultRow)


def test_a_wrong_header_is_line_one(tmp_path: Path) -> None:
    path = tmp_path / "my_table.csv"
    path.write_text("method,value\nCLEF,1\n", encoding="utf-8")
    with pytest.raises(DataError, match="my_table.csv line 1: the header must be method,variant"):
        reported.read_rows(path, reported.ResultRow)


def test_parameter_counts_may_exceed_a_hundred(tmp_path: Path) -> None:
    path = tmp_path / "my_table.csv"
    path.write_text(HEADER + "X,,,,params_M,150.0,\n", encoding="utf-8")
    expected = pd.DataFrame([["X", "", "", "", "params_M", 150.0, ""]], columns=HEADER.strip().split(","))
    pd.testing.assert_frame_equal(reported.read_rows(path, reported.ResultRow), expected, check_dtype=False)
