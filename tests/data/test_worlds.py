import dataclasses

import numpy as np
import pytest
import torch

from fbu import labels
from fbu.data import worlds
from fbu.data.faces import AUS, COLS, Identity
from fbu.data.manifest import load_manifest
from fbu.data.worlds import album, drawing, patterns, wild

BP4D_RATES = load_manifest("bp4d").expected.rates


@pytest.fixture(scope="module")
def bp4d() -> worlds.World:
    return worlds.make("bp4d", "demo")


@pytest.fixture(scope="module")
def rafdb() -> worlds.World:
    return worlds.make("rafdb", "full")


def test_a_picture_does_not_depend_on_its_batch():
    for name in ("bp4d", "ckplus", "rafdb"):
        world = worlds.make(name, "quick")
        rows = np.array([900, 3, 41, 700])
        together = world.render(rows, 32)
        assert together.dtype == np.uint8 and together.shape == (4, 3, 32, 32)
        assert np.array_equal(world.render(rows[::-1], 32), together[::-1])
        assert np.array_equal(world.render(rows[2:3], 32)[0], together[2])


def test_a_world_is_drawn_again_the_same_and_other_seeds_have_other_people(bp4d):
    again = worlds.make("bp4d", "demo")
    assert again.records.equals(bp4d.records) and torch.equal(again.scenes.identity, bp4d.scenes.identity)
    other = worlds.make("bp4d", "demo", seed=1)
    assert not torch.equal(other.scenes.identity, bp4d.scenes.identity)


def test_pictures_of_a_split_do_not_move_when_another_size_is_drawn():
    small, large = (worlds.make("rafdb", size) for size in ("quick", "demo"))
    a, b = (w.scenes.identity[w.records["sample"] == "test_0007"] for w in (small, large))
    assert len(a) == 1 and torch.equal(a, b)


@pytest.mark.parametrize(("size", "frames"), [("quick", 6), ("demo", 24), ("full", 60)])
def test_bp4d_has_every_subject_task_and_frame(size, frames):
    records = worlds.make("bp4d", size).records
    counts = records.groupby(["subject", "activity"]).size()
    assert len(counts) == 41 * 8 and set(counts) == {frames}
    assert records["sample"].is_unique
    first = records.iloc[0]
    assert first["sample"] == f"F001/T1/{first['frame']:04d}"
    steps = records.groupby(["subject", "activity"])["frame"].apply(lambda x: set(np.diff(x)))
    assert all(step == {1} for step in steps)  # coded frames run without a gap
    assert 0.2 < (records.groupby(["subject", "activity"])["frame"].min() == 1).mean() < 0.5


def test_bp4d_people_keep_their_face_and_their_sex(bp4d):
    sexes = bp4d.records.groupby("subject")["sex"].unique()
    assert all(list(s) == [{"F": "female", "M": "male"}[name[0]]] for name, s in sexes.items())
    rows = bp4d.records.groupby("subject").indices.values()
    people = [bp4d.scenes.identity[torch.as_tensor(r)].unique(dim=0) for r in rows]
    assert all(len(p) == 1 for p in people)
    assert len(torch.cat(people).unique(dim=0)) == 41
    backgrounds = bp4d.scenes.bg[bp4d.records.groupby("subject").indices["F001"]]
    assert len(backgrounds.unique(dim=0)) == 1  # one session each


def test_bp4d_units_occur_about_as_often_as_in_the_real_set(bp4d):
    for number, wanted in BP4D_RATES.items():
        rate = 100 * (bp4d.records[f"AU{number}_intensity"] >= worlds.PRESENT).mean()
        assert abs(rate - wanted) < 10, f"AU{number}: {rate:.0f} % of frames, wanted about {wanted} %"


def test_bp4d_sequences_rise_and_mostly_show_their_target(bp4d):
    total = bp4d.records[worlds.INTENSITY].sum(axis=1).to_numpy().reshape(-1, 24)
    assert total[:, :2].mean() < 0.5 * total[:, 10:14].mean()
    shown = bp4d.records["expression"].to_numpy().reshape(-1, 24)[:, 12]
    target = [worlds.population_of("bp4d").tasks[t] for t in bp4d.records["activity"].to_numpy()[::24]]
    assert 0.6 < np.mean(shown == np.array(target)) < 0.9


