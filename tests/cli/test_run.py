"""`slmrec run`: the whole job by one command, against the names its contract gives to what it makes."""

import json

import pytest

from slmrec.cli.main import main

COLUMNS = ["--column", "user_id=user", "--column", "item_id=item", "--column", "timestamp=when"]
MODELS = ["popularity", "item_knn", "sasrec", "teacher", "student_ce", "student"]


def words(house, out, *more: str) -> list[str]:
    return ["run", str(house.source), "--out", str(out), "--recipe", str(house.recipe), *COLUMNS, *more]


@pytest.fixture(scope="module")
def run(house, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "clicks"
    assert main(words(house, out, "--student.layers", "2", "--sasrec.training.epochs", "1")) == 0
    return out


def test_the_run_folder_holds_what_was_promised(run):
    for name in ("data", *MODELS):
        assert (run / name).is_dir()
    assert (run / "report.html").stat().st_size > 10_000
    found = json.loads((run / "metrics.json").read_text())
    assert [one["model"] for one in found] == MODELS
    assert {one["split"] for one in found} == {"test"}


def test_the_command_line_overrides_the_recipe_and_is_recorded(run, house):
    recipe = json.loads((run / "run.json").read_text())["recipe"]
    assert recipe["sasrec"]["training"]["epochs"] == 1  # the command line's
    assert recipe["sasrec"]["training"]["batch_size"] == 16  # the recipe's
    assert recipe["sasrec"]["num_heads"] == 1  # neither's


def test_typed_again_it_answers_at_once_with_the_table(run, house, capsys):
    assert main(words(house, run, "--student.layers", "2", "--sasrec.training.epochs", "1")) == 0
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert [line.split()[0] for line in lines[2 : 2 + len(MODELS)]] == MODELS
    assert lines[-1] == f"report: {run / 'report.html'}"


def test_another_recipe_does_not_go_into_the_same_folder(run, house, capsys):
    assert main(words(house, run, "--student.layers", "1", "--distillation.blocks", "1")) == 2
    assert "student.layers" in capsys.readouterr().err


def test_its_models_answer(run, capsys):
    assert main(["recommend", str(run / "student"), "--history", "003,004", "-k", "1", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 1


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--student.layers", "5"], "student.layers is 5, teacher.layers 4"),
        (["--student.width", "16"], "student.width is 16, teacher.width 0: with distillation.form 'paper'"),
        (["--student.width", "12", "--distillation.form", "scores"], "want a multiple of 8"),
        (["--distillation.blocks", "3"], "the teacher has 4 layers and 3 blocks were asked for"),
        (["--distillation.temperature", "2"], "distillation.temperature is for students that follow scores"),
        (["--teacher.layers", "9", "--distillation.blocks", "1"], "has 4 layers, but 9 were asked for"),
        (["--teacher.backbone", "no/such/decoder"], "backbone 'no/such/decoder' cannot be loaded"),
        (["--recipe", "defualt"], "there is no recipe 'defualt'"),
        (["--sasrec.training.batch-size", "0"], "batch_size is 0, but must be at least 1"),
        (["--teacher.training.valid-users", "0"], "valid_users is 0, but must be at least 1"),
        (["--column", "user_id=visitor"], "visitor"),
        (["--format", "no-such"], "no-such"),
    ],
)
def test_mistakes_leave_nothing(more, sentence, house, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert main(words(house, tmp_path / "run", *more)) == 2
    assert sentence in capsys.readouterr().err
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_an_unknown_key_of_a_recipe_file_is_named(house, tmp_path, capsys):
    recipe = tmp_path / "mine.toml"
    recipe.write_text("[teacher.training]\nepoks = 3\n")
    assert main(words(house, tmp_path / "run", "--recipe", str(recipe))) == 2
    said = capsys.readouterr().err
    assert f"{recipe}: unknown key 'teacher.training.epoks'; did you mean 'epochs'?" in said
