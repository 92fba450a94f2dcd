"""CLEF eq. 2 to 6 against their transcriptions."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from fbu.losses import (
    clef_finetuning,
    clef_pretraining,
    cross_modal_supcon,
    image_name_bce,
    image_name_cross_entropy,
    name_description_contrast,
)

SCALE = 3.0


def features(*rows: int, width: int = 4, seed: int = 0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(n, width, dtype=torch.float64, generator=generator) for n in rows]


def cosine(x: Tensor, y: Tensor) -> float:
    return float(x @ y / (x.norm() * y.norm()))


# --- eq. 2


def test_pretraining_adds_two_contrasts_with_image_anchors() -> None:
    image, view, activity = features(5, 5, 5)
    y = torch.tensor([0, 1, 0, 2, 1])
    total, terms = clef_pretraining(image, view, activity, y)
    assert list(terms) == ["image_view", "image_activity"]
    torch.testing.assert_close(terms["image_view"], cross_modal_supcon(image, view, y))
    torch.testing.assert_close(terms["image_activity"], cross_modal_supcon(image, activity, y))
    torch.testing.assert_close(total, terms["image_view"] + terms["image_activity"])


@pytest.mark.parametrize(
    "options",
    [{"temperature": 0.1}, {"normalizer": "positives"}, {"reduction": "sum"}, {"chunk": 2}],
    ids=str,
)
def test_pretraining_hands_its_options_to_both_terms(options: dict) -> None:
    image, view, activity = features(5, 5, 5)
    y = torch.tensor([0, 1, 0, 2, 1])
    total, _ = clef_pretraining(image, view, activity, y, **options)
    expected = cross_modal_supcon(image, view, y, **options) + cross_modal_supcon(
        image, activity, y, **options
    )
    torch.testing.assert_close(total, expected, rtol=1e-12, atol=1e-12)


def test_pretraining_gradcheck() -> None:
    tau = torch.tensor(0.3, dtype=torch.float64)
    inputs = tuple(z.requires_grad_() for z in [*features(4, 4, 4), tau])

    def total(image: Tensor, view: Tensor, activity: Tensor, tau: Tensor) -> Tensor:
        return clef_pretraining(image, view, activity, torch.tensor([0, 1, 0, 2]), temperature=tau)[0]

    assert torch.autograd.gradcheck(total, inputs)


def test_pretraining_names_its_own_arguments() -> None:
    z, y = torch.ones(4, 8), torch.arange(4)
    with pytest.raises(
        ValueError, match=r"z_activity must have one row per row of z_image, .* z_activity \(3, 8\)"
    ):
        clef_pretraining(z, z, z[:3], y)
    with pytest.raises(ValueError, match=r"reduction must be one of 'mean', 'sum', got 'none'"):
        clef_pretraining(z, z, z, y, reduction="none")
    with pytest.raises(ValueError, match=r"labels must have shape \(4,\)"):
        clef_pretraining(z, z, z, y[:3])


# --- eq. 3


@pytest.mark.parametrize("classes", [1, 2, 5])
def test_name_description_contrast_equals_the_equation(classes: int) -> None:
    description, name = features(classes, classes)
    expected = 0.0
    for i in range(classes):
        partition = sum(math.exp(SCALE * cosine(description[i], name[j])) for j in range(classes))
        expected -= math.log(math.exp(SCALE * cosine(description[i], name[i])) / partition) / classes
    assert name_description_contrast(description, name, SCALE).item() == pytest.approx(expected, abs=1e-13)


def test_name_description_contrast_runs_from_description_to_name() -> None:
    # Two equal descriptions: each finds its name by half, whatever the names of the transposed direction do.
    description = torch.tensor([[1.0, 0, 0], [1.0, 0, 0]])
    name = torch.tensor([[0.0, 1, 0], [1.0, 0, 0]])
    expected = (math.log(1 + math.e) + math.log(1 + 1 / math.e)) / 2
    assert name_description_contrast(description, name, 1.0).item() == pytest.approx(expected, abs=1e-6)
    assert name_description_contrast(name, description, 1.0).item() == pytest.approx(math.log(2), abs=1e-6)


# --- eq. 4

CLASS_WEIGHT = torch.tensor([0.5, 2.0, 1.0], dtype=torch.float64)


def cross_entropy_rows(image: Tensor, name: Tensor, targets: Tensor, weight: list[float]) -> list[float]:
    rows = []
    for i, c in enumerate(targets.tolist()):
        exponentials = [math.exp(SCALE * cosine(image[i], n)) for n in name]
        rows.append(-weight[c] * math.log(exponentials[c] / sum(exponentials)))
    return rows


@pytest.mark.parametrize("weight", [None, CLASS_WEIGHT], ids=["unweighted", "weighted"])
def test_cross_entropy_equals_the_equation(weight: Tensor | None) -> None:
    image, name = features(6, 3)
    targets = torch.tensor([0, 2, 1, 1, 0, 1])
    rows = cross_entropy_rows(image, name, targets, [1.0] * 3 if weight is None else weight.tolist())
    losses = image_name_cross_entropy(image, name, targets, SCALE, weight, reduction="none")
    torch.testing.assert_close(losses, torch.tensor(rows, dtype=torch.float64))
    total = image_name_cross_entropy(image, name, targets, SCALE, weight, reduction="sum")
    assert total.item() == pytest.approx(sum(rows), abs=1e-12)
    mean = image_name_cross_entropy(image, name, targets, SCALE, weight)
    assert mean.item() == pytest.approx(sum(rows) / 6, abs=1e-12)


def test_cross_entropy_is_divided_by_the_batch_not_by_the_weights() -> None:
    z = torch.eye(3, dtype=torch.float64)
    y = torch.tensor([0, 1, 2])
    one = image_name_cross_entropy(z, z, y, SCALE)
    twice = image_name_cross_entropy(z, z, y, SCALE, torch.full((3,), 2.0))
    torch.testing.assert_close(twice, 2 * one)


def test_cross_entropy_accepts_every_integer_dtype() -> None:
    image, name = features(3, 3)
    expected = image_name_cross_entropy(image, name, torch.tensor([2, 0, 1]), SCALE)
    for dtype in (torch.uint8, torch.int8, torch.int32):
        got = image_name_cross_entropy(image, name, torch.tensor([2, 0, 1], dtype=dtype), SCALE)
        assert torch.equal(got, expected)


# --- eq. 5

POS_WEIGHT = torch.tensor([4.0, 0.5, 1.0], dtype=torch.float64)
NAN = float("nan")
AU_TARGETS = [[1, 0, 1], [0, 0, -1], [NAN, 1, 1], [-1, -1, NAN], [0.25, 1, 0]]


def bce_rows(image: Tensor, name: Tensor, targets: list[list[float]], weight: list[float]) -> list[float]:
    rows = []
    for i, row in enumerate(targets):
        total = 0.0
        for c, y in enumerate(row):
            if y == -1 or math.isnan(y):
                continue
            p = 1 / (1 + math.exp(-SCALE * cosine(image[i], name[c])))
            total -= weight[c] * y * math.log(p) + (1 - y) * math.log(1 - p)
        rows.append(total)
    return rows


@pytest.mark.parametrize("weight", [None, POS_WEIGHT], ids=["unweighted", "weighted"])
def test_bce_equals_the_equation(weight: Tensor | None) -> None:
    image, name = features(5, 3)
    rows = bce_rows(image, name, AU_TARGETS, [1.0] * 3 if weight is None else weight.tolist())
    targets = torch.tensor(AU_TARGETS)
    losses = image_name_bce(image, name, targets, SCALE, weight, reduction="none")
    torch.testing.assert_close(losses, torch.tensor(rows, dtype=torch.float64))
    total = image_name_bce(image, name, targets, SCALE, weight, reduction="sum")
    assert total.item() == pytest.approx(sum(rows), abs=1e-12)
    mean = image_name_bce(image, name, targets, SCALE, weight)
    assert mean.item() == pytest.approx(sum(rows) / 5, abs=1e-12)  # the row without targets stays in B


@pytest.mark.parametrize("dtype", [torch.int8, torch.int64, torch.float32, torch.bfloat16])
def test_bce_accepts_targets_of_any_dtype(dtype: torch.dtype) -> None:
    image, name = features(2, 3)
    targets = [[1, 0, -1], [0, -1, 1]]
    expected = sum(bce_rows(image, name, targets, [1.0] * 3)) / 2
    loss = image_name_bce(image, name, torch.tensor(targets, dtype=dtype), SCALE)
    assert loss.item() == pytest.approx(expected, abs=1e-12)


def test_bce_accepts_booleans() -> None:
    image, name = features(2, 3)
    targets = torch.tensor([[True, False, True], [False, False, True]])
    assert torch.equal(
        image_name_bce(image, name, targets, 1.0), image_name_bce(image, name, targets.int(), 1.0)
    )


@pytest.mark.parametrize("unknown", [-1.0, NAN])
def test_bce_of_unknown_targets_is_zero_and_attached(unknown: float) -> None:
    image, name = (z.requires_grad_() for z in features(2, 3))
    loss = image_name_bce(image, name, torch.full((2, 3), unknown), SCALE)
    assert loss.item() == 0
    for gradient in torch.autograd.grad(loss, (image, name)):
        assert torch.equal(gradient, torch.zeros_like(gradient))


def test_bce_sends_no_gradient_through_unknown_targets() -> None:
    image, name = (z.requires_grad_() for z in features(2, 3))
    loss = image_name_bce(image, name, torch.tensor([[1.0, -1, NAN], [-1, -1, -1]]), SCALE)
    to_image, to_name = torch.autograd.grad(loss, (image, name))
    assert torch.equal(to_image.abs().sum(1) > 0, torch.tensor([True, False]))
    assert torch.equal(to_name.abs().sum(1) > 0, torch.tensor([True, False, False]))


# --- eq. 6


@pytest.mark.parametrize("weight", [2.0, 0.5, 0.0])
@pytest.mark.parametrize("task", ["expression", "au"])
def test_finetuning_composes_the_terms(task: str, weight: float) -> None:
    image, name, description = features(4, 3, 3)
    if task == "expression":
        targets, options = torch.tensor([0, 2, 1, 1]), {"class_weight": CLASS_WEIGHT}
        image_name = image_name_cross_entropy(image, name, targets, SCALE, CLASS_WEIGHT)
    else:
        targets, options = torch.tensor(AU_TARGETS[:4]), {"pos_weight": POS_WEIGHT}
        image_name = image_name_bce(image, name, targets, SCALE, POS_WEIGHT)
    total, terms = clef_finetuning(
        image, name, description, targets, SCALE, task=task, weight=weight, **options
    )
    contrast = name_description_contrast(description, name, SCALE)
    assert list(terms) == ["image_name", "name_description"]
    torch.testing.assert_close(terms["image_name"], image_name)
    torch.testing.assert_close(terms["name_description"], contrast)
    torch.testing.assert_close(total, (weight * image_name + contrast) / 2)


def test_finetuning_default_lambda_is_two() -> None:
    image, name, description = features(4, 3, 3)
    total, terms = clef_finetuning(
        image, name, description, torch.tensor([0, 2, 1, 1]), SCALE, task="expression"
    )
    torch.testing.assert_close(total, terms["image_name"] + terms["name_description"] / 2)


def test_finetuning_without_descriptions_keeps_the_image_term_as_it_was() -> None:
    image, name = features(4, 3)
    total, terms = clef_finetuning(
        image, name, None, torch.tensor([0, 2, 1, 1]), SCALE, task="expression", weight=3.0
    )
    assert list(terms) == ["image_name"]
    torch.testing.assert_close(total, 1.5 * terms["image_name"])


def finetuning_total(task: str, targets: Tensor):  # noqa: ANN201
    def total(image: Tensor, name: Tensor, description: Tensor, scale: Tensor) -> Tensor:
        return clef_finetuning(image, name, description, targets, scale, task=task)[0]

    return total


TARGETS = {"expression": torch.tensor([0, 2, 1, 1]), "au": torch.tensor(AU_TARGETS[:4])}


@pytest.mark.parametrize("task", ["expression", "au"])
def test_finetuning_gradcheck(task: str) -> None:
    scale = torch.tensor(SCALE, dtype=torch.float64)
    inputs = tuple(z.requires_grad_() for z in [*features(4, 3, 3), scale])
    assert torch.autograd.gradcheck(finetuning_total(task, TARGETS[task]), inputs)


@pytest.mark.parametrize("task", ["expression", "au"])
def test_gradient_reaches_a_learned_scale(task: str) -> None:
    # CLIP keeps the logarithm, of shape (), in float32; the gradient is the slope of the loss along it.
    log_scale = torch.nn.Parameter(torch.tensor(math.log(SCALE)))
    image, name, description = features(4, 3, 3)
    total = finetuning_total(task, TARGETS[task])
    total(image.requires_grad_(), name, description, log_scale.exp()).backward()
    up, down = (total(image, name, description, SCALE * math.exp(step)) for step in (1e-4, -1e-4))
    assert log_scale.grad is not None
    assert log_scale.grad.item() == pytest.approx((up - down).item() / 2e-4, rel=1e-4)


# --- precision


@pytest.mark.parametrize("scale", [1.0, 100.0, 1e4])
@pytest.mark.parametrize("task", ["expression", "au"])
def test_autocast_changes_nothing_and_large_scales_stay_finite(task: str, scale: float) -> None:
    inputs = [z.float().requires_grad_() for z in features(4, 3, 3)]
    tau_inverse = torch.tensor(scale, requires_grad=True)
    results = []
    for enabled in (False, True):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            loss = finetuning_total(task, TARGETS[task])(*inputs, tau_inverse)
        results.append([loss.detach(), *torch.autograd.grad(loss, [*inputs, tau_inverse])])
    for plain, cast in zip(*results, strict=True):
        assert plain.dtype == cast.dtype == torch.float32
        assert torch.isfinite(plain).all()
        assert torch.equal(plain, cast)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("task", ["expression", "au"])
def test_half_features_are_computed_in_float32(task: str, dtype: torch.dtype) -> None:
    inputs = [z.to(dtype) for z in features(4, 3, 3)]
    loss = finetuning_total(task, TARGETS[task])(*inputs, torch.tensor(100.0, dtype=dtype))
    expected = finetuning_total(task, TARGETS[task])(*[z.float() for z in inputs], 100.0)
    assert loss.dtype == torch.float32
    assert torch.equal(loss, expected)


def test_mixed_widths_of_float_take_the_wider() -> None:
    image, name = features(4, 3)
    loss = image_name_cross_entropy(image.half(), name, TARGETS["expression"], SCALE, CLASS_WEIGHT.float())
    assert loss.dtype == torch.float64


# --- invariances


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31 - 1), n=st.integers(1, 6), classes=st.integers(1, 5))
def test_order_and_scale_do_not_matter(seed: int, n: int, classes: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    image, name, description = features(n, classes, classes, seed=seed)
    rows, columns = torch.randperm(n, generator=generator), torch.randperm(classes, generator=generator)
    place = columns.argsort()  # class c now stands at place[c]
    expression = torch.randint(0, classes, (n,), generator=generator)
    au = torch.randint(-1, 2, (n, classes), generator=generator)
    changed = {"expression": place[expression][rows], "au": au[rows][:, columns]}
    for task, targets in {"expression": expression, "au": au}.items():
        loss = finetuning_total(task, targets)(image, name, description, SCALE)
        moved = finetuning_total(task, changed[task])(
            7 * image[rows], 0.01 * name[columns], 1e3 * description[columns], SCALE
        )
        torch.testing.assert_close(moved, loss)


# --- errors

Z, N = torch.ones(4, 8), torch.ones(3, 8)
Y, AU = torch.tensor([0, 1, 2, 2]), torch.ones(4, 3)
W = torch.ones(3)
ERRORS = {
    "contrast rows": (name_description_contrast, (N[:2], N, 1.0), r"z_description must have .* \(2, 8\)"),
    "contrast empty": (name_description_contrast, (N[:0], N[:0], 1.0), r"z_description must be .* \(0, 8\)"),
    "contrast scale": (name_description_contrast, (N, N, -1.0), r"logit_scale must be positive .* -1.0"),
    "scales": (name_description_contrast, (N, N, torch.ones(2)), r"logit_scale must .* logit_scale \(2,\)"),
    "ce width": (image_name_cross_entropy, (Z, N[:, :4], Y, 1.0), r"z_image \(4, 8\), z_name \(3, 4\)"),
    "ce empty": (image_name_cross_entropy, (Z[:0], N, Y[:0], 1.0), r"z_image must be .* \(0, 8\)"),
    "ce rows": (
        image_name_cross_entropy,
        (Z, N, Y[:3], 1.0),
        r"targets must have shape \(4,\).* targets \(3,\)",
    ),
    "ce one-hot": (
        image_name_cross_entropy,
        (Z, N, AU, 1.0),
        r"targets must have shape \(4,\).* targets \(4, 3\)",
    ),
    "ce dtype": (
        image_name_cross_entropy,
        (Z, N, Y.float(), 1.0),
        r"targets must be integers, got torch.float32",
    ),
    "ce high": (
        image_name_cross_entropy,
        (Z, N, Y + 1, 1.0),
        r"targets must lie in 0..2, got values from 1 to 3",
    ),
    "ce low": (
        image_name_cross_entropy,
        (Z, N, Y - 1, 1.0),
        r"targets must lie in 0..2, got values from -1 to 1",
    ),
    "ce weight": (
        image_name_cross_entropy,
        (Z, N, Y, 1.0, W[:2]),
        r"class_weight must have shape \(3,\).* \(2,\)",
    ),
    "ce list": (
        image_name_cross_entropy,
        (Z, N, Y, 1.0, [1, 1, 1]),
        r"class_weight must be a tensor .* list",
    ),
    "ce scale": (
        image_name_cross_entropy,
        (Z, N, Y, 0.0),
        r"logit_scale must be positive and finite, got 0.0",
    ),
    "bce shape": (
        image_name_bce,
        (Z, N, AU[:, :2], 1.0),
        r"targets must have shape \(4, 3\).* targets \(4, 2\)",
    ),
    "bce empty": (image_name_bce, (Z, N[:0], AU[:, :0], 1.0), r"z_name must be .* \(0, 8\)"),
    "bce high": (
        image_name_bce,
        (Z, N, AU * 2, 1.0),
        r"targets must lie in 0..1, .* got \[2.0\] in shape \(4, 3\)",
    ),
    "bce low": (image_name_bce, (Z, N, AU * -0.5, 1.0), r"targets must lie in 0..1, .* got \[-0.5\]"),
    "bce weight": (image_name_bce, (Z, N, AU, 1.0, W[:1]), r"pos_weight must have shape \(3,\).* \(1,\)"),
    "bce scale": (image_name_bce, (Z, N, AU, math.inf), r"logit_scale must be positive and finite, got inf"),
}


@pytest.mark.parametrize(("loss", "arguments", "message"), ERRORS.values(), ids=ERRORS)
def test_errors_name_the_argument_and_what_came(loss, arguments: tuple, message: str) -> None:  # noqa: ANN001
    with pytest.raises(ValueError, match=message):
        loss(*arguments)


@pytest.mark.parametrize("loss", [image_name_cross_entropy, image_name_bce])
def test_unknown_reduction(loss) -> None:  # noqa: ANN001
    with pytest.raises(ValueError, match="reduction must be one of 'mean', 'sum', 'none', got 'total'"):
        loss(Z, N, Y if loss is image_name_cross_entropy else AU, 1.0, reduction="total")


FINETUNING_ERRORS = {
    "task": ({"task": "fer"}, "task must be one of 'expression', 'au', got 'fer'"),
    "pos_weight": ({"pos_weight": W}, "pos_weight belongs to task 'au'"),
    "class_weight": (
        {"task": "au", "targets": AU, "class_weight": W},
        "class_weight belongs to task 'expression'",
    ),
    "lambda": ({"weight": -0.1}, "weight must be finite and not negative, got -0.1"),
    "infinite lambda": ({"weight": math.inf}, "weight must be finite and not negative, got inf"),
    "no lambda": ({"weight": math.nan}, "weight must be finite and not negative, got nan"),
    "descriptions": (
        {"z_description": N[:2]},
        r"z_description must have one row per row of z_name.* \(2, 8\)",
    ),
}


@pytest.mark.parametrize(("change", "message"), FINETUNING_ERRORS.values(), ids=FINETUNING_ERRORS)
def test_finetuning_errors(change: dict, message: str) -> None:
    arguments = {
        "z_image": Z, "z_name": N, "z_description": N, "targets": Y, "logit_scale": 1.0, "task": "expression"
    }  # fmt: skip
    with pytest.raises(ValueError, match=message):
        clef_finetuning(**(arguments | change))
