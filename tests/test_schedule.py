import pytest
from hypothesis import given
from hypothesis import strategies as st

from fbu.recipes import Recipe
from fbu.schedule import Job, Schedule, prepare


def recipe(seed=0, images=64, name="rafdb", start=None, **changes):
    settings = {
        "task": "towers.contrast" if name == "tower" else "clef.finetune",
        "data": {"name": name, **changes.pop("data", {})},
        "optim": {"images": images, "batch_size": 16},
        "seed": seed,
        "start": start,
        **changes,
    }
    return Recipe.model_validate(settings)


def test_data_is_prepared_while_a_tower_trains():
    tower = recipe(name="tower")
    after = recipe(start=tower)
    schedule = Schedule([tower, after])
    training, preparing = schedule.take(), schedule.take()
    assert training == Job(tower) and preparing == Job(after, prepares=True)
    assert schedule.take() is None
    schedule.finished(preparing)
    assert schedule.take() is None, "the tower is not finished"
    schedule.finished(training)
    assert schedule.take() == Job(after) and not schedule


def test_a_recipe_waits_for_its_data():
    schedule = Schedule([recipe()])
    preparing = schedule.take()
    assert preparing.prepares and schedule.take() is None
    schedule.finished(preparing)
    assert schedule.take() == Job(recipe())


def test_long_ones_come_first_and_equal_ones_in_their_order():
    short, first, second, long = (recipe(s, n) for s, n in ((0, 32), (1, 64), (2, 64), (3, 128)))
    traced = recipe(4, 80, evaluations=2, traced=True)
    schedule = Schedule([short, first, second, long, traced])
    schedule.finished(schedule.take())
    taken = [schedule.take().recipe.seed for _ in range(5)]
    assert taken == [4, 3, 1, 2, 0]


def test_folds_share_their_preparation_and_sizes_do_not():
    recipes = [
        recipe(name="bp4d", data={"fold": 1}),
        recipe(name="bp4d", data={"fold": 2}),
        recipe(name="bp4d", data={"fold": 1, "image_size": 48}),
    ]
    schedule = Schedule(recipes)
    jobs = [schedule.take() for _ in range(3)]
    assert [job.recipe.data.image_size for job in jobs if job is not None] == [64, 48]
    assert all(job.prepares for job in jobs if job is not None)


@given(data=st.data(), starts=st.lists(st.integers(-1, 9), min_size=1, max_size=10))
def test_every_recipe_runs_once_after_what_it_needs(data, starts):
    """Whatever depends on what, and in whatever order three processes finish."""
    made = []
    for i, start in enumerate(starts):
        needed = made[start] if 0 <= start < i else None
        length = data.draw(st.integers(1, 4))
        made.append(recipe(i, 16 * length, start=needed) if needed else recipe(i, 16 * length, name="tower"))
    schedule, running, ended = Schedule(made), [], []
    while schedule or running:
        while len(running) < 3 and (job := schedule.take()) is not None:
            assert job.prepares or all(n.key() in ended for n in job.recipe.needs())
            running.append(job)
        assert running, "nothing is under way and something is left"
        job = running.pop(data.draw(st.integers(0, len(running) - 1)))
        schedule.finished(job)
        if not job.prepares:
            ended.append(job.recipe.key())
    assert sorted(ended) == sorted(r.key() for r in made)


def test_preparing_loads_the_data_once(monkeypatch):
    asked = []
    monkeypatch.setattr("fbu.data.specs.load_spec", lambda spec, split: asked.append((spec, split)))
    prepare(recipe(data={"size": "demo"}))
    assert asked == [(recipe(data={"size": "demo"}).data, "test")]


@pytest.mark.parametrize("place", [None, "nowhere"])
def test_missing_data_is_left_to_the_recipe(tmp_path, monkeypatch, place):
    monkeypatch.delenv("FBU_DATA", raising=False)
    if place is not None:
        monkeypatch.setenv("FBU_DATA", str(tmp_path / place))
    prepare(recipe(data={"source": "real"}))
