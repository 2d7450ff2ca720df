"""Which format a source is taken for, and what is said where none or several fit."""

import re

import pytest

from slmrec.data.readers import FORMATS, read_source
from slmrec.errors import UserError

CSV = "user_id,item_id\nu,i\n"


def test_every_format_is_a_module_with_the_same_two_functions():
    assert list(FORMATS) == [
        *(
            "recbole",
            "movielens",
            "amazon2014",
            "amazon2018",
            "amazon2023",
            "yoochoose",
            "sequences",
            "sessions",
        ),
        *("csv", "parquet", "jsonl"),
    ]
    assert all(callable(module.read) and callable(module.recognises) for module in FORMATS.values())


def test_a_named_format_is_not_recognised_but_taken(write):
    path = write("u.data", CSV)
    assert read_source(path, format="csv").interactions.rows() == [("u", "i")]


def test_a_mapping_asks_for_a_format_whose_columns_can_be_mapped(write):
    path = write("ratings.csv", "userId,movieId,rating,timestamp\n1,2,3,881250949\n")
    assert read_source(path).format == "movielens"
    raw = read_source(path, columns={"user_id": "movieId", "item_id": "userId"})
    assert (raw.format, raw.interactions.rows()[0][:2]) == ("csv", ("2", "1"))


def test_a_missing_path_names_the_nearest(write):
    path = write("ratings.csv", CSV)
    with pytest.raises(UserError, match=r"rating\.csv does not exist; did you mean 'ratings\.csv'\?"):
        read_source(path.with_name("rating.csv"))
    with pytest.raises(UserError, match=r"zzz does not exist; give an existing file or folder"):
        read_source(path.parent / "none" / "zzz")


def test_an_unknown_format_names_the_nearest(write):
    with pytest.raises(UserError, match=r"no format 'movielense'; did you mean 'movielens'\?"):
        read_source(write("x.csv", CSV), format="movielense")
    with pytest.raises(UserError, match="no format 'xml'; known are: amazon2014, amazon2018"):
        read_source(write("x.csv", CSV), format="xml")


def test_a_folder_with_nothing_lists_what_was_looked_for(write, tmp_path):
    write("readme.md", "# data")
    write("some.csv", CSV)
    with pytest.raises(
        UserError, match=r"nothing that is recognised; looked for NAME\.inter, u\.data, .*interactions\.csv"
    ):
        read_source(tmp_path)


def test_several_formats_in_a_folder_are_refused(write, tmp_path):
    write("interactions.csv", CSV)
    write("interactions.jsonl", '{"user_id": "u", "item_id": "i"}\n')
    with pytest.raises(UserError, match="could be of format csv or jsonl; name the format"):
        read_source(tmp_path)
    write("x.inter", "user_id:token\titem_id:token\nu\ti\n")
    write("sequences.txt", "1 2\n")
    with pytest.raises(UserError, match="could be of format recbole or sequences; name the format"):
        read_source(tmp_path)


def test_prose_is_not_recognised(write):
    message = "is not recognised from its beginning 'Dear reader'; name it: recbole, movielens"
    with pytest.raises(UserError, match=re.escape(message)):
        read_source(write("letter", "Dear reader\nthis is no data\n"))


@pytest.mark.parametrize("format", FORMATS)
def test_no_format_reads_binary_or_nothing(write, format):
    for content in (bytes(range(256)), b""):
        with pytest.raises(UserError, match=r"/x is (empty|not text but binary|not a Parquet file)"):
            read_source(write("x", content), format=format)


@pytest.mark.parametrize("format", [name for name in FORMATS if name not in ("csv", "parquet", "jsonl", "recbole")])
def test_fixed_columns_cannot_be_mapped(write, format):
    with pytest.raises(UserError, match=f"the columns of format {format} are fixed"):
        read_source(write("x.txt", "1 2\n"), format=format, columns={"user_id": "x"})
