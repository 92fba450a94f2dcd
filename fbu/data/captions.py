"""Captions for rendered faces, from action units and scene: what the stand-in towers read.

Styles: *plain* (web-like: person, looks, sometimes an emotion), *detailed* (after face-caption collections:
more looks and single facial movements), *noisy* (plain, with many wrong statements). Emotion words come at a
stated rate and are wrong at a stated rate, so that a tower learns what class names mean, but not perfectly.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from fbu.data.caption_words import EMOTION_PHRASES, EMOTIONS, HAIR, OCCLUDERS, STARTS, STYLES, UNITS
from fbu.data.faces import AUS, Scene, uniform
from fbu.data.faces import STYLES as HAIR_STYLES
from fbu.data.worlds import PRESENT, attributes
from fbu.labels.names import action_units

_STREAM, _DRAWS = 501, 24


@dataclass(frozen=True)
class Style:
    """How often a caption says what.

    Attributes:
        emotion: chance that the shown expression is named.
        emotion_error: chance that a named expression is another one.
        looks: chance of each true statement about glasses, beard, hair ... ; at most ``max_looks``.
        units: chance of each present action unit; at most ``max_units``.
        unit_error: chance that a named unit is one that is not there.
        sentence: chance that the caption is instead one unit's description.
        look_error: chance that the looks are those of somebody else.
    """

    emotion: float
    emotion_error: float
    looks: float
    max_looks: int
    units: float = 0.0
    max_units: int = 0
    unit_error: float = 0.0
    sentence: float = 0.0
    look_error: float = 0.0


CAPTION_STYLES: dict[str, Style] = {
    "plain": Style(emotion=0.5, emotion_error=0.1, looks=0.5, max_looks=2),
    "detailed": Style(
        emotion=0.8,
        emotion_error=0.05,
        looks=0.3,
        max_looks=1,
        units=0.9,
        max_units=4,
        unit_error=0.05,
        sentence=0.15,
    ),
    "noisy": Style(emotion=0.5, emotion_error=0.4, looks=0.5, max_looks=2, look_error=0.3),
}


def captions_for(
    scene: Scene,
    index: np.ndarray | torch.Tensor,
    shown: Sequence[str] | np.ndarray,
    *,
    style: str = "plain",
    seed: int = 0,
    omit: Collection[str] = frozenset(),
) -> list[str]:
    """A caption per picture; a pure function of scene, number and seed.

    Args:
        scene: what the pictures show, n rows.
        index: number of each picture: decides what its caption says.
        shown: expression of each picture; "" or a name without words: no emotion is named.
        style: a key of `CAPTION_STYLES`.
        seed: another seed says other things about the same pictures.
        omit: expressions whose words never occur (class names and their synonyms), for zero-shot tests.

    Raises:
        ValueError: unknown style or expression to omit, or lengths that differ.
    """
    if style not in CAPTION_STYLES:
        raise ValueError(f"style is {style!r}; known: {', '.join(CAPTION_STYLES)}")
    if unknown := sorted(set(omit) - set(EMOTIONS)):
        raise ValueError(f"omit names {unknown}; known: {', '.join(EMOTIONS)}")
    if not len(scene.au) == len(index) == len(shown):
        raise ValueError(f"scene has {len(scene.au)} rows, index {len(index)}, shown {len(shown)}")
    how, taboo = CAPTION_STYLES[style], {word for name in omit for word in EMOTIONS[name]}
    draws = uniform(seed, torch.as_tensor(index), _DRAWS + 3 * len(AUS), _STREAM).tolist()
    looks = [_looks(row) for row in attributes(scene).to_dict("records")]
    present = (scene.au >= PRESENT).tolist()
    out = []
    for row, (u, (person, said)) in enumerate(zip(draws, looks, strict=True)):
        units = _units(how, present[row], u[_DRAWS:], taboo)
        if units and u[0] < how.sentence:
            out.append(_sentence(present[row], u, taboo) or f"a photo of a person with {units[0]}.")
            continue
        emotion = _emotion(how, str(shown[row]), u, omit)
        out.append(_join(how, person, said, emotion, units, u))
    return out


def _emotion(how: Style, name: str, u: list[float], omit: Collection[str]) -> str:
    """The phrase for an expression, "" at times; wrong at times."""
    if name not in EMOTIONS or u[1] >= how.emotion:
        return ""
    if u[2] < how.emotion_error:
        others = [other for other in EMOTIONS if other != name]
        name = others[int(u[3] * len(others))]
    phrases = EMOTION_PHRASES[name]
    return "" if name in omit else phrases[int(u[4] * len(phrases))]


def _units(how: Style, present: list[bool], u: list[float], taboo: set[str]) -> list[str]:
    """Phrases for some of the units that are there, now and then for one that is not."""
    absent = [number for number, there in zip(AUS, present, strict=True) if not there]
    said = []
    for i, number in enumerate(AUS):
        a, b, c = u[3 * i : 3 * i + 3]
        if not present[i] or a >= how.units:
            continue
        if b < how.unit_error and absent:
            number = absent[int(c * len(absent))]
        phrase = UNITS[number][int(c * len(UNITS[number]))]
        if not taboo & set(phrase.split()):
            said.append((b, phrase))
    return [phrase for _, phrase in sorted(said)[: how.max_units]]


def _sentence(present: list[bool], u: list[float], taboo: set[str]) -> str:
    """One present unit described in full."""
    there = [number for number, on in zip(AUS, present, strict=True) if on]
    text = action_units[there[int(u[5] * len(there))]].description
    return "" if taboo & set(text.replace(",", "").split()) else f"a photo shows a person that {text}."


def _looks(row: Mapping[Hashable, object]) -> tuple[str, list[str]]:
    """The word for a person, and true statements about how they look."""
    age = float(str(row["age"]))
    word = {"female": "woman", "male": "man"}[str(row["sex"])]
    person = f"old {word}" if age > 0.45 else f"young {word}" if age < -0.6 else word
    said = []
    if row["glasses"]:
        said.append("glasses")
    if float(str(row["beard"])) > 0.3:
        said.append("a beard")
    style = HAIR_STYLES[int(str(row["style"]))]
    if style in STYLES:
        said.append(STYLES[style])
    if style not in ("bald", "scarf"):
        said.append(_hair(row))
    if float(str(row["lipstick"])) > 0.5:
        said.append("lipstick")
    if str(row["occluder"]) in OCCLUDERS:
        said.append(OCCLUDERS[str(row["occluder"])])
    return person, said


def _hair(row: Mapping[Hashable, object]) -> str:
    if float(str(row["grey"])) > 0.5:
        return "grey hair"
    colour = np.array([float(str(row[f"hair_{c}"])) for c in ("red", "green", "blue")])
    return min(HAIR, key=lambda name: float(np.abs(colour - np.array(HAIR[name])).sum()))


def _join(how: Style, person: str, looks: list[str], emotion: str, units: list[str], u: list[float]) -> str:
    """Put a caption together: start, person, emotion, looks and units."""
    start = STARTS[int(u[6] * len(STARTS))]
    if u[7] < 0.25:
        person = "person"
    if u[8] < how.look_error:
        looks = list(STYLES.values())[int(u[9] * len(STYLES)) :][:1]
    said = [text for text, v in zip(looks, u[10:], strict=False) if v < how.looks][: how.max_looks]
    article = "an" if person[0] in "aeiou" else "a"
    text = f"{start} {article} {person} {emotion}".strip()
    if said or units:
        text += f"{',' if emotion else ''} with {_list(said + units)}"
    return f"{text}."


def _list(items: list[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def rates(captions: Sequence[str], shown: Sequence[str] | np.ndarray) -> pd.Series:
    """Share of captions that name an expression, and share of those that name the wrong one.

    Args:
        captions: texts.
        shown: what the pictures show; rows without an expression are left out.
    """
    named, wrong, total = 0, 0, 0
    for text, truth in zip(captions, shown, strict=True):
        words = set(text.replace(",", "").rstrip(".").split())
        hits = {name for name, group in EMOTIONS.items() if words & set(group)}
        total += truth in EMOTIONS
        named += bool(hits) and truth in EMOTIONS
        wrong += bool(hits) and truth in EMOTIONS and truth not in hits
    return pd.Series({"named": named / max(total, 1), "wrong": wrong / max(named, 1)})