def test_speech_opens_the_mouth_in_the_interview(bp4d):
    open_mouth = bp4d.records["AU25_intensity"] >= 2
    jaw = bp4d.records["AU26_intensity"] > 0
    task = bp4d.records["activity"]
    assert (open_mouth & jaw)[task == "T1"].mean() > 0.2 > (open_mouth & jaw)[task == "T2"].mean()


def test_rafdb_full_has_the_counts_of_the_real_set(rafdb):
    population = worlds.population_of("rafdb")
    for split, counts in population.counts.items():
        part = rafdb.records[rafdb.records["split"] == split]
        assert part["label"].value_counts().to_dict() == dict(counts)
        assert len(part) == sum(counts.values()) and part["sample"].str.startswith(f"{split}_").all()
    assert {"train_00001", "train_12271", "test_0001", "test_3068"} <= set(rafdb.records["sample"])


def test_rafdb_label_errors_and_people(rafdb):
    wrong = (rafdb.records["label"] != rafdb.records["expression"]).mean()
    assert wrong == pytest.approx(0.03, abs=0.005)
    assert len(rafdb.scenes.identity.unique(dim=0)) == len(rafdb)
    assert set(rafdb.records["expression"]) == set(labels.ORDERS["rafdb"])


def test_affectnet_is_skewed_in_training_and_even_in_test():
    world = worlds.make("affectnet", "demo")
    counts = world.records.groupby(["split", "label"]).size()
    assert counts.loc["test"].eq(200).all() and counts.loc["train"].sum() == 6000
    assert counts.loc["train"].drop("contempt").min() > 60
    assert 20 < counts.loc["train", "happiness"] / counts.loc["train", "contempt"] < 40
    wrong = (world.records["label"] != world.records["expression"]).mean()
    assert wrong == pytest.approx(0.10, abs=0.015)
    assert len(world.scenes.identity.unique(dim=0)) == len(world)


def test_affectnet_full_fits_its_people():
    pictures = worlds.population_of("affectnet").pictures["full"]
    assert pictures["train"] <= 15_000 and pictures["test"] < 5_000


@pytest.fixture(scope="module")
def ckplus() -> worlds.World:
    return worlds.make("ckplus", "demo")


def test_ckplus_has_the_sequences_of_the_real_set(ckplus):
    records = ckplus.records
    sequence = records["sample"].str.rpartition("/")[0]
    ends = records.groupby(sequence).tail(1)
    assert sequence.nunique() == 593 and records["subject"].nunique() == 123
    counts = ends["label"].value_counts().to_dict()
    assert counts == {**worlds.population_of("ckplus").labelled, "": 266}
    assert ends[ends["label"] != ""].groupby(["subject", "label"]).size().max() == 1
    lengths = records.groupby(sequence).size()
    assert set(lengths) == set(range(6, 15))
    assert (records.groupby(sequence)["frame"].max() == lengths).all() and records["sample"].is_unique


def test_ckplus_rises_from_neutral_to_the_labelled_expression(ckplus):
    records, units = ckplus.records, ckplus.records[worlds.INTENSITY].sum(axis=1)
    sequence = records["sample"].str.rpartition("/")[0]
    first, last = (
        records.index.isin(pick.index)
        for pick in (records.groupby(sequence).head(1), records.groupby(sequence).tail(1))
    )
    labelled = records.groupby(sequence)["label"].transform("last") != ""
    assert (units[first] == 0).all() and units[last & labelled].min() > 0
    assert (records["expression"][first] == "neutral").all()
    assert (records["label"] == records["expression"])[last].all()
    assert set(records["label"][first & labelled]) == {"neutral"}
    assert set(records["label"][~first & ~last]) == {""}
    grown = units.groupby(sequence).diff().dropna()
    assert (grown > -0.5).all()
    happy = last & (records["label"] == "happiness")
    assert (records["AU12_intensity"][happy] > 2).mean() > 0.8
    people = records.groupby("subject").indices.values()
    faces = [ckplus.scene(rows).identity.unique(dim=0) for rows in people]
    assert all(len(face) == 1 for face in faces) and len(torch.cat(faces).unique(dim=0)) == 123


def test_gft_participants_talk_for_a_minute():
    world = worlds.make("gft", "quick")
    frames = world.records.groupby("subject")["frame"].agg(list)
    assert len(frames) == 96 and {"001A", "032C"} <= set(frames.index)
    assert all(found == list(range(1, 17)) for found in frames)
    assert world.records["sample"].is_unique and world.records["sample"].iloc[0] == "001A/0001"
    smile = (world.records["AU12_intensity"] >= 2).mean()
    assert 0.4 < smile < 0.7 and (world.records["AU25_intensity"] >= 2).mean() > 0.3


