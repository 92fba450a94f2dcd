"""One-line faults that the tests must notice: (file, what stands there, what the fault writes, the test)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """A fault: in ``file`` the one occurrence of ``original`` becomes ``faulty``, and ``test`` must fail."""

    name: str
    file: str
    original: str
    faulty: str
    test: str  # node id without parameters, e.g. "tests/losses/test_clef.py::test_default"

    @property
    def test_file(self) -> str:
        return self.test.split("::")[0]


_CONTRASTIVE, _CLEF = "fbu/losses/contrastive.py", "fbu/losses/clef.py"
_NUMERICS = "fbu/losses/_numerics.py"
_TEST_CONTRASTIVE, _TEST_CLEF = "tests/losses/test_contrastive.py", "tests/losses/test_clef.py"

LOSSES = (
    Mutant(
        "supcon: an anchor is its own positive",
        _CONTRASTIVE,
        "(totals.index_select(0, group) - z_a)",
        "(totals.index_select(0, group))",
        f"{_TEST_CONTRASTIVE}::test_value_by_hand_one_class",
    ),
    Mutant(
        "supcon: an anchor stays in its own denominator",
        _CONTRASTIVE,
        "logits.diagonal(first).fill_(-torch.inf)",
        "logits.diagonal(first)",
        f"{_TEST_CONTRASTIVE}::test_value_by_hand_two_orthogonal_samples",
    ),
    Mutant(
        "supcon: both normalisers divide as printed",
        _CONTRASTIVE,
        '2 * n_class - int(normalizer == "positives")',
        "2 * n_class",
        f"{_TEST_CONTRASTIVE}::test_normaliser_against_print",
    ),
    Mutant(
        "supcon: a chunk's gradient ignores what flows into it",
        _CONTRASTIVE,
        "softmax.mul_(grad[rows, None])",
        "softmax",
        f"{_TEST_CONTRASTIVE}::test_chunks_change_neither_value_nor_gradient",
    ),
    Mutant(
        "losses: similarities in half precision under autocast",
        _NUMERICS,
        "return torch.autocast(device_type=device, enabled=False)",
        "return nullcontext()",
        f"{_TEST_CONTRASTIVE}::test_autocast_changes_nothing",
    ),
    Mutant(
        "losses: a learned temperature is cut off",
        _NUMERICS,
        "return value.to(like)",
        "return value.detach().to(like)",
        f"{_TEST_CONTRASTIVE}::test_gradient_reaches_a_learned_temperature",
    ),
    Mutant(
        "pre-training: the texts are left out",
        _CLEF,
        '"image_activity": z_activity}',
        '"image_activity": z_view}',
        f"{_TEST_CLEF}::test_pretraining_adds_two_contrasts_with_image_anchors",
    ),
    Mutant(
        "names and descriptions: the other direction",
        _CLEF,
        "_logits(z_description, z_name, logit_scale)",
        "_logits(z_name, z_description, logit_scale)",
        f"{_TEST_CLEF}::test_name_description_contrast_runs_from_description_to_name",
    ),
    Mutant(
        "cross-entropy: divided by the sum of the weights",
        _CLEF,
        'return reduce(F.cross_entropy(logits, targets.long(), weight=weight, reduction="none"), reduction)',
        "return F.cross_entropy(logits, targets.long(), weight=weight)",
        f"{_TEST_CLEF}::test_cross_entropy_is_divided_by_the_batch_not_by_the_weights",
    ),
    Mutant(
        "bce: unknown units count as absent",
        _CLEF,
        "losses.masked_fill(~known, 0).sum(1)",
        "losses.sum(1)",
        f"{_TEST_CLEF}::test_bce_equals_the_equation",
    ),
    Mutant(
        "fine-tuning: lambda is ignored",
        _CLEF,
        "total = weight * image_name",
        "total = image_name",
        f"{_TEST_CLEF}::test_finetuning_composes_the_terms",
    ),
)

MUTANTS: tuple[Mutant, ...] = LOSSES
