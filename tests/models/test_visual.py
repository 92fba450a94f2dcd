"""Image towers: files with the published names and shapes, and the same model from another library."""

import pytest
import timm
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torchvision import models
from torchvision.models.swin_transformer import SwinTransformer

from fbu.errors import DataError
from fbu.models.fitting import resize_positions
from fbu.models.visual import FaceSwin, load_resnet, load_swin, load_vit


@torch.no_grad()
def randomise(model):
    """Random weights everywhere, normalisation included, so that every tensor matters."""
    generator = torch.Generator().manual_seed(0)
    for name, value in model.state_dict().items():
        if value.is_floating_point():
            value.copy_(0.05 * torch.randn(value.shape, generator=generator))
            if name.endswith(("running_var", "norm.weight", "norm1.weight", "norm2.weight")):
                value.abs_().add_(1e-3 if name.startswith("feature.") else 1)  # small: epsilon then matters
    return model.eval()


# --- ResNet on MS-Celeb-1M


@pytest.fixture(scope="module")
def resnet():
    return randomise(models.resnet18())


def test_names_and_counts_of_the_resnet_file(resnet):
    """`resnet18_msceleb.pth`: torchvision's 122 names, 11,699,132 numbers with buffers."""
    state = resnet.state_dict()
    assert (len(state), sum(v.numel() for v in state.values())) == (122, 11_699_132)
    assert state["fc.weight"].shape == (1000, 512) and state["conv1.weight"].shape == (64, 3, 7, 7)
    assert state["layer4.0.downsample.0.weight"].shape == (512, 256, 1, 1)


@pytest.mark.parametrize(("prefix", "classifier"), [("", True), ("module.", True), ("module.", False)])
def test_resnet_gives_features(resnet, tmp_path, prefix, classifier):
    state = {prefix + k: v for k, v in resnet.state_dict().items() if classifier or not k.startswith("fc.")}
    torch.save({"state_dict": state, "epoch": 9}, tmp_path / "resnet18_msceleb.pth")
    model, report = load_resnet(tmp_path / "resnet18_msceleb.pth")
    assert (report.loaded, report.numbers, report.prefix) == (120, 11_186_132, prefix)
    assert report.ignored == (("fc.weight", "fc.bias") if classifier else ())
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        features = model.eval()(images)
        assert features.shape == (2, 512)
        assert torch.allclose(F.linear(features, resnet.fc.weight, resnet.fc.bias), resnet(images), atol=1e-5)


def test_wrong_resnets_are_named(resnet, tmp_path):
    file = tmp_path / "w.pth"
    torch.save({"state_dict": resnet.state_dict()}, file)
    with pytest.raises(DataError, match=r"w.pth: lacks \d+ of \d+ weights of resnet34 \(layer1.2"):
        load_resnet(file, "resnet34")
    with pytest.raises(DataError, match="no ResNet 'resnet19': known are resnet18"):
        load_resnet(file, "resnet19")
    state = {f"module.{k}" if k != "conv1.weight" else k: v for k, v in resnet.state_dict().items()}
    torch.save({"state_dict": state}, file)
    with pytest.raises(DataError, match="lacks"):  # not every name has the prefix
        load_resnet(file)


# --- Swin-T on MS-Celeb-1M


def distances():
    """(49, 49): which entry of the table of biases belongs to a pair of places in a window of 7."""
    row, column = torch.arange(49) // 7, torch.arange(49) % 7
    return (row[:, None] - row + 6) * 13 + (column[:, None] - column + 6)


