"""S3-Rec's sequences against values written out, and the real samples against a count in plain Python."""

import re

import pytest

from slmrec.data.readers import read_source
from slmrec.errors import UserError


@pytest.mark.parametrize("name", ["sequences.txt", "sequences.txt.gz", "Beauty.txt"])
def test_sequences_and_items(write, tmp_path, name):
    path = write(f"beauty/{name}", "1 3 1 3\n2 2\n")
    write("beauty/items.tsv", 'item_id\tasin\ttext\n1\tB1\t"red" nail\n2\tB2\t\n3\tB3\tblue\n4\tB4\tnew\n')
    raw = read_source(path if name == "Beauty.txt" else tmp_path / "beauty")
    assert (raw.format, raw.timestamp_unit) == ("sequences", None)
    assert raw.name == ("Beauty" if name == "Beauty.txt" else "beauty")
    assert raw.interactions.columns == ["user_id", "item_id"]
    assert raw.interactions.rows() == [("1", "3"), ("1", "1"), ("1", "3"), ("2", "2")]
    assert raw.items.rows() == [
        ("1", '"red" nail', "B1"),
        ("2", None, "B2"),
        ("3", "blue", "B3"),
        ("4", "new", "B4"),
    ]


def test_without_items(write):
    assert read_source(write("sequences.txt", "5 1 2\n\n")).items is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("1 2 3\n2\n", "line 2 of {path} holds 2, but needs at least 2 ids"),
        ("1 2 3\n\n2 3\n", "line 2 of {path} holds nothing, but needs at least 2 ids"),
        ("1 2 3\n2 3 x4\n", "line 2 of {path} has the id 'x4'; in this format ids are integers"),
        ("1 2 3\n2 -3\n", "line 2 of {path} has the id '-3'; in this format"),
        ("1,2,3\n2,3\n", "line 1 of {path} holds 1,2,3, but needs at least 2 ids"),
        ("1 2 3\n2 3\n1 4\n", "line 3 of {path} is of user 1, who has line 1 already"),
        (b"1 2\n2 \xff\n", "line 2 of {path} is not UTF-8"),
        ("", "{path} is empty"),
    ],
)
def test_what_is_wrong_is_said(write, tmp_path, content, message):
    path = write("data/sequences.txt", content)
    for source in (path, tmp_path / "data"):
        with pytest.raises(UserError, match=re.escape(message.format(path=path))):
            read_source(source, format="sequences")


@pytest.mark.parametrize("name", ["amazon14-beauty", "amazon14-sports", "ml-1m"])
def test_real_samples(sample, name):
    folder = sample(name)
    lines = [line.split() for line in (folder / "sequences.txt").read_text().splitlines()]
    raw = read_source(folder)
    assert (raw.name, raw.format) == (name, "sequences")
    assert raw.interactions["item_id"].to_list() == [item for line in lines for item in line[1:]]
    assert raw.interactions["user_id"].to_list() == [line[0] for line in lines for _ in line[1:]]
    titles = [line.split("\t") for line in (folder / "items.tsv").read_text("utf-8").splitlines()[1:]]
    assert raw.items["item_id"].to_list() == [line[0] for line in titles]
    assert raw.items["text"].fill_null("").to_list() == [line[2].strip() for line in titles]