# Shares of frames at intensity 2 or more in percent, derived from published class weights and one share from memory.
DISFA_RATES = dict(zip(labels.AU_SETS["disfa"], (4, 2, 14, 7, 3, 12, 28, 11), strict=True))


@pytest.mark.parametrize(("size", "frames"), [("quick", 32), ("demo", 160)])
def test_disfa_has_every_person_from_both_sides(size, frames):
    world = worlds.make("disfa", size)
    found = world.records.groupby(["view", "subject"])["frame"].agg(list)
    assert len(found) == 54 and all(own == list(range(1, frames + 1)) for own in found)
    people = world.records["subject"].unique()
    assert len(people) == 27 and not {"SN014", "SN015", "SN019", "SN020", "SN022"} & set(people)
    left, right = (np.flatnonzero(world.records["view"] == view) for view in ("left", "right"))
    assert torch.equal(world.scenes.au[left], world.scenes.au[right])
    assert torch.equal(world.scenes.identity[left], world.scenes.identity[right])
    turned = world.records["yaw"].to_numpy()[right] - world.records["yaw"].to_numpy()[left]
    np.testing.assert_allclose(turned, 0.32, atol=1e-5)
    for number, wanted in DISFA_RATES.items():
        rate = 100 * (world.records[f"AU{number}_intensity"] >= worlds.PRESENT).mean()
        assert abs(rate - wanted) < 1 + 0.3 * wanted, f"AU{number}: {rate:.0f} %, wanted about {wanted} %"
    assert 0.6 < (world.records["expression"] == "neutral").mean() < 0.75


@pytest.fixture(scope="module")
def ferplus() -> worlds.World:
    return worlds.make("ferplus", "demo")


def test_ferplus_has_ten_votes_a_picture(ferplus):
    population, records = worlds.population_of("ferplus"), ferplus.records
    assert tuple(population.classes) == labels.ORDERS["ferplus"]
    assert all(
        abs(sum(row.values()) - 1) < 1e-9 and name not in row for name, row in population.confusion.items()
    )
    votes = records[[f"votes_{name}" for name in population.answers]].to_numpy()
    assert (votes.sum(1) == 10).all() and set(records["emotion"]) == set(labels.ORDERS["fer2013"])
    assert records["split"].value_counts().to_dict() == population.pictures["demo"]
    assert len(ferplus.scenes.identity.unique(dim=0)) == len(ferplus)
    # All NF in 173 of 35,887 rows of the real set.
    assert 0.001 < (votes[:, -1] == 10).mean() < 0.009
    happy = records["expression"] == "happiness"
    assert happy[records["split"] == "train"].mean() == pytest.approx(7526 / 28385, abs=0.02)


def test_ferplus_voters_agree_as_often_as_in_the_real_set(ferplus):
    population, records = worlds.population_of("ferplus"), ferplus.records
    left = records[[f"votes_{name}" for name in population.answers]].to_numpy()
    left = np.where(left > 1, left, 0)
    agreed = (2 * left.max(1) > left.sum(1)) & (left.argmax(1) < 8)
    assert agreed.mean() == pytest.approx(31373 / 35714, abs=0.05)
    voted = np.array(population.classes)[np.minimum(left.argmax(1), 7)]
    # Of those with most votes, as many pass the rule of the majority: published counts, all parts.
    wanted = dict(neutral=10996 / 12882, happiness=9038 / 9353, sadness=3752 / 4391, fear=682 / 823)
    for name, share in wanted.items():
        shown = (records["expression"] == name).to_numpy()
        assert (agreed & shown & (voted == name)).sum() / shown.sum() == pytest.approx(share, abs=0.06)
    assert (voted == records["expression"])[agreed].mean() > 0.96
    assert 0.6 < (records["emotion"] == records["expression"]).mean() < 0.8


def test_ckplus_contempt_is_one_sided(ckplus):
    rows = np.flatnonzero(ckplus.records["label"] == "contempt")
    assert (ckplus.scene(rows).asym[:, AUS.index(14)].abs() == 1).all()


