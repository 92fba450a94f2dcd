import builtins
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fbu.data import alignment
from fbu.data.alignment import FIVE_POINTS, PRESETS, five_points, preset_named, similarity
from fbu.data.decoding import decode, fit
from fbu.errors import DataError


def apply(placement: np.ndarray, points: np.ndarray) -> np.ndarray:
    return points @ placement[:, :2].T + placement[:, 2]


def face68(turn: float = 0.0, scale: float = 1.0, shift: tuple[float, float] = (0.0, 0.0)) -> np.ndarray:
    """68 landmarks around eyes at (30, 40) and (70, 40), nose (50, 60), mouth corners (35, 80), (65, 80)."""
    points = np.zeros((68, 2))
    points[36:42] = np.array([30, 40]) + [[-3, 0], [-1, -1], [1, -1], [3, 0], [1, 1], [-1, 1]]
    points[42:48] = np.array([70, 40]) + [[-3, 0], [-1, -1], [1, -1], [3, 0], [1, 1], [-1, 1]]
    points[30], points[48], points[54] = (50, 60), (35, 80), (65, 80)
    turned = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    return scale * points @ turned.T + shift


@pytest.mark.parametrize("n", [5, 49, 51, 66, 68])
def test_all_schemes_give_the_same_five_points(n: int) -> None:
    whole = face68()
    schemes = {
        68: whole,
        66: np.delete(whole, [60, 64], axis=0),
        51: whole[17:],
        49: np.delete(whole, [60, 64], axis=0)[17:],
        5: np.array([[30, 40], [70, 40], [50, 60], [35, 80], [65, 80]], float),
    }
    np.testing.assert_allclose(
        five_points(schemes[n]), [[30, 40], [70, 40], [50, 60], [35, 80], [65, 80]], atol=1e-12
    )


@pytest.mark.parametrize(
    ("points", "what"), [(np.zeros((7, 2)), "7 landmarks"), (np.full((5, 2), np.nan), "no l")]
)
def test_other_landmarks_are_refused(points: np.ndarray, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        five_points(points)


@given(turn=st.floats(-3, 3), scale=st.floats(0.2, 50), x=st.floats(-100, 100), y=st.floats(-100, 100))
def test_similarity_finds_the_map_that_made_the_points(turn: float, scale: float, x: float, y: float) -> None:
    made = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0]]) * scale
    made[:, 2] = x, y
    found = similarity(FIVE_POINTS, apply(made, FIVE_POINTS))
    np.testing.assert_allclose(found, made, atol=1e-8 * (scale + 100))


def test_similarity_never_mirrors() -> None:
    found = similarity(FIVE_POINTS, FIVE_POINTS * [-1, 1])
    assert np.linalg.det(found[:, :2]) >= 0


@given(turn=st.floats(-0.7, 0.7), scale=st.floats(0.5, 3))
def test_landmark_presets_follow_a_turned_face(turn: float, scale: float) -> None:
    """The same face, turned and scaled in the picture, comes to lie at the same places of the result."""
    image = Image.new("RGB", (200, 200))
    for name in ("eyes_level", "five_points"):
        place = PRESETS[name].place
        straight, turned = face68(), face68(turn, scale, (20, 10))
        plain, other = place(image, straight), place(image, turned)
        unit = np.array([[0, 0], [1, 0], [0, 1], [1, 1]], float)
        moved = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        np.testing.assert_allclose(
            apply(other, unit), scale * apply(plain, unit) @ moved.T + [20, 10], atol=1e-6
        )


def test_eyes_level_by_hand() -> None:
    """Eyes 40 apart, mouth 40 below: side 2.9 * 40 = 116, centre (50, 60)."""
    placement = PRESETS["eyes_level"].place(Image.new("RGB", (9, 9)), face68())
    np.testing.assert_allclose(placement, [[116, 0, -8], [0, 116, 2]], atol=1e-9)


def test_box_is_cut_out_and_black_outside() -> None:
    picture = np.zeros((20, 30, 3), np.uint8)
    picture[4:12, 10:26] = 200
    image = Image.fromarray(picture)
    inside = fit(image, 8, "box", np.array([[10.0, 4.0], [26.0, 12.0]]))
    assert inside[:, 1:-1, 1:-1].min() >= 195
    beyond = fit(image, 8, "box", np.array([[10.0, 4.0], [42.0, 20.0]]))
    assert beyond[:, 1, 1].min() >= 195 and beyond[:, -1, -1].max() == 0


@pytest.mark.parametrize("points", [None, np.full((2, 2), np.nan), np.array([[3.0, 3.0], [3.0, 9.0]])])
def test_a_missing_or_empty_box_is_an_error(points: np.ndarray | None) -> None:
    with pytest.raises(ValueError, match="box"):
        fit(Image.new("RGB", (9, 9)), 8, "box", points)


def test_a_turned_picture_is_turned_back(tmp_path: Path) -> None:
    """A smooth picture with a dot at each of five points, turned by 20 degrees: the dots end at the template."""
    turn, side = 0.35, 240
    made = 112 * np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0]])
    made[:, 2] = 110, 40
    points = apply(made, FIVE_POINTS)
    y, x = np.mgrid[:side, :side] + 0.5
    picture = sum(np.exp(-((x - px) ** 2 + (y - py) ** 2) / 18) for px, py in points)
    Image.fromarray((255 * np.clip(picture, 0, 1)).astype(np.uint8)).save(tmp_path / "dots.png")
    found = decode(tmp_path / "dots.png", 112, "five_points", points)[0]
    for px, py in FIVE_POINTS * 112:
        window = found[int(py) - 4 : int(py) + 5, int(px) - 4 : int(px) + 5].astype(float)
        rows, columns = np.mgrid[int(py) - 4 : int(py) + 5, int(px) - 4 : int(px) + 5] + 0.5
        centre = (columns * window).sum() / window.sum(), (rows * window).sum() / window.sum()
        np.testing.assert_allclose(centre, (px, py), atol=0.4)


def test_mtcnn_without_its_package_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def refuse(name: str, *args: Any, **given: Any) -> Any:
        if name == "facenet_pytorch":
            raise ImportError(name)
        return real(name, *args, **given)

    alignment._detector.cache_clear()
    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(DataError, match="pip install --no-deps facenet-pytorch"):
        PRESETS["mtcnn"].place(Image.new("RGB", (9, 9)), None)


def test_mtcnn_places_what_the_detector_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    class Detector:
        def detect(self, image: Image.Image, landmarks: bool) -> tuple[Any, Any, Any]:
            return (None, None, None) if image.width == 9 else (None, None, FIVE_POINTS[None] * 50 + 7)

    monkeypatch.setattr(alignment, "_detector", Detector)
    np.testing.assert_allclose(
        PRESETS["mtcnn"].place(Image.new("RGB", (90, 90)), None), [[50, 0, 7], [0, 50, 7]], atol=1e-9
    )
    with pytest.raises(ValueError, match="no face found"):
        PRESETS["mtcnn"].place(Image.new("RGB", (9, 9)), None)


def test_unknown_preset() -> None:
    with pytest.raises(DataError, match="unknown alignment preset 'square'"):
        preset_named("square")
