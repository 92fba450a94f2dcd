"""The idiomatic baselines of the benchmark compute the same numbers as the package."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from fbu import losses

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


def load(name: str) -> ModuleType:
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


baselines = load("baselines")


def test_masked_contrast_agrees() -> None:
    z_a, z_b, z_c = torch.randn(3, 40, 8, dtype=torch.float64).unbind()
    y = torch.randint(0, 5, (40,))
    torch.testing.assert_close(
        baselines.supcon_with_masks(z_a, z_b, y), losses.cross_modal_supcon(z_a, z_b, y)
    )
    torch.testing.assert_close(
        baselines.pretraining(z_a, z_b, z_c, y), losses.clef_pretraining(z_a, z_b, z_c, y)[0]
    )


def test_losses_with_frozen_texts_agree() -> None:
    v, n, t = torch.randn(3, 30, 8, dtype=torch.float64).unbind()
    classes, y = torch.randn(5, 8, dtype=torch.float64), torch.randint(0, 5, (30,))
    for baseline, ours, given in [
        (baselines.text_similarity, losses.text_similarity_cross_entropy, (v, classes, y)),
        (baselines.transformation, losses.neutral_transformation, (v, n, t, classes[0])),
        (baselines.self_contrast, losses.self_contrast, (t, v, n)),
        (baselines.expression_contrast, losses.text_expression_contrast, (t, v, n, y)),
    ]:
        torch.testing.assert_close(baseline(*given), ours(*given))


def test_contrasts_by_emotion_agree() -> None:
    q, k, w = (F.normalize(z, dim=-1) for z in torch.randn(3, 20, 8, dtype=torch.float64))
    queue, y = F.normalize(torch.randn(5, 7, 8, dtype=torch.float64), dim=-1), torch.randint(0, 5, (20,))
    for baseline, ours, given in [
        (baselines.emotion_cross_entropy, losses.emotion_classification, (q, w[:5], y)),
        (baselines.emotion_contrast_by_gather, losses.emotion_aware_contrast, (q, k, queue, y, w[:5])),
    ]:
        torch.testing.assert_close(baseline(*given), ours(*given))
    torch.testing.assert_close(
        baselines.moco_contrast(q, k, queue[0]), losses.emotion_aware_contrast(q, k, queue[:1], y, None)
    )


def test_image_text_losses_agree() -> None:
    image, name = torch.randn(20, 8), torch.randn(5, 8)
    classes, units, weight = torch.randint(0, 5, (20,)), torch.randint(-1, 2, (20, 5)), torch.rand(5)
    for baseline, ours, targets in [
        (baselines.cross_entropy, losses.image_name_cross_entropy, classes),
        (baselines.bce, losses.image_name_bce, units),
    ]:
        torch.testing.assert_close(
            baseline(image, name, targets, 20.0, weight), ours(image, name, targets, 20.0, weight)
        )
    description = torch.randn(5, 8)
    torch.testing.assert_close(
        baselines.description_contrast(description, name, 20.0),
        losses.name_description_contrast(description, name, 20.0),
    )


def test_bench_measures_every_loss(capsys: pytest.CaptureFixture[str]) -> None:
    rows = load("bench_losses").main(96, repeats=1, chunk=8)
    printed = capsys.readouterr().out
    names = {row["name"].split(",")[0] for row in rows}
    # Made of others that are there.
    sums = {"clef_finetuning", "knowledge_enhanced", "emoco_pretraining", "consistency_terms"}
    assert names == set(losses.__all__) - sums
    for row in rows:
        assert row["difference"] < 1e-4
        assert row["time_ratio"] > 0
        assert row["name"] in printed
    whole, chunked = rows[0]["ours_mb"], rows[1]["ours_mb"]
    assert 96 * 192 * 4 / 1e6 < whole  # the similarities alone
    assert chunked < whole


def test_image_files_loads_augmented_batches(tmp_path: Path) -> None:
    for i in range(5):
        Image.fromarray(np.full((30, 20, 3), 50 * i, np.uint8)).save(tmp_path / f"{i}.png")
    loader = baselines.image_loader(sorted(tmp_path.glob("*.png")), range(5), 16, batch_size=2, workers=0)
    batches = list(loader)
    assert [tuple(x.shape) for x, _ in batches] == [(2, 3, 16, 16)] * 2  # the odd one is dropped
    seen = torch.cat([y for _, y in batches]).tolist()
    assert len(set(seen)) == 4 and set(seen) < set(range(5))
