"""Attention baselines against torch's own attention weights; the model comes back as it was."""

import copy

import pytest
import torch

from fbu.attention import attention_maps
from fbu.models import load_dual_encoder
from fbu.models.fine import fine_tiny


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    model = fine_tiny().eval()
    for block in model.visual.transformer.resblocks:
        torch.nn.init.normal_(block.attn.in_proj_weight, std=0.4)
    return model


def weights_of(model, images):
    """Attention (layers, n, t, t), mean over heads, as torch's MultiheadAttention returns it."""
    kept = []
    visual = copy.deepcopy(model.visual)

    def asked(block):
        def attention(q_x, k_x=None, v_x=None, attn_mask=None):
            out, weights = block.attn(q_x, q_x, q_x, need_weights=True, average_attn_weights=True)
            kept.append(weights)
            return out

        return attention

    for block in visual.transformer.resblocks:
        block.attention = asked(block)
    with torch.no_grad():
        visual(images)
    return torch.stack(kept)


def test_equals_the_definition(model):
    images = torch.randn(2, 3, 64, 64)
    weights = weights_of(model, images)
    last = attention_maps(model, images, "last")
    assert last.shape == (2, 8, 8)
    # Fused and elementary attention round apart, on some processors more than on others.
    torch.testing.assert_close(last.flatten(1), weights[-1][:, 0, 1:], rtol=2e-3, atol=5e-5)
    product = torch.eye(65).expand(2, -1, -1)
    for layer in weights:
        product = (layer + torch.eye(65)) / 2 @ product
    rollout = attention_maps(model, images)
    torch.testing.assert_close(rollout.flatten(1), product[:, 0, 1:], rtol=2e-3, atol=5e-5)
    torch.testing.assert_close(rollout.sum((1, 2)) + product[:, 0, 0], torch.ones(2))


def test_the_model_comes_back_as_it_was(model):
    own = copy.deepcopy(model).train()
    own.visual.conv1.eval()
    before = [m.training for m in own.modules()]
    attention_maps(own, torch.randn(1, 3, 64, 64))
    with pytest.raises(RuntimeError):
        attention_maps(own, torch.randn(1, 4, 64, 64))  # fails on the way
    assert [m.training for m in own.modules()] == before
    assert not any(m._forward_pre_hooks for m in own.modules())


def test_what_cannot_be_asked(model):
    with pytest.raises(ValueError, match="how is 'mean'; known: rollout, last"):
        attention_maps(model, torch.randn(1, 3, 64, 64), "mean")
    other = load_dual_encoder("fbu-tiny")
    other.visual = torch.nn.Conv2d(3, 8, 3)
    with pytest.raises(ValueError, match="this one is Conv2d"):
        attention_maps(other, torch.randn(1, 3, 64, 64))
