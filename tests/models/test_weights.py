"""Reading files of weights and fitting them; files hold random numbers under the published names."""

import json
import pickle
import re
import warnings

import numpy as np
import pytest
import torch
from open_clip.model import resize_pos_embed
from safetensors.torch import save_file
from timm.layers import resample_abs_pos_embed
from torch import nn

from fbu.errors import DataError
from fbu.models import load_dual_encoder
from fbu.models.encoders import encoder_from
from fbu.models.fitting import LoadReport, cut_prefixes, fit, resize_positions
from fbu.models.reading import read_weights
from fbu.models.weights import load_clip, load_farl
from fbu.recipes import EncoderSpec

STATE = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.zeros(2), "n": torch.tensor(3)}


class Box(nn.Module):
    """Holds a state dict under its names, so that it can be saved as a TorchScript archive."""

    def __init__(self, state):
        super().__init__()
        for key in {k.split(".")[0] for k in state}:
            inside = {k.removeprefix(key + "."): v for k, v in state.items() if k.startswith(key + ".")}
            if inside:
                self.add_module(key, Box(inside))
            else:
                self.register_buffer(key, state[key])

    def forward(self, x: torch.Tensor):
        return x


def save_archive(state, path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the format is deprecated; OpenAI's files have it all the same
        torch.jit.script(Box(state)).save(str(path))
    return path


def halved(state):
    return {k: v.half() if v.is_floating_point() else v for k, v in state.items()}


# --- reading


def save(kind, state, path):
    if kind == "safetensors":
        save_file(state, path)
    elif kind == "torchscript":
        save_archive(halved(state), path)
    elif kind == "old":
        torch.save(state, path, _use_new_zipfile_serialization=False)
    elif kind in ("state_dict", "model"):
        torch.save({"epoch": 3, kind: state, "optimizer": {"state": {0: torch.ones(2)}}}, path)
    else:
        torch.save(halved(state) if kind == "half" else state, path)
    return path


@pytest.mark.parametrize(
    "kind", ["plain", "half", "old", "state_dict", "model", "safetensors", "torchscript"]
)
def test_kinds_of_files(tmp_path, kind):
    """The name says nothing about the kind; halves are widened, integers stay."""
    read = read_weights(save(kind, STATE, tmp_path / "weights.pth"))
    assert set(read) == set(STATE)
    assert all(torch.equal(read[k], v) and read[k].dtype == v.dtype for k, v in STATE.items())


def test_entry_of_a_file(tmp_path):
    file = tmp_path / "start_0.pt"
    torch.save(
        {"state_dict_backbone": STATE, "epoch": 1, "state_dict_softmax_fc": {"w": torch.ones(2)}}, file
    )
    assert set(read_weights(file, "state_dict_backbone")) == set(STATE)
    with pytest.raises(DataError, match="start_0.pt: has no entry 'backbone' .* state_dict_backbone, epoch"):
        read_weights(file, "backbone")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"<!DOCTYPE html><html>Quota exceeded", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "git lfs pull"),
        (b"PK\x03\x04 and no more", "cut short or damaged"),
        (b"not weights at all", "neither safetensors"),
        (b"", "neither safetensors"),
    ],
)
def test_other_files_are_named(tmp_path, content, words):
    file = tmp_path / "w.pth"
    file.write_bytes(content)
    with pytest.raises(DataError, match=rf"w\.pth: .*{words}"):
        read_weights(file)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match="nowhere.pth: no such weights file"):
        read_weights(tmp_path / "nowhere.pth")


@pytest.mark.parametrize("kind", ["plain", "old", "safetensors", "torchscript"])
@pytest.mark.parametrize("share", [0.5, 0.95])
def test_truncated_files(tmp_path, kind, share):
    file = save(kind, {"w": torch.randn(64, 64)}, tmp_path / "w.pth")
    file.write_bytes(file.read_bytes()[: int(file.stat().st_size * share)])
    with pytest.raises(DataError, match=r"w\.pth: is cut short or damaged .*fetch it again"):
        read_weights(file)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (torch.ones(3), "holds a Tensor, not weights by name"),
        ({"epoch": 3, "lr": 0.1}, "holds no tensors, only epoch, lr"),
        ({}, "holds no tensors, only nothing"),
        ({"w": torch.tensor([1.0, float("nan")]), "v": torch.ones(1)}, r"1 tensors .* not finite \(w\)"),
    ],
)
def test_files_without_weights(tmp_path, content, words):
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(DataError, match=words):
        read_weights(tmp_path / "w.pth")


