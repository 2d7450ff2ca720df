"""CSV against values written out and against Python's csv module; and the message for each mistake."""

import csv
import io
import re

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slmrec.data.readers import read_source
from slmrec.errors import UserError

HEAD = "user_id,item_id,timestamp,rating\n"


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
@pytest.mark.parametrize(("name", "separator"), [("x.csv", ","), ("x.tsv", "\t"), ("x.csv", ";"), ("x.csv", "|")])
def test_separators_and_compressions_give_the_same(write, name, separator, suffix):
    content = (HEAD + "007,0a,1000000000,4.5\nu,7,1000000001,\n").replace(",", separator)
    raw = read_source(write(name + suffix, content))
    assert (raw.name, raw.format, raw.timestamp_unit, raw.items) == ("x", "csv", "s", None)
    assert raw.interactions.rows() == [
        ("007", "0a", 1_000_000_000_000_000, 4.5),
        ("u", "7", 1_000_000_001_000_000, None),
    ]
    assert raw.interactions.columns == ["user_id", "item_id", "timestamp", "rating"]


@pytest.mark.parametrize(
    "header",
    [
        "user_id,item_id,timestamp,rating",
        "userId,movieId,datetime,weight",
        "UID,Product-ID,Event Time,Stars",
        "reviewerID,asin,unixReviewTime,overall",
        "session,item,ts,score",
    ],
)
def test_other_spellings_are_found(write, header):
    raw = read_source(write("x.csv", header + "\nu,i,2020-01-01T00:00:00Z,2\n"))
    assert raw.interactions.rows() == [("u", "i", 1_577_836_800_000_000, 2.0)]
    assert raw.timestamp_unit == "iso"


def test_our_own_name_wins_over_other_spellings(write):
    raw = read_source(write("x.csv", "user,user_id,item_id\nno,yes,i\n"))
    assert raw.interactions.rows() == [("yes", "i")]


def test_a_mapping_names_the_columns(write):
    content = "item_id,who,what,when,label\nwrong,u,i,5,A\nwrong,u,j,6,B\nwrong,v,i,7,C\n"
    columns = {"user_id": "who", "item_id": "what", "timestamp": "when", "text": "label"}
    raw = read_source(write("x.csv", content), columns=columns)
    assert raw.interactions.rows() == [("u", "i", 5_000_000), ("u", "j", 6_000_000), ("v", "i", 7_000_000)]
    assert raw.items is not None
    assert raw.items.rows() == [("i", "A"), ("j", "B")]  # the first text of an item


def test_windows_line_ends_byte_order_mark_blank_lines_and_missing_last_newline(write):
    raw = read_source(write("x.csv", "\ufeff\r\n" + HEAD.strip() + "\r\n\r\nu,i,5,1\r\n\r\nv,j,6,\r\n\r\nw,k,7,2"))
    assert [row[:2] for row in raw.interactions.rows()] == [("u", "i"), ("v", "j"), ("w", "k")]


def test_a_text_of_any_length(write):
    raw = read_source(
        write("x.csv", "user_id,item_id,note\nu,i," + "x" * 200_000 + '\nu,j,"' + "\n" * 200_000 + '"\nv,i,\n')
    )
    assert raw.interactions.rows() == [("u", "i"), ("u", "j"), ("v", "i")]


def test_a_folder_with_items_beside(write, tmp_path):
    write("shop/interactions.csv", "user_id,item_id\nu,01\nu,02\n")
    write(
        "shop/items.tsv",
        "sku\ttitle\tyear\tbrand\tgenres\tprice\n"
        '01\t"Q" Tip\t1999\tB\tX, Y\t3\n'
        "01\tno\t\t\t\t\n03\tC (1980)\t1980\t\t\t\n",
    )
    raw = read_source(tmp_path / "shop")
    assert raw.name == "shop"
    assert raw.items is not None
    assert raw.items.columns == ["item_id", "text", "title", "year", "brand", "genres", "price"]
    assert raw.items.select("item_id", "text", "price").rows() == [
        ("01", '"Q" Tip (1999) | B | X, Y', "3"),
        ("03", "C (1980)", None),
    ]


