"""KE-FER eq. 5 to 11 against their transcriptions."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from fbu.losses import (
    knowledge_enhanced,
    neutral_transformation,
    self_contrast,
    text_expression_contrast,
    text_similarity_cross_entropy,
)

TAU = 0.3
NEUTRAL = 2
TARGETS = torch.tensor([0, 2, 1, 3, 1, 2])  # two neutral faces among six
SAME = torch.tensor([0, 1, 0, 2, 0])
PAIRINGS = ["row", "all"]


def features(*rows: int, width: int = 4, seed: int = 0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(n, width, dtype=torch.float64, generator=generator) for n in rows]


def cosine(x: Tensor, y: Tensor) -> float:
    return float(x @ y / (x.norm() * y.norm()))


# --- eq. 5


def test_similarity_equals_the_equation() -> None:
    v, t = features(6, 4)
    expected = 0.0
    for i, c in enumerate(TARGETS.tolist()):
        exponentials = [math.exp(cosine(text, v[i]) / TAU) for text in t]
        expected -= math.log(exponentials[c] / sum(exponentials)) / 6
    loss = text_similarity_cross_entropy(v, t, TARGETS, temperature=TAU)
    assert loss.item() == pytest.approx(expected, abs=1e-13)


def test_similarity_has_the_temperature_of_the_paper() -> None:
    v, t = features(6, 4)
    default = text_similarity_cross_entropy(v, t, TARGETS)
    assert torch.equal(default, text_similarity_cross_entropy(v, t, TARGETS, temperature=0.01))


def test_similarity_accepts_every_integer_dtype() -> None:
    v, t = features(6, 4)
    expected = text_similarity_cross_entropy(v, t, TARGETS)
    for dtype in (torch.uint8, torch.int8, torch.int32):
        assert torch.equal(text_similarity_cross_entropy(v, t, TARGETS.to(dtype)), expected)


# --- eq. 7 to 9


@pytest.mark.parametrize("rows", [1, 5])
def test_transformation_equals_the_equation(rows: int) -> None:
    v, n, t, (t_neutral,) = features(rows, rows, rows, 1)
    expected = sum(1 - cosine(t[i] - t_neutral, v[i] - n[i]) for i in range(rows)) / rows
    assert neutral_transformation(v, n, t, t_neutral).item() == pytest.approx(expected, abs=1e-13)


def test_transformation_subtracts_raw_features_as_printed() -> None:
    # Unit features would differ by nothing in direction here; the raw ones go the way of the text or against it.
    t, t_neutral = torch.tensor([[1.0, 0.0]]), torch.zeros(2)
    long, short = torch.tensor([[3.0, 0.0]]), torch.tensor([[1.0, 0.0]])
    assert neutral_transformation(long, short, t, t_neutral).item() == pytest.approx(0, abs=1e-6)
    assert neutral_transformation(short, long, t, t_neutral).item() == pytest.approx(2, abs=1e-6)


@pytest.mark.parametrize("of", ["pictures", "texts"])
def test_a_difference_of_zero_counts_as_a_right_angle_and_sends_no_gradient(of: str) -> None:
    v, n, t, (t_neutral,) = features(3, 3, 3, 1)
    if of == "pictures":
        n[1] = v[1]
    else:
        t[1] = t_neutral
    others = [1 - cosine(t[i] - t_neutral, v[i] - n[i]) for i in (0, 2)]
    inputs = [z.requires_grad_() for z in (v, n, t, t_neutral)]
    loss = neutral_transformation(v, n, t, t_neutral)
    assert loss.item() == pytest.approx((sum(others) + 1) / 3, abs=1e-13)
    gradients = torch.autograd.grad(loss, inputs)
    for gradient in gradients[:3]:
        assert torch.equal(gradient.abs().sum(1) > 0, torch.tensor([True, False, True]))
    for gradient in gradients:
        assert gradient.abs().max() < 1e3  # and finite


# --- eq. 10


@pytest.mark.parametrize("margin", [2.0, 0.5])
@pytest.mark.parametrize("pairing", PAIRINGS)
def test_self_contrast_equals_the_equation(pairing: str, margin: float) -> None:
    t, v, n = features(5, 5, 5)
    pairs = [(i, j) for i in range(5) for j in range(5) if pairing == "all" or i == j]
    expected = sum(cosine(t[i], n[j]) - cosine(t[i], v[j]) + margin for i, j in pairs) / len(pairs)
    loss = self_contrast(t, v, n, margin, pairing=pairing)
    assert loss.item() == pytest.approx(expected, abs=1e-13)


def test_self_contrast_defaults_to_the_print() -> None:
    t, v, n = features(5, 5, 5)
    assert torch.equal(self_contrast(t, v, n), self_contrast(t, v, n, 2.0, pairing="row"))
    assert abs(self_contrast(t, v, n) - self_contrast(t, v, n, pairing="all")) > 1e-3


def test_all_pairs_of_one_row_are_that_row() -> None:
    inputs = [z.requires_grad_() for z in features(1, 1, 1)]
    row, every = (self_contrast(*inputs, pairing=pairing) for pairing in PAIRINGS)
    torch.testing.assert_close(every, row)
    for one, other in zip(torch.autograd.grad(every, inputs), torch.autograd.grad(row, inputs), strict=True):
        torch.testing.assert_close(one, other)


# --- the baseline of Fig. 4


@pytest.mark.parametrize(
    "targets", [SAME, torch.arange(5), torch.full((5,), -7)], ids=["some", "none", "all"]
)
def test_text_contrast_equals_our_reading(targets: Tensor) -> None:
    t, v, n = features(5, 5, 5)
    expected = 0.0
    for i in range(5):
        positive = math.exp(cosine(t[i], v[i]) / TAU)
        partition = positive + sum(math.exp(cosine(t[i], n[j]) / TAU) for j in range(5))
        for j in range(5):
            if targets[j] != targets[i]:
                partition += math.exp(cosine(t[i], v[j]) / TAU)
        expected -= math.log(positive / partition) / 5
    loss = text_expression_contrast(t, v, n, targets, temperature=TAU)
    assert loss.item() == pytest.approx(expected, abs=1e-13)


# --- eq. 11


@pytest.mark.parametrize("contrast", ["self", "batch"])
@pytest.mark.parametrize("pairing", PAIRINGS)
def test_total_composes_the_terms_over_rows_that_are_not_neutral(pairing: str, contrast: str) -> None:
    v, n, t = features(6, 6, 4)
    rows = [i for i, c in enumerate(TARGETS.tolist()) if c != NEUTRAL]
    own_text = torch.stack([t[c] for c in TARGETS[rows].tolist()])
    similarity = text_similarity_cross_entropy(v, t, TARGETS, temperature=TAU)
    transformation = neutral_transformation(v[rows], n[rows], own_text, t[NEUTRAL])
    if contrast == "self":
        term = self_contrast(own_text, v[rows], n[rows], 1.5, pairing=pairing)
    else:
        term = text_expression_contrast(own_text, v[rows], n[rows], TARGETS[rows], temperature=TAU)
    total, terms = knowledge_enhanced(
        v, n, t, TARGETS, neutral=NEUTRAL, weights=(0.5, 2.0, 3.0), margin=1.5, temperature=TAU,
        pairing=pairing, contrast=contrast,
    )  # fmt: skip
    assert list(terms) == ["similarity", "transformation", "contrast"]
    torch.testing.assert_close(terms["similarity"], similarity)
    torch.testing.assert_close(terms["transformation"], transformation)
    torch.testing.assert_close(terms["contrast"], term)
    torch.testing.assert_close(total, 0.5 * similarity + 2 * transformation + 3 * term)


def test_total_has_the_defaults_of_the_paper() -> None:
    v, n, t = features(6, 6, 4)
    default, _ = knowledge_enhanced(v, n, t, TARGETS, neutral=NEUTRAL)
    explicit, _ = knowledge_enhanced(
        v, n, t, TARGETS, neutral=NEUTRAL, weights=(1.0, 1.0, 1.0), margin=2.0, temperature=0.01,
        pairing="row", contrast="self",
    )  # fmt: skip
    assert torch.equal(default, explicit)


NAMES = ("similarity", "transformation", "contrast")
SWITCHES = [(1, 0, 0), (1, 2, 0), (1, 0, 2), (0, 1, 0), (0, 1, 2), (0, 0, 3)]


@pytest.mark.parametrize("weights", SWITCHES, ids=str)
def test_weight_zero_leaves_a_term_out(weights: tuple[float, ...]) -> None:
    v, n, t = features(6, 6, 4)
    _, every = knowledge_enhanced(v, n, t, TARGETS, neutral=NEUTRAL, temperature=TAU)
    total, terms = knowledge_enhanced(v, n, t, TARGETS, neutral=NEUTRAL, temperature=TAU, weights=weights)
    assert list(terms) == [name for name, weight in zip(NAMES, weights, strict=True) if weight]
    torch.testing.assert_close(total, sum(w * every[name] for name, w in zip(NAMES, weights, strict=True)))


def test_similarity_alone_needs_no_neutral_features() -> None:
    v, t = features(6, 4)
    total, terms = knowledge_enhanced(v, None, t, TARGETS, neutral=NEUTRAL, weights=(2, 0, 0))
    assert list(terms) == ["similarity"]
    torch.testing.assert_close(total, 2 * text_similarity_cross_entropy(v, t, TARGETS))


def test_neutral_rows_get_gradient_from_the_similarity_only() -> None:
    v, n, t = (z.requires_grad_() for z in features(6, 6, 4))
    total, _ = knowledge_enhanced(v, n, t, TARGETS, neutral=NEUTRAL, temperature=TAU, weights=(0, 1, 1))
    for gradient in torch.autograd.grad(total, (v, n)):
        assert torch.equal(gradient.abs().sum(1) > 0, TARGETS != NEUTRAL)


@pytest.mark.parametrize("pairing", PAIRINGS)
@pytest.mark.parametrize("contrast", ["self", "batch"])
def test_a_batch_of_neutral_faces_alone(contrast: str, pairing: str) -> None:
    v, n, t = (z.requires_grad_() for z in features(3, 3, 4))
    y = torch.full((3,), NEUTRAL)
    total, terms = knowledge_enhanced(v, n, t, y, neutral=NEUTRAL, contrast=contrast, pairing=pairing)
    assert terms["transformation"].item() == terms["contrast"].item() == 0
    assert torch.equal(total, text_similarity_cross_entropy(v, t, y)) and torch.isfinite(total)
    to_v, to_n, to_t = torch.autograd.grad(total, (v, n, t))
    assert torch.isfinite(to_v).all() and to_v.abs().sum() > 0 and torch.isfinite(to_t).all()
    assert torch.equal(to_n, torch.zeros_like(n))


# --- without rows

NO_INT = torch.zeros(0, dtype=torch.long)
LOSSES = {
    "similarity": lambda v, n, t, own, y: text_similarity_cross_entropy(v, t, y, temperature=TAU),
    "transformation": lambda v, n, t, own, y: neutral_transformation(v, n, own, t[NEUTRAL]),
    "self-contrast": lambda v, n, t, own, y: self_contrast(own, v, n),
    "all pairs": lambda v, n, t, own, y: self_contrast(own, v, n, pairing="all"),
    "text contrast": lambda v, n, t, own, y: text_expression_contrast(own, v, n, y, temperature=TAU),
    "total": lambda v, n, t, own, y: knowledge_enhanced(v, n, t, y, neutral=NEUTRAL, temperature=TAU)[0],
    "total, batch": lambda v, n, t, own, y: knowledge_enhanced(
        v, n, t, y, neutral=NEUTRAL, temperature=TAU, contrast="batch"
    )[0],
}


@pytest.mark.parametrize("name", LOSSES)
def test_without_rows_every_loss_is_zero_and_attached(name: str) -> None:
    features_of_all = [z.requires_grad_() for z in features(5, 5, 5, 4)]
    v, n, own, t = features_of_all
    loss = LOSSES[name](v[:0], n[:0], t, own[:0], NO_INT)
    assert loss.shape == () and loss.item() == 0
    gradients = torch.autograd.grad(loss, features_of_all, allow_unused=True)
    assert gradients[0] is not None and (gradients[1] is not None) == (name != "similarity")
    for z, gradient in zip(features_of_all, gradients, strict=True):
        assert gradient is None or torch.equal(gradient, torch.zeros_like(z))


# --- gradients and precision


@pytest.mark.parametrize("name", LOSSES)
def test_gradcheck(name: str) -> None:
    inputs = tuple(z.requires_grad_() for z in features(6, 6, 4, 6))

    def loss(v: Tensor, n: Tensor, t: Tensor, own: Tensor) -> Tensor:
        return LOSSES[name](v, n, t, own, TARGETS)

    assert torch.autograd.gradcheck(loss, inputs)


@pytest.mark.parametrize("contrast", ["self", "batch"])
def test_gradient_reaches_a_learned_temperature(contrast: str) -> None:
    v, n, t = features(6, 6, 4)
    log_tau = torch.nn.Parameter(torch.tensor([-1.4]))  # float32, (1,), beside float64

    def total(tau: float | Tensor) -> Tensor:
        return knowledge_enhanced(
            v, n, t, TARGETS, neutral=NEUTRAL, temperature=tau, weights=(1, 0, 1), contrast=contrast
        )[0]

    total(log_tau.exp()).backward()
    up, down = (total(math.exp(-1.4 + step)) for step in (1e-4, -1e-4))
    assert log_tau.grad is not None
    assert log_tau.grad.item() == pytest.approx((up - down).item() / 2e-4, rel=1e-4)


@pytest.mark.parametrize("name", LOSSES)
def test_autocast_changes_nothing(name: str) -> None:
    inputs = [z.float().requires_grad_() for z in features(6, 6, 4, 6)]
    results = []
    for enabled in (False, True):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            loss = LOSSES[name](*inputs, TARGETS)
        gradients = torch.autograd.grad(loss, inputs, materialize_grads=True, allow_unused=True)
        results.append([loss.detach(), *gradients])
    for plain, cast in zip(*results, strict=True):
        assert plain.dtype == cast.dtype == torch.float32
        assert torch.isfinite(plain).all() and torch.equal(plain, cast)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("name", LOSSES)
def test_half_features_are_computed_in_float32(name: str, dtype: torch.dtype) -> None:
    inputs = [z.to(dtype) for z in features(6, 6, 4, 6)]
    wide = torch.float64 if dtype == torch.float64 else torch.float32
    loss = LOSSES[name](*inputs, TARGETS)
    assert loss.dtype == wide
    assert torch.equal(loss, LOSSES[name](*[z.to(wide) for z in inputs], TARGETS))


def test_mixed_widths_of_float_take_the_wider() -> None:
    v, n, t = features(6, 6, 4)
    total, terms = knowledge_enhanced(v.float(), n.float(), t.half(), TARGETS, neutral=NEUTRAL)
    assert {total.dtype, *(term.dtype for term in terms.values())} == {torch.float32}
    total, _ = knowledge_enhanced(v, n.float(), t.half(), TARGETS, neutral=NEUTRAL)
    assert total.dtype == torch.float64


# --- invariances

DIFFERENCES = ("transformation", "total", "total, batch")


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31 - 1), rows=st.integers(1, 6), classes=st.integers(3, 5))
def test_order_and_scale_do_not_matter(seed: int, rows: int, classes: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    v, n, t, own = features(rows, rows, classes, rows, seed=seed)
    y = torch.randint(0, classes, (rows,), generator=generator)
    order = torch.randperm(rows, generator=generator)
    scale = 10 ** (4 * torch.rand(4, max(rows, classes), 1, generator=generator, dtype=torch.float64) - 2)
    for name, loss in LOSSES.items():
        before = loss(v, n, t, own, y)
        torch.testing.assert_close(loss(v[order], n[order], t, own[order], y[order]), before)
        if name in DIFFERENCES:  # a scale of each picture, one for all texts
            scaled = loss(scale[0, :rows] * v, scale[0, :rows] * n, 7 * t, 7 * own, y)
        else:
            scaled = loss(*(s[: len(z)] * z for s, z in zip(scale, (v, n, t, own), strict=True)), y)
        torch.testing.assert_close(scaled, before)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31 - 1), classes=st.integers(2, 5))
def test_names_of_classes_do_not_matter(seed: int, classes: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    v, n, t = features(6, 6, classes, seed=seed)
    y = torch.randint(0, classes, (6,), generator=generator)
    columns = torch.randperm(classes, generator=generator)
    place = columns.argsort()  # class c now stands at place[c]
    for contrast in ("self", "batch"):
        before, _ = knowledge_enhanced(v, n, t, y, neutral=1, contrast=contrast)
        after, _ = knowledge_enhanced(v, n, t[columns], place[y], neutral=int(place[1]), contrast=contrast)
        torch.testing.assert_close(after, before)


# --- errors

Z, T = torch.ones(4, 8), torch.ones(3, 8)
Y = torch.tensor([0, 1, 2, 2])
ERRORS = {
    "similarity width": (
        text_similarity_cross_entropy,
        (Z, T[:, :4], Y),
        r"width, got v \(4, 8\), t \(3, 4\)",
    ),
    "similarity without texts": (text_similarity_cross_entropy, (Z, T[:0], Y), r"t must be .* \(0, 8\)"),
    "similarity one axis": (text_similarity_cross_entropy, (Z[0], T, Y), r"v must be .* v \(8,\)"),
    "similarity without width": (
        text_similarity_cross_entropy,
        (Z[:0, :0], T, Y),
        r"v must be .* v \(0, 0\)",
    ),
    "similarity kind": (text_similarity_cross_entropy, (Z.long(), T, Y), r"v must be .* got torch.int64"),
    "similarity rows": (
        text_similarity_cross_entropy,
        (Z, T, Y[:3]),
        r"targets must have shape \(4,\).* \(3,\)",
    ),
    "similarity dtype": (text_similarity_cross_entropy, (Z, T, Y.float()), r"targets must be integers"),
    "similarity range": (
        text_similarity_cross_entropy,
        (Z, T, Y + 1),
        r"targets must lie in 0..2, .* 1 to 3",
    ),
    "similarity empty width": (
        text_similarity_cross_entropy,
        (Z[:0, :4], T, Y[:0]),
        r"width, got v \(0, 4\)",
    ),
    "transformation rows": (
        neutral_transformation,
        (Z, Z[:3], Z, Z[0]),
        r"n must have one row per row of v, got v \(4, 8\), n \(3, 8\), t \(4, 8\)",
    ),
    "transformation of classes": (
        neutral_transformation,
        (Z, Z, T, Z[0]),
        r"t must have one row .* t \(3, 8\)",
    ),
    "transformation neutral": (
        neutral_transformation,
        (Z, Z, Z, Z[:1]),
        r"t_neutral must have shape \(8,\), as wide as v, got t_neutral \(1, 8\), v \(4, 8\)",
    ),
    "transformation kind": (
        neutral_transformation,
        (Z, Z, Z, Z[0].long()),
        r"t_neutral must be a floating-point tensor, got torch.int64",
    ),
    "transformation device": (neutral_transformation, (Z, Z.to("meta"), Z, Z[0]), r"v on cpu, n on meta"),
    "self-contrast rows": (self_contrast, (Z, Z, T), r"n must have one row per row of t, .* n \(3, 8\)"),
    "self-contrast list": (self_contrast, ([[1.0]], Z, Z), r"t must be a floating-point tensor, got list"),
    "self-contrast margin": (self_contrast, (Z, Z, Z, math.nan), r"margin must be finite, got nan"),
    "text contrast rows": (text_expression_contrast, (T, Z, Z, Y), r"v must have one row per row of t"),
    "text contrast targets": (
        text_expression_contrast,
        (Z, Z, Z, Y[:, None]),
        r"targets must have shape \(4,\), one class per row of v, got targets \(4, 1\), v \(4, 8\)",
    ),
    "text contrast dtype": (text_expression_contrast, (Z, Z, Z, Y.float()), r"targets must be integers"),
}


@pytest.mark.parametrize(("loss", "arguments", "message"), ERRORS.values(), ids=ERRORS)
def test_errors_name_the_argument_and_what_came(loss, arguments: tuple, message: str) -> None:  # noqa: ANN001
    with pytest.raises(ValueError, match=message):
        loss(*arguments)


@pytest.mark.parametrize("loss", [text_similarity_cross_entropy, text_expression_contrast])
def test_temperature_must_be_positive(loss) -> None:  # noqa: ANN001
    arguments = (Z, T, Y) if loss is text_similarity_cross_entropy else (Z, Z, Z, Y)
    with pytest.raises(ValueError, match="temperature must be positive and finite, got 0.0"):
        loss(*arguments, temperature=0.0)


def test_unknown_pairing() -> None:
    with pytest.raises(ValueError, match="pairing must be one of 'row', 'all', got 'any'"):
        self_contrast(Z, Z, Z, pairing="any")


TOTAL_ERRORS = {
    "contrast": ({"contrast": "none"}, "contrast must be one of 'self', 'batch', got 'none'"),
    "pairing": ({"pairing": "any", "contrast": "batch"}, "pairing must be one of 'row', 'all', got 'any'"),
    "margin": ({"margin": math.inf, "contrast": "batch"}, "margin must be finite, got inf"),
    "temperature": ({"temperature": -1.0, "weights": (0, 1, 1)}, "temperature must be positive and finite"),
    "two weights": ({"weights": (1, 1)}, r"weights must be three .* got \(1, 1\)"),
    "negative weight": ({"weights": (1, -0.5, 1)}, r"weights must be three .* got \(1, -0.5, 1\)"),
    "infinite weight": ({"weights": (1, 1, math.inf)}, r"weights must be three .* inf"),
    "no weight": ({"weights": (0, 0, 0)}, r"weights must be three .* not all 0"),
    "neutral": ({"neutral": 3}, r"neutral must lie in 0..2, got 3 with t \(3, 8\)"),
    "negative neutral": ({"neutral": -1}, r"neutral must lie in 0..2, got -1"),
    "no neutral features": ({"n": None, "weights": (1, 0, 2)}, r"n must be given with weights \(1, 0, 2\)"),
    "neutral rows": ({"n": Z[:3]}, r"n must have one row per row of v, got v \(4, 8\), n \(3, 8\)"),
    "neutral width": ({"n": Z[:, :3]}, r"features must share their width, got v \(4, 8\), n \(4, 3\)"),
    "texts": ({"t": T[:, :3]}, r"features must share their width, got v \(4, 8\), t \(3, 3\)"),
    "targets": ({"targets": Y - 1}, r"targets must lie in 0..2, got values from -1 to 1"),
}


@pytest.mark.parametrize(("change", "message"), TOTAL_ERRORS.values(), ids=TOTAL_ERRORS)
def test_errors_of_the_total(change: dict, message: str) -> None:
    arguments = {"v": Z, "n": Z, "t": T, "targets": Y, "neutral": 2}
    with pytest.raises(ValueError, match=message):
        knowledge_enhanced(**(arguments | change))
