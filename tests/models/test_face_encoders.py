import pytest
import torch
from safetensors.torch import save_file

from fbu.errors import DataError
from fbu.models.encoders import load_dual_encoder
from fbu.models.face_encoders import (
    FACE_ENCODERS,
    IMAGENET_MEAN,
    TinyResNet,
    face_encoder,
    face_encoder_size,
    start_face_encoder,
)
from fbu.recipes import EncoderSpec

PARAMETERS = {
    "resnet18": 11_176_512,  # with a transformation network of 512-128-512: 11.31 M, the paper's 11.3 M
    "swin-t": 28_501_498,
    "tiny-resnet": 174_456,
    "tiny-swin": 394_652,
    "tiny-vit": 433_040,
}


def make(name, **weights):
    return face_encoder(EncoderSpec(name=name, **weights))


@pytest.mark.parametrize("name", PARAMETERS)
def test_sizes(name):
    assert sum(p.numel() for p in make(name).parameters()) == PARAMETERS[name]


def test_parameters_with_the_transformation_network():
    network = 2 * 512 * 128 + 128 + 512
    assert round((PARAMETERS["resnet18"] + network) / 1e6, 2) == 11.31


@pytest.mark.parametrize("name", ["tiny-resnet", "tiny-swin", "tiny-vit"])
def test_features_and_gradients(name):
    torch.manual_seed(0)
    encoder = make(name)
    assert encoder.image_size == face_encoder_size(name) == 64
    z = encoder(torch.randn(4, 3, 64, 64))
    assert z.shape == (4, encoder.width)
    (z * torch.randn_like(z)).sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in encoder.parameters())
    assert next(encoder.parameters()).grad.abs().sum() > 0


def test_large_ones_give_512(monkeypatch):
    for name in ("resnet18", "swin-t"):
        encoder = make(name).eval()
        with torch.no_grad():
            assert encoder(torch.zeros(1, 3, 112, 112)).shape == (1, encoder.width) == (1, 512)
    asked = []

    def small(name, pretrained=None, checkpoint=None):
        asked.append((name, pretrained, checkpoint))
        return load_dual_encoder("fbu-tiny")

    monkeypatch.setattr("fbu.models.face_encoders.load_dual_encoder", small)
    assert make("vit-b16").width == 512 and make("vit-b16", pretrained="openai")
    assert asked == [("ViT-B-16", None, None), ("ViT-B-16-quickgelu", "openai", None)]


def test_constants():
    assert make("tiny-resnet").mean == make("tiny-vit").mean == (0.48145466, 0.4578275, 0.40821073)
    assert make("resnet18").mean == IMAGENET_MEAN
    assert (face_encoder_size("resnet18"), face_encoder_size("swin-t")) == (224, 112)


def test_published_weights_come_from_the_data_folder(tmp_path, monkeypatch):
    (tmp_path / "weights").mkdir()
    source = make("resnet18")
    save_file(source.tower.state_dict(), tmp_path / "weights" / "r.safetensors")
    monkeypatch.delenv("FBU_DATA", raising=False)
    with pytest.raises(DataError, match="FBU_DATA is not set"):
        make("resnet18", checkpoint="r.safetensors")
    monkeypatch.setenv("FBU_DATA", str(tmp_path))
    found = make("resnet18", checkpoint="r.safetensors")
    assert torch.equal(found.tower.layer4[1].conv2.weight, source.tower.layer4[1].conv2.weight)


@pytest.mark.parametrize("prefix", ["visual.", "encoder.visual.", "encoder.tower.", "tower."])
def test_starts_from_a_run(prefix, tmp_path):
    given = make("tiny-vit").tower.state_dict()
    beside = {"head.weight": torch.zeros(3), "logit_scale": torch.zeros(())}
    save_file({**{prefix + k: v for k, v in given.items()}, **beside}, tmp_path / "weights.safetensors")
    encoder = make("tiny-vit")
    start_face_encoder(encoder, tmp_path)
    assert all(torch.equal(v, given[k]) for k, v in encoder.tower.state_dict().items())


def test_a_run_that_does_not_fit_leaves_the_encoder_alone(tmp_path):
    path = tmp_path / "weights.safetensors"
    encoder = make("tiny-resnet")
    before = {k: v.clone() for k, v in encoder.state_dict().items()}
    save_file({f"visual.{k}": v for k, v in make("tiny-vit").tower.state_dict().items()}, path)
    with pytest.raises(DataError, match=r"weights.safetensors: does not fit tiny-resnet .*visual\.conv1"):
        start_face_encoder(encoder, tmp_path)
    save_file({f"encoder.tower.{k}": v for k, v in TinyResNet((24, 48, 64)).state_dict().items()}, path)
    with pytest.raises(DataError, match=r"layer3.0.conv1.weight is \(64, 48, 3, 3\) there and \(96, 48"):
        start_face_encoder(encoder, tmp_path)
    more = {f"encoder.{k}": v for k, v in before.items()}
    save_file({**more, "encoder.tower.layer4.0.conv1.weight": torch.ones(1)}, path)
    with pytest.raises(
        DataError, match=r"1 weights differ, .*layer4.0.conv1.weight is \(1,\) there and missing"
    ):
        start_face_encoder(encoder, tmp_path)
    save_file({"prompts": torch.zeros(1)}, path)
    with pytest.raises(DataError, match="holds no picture tower .names begin with prompts"):
        start_face_encoder(encoder, tmp_path)
    assert all(torch.equal(v, before[k]) for k, v in encoder.state_dict().items())
    start_face_encoder(encoder, None)


def test_errors():
    with pytest.raises(DataError, match=f"no picture encoder 'resnet'; known: {', '.join(FACE_ENCODERS)}"):
        make("resnet")
    with pytest.raises(DataError, match="tiny-swin: .*checkpoint='a.pt': none are published"):
        make("tiny-swin", checkpoint="a.pt")
    with pytest.raises(DataError, match="resnet18: .*pretrained='openai': use checkpoint"):
        make("resnet18", pretrained="openai")
