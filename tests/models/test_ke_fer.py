from types import MappingProxyType

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError

from fbu import data
from fbu.errors import DataError
from fbu.labels import prompting
from fbu.models import ke_fer
from fbu.models.encoders import encode_text, load_dual_encoder, tokenizer_for
from fbu.models.face_encoders import face_encoder
from fbu.models.ke_fer import KEFER, LookTask, ScoreTask, TrainTask
from fbu.recipes import EncoderSpec, Recipe
from fbu.runs import run
from fbu.training import batch_rows, draw, train

CPU = torch.device("cpu")
LABELS = {"supervision": "labels", "transformation": 0.0, "contrast": 0.0}


@pytest.fixture(autouse=True)
def texts(monkeypatch):
    """Random embeddings in the place of CLIP's, which cannot be shipped."""

    def drawn(kind, texts):
        return torch.randn(len(texts), 64, generator=torch.Generator().manual_seed(3))

    monkeypatch.setattr(ke_fer, "published_texts", drawn)


def recipe(encoder="tiny-resnet", images=64, name="rafdb", protocol=None, optim=None, **options):
    return Recipe.model_validate(
        {
            "task": "ke_fer.train",
            "data": {"name": name, "protocol": protocol},
            "encoder": {"name": encoder},
            "options": options,
            "optim": {"images": images, "batch_size": 16, **(optim or {})},
        }
    )


def made(*args, **options):
    torch.manual_seed(0)
    return TrainTask(recipe(*args, **options), CPU, None)


ROWS = torch.arange(0, 64, 4)


@pytest.mark.parametrize(("name", "millions"), [("resnet18", 11.31), ("swin-t", 28.6)])
def test_parameters_of_the_paper(name, millions):
    """Table 4 prints 11.3M and 28.6M, 0.1M of them in the transformation network."""
    model = KEFER(face_encoder(EncoderSpec(name=name)), torch.zeros(7, 512), "text", transforms=True)
    assert isinstance(model.project, torch.nn.Identity)
    assert sum(p.numel() for p in model.transform.parameters()) == 131_712
    assert sum(p.numel() for p in model.parameters()) / 1e6 == pytest.approx(millions, abs=0.05)
    alone = KEFER(model.encoder, torch.zeros(7, 640), "text", transforms=False)
    assert alone.project.weight.shape == (640, 512) and alone.transform is None  # ALIGN's width


@pytest.mark.parametrize("encoder", ["tiny-resnet", "tiny-vit", "tiny-swin"])
def test_one_step_moves_encoder_and_transformation_but_no_text(encoder):
    task = made(encoder)
    before = task.model.texts.clone()
    terms = task.loss(ROWS, draw(0, 0))
    assert set(terms) == {"loss", "similarity", "transformation", "contrast"}
    assert terms["loss"].item() == pytest.approx(
        sum(terms[n].item() for n in ("similarity", "transformation", "contrast")), rel=1e-5
    )
    terms["loss"].backward()
    learned = {n: p.grad for n, p in task.model.named_parameters()}
    assert all(g is not None and torch.isfinite(g).all() for g in learned.values())
    assert any(n.startswith("transform.") for n in learned) and "texts" not in learned
    assert torch.equal(before, task.model.texts)


def test_a_batch_of_neutral_faces():
    task = made()
    neutral = (task.targets == task.classes.index("neutral")).nonzero()[:8, 0]
    terms = task.loss(neutral, draw(0, 0))
    assert terms["transformation"].item() == terms["contrast"].item() == 0
    terms["loss"].backward()
    assert all(torch.isfinite(p.grad).all() for p in task.model.parameters() if p.grad is not None)


def test_without_the_two_losses_there_is_no_transformation():
    task = made(transformation=0.0, contrast=0.0)
    assert task.model.transform is None
    terms = task.loss(ROWS, draw(0, 0))
    assert terms["loss"].item() == pytest.approx(terms["similarity"].item())


def test_a_classifier_has_no_text(monkeypatch):
    monkeypatch.setattr(ke_fer, "class_texts", lambda *_: pytest.fail("a text tower was asked for"))
    task = made(**LABELS)
    y, x = task.targets[ROWS], task.pictures.batch(ROWS, task.recipe.augment, draw(0, 0))
    task.model.eval()
    want = F.cross_entropy(task.model.head(task.model.vectors(x)), y)
    assert task.loss(ROWS, draw(0, 0))["loss"].item() == pytest.approx(want.item(), rel=1e-5)
    assert isinstance(task.model.project, torch.nn.Identity)
    with pytest.raises(ValidationError, match="set both weights to 0"):
        recipe(supervision="labels")


def test_scores_are_the_softmax_of_cosines():
    task = made(temperature=0.1)
    task.model.eval()
    images = task.split("test").images[:5]
    v = task.vectors(images)
    cosines = F.normalize(v, dim=-1) @ F.normalize(task.model.texts, dim=-1).T
    assert np.allclose(task.scores(images), (cosines / 0.1).softmax(1).detach().numpy(), atol=1e-5)


def test_algorithm_1_updates_in_turn(tmp_path):
    """L_t, L_c, L_s, each a step of its own; a weight of 0 leaves its step out."""
    assert made(update="sequential").phases == ("transformation", "contrast", "similarity")
    assert made(update="sequential", transformation=0.0).phases == ("contrast", "similarity")
    assert made().phases == ("loss",)
    with_turns = train(made(images=32, update="sequential"), tmp_path)
    assert with_turns.images == 32 and np.isfinite(with_turns.metrics["test"]["accuracy"])


