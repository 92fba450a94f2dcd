import pytest
import torch

from fbu.labels import prompting
from fbu.labels.names import action_units
from fbu.models import tokenizer_for
from fbu.words import slots, words


@pytest.mark.parametrize("encoder", ["fbu-tiny", "ViT-B-16"])
def test_words_spell_the_text_and_keep_the_sum(encoder):
    texts = prompting.prompts("clef", "description", prompting.describe("au", action_units))[1]
    ids = tokenizer_for(encoder)(texts)
    for text, row in zip(texts, ids, strict=True):
        values = torch.rand(len(row), dtype=torch.float64)
        found = words(row, values)
        assert "".join(word for word, _ in found) == text.replace(" ", "").lower()
        end = int(row.argmax())
        assert sum(value for _, value in found) == pytest.approx(float(values[1:end].sum()))


def test_a_word_in_pieces_is_one_word():
    ids = tokenizer_for("fbu-tiny")(["dimpler"])[0]
    end = int(ids.argmax())
    assert end > 2  # the small vocabulary spells it in pieces
    assert words(ids, torch.arange(len(ids))) == [("dimpler", sum(range(1, end)))]
    cut = torch.cat([ids[: end - 1], ids[end:]])  # a text that ends inside a word
    ((begun, _),) = words(cut, torch.ones(len(cut)))
    assert "dimpler".startswith(begun) and 0 < len(begun) < len("dimpler")
    with pytest.raises(ValueError, match=r"must both be \[L\]"):
        words(ids, torch.ones(3))


def test_slots_hold_the_label_and_nothing_else():
    tokenize = tokenizer_for("fbu-tiny")
    for role, lookup in (("name", prompting.names), ("description", prompting.describe)):
        labels = lookup("au", action_units)
        texts = prompting.prompts("clef", role, labels)[0]
        ids = tokenize(texts)
        for row, label, (first, last) in zip(ids, labels, slots(tokenize, texts, labels), strict=True):
            alone = tokenize([label])[0]
            assert row[first:last].tolist() == alone[1 : int(alone.argmax())].tolist()
    with pytest.raises(ValueError, match="does not hold its label 'smile'"):
        slots(tokenize, ["a photo"], ["smile"])