def mask(side):
    """(windows, 49, 49): -100 where places that meet in a shifted window are no neighbours in the picture."""
    band = torch.zeros(side, dtype=torch.long)
    band[side - 7 : side - 3], band[side - 3 :] = 1, 2
    regions = band[:, None] * 3 + band  # (side, side)
    windows = regions.reshape(side // 7, 7, side // 7, 7).transpose(1, 2).reshape(-1, 49)
    return torch.where(windows[:, :, None] == windows[:, None, :], 0.0, -100.0)


@pytest.fixture(scope="module")
def swin():
    """Torchvision's Swin-T for patches of 2, its head exchanged for the file's."""
    model = SwinTransformer([2, 2], 96, [2, 2, 6, 2], [3, 6, 12, 24], [7, 7], stochastic_depth_prob=0.0)
    model.head = torch.nn.Identity()
    model.feature = torch.nn.Sequential(
        torch.nn.Linear(768, 768, bias=False),
        torch.nn.BatchNorm1d(768, eps=2e-5),
        torch.nn.Linear(768, 512, bias=False),
        torch.nn.BatchNorm1d(512, eps=2e-5),
    )
    return randomise(model)


@pytest.fixture(scope="module")
def swin_state(swin):
    """The same weights under the names of `start_0.pt`, with the tables that the file carries."""
    state = {}
    for key, value in swin.state_dict().items():
        parts = key.split(".")
        if key.endswith("relative_position_index"):
            continue
        if parts[:2] == ["features", "0"]:
            key = f"patch_embed.{'proj' if parts[2] == '0' else 'norm'}.{parts[3]}"
        elif parts[0] == "features" and int(parts[1]) % 2 == 0:
            key = f"layers.{int(parts[1]) // 2 - 1}.downsample." + ".".join(parts[2:])
        elif parts[0] == "features":
            inside = ".".join(parts[3:]).replace("mlp.0.", "mlp.fc1.").replace("mlp.3.", "mlp.fc2.")
            key = f"layers.{int(parts[1]) // 2}.blocks.{parts[2]}.{inside}"
        state[key] = value
    for layer, (side, depth) in enumerate(((56, 2), (28, 2), (14, 6), (7, 2))):
        for block in range(depth):
            name = f"layers.{layer}.blocks.{block}"
            state[f"{name}.attn.relative_position_index"] = distances()
            if block % 2 and side > 7:
                state[f"{name}.attn_mask"] = mask(side)
    return state


def test_names_and_counts_of_the_swin_file(swin_state):
    """`start_0.pt`: 200 tensors, 28,753,764 numbers with buffers."""
    assert (len(swin_state), sum(v.numel() for v in swin_state.values())) == (200, 28_753_764)
    assert swin_state["layers.2.blocks.5.attn_mask"].shape == (4, 49, 49)
    assert swin_state["layers.2.downsample.reduction.weight"].shape == (768, 1536)
    assert swin_state["layers.3.blocks.1.attn.relative_position_bias_table"].shape == (169, 24)
    assert "layers.3.blocks.1.attn_mask" not in swin_state


def test_swin_agrees_with_torchvision(swin, swin_state, tmp_path):
    content = {
        "state_dict_backbone": swin_state,
        "epoch": 1,
        "state_dict_softmax_fc": {"w": torch.ones(2, 2)},
    }
    torch.save(content, tmp_path / "start_0.pt")
    model, report = load_swin(tmp_path / "start_0.pt")
    assert (report.loaded, report.numbers, len(report.ignored)) == (183, 28_504_060, 17)
    assert sum(p.numel() for p in model.parameters()) == 28_501_498
    images = torch.rand(1, 3, 112, 112)
    with torch.no_grad():
        features, theirs = model.eval()(images), swin.feature(swin(images))
    assert features.shape == (1, FaceSwin.dim)
    assert torch.allclose(features, theirs, atol=1e-4 * theirs.abs().max().item())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: s.pop("norm.bias"), r"lacks 1 of 183 weights of Swin-T .*\(trunk.norm.bias\)"),
        (lambda s: s.update(head=torch.ones(1)), r"unknown names .*\(trunk.head\)"),
        (
            lambda s: s.update({"feature.2.weight": torch.ones(4, 768)}),
            r"feature.2.weight \(4, 768\) instead of \(512, 768\)",
        ),
        (
            lambda s: s.update({"layers.0.blocks.1.attn_mask": mask(56).roll(1, 0)}),
            "layers.0.blocks.1.attn_mask is not that of windows of 7",
        ),
        (
            lambda s: s.update({"layers.3.blocks.1.attn_mask": torch.zeros(1, 49, 49)}),
            "layers.3.blocks.1.attn_mask is not",
        ),
    ],
)
def test_wrong_swin_files_are_named(swin_state, tmp_path, monkeypatch, change, words):
    plain = dict(swin_state)
    change(plain)
    state = {f"module.{k}": v for k, v in plain.items()}  # the prefix is cut before anything is compared
    monkeypatch.setattr("fbu.models.visual.read_weights", lambda file, key: state)
    with pytest.raises(DataError, match=rf"start_0.pt: .*{words}"):
        load_swin(tmp_path / "start_0.pt")


def test_swin_without_its_entry_is_named(tmp_path):
    torch.save({"state_dict": {"w": torch.ones(1)}}, tmp_path / "start_0.pt")
    with pytest.raises(DataError, match="no entry 'state_dict_backbone' with weights; there are state_dict"):
        load_swin(tmp_path / "start_0.pt")


# --- ViT


@pytest.fixture(scope="module")
def vit():
    return randomise(timm.create_model("vit_tiny_patch16_224", pretrained=False, num_classes=21))


def test_vit_agrees_with_timm(vit, tmp_path):
    save_file(vit.state_dict(), tmp_path / "vit.safetensors")
    model, report = load_vit(tmp_path / "vit.safetensors", "vit_tiny_patch16_224")
    assert (report.loaded, report.ignored) == (150, ("head.bias", "head.weight"))
    images = torch.rand(1, 3, 224, 224)
    with torch.no_grad():
        features = model.eval()(images)
        assert features.shape == (1, 192)
        assert torch.allclose(vit.head(features), vit(images), atol=1e-5)


def test_vit_of_another_input_size(vit, tmp_path):
    save_file(vit.state_dict(), tmp_path / "vit.safetensors")
    model, report = load_vit(tmp_path / "vit.safetensors", "vit_tiny_patch16_224", image_size=112)
    assert report.interpolated == ("pos_embed",)
    assert torch.equal(model.pos_embed, resize_positions(vit.pos_embed, (7, 7)))
    with torch.no_grad():
        assert model(torch.rand(1, 3, 112, 112)).shape == (1, 192)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("vit_tiny_patch16_223", "no vision transformer 'vit_tiny_patch16_223'; timm has vit_tiny_patch16"),
        ("resnet18", "no vision transformer 'resnet18'"),
        ("vit_small_patch32_224", "other shapes for .*cls_token"),
    ],
)
def test_wrong_vits_are_named(vit, tmp_path, name, words):
    save_file(vit.state_dict(), tmp_path / "vit.safetensors")
    with pytest.raises(DataError, match=words):
        load_vit(tmp_path / "vit.safetensors", name)