# --- pickles


class Writes:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return (open, (self.path, "w"))


@pytest.mark.parametrize("protocol", [0, 2, 4, "torch", "old torch"])
@pytest.mark.parametrize("name", ["evil.pth", "evil.pkl"])
def test_arbitrary_pickle_does_not_run(tmp_path, protocol, name):
    file, written = tmp_path / name, tmp_path / "written"
    content = {"state_dict": {"w": torch.ones(2), "x": Writes(written)}}
    if isinstance(protocol, str):
        torch.save(content, file, _use_new_zipfile_serialization=protocol == "torch")
    else:
        file.write_bytes(pickle.dumps(content, protocol))
    plain = protocol == 0 and name == "evil.pth"  # text that does not look like a pickle
    with pytest.raises(DataError, match=rf"{name}: {'neither' if plain else 'refused'}"):
        read_weights(file)
    assert not written.exists()


def test_refusal_names_what_would_be_called(tmp_path):
    torch.save({"state_dict": STATE, "args": Writes(tmp_path / "written")}, tmp_path / "w.pth")
    with pytest.raises(
        DataError, match=r"can run code: it calls (io|_io|builtins)\.open; .*weights_only=False"
    ):
        read_weights(tmp_path / "w.pth")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the line leaves a file open
@pytest.mark.parametrize("protocol", [2, 4])
def test_arrays_are_refused_with_the_way_to_convert_them(tmp_path, monkeypatch, protocol):
    """As EAC's resnet50_ft_weight.pkl: a pickle of numpy arrays. The sentence's own code makes it readable."""
    arrays = {"conv1.weight": np.ones((2, 3), np.float32), "fc.bias": np.zeros(4)}
    (tmp_path / "resnet50_ft_weight.pkl").write_bytes(pickle.dumps(arrays, protocol))
    with pytest.raises(DataError, match="numpy") as refusal:
        read_weights(tmp_path / "resnet50_ft_weight.pkl")
    code = re.search(r"convert the arrays once: (.*)", str(refusal.value)).group(1)
    monkeypatch.chdir(tmp_path)
    exec(code, {"pickle": pickle, "torch": torch})
    read = read_weights(tmp_path / "resnet50_ft_weight.pth")
    assert read["conv1.weight"].shape == (2, 3) and read["fc.bias"].dtype == torch.float32


# --- fitting


@pytest.fixture
def small():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))


def random_state(model):
    return {k: torch.randn_like(v) if v.is_floating_point() else v for k, v in model.state_dict().items()}


def fitted(model, state, **options):
    return fit(model, state, "w.pth", architecture="small", **options)


def test_right_file_is_counted(small):
    state = random_state(small)
    report = fitted(small, state)
    assert all(torch.equal(v, state[k]) for k, v in small.state_dict().items())
    assert (report.loaded, report.numbers) == (7, 6 + 2 + 4 * 2 + 1)
    assert str(report) == "w.pth -> small: 7 tensors, 17 numbers loaded"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda s: s.pop("0.bias"),
            r"w.pth: lacks 1 of 7 weights of small \(0.bias\); the file holds 6 tensors",
        ),
        (lambda s: s.update(x=torch.ones(1)), r"unknown names beside the 1 of 7 weights of small \(x\)"),
        (
            lambda s: s.update({"0.bias": torch.ones(5)}),
            r"other shapes for 1 .*0.bias \(5,\) instead of \(2,\)",
        ),
        (lambda s: s.clear(), "lacks 6 of 7"),
        (lambda s: s.update({"fc.w": torch.ones(1), "y": torch.ones(1)}), r"1 of 7 weights of small \(y\)"),
    ],
)
def test_wrong_files_are_named_and_change_nothing(small, change, words):
    before, state = {k: v.clone() for k, v in small.state_dict().items()}, random_state(small)
    change(state)
    with pytest.raises(DataError, match=words):
        fitted(small, state, ignore=("fc.*",))
    assert all(torch.equal(v, before[k]) for k, v in small.state_dict().items())


