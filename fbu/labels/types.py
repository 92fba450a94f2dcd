"""The record types of the label tables."""

from __future__ import annotations

from dataclasses import dataclass

OURS = "ours"
OURS_FACS = "ours, after FACS"


@dataclass(frozen=True)
class Label:
    """An expression: its name and a description that completes "a person that ..."."""

    name: str
    description: str
    source: str


@dataclass(frozen=True)
class ActionUnit:
    """An action unit: FACS number and name, and a description that completes "a person that ..."."""

    number: int
    name: str
    description: str
    source: str


@dataclass(frozen=True)
class Activity:
    """An elicitation task.

    Attributes:
        task: the data set's own name of the task, ``"T1"`` ...
        description: text that completes "an activity that ..." or stands alone.
        target: the emotion that the task aims at, in the source's words.
        expression: the nearest name in ``EXPRESSIONS``; None where there is none (pain).
        source: who worded the description.
    """

    task: str
    description: str
    target: str
    expression: str | None
    source: str


@dataclass(frozen=True)
class Template:
    """A prompt with one ``{}`` slot."""

    paper: str
    role: str
    text: str
    source: str
