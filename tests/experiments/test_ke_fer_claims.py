"""The statistics behind KE-FER's claims about figures, on numbers made by hand."""

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from stored import store

from fbu.claims import claim, comparing, deciding, ke_fer, separation
from fbu.data.specs import load_spec
from fbu.errors import DataError
from fbu.experiments.common import Cell, Table
from fbu.recipes import Recipe
from fbu.reported import Printed


@pytest.fixture
def own(tmp_path, monkeypatch):
    monkeypatch.setenv("FBU_HOME", str(tmp_path / "home"))


def small(number, seed=0):
    settings = {"task": "clef.finetune", "data": {"name": "rafdb"}, "options": {"use": "I"}, "seed": seed}
    return Recipe.model_validate({**settings, "optim": {"images": 32, "lr": 1e-3 * (number + 1)}})


def table(name, labels, column="silhouette", metric="silhouette", predictions=None, printed=None):
    """One finished run per row; predictions and printed numbers by label."""
    cells = []
    for number, label in enumerate(labels):
        recipe = small(number)
        store(recipe, {metric: 0.5}, predictions=None if predictions is None else predictions[label])
        shown = None if printed is None else printed[label]
        cells.append(Cell(label, column, metric, (recipe,), printed=shown))
    return Table(name, "quick", cells).done()


