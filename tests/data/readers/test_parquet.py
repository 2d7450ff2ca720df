"""Parquet against the frames written: dtypes stay, only ids and times are brought to our form."""

import datetime
import re

import polars as pl
import pytest

from slmrec.data.readers import read_source
from slmrec.errors import UserError


def test_integers_stay_integers_and_items_follow(write, tmp_path):
    frame = pl.DataFrame(
        {"userId": [7, 8], "item_id": [1, 2], "time": [datetime.datetime(2020, 1, 1)] * 2, "big": ["x", "y"]}
    )
    frame.cast({"item_id": pl.UInt16}).write_parquet(tmp_path / "interactions.parquet")
    write("items.csv", "item_id,text\n1,A\n3,C\n")
    raw = read_source(tmp_path)
    assert raw.interactions.rows() == [(7, 1, 1_577_836_800_000_000), (8, 2, 1_577_836_800_000_000)]
    assert raw.interactions.schema["item_id"] == raw.items.schema["item_id"] == pl.Int64
    assert raw.items.rows() == [(1, "A"), (3, "C")]
    assert (raw.format, raw.timestamp_unit) == ("parquet", "datetime")


def test_strings_keep_leading_zeros_and_any_name_is_recognised(tmp_path):
    path = tmp_path / "data.bin"
    pl.DataFrame({"user": ["007"], "item": ["01"], "rating": [3]}).write_parquet(path)
    assert read_source(path).interactions.rows() == [("007", "01", 3.0)]


def test_a_path_with_pattern_characters(tmp_path):
    path = tmp_path / "a[1]*.parquet"
    pl.DataFrame({"user_id": ["u"], "item_id": ["i"]}).write_parquet(path)
    assert read_source(path).name == "a[1]*"


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        ({"user_id": ["u", None], "item_id": ["i", "j"]}, "row 2 of {path} has no user_id"),
        ({"user_id": [1.5], "item_id": ["i"]}, "row 1 of {path} has 1.5 as user_id"),
        ({"user_id": [True], "item_id": ["i"]}, "holds Boolean values"),
        ({"user_id": ["u"], "item_id": ["i"], "timestamp": ["x"]}, "row 1 of {path} has 'x' as timestamp"),
        (
            {"usr": ["u"], "item_id": ["i"]},
            "{path} has no column for user_id; its columns are 'usr', 'item_id'",
        ),
        ({"user_id": [], "item_id": []}, "{path} holds columns and no rows"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, frame, message):
    path = tmp_path / "x.parquet"
    pl.DataFrame(frame).write_parquet(path)
    with pytest.raises(UserError, match=re.escape(message.format(path=path))):
        read_source(path)


def test_items_that_cannot_be_integers_are_refused(write, tmp_path):
    pl.DataFrame({"user_id": [1], "item_id": [1]}).write_parquet(tmp_path / "interactions.parquet")
    write("items.csv", "item_id,text\n1,A\nB2,C\n")
    with pytest.raises(UserError, match=r"items.csv has the item_id 'B2', but the interactions' are integers"):
        read_source(tmp_path)


def test_damaged_and_foreign_files_are_refused(tmp_path):
    path = tmp_path / "x.parquet"
    pl.DataFrame({"user_id": ["u"] * 999, "item_id": ["i"] * 999}).write_parquet(path)
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(UserError, match="damaged or cut-off Parquet"):
        read_source(path)
    path.write_text("user_id,item_id\nu,i\n")
    with pytest.raises(UserError, match="is not a Parquet file"):
        read_source(path, format="parquet")
