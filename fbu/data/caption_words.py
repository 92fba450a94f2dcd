"""Words of the captions; they overlap with label names and descriptions, so class names mean something."""

from __future__ import annotations

#: Expression -> the class name, then words that people use for it.
EMOTIONS: dict[str, tuple[str, ...]] = {
    "neutral": ("neutral", "calm", "relaxed"),
    "happiness": ("happiness", "happy", "smiling", "smile", "smiles"),
    "sadness": ("sadness", "sad", "unhappy"),
    "surprise": ("surprise", "surprised", "startled"),
    "fear": ("fear", "afraid", "scared"),
    "disgust": ("disgust", "disgusted", "repelled"),
    "anger": ("anger", "angry", "furious"),
    "contempt": ("contempt", "contemptuous", "sneering"),
}

#: Expression -> how a caption can say it, after the person.
EMOTION_PHRASES: dict[str, tuple[str, ...]] = {
    "neutral": ("with a neutral face", "with neutral", "with a calm and relaxed face", "looking neutral"),
    "happiness": ("with happiness", "smiling", "who looks happy", "feeling happiness"),
    "sadness": ("with sadness", "who looks sad", "who is unhappy", "feeling sadness"),
    "surprise": ("with surprise", "who looks surprised", "who is startled", "feeling surprise"),
    "fear": ("with fear", "who looks afraid", "who is scared", "feeling fear"),
    "disgust": ("with disgust", "who looks disgusted", "who is repelled", "feeling disgust"),
    "anger": ("with anger", "who looks angry", "who is furious", "feeling anger"),
    "contempt": ("with contempt", "who looks contemptuous", "sneering", "feeling contempt"),
}

#: Action unit -> noun phrases for what one sees.
UNITS: dict[int, tuple[str, ...]] = {
    1: ("inner brow raiser", "raised inner eyebrows", "inner eyebrows pulled up"),
    2: ("outer brow raiser", "raised outer eyebrows", "arched eyebrows"),
    4: ("brow lowerer", "lowered eyebrows", "eyebrows pulled down and together"),
    5: ("upper lid raiser", "wide open eyes", "raised upper eyelids"),
    6: ("cheek raiser", "raised cheeks", "wrinkles at the corners of the eyes"),
    7: ("lid tightener", "tightened eyelids", "narrow eyes"),
    9: ("nose wrinkler", "a wrinkled nose"),
    10: ("upper lip raiser", "a raised upper lip"),
    12: ("lip corner puller", "lip corners pulled up"),
    14: ("dimpler", "a dimple beside the mouth", "tightened lip corners"),
    15: ("lip corner depressor", "lip corners pulled down"),
    17: ("chin raiser", "a raised chin", "the lower lip pushed up"),
    20: ("lip stretcher", "lips stretched sideways"),
    23: ("lip tightener", "tightened narrow lips"),
    24: ("lip pressor", "lips pressed together", "pressed lips"),
    25: ("lips part", "parted lips", "an open mouth"),
    26: ("jaw drop", "a dropped jaw", "a mouth that hangs open"),
}

STARTS: tuple[str, ...] = ("a photo of", "a portrait of", "a picture of", "a close-up of", "the face of", "")

#: Hair colours: name and the renderer's red, green, blue.
HAIR: dict[str, tuple[float, float, float]] = {
    "black hair": (0.09, 0.07, 0.06),
    "brown hair": (0.30, 0.18, 0.10),
    "blond hair": (0.74, 0.58, 0.35),
    "red hair": (0.55, 0.22, 0.09),
}
#: Hair styles that have a word of their own.
STYLES: dict[str, str] = {
    "bald": "a bald head",
    "receding": "receding hair",
    "long": "long hair",
    "bangs": "bangs",
    "curly": "curly hair",
    "bob": "a bob",
    "bun": "a bun",
    "scarf": "a headscarf",
}
OCCLUDERS: dict[str, str] = {
    "hand": "a hand before the face",
    "sunglasses": "sunglasses",
    "strands": "strands of hair before the face",
}