def test_rafdb_shows_some_faces_mildly(rafdb):
    happy = rafdb.records[rafdb.records["expression"] == "happiness"]["AU12_intensity"]
    assert 0.02 < (happy.between(0.4, 2.6)).mean() < 0.3
    assert happy.median() > 3


def test_no_two_sets_share_a_person():
    firsts = [worlds.population_of(name).first_identity for name in worlds.names()]
    assert min(np.diff(sorted([*firsts, 5_000_000]))) >= 1_000_000
    people = []
    for name in worlds.names():
        people.append(worlds.make(name, "quick").scenes.identity.unique(dim=0))
    people.append(worlds.tower_scenes(np.arange(300))[0].identity)
    joined = torch.cat(people)
    assert len(joined.unique(dim=0)) == len(joined)


def test_tower_scenes_are_endless_and_independent_of_the_batch():
    scene, shown = worlds.tower_scenes(np.array([10, 4_000_000, 7]))
    alone, name = worlds.tower_scenes(np.array([4_000_000]))
    assert torch.equal(scene.au[1:2], alone.au) and torch.equal(scene.identity[1:2], alone.identity)
    assert shown[1] == name[0]
    assert torch.equal(alone.identity, Identity.sample(torch.tensor([9_000_000])))
    same, _ = worlds.tower_scenes(np.array([1, 2]), people=np.array([5, 5]))
    assert torch.equal(same.identity[0], same.identity[1])
    assert not torch.equal(same.au[0], same.au[1])
    with pytest.raises(ValueError, match="0 or more"):
        worlds.tower_scenes(np.array([-1]))


def test_tower_scenes_show_every_expression_and_loose_units():
    _, shown = worlds.tower_scenes(np.arange(4000))
    assert set(shown) == {*labels.EXPRESSIONS, ""}
    assert np.mean(shown == "") == pytest.approx(0.3, abs=0.03)


def test_pressed_lips_never_part():
    au = torch.full((1, len(AUS)), 4.0)
    tidy = drawing.tidy(au)[0].tolist()
    assert tidy[AUS.index(24)] == 4 and tidy[AUS.index(25)] == 0 and tidy[AUS.index(26)] == 0


def test_patterns_use_known_units_and_fit_the_tasks():
    assert {u for p in patterns.PATTERNS.values() for u in p} <= set(AUS)
    for name in ("bp4d", "bp4dplus"):
        tasks = worlds.population_of(name).tasks
        assert list(tasks) == [a.task for a in labels.ACTIVITIES[name]]
        assert set(tasks.values()) <= set(patterns.NAMES)


@pytest.mark.parametrize(("size", "people", "frames"), [("quick", 70, 3), ("demo", 140, 7)])
def test_bp4dplus_has_every_task_of_its_people(size, people, frames):
    world = worlds.make("bp4dplus", size)
    counts = world.records.groupby(["subject", "activity"]).size()
    assert len(counts) == people * 10 and set(counts) == {frames}
    assert world.records["sample"].is_unique and len(world.scenes) == len(world)
    sexes = world.records.groupby("subject")["sex"].unique()
    assert all(list(s) == [{"F": "female", "M": "male"}[name[0]]] for name, s in sexes.items())


def test_bp4dplus_people_are_the_same_in_all_sizes():
    small, large = (worlds.make("bp4dplus", size) for size in ("quick", "demo"))
    for subject in ("F005", "M055"):
        a, b = (w.scene(np.flatnonzero(w.records["subject"] == subject)).identity for w in (small, large))
        assert len(a.unique(dim=0)) == len(b.unique(dim=0)) == 1 and torch.equal(a[0], b[0])


def test_apportion_keeps_every_class_and_the_total():
    counts = {"a": 970, "b": 29, "c": 1}
    assert wild.apportion(counts, 1000) == counts
    small = wild.apportion(counts, 10)
    assert sum(small.values()) == 10 and min(small.values()) == 1
    with pytest.raises(ValueError, match="fewer than the 3 classes"):
        wild.apportion(counts, 2)


def test_masks_mark_the_units_that_are_on():
    world = worlds.make("rafdb", "quick")
    row = int(np.argmax(world.records["AU26_intensity"]))
    mask = world.masks(np.array([row]), 32)[0]
    assert mask.shape == (len(AUS), 32, 32) and mask[AUS.index(26)].sum() > 0
    off = [i for i in range(len(AUS)) if world.scenes.au[row, i] == 0]
    assert mask[off].sum() == 0


