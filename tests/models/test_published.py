"""The table of published weights, its command, and that its counts are those of the architectures."""

import json
from pathlib import Path

import open_clip
import pytest
import timm
import torch
from torchvision import models
from typer.testing import CliRunner

from fbu import cli
from fbu.errors import DataError
from fbu.experiments.profiles import FARL_FILE, PROFILES
from fbu.models import published as module
from fbu.models.published import load_published, published, weights_named
from fbu.models.visual import FaceSwin

runner = CliRunner()
FOLDERS = ("align", "blip")


@pytest.fixture
def resnet_file(tmp_path, monkeypatch):
    """FBU_DATA with one right file."""
    monkeypatch.setenv("FBU_DATA", str(tmp_path))
    (tmp_path / "weights").mkdir()
    file = tmp_path / "weights" / "resnet18_msceleb.pth"
    torch.save({"state_dict": models.resnet18().state_dict()}, file)
    return file


def test_table_is_complete():
    entries = published()
    for field in ("name", "file"):
        values = [getattr(entry, field) for entry in entries]
        assert len(values) == len(set(values))
    assert {entry.loader for entry in entries} == {"clip", "farl", "resnet", "swin", "vit", "align", "blip"}
    assert {paper for entry in entries for paper in entry.papers} == {"clef", "ke_fer", "dk_clip"}
    assert all((entry.extra == "align") == (entry.loader in FOLDERS) for entry in entries)


def test_table_has_what_the_profile_asks_for():
    paper = PROFILES["paper"]
    farl = weights_named(FARL_FILE)
    assert farl.loader == "farl" and farl.architecture == paper.encoder_for("FaRL").name
    tag = paper.encoder_for("CLIP")
    assert tag.pretrained == "openai" and any(e.fetched and e.architecture == tag.name for e in published())


def built(entry):
    with torch.device("meta"):
        if entry.loader in ("clip", "farl"):
            return open_clip.create_model(entry.architecture, load_weights=False, device="meta")
        if entry.loader == "resnet":
            model = models.get_model(entry.architecture, weights=None)
            model.fc = torch.nn.Identity()
            return model
        if entry.loader == "swin":
            return FaceSwin()
        return timm.create_model(entry.architecture, pretrained=False, num_classes=0)


@pytest.mark.parametrize("name", [e.name for e in published() if e.loader not in FOLDERS])
def test_counts_are_those_of_the_architecture(name):
    entry = weights_named(name)
    state = built(entry).state_dict()
    assert (len(state), sum(v.numel() for v in state.values())) == (entry.tensors, entry.numbers)


@pytest.mark.parametrize("name", FOLDERS)
def test_counts_of_text_towers(name):
    transformers = pytest.importorskip("transformers")
    entry = weights_named(name)
    kind, width = ("Align", "projection_dim") if name == "align" else ("Blip", "image_text_hidden_size")
    config = getattr(transformers, f"{kind}Config")()
    with torch.device("meta"):
        tower = getattr(transformers, f"{kind}TextModel")(config.text_config, add_pooling_layer=False)
        projection = torch.nn.Linear(config.text_config.hidden_size, getattr(config, width))
    tensors = [*tower.state_dict().values(), *projection.state_dict().values()]
    assert (len(tensors), sum(v.numel() for v in tensors)) == (entry.tensors, entry.numbers)


def test_paths_follow_the_data_root(monkeypatch, tmp_path):
    entry = weights_named("farl-ep64")
    assert entry.path is None and not entry.present and entry.row()["path"] is None
    monkeypatch.setenv("FBU_DATA", str(tmp_path))
    assert entry.path == tmp_path / "weights" / FARL_FILE and not entry.present
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / FARL_FILE).touch()
    assert entry.present and entry.row()["present"]


