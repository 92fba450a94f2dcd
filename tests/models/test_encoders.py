import pytest
import torch
from safetensors.torch import save_file

from fbu.errors import DataError
from fbu.models import load_dual_encoder, parameter_counts, tokenizer_for
from fbu.models.encoders import TINY_CONFIG, Tokenizer, encode_text, encoder_from, fill
from fbu.models.starting import start_weights
from fbu.recipes import EncoderSpec


@pytest.fixture(scope="module")
def tiny():
    torch.manual_seed(0)
    return load_dual_encoder("fbu-tiny")


def test_vit_b16_has_the_parameters_of_the_paper():
    """CLEF, Section 4.2: 87M (86.2M; the paper rounds up) and 63M; 197 tokens, 12 layers, widths 768 and 512."""
    model = load_dual_encoder("ViT-B-16")
    counts = parameter_counts(model)
    assert counts["image"] == 86_192_640
    assert counts["text"] == 63_428_096
    assert counts["total"] == counts["image"] + counts["text"] + 1
    assert model.visual.positional_embedding.shape == (197, 768)
    assert len(model.visual.transformer.resblocks) == len(model.transformer.resblocks) == 12
    assert model.text_projection.shape == (512, 512)
    assert model.positional_embedding.shape == (77, 512)


def test_tiny_shapes(tiny):
    tokens = tokenizer_for("fbu-tiny")(["a photo of a person with happiness."])
    assert tokens.shape == (1, TINY_CONFIG["text_cfg"]["context_length"])
    assert tiny.encode_image(torch.rand(2, 3, 64, 64)).shape == (2, 64)
    assert tiny.encode_text(tokens).shape == (1, 64)
    assert tiny.visual.conv1(torch.rand(2, 3, 64, 64)).shape == (2, 96, 4, 4)


def test_small_tokenizer_spells_everything():
    small, full = Tokenizer(300, 48), Tokenizer()
    words = "inner brow raiser, çédille 07 xylophone"
    ids = small([words])[0]
    assert ids.max() == small.vocab_size - 1 and ids[0] == small.vocab_size - 2
    assert (ids > 0).sum() >= (full([words])[0] > 0).sum()
    assert small._bpe.decode([int(i) for i in ids if 0 < i < small.vocab_size - 2]).strip() == words.replace(
        ",", " ,"
    ).replace("07", "0 7")
    assert torch.equal(Tokenizer(49_408 - 514)([words]), full([words]))


def test_texts_end_at_the_largest_id():
    tokens = tokenizer_for("fbu-tiny")(["fear", "a photo of a person with disgust."])
    ends = tokens.argmax(1)
    assert all(tokens[i, e + 1 :].sum() == 0 for i, e in enumerate(ends))


def save(kind, state, path):
    if kind == "safetensors":
        path = path.with_suffix(".safetensors")
        save_file({k: v.contiguous() for k, v in state.items()}, path)
    elif kind == "farl":
        torch.save({"state_dict": state}, path)
    elif kind == "openai":  # archives carry three numbers beside the weights
        torch.save({**state, "input_resolution": torch.tensor(64), "vocab_size": torch.tensor(9)}, path)
    else:
        torch.save(state, path)
    return path


@pytest.mark.parametrize("kind", ["plain", "farl", "openai", "safetensors"])
def test_checkpoint_files(tiny, tmp_path, kind):
    state = {k: torch.randn_like(v) if v.is_floating_point() else v for k, v in tiny.state_dict().items()}
    loaded = load_dual_encoder("fbu-tiny", checkpoint=save(kind, state, tmp_path / "w.pt"))
    assert all(torch.equal(v, state[k]) for k, v in loaded.state_dict().items())


def test_position_embedding_is_resized():
    small = {"image_size": 32, "layers": 1, "width": 64, "patch_size": 16}
    from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg

    text = CLIPTextCfg(context_length=8, vocab_size=50, width=16, heads=2, layers=1)
    model = CLIP(16, CLIPVisionCfg(**small), text)
    large = CLIP(16, CLIPVisionCfg(**{**small, "image_size": 64}), text)
    report = fill(large, model.state_dict(), "w.pt", "large")
    assert report.interpolated == ("visual.positional_embedding",)
    assert large.visual.positional_embedding.shape == (17, 64)
    assert torch.equal(large.visual.class_embedding, model.visual.class_embedding)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: s.pop("visual.proj"), "lacks 1 .*visual.proj"),
        (lambda s: s.update(extra=torch.zeros(1)), "unknown names .*extra"),
        (lambda s: s.update({"visual.proj": torch.zeros(2, 2)}), "other shapes for 1"),
    ],
)
def test_wrong_weights_are_named(tiny, tmp_path, change, words):
    state = dict(tiny.state_dict())
    change(state)
    torch.save(state, tmp_path / "w.pt")
    with pytest.raises(DataError, match=words):
        load_dual_encoder("fbu-tiny", checkpoint=tmp_path / "w.pt")