@pytest.mark.parametrize("name", ["items.csv", "items.tsv", "items.parquet", "items.jsonl.gz"])
def test_items_of_every_format_beside_strings(write, tmp_path, name):
    path = write("interactions.csv", "user_id,item_id\nu,1\nu,2\n")
    if name.endswith("parquet"):
        pl.DataFrame({"item_id": [1, 2], "title": ["A", "B"], "genres": [["X", "Y"], []]}).write_parquet(
            tmp_path / name
        )
    elif "jsonl" in name:
        write(name, '{"item_id":1,"title":"A","genres":["X","Y"]}\n{"item_id":2,"title":"B"}\n')
    else:
        separator = "\t" if name.endswith("tsv") else ","
        write(
            name,
            separator.join(("item_id", "title", "genres"))
            + "\n"
            + separator.join(("1", "A", '"X, Y"'))
            + "\n"
            + separator.join(("2", "B", ""))
            + "\n",
        )
    raw = read_source(path)
    assert raw.items is not None
    assert raw.items.select("item_id", "text").rows() == [("1", "A | X, Y"), ("2", "B")]


def test_only_a_tab_separated_file_with_loose_quotes_keeps_them(write):
    raw = read_source(write("x.tsv", 'user_id\titem_id\n"a\tb"\n"c"\td\n'))
    assert raw.interactions.rows() == [('"a', 'b"'), ('"c"', "d")]
    raw = read_source(write("x.tsv", 'user_id\titem_id\n"a"\t"b""c"\n'))
    assert raw.interactions.rows() == [("a", 'b"c')]


cells = st.text(st.characters(codec="utf-8", exclude_characters="\0\r", exclude_categories=["Cs"]), min_size=1)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(cells, cells, cells), min_size=1, max_size=8), st.sampled_from(",;|"))
def test_random_tables_read_as_the_csv_module_writes_them(tmp_path, table, separator):
    written = io.StringIO(newline="")
    writer = csv.writer(written, delimiter=separator, lineterminator="\n")
    writer.writerows([("user_id", "note", "item_id"), *table])
    path = tmp_path / "random.csv"
    path.write_text(written.getvalue(), "utf-8", newline="")
    assert read_source(path).interactions.rows() == [(user, item) for user, _, item in table]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.integers(0, 2), min_size=1, max_size=12),
    st.sampled_from(["u,i,soon", "u,,5", ",i,5", "u,i", "u", "u,i,5,6", ",,", "u;i;5"]),
    st.data(),
)
def test_the_line_at_fault_is_named(tmp_path, blanks, bad, data):
    at = data.draw(st.integers(0, len(blanks) - 1))
    lines = ["user_id,item_id,timestamp"]
    for number, blank in enumerate(blanks):
        lines += [""] * blank
        lines.append(bad if number == at else ["u,i,5", '"u\n2",i,6', "u,i,7"][number % 3])
        if number == at:
            fault = "\n".join(lines).count("\n") + 1
    path = tmp_path / "faulty.csv"
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(UserError, match=rf"line {fault} of .*faulty\.csv"):
        read_source(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("user,item\n", "holds a header and no rows"),
        ("", "is empty"),
        (" \n\n", "is empty"),
        (
            "user_id item_id\nu i\n",
            "holds no separator (comma, tab, semicolon, bar), but reads 'user_id item_id'",
        ),
        (
            "user_id;itm_id\nu;i\n",
            "(semicolon-separated) has no column for item_id; its columns are 'user_id', 'itm_id'; did you "
            "mean 'itm_id'?",
        ),
        ("a;b\nu;i\n", "no column for user_id; its columns are 'a', 'b'; say with a column mapping"),
        ("1,2,3\n4,5,6\n", "begins with '1', '2', '3', which is data and no header"),
        ("user_id,item_id,item_id\nu,i,j\n", "has 2 columns called 'item_id'"),
        ("uid,user,item_id\nu,v,i\n", "has 'uid' and 'user', and either could be user_id"),
        (
            "user_id,item_id\nu;i\n",
            "line 2 of {path}, split at every comma, gives 1 instead of the header's 2 fields; it holds a "
            "semicolon instead",
        ),
        (
            "user_id,item_id\nu,i\nu,i,j\n",
            "line 3 of {path}, split at every comma, gives 3 instead of the header's 2 fields: 'u,i,j'",
        ),
        (
            "user_id,note,item_id,more\nu,x,i,\nu,x, y,i,z\n",
            "line 3 of {path}, split at every comma, gives 5 instead of the header's 4 fields",
        ),
        ("user_id,note,item_id\nu,x,i\nu,x\n", "line 3 of {path}, split at every comma, gives 2 instead of"),
        ("user_id,item_id,timestamp\nu,i,2020-01-01\nu,i,then\n", "line 3 of {path} has 'then' as timestamp"),
        ("user_id,item_id,timestamp\nu,i,\n", "line 2 of {path} has no value as timestamp"),
        ("user_id,item_id,rating\nu,i,good\n", "line 2 of {path} has 'good' as rating"),
        ("user_id,item_id\nu,i\n,i\n", "line 3 of {path} has no user_id"),
        ('user_id,item_id\nu,i\nu,"i\nv,i\n', "line 3 of {path} is not a whole record"),
        (b"user_id,item_id\nu,i\nu,caf\xe9\n", "line 3 of {path} is not UTF-8"),
        (b"user_id,item_id\n" + b"u,i\n" * 300_000 + b"u,caf\xe9\n", "line 300002 of {path} is not UTF-8"),
        ("user_id,item_id\nu,i\n".encode("utf-16"), "UTF-16"),
        ("user_id,item_id\nu,i\n".encode("utf-16-le"), "binary"),
        (b"\x89PNG\r\n\x1a\n" + bytes(99), "a PNG image"),
        (b"PK\x03\x04" + bytes(99), "a zip archive"),
        (b"%PDF-1.7 ", "a PDF"),
        (bytes(range(256)), "binary"),
        ("user_id,item_id\ru,i\r", "ends its lines with carriage returns alone"),
    ],
)
def test_what_is_wrong_is_said(write, content, message):
    path = write("x.csv", content)
    with pytest.raises(UserError, match=re.escape(message.format(path=path))):
        read_source(path)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"user_id": "usr"},
            "has no column 'usr', which should be user_id; its columns are 'user', 'item', 'when'; did you "
            "mean 'user'?",
        ),
        ({"usr_id": "user"}, "names 'usr_id', which is no column of ours; did you mean 'user_id'?"),
        ({"user_id": "item", "item_id": "item"}, "gives 'item' to both user_id and item_id"),
        ({"timestamp": "item"}, "no column for item_id"),
        ({"text": "title"}, "has no column 'title'"),
    ],
)
def test_a_wrong_mapping_is_refused(write, columns, message):
    with pytest.raises(UserError, match=re.escape(message)):
        read_source(write("x.csv", "user,item,when\nu,i,5\n"), columns=columns)