def test_load_by_name(resnet_file):
    model, report = load_published("resnet18-msceleb")
    entry = weights_named("resnet18-msceleb")
    assert (report.loaded, report.numbers) == (entry.tensors, entry.numbers)
    assert report.file == resnet_file and isinstance(model, models.ResNet)


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("clip-b16", "weights.load_clip"),
        ("farl-ep16", "weights.load_farl"),
        ("swin-msceleb", "visual.load_swin"),
        ("vit-b16", "visual.load_vit"),
        ("align", "texts.load_text_tower"),
        ("blip", "texts.load_text_tower"),
    ],
)
def test_every_entry_reaches_its_loader(monkeypatch, tmp_path, name, function):
    entry, seen = weights_named(name), []
    monkeypatch.setenv("FBU_DATA", str(tmp_path))
    assert entry.path is not None
    entry.path.parent.mkdir()
    entry.path.touch()
    monkeypatch.setattr(f"fbu.models.{function}", lambda *given, **options: seen.append((given, options)))
    load_published(name, image_size=112)
    (given, options) = seen[0]
    assert entry.path in given and options == {"image_size": 112}
    assert name not in FOLDERS or given[0] == name.upper()


def test_what_is_not_there_is_named(monkeypatch, tmp_path):
    with pytest.raises(DataError, match="unknown weights 'farl': known are clip-b16"):
        load_published("farl")
    with pytest.raises(DataError, match="FBU_DATA is not set"):
        load_published("farl-ep64")
    monkeypatch.setenv("FBU_DATA", str(tmp_path))
    with pytest.raises(DataError, match="ep64.pth is not there; it comes from https://github.com"):
        load_published("farl-ep64")


def test_malformed_table_is_named(monkeypatch, tmp_path):
    (tmp_path / "published.yml").write_text("- {name: x}\n")
    monkeypatch.setattr(module, "resource", lambda name: tmp_path / Path(name).name)
    with pytest.raises(DataError, match="published.yml: entry 1, field file"):
        published()


def test_page_lists_every_file_with_its_counts():
    page = (Path(__file__).parents[2] / "book" / "weights.md").read_text()
    rows = {row.split("`")[1]: row for row in page.splitlines() if row.startswith("| `")}
    assert set(rows) >= {entry.file for entry in published()}
    for entry in published():
        counts = f"{entry.numbers:,} numbers"
        assert counts in rows[entry.file] or rows[entry.file].endswith("| the same |")


def test_command_lists_files(resnet_file):
    result = runner.invoke(cli.app, ["data", "weights"])
    assert result.exit_code == 0, result.output
    for entry in published():
        assert entry.file in result.output and entry.origin in result.output
        assert f"if lost: {entry.substitute}" in result.output
    rows = {line.split("│")[3].strip(): line for line in result.output.splitlines() if line.count("│") == 4}
    assert "yes" in rows["resnet18_msceleb.pth"] and "yes" not in rows["start_0.pt"]
    assert "fetched" in rows["ViT-B-16.pt"]


def test_command_as_json(tmp_path, monkeypatch):
    monkeypatch.setenv(
        "FBU_DATA", "elsewhere"
    )  # --data-root replaces it; the end of the test takes both back
    (tmp_path / "weights" / "align-base").mkdir(parents=True)
    result = runner.invoke(cli.app, ["data", "weights", "--json", "--data-root", str(tmp_path)])
    rows = {row["name"]: row for row in json.loads(result.output)}
    assert rows["align"]["present"] and not rows["farl-ep64"]["present"]
    assert rows["farl-ep64"]["path"].endswith(f"weights/{FARL_FILE}")
    assert {"licence", "origin", "substitute", "uses", "architecture"} <= set(rows["clip-b16"])


def test_command_checks_files(resnet_file):
    result = runner.invoke(cli.app, ["data", "weights", "--check", "--json"])
    assert result.exit_code == 0, result.output
    assert "right: resnet18_msceleb.pth -> resnet18: 120 tensors, 11,186,132 numbers" in result.stderr
    (resnet_file.parent / "start_0.pt").write_bytes(b"<html>")
    result = runner.invoke(cli.app, ["data", "weights", "--check", "--json"])
    assert result.exit_code == 1 and "web page" in result.stderr
    assert len(json.loads(result.stdout)) == len(published())
