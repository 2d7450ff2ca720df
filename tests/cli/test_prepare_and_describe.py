"""`slmrec data`: the folder against the rows that were written into the source."""

import os

import polars as pl
import pytest

from slmrec.cli.main import main
from slmrec.data import Dataset


def test_the_folder_holds_the_source(house):
    data = Dataset.load(house.data)
    users = {user for user, _, _ in house.rows}
    assert set(data.users["user_id"]) == users
    assert data.num_interactions == len(house.rows)
    first = min(users)
    expected = [item for user, item, _ in house.rows if user == first]  # leading zeros and all
    assert data.catalogue.ids(data.full_history(data.user_index(first))).to_list() == expected


def test_it_prints_what_describe_prints(house, capsys):
    assert main(["data", "describe", str(house.data)]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert captured.out == house.printed["data"]
    assert "40 users" in captured.out


def test_keys_of_the_preparation_are_options(house, tmp_path, capsys):
    columns = ["--column", "user_id=user", "--column", "item_id=item", "--column", "timestamp=when"]
    words = [
        "data",
        "prepare",
        str(house.source),
        "--out",
        str(tmp_path / "d"),
        "--recipe",
        str(house.recipe),
    ]
    assert main([*words, *columns, "--min-length", "8"]) == 0
    capsys.readouterr()
    lengths = pl.DataFrame(house.rows, schema=["user", "item", "when"], orient="row").group_by("user").len()
    assert Dataset.load(tmp_path / "d").num_users == (lengths["len"] >= 8).sum()


@pytest.mark.parametrize("kind", ["foreign folder", "file", "below a file", "locked folder"])
def test_an_output_that_cannot_be_is_refused_before_the_source_is_read(kind, house, tmp_path, capsys):
    out = tmp_path / "out"
    match kind:
        case "foreign folder":
            out.mkdir()
            (out / "thesis.txt").write_text("dear")
        case "file":
            out.write_text("dear")
        case "below a file":
            (tmp_path / "file").write_text("dear")
            out = tmp_path / "file" / "out"
        case "locked folder":
            if os.geteuid() == 0:
                pytest.skip("no folder is locked for root")
            tmp_path.chmod(0o500)
    before = sorted(tmp_path.rglob("*"))
    words = ["data", "prepare", "no-such-source", "--out", str(out), "--recipe", str(house.recipe)]
    assert main(words) == 2
    said = capsys.readouterr().err
    assert str(out) in said
    assert "no-such-source" not in said
    assert sorted(tmp_path.rglob("*")) == before


def test_a_wrong_source_leaves_nothing(house, tmp_path, capsys):
    source = tmp_path / "rows.csv"
    source.write_text("user,item\n1,2\n")
    words = ["data", "prepare", str(source), "--out", str(tmp_path / "out"), "--recipe", str(house.recipe)]
    assert main([*words, "--column", "user_id=visitor"]) == 2
    assert "visitor" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [source]


def test_no_data_folder_is_said(tmp_path, capsys):
    assert main(["data", "describe", str(tmp_path / "nothing")]) == 2
    assert capsys.readouterr().err.startswith("slmrec: there is no data folder at ")