def test_extra_names_are_listed_where_allowed(small):
    state = {**random_state(small), "fc.w": torch.ones(1), "head": torch.ones(1)}
    report = fitted(small, state, ignore=("fc.*",), unexpected="list")
    assert (report.ignored, report.unexpected) == (("fc.w",), ("head",))
    assert "1 unexpected (head); 1 ignored (fc.w)" in str(report)


def test_counter_of_batch_norm_may_be_missing(small):
    state = random_state(small)
    del state["1.num_batches_tracked"]
    assert fitted(small, state).missing == ("1.num_batches_tracked",)


@pytest.mark.parametrize("prefix", ["module.", "encoder.", "module.encoder.", "_orig_mod.module."])
def test_prefix_of_all_names_is_cut(small, prefix):
    state = {prefix + k: v for k, v in random_state(small).items()}
    report = fitted(small, state)
    assert (report.prefix, report.loaded) == (prefix, 7)
    assert f"{prefix!r} cut" in str(report)


def test_prefix_of_some_names_stays(small):
    state = {"module." + k: v for k, v in random_state(small).items()}
    state["0.bias"] = state.pop("module.0.bias")
    with pytest.raises(DataError, match=r"lacks 5 of 7 .*the file holds 7 tensors \(module.0.weight"):
        fitted(small, state)


def test_prefix_of_the_model_itself_stays():
    model = nn.ModuleDict({"encoder": nn.Linear(2, 2)})
    report = fitted(model, random_state(model))
    assert (report.prefix, report.loaded) == ("", 2)
    wrapped = {"module." + k: v for k, v in random_state(model).items()}
    assert fitted(model, wrapped).prefix == "module."
    assert cut_prefixes({}) == ({}, "")


# --- position embeddings


@pytest.mark.parametrize(("side", "grid"), [(14, (7, 7)), (4, (6, 6)), (4, (3, 5)), (5, (5, 5))])
def test_positions_as_in_timm_and_open_clip(side, grid):
    torch.manual_seed(0)
    table = torch.randn(1 + side * side, 8)
    ours = resize_positions(table, grid)
    timm = resample_abs_pos_embed(table[None], list(grid), num_prefix_tokens=1)[0]
    assert ours.shape == (1 + grid[0] * grid[1], 8)
    assert torch.allclose(ours, timm, atol=1e-6) and torch.equal(ours[0], table[0])
    assert torch.equal(resize_positions(table[None], grid)[0], ours)
    holder = nn.Module()
    holder.visual = nn.Module()
    holder.visual.grid_size = grid
    state = {"visual.positional_embedding": table}
    resize_pos_embed(state, holder)
    assert torch.allclose(ours, state["visual.positional_embedding"], atol=1e-6)


def test_positions_that_are_no_square():
    with pytest.raises(ValueError, match=r"\(7, 8\): 6 patch rows"):
        resize_positions(torch.zeros(7, 8), (2, 2))


# --- CLIP and FaRL


TINY = {
    "embed_dim": 8,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 64, "patch_size": 16},
    "text_cfg": {"context_length": 8, "vocab_size": 50, "width": 16, "heads": 2, "layers": 1},
}
OPENAI = {
    "input_resolution": torch.tensor(32),
    "context_length": torch.tensor(8),
    "vocab_size": torch.tensor(50),
}
# What a FaRL file may hold beside CLIP.
BESIDE = {"visual.mask_token": torch.zeros(64), "lm_head.weight": torch.zeros(9, 64)}
FARL = "FaRL-Base-Patch16-LAIONFace20M-ep16.pth"


@pytest.fixture(scope="module")
def names(tmp_path_factory):
    """Two small open_clip models that differ in their activation: (name, name with -quickgelu)."""
    import open_clip

    folder = tmp_path_factory.mktemp("configs")
    (folder / "fbu-test.json").write_text(json.dumps(TINY))
    (folder / "fbu-test-quickgelu.json").write_text(json.dumps({**TINY, "quick_gelu": True}))
    open_clip.add_model_config(folder)
    return "fbu-test", "fbu-test-quickgelu"


