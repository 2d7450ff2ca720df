"""Amazon's three releases, in the form they are published in, against values written out."""

import json
import re

import pytest

from slmrec.data.readers import read_source
from slmrec.errors import UserError

REVIEW_2014 = {
    "reviewerID": "A1",
    "asin": "0007",
    "reviewerName": 'Ann "x"',
    "helpful": [0, 1],
    "reviewText": "so\nso",
    "overall": 5.0,
    "summary": "s",
    "unixReviewTime": 1400000000,
    "reviewTime": "05 13, 2014",
}
REVIEW_2018 = {
    "overall": 5.0,
    "verified": True,
    "reviewTime": "05 13, 2014",
    "reviewerID": "A1",
    "asin": "0007",
    "style": {"Size:": "L"},
    "reviewText": "so",
    "summary": "s",
    "unixReviewTime": 1400000000,
}
REVIEW_2023 = {
    "rating": 5.0,
    "title": "s",
    "text": "so",
    "images": [],
    "asin": "variant",
    "parent_asin": "0007",
    "user_id": "A1",
    "timestamp": 1400000000123,
    "helpful_vote": 0,
    "verified_purchase": True,
}
# 2014 is written with Python's repr, the others as JSON.
META_2014 = [
    {
        "asin": "0007",
        "title": 'It\'s  "Nail" &amp; Polish',
        "brand": "Red",
        "price": 3.5,
        "imUrl": "x\\d",
        "categories": [["Beauty", "Nails & Toes"], ["Gifts"]],
        "related": {"also_bought": ["1"]},
    },
    {"asin": "0008", "categories": [["Beauty"]]},
    {"asin": "0009", "title": "Bare", "categories": [[]]},
    {"asin": "0007", "title": "again", "categories": [["Beauty"]]},
]
META_2018 = [
    {
        "asin": "0007",
        "title": 'It\'s  "Nail" &amp; Polish',
        "brand": "Red",
        "category": ["Beauty", "<b>Nails</b> & Toes", "</span>"],
    },
    {
        "asin": "0008",
        "title": "var aPageStart = (new Date()).getTime();",
        "brand": "",
        "category": ["Beauty"],
    },
    {"asin": "0009", "title": "Bare", "brand": "  ", "category": []},
    {"asin": "0007", "title": "again", "brand": "Red", "category": ["Beauty"]},
]
META_2023 = [
    {
        "parent_asin": "0007",
        "title": 'It\'s  "Nail" &amp; Polish',
        "store": "Red",
        "main_category": "M",
        "categories": ["Beauty", "Nails & Toes"],
    },
    {"parent_asin": "0008", "title": None, "store": None, "categories": ["Beauty"]},
    {"parent_asin": "0009", "title": "Bare", "categories": []},
    {"parent_asin": "0007", "title": "again", "store": "Red", "categories": ["Beauty"]},
]
RELEASES = {
    "amazon2014": (
        "reviews_Beauty_5.json.gz",
        REVIEW_2014,
        "meta_Beauty.json.gz",
        META_2014,
        repr,
        1_400_000_000_000_000,
    ),
    "amazon2018": (
        "Beauty_5.json.gz",
        REVIEW_2018,
        "meta_Beauty.json.gz",
        META_2018,
        json.dumps,
        1_400_000_000_000_000,
    ),
    "amazon2023": (
        "Beauty.jsonl",
        REVIEW_2023,
        "meta_Beauty.jsonl.zst",
        META_2023,
        json.dumps,
        1_400_000_000_123_000,
    ),
}


@pytest.mark.parametrize("release", RELEASES)
def test_every_release_reads_alike(write, tmp_path, release):
    reviews, review, metadata, entries, written, time = RELEASES[release]
    item_key = "parent_asin" if release == "amazon2023" else "asin"
    second = review | {item_key: "0009"}
    path = write(f"amazon/{reviews}", json.dumps(review) + "\n" + json.dumps(second) + "\n")
    write(f"amazon/{metadata}", "\n".join(map(written, entries)))
    for source in (path, tmp_path / "amazon"):
        raw = read_source(source)
        assert raw.format == release
        assert raw.interactions.select("user_id", "item_id", "timestamp", "rating").rows() == [
            ("A1", "0007", time, 5.0),
            ("A1", "0009", time, 5.0),
        ]
        assert raw.items.columns == ["item_id", "text", "title", "brand", "categories"]
        title = 'It\'s "Nail" & Polish'
        assert raw.items.rows() == [
            ("0007", f"{title} | Red | Nails & Toes", title, "Red", "Beauty > Nails & Toes"),
            ("0008", "Beauty", None, None, "Beauty"),
            ("0009", "Bare", "Bare", None, None),
        ]


def test_metadata_of_the_same_category_is_chosen(write, tmp_path):
    path = write("Beauty.jsonl", json.dumps(REVIEW_2023))
    write("meta_Beauty.jsonl", json.dumps(META_2023[0]))
    write("meta_Books.jsonl", json.dumps({"parent_asin": "0007", "title": "wrong"}))
    assert read_source(path).items["title"].to_list() == ['It\'s "Nail" & Polish']
    (tmp_path / "meta_Beauty.jsonl").rename(tmp_path / "meta_Bags.jsonl")
    with pytest.raises(UserError, match=r"several files that could be meant \(meta_Bags.jsonl, meta_Books.jsonl\)"):
        read_source(path)


def test_without_metadata_there_are_no_items(write):
    assert read_source(write("Beauty_5.json", json.dumps(REVIEW_2018))).items is None


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("{'asin': '0008', 'title': __import__('os')}", "line 2 of {path} is neither JSON nor a Python dict"),
        ("{'asin': '0008', 'title': 'cut", "line 2 of {path} is neither JSON nor a Python dict"),
        ("['0008']", "line 2 of {path} is no object"),
        ("{'title': 'no id'}", "line 2 of {path} has no item_id"),
    ],
)
def test_wrong_metadata_is_refused(write, entry, message):
    source = write("reviews_Beauty.json", json.dumps(REVIEW_2014))
    path = write("meta_Beauty.json", repr(META_2014[0]) + "\n" + entry + "\n")
    with pytest.raises(UserError, match=re.escape(message.format(path=path))):
        read_source(source)


def test_wrong_reviews_are_refused(write, tmp_path):
    path = write("Beauty_5.json", json.dumps(REVIEW_2018) + "\n" + json.dumps(REVIEW_2018 | {"asin": None}) + "\n")
    with pytest.raises(UserError, match=r"line 2 of .*Beauty_5.json has no item_id"):
        read_source(path)
    with pytest.raises(UserError, match="has no column 'user_id', which should be user_id; its columns are 'overall'"):
        read_source(path, format="amazon2023")
    with pytest.raises(UserError, match="holds no reviews of amazon2023"):
        read_source(tmp_path, format="amazon2023")
