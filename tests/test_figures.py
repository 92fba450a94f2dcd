from __future__ import annotations

import io

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from fbu import figures

LABELS = ["CLIP, I", "CLIP, I+N", "CLEF"]


def texts(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def rows_of(axes: Axes) -> list[str]:
    return [tick.get_text() for tick in axes.get_yticklabels()]


def legend_of(figure: Figure) -> list[str]:
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def marked(axes: Axes, marker: str) -> list[tuple[float, float]]:
    return [(line.get_xdata()[0], line.get_ydata()[0]) for line in axes.lines if line.get_marker() == marker]


def drawn(figure: Figure) -> Figure:
    """Lay the figure out; a layout that does not fit warns, and warnings are errors."""
    figure.draw_without_rendering()
    return figure


def table() -> pd.DataFrame:
    rows = []
    for column, start in (("BP4D", 50.0), ("RAF-DB", 80.0)):
        for number, label in enumerate(LABELS):
            value = start + number if label != "CLIP, I+N" else np.nan
            row = {"label": label, "column": column, "reported": 60.0 + number, "reference": start + 0.5}
            row |= {"reference_spread": 0.3, "value": value, "low": value - 1, "high": value + 2}
            row |= {
                "source": "twin" if value == value else "",
                "note": "" if value == value else "not run in quick",
            }
            rows.append(row)
    return pd.DataFrame(rows)


# ---- the table as dots


def test_ablation_has_one_panel_per_dataset_and_one_marker_per_number() -> None:
    figure = drawn(figures.ablation_dots(table(), "Table 7"))
    assert [axes.get_title() for axes in figure.axes] == ["BP4D", "RAF-DB"]
    assert rows_of(figure.axes[0]) == ["CLIP, I", "CLIP, I+N\n(not run in quick)", "CLEF"]
    for axes, start in zip(figure.axes, (50.0, 80.0), strict=True):
        assert [x for x, _ in marked(axes, "D")] == [60.0, 61.0, 62.0]
        assert [x for x, _ in marked(axes, "o")] == [start, start + 2]
        assert len(marked(axes, "|")) == 3
        ends = [tuple(line.get_xdata()) for line in axes.lines]
        assert (start - 1, start + 2) in ends and (start + 0.2, start + 0.8) in ends
    assert figure.get_suptitle() == "Table 7"


def test_ablation_legend_names_the_source_of_each_marker() -> None:
    assert legend_of(figures.ablation_dots(table())) == [
        "paper, on its data",
        "reference, twin ± SD over seeds",
        "this run, twin, 95 % interval",
    ]
    bare = table().drop(columns=["reference", "low", "high", "source"])
    assert legend_of(figures.ablation_dots(bare)) == ["paper, on its data", "this run"]
    open_data = table().assign(source="twin -> open (facial_expressions)")
    assert len(legend_of(drawn(figures.ablation_dots(open_data)))) == 3


def test_ablation_relative_to_a_baseline_takes_each_source_from_its_own() -> None:
    figure = drawn(figures.ablation_dots(table(), baseline="CLIP, I"))
    axes = figure.axes[1]
    assert axes.get_xlabel() == "points above CLIP, I"
    assert [x for x, _ in marked(axes, "D")] == [0, 1, 2] and [x for x, _ in marked(axes, "o")] == [0, 2]
    assert not any("interval" in text or "SD" in text for text in legend_of(figure))
    with pytest.raises(ValueError, match="baseline 'ViT' is no label; labels are CLIP, I"):
        figures.ablation_dots(table(), baseline="ViT")


def test_ablation_refuses_what_it_cannot_draw() -> None:
    with pytest.raises(ValueError, match="no row"):
        figures.ablation_dots(table().iloc[:0])
    with pytest.raises(ValueError, match="lacks the columns \\['column'\\]"):
        figures.ablation_dots(table().drop(columns="column"))


# ---- matrices


def test_similarity_shows_every_value_and_label() -> None:
    values = [[1.0, -0.25, 0.5], [0.124, 0.0, 1.0]]
    figure = drawn(figures.similarity_matrix(values, ["a", "b"], ["x", "y", "zebra"], "names"))
    axes = figure.axes[0]
    assert texts(axes) == ["1.0", "\u2212.25", ".50", ".12", ".00", "1.0"]
    assert rows_of(axes) == ["a", "b"] and axes.get_title() == "names"
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["x", "y", "zebra"]
    np.testing.assert_array_equal(axes.images[0].get_array(), values)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
def test_similarities_share_one_scale(count: int) -> None:
    matrices = {f"tower {i}": np.eye(8) * (i + 1) / 10 for i in range(count)}
    figure = drawn(figures.similarity_matrices(matrices, [f"expression {i}" for i in range(8)]))
    shown = [axes for axes in figure.axes if axes.images]
    assert [axes.get_title() for axes in shown] == list(matrices)
    assert {axes.images[0].get_clim() for axes in shown} == {(0, count / 10)}
    assert figure.get_figwidth() <= figures.PAGE_WIDTH


def test_matrices_that_do_not_fit_their_labels_are_named() -> None:
    with pytest.raises(ValueError, match=r"'CLIP' has shape \(2, 2\), its labels need \(3, 3\)"):
        figures.similarity_matrices({"CLIP": np.eye(2)}, LABELS)
    with pytest.raises(ValueError, match="empty"):
        figures.similarity_matrices({}, LABELS)
    with pytest.raises(ValueError, match="3 labels need a square"):
        figures.confusion(np.eye(2), LABELS)


def test_confusion_shows_row_shares_and_support() -> None:
    axes = drawn(figures.confusion([[3, 1, 0], [0, 0, 0], [1, 0, 1]], LABELS)).axes[0]
    assert texts(axes) == ["75", "25", "", "", "", "", "50", "", "50"]
    assert rows_of(axes) == ["CLIP, I (n = 4)", "CLIP, I+N (n = 0)", "CLEF (n = 2)"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted", "true")
    assert axes.images[0].get_clim() == (0, 100)


# ---- charts


def test_bars_show_values_intervals_and_chance() -> None:
    frame = pd.DataFrame(
        {"label": ["a", "b"], "value": [40.0, 60.0], "low": [35.0, np.nan], "high": [45.0, np.nan]}
    )
    figure = drawn(figures.bars(frame, "accuracy, per cent", chance=14.3))
    axes = figure.axes[0]
    assert [bar.get_width() for bar in axes.patches] == [40, 60] and texts(axes) == ["40.0", "60.0"]
    assert rows_of(axes) == ["a", "b"] and legend_of(figure) == ["chance"]
    assert axes.get_xlim()[0] == 0 and axes.get_xlabel() == "accuracy, per cent"
    segments = [segment[:, 0].tolist() for lines in axes.collections for segment in lines.get_segments()]
    assert segments == [[35.0, 45.0]]


def test_grouped_bars_leave_a_gap_for_what_is_missing() -> None:
    frame = pd.DataFrame(
        {"label": ["a", "b", "a", "b"], "group": ["x", "x", "y", "y"], "value": [1.0, 2.0, np.nan, -4.0]}
    )
    figure = drawn(figures.bars(frame, "points"))
    axes = figure.axes[0]
    assert legend_of(figure) == ["x", "y"] and texts(axes) == ["1.0", "2.0", "\u22124.0"]
    assert axes.get_xlim()[0] < -4
    with pytest.raises(ValueError, match="may occur once"):
        figures.bars(pd.concat([frame, frame]), "points")


def test_sweep_names_each_line_at_its_end() -> None:
    frame = pd.DataFrame(
        {"x": [2, 0.5, 1] * 2, "y": [3.0, 1, 2, 3.01, 1.5, 2.5], "series": ["a"] * 3 + ["b"] * 3}
    )
    frame["low"], frame["high"] = frame["y"] - 1, frame["y"] + 1
    figure = drawn(figures.sweep(frame, "weight", "F1, points", marked=2, log=True))
    axes = figure.axes[0]
    lines = [line for line in axes.lines if line.get_marker() != "None"]
    assert [line.get_xdata().tolist() for line in lines] == [[0.5, 1, 2]] * 2
    assert lines[0].get_ydata().tolist() == [1, 2, 3]
    assert {"a", "b", "paper's choice"} == set(texts(axes))
    names = {text.get_text(): text.get_position()[1] for text in axes.texts}
    assert names["b"] - names["a"] > 0.1  # the ends differ by 0.01, the names keep apart
    assert len(axes.collections) == 2 and axes.get_xscale() == "log"


def test_sweep_over_text_keeps_the_order_of_the_rows() -> None:
    frame = pd.DataFrame({"x": ["1:2", "1:1", "2:1"], "y": [1.0, 2.0, 3.0]})
    axes = drawn(figures.sweep(frame, "weights", "accuracy, per cent", marked="1:1")).axes[0]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["1:2", "1:1", "2:1"]
    assert axes.lines[1].get_xdata()[0] == 1


def test_film_has_a_picture_for_each_snippet() -> None:
    frames = np.random.default_rng(0).integers(0, 255, (2, 3, 4, 3, 8, 8), dtype=np.uint8)
    marked = np.array([[True, False, False], [False, False, False]])
    said = [["a", "b", "c"], ["d", "e", "f"]]
    figure = drawn(figures.film(frames, ["one", "two"], said, marked, [["x", "", ""], ["", "", ""]]))
    axes = figure.axes
    assert [a.get_title() for a in axes] == ["a", "b", "c", "d", "e", "f"] and axes[3].get_ylabel() == "two"
    assert axes[0].get_images()[0].get_array().shape == (8, 4 * 8 + 3 * 2, 3) and axes[0].get_xlabel() == "x"
    thick = [a.spines["left"].get_linewidth() > 2 for a in axes]
    assert thick == [True, False, False, False, False, False]
    with pytest.raises(ValueError, match="2 clips of 3 snippets need as many"):
        figures.film(frames, ["one"], said, marked)


def test_deviations_are_signed_and_labelled() -> None:
    figure = drawn(figures.deviations(["a", "b"], [0.5, -8.913], "points", limit=0.06))
    axes = figure.axes[0]
    assert texts(axes) == ["+0.50", "\u22128.91"] and rows_of(axes) == ["a", "b"]
    assert legend_of(figure) == ["within 0.06"]
    with pytest.raises(ValueError, match="1 labels for 2 values"):
        figures.deviations(["a"], [1, 2], "points")


# ---- pictures


def test_contact_sheet_shows_every_picture_once() -> None:
    images = np.random.default_rng(0).integers(0, 256, size=(5, 3, 8, 8), dtype=np.uint8)
    figure = drawn(figures.contact_sheet(images, [f"picture {i}" for i in range(5)], columns=3, title="Twin"))
    shown = [axes for axes in figure.axes if axes.images]
    assert [texts(axes) for axes in shown] == [[f"picture {i}"] for i in range(5)]
    for axes, image in zip(shown, images, strict=True):
        np.testing.assert_array_equal(axes.images[0].get_array(), image.transpose(1, 2, 0))
    assert figure.get_suptitle() == "Twin"


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (np.zeros((2, 3, 4, 4)), None, "images must be uint8"),
        (np.zeros((2, 4, 4, 3), np.uint8), None, "images must be uint8"),
        (np.zeros((0, 3, 4, 4), np.uint8), None, "empty"),
        (np.zeros((2, 3, 4, 4), np.uint8), ["one"], "1 labels for 2 images"),
    ],
)
def test_malformed_pictures_are_named(images: np.ndarray, labels: list[str] | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        figures.contact_sheet(images, labels)


# ---- style


def test_a_figure_displays_itself_and_leaves_the_settings_alone() -> None:
    before = dict(mpl.rcParams)
    figure = figures.deviations(["a"], [1.0], "points")
    picture = Image.open(io.BytesIO(figure._repr_png_()))
    assert picture.width == pytest.approx(figures.PAGE_WIDTH * 144, abs=2)
    assert dict(mpl.rcParams) == before


def test_nothing_stays_open_in_pyplot() -> None:
    import matplotlib.pyplot as plt

    figures.confusion(np.eye(3), LABELS)
    assert plt.get_fignums() == []
