"""`slmrec recommend`: its JSON and table against the Python API, and the rules of the catalogue."""

import json

import pytest

from slmrec.cli.main import main
from slmrec.data import Dataset
from slmrec.models import load


@pytest.fixture
def recommend(house, capsys):
    def recommend(*words: str) -> list[dict]:
        assert main(["recommend", str(house.sasrec), *words, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    return recommend


def test_json_is_the_apis_frame_with_texts(house, recommend):
    found = recommend("--history", "003, 004,005", "-k", "4")
    assert [set(one) for one in found] == [{"item_id", "score", "rank", "text"}] * 4
    expected = load(house.sasrec).recommend([["003", "004", "005"]], k=4)
    assert [one["item_id"] for one in found] == expected["item_id"].to_list()
    assert [one["rank"] for one in found] == [1, 2, 3, 4]
    assert [one["score"] for one in found] == pytest.approx(expected["score"].to_list())
    assert [one["text"] for one in found] == [one["item_id"] for one in found]  # the source has no titles


def test_the_table_shows_the_same(house, recommend, capsys):
    found = recommend("--history", "003", "-k", "2")
    assert main(["recommend", str(house.sasrec), "--history", "003", "-k", "2"]) == 0
    head, *rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert head == ["rank", "score", "item_id", "text"]
    assert rows == [[str(one["rank"]), f"{one['score']:.4f}", one["item_id"], one["text"]] for one in found]


def test_ten_are_the_default_and_seen_items_are_left_out(recommend):
    history = [f"{item:03}" for item in range(5, 15)]
    found = [one["item_id"] for one in recommend("--history", ",".join(history))]
    assert len(found) == 10
    assert not set(found) & set(history)
    everything = [one["item_id"] for one in recommend("--history", ",".join(history), "--keep-seen", "-k", "99")]
    assert sorted(everything) == [f"{item:03}" for item in range(30)]


def test_a_known_user_has_the_history_of_the_data(house, recommend):
    history = ",".join(item for user, item, _ in house.rows if user == "u007")
    assert recommend("--user", "u007", "--data", str(house.data)) == recommend("--history", history)
    assert Dataset.load(house.data).num_users == 40


def test_allow_and_deny(recommend):
    allowed = recommend("--history", "003", "--allow", "010,011,003")
    assert {one["item_id"] for one in allowed} == {"010", "011"}
    denied = recommend("--history", "003", "--deny", "010,011", "-k", "99")
    assert {one["item_id"] for one in denied} == {f"{item:03}" for item in range(30)} - {"003", "010", "011"}


def test_unknown_items_are_named_and_left_out_only_when_asked(house, recommend, capsys):
    words = ["recommend", str(house.sasrec), "--history", "003,999,xyz", "--json"]
    assert main(words) == 2
    said = capsys.readouterr().err
    assert "'999'" in said
    assert "'xyz'" in said
    assert main([*words, "--skip-unknown"]) == 0
    captured = capsys.readouterr()
    assert captured.err == "slmrec: 2 items of the history are unknown and were left out\n"
    assert json.loads(captured.out) == recommend("--history", "003")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--history", "999", "--skip-unknown"], "none of its items is known"),
        (["--history", "003", "--allow", "999"], "'999'"),
        (["--user", "nobody", "--data", "DATA"], "user 'nobody' is not among the 40 users"),
        (["--user", "u007", "--data", "no-such-folder"], "there is no data folder at no-such-folder"),
    ],
)
def test_mistakes_are_named(words, sentence, house, capsys):
    words = [str(house.data) if word == "DATA" else word for word in words]
    assert main(["recommend", str(house.sasrec), *words]) == 2
    captured = capsys.readouterr()
    assert sentence in captured.err
    assert captured.out == ""
