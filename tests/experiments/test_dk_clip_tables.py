"""DK-CLIP's tables: the paper's rows are all there, and every kind of recipe of the paper profile can take a step."""

from __future__ import annotations

import copy
import dataclasses
from functools import cache

import numpy as np
import open_clip
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file
from stepping import stepped

from fbu import data, evaluation, reported
from fbu.claims import claim, claims
from fbu.claims import dk_clip as claims_about_figures
from fbu.data.snippets import clip_lengths, snippet_frames
from fbu.data.specs import load_spec
from fbu.errors import DataError
from fbu.experiments import dk_clip
from fbu.experiments.dk_clip import pictures, prompts
from fbu.experiments.dk_clip.pictures import noisiest
from fbu.experiments.dk_clip.stages import ASSUMED, B16, PARTS, WHOLE, training
from fbu.experiments.profiles import PROFILES
from fbu.models import dk_clip as model
from fbu.models import tasks
from fbu.models.noise import noisy_share, shown_share
from fbu.recipes import Recipe
from fbu.runs import Run, ordered

PRINTED = {
    "table2_dfew": "dk_clip_table2_dfew",
    "table3_ferv39k_mafw": "dk_clip_table3_ferv39k_mafw",
    "table4_components": "dk_clip_table4_modules",
    "table5_temporal": "dk_clip_table5_temporal",
    "table6_prompts": "dk_clip_table6_prompts",
}


@pytest.mark.parametrize(("stem", "name"), PRINTED.items())
def test_every_printed_number_has_its_cell(stem: str, name: str) -> None:
    printed = reported.table(name)["value"].dropna()
    table = dk_clip.TABLES[stem]("full", seeds=1)
    cells = [cell for cell in table.cells if cell.printed is not None]
    assert sorted(cell.reported for cell in cells) == sorted(printed)
    for cell in cells:
        assert cell.printed.value == cell.reported
        assert bool(cell.recipes) == (cell.printed.method == "DK-CLIP")
    assert len({(cell.label, cell.column) for cell in table.cells}) == len(table.cells)


def test_steps_are_the_paper_s() -> None:
    whole = dk_clip.table4_components("demo", seeds=1).cell("HVE ETP CCR", "UAR")
    assert whole.against == "HVE ETP" and whole.step == pytest.approx(0.74)
    hierarchy = dk_clip.table5_temporal("demo", seeds=1).cell("hierarchical structure", "WAR")
    assert hierarchy.against == "average pooling" and hierarchy.step == pytest.approx(75.86 - 73.63)
    larger = dk_clip.table3_ferv39k_mafw("full", seeds=1).cell("DK-CLIP ViT-B/16", "MAFW WAR")
    assert larger.against == "DK-CLIP ViT-B/32" and larger.step == pytest.approx(56.56 - 54.93)
    happy = dk_clip.table2_dfew("demo", seeds=1).cell("DK-CLIP ViT-B/16", "Happiness")
    assert happy.metric == "recall/happiness" and happy.recipes


def test_tables_and_figures_share_runs() -> None:
    """The whole method is one recipe wherever it stands, and average pooling that of the row ETP."""
    key = dk_clip.table2_dfew("demo", seeds=1).cell("DK-CLIP ViT-B/16", "WAR").recipes[0].key()
    rows = {
        "table4_components": ("HVE ETP CCR", "WAR"),
        "table5_temporal": ("hierarchical structure", "WAR"),
        "table6_prompts": ("learnable prompts enriched by activated AUs", "WAR"),
        "fig5_snippets": ("HVE ETP CCR", "WAR local"),
        "noise": ("HVE ETP CCR", "noise detected"),
    }
    for stem, place in rows.items():
        assert dk_clip.TABLES[stem]("demo", seeds=1).cell(*place).recipes[0].key() == key
    swept = dk_clip.fig3_theta_n("demo")
    assert {swept.cell(label, "UAR").recipes[0].key() for label in ("θ = 0.15", "N = 4")} == {key}
    assert dk_clip.fig4_tsne("demo", seeds=1).cell("HVE ETP CCR", "silhouette").recipes[0].start.key() == key
    pooled = dk_clip.table5_temporal("demo", seeds=1).cell("average pooling", "UAR").recipes[0]
    assert pooled.key() == dk_clip.table4_components("demo", seeds=1).cell("ETP", "UAR").recipes[0].key()


