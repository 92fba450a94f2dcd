import csv

import pytest

from fbu import labels
from fbu.errors import DataError
from fbu.resources import resource


def _reported(name: str) -> list[dict[str, str]]:
    try:
        path = resource(f"reported/{name}.csv")
    except DataError:
        pytest.skip(f"reported/{name}.csv is not installed")
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_every_expression_and_unit_of_a_dataset_is_described():
    assert set(labels.EXPRESSIONS) <= set(labels.expressions)
    for order in labels.ORDERS.values():
        assert len(set(order)) == len(order)
        assert all(labels.describe("expression", order))
    for units in labels.AU_SETS.values():
        assert list(units) == sorted(set(units)) and all(labels.describe("au", units))


def test_descriptions_are_short_distinct_and_fit_the_template():
    texts = [x.description for x in (*labels.expressions.values(), *labels.action_units.values())]
    assert len(set(texts)) == len(texts)
    for text in texts:
        assert len(text.split()) <= 20 and not text.endswith(".")
        assert text.split()[0].strip(",").endswith("s")  # third person: "a person that raises ..."


def test_orders_follow_the_files():
    assert labels.ORDERS["rafdb"][0] == "surprise" and labels.ORDERS["rafdb"][-1] == "neutral"
    assert labels.ORDERS["affectnet"] == labels.EXPRESSIONS
    assert set(labels.ORDERS["dfew"]) == set(labels.EXPRESSIONS) - {"contempt"}
    assert len(labels.ORDERS["mafw"]) == 11


def test_names_and_unknown_labels():
    assert labels.names("au", [1, "AU12"]) == ["inner brow raiser", "lip corner puller"]
    with pytest.raises(ValueError, match="unknown action unit 'AU99'; known: 1, 2"):
        labels.names("au", ["AU99"])
    with pytest.raises(ValueError, match="unknown expression 'joy'; known: neutral"):
        labels.describe("expression", ["joy"])
    with pytest.raises(ValueError, match="known: expression, au"):
        labels.names("expressions", ["fear"])


def test_prompts_put_the_fixed_template_first():
    rows = labels.prompts("clef", "name", labels.names("expression", ["happiness", "fear"]))
    assert rows == [["a photo of a person with happiness.", "a photo of a person with fear."]]
    rows = labels.prompts("clef", "description", labels.describe("au", [15]))
    assert rows[0] == ["a photo shows a person that pulls the lip corners down."]
    assert len(rows) >= 4


@pytest.mark.parametrize("bad", ["no slot", "{} and {}"])
def test_fill_needs_one_slot(bad):
    with pytest.raises(ValueError, match="exactly one"):
        labels.fill(bad, "x")


def test_fill_adjusts_the_article_only_where_needed():
    assert labels.fill("A photo of a {} face.", "anger") == "A photo of an anger face."
    assert labels.fill("A photo of a {} face.", "fear") == "A photo of a fear face."
    assert labels.fill("A person is feeling {}.", "anger") == "A person is feeling anger."


def test_unknown_role_lists_the_known():
    with pytest.raises(ValueError, match="clef/name"):
        labels.templates("clef", "nickname")


def test_printed_templates_are_verbatim_and_ours_are_marked():
    printed = {"label name": "name", "label description": "description", "activity description": "activity"}
    rows = _reported("prompts")
    for role_printed, role in printed.items():
        wanted = [
            row["template"].replace(f"{{{role_printed}}}", "{}")
            for row in rows
            if row["paper"] == "clef" and row["role"] == role_printed
        ]
        have = labels.templates("clef", role)
        assert [t.text for t in have][: len(wanted)] == wanted
        assert all(t.source == labels.OURS for t in have[len(wanted) :])
    category = [r["template"].replace("[CLS]", "{}") for r in rows if r["paper"] == "ke_fer"]
    assert sorted(category) == sorted(t.text for t in labels.templates("ke_fer", "category"))
    assert (
        labels.templates("ke_fer", "category")[0].text == category[-1]
    )  # the paper's default is printed last


def test_printed_activities_are_verbatim():
    printed = {r["description"].rstrip(".").lower() for r in _reported("clef_table1_activities")}
    have = {a.description for a in labels.ACTIVITIES["bp4d"] if a.source.startswith("paper")}
    assert have == printed
    assert [a.task for a in labels.ACTIVITIES["bp4d"]] == [f"T{i}" for i in range(1, 9)]
    assert all(a.source == labels.OURS for a in labels.ACTIVITIES["bp4d"][4:])


def test_dk_clip_units_and_prompts_follow_the_tables():
    units: dict[str, list[int]] = {}
    for row in _reported("dk_clip_table1_expression_aus"):
        if row["au"]:
            units.setdefault(row["expression"].lower(), []).append(int(row["au"].removeprefix("AU")))
    assert {k: tuple(v) for k, v in units.items()} == labels.EXPRESSION_UNITS
    for row in _reported("dk_clip_class_prompts"):
        assert labels.enriched(row["prompt"].split()[0]) == row["prompt"]
    assert labels.enriched("happiness", "or") == "happiness with cheek raiser, lip corner puller or lip part"
    assert labels.enriched("neutral", "and") == "neutral"
    with pytest.raises(ValueError, match="joiner"):
        labels.enriched("fear", "plus")
