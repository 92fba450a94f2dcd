"""Expressions and action units: names, and descriptions in our own words.

The supplement of CLEF that lists the descriptions is not available; these follow the Facial Action Coding
System's account of which muscle moves what. Each completes "a photo shows a person that ...".
"""

from __future__ import annotations

from fbu.labels.types import OURS, OURS_FACS, ActionUnit, Label

EXPRESSIONS = ("neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt")

_EXPRESSIONS = {
    "neutral": "keeps a relaxed face, with eyebrows, eyes and mouth at rest",
    "happiness": "smiles, with raised cheeks, lip corners pulled up and parted lips",
    "sadness": "is sad, with inner eyebrows pulled up and together, lip corners pulled down and raised chin",
    "surprise": "is startled, with raised eyebrows, wide open eyes and a dropped jaw",
    "fear": "is scared, with eyebrows pulled up and together, wide open eyes and lips stretched sideways",
    "disgust": "is repelled, with a wrinkled nose and a raised upper lip",
    "anger": "is angry, with eyebrows pulled down, tightened eyelids and lips pressed together",
    "contempt": "sneers, with the lip corner tightened and dimpled on one side only",
}
# Classes of MAFW beyond the eight above.
_MORE = {
    "anxiety": "looks worried and tense, with eyebrows drawn together and tightened lips",
    "helplessness": "looks at a loss, with the inner eyebrows raised and slack lips",
    "disappointment": "looks let down, with lowered eyelids and lip corners that sink",
}
expressions: dict[str, Label] = {
    **{name: Label(name, text, OURS_FACS) for name, text in _EXPRESSIONS.items()},
    **{name: Label(name, text, OURS) for name, text in _MORE.items()},
}

_UNITS = {
    1: ("inner brow raiser", "raises the inner ends of the eyebrows, wrinkling the middle of the forehead"),
    2: ("outer brow raiser", "raises the outer ends of the eyebrows into an arch"),
    4: ("brow lowerer", "pulls the eyebrows down and together, with a crease between them"),
    5: ("upper lid raiser", "lifts the upper eyelids, so that the eyes are wide open"),
    6: ("cheek raiser", "raises the cheeks, narrowing the eyes and wrinkling their outer corners"),
    7: ("lid tightener", "tightens the eyelids, so that the eyes narrow to slits"),
    9: ("nose wrinkler", "wrinkles the nose, pulling up its wings and the skin between the eyes"),
    10: ("upper lip raiser", "raises the upper lip, deepening the fold beside the nose"),
    12: ("lip corner puller", "pulls the lip corners up and back as in a smile"),
    14: ("dimpler", "tightens the lip corners inwards, with a dimple beside the mouth"),
    15: ("lip corner depressor", "pulls the lip corners down"),
    17: ("chin raiser", "raises the chin and pushes the lower lip up, wrinkling the chin"),
    20: ("lip stretcher", "stretches the lips sideways into a flat line"),
    23: ("lip tightener", "tightens the lips, so that they become narrow"),
    24: ("lip pressor", "presses the lips together into a thin line"),
    25: ("lips part", "parts the lips a little, so that the teeth may show"),
    26: ("jaw drop", "drops the jaw, so that the mouth hangs open"),
}
action_units: dict[int, ActionUnit] = {
    number: ActionUnit(number, name, text, OURS_FACS) for number, (name, text) in _UNITS.items()
}