def test_quick_trains_few_rows() -> None:
    every = {r.key(): r for t in dk_clip.TABLES.values() for r in ordered(t("quick").recipes())}
    assert sum(r.task == "dk_clip.train" for r in every.values()) == 11
    assert all(len({c.label for c in t("quick").cells if c.recipes}) <= 4 for t in dk_clip.TABLES.values())
    assert sum(r.optim.images for r in every.values() if r.task == "dk_clip.train") <= 1_100
    assert all(r.data.image_size == 64 for r in every.values())


def test_folds() -> None:
    demo = dk_clip.table4_components("demo").cell("baseline", "UAR").recipes
    assert [r.data.fold for r in demo] == [1, 2, 3]
    paper = dk_clip.table4_components("paper", "real").cell("baseline", "UAR").recipes
    assert {r.data.fold for r in paper} == {3}
    whole = dk_clip.table2_dfew("paper", "real", seeds=5).cell("DK-CLIP ViT-B/32", "UAR").recipes
    assert [r.data.fold for r in whole] == [1, 2, 3, 4, 5]
    assert dk_clip.table3_ferv39k_mafw("demo", "open").recipes()[0].data.source == "twin"
    assert not dk_clip.noise("paper", "real").recipes()


def test_table1_is_the_paper_s() -> None:
    table = dk_clip.table1_expression_aus()
    assert (table["units"] == table["ours"]).all() and len(table) == 7
    assert table.loc["Fear", "units"] == "AU1, AU2, AU4, AU5, AU20, AU25"
    assert table.loc["Happiness", "or"] == "happiness with cheek raiser, lip corner puller or lip part"
    assert table.loc["Neutral"].tolist() == ["", "", "neutral", "neutral", "neutral"]


def test_paper_profile_is_the_paper_s() -> None:
    """Against reported/hyperparameters.csv; what it does not state must be among the assumed settings."""
    stated = reported.hyperparameters("dk_clip").set_index(["stage", "name"])["value"].to_dict()
    said = {name: value for (stage, name), value in stated.items() if stage in ("training", "model")}
    recipe = training(PROFILES["paper"], "DFEW", "real", 0)
    optim, options = recipe.optim, model.Training.model_validate(recipe.options)
    assert optim.optimizer == said["optimizer"].lower()
    assert (optim.lr, optim.weight_decay) == (float(said["learning rate"]), float(said["weight decay"]))
    assert (optim.batch_size, optim.epochs) == (int(said["batch size"]), float(said["epochs"]))
    assert optim.warmup * optim.epochs == float(said["warmup epochs"])
    assert (options.frames, options.snippets) == (int(said["frames per video T"]), int(said["snippets N"]))
    assert options.threshold == float(said["theta"])
    assert options.mixup and options.fmix and "FMix and Mixup" in said["augmentations"]
    assert options.words == "or" and options.divergence == "kl" and options.consistency_epochs is None
    assert recipe.encoder.pretrained == "openai" and recipe.encoder.name == "ViT-B-16-quickgelu"
    unstated = {"lambda": "weight", "image size": "data.image_size", "CFAM layers L": None}
    for name, field in unstated.items():
        assert said[name] == "not stated" and (field is None or field in recipe.assumed)
    known = set(model.Training.model_fields)
    assert all(
        name in known or name.startswith(("optim.", "data.")) or name in ("augment", "select")
        for name in ASSUMED
    )


# --- the published logs


def test_published_logs_by_hand() -> None:
    logs = dk_clip.published_logs().set_index(["dataset", "fold", "prediction"])
    first = logs.loc[("DFEW", 1, "global")]
    assert (first["epochs"], first["last"], first["best"], first["epoch"]) == (48, 75.99, 76.21, 35)
    assert (first["gain"], first["readme"]) == (0.22, 76.21)
    assert logs.loc[("DFEW", 1, "fused"), "best"] == 76.33
    assert len(logs) == 11 * 3 and logs["readme"].notna().all()
    assert (logs["gain"] >= 0).all() and logs["gain"].max() > 2


