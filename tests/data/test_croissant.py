import json
import warnings
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fbu import cli
from fbu.data import croissant, load_manifest, manifest, names

runner = CliRunner()


def validated(text: str, folder: Path) -> object:
    mlcroissant = pytest.importorskip(
        "mlcroissant", reason="validation needs mlcroissant, of the extra `test`"
    )
    (folder / "croissant.json").write_text(text, encoding="utf-8")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about its own dependencies
        return mlcroissant.Dataset(str(folder / "croissant.json"))


@pytest.mark.parametrize("name", names())
def test_export_is_valid(name: str, tmp_path: Path) -> None:
    found = validated(croissant.to_json(name), tmp_path).metadata  # type: ignore[attr-defined]
    assert not found.ctx.issues.errors
    # Neither a date nor a citation is in the manifests, and nothing else is missing.
    assert {issue.split("/")[-1].split('"')[0] for issue in found.ctx.issues.warnings} == {
        "datePublished",
        "citeAs",
    }
    assert found.ctx.conforms_to.value == "http://mlcommons.org/croissant/1.0"
    assert found.name == name and found.distribution


@pytest.mark.parametrize("name", names())
def test_export_says_what_the_manifest_says(name: str) -> None:
    known = load_manifest(name)
    found = croissant.croissant(name)
    assert found["conditionsOfAccess"] == known.obtain and found["usageInfo"] == known.licence
    assert known.title in found["description"] and known.tree.text.splitlines()[0] in found["description"]
    assert f"{known.expected.rows:,} rows" in found["description"]
    fields = {field["name"] for records in found["recordSet"] for field in records["field"]}
    labels = set(known.labels) if known.kind == "au" else {"expression"}
    assert {"sample", "path", "subject"} | labels <= fields
    if known.classes:
        rows = found["recordSet"][0]["data"]
        assert {row["classes/code"]: row["classes/name"] for row in rows} == known.codes


def test_only_open_sets_have_an_address() -> None:
    for name in names():
        urls = [file.get("contentUrl", "") for file in croissant.croissant(name)["distribution"]]
        assert any(url.startswith("https://") for url in urls) == load_manifest(name).open


def test_dataset_that_nobody_described(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    other = load_manifest("rafdb").model_copy(update={"name": "another"})
    monkeypatch.setattr(croissant, "load_manifest", lambda _: other)
    found = croissant.croissant("another")
    assert [field["name"] for field in found["recordSet"][0]["field"]] == ["sample", "path"]
    assert not validated(json.dumps(found), tmp_path).metadata.ctx.issues.errors  # type: ignore[attr-defined]


def test_command(tmp_path: Path) -> None:
    printed = runner.invoke(cli.app, ["data", "croissant", "bp4d"])
    assert printed.exit_code == 0 and json.loads(printed.stdout) == croissant.croissant("bp4d")
    out = tmp_path / "new" / "bp4d.json"
    written = runner.invoke(cli.app, ["data", "croissant", "bp4d", "--out", str(out)])
    assert written.exit_code == 0 and out.read_text(encoding="utf-8") == printed.stdout
    with pytest.raises(manifest.DataError, match="unknown dataset 'raf'"):
        croissant.croissant("raf")
