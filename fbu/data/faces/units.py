"""Action units, expressions and elicitation activities that the renderer knows.

The mapping from expressions to action units follows Du, Tao and Martinez, "Compound facial expressions of
emotion", PNAS 2014 (table 1); the strengths, and contempt as a one-sided unit 14, are ours.
"""

from __future__ import annotations

AUS = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 24, 25, 26)
COLUMN = {number: column for column, number in enumerate(AUS)}

# Intensities on the FACS scale (0 absent, 1 = A ... 5 = E) of a full-blown display.
PROTOTYPES: dict[str, dict[int, float]] = {
    "neutral": {},
    "happiness": {6: 4.0, 12: 4.5, 25: 4.0},
    "sadness": {1: 4.5, 4: 3.5, 15: 4.5, 17: 3.5},
    "surprise": {1: 4.5, 2: 4.5, 5: 4.5, 25: 4.0, 26: 5.0},
    "fear": {1: 4.5, 2: 3.0, 4: 3.5, 5: 4.5, 20: 4.5, 25: 4.0},
    "disgust": {9: 5.0, 10: 4.5, 17: 3.0},
    "anger": {4: 5.0, 7: 4.0, 17: 3.0, 24: 4.5},
    "contempt": {14: 5.0},
}

# Share of people who add a unit to the prototype.
VARIANTS: dict[str, dict[int, float]] = {
    "sadness": {6: 0.5},
    "anger": {10: 0.26, 23: 0.4},
    "disgust": {4: 0.31, 24: 0.26},
    "fear": {26: 0.33},
}

# Each activity mostly elicits the expression at the same place in PROTOTYPES.
ACTIVITIES = ("rest", "joke", "sad film", "startle", "threat", "smell", "insult", "judging")


def au_vector(intensities: dict[int, float]) -> list[float]:
    """Write `{unit number: intensity}` as a row of 17 numbers in the order of `AUS`.

    Raises:
        ValueError: A unit that the renderer does not know, or an intensity outside 0-5.
    """
    unknown = sorted(set(intensities) - set(AUS))
    if unknown:
        raise ValueError(f"unknown action units {unknown}; the renderer knows {AUS}")
    if any(not 0 <= value <= 5 for value in intensities.values()):
        raise ValueError(f"intensities must lie in 0-5, got {intensities}")
    return [float(intensities.get(number, 0.0)) for number in AUS]