def test_what_choosing_by_the_test_list_gains() -> None:
    means = dk_clip.chosen_on_test()
    gains = {name: means.loc[(name, "global"), "gain"] for name in ("DFEW", "FERV39K", "MAFW")}
    assert gains == pytest.approx({"DFEW": 0.8, "FERV39K": 2.2, "MAFW": 4.4}, abs=0.06)
    assert means["folds"].unstack()["global"].to_dict() == {"DFEW": 5, "FERV39K": 1, "MAFW": 5}
    at_best = means["folds_at_best"].groupby("prediction").sum()
    assert at_best["global"] == 10  # of 11: what is published is the best test epoch of the clips' prediction
    ranks = dk_clip.ranks()
    assert (ranks["rank"] == 1).all() and (ranks["last"] <= ranks["printed"]).all()
    assert ranks.loc["MAFW", "rank_last"] > 1


# --- every kind of recipe takes a step


def kind(recipe: Recipe) -> tuple[object, ...]:
    """What makes one recipe's step differ from another's; sizes aside, N = 1 does not differ from 2, nor theta."""
    options = {k: v for k, v in recipe.options.items() if k not in ("threshold", "snippets")}
    return recipe.encoder.name, repr(options)


KINDS = {
    kind(r): r
    for table in dk_clip.TABLES.values()
    for r in reversed(ordered(table("paper", "real", seeds=1).recipes()))
    if r.optim.images != 0
}


def test_all_kinds_are_there() -> None:
    assert len(KINDS) == 5 + 2 + 4 + 1  # Tables 4, 5 and 6 with what they do not share, and the smaller tower
    assert {r.encoder.name for r in KINDS.values()} == {"ViT-B-16-quickgelu", "ViT-B-32-quickgelu"}
    assert {r.start for r in KINDS.values()} == {None}


def small(spec, split):
    """Clips of 64 pixels: two and four patches a side."""
    return load_spec(spec.model_copy(update={"image_size": 64}), split)


@cache
def cut(name: str):
    """A dual encoder of the paper's widths with one block in each tower, for 64 pixels."""
    config = open_clip.get_model_config(name)
    vision = {**config["vision_cfg"], "layers": 1, "image_size": 64}
    text = {**config["text_cfg"], "layers": 1}
    return open_clip.CLIP(
        config["embed_dim"], open_clip.CLIPVisionCfg(**vision), open_clip.CLIPTextCfg(**text), quick_gelu=True
    )


