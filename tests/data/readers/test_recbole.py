"""RecBole's files against values written out."""

import re

import pytest

from slmrec.data.readers import read_source
from slmrec.errors import UserError

INTER = (
    "user_id:token\titem_id:token\trating:float\ttimestamp:float\n196\t01\t3\t881250949\n186\t302\t4.5\t891717742.0\n"
)
ITEM = (
    "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
    "01\tToy Story\t1995\tAnimation Children's Comedy\n"
    '302\t"L.A." Confidential\t\t\n'
)


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_interactions_and_described_items(write, tmp_path, suffix):
    file = write(f"ml/ml-tiny.inter{suffix}", INTER)
    write(f"ml/ml-tiny.item{suffix}", ITEM)
    for source, name in ((tmp_path / "ml", "ml"), (file, "ml-tiny")):
        raw = read_source(source)
        assert (raw.format, raw.name, raw.timestamp_unit) == ("recbole", name, "s")
        assert raw.interactions.rows() == [
            ("196", "01", 881_250_949_000_000, 3.0),
            ("186", "302", 891_717_742_000_000, 4.5),
        ]
        assert raw.items.columns == ["item_id", "text", "movie_title", "release_year", "class"]
        assert raw.items.rows() == [
            (
                "01",
                "Toy Story (1995) | Animation, Children's, Comedy",
                "Toy Story",
                "1995",
                "Animation, Children's, Comedy",
            ),
            ("302", '"L.A." Confidential', '"L.A." Confidential', None, None),
        ]


def test_a_mapping_names_columns_without_type_and_lists_with_commas_stay(write):
    path = write("x.inter", "who:token\titem_id:token\tuser_id:token\nu\ti\tno\n")
    write("x.item", "item_id:token\tapp:token_seq\tcategories:token_seq\ni\tThe App\tHome, Garden Tools\n")
    raw = read_source(path, columns={"user_id": "who", "text": "app"})
    assert raw.interactions.rows() == [("u", "i")]
    assert raw.items.rows() == [("i", "The App", "Home, Garden Tools")]


def test_items_without_titles_are_left_alone(write):
    write("x.item", "item_id:token\tprice:float\ni\t5\n")
    assert read_source(write("x.inter", INTER)).items is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (INTER.replace("\t", ","), "holds no tab, but reads 'user_id:token,item_id:token,"),
        (INTER.replace("rating:float", "rating"), "has the field 'rating', but RecBole's"),
        (
            INTER.replace("item_id:token", "itemid2:token"),
            "no column for item_id; its columns are 'user_id', 'itemid2'",
        ),
        (
            INTER + "1\t2\t3\n",
            "line 4 of {path}, split at every tab, gives 3 instead of the header's 4 fields",
        ),
        (INTER + "1\t2\t3\tx\n", "line 4 of {path} has 'x' as timestamp"),
        (INTER.partition("\n")[0], "holds a header and no rows"),
    ],
)
def test_what_is_wrong_is_said(write, content, message):
    path = write("x.inter", content)
    with pytest.raises(UserError, match=re.escape(message.format(path=path))):
        read_source(path, format="recbole")


def test_two_inter_files_are_refused(write, tmp_path):
    write("a.inter", INTER)
    write("b.inter", INTER)
    with pytest.raises(UserError, match=r"several files that could be meant \(a.inter, b.inter\); name one"):
        read_source(tmp_path)
