"""JSON lines against values written out, and the message for each mistake."""

import json
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slmrec.data.readers import read_source
from slmrec.errors import UserError


@pytest.mark.parametrize("name", ["x.jsonl", "x.json.gz", "x.ndjson.zst", "noname"])
def test_numbers_become_strings_and_late_keys_are_found(write, name):
    content = (
        '{"user_id": "007", "item_id": 12, "extra": [1, {"a": 2}]}\n\n{"item_id": "é\\n", "rating": 4, "user_id": 5}\n'
    )
    raw = read_source(write(name, content))
    assert raw.format == "jsonl"
    assert raw.interactions.rows() == [("007", "12", None), ("5", "é\n", 4.0)]


def test_times_and_ratings(write):
    content = '{"uid": 1, "iid": 2, "ts": 1700000000123, "stars": 4}\n{"uid": 1, "iid": 3, "ts": 1700000000124}\n'
    raw = read_source(write("x.jsonl", content))
    assert raw.interactions.rows() == [("1", "2", 1700000000123000, 4.0), ("1", "3", 1700000000124000, None)]
    assert raw.timestamp_unit == "ms"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.text(min_size=1), st.integers(-(2**63), 2**63 - 1)), min_size=1, max_size=6),
    st.booleans(),
)
def test_random_ids_read_as_the_json_module_writes_them(tmp_path, pairs, ascii_only):
    pairs = [(user.encode("utf-8", "replace").decode(), item) for user, item in pairs]
    path = tmp_path / "x.jsonl"
    lines = [json.dumps({"user_id": f"u{user}", "item_id": item}, ensure_ascii=ascii_only) for user, item in pairs]
    path.write_text("\n".join(lines), "utf-8")
    assert read_source(path).interactions.rows() == [(f"u{user}", str(item)) for user, item in pairs]


GOOD = '{"user_id": "u", "item_id": "i", "timestamp": 5}\n'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (GOOD + "{oops\n", "line 2 of {path} is not JSON (Expecting property name"),
        (GOOD * 40_000 + '{"user_id": "u", "item_id"\n', "line 40001 of {path} is not JSON"),
        (GOOD + "5\n", "line 2 of {path} is JSON but no object: '5'"),
        (GOOD * 40_000 + "[5]\n", "line 40001 of {path} is JSON but no object"),
        ("[" + GOOD + "]", "begins with '[': a JSON array"),
        (GOOD + '\n{"user_id": "u", "timestamp": 5}\n', "line 3 of {path} has no item_id"),
        (GOOD + '{"user_id": null, "item_id": "i"}\n', "line 2 of {path} has no user_id"),
        (
            GOOD + '{"user_id": "u", "item_id": "i", "timestamp": "now"}\n',
            "line 2 of {path} has 'now' as timestamp",
        ),
        (
            '{"user_id": "u", "itm": "i"}\n',
            "{path} has no column for item_id; its columns are 'user_id', 'itm'",
        ),
        (GOOD.encode() + b'{"user_id": "\xe9", "item_id": "i"}\n', "line 2 of {path} is not UTF-8"),
        (
            GOOD.encode() * 40_000 + b'{"user_id": "\xe9", "item_id": "i"}\n',
            "line 40001 of {path} is not UTF-8",
        ),
    ],
)
def test_what_is_wrong_is_said(write, content, message):
    path = write("x.jsonl", content)
    with pytest.raises(UserError, match=re.escape(message.format(path=path))):
        read_source(path)
