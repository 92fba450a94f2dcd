"""Scores against masks that are known: a perfect map, its opposite, a flat one, and what may not change a score."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fbu.localisation import (
    area,
    core,
    correlation,
    energy_inside,
    localisation_auc,
    pointing_game,
    region,
    upsample,
)

SCORES = [pointing_game, energy_inside, localisation_auc]


def masks(seed: int = 0, n: int = 4) -> torch.Tensor:
    found = torch.rand(n, 6, 9, generator=torch.Generator().manual_seed(seed)) < 0.3
    found[:, 0, 0], found[:, 0, 1] = True, False  # neither empty nor everything
    return found


def maps(seed: int, n: int = 4, levels: int = 5) -> torch.Tensor:
    """Maps with many ties."""
    drawn = torch.randint(0, levels, (n, 6, 9), generator=torch.Generator().manual_seed(seed))
    return drawn.float()


@pytest.mark.parametrize("score", SCORES)
def test_the_mask_itself_scores_one_and_its_complement_zero(score):
    inside = masks()
    assert torch.equal(score(inside.float(), inside), torch.ones(4, dtype=torch.float64))
    assert torch.equal(score((~inside).float(), inside), torch.zeros(4, dtype=torch.float64))


@pytest.mark.parametrize("value", [0.0, 2.5])
@pytest.mark.parametrize("score", SCORES)
def test_a_flat_map_is_chance(score, value):
    inside = masks()
    chance = torch.full((4,), 0.5, dtype=torch.float64) if score is localisation_auc else area(inside)
    torch.testing.assert_close(score(torch.full((4, 6, 9), value), inside), chance)


def test_values_by_hand():
    inside = torch.tensor([[[True, False], [True, False]]])
    values = torch.tensor([[[4.0, 4.0], [1.0, 3.0]]])
    assert pointing_game(values, inside).item() == 0.5  # two highest, one of them inside
    assert energy_inside(values, inside).item() == pytest.approx(5 / 12)
    # Pairs (inside, outside): 4-4 a tie, 4-3 won, 1-4 and 1-3 lost.
    assert localisation_auc(values, inside).item() == pytest.approx(1.5 / 4)
    assert area(inside).item() == 0.5


@given(st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_auc_is_the_share_of_pairs_won(seed):
    values, inside = maps(seed), masks(seed)
    for value, held, got in zip(values, inside, localisation_auc(values, inside), strict=True):
        pairs = value[held][:, None] - value[~held][None]
        assert got.item() == pytest.approx(
            float((pairs > 0).double().mean() + (pairs == 0).double().mean() / 2)
        )


@given(st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_what_may_not_change_a_score(seed):
    values, inside = maps(seed), masks(seed)
    for score in SCORES:
        before = score(values, inside)
        assert ((before >= 0) & (before <= 1)).all()
        torch.testing.assert_close(score(values.flip(-1), inside.flip(-1)), before)
        torch.testing.assert_close(score(values.flip(1), inside.flip(1)), before)
        torch.testing.assert_close(score(values * 3, inside), before)
        torch.testing.assert_close(score(values[1:2], inside[1:2]), before[1:2])  # nothing of the batch
    for score in (pointing_game, localisation_auc):  # the order of the values is all that counts
        torch.testing.assert_close(score(values.exp() - 7, inside), score(values, inside))
    torch.testing.assert_close(localisation_auc(-values, inside), 1 - localisation_auc(values, inside))


@pytest.mark.parametrize("score", SCORES)
def test_errors_name_the_culprit(score):
    inside, values = masks(), maps(0)
    empty = inside.clone()
    empty[2] = False
    with pytest.raises(ValueError, match="mask 2 is empty"):
        score(values, empty)
    with pytest.raises(ValueError, match=r"got \[4, 6, 9\] and \[3, 6, 9\]"):
        score(values, inside[:3])
    with pytest.raises(ValueError, match="masks must be bool, got torch.float32"):
        score(values, inside.float())
    broken = values.clone()
    broken[1, 0, 0] = torch.nan
    with pytest.raises(ValueError, match="map 1 holds values that are not finite"):
        score(broken, inside)


def test_what_only_one_score_refuses():
    with pytest.raises(ValueError, match="smallest value is -1"):
        energy_inside(maps(0) - 1, masks())
    whole = masks()
    whole[3] = True
    with pytest.raises(ValueError, match="mask 3 covers the whole picture"):
        localisation_auc(maps(0), whole)
    assert pointing_game(maps(0), whole)[3] == 1


def test_upsampling_keeps_the_centre_of_every_patch():
    coarse = torch.rand(2, 4, 4)
    fine = upsample(coarse, (20, 20))  # five pixels per patch: the third is its centre
    torch.testing.assert_close(fine[:, 2::5, 2::5], coarse)
    with pytest.raises(ValueError, match=r"maps must be \[n, h, w\]"):
        upsample(coarse[0], (8, 8))


def test_core_is_the_smallest_set_that_holds_the_share():
    change = torch.tensor([[[5.0, 1.0, 3.0], [0.0, 1.0, 0.0]], [[0.0] * 3] * 2])
    assert core(change, 0.5).int().tolist()[0] == [[1, 0, 0], [0, 0, 0]]
    assert core(change, 0.8).int().tolist()[0] == [[1, 0, 1], [0, 0, 0]]
    assert core(change, 1.0).int().tolist()[0] == [[1, 1, 1], [0, 1, 0]]  # never what did not change
    assert not core(change)[1].any()
    with pytest.raises(ValueError, match="share must lie above 0"):
        core(change, 0)
    with pytest.raises(ValueError, match="without negative values"):
        core(-change)


def test_a_region_is_compact_and_near_the_change():
    change = torch.zeros(2, 40, 40)
    change[0, 10:20, 10:20:3] = 1.0  # lines with gaps
    found = region(change, width=0.1)  # five pixels
    rows, columns = found[0].nonzero().T
    assert rows.min() >= 8 and rows.max() <= 21 and columns.min() >= 8 and columns.max() <= 21
    middle = found[0, 12:18, 11:18]
    assert middle.all() and not core(change)[0, 12:18, 11:18].all()
    assert not found[1].any()
    assert torch.equal(region(change, width=0.0), core(change))


def test_correlation_of_maps():
    a = torch.rand(3, 5, 5)
    both = correlation(torch.cat([a, a, a[:1]]), torch.cat([2 * a + 1, -a, torch.ones(1, 5, 5)]))
    torch.testing.assert_close(both, torch.tensor([1.0] * 3 + [-1.0] * 3 + [0.0], dtype=torch.float64))
    b = torch.rand(3, 5, 5)
    slow = [torch.corrcoef(torch.stack([x.flatten(), y.flatten()]))[0, 1] for x, y in zip(a, b, strict=True)]
    torch.testing.assert_close(correlation(a, b).float(), torch.stack(slow))
    with pytest.raises(ValueError, match="maps must both be"):
        correlation(a, b[:2])
