"""Ready sessions against values written out, and the real sample against a count in plain Python."""

import pytest

from slmrec.data.readers import read_source
from slmrec.errors import UserError


def test_the_split_is_given(write, tmp_path):
    write("s/train.txt", "".join(f"{line} a{line} {line}\n" for line in (5, 3, 8, 1, 9, 2, 7, 6, 4, 11)))
    write("s/test.txt.gz", "12 a5\n3")
    raw = read_source(tmp_path / "s")
    assert (raw.name, raw.format, raw.timestamp_unit, raw.items) == ("s", "sessions", None, None)
    rows = raw.interactions.rows()
    assert raw.interactions.columns == ["user_id", "item_id", "split"]
    assert rows[:3] == [("train-1", "5", 0), ("train-1", "a5", 0), ("train-1", "5", 0)]
    assert rows[26:] == [
        ("train-9", "4", 0),
        *(("train-10", item, 1) for item in ("11", "a11", "11")),
        ("test-1", "12", 2),
        ("test-1", "a5", 2),
        ("test-2", "3", 2),
    ]


def test_items_beside(write, tmp_path):
    write("train.txt", "1 2\n" * 10)
    write("test.txt", "1 2\n")
    write("items.csv", "item_id,title\n2,Two\n")
    assert read_source(tmp_path).items.rows() == [("2", "Two", "Two")]


def test_what_is_wrong_is_said(write, tmp_path):
    train = write("train.txt", "9 8\n1 2\n" * 10)
    with pytest.raises(UserError, match=r"holds no test\.txt"):
        read_source(tmp_path, format="sessions")
    write("test.txt", "1 2\n\n3 4\n")
    with pytest.raises(UserError, match=r"line 2 of .*test\.txt holds nothing, but needs at least 1 ids"):
        read_source(tmp_path)
    write("test.txt", "1 2\n3,4\n")
    with pytest.raises(UserError, match=r"line 2 of .*test\.txt has the id '3,4'; separate the ids by blanks"):
        read_source(tmp_path)
    with pytest.raises(UserError, match=r"a folder with train\.txt and test\.txt; give the folder"):
        read_source(train, format="sessions")
    write("test.txt", "1 2\n")
    train.write_text("9 8\n1 2\n")
    with pytest.raises(UserError, match="has 2 train sessions, of which no tenth can be set aside"):
        read_source(tmp_path)


def test_lines_that_begin_with_a_user_are_not_taken_for_sessions(write, tmp_path):
    write("train.txt", "0 5 6\n1 5\n2 7 8\n")
    write("test.txt", "0 9\n1 6\n2 9\n")
    with pytest.raises(UserError, match="nothing that is recognised"):
        read_source(tmp_path)


def test_real_sample(sample):
    folder = sample("yoochoose64")
    train, test = (
        [line.split() for line in (folder / name).read_text().splitlines()] for name in ("train.txt", "test.txt")
    )
    assert (len(train), len(test)) == (116_167, 15_324)  # as its README says
    raw = read_source(folder)
    assert raw.format == "sessions"
    assert raw.interactions["item_id"].to_list() == [item for line in train + test for item in line]
    valid = round(0.1 * 116_167)
    sessions = raw.interactions.unique("user_id")["split"].value_counts().sort("split")["count"].to_list()
    assert sessions == [116_167 - valid, valid, 15_324]