@pytest.fixture(scope="module")
def source(names):
    torch.manual_seed(1)
    return load_dual_encoder(names[1]).eval()


def outputs(model, size=32):
    torch.manual_seed(2)
    return model.encode_image(torch.rand(2, 3, size, size)), model.encode_text(torch.randint(1, 50, (2, 8)))


@pytest.mark.parametrize("model", ["ViT-B-16-quickgelu", "ViT-B-32-quickgelu"])
def test_names_and_counts_of_clip(model):
    """302 tensors; 149,620,737 or 151,277,313 numbers; OpenAI's names."""
    import open_clip

    with torch.device("meta"):
        state = open_clip.create_model(model, load_weights=False, device="meta").state_dict()
    sixteen = "16" in model
    assert len(state) == 302
    assert sum(v.numel() for v in state.values()) == (149_620_737 if sixteen else 151_277_313)
    shapes = {k: tuple(v.shape) for k, v in state.items()}
    side = 16 if sixteen else 32
    assert shapes["visual.conv1.weight"] == (768, 3, side, side)
    assert shapes["visual.positional_embedding"] == (197 if sixteen else 50, 768)
    assert shapes["transformer.resblocks.11.attn.in_proj_weight"] == (1536, 512)
    assert shapes["visual.transformer.resblocks.11.mlp.c_fc.weight"] == (3072, 768)
    assert (shapes["text_projection"], shapes["visual.proj"]) == ((512, 512), (768, 512))
    assert (shapes["token_embedding.weight"], shapes["logit_scale"]) == ((49408, 512), ())


def test_openai_archive(names, source, tmp_path):
    file = save_archive(halved({**source.state_dict(), **OPENAI}), tmp_path / "ViT-B-16.pt")
    model, report = load_clip(names[1], file)
    assert sorted(report.ignored) == sorted(OPENAI) and not report.unexpected
    assert report.loaded == len(source.state_dict())
    assert next(model.parameters()).dtype == torch.float32
    for ours, theirs in zip(outputs(model.eval()), outputs(source), strict=True):
        assert torch.allclose(ours, theirs, atol=2e-2)  # the file holds halves
    assert torch.equal(model.visual.proj, source.visual.proj.half().float())


def test_openai_weights_need_the_quick_gelu(names, source, tmp_path):
    torch.save({**source.state_dict(), **OPENAI}, tmp_path / "w.pt")
    with pytest.raises(DataError, match="quick form of GELU.*use fbu-test-quickgelu"):
        load_clip(names[0], tmp_path / "w.pt")
    with pytest.raises(DataError, match="quick form of GELU"):
        load_farl(tmp_path / "w.pt", name=names[0])
    torch.save({"state_dict": {f"module.{k}": v for k, v in source.state_dict().items()}}, tmp_path / "o.pt")
    assert load_clip(names[0], tmp_path / "o.pt")[1].prefix == "module."  # a file of open_clip says nothing


def test_farl_lists_what_is_beside_clip(names, source, tmp_path):
    torch.save({"state_dict": halved(source.state_dict() | BESIDE)}, tmp_path / "FaRL.pth")
    model, report = load_farl(tmp_path / "FaRL.pth", name=names[1])
    assert set(report.unexpected) == set(BESIDE)
    assert report.loaded == len(source.state_dict())
    assert outputs(model)[0].shape == outputs(model)[1].shape == (2, 8)
    with pytest.raises(DataError, match="unknown names"):
        load_clip(names[1], tmp_path / "FaRL.pth")
    assert load_clip(names[1], tmp_path / "FaRL.pth", unexpected="list")[1].unexpected == report.unexpected


def test_recipes_take_farl_and_log_what_is_beside_clip(names, source, tmp_path, monkeypatch, caplog):
    (tmp_path / "weights").mkdir()
    torch.save({"state_dict": source.state_dict() | BESIDE}, tmp_path / "weights" / FARL)
    monkeypatch.setenv("FBU_DATA", str(tmp_path))
    model = encoder_from(EncoderSpec(name=names[1], checkpoint=FARL))
    assert type(model) is type(source)
    assert all(torch.equal(v, source.state_dict()[k]) for k, v in model.state_dict().items())
    (line,) = caplog.messages
    assert line.endswith(
        f"{FARL}: left out 2 tensors beside those of {names[1]}: visual.mask_token, lm_head.weight"
    )


