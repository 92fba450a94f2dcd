"""Prompt templates of the papers, and texts built from them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from fbu.labels.names import action_units, expressions
from fbu.labels.types import OURS, Template

_CLEF = "paper CLEF, section 3.3"
_KE_FER = "paper KE-FER, Table 3"
_DK_CLIP = "paper DK-CLIP, section 3.4"

# (paper, role) -> (source, texts). The first text is the fixed one, used at test.
_TEXTS: dict[tuple[str, str], tuple[tuple[str, tuple[str, ...]], ...]] = {
    ("clef", "name"): ((_CLEF, ("a photo of a person with {}.",)),),
    ("clef", "description"): (
        (_CLEF, ("a photo shows a person that {}.", "a cropped photo of face that {}.")),
        (OURS, ("a picture of someone that {}.", "a close-up of a person that {}.", "the person {}.")),
    ),
    ("clef", "activity"): (
        (_CLEF, ("a photo of an activity that {}.", "a photo of a person from an activity that {}.")),
        (OURS, ("a picture taken while people {}.", "a face filmed in a task where people {}.")),
    ),
    ("ke_fer", "category"): (
        (
            _KE_FER,
            (
                "A photo of a person making a {} facial expression.",
                "This person is {}.",
                "A photo of a {} face.",
                "This is a {} facial expression.",
                "A person makes a {} facial expression.",
                "An ID photo of a {} facial expression.",
                "A person is feeling {}.",
                "A person feeling {} on the face.",
                "A photo of a person with a {} expression on the face.",
            ),
        ),
    ),
    ("dk_clip", "name"): ((_DK_CLIP, ("{}", "A photo of a {}")),),
}

# Suffixes that CLEF's section 5 and poster suggest for label names; the paper does not evaluate them.
INTENSITY_SUFFIXES = ("with low intensity", "with high intensity")

# DK-CLIP, Table 1.
EXPRESSION_UNITS: dict[str, tuple[int, ...]] = {
    "happiness": (6, 12, 25),
    "sadness": (1, 4, 15, 17),
    "anger": (4, 7, 17, 24),
    "surprise": (1, 2, 5, 25, 26),
    "disgust": (9, 10, 17),
    "fear": (1, 2, 4, 5, 20, 25),
}

# The strings of the authors' label files; classes beyond the basic six are bare names there.
ENRICHED: dict[str, str] = {
    "happiness": "happiness with cheek raiser and lip corner puller or part",
    "sadness": "sadness with inner brow raiser or brow lowerer and lip corner depressor and chin raiser",
    "anger": "anger with brow lowerer and lid tightener and chin raiser and lip pressor",
    "surprise": "surprise with brow raiser and upper lid raiser and lip part and jaw drop",
    "disgust": "disgust with nose wrinkler and upper lip raiser and chin raiser",
    "fear": "fear with brow raiser or brow lowerer and upper lid raiser and lip stretcher or part",
}


def templates(paper: str, role: str) -> tuple[Template, ...]:
    """Templates of a paper for a role; the first is the one used at test.

    Args:
        paper: ``"clef"``, ``"ke_fer"`` or ``"dk_clip"``.
        role: ``"name"``, ``"description"``, ``"activity"`` (CLEF), ``"category"`` (KE-FER) or ``"name"``
            (DK-CLIP).

    Raises:
        ValueError: no templates for this pair.
    """
    if (paper, role) not in _TEXTS:
        known = ", ".join(f"{p}/{r}" for p, r in _TEXTS)
        raise ValueError(f"no templates for {paper}/{role}; known: {known}")
    groups = _TEXTS[paper, role]
    return tuple(Template(paper, role, text, source) for source, texts in groups for text in texts)


def fill(template: Template | str, text: str) -> str:
    """Put a text into a template's slot; "a" before the slot becomes "an" where the text needs it.

    KE-FER's public code writes "an anger", "a happiness" in the same way.

    Raises:
        ValueError: the template does not have exactly one ``{}``.
    """
    pattern = template.text if isinstance(template, Template) else template
    if pattern.count("{}") != 1:
        raise ValueError(f"template {pattern!r} must hold exactly one '{{}}'")
    if text[:1].lower() in tuple("aeiou"):
        pattern = re.sub(r"\b([Aa]) \{\}", r"\1n {}", pattern)
    return pattern.replace("{}", text)


def prompts(paper: str, role: str, texts: Sequence[str]) -> list[list[str]]:
    """Every template filled with every text, ``[templates][texts]``.

    Row 0 is the fixed template for test; in training one row is drawn at random (CLEF, section 3.3).
    """
    return [[fill(template, text) for text in texts] for template in templates(paper, role)]


def names(kind: str, keys: Iterable[str | int]) -> list[str]:
    """Label names, e.g. ``names("au", [1, "AU12"])`` -> inner brow raiser, lip corner puller.

    Args:
        kind: ``"expression"`` (keys are names) or ``"au"`` (keys are numbers or ``"AU12"``).
        keys: labels.

    Raises:
        ValueError: unknown kind or label.
    """
    return [_lookup(kind, key)[0] for key in keys]


def describe(kind: str, keys: Iterable[str | int]) -> list[str]:
    """Label descriptions; arguments and errors as for `names`."""
    return [_lookup(kind, key)[1] for key in keys]


def _lookup(kind: str, key: str | int) -> tuple[str, str]:
    if kind == "expression":
        if key in expressions:
            return expressions[str(key)].name, expressions[str(key)].description
        raise ValueError(f"unknown expression {key!r}; known: {', '.join(expressions)}")
    if kind == "au":
        number = str(key).upper().removeprefix("AU")
        if number.isdecimal() and int(number) in action_units:
            unit = action_units[int(number)]
            return unit.name, unit.description
        raise ValueError(f"unknown action unit {key!r}; known: {', '.join(map(str, action_units))}")
    raise ValueError(f"kind is {kind!r}; known: expression, au")


def enriched(expression: str, joiner: str = "files") -> str:
    """A DK-CLIP class prompt: the expression's name enriched with its action units.

    Args:
        expression: an expression; those without units in DK-CLIP's Table 1 give the bare name.
        joiner: ``"files"`` gives the string of the authors' label file; ``"or"`` (Table 6, e) and ``"and"``
            (Table 6, d) list all units of Table 1 with that word before the last. The paper prints the
            "or" form for happiness only, the "and" form not at all.

    Raises:
        ValueError: unknown expression or joiner.
    """
    (name,) = names("expression", [expression])
    if joiner not in ("files", "or", "and"):
        raise ValueError(f"joiner is {joiner!r}; known: files, or, and")
    if name not in EXPRESSION_UNITS:
        return name
    if joiner == "files":
        return ENRICHED[name]
    parts = ["lip part" if n == 25 else action_units[n].name for n in EXPRESSION_UNITS[name]]
    return f"{name} with {', '.join(parts[:-1])} {joiner} {parts[-1]}"
