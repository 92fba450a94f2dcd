import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from fbu.models import MultiQueue


def filled(queue, keys, labels, samples):
    """One key after the other, as the sentence in the paper has it."""
    for key, label, sample in zip(keys, labels.tolist(), samples.tolist(), strict=True):
        at = int(queue.pointers[label])
        queue.keys[label, at], queue.samples[label, at] = key, sample
        queue.pointers[label] = (at + 1) % queue.keys.shape[1]
        queue.counts[label] = min(int(queue.counts[label]) + 1, queue.keys.shape[1])


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**31 - 1),
    classes=st.integers(1, 4),
    size=st.integers(1, 6),
    batches=st.lists(st.integers(1, 20), min_size=1, max_size=4),
)
def test_a_batch_goes_in_as_if_key_by_key(seed, classes, size, batches):
    """In order, around the end, and with more keys of a class than it has slots."""
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    ours = MultiQueue(classes, size, 3)
    torch.manual_seed(seed)
    slow = MultiQueue(classes, size, 3)
    for n in batches:
        keys = F.normalize(torch.randn(n, 3, generator=generator), dim=-1)
        labels = torch.randint(classes, (n,), generator=generator)
        samples = torch.randint(100, (n,), generator=generator)
        ours.enqueue(keys, labels, samples)
        filled(slow, keys, labels, samples)
        for name, value in ours.state_dict().items():
            assert torch.equal(value, slow.state_dict()[name]), name


def test_wrap_around_by_hand():
    queue = MultiQueue(num_classes=2, size=4, dim=1)
    queue.enqueue(torch.tensor([[1.0], [2.0], [3.0]]), torch.tensor([1, 1, 1]))
    queue.enqueue(torch.tensor([[4.0], [5.0], [6.0]]), torch.tensor([1, 1, 1]))
    assert queue.keys[1, :, 0].tolist() == [5, 6, 3, 4]
    assert queue.pointers.tolist() == [0, 2] and queue.counts.tolist() == [0, 4]
    queue.enqueue(torch.arange(7.0, 17)[:, None], torch.ones(10, dtype=torch.long))  # the last four stay
    assert queue.keys[1, :, 0].tolist() == [13, 14, 15, 16]
    assert queue.pointers[1] == 0


def test_the_start_is_random_rows_of_unit_length():
    queue = MultiQueue(3, 50, 16)
    assert queue.keys.shape == (3, 50, 16)
    torch.testing.assert_close(queue.keys.norm(dim=-1), torch.ones(3, 50))
    assert queue.counts.tolist() == [0, 0, 0] and (queue.samples == -1).all()
    cosines = (queue.keys.flatten(0, 1) @ queue.keys.flatten(0, 1).T).fill_diagonal_(0)
    assert cosines.abs().max() < 0.99


def test_all_of_it_is_in_the_state_dict_and_nothing_is_trained():
    queue = MultiQueue(2, 4, 3)
    queue.enqueue(torch.ones(5, 3), torch.tensor([0, 1, 1, 0, 0]), torch.arange(5))
    other = MultiQueue(2, 4, 3)
    other.load_state_dict(queue.state_dict())
    assert set(queue.state_dict()) == {"keys", "pointers", "counts", "samples"}
    assert all(torch.equal(v, other.state_dict()[k]) for k, v in queue.state_dict().items())
    assert not list(queue.parameters())


def test_half_precision_stores_half_the_bytes():
    queue = MultiQueue(2, 4, 3, dtype=torch.bfloat16)
    keys = F.normalize(torch.randn(3, 3), dim=-1).requires_grad_()
    queue.enqueue(keys, torch.tensor([0, 0, 1]))
    assert queue.keys.dtype == torch.bfloat16 and not queue.keys.requires_grad
    assert torch.equal(queue.keys[0, :2], keys[:2].bfloat16())


def test_a_picture_finds_its_own_keys():
    queue = MultiQueue(2, 3, 2)
    queue.enqueue(torch.ones(4, 2), torch.tensor([0, 1, 0, 0]), torch.tensor([7, 7, 8, 7]))
    held = queue.holds(torch.tensor([7, 8, 7, 9]), torch.tensor([0, 0, 1, 1]))
    assert held.tolist() == [
        [True, False, True],
        [False, True, False],
        [True, False, False],
        [False, False, False],
    ]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"num_classes": 0}, "num_classes must be at least 1, got 0"),
        ({"size": 0}, "size must be at least 1"),
        ({"dim": -1}, "dim must be at least 1, got -1"),
        ({"dtype": torch.int8}, "dtype must be floating point, got torch.int8"),
    ],
)
def test_sizes_are_checked(arguments, words):
    with pytest.raises(ValueError, match=words):
        MultiQueue(**{"num_classes": 2, "size": 4, "dim": 3, **arguments})


KEYS, LABELS = torch.ones(2, 3), torch.tensor([0, 1])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            (torch.ones(2, 4), LABELS),
            r"keys must be as wide as the queue's, got keys \(2, 4\), queue \(2, 4, 3\)",
        ),
        ((KEYS[0], LABELS), r"keys must be \(rows, width\)"),
        ((KEYS, LABELS[:1]), r"labels must have shape \(2,\).* labels \(1,\), keys \(2, 3\)"),
        ((KEYS, LABELS.float()), "labels must be integers"),
        ((KEYS, LABELS + 1), "labels must lie in 0..1, got values from 1 to 2"),
        ((KEYS, LABELS, LABELS[:1]), r"samples must have one row per row of keys"),
        ((KEYS, LABELS, LABELS.float()), "samples must be integers"),
    ],
)
def test_errors_name_the_argument_and_what_came(arguments, words):
    queue = MultiQueue(2, 4, 3)
    before = {k: v.clone() for k, v in queue.state_dict().items()}
    with pytest.raises(ValueError, match=words):
        queue.enqueue(*arguments)
    assert all(torch.equal(v, before[k]) for k, v in queue.state_dict().items())
