import numpy as np
import pytest
import torch

from fbu import data
from fbu.data.faces import AUS
from fbu.data.regions import TwinRegions
from fbu.errors import DataError
from fbu.recipes import DataSpec

SPEC = DataSpec(name="bp4d", fold=1)


@pytest.fixture(scope="module")
def regions():
    return TwinRegions(SPEC)


@pytest.fixture(scope="module")
def tested():
    return data.load("bp4d", "test", fold=1)


def showing(tested, unit, count=4):
    """Samples in which a unit is strong."""
    strength = tested.records[f"true_AU{unit}_intensity"].to_numpy(float)
    return list(tested.records["sample"].iloc[np.argsort(-strength)[:count]])


def test_the_drawn_again_picture_is_the_file_s(regions, tested):
    """Against another row the difference is several times what JPEG makes of the same picture."""
    at = np.array([0, 100, 333])
    drawn = regions._world.render(regions._rows(tested.records["sample"].iloc[at]), 64).astype(int)
    off = np.abs(drawn - tested.images[at]).mean((1, 2, 3))
    assert (off < 4).all() and (np.abs(drawn - tested.images[at + 48]).mean((1, 2, 3)) > 3 * off).all()


def test_brows_change_above_and_lips_below(regions, tested):
    def height(unit):
        change = regions.units(showing(tested, unit), [unit] * 4)
        assert change.shape == (4, 64, 64) and float(change.amin(0).min()) >= 0
        rows = torch.arange(64).float()
        return float((change.sum(2) @ rows / change.sum((1, 2))).mean())

    assert height(1) < height(6) < height(12) and height(4) + 10 < height(24)


def test_rows_keep_their_order_and_their_unit(regions, tested):
    smile, brow = showing(tested, 12, 2), showing(tested, 1, 1)
    names, units = [smile[1], brow[0], smile[0], smile[1]], [12, 1, 12, 6]
    change = regions.units(names, units)
    rows = regions._rows(names)
    whole = torch.from_numpy(regions._world.masks(rows, 64))
    columns = [AUS.index(unit) for unit in units]
    torch.testing.assert_close(change, whole[torch.arange(4), torch.tensor(columns)])


def test_an_expression_changes_where_its_units_do(regions, tested):
    sample = showing(tested, 12, 1)
    together, alone = regions.expressions(sample), regions.units(sample, [12])
    assert together.shape == (1, 64, 64)
    strong = alone > 0.05
    assert strong.any() and float(together[strong].mean()) > 5 * float(together[alone == 0].mean())


def test_only_twins_have_regions(regions):
    with pytest.raises(DataError, match="photographs come without regions"):
        TwinRegions(SPEC.model_copy(update={"source": "real"}))
    with pytest.raises(DataError, match="the twin of bp4d has no picture 'F001/T9/0001'"):
        regions.units(["F001/T9/0001"], [12])
