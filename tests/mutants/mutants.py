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
_KE_FER, _NUMERICS = "fbu/losses/ke_fer.py", "fbu/losses/_numerics.py"
_DIRECTIONS = "fbu/losses/_directions.py"
_TEST_CONTRASTIVE, _TEST_CLEF = "tests/losses/test_contrastive.py", "tests/losses/test_clef.py"
_TEST_KE_FER = "tests/losses/test_ke_fer.py"

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
    Mutant(
        "transformation: a difference of zero sends an enormous gradient",
        _DIRECTIONS,
        "return rows * (difference != 0).any(-1, keepdim=True)",
        "return rows",
        f"{_TEST_KE_FER}::test_a_difference_of_zero_counts_as_a_right_angle_and_sends_no_gradient",
    ),
    Mutant(
        "self-contrast: a batch without rows is not a number",
        _KE_FER,
        "losses.sum() / max(len(losses), 1)",
        "losses.sum() / len(losses)",
        f"{_TEST_KE_FER}::test_without_rows_every_loss_is_zero_and_attached",
    ),
    Mutant(
        "text contrast: pictures of the same class are negatives",
        _KE_FER,
        "logits.masked_fill(left_out, -torch.inf).logsumexp(1)",
        "logits.logsumexp(1)",
        f"{_TEST_KE_FER}::test_text_contrast_equals_our_reading",
    ),
    Mutant(
        "KE-FER: neutral faces are transformed too",
        _KE_FER,
        "(targets != neutral).nonzero()",
        "(targets >= 0).nonzero()",
        f"{_TEST_KE_FER}::test_total_composes_the_terms_over_rows_that_are_not_neutral",
    ),
)

_EMOCO, _QUEUES = "fbu/losses/emoco.py", "fbu/models/queues.py"
_TEST_EMOCO, _TEST_QUEUES = "tests/losses/test_emoco.py", "tests/models/test_queues.py"

EMOCO = (
    Mutant(
        "emotion contrast: close to a prototype distances come from rounded products",
        _EMOCO,
        "_NEAR = 1e-2",
        "_NEAR = 0.0",
        f"{_TEST_EMOCO}::test_keys_close_to_the_prototype_lose_no_digits",
    ),
    Mutant(
        "emotion contrast: a picture's own keys are its negatives",
        _EMOCO,
        "logits.masked_fill_(left_out, -torch.inf)",
        "logits.masked_fill_(left_out, 0.0)",
        f"{_TEST_EMOCO}::test_closed_form_is_the_direct_form_with_its_gradient",
    ),
    Mutant(
        "emotion contrast: the gradient ignores what flows into it",
        _EMOCO,
        "return gradient * grad[:, None], None",
        "return gradient, None",
        f"{_TEST_EMOCO}::test_closed_form_is_the_direct_form_with_its_gradient",
    ),
    Mutant(
        "emotion contrast: every query looks into the first queue",
        _EMOCO,
        "queue[emotion if len(queue) > 1 else 0]",
        "queue[0]",
        f"{_TEST_EMOCO}::test_contrast_equals_the_equation",
    ),
    Mutant(
        "EmoCo: rows of the classifier serve as prototypes at their own length",
        _EMOCO,
        "(prototypes,) = unit(classifier.detach())",
        "prototypes = classifier.detach()",
        f"{_TEST_EMOCO}::test_total_composes_the_terms",
    ),
    Mutant(
        "EmoCo: lambda is ignored",
        _EMOCO,
        'factors = {"emotion": weight',
        'factors = {"emotion": 1.0',
        f"{_TEST_EMOCO}::test_total_composes_the_terms",
    ),
    Mutant(
        "queue: of too many keys the first ones stay",
        _QUEUES,
        "stays = place >= (new - size)[labels]",
        "stays = place < size",
        f"{_TEST_QUEUES}::test_wrap_around_by_hand",
    ),
    Mutant(
        "queue: every batch starts at the first slot",
        _QUEUES,
        "(self.pointers[labels] + place) % size",
        "place % size",
        f"{_TEST_QUEUES}::test_wrap_around_by_hand",
    ),
    Mutant(
        "momentum: the key encoder follows at once",
        "fbu/models/emoco.py",
        "follower.lerp_(leader, 1 - m)",
        "follower.lerp_(leader, m)",
        "tests/models/test_emoco.py::test_momentum_update_equals_the_equation",
    ),
)

