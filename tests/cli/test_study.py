"""`slmrec study` as typed: plan, run, page, and what is refused."""

import json

import pytest

from slmrec.cli.main import main


def study(house, out, name: str, *options: object) -> int:
    fixed = ("--data", house.data, "--out", out, "--recipe", house.recipe)
    return main(["study", name, *map(str, (*fixed, *options))])


def test_a_study_from_the_command_line(house, tmp_path, capsys):
    chosen = ("--seeds", 2, "--model", "SASRec", "--model", "cross-entropy alone")
    chosen += ("--student.training.valid-users", "none", "--student.train-items", "true")  # as they are anyway
    assert study(house, tmp_path, "ablation", *chosen, "--plan") == 0
    told = capsys.readouterr().err
    assert "4 results; to be made, with what they need: 4" in told
    assert not list(tmp_path.iterdir())
    assert study(house, tmp_path, "ablation", *chosen) == 0
    printed = capsys.readouterr().out
    assert "| cross-entropy alone | 2 |" in printed
    found = json.loads((tmp_path / "ablation.json").read_text())
    assert found["data"]["clicks"]["models"].keys() == {"SASRec", "cross-entropy alone"}
    typed = (
        "slmrec study ablation --data data --seeds 2 --model SASRec --model 'cross-entropy alone' --recipe tiny.toml "
        "--student.training.valid-users none --student.train-items true"
    )
    assert found["command"] == typed
    assert (tmp_path / "ablation.md").read_text().strip() == printed.rpartition("results: ")[0].strip()
    assert (tmp_path / "ablation-clicks.svg").exists()
    assert study(house, tmp_path, "ablation", *chosen) == 0
    assert "to be made, with what they need: 0" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("ablaton",), "there is no study 'ablaton'; did you mean 'ablation'?"),
        (("ablation", "--model", "SASrec"), "study ablation has no model 'SASrec'; it has: SASRec"),
        (("pretraining", "--model", "titles"), "; pretrained, titles; random weights, titles; "),  # names have commas
        (("ablation", "--seeds", "0"), "--seeds"),
        (("ablation", "--teacher.layers", "3"), "3 layers and 2 blocks"),
    ],
)
def test_mistakes_end_before_training(words, sentence, house, tmp_path, capsys):
    assert study(house, tmp_path / "out", *words) == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_help_page_names_every_study(capsys):
    with pytest.raises(SystemExit):
        main(["study", "--help"])
    from slmrec.studies.names import STUDIES

    printed = capsys.readouterr().out
    assert all(name in printed for name in STUDIES)
