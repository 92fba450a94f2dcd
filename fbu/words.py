"""From tokens back to words: what a text tower's relevance says about a text that people read.

The texts are prompts and captions; :mod:`fbu.wording` is about the package's own messages.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from torch import Tensor

from fbu.models.encoders import Tokenizer

_WORD_END = "</w>"


@cache
def _pieces() -> dict[int, str]:
    """Piece of each token id, in readable characters; a shortened vocabulary keeps the ids."""
    from open_clip.tokenizer import SimpleTokenizer

    full = SimpleTokenizer()
    decoder: dict[int, str] = full.decoder
    return {
        i: bytearray(full.byte_decoder[c] for c in piece.removesuffix(_WORD_END)).decode("utf-8", "replace")
        + (_WORD_END if piece.endswith(_WORD_END) else "")
        for i, piece in decoder.items()
    }


def words(ids: Tensor, values: Tensor) -> list[tuple[str, float]]:
    """Words of a tokenised text with the sum of what their pieces have; start and end are left out.

    Args:
        ids: token ids ``[L]``, start first; the largest id ends the text.
        values: ``[L]``, e.g. a row of :func:`fbu.explain.relevance`.

    Returns:
        Lower-case words and punctuation marks in order, each with its value.

    Raises:
        ValueError: other shapes.

    Example:
        >>> from fbu.models import tokenizer_for
        >>> ids = tokenizer_for("fbu-tiny")(["a dimpler."])[0]
        >>> [word for word, _ in words(ids, (ids > 0).float())]
        ['a', 'dimpler', '.']
    """
    if ids.ndim != 1 or ids.shape != values.shape:
        raise ValueError(f"ids and values must both be [L], got {list(ids.shape)} and {list(values.shape)}")
    found, word, total = [], "", 0.0
    for i, value in zip(ids[1 : int(ids.argmax())].tolist(), values[1:].tolist(), strict=False):
        piece = _pieces()[i]
        word, total = word + piece.removesuffix(_WORD_END), total + value
        if piece.endswith(_WORD_END):
            found.append((word, total))
            word, total = "", 0.0
    return found if not word else [*found, (word, total)]  # a text that was cut inside a word


def slots(tokenize: Tokenizer, texts: Sequence[str], labels: Sequence[str]) -> list[tuple[int, int]]:
    """First token of each label within its text, and the one after its last.

    Args:
        tokenize: the tokenizer of the texts.
        texts: filled templates.
        labels: what each template was filled with.

    Raises:
        ValueError: a text does not hold its label.
    """
    found = []
    for text, label in zip(texts, labels, strict=True):
        before, held, _ = text.partition(label)
        if not held:
            raise ValueError(f"text {text!r} does not hold its label {label!r}")
        # Pieces never cross a word's end, so a text's first words are tokenised alike with and without the rest.
        first, last = (int(ids.argmax()) for ids in tokenize([before, before + label]))
        found.append((first, last))
    return found