_METRICS, _TALLIES = "fbu/evaluation/metrics.py", "fbu/evaluation/tallies.py"
_TEST_EVALUATION = "tests/test_evaluation.py"

METRICS = (
    Mutant(
        "F1: a unit without positives scores 0",
        _METRICS,
        "2 * tp + fp + fn, 1), np.nan)",
        "2 * tp + fp + fn, 1), 0.0)",
        f"{_TEST_EVALUATION}::test_an_action_unit_without_positives_is_undefined_counted_and_shown",
    ),
    Mutant(
        "F1: units that were not coded count as absent",
        _METRICS,
        "coded = truth >= 0",
        "coded = truth >= -1",
        f"{_TEST_EVALUATION}::test_an_action_unit_without_positives_is_undefined_counted_and_shown",
    ),
    Mutant(
        "F1: the threshold itself is negative",
        _METRICS,
        "score >= threshold",
        "score > threshold",
        f"{_TEST_EVALUATION}::test_a_score_at_the_threshold_is_positive",
    ),
    Mutant(
        "mean class accuracy: an absent class drags it down",
        _METRICS,
        'hit / count if count else float("nan")',
        "hit / count if count else 0.0",
        f"{_TEST_EVALUATION}::test_recall_shows_support_and_leaves_absent_classes_undefined",
    ),
    Mutant(
        "bootstrap: pictures are drawn in place of people",
        _TALLIES,
        "pd.factorize(first[unit].astype(str), sort=True)",
        'pd.factorize(first["sample"].astype(str), sort=True)',
        f"{_TEST_EVALUATION}::test_few_people_make_a_wider_interval_than_many_samples",
    ),
)

_SPLITS, _TEST_SPLITS = "fbu/data/splits.py", "tests/data/test_splits.py"

SPLITS = (
    Mutant(
        "splits: validation is drawn with the hash of the folds",
        _SPLITS,
        "(salt + subject).encode()",
        "subject.encode()",
        f"{_TEST_SPLITS}::test_hash_is_fixed_for_ever",
    ),
    Mutant(
        "splits: trained on the block to be tested",
        _SPLITS,
        "subjects.map(block).to_numpy() == fold",
        "subjects.map(block).to_numpy() != fold",
        f"{_TEST_SPLITS}::test_bp4d_blocks_as_printed",
    ),
    Mutant(
        "splits: a person on two sides passes",
        _SPLITS,
        'check_exclusive(subjects, out["split"])',
        'check_exclusive(subjects[:0], out["split"][:0])',
        f"{_TEST_SPLITS}::test_subject_in_two_splits_is_refused",
    ),
)

LAYOUTS = (
    Mutant(
        "BP4D: not coded reads as absent",
        "fbu/data/layouts/frames.py",
        "str(coding.not_coded): -1}",
        "str(coding.not_coded): 0}",
        "tests/data/layouts/test_bp4d.py::test_fixture",
    ),
    Mutant(
        "RAF-DB: a repeated line overwrites the first",
        "fbu/data/layouts/rafdb.py",
        "if sample in rows:",
        "if sample in ():",
        "tests/data/layouts/test_rafdb.py::test_malformed_list",
    ),
    Mutant(
        "facial_expressions: contradicting labels are kept",
        "fbu/data/layouts/facial_expressions.py",
        "if len({name for name, _ in given}) > 1:",
        "if len({name for name, _ in given}) > 2:",
        "tests/data/layouts/test_facial_expressions.py::test_fixture",
    ),
    Mutant(
        "facial_expressions: every picture is its own person",
        "fbu/data/layouts/facial_expressions.py",
        'return _NUMBER.sub("", stem) or stem',
        "return stem",
        "tests/data/layouts/test_facial_expressions.py::test_subject_is_the_name_without_its_number",
    ),
)