def frame(value, targets):
    people = [f"p{i}" for i in range(len(targets))]
    noise = np.tile([0.01, -0.01], len(targets) // 2)
    return pd.DataFrame(
        {"sample": people, "subject": people, "seed": 0, "target": targets, "value": value + noise}
    )


NAMES = ["anger", "fear", "disgust", "happiness"] * 15


def separations(monkeypatch, values):
    """Silhouettes by row; a number, or one per picture."""
    numbers = {small(i).key(): np.broadcast_to(v, len(NAMES)) for i, v in enumerate(values.values())}
    monkeypatch.setattr(comparing, "silhouette_frame", lambda r: frame(numbers[r[0].recipe.key()], NAMES))


def test_texts_must_separate_all_classes_and_the_one_named(own, monkeypatch):
    disgust = np.array([name == "disgust" for name in NAMES])

    def decide(texts):
        separations(monkeypatch, {ke_fer.LABELS: 0.2, ke_fer.TEXTS: texts})
        made = table("ke_fer.fig1_text_vs_discrete", [ke_fer.LABELS, ke_fer.TEXTS])
        return deciding.decide(claim("ke_fer-01"), [made])

    found = decide(0.4)
    assert (found.label, found.right, found.terms, found.subjects) == ("supported", 2, 2, 60)
    assert found.parts[0].measured.difference == pytest.approx(0.2, abs=1e-6)
    assert "0.400 (ResNet-18 Ls), 0.200 (ResNet-18 labels)" in found.reason
    worse = decide(np.where(disgust, 0.1, 0.6))
    assert worse.label == "not supported" and "term 2" in worse.reason
    assert worse.parts[1].what == "silhouette of disgust, ResNet-18 Ls - ResNet-18 labels"


def test_whole_must_beat_baselines_in_anger_and_the_other_encoder_in_fear(own, monkeypatch):
    rows = (ke_fer.SWIN_LABELS, ke_fer.SWIN_TEXTS, ke_fer.VIT, ke_fer.SWIN)
    separations(monkeypatch, dict(zip(rows, (0.1, 0.2, 0.3, 0.4), strict=True)))
    found = deciding.decide(claim("ke_fer-19"), [table("ke_fer.fig7_tsne_ckplus", rows)])
    assert (found.label, found.right, found.terms) == ("supported", 6, 6)
    told = [p.what.split(",")[0] for p in found.parts]
    assert told == ["silhouette", "silhouette of anger"] * 2 + ["silhouette", "silhouette of fear"]
    separations(monkeypatch, dict(zip(rows, (0.1, 0.2, 0.5, 0.4), strict=True)))
    lost = deciding.decide(claim("ke_fer-19"), [table("ke_fer.fig7_tsne_ckplus", rows)])
    assert lost.label == "not supported" and lost.right == 4


def test_expressions_must_move_away_from_neutral(own, monkeypatch):
    near = {small(0).key(): 0.8, small(1).key(): 0.5}
    monkeypatch.setattr(ke_fer, "neutral_cosines", lambda r: frame(near[r[0].recipe.key()], NAMES))
    made = table("ke_fer.fig3_tsne", [ke_fer.TEXTS, ke_fer.ALL])
    found = deciding.decide(claim("ke_fer-09"), [made])
    assert found.label == "supported" and found.parts[0].shown() == "-0.30 (-0.30 to -0.30)"
    near.update({small(1).key(): 0.9})
    assert deciding.decide(claim("ke_fer-09"), [made]).label == "not supported"


def test_cosines_with_neutral_leave_neutral_out(monkeypatch):
    """Vectors laid by hand: happiness along the mean neutral face, everybody else across it."""
    recipe = small(0)
    tested = load_spec(recipe.data, "test")

    class Task:
        def features(self, images):
            along = np.isin(tested.shown, ["neutral", "happiness"])
            return F.one_hot(torch.tensor(along).long(), 2).float()

    class Made:
        def task(self, device):
            return Task()

    Made.recipe = recipe
    found = ke_fer.neutral_cosines([Made()])
    assert set(found["target"]) == set(tested.shown) - {"neutral"}
    assert (found["value"] == (found["target"] == "happiness")).all()
    posed = tested.__class__(**{**tested.__dict__, "records": tested.records[tested.shown != "neutral"]})
    monkeypatch.setattr(separation, "load_spec", lambda *args: posed)
    with pytest.raises(DataError, match="neutral"):
        ke_fer.neutral_cosines([Made()])


def scored(recalls, each=20):
    """Predictions with given recalls; who is wrong is taken for neutral."""
    rows = []
    for name, recall in recalls.items():
        for i in range(each):
            right = i < recall * each
            rows.append(
                {"subject": f"p{i}", "target": name, **{f"p_{n}": 0.0 for n in [*recalls, "neutral"]}}
            )
            rows[-1][f"p_{name if right else 'neutral'}"] = 1.0
    return pd.DataFrame(rows).reset_index(names="sample").astype({"sample": str})


def test_happiness_must_be_recognised_better_than_the_worst(own):
    def decide(**recalls):
        frames = {"ResNet-18": scored(recalls)}
        made = table("ke_fer.fig6_confusion", ["ResNet-18"], "RAF-DB", "mean_class_accuracy", frames)
        return deciding.decide(claim("ke_fer-16"), [made])

    found = decide(happiness=0.9, fear=0.3, disgust=0.5, anger=0.8)
    assert found.label == "supported" and found.subjects == 20
    assert found.parts[0].measured.difference == pytest.approx(0.9 - 0.4)
    assert found.parts[0].what == "recall of happiness - mean of fear, disgust, RAF-DB, ResNet-18"
    assert "best happiness, worst fear (RAF-DB, ResNet-18)" in found.reason
    assert decide(happiness=0.3, fear=0.9, disgust=0.8, contempt=0.9).label == "not supported"


def test_equal_weights_must_beat_the_best_other_ratio(own):
    def decide(**shares):
        labels = {name[1:].replace("_", ":"): scored({"anger": share}) for name, share in shares.items()}
        made = table("ke_fer.fig5_loss_weights", list(labels), "RAF-DB", "accuracy", labels)
        return deciding.decide(claim("ke_fer-12"), [made])

    assert decide(r1_1=0.9, r1_2=0.2, r2_1=0.5).label == "supported"
    worse = decide(r1_1=0.4, r1_2=0.2, r2_1=0.9)
    assert worse.label == "not supported" and worse.parts[0].what == "1:1 - best of 2 others, RAF-DB"


def test_mean_accuracies_are_read_from_the_predictions_of_the_same_row(own):
    """Table 1 prints accuracy and mean accuracy of RAF-DB: one run holds both."""
    method, variant = "KE-FER ResNet-18", "vlm={};Ls=1;Lt=0;Lc=0"
    printed = {
        f"ResNet-18 {text}": Printed(
            "ke_fer_table1_text_encoders", method, "RAF-DB", "accuracy", variant.format(text)
        )
        for text in ("ALIGN", "BLIP", "CLIP")
    }
    # CLIP: fewer right in all, more on average over classes.
    often, rare = scored({"happiness": 0.9}, 60), scored({"fear": 0.2}, 20)
    better, worse = scored({"happiness": 0.6}, 60), scored({"fear": 0.9}, 20)
    joined = [pd.concat(pair).fillna(0.0).reset_index(drop=True) for pair in ((often, rare), (better, worse))]
    frames = [f.assign(sample=[str(i) for i in range(80)]) for f in joined]
    predictions = dict(zip(printed, (frames[0], frames[0], frames[1]), strict=True))
    made = table("ke_fer.table1_text_encoders", list(printed), "RAF-DB", "accuracy", predictions, printed)
    first, second = deciding.decide(claim("ke_fer-02"), [made]).parts[:2]
    assert first.measured.difference == pytest.approx((0.6 * 60 + 0.9 * 20 - 0.9 * 60 - 0.2 * 20) / 80)
    assert second.measured.difference == pytest.approx((0.6 + 0.9 - 0.9 - 0.2) / 2)
    assert second.what.endswith("RAF-DB, mean accuracy") and not first.what.endswith("mean accuracy")


def test_every_claim_about_a_figure_has_a_rule_that_finds_its_rows():
    from fbu.experiments import ke_fer as experiments

    for identifier, rule in ke_fer.RULES.items():
        assert claim(identifier).statement is not None
        built = experiments.TABLES[rule.table.split(".")[1]]("demo")
        assert rule.cells([built]) and all(cell.recipes for cell in rule.cells([built]))


def test_terms_without_runs_are_said_so(own):
    made = table(
        "ke_fer.fig6_confusion",
        ["ResNet-18"],
        "RAF-DB",
        "mean_class_accuracy",
        {"ResNet-18": scored({"happiness": 0.9, "fear": 0.3})},
    )
    made.cells.append(Cell("Swin-T", "FERPlus", "mean_class_accuracy", ()))
    found = deciding.decide(claim("ke_fer-16"), [made])
    assert (found.label, found.right, found.terms) == ("not run", 1, 2)
    assert "term 1 of 2: supported; term 2 not run in quick: Swin-T on FERPlus" in found.reason