@pytest.mark.parametrize("recipe", KINDS.values(), ids=["-".join(map(str, k)) for k in KINDS])
def test_one_step_with_random_weights(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the paper's widths, with one block in each tower."""
    monkeypatch.setattr(tasks, "load_spec", small)
    monkeypatch.setattr(model, "encoder_from", lambda spec: copy.deepcopy(cut(spec.name)))
    twin = recipe.data.model_copy(update={"source": "twin", "size": "quick"})
    encoder = recipe.encoder.model_copy(update={"pretrained": None})
    task, loss, moved = stepped(recipe.model_copy(update={"data": twin, "encoder": encoder}), 2)
    assert task.model.video.visual.output_dim == 512
    assert torch.isfinite(loss) and all(moved)


# --- what pages read from runs


class Finished(Run):
    """A run without a folder."""

    metrics = {"test": {"accuracy": 0.5}, "last": {"accuracy": 0.45}}
    extra = {
        "history": [
            {"step": step, "val": {"accuracy": 0.5}, "test": {"accuracy": value}}
            for step, value in ((1, 0.6), (2, 0.4))
        ]
    }
    predictions = pd.DataFrame(
        {
            "sample": ["1", "2", "3"],
            "subject": ["1", "2", "3"],
            "target": ["anger", "fear", "fear"],
            "p_anger": [0.9, 0.8, 0.3],
            "p_fear": [0.1, 0.2, 0.7],
            "noise": [0.0, 0.25, 0.1],
            "a1": [0.1, 0.5, 0.3],
            "a2": [0.9, 0.5, 0.7],
        }
    )


def with_runs(table):
    table.runs = {r.key(): Finished(r, None) for r in table.recipes()}
    return table


def test_the_noisiest_clips_are_shown() -> None:
    run = Finished(dk_clip.fig5_snippets("quick").recipes()[0], None)
    assert noisiest(run, 2)["sample"].tolist() == ["2", "3"]


def test_recognition_by_noise() -> None:
    found = dk_clip.by_noise(with_runs(dk_clip.noise("quick"))).set_index(["row", "noise"])
    row = found.loc["HVE ETP CCR"]
    assert row["clips"].to_dict() == {"0%": 1, "15%": 1, "30%": 1, "100%": 0}
    assert row["WAR"].iloc[:3].tolist() == [100, 100, 0] and np.isnan(row["WAR"].iloc[3])


def test_choosing_by_test_clips() -> None:
    found = dk_clip.chosen(with_runs(dk_clip.selection("quick"))).iloc[0]
    assert found.to_dict() == {
        "last epoch": 45.0,
        "chosen by validation clips": 50.0,
        "best on test clips": 60.0,
        "gain of validation": 5.0,
        "gain of testing": 15.0,
    }


def test_parts_of_the_ablation() -> None:
    settings = {parts: model.Training.model_validate(options) for parts, options in PARTS.items()}
    for parts, chosen in settings.items():
        ticked = dict(item.split("=") for item in parts.split(";"))
        assert (chosen.temporal == "hierarchical") == bool(int(ticked["HVE"]))
        assert chosen.conditioned == (chosen.words == "or") == bool(int(ticked["ETP"]))
        assert chosen.consistency == bool(int(ticked["CCR"]))
    assert PARTS[WHOLE] == {} and B16 == "ViT-B/16"


# --- claims


def test_claims_read_cells_that_there_are() -> None:
    assert {c.id for c in claims("dk_clip") if not c.numeric} == set(claims_about_figures.RULES)
    for identifier, rule in claims_about_figures.RULES.items():
        assert claim(identifier).paper == "dk_clip"
        table = dk_clip.TABLES[rule.table.removeprefix("dk_clip.")]("demo", seeds=1)
        cells = rule.cells([table])
        assert {cell.label for cell in cells} == set(rule.rows) and all(cell.recipes for cell in cells)
    for identifier, prefix in (("dk_clip-17", "θ"), ("dk_clip-18", "N")):
        assert (
            f"{prefix} = {claim(identifier).statement.value}" in claims_about_figures.RULES[identifier].rows
        )


def test_silhouettes_of_clips(monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole method's clips lie apart by class, the baseline's do not."""
    table = dk_clip.fig4_tsne("quick", seeds=1)
    runs = with_runs(table)
    z = {"baseline": np.ones((20, 2)) + 0.1 * np.random.default_rng(0).random((20, 2))}

    class Looked(Finished):
        def task(self, device: str = "cpu") -> object:
            baseline = self.recipe.start.options.get("temporal") == "average"

            def features_of(tested) -> np.ndarray:
                return z["baseline"] if baseline else np.eye(7)[tested.targets] + 0.01

            return type("Task", (), {"features_of": staticmethod(features_of)})()

    table.runs = {key: Looked(run.recipe, None) for key, run in runs.runs.items()}
    rule = claims_about_figures.RULES["dk_clip-19"]
    found = rule.judge(claim("dk_clip-19"), table, rule.cells([table]))
    assert found.subjects == 20 and found.parts[0].measured.low > 0
    # A class of a single clip has silhouette 0, all others 1.
    counts = np.bincount(data.load("dfew", "test", protocol="dk_clip", fold=1).targets, minlength=7)
    assert f"mean silhouettes {(counts > 1).mean():.3f} (HVE ETP CCR)" in found.note


def scored_by_truth(run: Finished, sign: float = 1.0) -> Finished:
    """Predictions whose scores follow the expression and fall with noise, or the other way round."""
    tested = load_spec(run.recipe.data, "test")
    at = snippet_frames(clip_lengths(tested), 8, 4).numpy()
    truth = np.nan_to_num(shown_share(tested.records, at)) - 2 * noisy_share(tested.records, at)
    frame = tested.records[["sample", "subject"]].assign(target=tested.shown)
    for i, name in enumerate(tested.labels):
        frame[f"p_{name}"] = (tested.targets == i).astype(float)
    for n, values in enumerate((0.25 + 0.05 * sign * truth).T):
        frame[f"a{n + 1}"] = values
    run.predictions = frame
    return run


def test_scores_against_what_twins_know(monkeypatch: pytest.MonkeyPatch) -> None:
    table, rule = dk_clip.noise("quick"), claims_about_figures.RULES["dk_clip-20"]
    cells = rule.cells([table])
    assert [(c.label, c.column) for c in cells] == [("HVE ETP CCR", "noise detected")]
    key = cells[0].recipes[0].key()
    for sign, noise in ((1.0, 0.5), (-1.0, -0.5)):
        table.runs = {key: scored_by_truth(Finished(cells[0].recipes[0], None), sign)}
        found = rule.judge(claim("dk_clip-20"), table, cells)
        first, second, *others = found.parts
        assert first.measured.difference == pytest.approx(noise) and first.right == second.right == (sign > 0)
        assert second.measured.difference == pytest.approx(sign)
        # Twenty clips hold too few that are covered or dark to say anything of them.
        assert [part.state for part in others] == ["not run", "not run"]
    monkeypatch.setattr(claims_about_figures, "LEAST", 1)
    covered, dark = rule.judge(claim("dk_clip-20"), table, cells).parts[2:]
    assert dark.measured.difference == pytest.approx(0.02, abs=1e-6) and dark.right  # all are recognised
    assert (
        covered.state in ("decided", "not run")
        and dark.what == "WAR of the darkest quarter - of the others + 2"
    )


def test_dark_clips_and_real_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    run = scored_by_truth(Finished(training(PROFILES["quick"], "DFEW", "twin", 0), None))
    frame = claims_about_figures.snippets_against_truth(run)
    assert frame["dark"].sum() == 5 and frame["right"].all()
    clean = load_spec(run.recipe.data, "test").records["true_noisy"] == ""
    assert frame["noise"][clean].isna().all() and frame["noise"].notna().any()

    def real(spec, split):
        loaded = load_spec(spec, split)
        kept = [name for name in loaded.records if not name.startswith("true_")]
        return dataclasses.replace(loaded, records=loaded.records[kept])

    monkeypatch.setattr(claims_about_figures, "load_spec", real)
    with pytest.raises(DataError, match="real clips do not say what is noise"):
        claims_about_figures.snippets_against_truth(run)


# --- figures of the pages


def test_film_of_a_trained_model(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model with random weights: what is drawn is what it says, and nobody real is shown."""
    table = dk_clip.fig5_snippets("quick")
    recipe = table.recipes()[0]
    task = model.TrainTask(recipe.model_copy(update={"start": None}), torch.device("cpu"), None)
    save_file(
        {k: v.contiguous() for k, v in task.model.state_dict().items()}, tmp_path / "weights.safetensors"
    )
    task.model.eval()
    outcome = task.evaluate("test")
    run = Finished(recipe, tmp_path)
    run.predictions = outcome.predictions
    table.runs = {recipe.key(): run}
    one = pictures.shown(run, 3)
    rows = outcome.predictions.set_index("sample").loc[list(one.samples)]
    assert np.allclose(one.scores, rows[["a1", "a2", "a3", "a4"]], atol=1e-5)
    assert (np.diff(rows["noise"]) <= 0).all() and one.frames.shape == (3, 4, 2, 3, 64, 64) and one.drawn
    assert list(one.whole) == list(evaluation.predicted(rows))
    told = dk_clip.snippet_table(table, 3)
    assert len(told) == 12 and (told["erased"] == "erased").tolist() == (~one.kept).ravel().tolist()
    figure = dk_clip.film(table, 3)
    assert len(figure.axes) == 12 and figure.axes[0].get_ylabel().startswith(one.targets[0])
    table.runs[recipe.key()] = Finished(
        recipe.model_copy(update={"data": recipe.data.model_copy(update={"source": "real"})}), tmp_path
    )
    assert "not drawn into pages" in dk_clip.film(table)
    assert dk_clip.film(dk_clip.fig5_snippets("quick")) == "not run yet"

    # How alike its class texts are is what the text tower said of them.
    z = torch.nn.functional.normalize(task.model.texts.features, dim=-1)
    assert np.allclose(prompts.text_similarity(run), z @ z.T, atol=1e-5)


def test_similar_texts_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    table = with_runs(dk_clip.table6_prompts("demo", seeds=2))
    classes = ("anger", "disgust", "fear", "happiness", "neutral")
    monkeypatch.setattr(prompts, "_classes", lambda run: classes)
    alike = np.full((len(classes), len(classes)), 0.5) + 0.5 * np.eye(len(classes))
    alike[1, 4] = alike[4, 1] = 0.9
    monkeypatch.setattr(
        prompts, "text_similarity", lambda run: alike if run.recipe.seed else 2 * alike - 1
    )  # 0.25 and 0.85 on the mean
    found = dk_clip.prompt_similarity(table)
    assert len(found) == 5 and (found["seeds"] == 2).all()
    pairs = len(classes) * (len(classes) - 1) // 2
    assert found["mean"].unique() == pytest.approx([(0.25 * (pairs - 1) + 0.85) / pairs], abs=1e-3)
    assert set(found["closest"]) == {f"{classes[1]}, {classes[4]}"} and set(found["highest"]) == {0.85}
    assert len(dk_clip.prompt_matrices(table).axes) >= 5
    assert dk_clip.prompt_similarity(dk_clip.table6_prompts("quick")).empty


def test_what_more_views_gain() -> None:
    table = with_runs(dk_clip.more_views("demo", seeds=2))
    for i, run in enumerate(table.runs.values()):
        accuracies = {"one/": 0.5, "clips/": 0.52, "": 0.54 + 0.02 * i}
        run.metrics = {
            "test": {f"{k}{m}": v for k, v in accuracies.items() for m in ("accuracy", "mean_class_accuracy")}
        }
    found = dk_clip.gained(table)
    assert found.loc[("WAR", "4 clips"), "gain"] == pytest.approx(2.0)
    row = found.loc[("UAR", "4 clips × 3 crops")]
    assert row.tolist() == pytest.approx([5.0, 4.0, 6.0, 2])
    assert {r.start.key() for r in dk_clip.more_views("demo").recipes()} <= {
        r.key() for r in dk_clip.table4_components("demo").recipes()
    }


def test_figures_draw_what_was_run() -> None:
    swept = with_runs(dk_clip.fig3_theta_n("quick"))
    for run in swept.runs.values():
        run.metrics = {"test": {"accuracy": 0.5, "mean_class_accuracy": 0.4}}
    lines = dk_clip.swept(swept, "θ").axes[0].get_lines()
    assert {tuple(line.get_xdata()) for line in lines[:2]} == {(0.15, 0.25)}
    assert dk_clip.learning(with_runs(traced_once())).axes
    assert len(dk_clip.shares(with_runs(dk_clip.noise("quick"))).axes[0].patches) == 9


def traced_once():
    table = dk_clip.selection("quick")
    assert {r.evaluations for r in table.recipes()} == {2}
    assert {r.evaluations for r in dk_clip.selection("demo", seeds=1).recipes()} == {10}
    return table


def test_figures_and_tables_of_what_is_data() -> None:
    assert [axes.get_title()[:4] for axes in dk_clip.curves().axes] == ["DFEW", "FERV", "MAFW"]
    mafw = dk_clip.ranking("MAFW")
    assert mafw.index[:2].tolist() == ["DK-CLIP ViT-B/16", "DK-CLIP ViT-B/32"]
    assert mafw.loc["DK-CLIP ViT-B/16, last epoch", "WAR"] == 52.13 and mafw["WAR"].is_monotonic_decreasing
    late = dk_clip.published_logs().set_index(["dataset", "fold", "prediction"])["late"]
    log = reported.table("dk_clip_logs").query("dataset == 'DFEW' and fold == 1").sort_values("epoch")
    assert late["DFEW", 1, "global"] == pytest.approx(log["war_global"].tail(10).mean(), abs=0.006)
    differing = dk_clip.same_as_files()
    assert differing.loc["Disgust"].tolist() == ["or", "and"] and not differing.loc["Neutral"].any()
    assert dk_clip.shared_units().axes


def test_own_rows_of_a_comparison() -> None:
    part = dk_clip.own(dk_clip.table2_dfew("quick"), "WAR")
    assert [cell.label for cell in part.cells] == ["DK-CLIP ViT-B/32", "DK-CLIP ViT-B/16"]
