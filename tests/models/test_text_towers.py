import pytest
import torch
import torch.nn.functional as F

from fbu import runs
from fbu.experiments.profiles import PROFILES, profile_named, tower
from fbu.models.encoders import load_dual_encoder
from fbu.models.face_encoders import face_encoder, start_face_encoder
from fbu.models.starting import start_weights
from fbu.models.text_towers import Matched, MatchingTask, NoisyTask, hard_negatives
from fbu.recipes import EncoderSpec
from fbu.training import draw

CPU = torch.device("cpu")


def quick(weights, **update):
    return tower(weights, profile_named("quick")).model_copy(update=update)


def test_a_stated_share_of_captions_is_another_picture_s(few):
    task = NoisyTask(quick("ALIGN"), CPU, None)
    n = len(task)
    own = torch.arange(n)
    assert n == 140 and (task.donors != own).sum() == round(0.3 * n)
    clean = task.shown.part(test=False).captions
    assert task.train_part.captions == [clean[i] for i in task.donors]
    assert torch.equal(task.tokens, task.tokenize(task.train_part.captions).int())
    assert torch.equal(NoisyTask(quick("ALIGN"), CPU, None).donors, task.donors)
    assert not torch.equal(NoisyTask(quick("ALIGN", seed=1), CPU, None).donors, task.donors)
    for noise in (0, 1):
        other = NoisyTask(quick("ALIGN", options={"noise": noise}), CPU, None)
        assert (other.donors != own).float().mean() == noise
        assert other.donors.min() >= 0 and other.donors.max() < n


def test_noisy_captions_train(few):
    task = NoisyTask(quick("ALIGN"), CPU, None)
    loss = task.loss(torch.arange(8), draw(0, 0))["loss"]
    loss.backward()
    assert torch.isfinite(loss) and task.model.token_embedding.weight.grad.abs().sum() > 0


def test_hard_negatives_are_never_the_own_pair():
    torch.manual_seed(0)
    same = torch.eye(12, dtype=torch.bool)
    same[2, 3] = same[3, 2] = True  # one caption said of two pictures
    logits = 20 * torch.eye(12) + torch.randn(12, 12)
    for step in range(50):
        rows, partners = hard_negatives(logits, same, draw(0, step))
        assert rows.tolist() == list(range(12)) and not same[rows, partners].any()


def test_hard_negatives_look_right():
    logits = torch.zeros(3, 3)
    logits[0, 2] = 4.0
    hits = [hard_negatives(logits, torch.eye(3) > 0, draw(1, i))[1][0].item() for i in range(200)]
    assert hits.count(2) > 180


def test_rows_without_a_negative_are_left_out():
    rows, partners = hard_negatives(torch.zeros(2, 2), torch.ones(2, 2) > 0, draw(0, 0))
    assert rows.shape == partners.shape == (0,)
    same = torch.tensor([[1, 1, 0], [1, 1, 1], [0, 1, 1]]) > 0
    rows, partners = hard_negatives(torch.zeros(3, 3), same, draw(0, 0))
    assert rows.tolist() == [0, 2] and partners.tolist() == [2, 0]


def test_matching_loss_against_loops(few):
    task = MatchingTask(quick("BLIP", options={"weight": 0.5}), CPU, None)
    rows = torch.arange(10)
    generator = draw(0, 0)
    terms = task.loss(rows, generator)
    generator = draw(0, 0)
    x = task.pictures.batch(rows, task.recipe.augment, generator)
    z = F.normalize(task.encoder.encode_image(x), dim=-1)
    t = F.normalize(task.encoder.encode_text(task.tokens[rows].long()), dim=-1)
    captions = [task.train_part.captions[i] for i in rows]
    same = torch.tensor([[a == b for a in captions] for b in captions])
    logits = task.encoder.logit_scale.exp() * z @ t.T
    want = [(i, i, 1.0) for i in range(10)]
    want += [(i, j, 0.0) for i, j in zip(*hard_negatives(logits, same, generator), strict=True)]
    want += [(i, j, 0.0) for j, i in zip(*hard_negatives(logits.T, same, generator), strict=True)]
    losses = []
    for i, j, truth in want:
        said = task.model.match(z[i : i + 1], t[j : j + 1])[0].sigmoid()
        losses.append(-(said if truth else 1 - said).log())
    assert terms["matching"].item() == pytest.approx(torch.stack(losses).mean().item(), rel=1e-4)
    assert terms["loss"].item() == pytest.approx((terms["contrast"] + terms["matching"] / 2).item())
    terms["matching"].backward()
    for part in (task.model.head, task.encoder.visual, task.encoder.token_embedding):
        assert sum(p.grad.abs().sum() for p in part.parameters() if p.grad is not None) > 0


def test_a_single_pair_has_no_negative(few):
    terms = MatchingTask(quick("BLIP"), CPU, None).loss(torch.tensor([3]), draw(0, 0))
    assert torch.isfinite(terms["loss"])


def test_matched_is_the_dual_encoder_with_a_head():
    encoder = load_dual_encoder("fbu-tiny").eval()
    model = Matched(encoder).eval()
    names = {k for k in model.state_dict() if not k.startswith("encoder.")}
    assert names == {f"head.{i}.{what}" for i in (0, 2) for what in ("weight", "bias")}
    tokens = torch.tensor([[4512, 5, 4513, 0]])
    padded = F.pad(tokens, (0, 44))
    assert torch.allclose(model.encode_text(padded), encoder.encode_text(padded), atol=1e-5)


def test_a_finished_run_starts_both_kinds_of_encoders(few):
    base = tower("BLIP", profile_named("quick"))
    done = runs.run(
        base.model_copy(update={"optim": base.optim.model_copy(update={"images": 64})}), device="cpu"
    )
    assert 0 <= done.metrics["test"]["matching_accuracy"] <= 1
    assert 0 <= done.metrics["test"]["zero_shot_accuracy"] <= 1
    weights = done.weights()
    dual, face = load_dual_encoder("fbu-tiny"), face_encoder(EncoderSpec(name="tiny-vit"))
    start_weights(dual, done.folder)
    start_face_encoder(face, done.folder)
    assert all(torch.equal(v, weights[f"encoder.{k}"]) for k, v in dual.state_dict().items())
    assert torch.equal(face.tower.proj, weights["encoder.visual.proj"])


def test_recipes():
    for p in (PROFILES["quick"], PROFILES["demo"], PROFILES["full"]):
        align, blip, farl = (tower(w, p) for w in ("ALIGN", "BLIP", "FaRL"))
        assert align.options == {**farl.options, "noise": 0.3} and blip.options == farl.options
        assert align.optim.images == blip.optim.images == p.second_tower_images
        assert align.encoder == blip.encoder == farl.encoder
    assert tower("ALIGN", PROFILES["paper"]) is tower("BLIP", PROFILES["paper"]) is None
