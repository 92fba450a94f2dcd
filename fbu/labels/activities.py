"""Elicitation tasks of BP4D and BP4D+, and how they are worded."""

from __future__ import annotations

from fbu.labels.types import OURS, Activity

_PRINTED = "paper CLEF, Table 1"

# CLEF prints four of the eight wordings of BP4D; that they are T1-T4 rests on order and on matching targets.
_BP4D = (
    Activity(
        "T1",
        "talk to the experimenter and listen to a joke (interview)",
        "happiness or amusement",
        "happiness",
        _PRINTED,
    ),
    Activity(
        "T2",
        "watch and listen to a recorded documentary and discuss their reactions",
        "sadness",
        "sadness",
        _PRINTED,
    ),
    Activity(
        "T3", "experience sudden, unexpected burst of sound", "surprise or startle", "surprise", _PRINTED
    ),
    Activity(
        "T4", "play a game in which they improvise a silly song", "embarrassment", "happiness", _PRINTED
    ),
    Activity(
        "T5", "wait for a threat to their body that is about to come", "fear or nervousness", "fear", OURS
    ),
    Activity("T6", "hold a hand in ice-cold water until it hurts", "physical pain", None, OURS),
    Activity("T7", "get insulted and spoken to harshly", "anger or upset", "anger", OURS),
    Activity("T8", "smell something that stinks", "disgust", "disgust", OURS),
)

# No public text gives the ten tasks of BP4D+: order and wording are unverified, for a data holder to correct.
_BP4DPLUS = (
    Activity("T1", _BP4D[0].description, "happiness or amusement", "happiness", _PRINTED),
    Activity("T2", "look at a three-dimensional model of their own face", "surprise", "surprise", OURS),
    Activity("T3", _BP4D[1].description, "sadness", "sadness", _PRINTED),
    Activity("T4", _BP4D[2].description, "startle or surprise", "surprise", _PRINTED),
    Activity("T5", "hear a false accusation and react with doubt", "scepticism", "contempt", OURS),
    Activity("T6", _BP4D[3].description, "embarrassment", "happiness", _PRINTED),
    Activity("T7", "wait while darts are thrown close to them", "fear or nervousness", "fear", OURS),
    Activity("T8", _BP4D[5].description, "physical pain", None, OURS),
    Activity("T9", _BP4D[6].description, "anger or upset", "anger", OURS),
    Activity("T10", _BP4D[7].description, "disgust", "disgust", OURS),
)

ACTIVITIES: dict[str, tuple[Activity, ...]] = {"bp4d": _BP4D, "bp4dplus": _BP4DPLUS}
