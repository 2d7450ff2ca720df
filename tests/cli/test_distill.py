"""`slmrec distill`: the student against its teacher, and what is refused before any training."""

import json

import pytest

from slmrec.cli.main import main
from slmrec.models import load


def words(house, out, *more: str) -> list[str]:
    fixed = ["--teacher", house.teacher, "--data", house.data, "--out", out, "--recipe", house.recipe]
    return ["distill", *map(str, fixed), *more]


def test_the_student_is_a_model_of_the_recipes_depth(house):
    student, teacher = load(house.student), load(house.teacher)
    assert (student.num_layers, teacher.num_layers) == (2, 4)
    assert student.item_vectors().shape == teacher.item_vectors().shape
    assert house.printed["student"].startswith(f"{house.student}: ")


def test_layers_blocks_and_weights_are_options(house, tmp_path, capsys):
    changed = ["--layers", "1", "--blocks", "1", "--lambda2", "0", "--training.max-steps", "1"]
    assert main(words(house, tmp_path / "s", *changed, "--item-table", str(house.sasrec))) == 0
    assert load(tmp_path / "s").num_layers == 1
    log = json.loads((tmp_path / "s" / "training.json").read_text())["log"]
    assert log
    assert [path.name for path in tmp_path.iterdir()] == ["s"]


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--layers", "8"], "the student has 8 layers, the teacher 4: a student cannot be deeper"),
        (["--layers", "3", "--blocks", "2"], "the student has 3 layers and 2 blocks were asked for"),
        (["--blocks", "3"], "the teacher has 4 layers and 3 blocks were asked for"),
        (["--blocks", "0"], "blocks is 0, but must be at least 1"),
        (["--lambda1", "-1"], "lambda1 is -1.0, but a loss weight cannot be negative"),
        (["--teacher", "no-such-folder"], "there is no model folder no-such-folder"),
        (["--kind", "bert4rec"], "invalid choice: 'bert4rec'"),
        (["--kind", "caser", "--window", "11"], "window is 11, but only the 10 items"),
        (["--out", "TEACHER"], "the teacher itself"),
        (["--start", "teacher-adapters", "--item-table", "SASREC"], "drop --item-table or the start"),
        (["--width", "16", "--start", "teacher"], "width is 16, which takes random weights"),
        (["--width", "16"], "the student is to be 16 wide, but the teacher's states, which it follows, are 32 wide"),
        (["--width", "12", "--form", "scores"], "want a multiple of 8"),
        (["--layers-by", "influence"], "take slmrec distill --start teacher"),
        (["--temperature", "2"], "temperature is for students that follow scores"),
        (["--teacher", "SASREC", "--form", "paper"], "drop --form, and the student follows its teachers' scores"),
        (["--teacher", "SASREC", "--lambda1", "2"], "lambda1 is for students that follow states"),
        (["--kind", "sasrec", "--blocks", "2"], "blocks is for students that follow states"),
    ],
)
def test_mistakes_end_before_training(more, sentence, house, tmp_path, capsys):
    folders = {"SASREC": str(house.sasrec), "TEACHER": str(house.teacher)}
    more = [folders.get(word, word) for word in more]
    assert main(words(house, tmp_path / "s", *more)) == 2
    told = capsys.readouterr()
    assert sentence in told.err
    assert "to train" not in told.out + told.err  # what it would have cost
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("no_training")
def test_a_teacher_of_other_items_is_refused(house, tmp_path, capsys):
    other = tmp_path / "other.csv"
    other.write_text("user_id,item_id,timestamp\n" + "".join(f"1,{item},{item}\n" for item in range(10, 15)))
    recipe = ["--recipe", str(house.recipe)]
    assert main(["data", "prepare", str(other), "--out", str(tmp_path / "d"), *recipe]) == 0
    capsys.readouterr()
    assert main(words(house, tmp_path / "s", "--data", str(tmp_path / "d"))) == 2
    assert "knows 30 items, 'other' has 5 others" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["gru4rec", "caser", "esasrec"])
def test_other_classic_students_follow_an_ensemble(kind, house, tmp_path):
    teachers = ["--teacher", str(house.sasrec), str(house.popularity)]
    assert main(words(house, tmp_path / "s", *teachers, f"--kind={kind}", "--training.max-steps", "2")) == 0
    assert load(tmp_path / "s").kind == kind
    assert "score_kl" in json.loads((tmp_path / "s" / "training.json").read_text())["log"][0]


def test_several_teachers_teach_either_kind_by_their_scores(house, tmp_path, capsys):
    teachers = ["--teacher", str(house.sasrec), str(house.teacher)]
    for kind, out in (("sasrec", tmp_path / "classic"), ("llm", tmp_path / "deep")):
        more = ["--kind", kind, "--training.max-steps", "2", "--weigh-teachers", "true"]
        assert main(words(house, out, *teachers, *more)) == 0
        assert load(out).kind == {"sasrec": "sasrec", "llm": "slmrec"}[kind]
        log = json.loads((out / "training.json").read_text())["log"]
        assert {"score_kl", "cross_entropy"} <= set(log[0])
    assert load(tmp_path / "deep").num_layers == 2
    more = ["--training.max-steps", "2", "--width", "16"]
    assert main(words(house, tmp_path / "narrow", *teachers, *more)) == 0
    assert load(tmp_path / "narrow").input_adapter.out_features == 16  # the teacher's 32
    capsys.readouterr()
    for more, sentence in (
        (["--kind", "sasrec", "--layers", "2"], "unknown option --layers"),
        (["--kind", "sasrec", "--item-table", str(house.sasrec)], "--item-table is for an llm student"),
        (["--kind", "sasrec", "--max-length", "40"], "reads 10 items, the student 40"),
        (["--temperature", "0"], "temperature is 0.0"),
    ):
        assert main(words(house, tmp_path / "no", *teachers, *more)) == 2
        assert sentence in capsys.readouterr().err
    assert not (tmp_path / "no").exists()


def test_a_budget_picks_the_depth(house, tmp_path, capsys):
    def distill(*options: object) -> int:
        given = ("--teacher", house.teacher, "--data", house.data, "--recipe", house.recipe, *options)
        return main(["distill", *map(str, given)])

    one = load(house.student).parameter_counts()["without_vocabulary"]  # two layers
    assert distill("--budget-parameters", one, "--blocks", 1, "--out", tmp_path / "a") == 0
    assert load(tmp_path / "a").num_layers == 2
    assert "the budget allows 2 layers" in capsys.readouterr().err
    assert distill("--budget-ms", 10_000, "--out", tmp_path / "b") == 0
    assert load(tmp_path / "b").num_layers == 4  # whole blocks, no deeper than the teacher
    capsys.readouterr()
    for options, sentence in (
        (("--budget-ms", 0.0001), "the shallowest, takes"),
        (("--budget-ms", "fast"), "must be a number above 0"),
        (("--budget-ms", 1, "--kind", "sasrec"), "a budget picks an llm student's depth"),
    ):
        assert distill(*options, "--out", tmp_path / "none") == 2
        assert sentence in capsys.readouterr().err
        assert not (tmp_path / "none").exists()
