"""`slmrec combine`: what it prints, what the folder does, and what it refuses."""

import json

import pytest

from slmrec.cli.main import main
from slmrec.data import Dataset
from slmrec.evaluation import evaluate
from slmrec.models import load


@pytest.fixture(scope="module")
def rules(house, tmp_path_factory):
    out = tmp_path_factory.mktemp("combine") / "rules"
    assert main(["train", "sequential-rules", "--data", str(house.data), "--out", str(out)]) == 0
    return out


def test_two_models_become_one_that_every_command_takes(house, rules, tmp_path, capsys):
    out = tmp_path / "both"
    capsys.readouterr()
    assert main(["combine", str(house.student), str(rules), "--data", str(house.data), "--out", str(out)]) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head == f"{out}: what each counts, by the validation split of clicks"
    weights = json.loads((out / "training.json").read_text())["weights"]
    assert [row.split()[:2] for row in rows] == [
        [str(folder), f"{weight:.3g}"] for folder, weight in zip((house.student, rules), weights, strict=True)
    ]
    assert all(row.endswith("left out") == (not weight) for row, weight in zip(rows, weights, strict=True))
    assert main(["evaluate", str(out), "--data", str(house.data)]) == 0
    ranked = evaluate(load(out), Dataset.load(house.data)).metrics["NDCG@10"]
    assert f"{ranked:.4f}" in capsys.readouterr().out
    assert main(["recommend", str(out), "--history", "003,004", "-k", "2"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[2] == "005"  # every user walks round the ring


@pytest.mark.parametrize(
    ("models", "out", "says"),
    [
        (["sasrec"], "new", "one model alone is no ensemble; give two or more"),
        (["sasrec", "student"], "student", "one of the models itself"),
        (["sasrec", "nowhere"], "new", "there is no model folder"),
    ],
)
def test_wrong_requests_are_refused(house, tmp_path, capsys, models, out, says):
    folders = [str(getattr(house, name, tmp_path / name)) for name in models]
    target = getattr(house, out, tmp_path / out)
    assert main(["combine", *folders, "--data", str(house.data), "--out", str(target)]) == 2
    assert says in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
