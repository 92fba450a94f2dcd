import numpy as np
import pytest
import torch

import fbu.data.people as people_module
from fbu import runs
from fbu.data.people import People, known_people, people
from fbu.data.worlds import tower_scenes
from fbu.errors import DataError
from fbu.experiments.profiles import IDENTITY_ENCODERS, PROFILES, tower
from fbu.models.face_encoders import face_encoder, start_face_encoder
from fbu.models.identities import ClassifyTask, auc, best_threshold, pairs
from fbu.recipes import EncoderSpec, Recipe
from fbu.training import draw


@pytest.fixture
def some(monkeypatch, tmp_path):
    """Twenty people, four of them strangers, with six small pictures each."""
    monkeypatch.setitem(people_module.COUNTS, "quick", (20, 6))
    monkeypatch.setenv("FBU_HOME", str(tmp_path))
    return tmp_path


def recipe(encoder="tiny-resnet", size=32, images=32):
    return Recipe.model_validate(
        {
            "task": "identities.classify",
            "data": {"name": "tower", "image_size": size},
            "encoder": {"name": encoder},
            "optim": {"images": images, "batch_size": 16},
        }
    )


def test_pictures_of_people(some, monkeypatch):
    shown = people(size="quick", image_size=32)
    assert shown.images.shape == (120, 3, 32, 32) and shown.images.dtype == np.uint8
    assert shown.person[:7].tolist() == [0] * 6 + [1] and shown.known == known_people("quick") == 16
    assert len(set(map(bytes, np.asarray(shown.images)))) == 120
    monkeypatch.setattr(people_module, "_draw", lambda *_: pytest.fail("drawn again"))
    assert np.array_equal(people(size="quick", image_size=32).images, shown.images)
    with pytest.raises(ValueError, match="quick, demo, full"):
        people(size="big", image_size=32)


def test_parts_cover_everything_once():
    shown = People(np.zeros((0, 3, 8, 8)), np.repeat(np.arange(20), 6), 6)
    rows = {part: shown.rows(part) for part in ("train", "held_out", "strangers")}
    assert sorted(np.concatenate(list(rows.values())).tolist()) == list(range(120))
    assert {part: len(r) for part, r in rows.items()} == {"train": 80, "held_out": 16, "strangers": 24}
    assert not set(shown.person[rows["strangers"]]) & set(shown.person[rows["train"]])
    assert set(shown.person[rows["held_out"]]) == set(shown.person[rows["train"]]) == set(range(16))
    with pytest.raises(ValueError, match="train, held_out, strangers"):
        shown.rows("test")


def test_a_person_stays_and_the_rest_changes():
    rows = people_module.FIRST + np.arange(2)
    scene, _ = tower_scenes(rows, people=np.full(2, people_module.FIRST))
    assert torch.equal(scene.identity[0], scene.identity[1])
    assert not torch.equal(scene.pose[0], scene.pose[1]) and not torch.equal(scene.light[0], scene.light[1])


def test_counts_fit_the_numbers():
    from fbu.data.towers import COUNTS

    for count, pictures in people_module.COUNTS.values():
        assert count * pictures + people_module.FIRST < 1_000_000
    assert max(COUNTS.values()) <= people_module.FIRST
    assert np.prod(people_module.COUNTS["demo"]) == 40_000


def test_loss_and_evaluation(some):
    task = ClassifyTask(recipe(), torch.device("cpu"), None)
    assert len(task) == 80
    assert task.model.head.weight.shape == (16, 96)
    loss = task.loss(torch.arange(0, 80, 5), draw(0, 0))["loss"]
    loss.backward()
    assert torch.isfinite(loss) and task.model.encoder.tower.conv1.weight.grad.abs().sum() > 0
    task.model.eval()
    with torch.no_grad():
        assert task.model(torch.randn(2, 3, 32, 32)).abs().max() <= 16
        metrics = task.evaluate("test").metrics
        other = task.evaluate("val").metrics
    assert metrics["chance"] == 1 / 16 and metrics["score"] == metrics["accuracy"]
    assert 0 <= metrics["verification_accuracy"] <= 1 and 0 <= metrics["verification_auc"] <= 1
    assert metrics["verification_auc"] != other["verification_auc"]  # other strangers


def test_finished_run_fills_an_encoder(some):
    done = runs.run(recipe(), device="cpu")
    encoder = face_encoder(EncoderSpec(name="tiny-resnet"))
    start_face_encoder(encoder, done.folder)
    weights = done.weights()
    assert torch.equal(
        encoder.tower.layer3[0].bn2.running_var, weights["encoder.tower.layer3.0.bn2.running_var"]
    )
    again = ClassifyTask(recipe(), torch.device("cpu"), done.folder)
    assert torch.equal(again.model.encoder.tower.conv1.weight, weights["encoder.tower.conv1.weight"])
    assert "score" in done.metrics["test"]


def test_pictures_must_fit_the_encoder():
    with pytest.raises(DataError, match="tiny-swin takes pictures of 64 pixels, not 32"):
        ClassifyTask(recipe("tiny-swin"), torch.device("cpu"), None)


def test_pairs():
    one, two = pairs(5, 4, draw(0, 0))
    who, at = torch.arange(20) // 4, torch.arange(20)
    assert (one // 4 == who).all() and (one != at).all() and (two // 4 != who).all()
    assert torch.equal(pairs(5, 4, draw(0, 0))[1], two)
    with pytest.raises(ValueError, match="not 1 with 4"):
        pairs(1, 4, draw(0, 0))


def test_threshold_and_area():
    alike = torch.tensor([0.1, 0.3, 0.2, 0.8, 0.9, 0.25])
    same = torch.tensor([False, False, False, True, True, True])
    threshold = best_threshold(alike, same)
    right = [((alike > t) == same).sum().item() for t in torch.linspace(-1, 1, 201).tolist()]
    assert ((alike > threshold) == same).sum().item() == max(right) == 5
    assert auc(alike, same) == pytest.approx(8 / 9)
    assert best_threshold(torch.tensor([0.4, 0.6]), torch.tensor([True, True])) < 0.4
    assert best_threshold(torch.tensor([0.4, 0.6]), torch.tensor([False, False])) >= 0.6


def test_recipes_by_profile():
    for name, encoders in IDENTITY_ENCODERS.items():
        for encoder in encoders:
            made = tower("MS-Celeb", PROFILES[name], encoder=encoder)
            assert made.encoder.name == encoder and made.task == "identities.classify"
            assert made.optim.images == PROFILES[name].second_tower_images
    assert tower("MS-Celeb", PROFILES["full"], encoder="swin-t").data.image_size == 112
    assert tower("MS-Celeb", PROFILES["paper"], encoder="swin-t") is None
    with pytest.raises(ValueError, match="profile demo trains .* tiny-resnet, tiny-swin, not for 'resnet18'"):
        tower("MS-Celeb", PROFILES["demo"], encoder="resnet18")
    with pytest.raises(ValueError, match="only the MS-Celeb"):
        tower("CLIP", PROFILES["demo"], encoder="tiny-resnet")
