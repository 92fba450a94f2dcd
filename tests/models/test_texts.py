"""Text towers of ALIGN and BLIP; all but the first test need transformers (`pip install "fbu[align]"`)."""

import sys

import pytest
import torch
from safetensors.torch import save_file

from fbu.errors import DataError
from fbu.models.texts import load_text_tower

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "photo", "of", "happy", "face"]
TEXT = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
TEXTS = ["a happy face", "a photo of a face"]


def test_without_transformers_one_sentence_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ImportError, match=r'need transformers: pip install "fbu\[align\]"$'):
        load_text_tower("ALIGN", tmp_path)


def test_unknown_tower_is_named(tmp_path):
    with pytest.raises(DataError, match="no text tower 'CLIP': known are ALIGN, BLIP"):
        load_text_tower("CLIP", tmp_path)


def tiny(kind):
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    text = {**TEXT, "vocab_size": len(WORDS), "max_position_embeddings": 12}
    if kind == "ALIGN":
        vision = {"image_size": 32, "width_coefficient": 0.1, "depth_coefficient": 0.1, "hidden_dim": 16}
        config = transformers.AlignConfig(text_config=text, vision_config=vision, projection_dim=6)
        return transformers.AlignModel(config).eval()
    vision = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    text["encoder_hidden_size"] = 16
    config = transformers.BlipConfig(
        text_config=text, vision_config={**vision, "image_size": 32}, image_text_hidden_size=6
    )
    return transformers.BlipForImageTextRetrieval(config).eval()


def write(model, folder, name="model.safetensors", change=None):
    from transformers import BertTokenizerFast

    folder.mkdir(exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    BertTokenizerFast(vocab={w: i for i, w in enumerate(WORDS)}).save_pretrained(folder)
    model.config.save_pretrained(folder)
    state = {k: v.clone() for k, v in model.state_dict().items()}
    if change:
        change(state)
    if name == "model.safetensors":
        save_file(state, folder / name)
    else:
        torch.save(state, folder / name)


def theirs(kind, model, tokens, attention):
    if kind == "ALIGN":
        out = model.get_text_features(input_ids=tokens, attention_mask=attention)
        return out if isinstance(out, torch.Tensor) else out.pooler_output
    hidden = model.text_encoder(input_ids=tokens, attention_mask=attention).last_hidden_state
    return model.text_proj(hidden[:, 0])


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
@pytest.mark.parametrize("kind", ["ALIGN", "BLIP"])
def test_tower_agrees_with_transformers(kind, name, tmp_path):
    model = tiny(kind)
    write(model, tmp_path / "hub", name)
    tower, report = load_text_tower(kind, tmp_path / "hub")
    features = tower.encode(TEXTS)
    assert features.shape == (2, 6) and not features.requires_grad
    tokens = torch.tensor([[2, 5, 8, 9, 3, 0, 0], [2, 5, 6, 7, 5, 9, 3]])
    with torch.no_grad():
        assert torch.allclose(features, theirs(kind, model, tokens, (tokens > 0).long()), atol=1e-6)
    assert any(k.startswith("vision_model.") for k in report.ignored) and not report.unexpected
    assert report.loaded == len(tower.state_dict())


def test_wrong_folders_are_named(tmp_path):
    model = tiny("ALIGN")
    with pytest.raises(DataError, match=r"needs config.json and model.safetensors or pytorch_model.bin"):
        load_text_tower("ALIGN", tmp_path)
    write(model, tmp_path / "hub", change=lambda s: s.pop("text_projection.bias"))
    with pytest.raises(
        DataError, match=r"model.safetensors: lacks 1 of .* ALIGN text tower \(projection.bias"
    ):
        load_text_tower("ALIGN", tmp_path / "hub")
    write(model, tmp_path / "hub", change=lambda s: s.update(new=torch.ones(1)))
    with pytest.raises(DataError, match=r"unknown names .*\(new\)"):
        load_text_tower("ALIGN", tmp_path / "hub")