@pytest.mark.parametrize("suffix", ["gz", "zst"])
def test_a_cut_off_archive_is_refused(write, suffix):
    path = write(f"x.csv.{suffix}", HEAD + "".join(f"u{i * 7919 % 1000},{i},5,{i}\n" for i in range(200_000)))
    whole = path.read_bytes()
    for cut in (len(whole) // 2, len(whole) - 20):
        path.write_bytes(whole[:cut])
        with pytest.raises(UserError, match=r"x\.csv\.\w+ is a cut-off or damaged"):
            read_source(path)


@pytest.mark.parametrize(
    ("items", "message"),
    [
        (
            "item_id,text\n3,A\n",
            "none of the 1 items in {path} occurs in the interactions (the first is '3' there",
        ),
        ("item_id,colour\n1,red\n", "{path} has no column for text"),
        ("name,text\n1,red\n", "{path} has no column for item_id"),
        ("item_id,text\n1,A\n,B\n", "line 3 of {path} has no item_id"),
        ("item_id,text\n", "{path} holds a header and no rows"),
    ],
)
def test_a_wrong_items_table_is_refused(write, items, message):
    source, path = write("x.csv", "user_id,item_id\nu,1\n"), write("items.csv", items)
    with pytest.raises(UserError, match=re.escape(message.format(path=path))):
        read_source(source)


def test_two_items_tables_are_refused(write):
    source = write("x.csv", "user_id,item_id\nu,1\n")
    write("items.csv", "item_id,text\n1,A\n")
    write("items.tsv", "item_id\ttext\n1\tA\n")
    with pytest.raises(UserError, match=r"several files that could be meant \(items.csv, items.tsv\)"):
        read_source(source)
