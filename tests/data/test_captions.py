import numpy as np
import pytest

from fbu import labels
from fbu.data import worlds
from fbu.data.caption_words import EMOTION_PHRASES, EMOTIONS, HAIR, OCCLUDERS, STYLES, UNITS
from fbu.data.captions import CAPTION_STYLES, captions_for, rates
from fbu.data.faces import AUS
from fbu.data.faces import OCCLUDERS as KINDS
from fbu.data.faces import STYLES as HAIR_STYLES

NUMBERS = np.arange(1500)


@pytest.fixture(scope="module")
def faces():
    return worlds.tower_scenes(NUMBERS)


@pytest.mark.parametrize("style", sorted(CAPTION_STYLES))
def test_emotions_are_named_and_wrong_at_the_stated_rates(faces, style):
    scene, shown = faces
    how = CAPTION_STYLES[style]
    got = rates(captions_for(scene, NUMBERS, shown, style=style), shown)
    sentences = how.sentence * 0.9  # these captions name no emotion
    assert got["named"] == pytest.approx(how.emotion * (1 - sentences), abs=0.05)
    assert got["wrong"] == pytest.approx(how.emotion_error, abs=0.04)


def test_a_caption_does_not_depend_on_its_batch(faces):
    scene, shown = faces
    whole = captions_for(scene, NUMBERS, shown, style="detailed")
    rows = np.array([700, 3, 41])
    part = captions_for(scene.map(lambda x: x[rows]), NUMBERS[rows], shown[rows], style="detailed")
    assert part == [whole[r] for r in rows]
    assert captions_for(scene, NUMBERS, shown, style="detailed", seed=1) != whole


@pytest.mark.parametrize("style", sorted(CAPTION_STYLES))
def test_omitted_expressions_never_occur(faces, style):
    scene, shown = faces
    omit = {"happiness", "fear"}
    texts = captions_for(scene, NUMBERS, shown, style=style, omit=omit)
    words = set(" ".join(texts).replace(",", " ").replace(".", " ").split())
    assert not words & {word for name in omit for word in EMOTIONS[name]}
    assert {"sadness", "anger"} <= words
    without = captions_for(scene, NUMBERS, shown, style=style)
    assert {"fear", "happiness"} <= set(" ".join(without).replace(",", " ").replace(".", " ").split())


def test_detailed_captions_name_units_that_are_mostly_there(faces):
    scene, shown = faces
    texts = captions_for(scene, NUMBERS, shown, style="detailed")
    column = AUS.index(26)
    there = scene.au[:, column].numpy() >= worlds.PRESENT
    said = np.array([any(p in text for p in UNITS[26]) for text in texts])
    assert said[there].mean() > 0.3
    assert said[~there].mean() < 0.05


def test_detailed_says_more_than_plain(faces):
    scene, shown = faces
    length = {
        style: np.mean([len(t.split()) for t in captions_for(scene, NUMBERS, shown, style=style)])
        for style in ("plain", "detailed")
    }
    assert length["detailed"] > 1.4 * length["plain"]


def test_captions_fit_a_short_context(faces):
    scene, shown = faces
    texts = captions_for(scene, NUMBERS, shown, style="detailed")
    assert max(len(text.split()) for text in texts) <= 40
    assert all(text.endswith(".") and "  " not in text for text in texts)


def test_plain_captions_tell_glasses_truly(faces):
    scene, shown = faces
    glasses = worlds.attributes(scene)["glasses"].to_numpy()
    texts = captions_for(scene, NUMBERS, shown, style="plain")
    said = np.array([" glasses" in text for text in texts])
    assert said[glasses].mean() > 0.3 and not said[~glasses].any()


def test_words_cover_the_labels():
    assert set(EMOTIONS) == set(EMOTION_PHRASES) == set(labels.EXPRESSIONS)
    for name, words in EMOTIONS.items():
        assert words[0] == name
        assert any(name in phrase for phrase in EMOTION_PHRASES[name])
        for phrase in EMOTION_PHRASES[name]:
            assert set(words) & set(phrase.split()), f"{phrase!r} would not be counted as {name}"
    assert {n: phrases[0] for n, phrases in UNITS.items()} == {
        n: unit.name for n, unit in labels.action_units.items()
    }
    assert set(STYLES) <= set(HAIR_STYLES) and set(OCCLUDERS) < set(KINDS) and HAIR


def test_bad_arguments_are_named(faces):
    scene, shown = faces
    with pytest.raises(ValueError, match="style is 'poem'; known: plain"):
        captions_for(scene, NUMBERS, shown, style="poem")
    with pytest.raises(ValueError, match="omit names"):
        captions_for(scene, NUMBERS, shown, omit={"joy"})
    with pytest.raises(ValueError, match="index 3"):
        captions_for(scene, NUMBERS[:3], shown)