class Evil:
    def __reduce__(self):
        return (print, ("unpickled",))


def test_arbitrary_pickle_is_refused(tmp_path, capsys):
    torch.save({"state_dict": Evil()}, tmp_path / "evil.pt")
    with pytest.raises(DataError, match="refused"):
        load_dual_encoder("fbu-tiny", checkpoint=tmp_path / "evil.pt")
    assert "unpickled" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("fbu-tiny", "openai"), "no published weights"),
        (("ViT-B-61",), "ViT-B-16"),
        (("ViT-B-16", "openay"), "openai"),
        (("fbu-tiny", "a", "b"), "not both"),
        (("fbu-tiny", None, "nowhere.pt"), "nowhere.pt"),
    ],
)
def test_wrong_arguments_are_named(arguments, words):
    with pytest.raises(DataError, match=words):
        load_dual_encoder(*arguments)


def test_recipe_checkpoint_is_found_under_the_data_root(tiny, tmp_path, monkeypatch):
    spec = EncoderSpec(name="fbu-tiny", checkpoint="mine.pt")
    with pytest.raises(DataError, match="FBU_DATA is not set"):
        encoder_from(spec)
    (tmp_path / "weights").mkdir()
    torch.save(tiny.state_dict(), tmp_path / "weights" / "mine.pt")
    monkeypatch.setenv("FBU_DATA", str(tmp_path))
    assert torch.equal(encoder_from(spec).visual.proj, tiny.visual.proj)


def test_start_weights_take_the_encoder_only(tiny, tmp_path):
    state = {f"encoder.{k}": v + 1 if v.is_floating_point() else v for k, v in tiny.state_dict().items()}
    save_file({**state, "head.weight": torch.zeros(7, 64)}, tmp_path / "weights.safetensors")
    fresh = load_dual_encoder("fbu-tiny")
    start_weights(fresh, tmp_path)
    assert torch.equal(fresh.visual.proj, tiny.visual.proj + 1)
    state.pop("encoder.visual.proj")
    save_file(state, tmp_path / "weights.safetensors")
    with pytest.raises(DataError, match="visual.proj"):
        start_weights(fresh, tmp_path)


@pytest.mark.parametrize("name", ["fbu-tiny", "ViT-B-32-quickgelu"])
def test_padding_behind_the_texts_changes_no_feature(name):
    """Neither do texts of other lengths beside one; the gradient is that of the whole context.

    In float64, as how float32 rounds is the processor's.
    """
    torch.manual_seed(0)
    model = load_dual_encoder(name).eval().double()
    tokens = tokenizer_for(name)(
        ["a happy face", "a face that shows a great deal of surprise, and an open mouth"]
    )
    whole = model.encode_text(tokens)
    torch.testing.assert_close(encode_text(model, tokens), whole, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(encode_text(model, tokens[:1]), whole[:1], rtol=1e-9, atol=1e-9)
    gradient = [
        torch.autograd.grad(z.square().sum(), model.token_embedding.weight)[0]
        for z in (whole, encode_text(model, tokens))
    ]
    torch.testing.assert_close(*gradient, rtol=1e-9, atol=1e-9)


def test_fewer_positions_are_read():
    model = load_dual_encoder("fbu-tiny").eval()
    seen = []
    model.transformer.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0].shape[1]))
    tokens = tokenizer_for("fbu-tiny")(["a happy face"])
    encode_text(model, tokens)
    assert seen == [int((tokens != 0).sum())]


def test_a_text_tower_of_another_kind_reads_everything():
    model = load_dual_encoder("fbu-tiny").eval()
    model.text_pool_type = "last"
    tokens = tokenizer_for("fbu-tiny")(["a happy face"])
    assert torch.equal(encode_text(model, tokens), model.encode_text(tokens))