def test_attributes_follow_the_identity(rafdb):
    scene = rafdb.scene(np.arange(50))
    table = worlds.attributes(scene)
    assert ((table["sex"] == "female").to_numpy() == (scene.identity[:, COLS["sex"]] > 0).numpy()).all()
    assert table["glasses"].dtype == bool and table["skin"].between(0, 1).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(dataset="bp5d"), "no world for 'bp5d'; known: .*bp4d, .*rafdb"),
        (dict(dataset="bp4d", size="tiny"), "size is 'tiny'; known: quick, demo, full"),
        (dict(dataset="bp4d", seed=50), "seed is 50"),
    ],
)
def test_unknown_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        worlds.make(**arguments)


def test_difficulty_parameters_are_fixed():
    """A change here changes every reference result: it is a decision, not a tweak."""
    rafdb = worlds.population_of("rafdb")
    assert rafdb.label_errors == 0.03
    assert dataclasses.astuple(rafdb.display) == ((0.70, 1.10), 0.10, (0.30, 0.50), 0.95, 0.20, 0.03)
    assert dataclasses.astuple(rafdb.look) == (0.6, 0.02, 0.6, 0.15, 0.8, 0.06)
    for name in ("bp4d", "bp4dplus"):
        assert dataclasses.astuple(worlds.population_of(name).look) == (0.4, 0.0, 0.3, 0.05, 0.6, 0.005)
    assert dataclasses.astuple(worlds.population_of("gft").look) == (0.7, 0.12, 0.4, 0.10, 0.8, 0.08)
    ferplus = worlds.population_of("ferplus")
    assert dataclasses.astuple(ferplus.display) == ((0.65, 1.05), 0.10, (0.30, 0.50), 0.93, 0.20, 0.04)
    assert dataclasses.astuple(ferplus.look) == (0.7, 0.04, 0.7, 0.15, 0.8, 0.06)
    assert tuple(ferplus.doubt.values()) == (0.34, 0.22, 0.32, 0.34, 0.34, 0.48, 0.36, 0.42)
    disfa = worlds.population_of("disfa")
    assert dataclasses.astuple(disfa.look) == (0.45, 0.0, 0.2, 0.05, 0.6, 0.01)
    assert (disfa.reacts, disfa.lapses) == (0.62, 0.006)
    ckplus = worlds.population_of("ckplus")
    assert dataclasses.astuple(ckplus.display) == ((0.85, 1.10), 0.05, (0.30, 0.50), 0.95, 0.15, 0.03)
    assert dataclasses.astuple(ckplus.look) == (0.35, 0.0, 0.3, 0.03, 0.6, 0.0)
    affectnet = worlds.population_of("affectnet")
    assert affectnet.label_errors == 0.10
    assert dataclasses.astuple(affectnet.display) == ((0.60, 1.05), 0.15, (0.30, 0.50), 0.92, 0.20, 0.05)
    assert dataclasses.astuple(affectnet.look) == (0.8, 0.05, 0.8, 0.25, 1.0, 0.08)


@pytest.mark.parametrize(("size", "total"), [("quick", 1200), ("demo", 5000), ("full", 13690)])
def test_an_album_has_known_people(size, total):
    records = worlds.make("facial_expressions", size).records
    counts = records["subject"].value_counts()
    assert len(records) == total and records["sample"].is_unique
    assert not counts.index.str.contains(r"\d").any()  # the picture's number is cut from its name
    assert 0.66 < (counts == 1).mean() < 0.76 and 0.8 < (counts <= 2).mean() < 0.9
    assert 10 < counts.max() <= 0.02 * total


def test_an_album_keeps_its_people_and_its_label_errors():
    world = worlds.make("facial_expressions", "demo")
    rows = [r for r in world.records.groupby("subject").indices.values() if len(r) > 3]
    assert all(len(world.scenes.identity[torch.as_tensor(r)].unique(dim=0)) == 1 for r in rows)
    wrong = (world.records["label"] != world.records["expression"]).mean()
    assert 0.02 < wrong < 0.04
    assert len(world.scenes.pose[torch.as_tensor(rows[0])].unique(dim=0)) == len(rows[0])


def test_an_album_has_no_more_people_than_names():
    names = {album.name_of(i) for i in range(10_000)}
    assert len(names) == 10_000
    with pytest.raises(ValueError, match="there are 10240 names"):
        album.name_of(10_240)
