"""DK-CLIP's model against a clip-by-clip transcription, its parts one by one, and what learns in it."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks import bench_dk_clip, video_loops
from fbu import data
from fbu.data.layouts.twin_clips import save_video
from fbu.data.transforms import Augment, augment
from fbu.errors import DataError
from fbu.labels.appearance import APPEARANCE
from fbu.losses import class_aware_consistency
from fbu.models import mixing
from fbu.models.clips import Clips, augment_clips
from fbu.models.dk_clip import DKCLIP, LookTask, Training, TrainTask, trained_model
from fbu.models.encoders import load_dual_encoder, tokenizer_for
from fbu.models.noise import noise_metrics, noisy_share, shown_share
from fbu.models.video import SnippetIntegration, VideoEncoder
from fbu.models.video_texts import ContextTexts, FixedTexts, class_words, texts_of
from fbu.predicting import predict
from fbu.recipes import Recipe, task_type
from fbu.runs import Run, run
from fbu.training import draw, make_optimizer, train

CPU = torch.device("cpu")
CLASSES = ("happiness", "sadness", "neutral")
SMALL = {"frames": 8, "snippets": 4}
TEMPORAL = ("hierarchical", "cross_frame", "transformer", "average")


def model(**options) -> DKCLIP:
    torch.manual_seed(0)
    chosen = Training.model_validate({**SMALL, **options})
    encoder = load_dual_encoder("fbu-tiny")
    texts = texts_of(encoder, tokenizer_for("fbu-tiny"), class_words(chosen.words, CLASSES), chosen.context)
    return DKCLIP(encoder, texts, chosen).eval().double()  # a* magnifies small differences of similarities


def clips(n: int = 2, t: int = 2, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, 4, t, 3, 64, 64, generator=generator, dtype=torch.float64)


def recipe(name="dfew", images=16, optim=None, task="train", start=None, **options) -> Recipe:
    return Recipe.model_validate(
        {
            "task": f"dk_clip.{task}",
            "data": {"name": name, "protocol": "dk_clip" if name in ("dfew", "mafw", "ferv39k") else None},
            "options": options if task == "look" else {**SMALL, **options},
            "optim": {"images": images, "batch_size": 8, **(optim or {})},
            "start": start,
        }
    )


# --- the whole


@pytest.mark.parametrize("threshold", [0.0, 0.15, 0.24])
def test_model_equals_the_transcription(threshold: float) -> None:
    ours, x = model(threshold=threshold), clips(3)
    found = ours(x)
    whole, local, scores = video_loops.dk_clip(ours, x, threshold)
    torch.testing.assert_close(found.scores, scores, atol=1e-4, rtol=0)
    torch.testing.assert_close(found.whole, whole, atol=1e-4, rtol=0)
    torch.testing.assert_close(ours.local(found), local, atol=1e-4, rtol=0)
    assert torch.equal(found.kept, found.scores >= threshold)


def test_gradients_equal_the_transcription_s_with_and_without_checkpointing() -> None:
    ours, x, y = model(), clips(), torch.tensor([0, 2])
    weights = [p for p in ours.parameters() if p.requires_grad]
    results = []
    for checkpointing in (False, True, None):
        if checkpointing is None:
            whole, local, _ = video_loops.dk_clip(ours, x, 0.15)
        else:
            ours.video.checkpointing = checkpointing
            found = ours(x)
            whole, local = found.whole, ours.local(found)
        results.append(torch.autograd.grad(class_aware_consistency(whole, local, y), weights))
    for plain, again, loops in zip(*results, strict=True):
        torch.testing.assert_close(plain, again)
        torch.testing.assert_close(plain, loops, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("temporal", TEMPORAL)
def test_shapes_and_clips_do_not_see_each_other(temporal: str) -> None:
    ours, x = model(temporal=temporal), clips(3)
    with torch.no_grad():
        found, alone = ours(x), ours(x[1:2])
    assert found.whole.shape == (3, 3) and found.snippets.shape == (3, 4, 3)
    assert found.scores.shape == (3, 4) and found.features.shape == (3, 64)
    for name in ("whole", "snippets", "scores", "features"):
        torch.testing.assert_close(getattr(found, name)[1:2], getattr(alone, name), atol=1e-5, rtol=1e-4)


@settings(max_examples=5)
@given(seed=st.integers(0, 1000), order=st.permutations(range(4)))
def test_who_sees_whom(seed: int, order: list[int]) -> None:
    """Without its positions the encoder over snippets is blind to their order; a snippet never sees the others."""
    ours, x = model().video, clips(1, seed=seed)
    with torch.no_grad():
        ours.over.position.zero_()
        found, moved = ours(x), ours(x[:, order])
        torch.testing.assert_close(moved.snippets, found.snippets[:, order], atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(moved.whole, found.whole, atol=1e-5, rtol=1e-4)
        # Frames of a snippet in another order: messages are a set.
        torch.testing.assert_close(ours(x.flip(2)).snippets, found.snippets, atol=1e-5, rtol=1e-4)
        changed = x.clone()
        changed[:, 2] += 1
        other = ours(changed)
        assert torch.equal((other.snippets - found.snippets).abs().sum(2) > 1e-5, torch.arange(4)[None] == 2)


def test_messages_reach_as_far_as_they_should() -> None:
    """A change of one frame reaches its snippet's other frame, with messages among all the whole clip, or nobody."""
    x = clips(1)
    changed = x.clone()
    changed[:, 0, 0] += 1
    reached = {}
    for temporal in TEMPORAL:
        video = model(temporal=temporal).video
        group = 8 if temporal == "cross_frame" else 2
        z = [video._embedded(y.flatten(0, 2)).unflatten(0, (-1, group)) for y in (x, changed)]
        before, after = (video._block(0, video._block(0, y)).flatten(0, 1) for y in z)
        reached[temporal] = int(((after - before).abs().amax((1, 2)) > 1e-6).sum())
    assert reached == {"hierarchical": 2, "cross_frame": 8, "transformer": 1, "average": 1}


