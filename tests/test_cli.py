import pytest
from typer.testing import CliRunner

from fbu import cli, data
from fbu.recipes import Recipe

runner = CliRunner()


def recipe():
    return Recipe.model_validate(
        {
            "task": "clef.finetune",
            "data": {"name": "rafdb"},
            "options": {"use": "I"},
            "optim": {"images": 64},
            "seed": 21,
        }
    )


def test_dry_run_lists_recipes_time_and_memory():
    result = runner.invoke(cli.app, ["run", "--table", "clef.fig5_similarity", "--dry-run"])
    assert result.exit_code == 0, result.output
    assert "minutes" in result.output and "MB" in result.output
    assert "to run" in result.output and "seconds" in result.output


def test_run_and_once_more(tmp_path):
    file = tmp_path / "recipe.json"
    file.write_text(recipe().model_dump_json())
    for _ in range(2):
        result = runner.invoke(cli.app, ["run", str(file), "--device", "cpu"])
        assert result.exit_code == 0, result.output
        assert "accuracy" in result.output


def test_data_list_and_twin(tmp_path):
    result = runner.invoke(cli.app, ["data", "list", "--names"])
    assert result.output.split() == list(data.names())
    result = runner.invoke(cli.app, ["data", "twin", "rafdb", "--root", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert list(tmp_path.rglob("list_patition_label.txt"))
    result = runner.invoke(cli.app, ["data", "check", "rafdb", "--root", str(tmp_path)])
    assert result.exit_code == 0 and "rafdb (twin)" in result.output and "0 errors" in result.output


def test_claims_and_info():
    result = runner.invoke(cli.app, ["claims"])
    assert result.exit_code == 0 and "clef" in result.output
    result = runner.invoke(cli.app, ["info"])
    assert result.exit_code == 0 and "FBU_HOME" in result.output and "ledger demo" in result.output


def test_ledger_commands(tmp_path, monkeypatch):
    monkeypatch.setenv("FBU_LEDGER", str(tmp_path))
    arguments = ["fbu", "ledger", "add", "--table", "clef.table7_ablation", "--profile", "full"]
    monkeypatch.setattr("sys.argv", arguments)
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "nowhere.json"], "nowhere.json: no such recipe file"),
        (["run", "--table", "clef.table8"], "table7_ablation"),
        (["run", "--table", "clef.table7_ablation", "--profile", "quik"], "quick, demo"),
        (["ledger", "verify", "--profile", "full"], "no rows to verify"),
    ],
)
def test_wrong_input_is_one_line(arguments, words, capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["fbu", *arguments])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 2
    printed = capsys.readouterr().out
    assert words in printed.replace("\n", " ") and "Traceback" not in printed


def test_malformed_recipe_names_the_field(tmp_path, capsys, monkeypatch):
    (tmp_path / "r.json").write_text(
        '{"task": "clef.finetune", "data": {"name": "rafdb"}, "optim": {"imags": 3}}'
    )
    monkeypatch.setattr("sys.argv", ["fbu", "run", str(tmp_path / "r.json")])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 2
    assert "optim" in capsys.readouterr().out


def test_import_is_light():
    """`import fbu` brings in neither torch nor pandas."""
    import subprocess
    import sys

    code = "import fbu, sys; print(sorted(set(sys.modules) & {'torch', 'pandas', 'open_clip', 'sklearn'}))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
