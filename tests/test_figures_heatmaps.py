"""Figures of heatmaps: what is drawn where, and what is refused."""

import numpy as np
import pandas as pd
import pytest

from fbu import figures

PICTURES = np.random.default_rng(0).integers(0, 256, (3, 3, 16, 16), dtype=np.uint8)
MAPS = {"name": np.arange(48.0).reshape(3, 4, 4), "description": np.ones((3, 4, 4))}


def drawn(figure):
    figure.draw_without_rendering()
    return figure


def test_sheet_has_a_row_for_each_kind_and_a_column_for_each_picture():
    masks = np.zeros((3, 16, 16), bool)
    masks[:2, 4:8, 4:8] = True
    figure = drawn(figures.heatmap_sheet(PICTURES, MAPS, ["a", "b", "c"], masks=masks))
    grid = np.array(figure.axes).reshape(3, 3)
    assert [a.get_ylabel() for a in grid[:, 0]] == ["picture", "name", "description"]
    assert [a.get_title() for a in grid[0]] == ["a", "b", "c"]
    assert [len(a.collections) for a in grid[0]] == [2, 2, 0]  # an outline where there is a region
    assert len(grid[1, 0].images) == 2  # the grey picture and the map
    shown = np.asarray(grid[1, 2].images[-1].get_array())
    np.testing.assert_allclose(shown, np.linspace(0, 1, 16).reshape(4, 4))  # its own scale
    assert np.ptp(np.asarray(grid[2, 0].images[-1].get_array())) == 0  # a flat map has one colour
    assert figure.get_figwidth() <= figures.PAGE_WIDTH


def test_sheet_without_pictures_shows_maps_alone_in_blocks():
    figure = drawn(figures.heatmap_sheet(None, MAPS, ["a", "b", "c"], columns=2))
    grid = np.array(figure.axes).reshape(4, 2)
    assert [a.get_ylabel() for a in grid[:, 0]] == ["name", "description"] * 2
    assert [a.get_title() for a in grid.ravel() if a.get_title()] == ["a", "b", "c"]
    assert [a.get_visible() for a in grid[2:, 1]] == [False, False]
    assert all(len(a.images) == 1 for a in grid[:2].ravel())


def test_sheet_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match="description: 3 for 2 titles"):
        figures.heatmap_sheet(
            None, {"name": MAPS["name"][:2], "description": MAPS["description"]}, ["a", "b"]
        )
    with pytest.raises(ValueError, match="pictures: 2 for 3 titles"):
        figures.heatmap_sheet(PICTURES[:2], MAPS, ["a", "b", "c"])
    with pytest.raises(ValueError, match="at least one kind of map"):
        figures.heatmap_sheet(None, {}, ["a"])


def test_words_are_shaded_by_their_share_of_the_largest():
    texts = [[("pulls", 2.0), ("lips", 4.0), (".", 0.0)], [("word", 1.0)] * 30]
    figure = drawn(figures.shaded_words(texts, ["AU12", "long"], "Words"))
    (axes,) = figure.axes
    boxes = [np.asarray(box.get_facecolor())[0, :3] for box in axes.collections]
    assert np.allclose(boxes[2], 1) and np.allclose(
        boxes[1], boxes[3]
    )  # nothing is white, the largest darkest
    assert (boxes[1] < boxes[0]).all() and (boxes[0] < boxes[2]).all()
    words = [t for t in axes.texts if t.get_text() == "word"]
    lines = {round(t.get_position()[1], 3) for t in words}
    assert len(words) == 30 and len(lines) >= 2  # a long text continues below
    right = max(box.get_paths()[0].vertices[:, 0].max() for box in axes.collections)
    assert right <= figures.PAGE_WIDTH
    assert figure.get_figheight() > figures.shaded_words(texts[:1], ["AU12"]).get_figheight()
    figures.shaded_words([[("none", 0.0)]], ["zero"])


def test_words_refuse_what_cannot_be_shaded():
    with pytest.raises(ValueError, match="1 labels for 2 texts"):
        figures.shaded_words([[("a", 1.0)]] * 2, ["x"])
    with pytest.raises(ValueError, match="must not be negative"):
        figures.shaded_words([[("a", -1.0)]], ["x"])


def test_scores_stand_before_the_chance_of_their_label():
    frame = pd.DataFrame(
        {
            "label": ["AU1", "AU2"] * 2,
            "group": ["name"] * 2 + ["rollout"] * 2,
            "value": [10.0, 20, 30, np.nan],
        }
    ).assign(chance=[3.0, 5.0, 3.0, 5.0])
    figure = drawn(figures.against_chance(frame, "per cent"))
    (axes,) = figure.axes
    assert [bar.get_width() for bar in axes.patches] == [3, 5]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["AU1", "AU2"]
    assert [list(line.get_xdata()) for line in axes.lines] == [[10, 20], [30]]
    assert [t.get_text() for legend in figure.legends for t in legend.get_texts()] == [
        "name",
        "rollout",
        "chance",
    ]
    with pytest.raises(ValueError, match="may occur once"):
        figures.against_chance(pd.concat([frame, frame]), "x")
    with pytest.raises(ValueError, match="lacks \\['chance'\\]"):
        figures.against_chance(frame.drop(columns="chance"), "x")