def test_recipes_take_openais_archive(names, source, tmp_path, caplog):
    file = save_archive({**source.state_dict(), **OPENAI}, tmp_path / "ViT-B-16.pt")
    model = load_dual_encoder(names[1], checkpoint=file)
    assert torch.equal(model.visual.proj, source.visual.proj) and not caplog.messages


@pytest.mark.parametrize(
    ("file", "beside", "words"),
    [
        ("w.pt", OPENAI, "quick form of GELU.*use fbu-test-quickgelu"),
        (FARL, {}, "quick form of GELU.*use fbu-test-quickgelu"),
        (FARL, BESIDE, "quick form of GELU.*use fbu-test-quickgelu"),
        ("w.pt", BESIDE, r"unknown names .*\(visual.mask_token, lm_head.weight\)"),
    ],
)
def test_recipes_refuse_weights_for_another_gelu(names, source, tmp_path, file, beside, words):
    torch.save({"state_dict": source.state_dict() | beside}, tmp_path / file)
    with pytest.raises(DataError, match=words):
        load_dual_encoder(names[0], checkpoint=tmp_path / file)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: s.pop("text_projection"), r"FaRL.pth: lacks 1 of \d+ weights of .* \(text_projection\)"),
        (
            lambda s: s.update(text_projection=torch.zeros(3, 8)),
            r"text_projection \(3, 8\) instead of \(16, 8\)",
        ),
        (
            lambda s: s.update({"visual.positional_embedding": torch.zeros(7, 64)}),
            r"positional_embedding \(7, 64\)",
        ),
    ],
)
def test_wrong_farl_files_are_named(names, source, tmp_path, change, words):
    state = dict(source.state_dict())
    change(state)
    torch.save({"state_dict": state}, tmp_path / "FaRL.pth")
    with pytest.raises(DataError, match=words):
        load_farl(tmp_path / "FaRL.pth", name=names[1])
    with pytest.raises(DataError, match=words):
        load_dual_encoder(names[1], checkpoint=tmp_path / "FaRL.pth")


def test_image_tower_alone_is_not_a_dual_encoder(names, source, tmp_path):
    torch.save({k: v for k, v in source.state_dict().items() if k.startswith("visual.")}, tmp_path / "w.pth")
    with pytest.raises(DataError, match="lacks"):
        load_clip(names[1], tmp_path / "w.pth")


def test_another_input_size(names, source, tmp_path, caplog):
    torch.save(source.state_dict(), tmp_path / "w.pth")
    model, report = load_clip(names[1], tmp_path / "w.pth", image_size=64)
    assert "randomly" not in caplog.text  # open_clip says so of every model without a tag
    assert report.interpolated == ("visual.positional_embedding",)
    assert "1 interpolated (visual.positional_embedding)" in str(report)
    assert torch.equal(
        model.visual.positional_embedding, resize_positions(source.visual.positional_embedding, (4, 4))
    )
    assert outputs(model, 64)[0].shape == (2, 8)
    same, report = load_farl(tmp_path / "w.pth", name=names[1], image_size=32)
    assert not report.interpolated and torch.equal(outputs(same.eval())[0], outputs(source)[0])


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("ViT-B-61", {}, "ViT-B-16"),
        ("ViT-B-61", {"image_size": 32}, "ViT-B-16"),
        ("fbu-tiny", {"image_size": 32}, "one input size, 64 pixels"),
        ("fbu-tiny", {}, "lacks"),
    ],
)
def test_wrong_architecture_is_named(source, tmp_path, name, options, words):
    torch.save(source.state_dict(), tmp_path / "w.pth")
    with pytest.raises(DataError, match=words):
        load_clip(name, tmp_path / "w.pth", **options)


def test_report_is_frozen(tmp_path):
    report = LoadReport(tmp_path, "x", 1, 2)
    with pytest.raises(AttributeError):
        report.loaded = 3