def test_average_is_clip_s_own_feature() -> None:
    ours, x = model(temporal="average"), clips()
    features = load_dual_encoder("fbu-tiny").double()
    features.visual.load_state_dict(ours.video.visual.state_dict())
    features.eval()
    with torch.no_grad():
        wanted = features.encode_image(x.flatten(0, 2)).view(2, 8, -1).mean(1)
        torch.testing.assert_close(ours(x).features, wanted, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_layers_over_snippets(layers: int) -> None:
    over = SnippetIntegration(4, 64, layers)
    s = torch.randn(2, 4, 64)
    x = s + over.position
    for block in over.blocks:
        x = video_loops.block_of(block, x)
    assert len(over.blocks) == layers
    torch.testing.assert_close(over(s), (s + x).mean(1), atol=1e-5, rtol=1e-4)


def test_erased_snippets_reach_neither_texts_nor_local_prediction() -> None:
    ours, x = model(threshold=0.2), clips(1)
    found = ours(x)
    (noise,) = torch.where(~found.kept[0])
    assert 0 < len(noise) < 4
    free = model(threshold=0.2, consistency=False)
    assert free(x).kept.all()
    assert (free(x).whole - found.whole).abs().max() > 1e-6  # the texts saw other patches
    (gradient,) = torch.autograd.grad(ours.local(found).sum(), found.snippets)
    assert torch.equal(gradient.abs().sum((0, 2)) == 0, ~found.kept[0])


def test_fusion_of_probabilities_is_a_logarithm_of_theirs() -> None:
    ours = model(fusion="probabilities", threshold=0.2)
    found = ours(clips(1))
    weights = found.scores[0] * found.kept[0]
    wanted = (weights[:, None] * found.snippets[0].softmax(1)).sum(0)
    torch.testing.assert_close(ours.local(found)[0].exp(), wanted)
    nobody = model(fusion="probabilities", threshold=0.9)
    assert nobody.local(nobody(clips(1))).softmax(1).allclose(torch.tensor(1 / 3, dtype=torch.float64))


# --- what learns


TEXT_SIDE = {"texts", "prompts"}


@pytest.mark.parametrize(
    ("options", "groups"),
    [
        ({}, {"visual", "messages", "over", "prompts"}),
        ({"temporal": "cross_frame", "conditioned": False}, {"visual", "messages"}),
        ({"temporal": "transformer"}, {"visual", "over", "prompts"}),
        ({"temporal": "average", "conditioned": False}, {"visual"}),
        ({"context": 3, "conditioned": False}, {"visual", "messages", "over", "context"}),
        ({"frozen_patches": False}, {"visual", "messages", "over", "prompts"}),
    ],
)
def test_names_of_what_learns(options: dict, groups: set[str]) -> None:
    ours = model(**options)
    learns = {name for name, p in ours.named_parameters() if p.requires_grad}
    parts = {name.split(".")[0 if name.startswith("prompts") else 1] for name in learns}
    assert parts == groups
    # All of the image tower but its patch embedding.
    tower = {f"video.visual.{name}" for name, _ in ours.video.visual.named_parameters()}
    assert {n for n in learns if n.startswith("video.visual.")} == {
        n for n in tower if not ours.settings.frozen_patches or not n.startswith("video.visual.conv1.")
    }
    faster = {id(p) for module in ours.added() for p in module.parameters() if p.requires_grad}
    slow = {name for name, p in ours.named_parameters() if p.requires_grad and id(p) not in faster}
    assert slow == {n for n in learns if n.startswith("video.visual.")}


def test_every_weight_that_learns_gets_a_gradient_and_no_other_moves() -> None:
    ours = model(context=2).train()
    before = {k: v.clone() for k, v in ours.state_dict().items()}
    optim = recipe(optim={"lr": 1e-2, "warmup": 0.0}).optim
    optimizer = make_optimizer(ours, optim, [(module, 10.0) for module in ours.added()])
    found = ours(clips())
    class_aware_consistency(found.whole, ours.local(found), torch.tensor([0, 1])).backward()
    for name, p in ours.named_parameters():
        assert (p.grad is not None and bool(p.grad.any())) == p.requires_grad or name.endswith("in_proj_bias")
    optimizer.step()
    moved = {k for k, v in ours.state_dict().items() if not torch.equal(v, before[k])}
    assert moved <= {k for k, p in ours.named_parameters() if p.requires_grad}  # no running statistics either
    factors = {g["factor"] for g in optimizer.param_groups if g["params"]}
    assert factors == {1.0, 10.0}


def test_sizes_of_the_paper() -> None:
    settings = Training()
    assert (settings.frames, settings.snippets, settings.threshold, settings.words) == (16, 4, 0.15, "or")
    with torch.device("meta"):
        counts = {}
        for name in ("ViT-B-16", "ViT-B-32"):
            encoder = bench_dk_clip.tower_of(name)
            ours = DKCLIP(encoder, FixedTexts(torch.empty(7, 512)), settings)
            assert ours.prompts.gamma.shape == (512,)
            assert ours.video.over.blocks[0].attn.num_heads == ours.prompts.layers[0].attention.num_heads == 8
            trained = sum(p.numel() for p in ours.parameters() if p.requires_grad)
            tower = sum(p.numel() for n, p in encoder.visual.named_parameters() if "conv1" not in n)
            counts[name] = trained - tower
        w, d = 768, 512
        messages = 12 * (w * w + w + 2 * w + 4 * (w * w + w))
        block = 4 * (d * d + d) + 8 * d * d + 5 * d + 4 * d
        prompts = 2 * w + w * d + 2 * d + 2 * block + d
        assert set(counts.values()) == {messages + 4 * d + block + prompts}
        features = ours.video(torch.empty(1, 4, 4, 3, 224, 224))
        assert features.whole.shape == (1, 512) and features.patches.shape == (1, 4, 49, 768)


# --- texts


def test_class_words() -> None:
    assert class_words("names", CLASSES) == list(CLASSES)
    assert class_words("and", CLASSES)[0].endswith("cheek raiser, lip corner puller and lip part")
    assert class_words("files", CLASSES)[0] == "happiness with cheek raiser and lip corner puller or part"
    assert class_words("descriptions", CLASSES)[2] == APPEARANCE["neutral"]
    assert all(name not in text for name, text in APPEARANCE.items())
    for dataset in ("dfew", "ferv39k", "mafw"):
        labels = [c.name for c in data.load_manifest(dataset).classes]
        for kind in ("names", "or", "and", "files", "descriptions"):
            texts = class_words(kind, labels)
            assert len(set(texts)) == len(labels)
            context = 8 if kind in ("names", "descriptions") else 0  # as Table 6 has it
            assert int(tokenizer_for("fbu-tiny")(texts).argmax(1).max()) + context < 48


def test_learned_context_stands_between_start_and_words() -> None:
    encoder, tokenizer = load_dual_encoder("fbu-tiny").eval(), tokenizer_for("fbu-tiny")
    tokens = tokenizer(["photo of anger", "fear"])
    words = tokenizer(["a photo of anger", "a fear"])
    texts = ContextTexts(encoder, tokens, 1)
    with torch.no_grad():
        texts.context.copy_(encoder.token_embedding(words[:1, 1]))
        torch.testing.assert_close(texts(), encoder.encode_text(words), atol=1e-5, rtol=1e-4)
    with pytest.raises(ValueError, match="need 52 positions of 48"):
        ContextTexts(encoder, tokens, 52 - int(tokens.argmax(1).max()) - 1)


def test_texts_without_context_are_encoded_once() -> None:
    ours = model()
    assert isinstance(ours.texts, FixedTexts) and not list(ours.texts.parameters())
    encoder = load_dual_encoder("fbu-tiny")
    torch.manual_seed(0)
    assert ours.prompts.gamma.tolist() == pytest.approx([0.1] * 64)
    assert ours.texts().shape == (3, 64) and encoder.text_projection.shape[1] == 64


# --- mixing and clips


def test_soft_targets_and_mixup() -> None:
    y = mixing.soft_targets(torch.tensor([0, 2]), 3, 0.3)
    torch.testing.assert_close(y, torch.tensor([[0.8, 0.1, 0.1], [0.1, 0.1, 0.8]]))
    x, order, share = torch.randn(3, 2, 4, 4), torch.tensor([1, 2, 0]), torch.tensor([1.0, 0.0, 0.25])
    mixed = mixing.mixup(x, order, share)
    torch.testing.assert_close(mixed[:2], torch.stack([x[0], x[2]]))
    torch.testing.assert_close(mixed[2], 0.25 * x[2] + 0.75 * x[0])
    with pytest.raises(ValueError, match=r"order \(2,\), share \(3,\), x \(3, 2, 4, 4\)"):
        mixing.mixup(x, order[:2], share)
    with pytest.raises(ValueError, match="smoothing must lie in 0..1, got 2"):
        mixing.soft_targets(torch.tensor([0]), 3, 2)
    with pytest.raises(ValueError, match="alpha must be positive, got 0"):
        mixing.beta_draws(1, 0, draw(0, 0))


def test_masks_cover_their_share_in_blobs() -> None:
    share = torch.tensor([0.0, 0.3, 0.5, 1.0])
    masks = mixing.fmix_masks(share, 32, draw(0, 1))
    torch.testing.assert_close(masks.float().mean((1, 2)), share, atol=1e-3, rtol=0)
    # White noise changes from pixel to pixel half of the time; blobs seldom do.
    assert (masks[2, 1:] != masks[2, :-1]).float().mean() < 0.15
    x = torch.randn(4, 2, 3, 32, 32)
    order = torch.tensor([1, 2, 3, 0])
    mixed, covered = mixing.fmix(x, order, share, draw(0, 1))
    for i, mask in enumerate(masks):
        assert torch.equal(mixed[i], torch.where(mask, x[i], x[order[i]]))  # the same in every frame
    torch.testing.assert_close(covered, masks.float().mean((1, 2)))


@pytest.mark.parametrize(
    ("alphas", "kinds"), [((0.8, 1.0), 2), ((0.8, 0.0), 1), ((0.0, 1.0), 1), ((0.0, 0.0), 0)]
)
def test_mixtures_and_their_targets(alphas: tuple[float, float], kinds: int) -> None:
    """Clips of a single number each: what a mixture holds of them is what its target says."""
    y = torch.eye(4)
    x = torch.arange(4.0).view(4, 1, 1, 1, 1, 1).expand(4, 2, 1, 3, 8, 8).clone()
    seen = set()
    for step in range(12 if kinds else 1):
        mixed, targets = mixing.mixed_clips(x, y, draw(0, step), mixup_alpha=alphas[0], fmix_alpha=alphas[1])
        torch.testing.assert_close(
            mixed.mean((1, 2, 3, 4, 5)), targets @ torch.arange(4.0), atol=1e-5, rtol=1e-5
        )
        torch.testing.assert_close(targets.sum(1), torch.ones(4))
        seen.add(bool((mixed == mixed.round()).all()))  # masks leave every pixel whole
        if not kinds:
            assert mixed is x and targets is y
    assert len(seen) == max(kinds, 1)


def test_frames_of_a_clip_are_augmented_alike() -> None:
    frames = torch.randint(0, 256, (2, 3, 64, 64), generator=draw(0, 0)).byte()
    x = frames[:, None, None].expand(2, 2, 3, -1, -1, -1).contiguous()
    spec = Augment(brightness=0.4, gray=0.3, erase=0.5)
    found = augment_clips(x, spec, draw(0, 1))
    assert (found == found[:, :1, :1]).all() and not torch.equal(found[0, 0, 0], found[1, 0, 0])
    # As single pictures are augmented with the same draws.
    mean, std = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
    wanted = augment(frames, spec, draw(0, 1), mean=mean, std=std)
    torch.testing.assert_close(found[:, 0, 0], wanted, atol=1e-5, rtol=1e-4)
    plain = augment(frames, Augment.none(), mean=mean, std=std)
    torch.testing.assert_close(
        augment_clips(x, Augment.none(), draw(0, 1))[:, 0, 0], plain, atol=1e-5, rtol=1e-4
    )


# --- noise


RECORDS = pd.DataFrame(
    {"true_noisy": ["0:blank 1:hand", "", "5:person"], "true_onset": [2, 4, -1], "true_offset": [5, 7, -1]}
)
AT = np.arange(8).reshape(1, 4, 2).repeat(3, 0)


def test_noise_by_hand() -> None:
    share = noisy_share(RECORDS, AT)
    assert share.tolist() == [[1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0.5, 0]]
    shown = shown_share(RECORDS, AT)
    assert shown[:2].tolist() == [[0, 1, 1, 0], [0, 0, 1, 1]] and np.isnan(shown[2]).all()
    scores = np.array([[0.1, 0.3, 0.4, 0.2], [0.1, 0.2, 0.3, 0.4], [0.3, 0.3, 0.2, 0.2]])
    found = noise_metrics(RECORDS, AT, scores, np.array([True, False, True]))
    # Noise at 0.1 and 0.2; ten clean snippets, of which one is at 0.1 and three are at 0.2.
    pairs = [(n, c) for n in (0.1, 0.2) for c in (0.3, 0.4, 0.2, 0.1, 0.2, 0.3, 0.4, 0.3, 0.3, 0.2)]
    assert found["noise_auroc"] == pytest.approx(np.mean([1.0 * (c > n) + 0.5 * (c == n) for n, c in pairs]))
    assert found["noise_auroc_within"] == pytest.approx((1 + (1 + 1 + 0.5) / 3) / 2)
    a = (scores[:2] - 0.25).ravel()
    b = (shown[:2] - 0.5).ravel()
    assert found["shown_correlation"] == pytest.approx(np.corrcoef(a, b)[0, 1])
    assert (found["accuracy_clean"], found["accuracy_noisy"]) == (0.0, 1.0)
    assert found["noisy_snippets"] == pytest.approx(2 / 12)


def test_without_truth_there_is_nothing_to_say() -> None:
    records = pd.DataFrame({"sample": ["a", "b", "c"]})
    assert noise_metrics(records, AT, np.ones((3, 4)), np.ones(3, bool)) == {}
    assert np.isnan(noisy_share(records, AT)).all() and np.isnan(shown_share(records, AT)).all()


# --- the tasks


def test_loss_is_the_equation_on_mixed_clips() -> None:
    torch.manual_seed(0)
    task = TrainTask(recipe(weight=0.5), CPU, None)
    task.model.train()
    rows = torch.arange(8)
    terms = task.loss(rows, draw(0, 3))
    generator = draw(0, 3)
    x = task.clips.batch(rows, task.recipe.augment, generator)
    y = F.one_hot(task.targets[rows], 7) * 0.9 + 0.1 / 7
    x, y = mixing.mixed_clips(x, y, generator, mixup_alpha=0.8, fmix_alpha=1.0)
    found = task.model(x)
    wanted = class_aware_consistency(found.whole, task.model.local(found), y, 0.5)
    assert terms["loss"].item() == pytest.approx(wanted.item(), rel=1e-5)
    assert sum(v.item() for k, v in terms.items() if k != "loss") == pytest.approx(wanted.item(), rel=1e-5)
    plain = TrainTask(recipe(consistency=False), CPU, None)
    assert set(plain.loss(rows, draw(0, 3))) == {"loss"}
    assert len(task) == len(task.train_split) and len(task.train_split) < len(task.train_split.images)


def test_consistency_can_end() -> None:
    """After so many passes only L_g is left, and a resumed training knows how many there were."""
    chosen = recipe(images=24, consistency_epochs=16 / 72)
    task = TrainTask(chosen, CPU, None)
    rows = torch.arange(8)
    assert [len(task.loss(rows, draw(0, 0))) for _ in range(3)] == [4, 4, 1]
    assert int(task.model.seen) == 24 and "seen" in task.model.state_dict()


def told(trained: Run, frames: np.ndarray, wanted: np.ndarray, folder: Path) -> None:
    """What is said of a folder of frames and of a video; a video's compression changes little."""
    (folder / "frames").mkdir()
    for i, frame in enumerate(frames):
        Image.fromarray(frame.transpose(1, 2, 0)).save(folder / "frames" / f"{i}.png")
    found = predict(folder / "frames", trained)
    assert np.allclose(found.probabilities, wanted, atol=1e-3) and found.labels[0] == "happiness"
    assert found.picture.shape == (3, 64, 64)
    each = found.details["snippets"]
    assert len(each) == 4 and sum(one["score"] for one in each) == pytest.approx(1, abs=1e-4)
    assert sorted(at for one in each for at in one["frames"]) == [at for one in each for at in one["frames"]]
    assert all(one["erased"] == (one["score"] < 0.15) for one in each)
    assert all(found.labels[int(np.argmax(one["probabilities"]))] == one["top"] for one in each)
    assert found.remarks[0].count(";") == 3 and each[0]["top"] in found.remarks[0]
    written = found.write(folder / "out")
    assert {path.name for path in written} == {"prediction.json", "bars.png", "timeline.png"}
    # A picture's answer in the same place leaves no film of another's.
    replace(found, details={}, drawings={}).write(folder / "out")
    assert not (folder / "out" / "timeline.png").exists() and (folder / "out" / "bars.png").exists()
    save_video(frames.transpose(0, 2, 3, 1), folder / "clip.mp4")
    assert np.allclose(predict(folder / "clip.mp4", trained).probabilities, wanted, atol=0.1)
    (folder / "notes.mp4").write_text("no video at all")
    with pytest.raises(DataError, match="notes.mp4 is no video that can be read"):
        predict(folder / "notes.mp4", trained)
    with pytest.raises(DataError, match="no such video"):
        predict(folder / "nowhere.mp4", trained)


def test_a_training_is_scored_looked_at_and_read_again(tmp_path: Path) -> None:
    trained = run(recipe())
    metrics = trained.metrics["test"]
    assert {"accuracy", "mean_class_accuracy", "accuracy_local", "noise_auroc", "erased"} <= set(metrics)
    frame = trained.predictions
    assert {"noise", "a1", "a4"} <= set(frame)
    assert np.allclose(frame[["a1", "a2", "a3", "a4"]].sum(axis=1), 1, atol=1e-4)
    again = trained_model(trained.recipe, trained.weights(), trained.task().train_split.labels)
    test = data.load("dfew", "test", protocol="dk_clip")
    x = next(Clips(test, 8, 4, CPU).batches(2))
    p = again(x).whole.softmax(1).detach().numpy()
    assert np.allclose(frame[[f"p_{c}" for c in test.labels]].to_numpy()[:2], p, atol=1e-4)
    told(trained, np.asarray(test.clip(0)), p[0], tmp_path)
    looked = run(recipe(task="look", images=0, start=trained.recipe, embed=20))
    assert {"expression_purity", "silhouette"} <= set(looked.metrics["test"])
    assert len(looked.extra["x"]) == len(looked.extra["expression"]) <= 21


def test_killed_training_ends_with_the_same_weights(tmp_path: Path) -> None:
    chosen = recipe(images=24, consistency_epochs=0.2, context=2)

    def made() -> TrainTask:
        torch.manual_seed(0)
        return TrainTask(chosen, CPU, None)

    whole = train(made(), tmp_path)
    part = tmp_path / "part"
    part.mkdir()
    with pytest.raises(InterruptedError):
        train(made(), part, stop_after=2, checkpoint_every=0)
    resumed = train(made(), part)
    assert all(torch.equal(v, resumed.state[k]) for k, v in whole.state.items())


def test_refusals(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValidationError, match="frames=10 must be a multiple of snippets=4"):
        Training(frames=10)
    with pytest.raises(ValueError, match="frames is 6 and snippets is 4"):
        VideoEncoder(load_dual_encoder("fbu-tiny").visual, 6, 4)
    with pytest.raises(ValueError, match=r"clips must be \(n, 4, 2, 3, S, S\), got \(1, 2, 4, 3, 64, 64\)"):
        model().video(clips(1).view(1, 2, 4, 3, 64, 64))
    with pytest.raises(ValueError, match="must be a plain ViT with a class token, got Linear"):
        VideoEncoder(nn.Linear(1, 1))
    with pytest.raises(ValueError, match="looks at a finished dk_clip.train"):
        LookTask(recipe(task="look", images=0), CPU, None)
    assert task_type("dk_clip.train") is TrainTask
    test = data.load("dfew", "test", protocol="dk_clip")
    monkeypatch.setattr(TrainTask, "split", lambda self, name: replace(test, spans=None))
    with pytest.raises(DataError, match="dfew holds no clips of expressions: dk_clip.train needs them"):
        TrainTask(recipe(), CPU, None)
