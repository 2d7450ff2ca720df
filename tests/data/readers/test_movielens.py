"""MovieLens' three layouts, the same tiny data in each, against values written out."""

import re

import pytest

from slmrec.data.readers import read_source
from slmrec.errors import UserError

FLAGS = "|".join("0" * 19)
TOY_FLAGS = "0|0|0|1|1|1|" + "|".join("0" * 13)
LAYOUTS = {
    "100k": {
        "u.data": "1\t02\t4\t881250949\n7\t3\t1\t881250950\n",
        "u.item": (
            f"02|Toy Story (1995)|01-Jan-1995||http://x|{TOY_FLAGS}\n3|Misérables, Les "
            f"(1995)|||http://y|{FLAGS}\n267|unknown||||1{FLAGS[1:]}\n"
        ).encode("latin-1"),
        "u1.base": "1\t02\t4\t881250949\n",
    },
    "1m": {
        "ratings.dat": "1::02::4::881250949\n7::3::1::881250950\n",
        "movies.dat": (
            "02::Toy Story (1995)::Animation|Children's|Comedy\n3::Misérables, Les (1995)::\n267::unknown::\n"
        ).encode("latin-1"),
    },
    "10m": {
        "ratings.dat.gz": "1::02::4::881250949\n7::3::1::881250950\n",
        "movies.dat": (
            "02::Toy Story (1995)::Animation|Children's|Comedy\n3::Misérables, Les (1995)::(no genres "
            "listed)\n267::unknown::(no genres listed)\n"
        ),
    },
    "25m": {
        "ratings.csv": "userId,movieId,rating,timestamp\n1,02,4.0,881250949\n7,3,1.0,881250950\n",
        "movies.csv": (
            "movieId,title,genres\n02,Toy Story (1995),Animation|Children's|Comedy\n"
            '3,"Misérables, Les (1995)",(no genres listed)\n267,unknown,(no genres listed)\n'
        ),
    },
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("whole_folder", [True, False])
def test_all_layouts_read_alike(write, tmp_path, layout, whole_folder):
    paths = [write(f"{layout}/{name}", content) for name, content in LAYOUTS[layout].items()]
    raw = read_source(tmp_path / layout if whole_folder else paths[0])
    assert (raw.name, raw.format, raw.timestamp_unit) == (layout, "movielens", "s")
    assert raw.interactions.rows() == [
        ("1", "02", 881_250_949_000_000, 4.0),
        ("7", "3", 881_250_950_000_000, 1.0),
    ]
    assert raw.items.columns == ["item_id", "text", "title", "year", "genres"]
    genres = "Animation, Children's, Comedy"
    assert raw.items.rows() == [
        ("02", f"Toy Story (1995) | {genres}", "Toy Story (1995)", 1995, genres),
        ("3", "Misérables, Les (1995)", "Misérables, Les (1995)", 1995, None),
        ("267", "unknown", "unknown", None, None),
    ]


def test_titles_may_be_missing(write):
    assert read_source(write("renamed.txt", LAYOUTS["1m"]["ratings.dat"])).items is None


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "u.data",
            "1 2 3 4\n",
            "line 1 of {path}, split at every tab, gives 1 instead of 4 fields: '1 2 3 4'",
        ),
        ("u.data", "1\t2\t3\t881250949\n1\t2\t3\tx\n", "line 2 of {path} has 'x' as timestamp"),
        (
            "ratings.dat",
            "1::2::3::881250949\n1::2::3\n",
            "line 2 of {path}, split at every '::', gives 3 instead of 4",
        ),
        (
            "ratings.dat",
            "1::2::3::881250949\n1:2:3:4\n",
            "line 2 of {path}, split at every '::', gives 1 instead of 4",
        ),
        (
            "ratings.csv",
            "userId,movieId,rating,timestamp\n1,2,x,881250949\n",
            "line 2 of {path} has 'x' as rating",
        ),
    ],
)
def test_what_is_wrong_is_said(write, tmp_path, name, content, message):
    path = write(f"ml/{name}", content)
    with pytest.raises(UserError, match=re.escape(message.format(path=path))):
        read_source(tmp_path / "ml")


def test_a_broken_title_line_is_named(write):
    path = write("u.data", LAYOUTS["100k"]["u.data"])
    write("u.item", "1|A|\n".encode("latin-1"))
    with pytest.raises(UserError, match=r"line 1 of .*u\.item, split at every bar, gives 3 instead of 24 fields"):
        read_source(path)


def test_two_layouts_in_a_folder_a_mapping_and_other_data_are_refused(write, tmp_path):
    path = write("u.data", LAYOUTS["100k"]["u.data"])
    with pytest.raises(UserError, match="the columns of format movielens are fixed"):
        read_source(path, format="movielens", columns={"user_id": "u"})
    write("ratings.dat", LAYOUTS["1m"]["ratings.dat"])
    with pytest.raises(UserError, match=r"several files that could be meant \(ratings.dat, u.data\)"):
        read_source(tmp_path)
    with pytest.raises(UserError, match="is not, and holds no, MovieLens ratings"):
        read_source(write("other.csv", "a,b\n1,2\n"), format="movielens")