LABELS = (
    Mutant(
        "labels: RAF-DB's codes start with fear",
        "fbu/labels/orders.py",
        '"rafdb": ("surprise", "fear",',
        '"rafdb": ("fear", "surprise",',
        "tests/test_labels.py::test_orders_follow_the_files",
    ),
    Mutant(
        "labels: another template than CLEF's is used at test",
        "fbu/labels/prompting.py",
        '("a photo shows a person that {}.", "a cropped photo of face that {}.")',
        '("a cropped photo of face that {}.", "a photo shows a person that {}.")',
        "tests/test_labels.py::test_prompts_put_the_fixed_template_first",
    ),
)

_TRANSFORMS, _TEST_TRANSFORMS = "fbu/data/transforms.py", "tests/data/test_transforms.py"

TRANSFORMS = (
    Mutant(
        "transforms: one draw for the whole batch",
        _TRANSFORMS,
        "generator=generator, device=source).to(images.device)",
        "generator=generator, device=source)[:1].expand(len(images), -1).to(images.device)",
        f"{_TEST_TRANSFORMS}::test_each_sample_gets_its_own_draw",
    ),
    Mutant(
        "transforms: rotation the other way round",
        _TRANSFORMS,
        "zoom * angle.cos(), zoom * angle.sin()",
        "zoom * angle.cos(), -zoom * angle.sin()",
        f"{_TEST_TRANSFORMS}::test_rotation_agrees_with_torchvision",
    ),
    Mutant(
        "transforms: zooming in makes the face smaller",
        _TRANSFORMS,
        'zoom = side / _between(draw["scale"]',
        'zoom = side * _between(draw["scale"]',
        f"{_TEST_TRANSFORMS}::test_zoom_by_two_shows_the_middle",
    ),
)

_DK_CLIP, _TEST_DK_CLIP = "fbu/losses/dk_clip.py", "tests/losses/test_dk_clip.py"
_TEST_DK_CLIP_MODEL = "tests/models/test_dk_clip.py"

DK_CLIP = (
    Mutant(
        "scores: similarities that tie send an accidental gradient",
        _DK_CLIP,
        "((similarity - low) / span).masked_fill(tied, 0).softmax(1)",
        "((similarity - low) / span).softmax(1)",
        f"{_TEST_DK_CLIP}::test_ties_are_uniform_and_send_no_gradient",
    ),
    Mutant(
        "fusion: a score on the threshold is noise",
        _DK_CLIP,
        "masked_fill(scores < threshold, 0)",
        "masked_fill(scores <= threshold, 0)",
        f"{_TEST_DK_CLIP}::test_a_score_on_the_threshold_is_kept",
    ),
    Mutant(
        "consistency: divergence the other way round",
        _DK_CLIP,
        "* every.exp()",
        "* local.exp()",
        f"{_TEST_DK_CLIP}::test_consistency_equals_the_equation",
    ),
    Mutant(
        "video: messages stay without their norm",
        "fbu/models/video.py",
        "torch.cat([query, block.ln_1(message)], 1)",
        "torch.cat([query, message], 1)",
        f"{_TEST_DK_CLIP_MODEL}::test_model_equals_the_transcription",
    ),
    Mutant(
        "texts: without any snippet left their look is not a number",
        "fbu/models/video_texts.py",
        "kept = kept | ~kept.any(1, keepdim=True)",
        "kept = kept.clone()",
        f"{_TEST_DK_CLIP_MODEL}::test_fusion_of_probabilities_is_a_logarithm_of_theirs",
    ),
    Mutant(
        "clips: frames of a clip are augmented each in its own way",
        "fbu/models/clips.py",
        "table.repeat_interleave(each, 0)",
        "table.repeat(each, 1)",
        f"{_TEST_DK_CLIP_MODEL}::test_frames_of_a_clip_are_augmented_alike",
    ),
)

MUTANTS: tuple[Mutant, ...] = LOSSES + EMOCO + DK_CLIP + METRICS + SPLITS + LAYOUTS + LABELS + TRANSFORMS
