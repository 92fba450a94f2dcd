"""The tiny tower on an 8 x 8 grid: what carries over from the coarse one, and CLEF's stages on top of it."""

import pytest
import torch
from safetensors.torch import save_file

from fbu.errors import DataError
from fbu.explain import relevance
from fbu.models.clef import CLEF, label_tokens
from fbu.models.encoders import load_dual_encoder
from fbu.models.fine import explainable_encoder, fine_tiny, fine_weights
from fbu.models.fitting import resize_positions
from fbu.recipes import EncoderSpec, Recipe, task_type
from fbu.training import draw, make_optimizer

POSITIONS = "visual.positional_embedding"


def kept(folder, model):
    """A run's folder with the weights of a model."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, folder / "weights.safetensors")
    return folder


@pytest.fixture(scope="module")
def coarse():
    torch.manual_seed(0)
    model = load_dual_encoder("fbu-tiny")
    for module in model.visual.conv1.modules():  # statistics that are not those of a new model
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean, -0.2, 0.2)
            torch.nn.init.uniform_(module.running_var, 0.5, 2)
    return model.eval()


@pytest.fixture(scope="module")
def fine(coarse, tmp_path_factory):
    model = fine_tiny()
    report = fine_weights(model, kept(tmp_path_factory.mktemp("coarse"), coarse))
    assert report.interpolated == (POSITIONS,) and report.unexpected == ()
    return model.eval()


def test_shapes(fine):
    images = torch.rand(2, 3, 64, 64)
    assert fine.visual.grid_size == (8, 8)
    assert fine.visual.conv1(images).shape == (2, 96, 8, 8)
    assert fine.state_dict()[POSITIONS].shape == (65, 96)
    assert fine.encode_image(images).shape == (2, 64)


def test_every_weight_but_the_positions_is_the_coarse_one(coarse, fine):
    before, now = coarse.state_dict(), fine.state_dict()
    assert set(before) == set(now)
    assert [k for k in before if before[k].shape != now[k].shape] == [POSITIONS]
    assert all(torch.equal(before[k], now[k]) for k in before if k != POSITIONS)
    assert torch.equal(now[POSITIONS], resize_positions(before[POSITIONS], (8, 8)))
    assert torch.equal(now[POSITIONS][0], before[POSITIONS][0])  # the class token's own stays


def test_the_stem_computes_the_same_at_every_second_patch(coarse, fine):
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(fine.visual.conv1(images)[:, :, ::2, ::2], coarse.visual.conv1(images))


def test_starts_from_a_fine_run_with_a_head(fine, tmp_path):
    """CLEF keeps its encoder under a prefix, and may hold more than that."""
    torch.manual_seed(1)
    model = CLEF(
        explainable_encoder(EncoderSpec(), None), label_tokens("fbu-tiny", "au", (1, 2)), "I", "shared"
    )
    report = fine_weights(loaded := fine_tiny(), kept(tmp_path, model))
    assert set(report.unexpected) == {"head.weight", "head.bias"} and report.interpolated == ()
    assert all(torch.equal(v, loaded.state_dict()[k]) for k, v in model.encoder.state_dict().items())


def test_another_architecture_is_refused(tmp_path):
    save_file({"visual.proj": torch.zeros(3, 3)}, tmp_path / "weights.safetensors")
    with pytest.raises(DataError, match="fbu-tiny with 8 x 8 patches"):
        fine_weights(fine_tiny(), tmp_path)


def test_other_encoders_stay_as_they_are(monkeypatch):
    asked = []
    monkeypatch.setattr("fbu.models.fine.encoder_from", lambda spec: asked.append(spec.name) or "the encoder")
    monkeypatch.setattr(
        "fbu.models.fine.start_weights", lambda encoder, start: asked.append((encoder, start))
    )
    assert explainable_encoder(EncoderSpec(name="ViT-B-16"), None) == "the encoder"
    assert asked == ["ViT-B-16", ("the encoder", None)]


@pytest.mark.parametrize(
    ("task", "dataset", "options"),
    [
        ("fine.contrast", {"name": "tower"}, {"faces": 1.0, "style": "detailed"}),
        ("fine.pretrain", {"name": "bp4d", "fold": 1}, {"activity_text": True}),
        ("fine.finetune", {"name": "bp4d", "fold": 1}, {"use": "IND"}),
        ("fine.finetune", {"name": "rafdb"}, {"use": "IND"}),
    ],
)
def test_a_step_of_each_task_from_the_coarse_tower(task, dataset, options, coarse, tmp_path):
    recipe = Recipe.model_validate(
        {"task": task, "data": dataset, "options": options, "optim": {"images": 64, "batch_size": 16}}
    )
    made = task_type(task)(recipe, torch.device("cpu"), kept(tmp_path, coarse))
    encoder = getattr(made.model, "encoder", made.model)
    assert encoder.visual.grid_size == (8, 8)
    assert torch.equal(encoder.visual.proj, coarse.visual.proj)  # it starts where the coarse one ended
    optimizer = make_optimizer(made.model, recipe.optim)
    positions = encoder.visual.positional_embedding.detach().clone()
    loss = made.loss(torch.arange(16), draw(0, 0))["loss"]
    loss.backward()
    optimizer.step()
    assert torch.isfinite(loss)
    assert not torch.equal(encoder.visual.positional_embedding, positions)
    made.model.eval()
    maps, _ = relevance(encoder, torch.rand(1, 3, 64, 64), made_tokens(made))
    assert maps.shape == (2, 8, 8) and bool((maps >= 0).all()) and float(maps.max()) > 0
    assert all("forward" not in m.__dict__ for m in encoder.modules())


def made_tokens(task):
    from fbu.models import tokenizer_for

    return tokenizer_for(task.recipe.encoder.name)(["a smile", "a frown"])


def test_stage_one_is_scored_by_purity_alone():
    recipe = Recipe.model_validate(
        {"task": "fine.pretrain", "data": {"name": "bp4d", "fold": 1}, "optim": {"images": 0}}
    )
    metrics = task_type("fine.pretrain")(recipe, torch.device("cpu"), None).evaluate("val").metrics
    assert set(metrics) == {"expression_purity", "expression_chance", "score"}
    assert 0 < metrics["expression_chance"] < 1 and metrics["score"] == metrics["expression_purity"]
