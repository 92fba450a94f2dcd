"""Class orders and action unit sets of each data set, as its files have them."""

from __future__ import annotations

from fbu.labels.names import EXPRESSIONS

_CLIPS = ("happiness", "sadness", "neutral", "anger", "surprise", "disgust", "fear")
_FERPLUS = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")
_MAFW = ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise", "contempt")

# Position in the tuple = code in the file, less the file's first code.
ORDERS: dict[str, tuple[str, ...]] = {
    "rafdb": ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral"),
    "affectnet": ("neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt"),
    "ferplus": _FERPLUS,
    "fer2013": ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral"),
    "ckplus": ("neutral", "anger", "contempt", "disgust", "fear", "happiness", "sadness", "surprise"),
    "dfew": _CLIPS,
    "ferv39k": ("happiness", "sadness", "neutral", "anger", "surprise", "disgust", "fear"),
    "mafw": (*_MAFW, "anxiety", "helplessness", "disappointment"),
    "facial_expressions": EXPRESSIONS,
}

_BP4D = (1, 2, 4, 6, 7, 10, 12, 14, 15, 17, 23, 24)

# In the order that papers print.
AU_SETS: dict[str, tuple[int, ...]] = {
    "bp4d": _BP4D,
    "bp4dplus": _BP4D,
    "disfa": (1, 2, 4, 6, 9, 12, 25, 26),
    "gft": (1, 2, 4, 6, 10, 12, 14, 15, 23, 24),
}
