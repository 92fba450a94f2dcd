"""What a face with an expression looks like, without the expression's name.

DFER-CLIP (Zhao and Patras 2023) takes such descriptions from a language model; its texts are not among this project's
sources. These are ours, after the Facial Action Coding System and in that manner.
"""

from fbu.labels.types import OURS

SOURCE = OURS
APPEARANCE: dict[str, str] = {
    "happiness": "a smiling mouth, lifted cheeks and lines around the eyes",
    "sadness": "drooping eyelids, raised inner eyebrows and a downturned mouth",
    "neutral": "a relaxed mouth, level eyebrows and calm eyes",
    "anger": "lowered eyebrows, narrowed eyes and tightly pressed lips",
    "surprise": "raised eyebrows, wide open eyes and a dropped jaw",
    "disgust": "a wrinkled nose, a raised upper lip and narrowed eyes",
    "fear": "raised and drawn eyebrows, wide open eyes and stretched lips",
    "contempt": "one lip corner pulled up and tightened, and level eyebrows",
    "anxiety": "drawn eyebrows, tense eyes and pressed lips",
    "helplessness": "raised inner eyebrows, slack lips and a lowered gaze",
    "disappointment": "lowered eyelids, sinking lip corners and a still mouth",
}
