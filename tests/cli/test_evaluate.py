"""`slmrec evaluate`: its JSON and table against the Python API's numbers and the contract's names."""

import json
import typing

import pytest

from slmrec.cli.evaluate import _names
from slmrec.cli.main import main, parser
from slmrec.data import Dataset
from slmrec.evaluation import evaluate, protocol
from slmrec.models import load


def test_json_has_the_contracts_shape_and_the_apis_numbers(house, tmp_path, capsys):
    target = tmp_path / "found.json"
    models = [house.popularity, house.sasrec, house.student]
    assert main(["evaluate", *map(str, models), "--data", str(house.data), "--json", str(target)]) == 0
    capsys.readouterr()
    found = json.loads(target.read_text())
    assert [one["model"] for one in found] == ["popularity", "sasrec", "student"]
    assert [one["kind"] for one in found] == ["popularity", "sasrec", "slmrec"]
    for one, folder in zip(found, models, strict=True):
        assert {"model", "kind", "data", "split", "protocol", "seen", "users", "seed", "metrics"} <= set(one)
        assert list(one["metrics"]) == [
            "HR@1",
            "HR@5",
            "HR@10",
            "HR@20",
            "NDCG@5",
            "NDCG@10",
            "NDCG@20",
            "MRR",
        ]
        assert set(one["parameters"]) == {"total", "without_vocabulary", "trained"}
        assert (one["split"], one["protocol"], one["seen"], one["users"], one["seed"]) == (
            "test",
            "full",
            "masked",
            40,
            0,
        )
        expected = evaluate(load(folder), Dataset.load(house.data))
        assert one["metrics"] == pytest.approx(expected.metrics)
        assert one["seconds"] > 0


def test_the_table_has_a_row_a_model_and_aligned_columns(house, capsys):
    assert main(["evaluate", str(house.popularity), str(house.sasrec), "--data", str(house.data)]) == 0
    captured = capsys.readouterr()
    head, names, *rows = captured.out.splitlines()
    assert head.startswith("clicks, test split, full ranking, seen items masked: 40 users, 40 cases, ")
    assert names.split() == [
        "model",
        "kind",
        *["HR@1", "HR@5", "HR@10", "HR@20", "NDCG@5", "NDCG@10", "NDCG@20", "MRR"],
        "parameters",
        "seconds",
    ]
    assert [row.split()[0] for row in rows] == ["popularity", "sasrec"]
    assert len({len(line) for line in (names, *rows)}) == 1
    assert "Evaluating popularity on clicks" in captured.err


def test_split_protocol_seen_and_seed_reach_the_evaluation(house, tmp_path):
    target = tmp_path / "found.json"
    options = ["--split", "valid", "--protocol", "sampled", "--seen", "kept", "--seed", "7"]
    words = ["evaluate", str(house.sasrec), "--data", str(house.data), "--json", str(target)]
    assert main([*words, *options]) == 0
    (one,) = json.loads(target.read_text())
    assert (one["split"], one["protocol"], one["seen"], one["seed"]) == ("valid", "sampled", "kept", 7)
    expected = evaluate(load(house.sasrec), Dataset.load(house.data), "valid", "sampled", "kept", seed=7)
    assert one["metrics"] == pytest.approx(expected.metrics)


def test_the_choices_are_the_evaluations():
    words = ["evaluate", "m", "--data", "d"]
    for option, choices in (
        ("split", protocol.Split),
        ("protocol", protocol.Ranking),
        ("seen", protocol.Seen),
    ):
        for choice in typing.get_args(choices):
            assert getattr(parser().parse_args([*words, f"--{option}", choice]), option) == choice


def test_folders_of_one_name_are_told_apart(tmp_path):
    folders = [tmp_path / "a" / "student", tmp_path / "b" / "student", tmp_path / "a" / "teacher"]
    assert list(_names(folders).values()) == [str(folders[0]), str(folders[1]), "teacher"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["no-such-folder", "--data", "DATA"], "there is no model folder no-such-folder"),
        (["DATA", "--data", "DATA"], "config.json is missing"),
        (["--data", "no-such-folder"], "there is no data folder at no-such-folder"),
        (
            ["--data", "DATA", "--json", "no/such/folder/x.json"],
            "there is no folder no/such/folder to write x.json into",
        ),
        (["--data", "DATA", "--json", "DATA"], "is a folder, but a file is to be written there"),
    ],
)
def test_mistakes_end_before_any_ranking(words, sentence, house, monkeypatch, capsys):
    def rank(*_, **__):
        raise AssertionError("it went on to rank")

    monkeypatch.setattr("slmrec.evaluation.evaluate", rank)
    words = [str(house.data) if word == "DATA" else word for word in words]
    assert main(["evaluate", str(house.sasrec), *words]) == 2
    captured = capsys.readouterr()
    assert sentence in captured.err
    assert captured.out == ""
