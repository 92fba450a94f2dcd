"""The renderer: same picture in any batch, units act where they should, masks and errors."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fbu.data.faces import (
    ACTIVITIES,
    AUS,
    COLS,
    COLUMN,
    GAIN,
    POSE,
    PROTOTYPES,
    STATE,
    Identity,
    Scene,
    au_vector,
    change_masks,
    normal,
    region_masks,
    render,
    render_scene,
    uniform,
)
from fbu.data.faces.pixels import Frame, Pixels
from fbu.data.faces.regions import REGIONS
from fbu.data.faces.sheets import expression_sheet, heat, random_sheet, sheet, turn_sheet, unit_sheet

SIZE = 64
UPPER, LOWER = (1, 2, 4, 5, 7), (10, 12, 14, 15, 17, 20, 23, 24, 25)


@pytest.fixture(scope="module")
def units():
    """One bald-ish person with gain 1 who shows each unit alone at full strength; row 17 shows none."""
    person = Identity.sample(torch.tensor([27])).repeat(len(AUS) + 1, 1)
    person[:, GAIN:] = 1
    return Scene.plain(person, 5 * torch.eye(len(AUS) + 1, len(AUS)))


@pytest.fixture(scope="module")
def unit_masks(units):
    return change_masks(units, SIZE)


# ---------------------------------------------------------------- randomness


@settings(max_examples=60, deadline=None)
@given(
    st.integers(-(2**31), 2**31),
    st.lists(st.integers(0, 2**40), min_size=1, max_size=9),
    st.integers(1, 12),
    st.integers(0, 50),
)
def test_uniform_depends_on_its_own_index_only(seed, index, n, stream):
    together = uniform(seed, index, n, stream)
    alone = torch.cat([uniform(seed, [k], n, stream) for k in index])
    assert torch.equal(together, alone)
    assert torch.equal(uniform(seed, index, n + 3, stream)[:, :n], together)
    assert together.shape == (len(index), n) and together.dtype == torch.float32
    assert float(together.min()) >= 0 and float(together.max()) < 1


def test_uniform_and_normal_have_the_right_moments_and_differ_by_stream():
    u, z = uniform(3, torch.arange(4000), 5, 1), normal(3, torch.arange(4000), 5, 2)
    assert u.mean() == pytest.approx(0.5, abs=0.01) and u.var() == pytest.approx(1 / 12, abs=0.003)
    assert z.mean() == pytest.approx(0, abs=0.03) and z.std() == pytest.approx(1, abs=0.02)
    correlation = torch.corrcoef(torch.cat([u, uniform(3, torch.arange(4000), 5, 7)], 1).T)
    assert (correlation - torch.eye(10)).abs().max() < 0.07


# ---------------------------------------------------------------- determinism


def test_pictures_do_not_depend_on_the_batch():
    index = torch.arange(40)
    everything = render_scene(Scene.sample(5, index), SIZE)
    sevens = [render_scene(Scene.sample(5, part), SIZE) for part in index.split(7)]
    backwards = render_scene(Scene.sample(5, index.flip(0)), SIZE).flip(0)
    assert torch.equal(everything, torch.cat(sevens))
    assert torch.equal(everything, backwards)
    assert torch.equal(everything, render_scene(Scene.sample(5, index), SIZE, chunk=16))
    assert len({picture.numpy().tobytes() for picture in everything}) == len(index)


def test_identity_depends_on_number_and_seed_only():
    ids = torch.tensor([7, 1_000_003, 12])
    assert torch.equal(Identity.sample(ids), Identity.sample(ids.flip(0)).flip(0))
    assert torch.equal(Identity.sample(20)[7], Identity.sample(ids)[0])
    assert not torch.equal(Identity.sample(ids), Identity.sample(ids, seed=1))


def test_people_keeps_identity_constant_over_scenes():
    scene = Scene.sample(0, torch.arange(6), people=torch.tensor([4, 4, 4, 9, 9, 9]))
    assert torch.equal(scene.identity[0], scene.identity[2])
    assert not torch.equal(scene.identity[0], scene.identity[3])
    assert not torch.equal(scene.au[0], scene.au[1])


def test_no_tensor_lands_on_the_default_device():
    scene = Scene.sample(5, torch.arange(24))  # with hand, sunglasses, strands, blur among them
    occluded = scene.labels["occluder"]
    scene.state[:4, STATE.index("occluder")] = torch.tensor([1.0, 2.0, 3.0, 0.0])
    scene.state[:2, STATE.index("blur")] = 0.6
    scene.pose[:6, 0] = 0.5
    expected = render_scene(scene, SIZE), change_masks(scene[:4], SIZE), region_masks(scene, SIZE)
    with torch.device("meta"):  # a factory without an explicit device would now give tensors without data
        found = render_scene(scene, SIZE), change_masks(scene[:4], SIZE), region_masks(scene, SIZE)
    assert all(torch.equal(a, b) for a, b in zip(expected, found, strict=True))
    moved = scene.to("cpu")
    assert torch.equal(moved.au, scene.au) and torch.equal(moved.labels["occluder"], occluded)


# ---------------------------------------------------------------- shapes and sizes


@pytest.mark.parametrize("size", [32, 224])
def test_sizes_and_dtypes(size):
    scene = Scene.sample(1, torch.arange(3))
    pictures, masks = render_scene(scene, size, masks=True)
    assert pictures.shape == (3, 3, size, size) and pictures.dtype == torch.uint8
    assert masks.shape == (3, 17, size, size) and masks.dtype == torch.float32
    regions = region_masks(scene, size)
    assert regions.shape == masks.shape and regions.dtype == torch.float32
    assert float(regions.min()) >= 0 and float(regions.max()) <= 1
    assert pictures.float().std() > 20  # not a blank picture


def test_small_and_large_pictures_agree():
    scene = Scene.plain(Identity.sample(4), torch.zeros(4, 17))
    small, large = render_scene(scene, 48).float(), render_scene(scene, 96).float()
    shrunk = torch.nn.functional.avg_pool2d(large, 2)
    assert (small - shrunk).abs().mean() < 4


def test_an_empty_scene_gives_empty_tensors():
    pictures, masks = render_scene(Scene.sample(0, torch.arange(2))[:0], SIZE, masks=True)
    assert pictures.shape == (0, 3, SIZE, SIZE) and masks.shape == (0, 17, SIZE, SIZE)


def test_render_equals_the_plain_scene():
    people, au = Identity.sample(3), 3 * torch.rand(3, 17, generator=torch.Generator().manual_seed(0))
    pictures, masks = render(people, au, return_masks=True)
    assert torch.equal(pictures, render_scene(Scene.plain(people, au)))
    assert torch.equal(masks, change_masks(Scene.plain(people, au)))
    pose = torch.tensor([[0.5, 0, 0, 0, 0, 1]]).repeat(3, 1)
    assert not torch.equal(pictures, render(people, au, pose=pose))


# ---------------------------------------------------------------- action units


@pytest.mark.parametrize("number", AUS)
def test_each_unit_changes_the_picture_where_it_should(unit_masks, number):
    mask = unit_masks[COLUMN[number], COLUMN[number]]
    total = mask.sum()
    assert total > 4  # visible: in sum more than 4 fully changed pixels
    centre = float((mask.sum(1) * torch.arange(SIZE)).sum() / total)  # mean row; the eyes are at row 26
    if number in UPPER:
        assert centre < 31
    if number in LOWER:
        assert centre > 36
    # The face is mirror symmetric but for skew and light, so the change is central.
    assert abs(float((mask.sum(0) * torch.arange(SIZE)).sum() / total) - 31.5) < 5


@pytest.mark.parametrize("number", AUS)
def test_most_of_the_change_lies_in_the_region(units, unit_masks, number):
    column = COLUMN[number]
    mask, region = unit_masks[column, column], region_masks(units, SIZE)[column, column]
    share, area = float((mask * (region > 0.5)).sum() / mask.sum()), float((region > 0.5).float().mean())
    assert 0.01 < area < 0.22
    assert share > 0.5
    assert share > 2.5 * area  # far denser than a region drawn anywhere


def test_masks_and_regions_are_zero_where_the_unit_is_zero(units, unit_masks):
    others = ~torch.eye(len(AUS) + 1, len(AUS), dtype=torch.bool)
    assert float(unit_masks[others].abs().max()) == 0
    assert float(region_masks(units, SIZE)[others].max()) == 0
    without = render_scene(units[[17]], SIZE)
    assert torch.equal(without, render(units.identity[:1], torch.zeros(1, 17), size=SIZE))


def test_intensity_grows_the_change():
    person = Identity.sample(torch.tensor([27, 27, 27]))
    au = torch.zeros(3, 17)
    au[:, COLUMN[12]] = torch.tensor([1.0, 3.0, 5.0])
    low, middle, high = change_masks(Scene.plain(person, au), SIZE)[:, COLUMN[12]].sum((1, 2)).tolist()
    assert low < middle < high


def test_asymmetry_shows_on_its_side_and_mirrors():
    person = Identity.sample(torch.tensor([27]))
    person[:, GAIN:] = 1
    au = 5 * torch.eye(17)[[COLUMN[14]] * 3]
    asym = torch.zeros(3, 17)
    asym[:, COLUMN[14]] = torch.tensor([-1.0, 0.0, 1.0])
    scene = Scene.plain(person.repeat(3, 1), au, asym)
    left, both, right = change_masks(scene, SIZE)[:, COLUMN[14]]
    half = SIZE // 2
    assert left[:, :half].sum() > 8 * left[:, half:].sum()
    assert right[:, half:].sum() > 8 * right[:, :half].sum()
    assert (left + right).sum() == pytest.approx(float(both.sum()), rel=0.25)
    region = region_masks(scene, SIZE)[:, COLUMN[14]]
    assert region[0, :, half + 2 :].max() == 0 and region[2, :, : half - 2].max() == 0
    assert float((region[0] - region[2].flip(1)).abs().mean()) < 0.01


def test_a_mirrored_scene_gives_a_mirrored_picture():
    person = Identity.sample(torch.tensor([27]))
    column = {name: k for k, name in enumerate(POSE)}
    person[
        :, [COLS["skew"], COLS["skew2"], COLS["mottle1"], COLS["mottle2"], COLS["mottle3"], COLS["freckle"]]
    ] = 0
    person[:, COLS["style"]] = 0  # bald: strands have no mirror image
    au = torch.tensor([au_vector({12: 5, 4: 3})])
    pose = torch.tensor([[0.3, 0.1, 0.1, 0.02, 0, 1.0]])
    light = torch.tensor([[-0.5, -0.4, 0.8, 0.3, 0.8, 0.0]])
    asym = torch.full((1, 17), 0.6)
    picture = render(person, au, pose, light, asym=asym).float()
    for name in ("yaw", "roll", "tx"):
        pose[:, column[name]] *= -1
    light[:, 0] *= -1
    mirrored = render(person, au, pose, light, asym=-asym).float().flip(3)
    assert (picture - mirrored).abs().mean() < 1.5
    assert (picture - picture.flip(3)).abs().mean() > 8  # the test would fail without mirroring


def test_an_occluder_hides_the_change():
    au = torch.tensor([au_vector({5: 5, 12: 5})])
    scene = Scene.plain(Identity.sample(torch.tensor([27])), au)
    bare, bare_region = change_masks(scene, SIZE)[0], region_masks(scene, SIZE)[0]
    scene.state[:, STATE.index("occluder")] = 2  # sunglasses
    dark, dark_region = change_masks(scene, SIZE)[0], region_masks(scene, SIZE)[0]
    assert dark[COLUMN[5]].sum() < 0.5 * bare[COLUMN[5]].sum()
    assert dark_region[COLUMN[5]].sum() < 0.5 * bare_region[COLUMN[5]].sum()
    lower = slice(40, None)  # a smile moves the cheeks under the glasses too, but the mouth stays
    assert torch.allclose(dark[COLUMN[12], lower], bare[COLUMN[12], lower])


@pytest.mark.parametrize("degrees", [-40, -20, 20, 40])
def test_a_turned_head_keeps_its_features_inside(degrees):
    person = Identity.sample(torch.tensor([27]))
    pose = torch.tensor([[degrees * math.pi / 180, 0, 0, 0, 0, 1.0]])
    au = torch.tensor([au_vector({12: 5, 25: 4})])
    mask = change_masks(Scene.plain(person, au, pose=pose), SIZE)[0, COLUMN[12]]
    centre = float((mask.sum(0) * torch.arange(SIZE)).sum() / mask.sum()) - 31.5
    assert mask.sum() > 8
    assert centre * degrees > 0 and 3 < abs(centre) < 20  # moved with the turn, and still on the head


# ---------------------------------------------------------------- sampling


def test_sampled_scenes_follow_their_labels():
    scene = Scene.sample(2, torch.arange(3000))
    expression, activity = scene.labels["expression"], scene.labels["activity"]
    shares = torch.bincount(expression, minlength=8) / 3000
    assert shares[0] > 0.15 and float(shares.min()) > 0.05
    assert float((expression == activity).float().mean()) == pytest.approx(
        0.55 + 0.15 / 8 + 0.3 / 8, abs=0.04
    )
    happy = scene.au[expression == list(PROTOTYPES).index("happiness")]
    assert float((happy[:, COLUMN[12]] > 1).float().mean()) > 0.8
    assert float(scene.au.min()) == 0 and float(scene.au.max()) <= 5
    assert not bool(((scene.au[:, COLUMN[24]] > 1) & (scene.au[:, COLUMN[25]] > 0)).any())
    assert len(ACTIVITIES) == len(PROTOTYPES) == 8


def test_nuisance_zero_removes_pose_blur_and_occluders():
    scene = Scene.sample(2, torch.arange(50), nuisance=0.0)
    assert torch.equal(scene.pose, torch.tensor([[0, 0, 0, 0, 0, 1.0]]).repeat(50, 1))
    assert float(scene.state[:, STATE.index("occluder")].max()) == 0
    assert float(scene.state[:, STATE.index("blur")].max()) == 0


def test_rows_of_a_scene():
    scene = Scene.sample(3, torch.arange(8))
    part = scene[torch.tensor([5, 2])]
    assert len(part) == 2 and part.labels["identity"].tolist() == [5, 2]
    assert torch.equal(render_scene(part, SIZE), render_scene(scene, SIZE)[[5, 2]])


# ---------------------------------------------------------------- errors


def test_wrong_shapes_and_values_are_named():
    people = Identity.sample(2)
    with pytest.raises(ValueError, match=r"au must have shape \(2, 17\), got \(2, 12\)"):
        render(people, torch.zeros(2, 12))
    with pytest.raises(ValueError, match="au must have shape"):
        render(people, torch.zeros(3, 17))
    with pytest.raises(ValueError, match="pose must have shape"):
        render(people, torch.zeros(2, 17), pose=torch.zeros(2, 5))
    with pytest.raises(ValueError, match=r"au must lie in 0..5, got 0..6"):
        render(people, torch.eye(2, 17) * 6)
    with pytest.raises(ValueError, match="asym must lie in -1..1"):
        render(people, torch.zeros(2, 17), asym=torch.full((2, 17), 1.5))
    with pytest.raises(ValueError, match="au must lie in"):
        render(people, torch.full((2, 17), math.nan))
    with pytest.raises(ValueError, match="size must lie in 16..768 pixels, got 8"):
        render(people, torch.zeros(2, 17), size=8)
    with pytest.raises(ValueError, match=r"unknown action units \[3\]"):
        au_vector({3: 1})
    with pytest.raises(ValueError, match="intensities must lie in 0-5"):
        au_vector({12: 7})


# ---------------------------------------------------------------- parts


def test_pixel_lists_write_back_what_they_read():
    mask = torch.tensor([[1, 0, 1, 1, 0], [0, 0, 0, 1, 0], [0, 0, 0, 0, 0]], dtype=torch.bool)
    plane = torch.arange(15.0).view(3, 5)
    window = Pixels(mask)
    assert window.get(plane)[0].tolist() == [0, 2, 3]
    assert set(window.get(plane)[1].tolist()) == {8}
    assert set(window.get(plane)[2].tolist()) == {10}  # a face without any gets its own first pixel
    changed = plane.clone()
    window.put(changed, window.get(plane) + 100)
    assert torch.equal(changed[:2] > 99, mask[:2])


def test_frame_is_the_bounding_rectangle():
    mask = torch.zeros(6, 6, dtype=torch.bool)
    mask[2, 1] = mask[4, 3] = True
    frame = Frame(6, mask.flatten())
    plane = torch.arange(36.0)[None]
    assert torch.equal(frame.cut(plane)[0], plane.view(6, 6)[2:5, 1:4])
    assert Frame(6, torch.zeros(36, dtype=torch.bool)).cut(plane).shape == (1, 1, 1)


def test_regions_cover_all_units():
    assert set(REGIONS) == set(AUS)


def test_sheets():
    page = expression_sheet(people=(0, 1), size=32)
    assert page.size == (64, 256)
    assert len(page.getcolors(maxcolors=64 * 256)) > 500
    assert unit_sheet(size=32, regions=True).size == (32 * 12, 32 * 3)
    assert turn_sheet(people=(0,), degrees=(-40, 40), size=32).size == (64, 32)
    assert random_sheet(rows=2, columns=3, size=32).size == (96, 64)
    assert heat(torch.tensor([[[0.0, 1.0]]])).tolist() == [[[[0, 255]]] * 3]
    assert sheet([torch.zeros(2, 3, 8, 8, dtype=torch.uint8)]).getcolors() == [(128, (0, 0, 0))]