def test_oversampling_is_the_protocol_s():
    assert made().sampling_weights() is None
    task = made(name="affectnet", protocol="ke_fer_7")
    weights = task.sampling_weights()
    drawn = torch.cat([batch_rows(len(task), 64, i, 0, weights) for i in range(100)])
    shares = torch.bincount(task.targets[drawn], minlength=7) / len(drawn)
    assert (shares - 1 / 7).abs().max() < 0.02


@pytest.fixture(scope="module")
def tower():
    """A stand-in text tower, hardly trained."""
    return Recipe.model_validate(
        {"task": "towers.contrast", "data": {"name": "tower"}, "optim": {"images": 64, "batch_size": 32}}
    )


def test_texts_come_from_the_run_that_is_read(tower):
    folder = run(tower, device="cpu").folder
    reader = recipe(template=3).model_copy(update={"reads": {"text": tower}})
    torch.manual_seed(0)
    task = TrainTask(reader, CPU, None, MappingProxyType({"text": folder}))
    encoder = load_dual_encoder("fbu-tiny").eval()
    encoder.load_state_dict(run(tower).weights())
    words = prompting.prompts("ke_fer", "category", prompting.names("expression", task.classes))[3]
    assert words[0].startswith("This is a")
    with torch.no_grad():
        wanted = encode_text(encoder, tokenizer_for("fbu-tiny")(words))
    assert torch.allclose(task.model.texts, wanted, atol=1e-6)
    assert not task.model.texts.requires_grad


@pytest.fixture(scope="module")
def trained(tower):
    """A finished training that reads the tower."""
    short = recipe(images=160).model_copy(update={"reads": {"text": tower}})
    return run(short, device="cpu")


def looked(trained, task, **spec):
    return Recipe(
        task=task,
        data={"name": "rafdb", **spec},
        encoder=trained.recipe.encoder,
        start=trained.recipe,
        optim={"images": 0},
    )


def test_score_on_the_same_data_is_the_training_s(trained):
    task = ScoreTask(looked(trained, "ke_fer.score"), CPU, trained.folder)
    found = task.evaluate("test")
    assert found.metrics["accuracy"] == trained.metrics["test"]["accuracy"]
    columns = [c for c in trained.predictions if str(c).startswith("p_")]
    assert np.allclose(found.predictions[columns], trained.predictions[columns], atol=1e-5)


def test_classes_of_another_dataset_are_matched_by_name(trained):
    task = ScoreTask(looked(trained, "ke_fer.score", name="ckplus", protocol="ke_fer"), CPU, trained.folder)
    ck = data.load("ckplus", "test", protocol="ke_fer")
    assert ck.labels != task.classes and set(ck.labels) == set(task.classes)
    found = task.evaluate("test").predictions
    with torch.no_grad():
        whole = task.encoder.logits(task.vectors(ck.images), task.trained.temperature).softmax(1).numpy()
    for name in ck.labels:
        assert np.allclose(found[f"p_{name}"], whole[:, task.classes.index(name)], atol=1e-6)
    with pytest.raises(DataError, match="contempt, which the model was not trained on"):
        ScoreTask(looked(trained, "ke_fer.score", name="ferplus"), CPU, trained.folder).evaluate("test")


def test_a_look_needs_a_finished_training(trained, tower):
    bad = looked(trained, "ke_fer.look").model_copy(update={"start": tower})
    with pytest.raises(ValueError, match="looks at a finished ke_fer.train"):
        LookTask(bad, CPU, run(tower).folder)


def test_neutral_vectors_by_hand(trained, monkeypatch):
    """A transformation that returns the text of neutral is named neutral everywhere; own faces beat those of others."""
    task = LookTask(looked(trained, "ke_fer.look"), CPU, trained.folder)
    test = data.load("rafdb", "test")
    shown = np.where(np.arange(len(test)) % 2, "neutral", "anger")
    people = (np.arange(len(test)) // 2 % 10).astype(str)
    records = test.records.assign(expression=shown, subject=people)
    loaded = type(test)(**{**{f: getattr(test, f) for f in test.__dataclass_fields__}, "records": records})
    direction = F.normalize(torch.randn(10, 64, generator=torch.Generator().manual_seed(0)), dim=-1)
    mine = direction[torch.tensor(people.astype(int))]
    monkeypatch.setattr(task, "vectors", lambda images: mine)
    task.encoder.transform = torch.nn.Identity()
    found = task._neutral(loaded)
    assert found["own_neutral"] == found["own_neutral_before"] == pytest.approx(1.0, abs=1e-5)
    assert found["other_neutral"] < 0.9

    class Resting(torch.nn.Module):
        def forward(self, v):
            return task.encoder.texts[task.classes.index("neutral")].expand(len(v), -1)

    task.encoder.transform = Resting()
    assert task._neutral(loaded)["neutral_named"] == 1.0


def test_look_has_the_probes_and_its_own_numbers(trained):
    found = LookTask(looked(trained, "ke_fer.look"), CPU, trained.folder).evaluate("test").metrics
    assert {"expression_purity", "silhouette", "away/anger", "neutral_named", "own_neutral"} <= set(found)
    assert "away/neutral" not in found and -1 <= found["away/anger"] <= 1


def test_action_units_are_refused():
    with pytest.raises(DataError, match="bp4d has action units: KE-FER is trained on expressions"):
        TrainTask(recipe(name="bp4d"), CPU, None)


def test_records_are_kept(trained):
    assert isinstance(trained.predictions, pd.DataFrame)
    assert len(trained.predictions) == len(data.load("rafdb", "test"))
