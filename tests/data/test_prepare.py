"""Preparation, against a second implementation in plain Python, hand-made tables, and properties."""

import hashlib
import os
import subprocess
import sys
from collections import Counter

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slmrec.data import Dataset, Preparation, prepare, prepare_source
from slmrec.data.raw import Raw
from slmrec.errors import UserError


def raw(rows, items=None, **columns) -> Raw:
    """A source of (user, item[, timestamp[, rating]]) rows."""
    names = ["user_id", "item_id", "timestamp", "rating"][: len(rows[0]) if rows else 2]
    frame = pl.DataFrame(rows, schema=names, orient="row").with_columns(**columns)
    if "rating" in names:
        frame = frame.with_columns(pl.col("rating").cast(pl.Float64))
    return Raw(frame, items, "made-up", "test", "us" if "timestamp" in names else None)


def table(**columns) -> pl.DataFrame:
    return pl.DataFrame(columns, schema_overrides={"text": pl.String})


def slowly(rows, preparation: Preparation):
    """The same preparation with lists and dicts: users, items, and each user's (item, time, split)."""
    events = [row for row in rows if preparation.min_rating is None or row[3] >= preparation.min_rating]
    histories = {}
    for user, item, time, _ in events:
        histories.setdefault(user, []).append((item, time))
    for history in histories.values():
        history.sort(key=lambda event: event[1])  # Python's sort is stable

    changed = True
    while changed:
        changed = False
        for user, history in histories.items():
            kept = []
            for item, time in history:
                seen = [kept_item for kept_item, _ in kept]
                if preparation.repeats == "keep-first" and item in seen:
                    continue
                if preparation.repeats == "drop-consecutive" and seen and seen[-1] == item:
                    continue
                kept.append((item, time))
            histories[user] = kept
        while True:  # one item or user at a time, counted anew each time
            counts = Counter(item for history in histories.values() for item, _ in history)
            rare = [item for item in counts if counts[item] < preparation.item_core]
            idle = [user for user in histories if len(histories[user]) < preparation.user_core]
            if rare:
                for user, history in histories.items():
                    histories[user] = [event for event in history if event[0] != rare[0]]
            elif idle:
                del histories[idle[0]]
            else:
                break
            changed = True

    histories = {user: events for user, events in histories.items() if len(events) >= preparation.min_length}
    kept_items = {item for history in histories.values() for item, _ in history}
    users = [user for user in dict.fromkeys(row[0] for row in rows) if histories.get(user)]
    items = [item for item in dict.fromkeys(row[1] for row in rows) if item in kept_items]
    divided = []
    for user in users:
        history = histories[user]
        names = [0] * len(history)
        if preparation.split == "time":
            first_valid, first_test = preparation.moments
            names = [0 if time < first_valid else 1 if time < first_test else 2 for _, time in history]
        elif len(history) >= 3:
            names[-2:] = [1, 2]
        divided.append([(item, time, name) for (item, time), name in zip(history, names, strict=True)])
    return users, items, divided


def told(data: Dataset):
    """A data set in the form of `slowly`."""
    items = data.catalogue.frame["item_id"].to_list()
    divided = [
        [
            (items[index - 1], time, split)
            for index, time, split in zip(
                data.sequence[start:end], data.timestamps[start:end], data.split[start:end], strict=True
            )
        ]
        for start, end in zip(data.offsets[:-1], data.offsets[1:], strict=True)
    ]
    return data.users["user_id"].to_list(), items, divided


ROWS = st.lists(  # few users and items, so that repeats, ties and small cores are common
    st.tuples(
        st.integers(0, 3).map(lambda n: f"0{n}"),
        st.integers(0, 4).map(lambda n: f"i{n}"),
        st.integers(0, 3),
        st.integers(1, 3),
    ),
    min_size=1,
    max_size=30,
) | st.lists(st.tuples(st.just("u"), st.sampled_from(["i0", "i1", "i2"]), st.integers(0, 3), st.just(3)), min_size=5)
PREPARATIONS = st.builds(
    Preparation,
    min_rating=st.sampled_from([None, 2]),
    repeats=st.sampled_from(["keep", "drop-consecutive", "keep-first"]),
    item_core=st.integers(0, 3),
    user_core=st.integers(0, 3),
    min_length=st.integers(1, 4),
) | st.builds(
    Preparation,
    item_core=st.integers(0, 2),
    split=st.just("time"),
    valid_from=st.just("1970-01-01T00:00:00.000001"),
    test_from=st.just("1970-01-01T00:00:00.000003Z"),
)


@settings(max_examples=200, deadline=None)
@given(ROWS, PREPARATIONS)
def test_plain_python_prepares_the_same(rows, preparation):
    users, items, divided = slowly(rows, preparation)
    splits = {split for history in divided for _, _, split in history}
    if not users or (preparation.split == "time" and splits != {0, 1, 2}):
        with pytest.raises(UserError, match="no interaction"):
            prepare(raw(rows), preparation)
    else:
        assert told(prepare(raw(rows), preparation)) == (users, items, divided)


@settings(max_examples=100, deadline=None)
@given(ROWS, st.permutations([f"i{n}" for n in range(8)]))
def test_the_spelling_of_ids_changes_nothing(rows, names):
    respelled = [(user, names[int(item[1:])], time, rating) for user, item, time, rating in rows]
    ours, theirs = prepare(raw(rows)), prepare(raw(respelled))
    assert ours.sequence.tolist() == theirs.sequence.tolist()
    assert ours.split.tolist() == theirs.split.tolist()
    assert ours.users.equals(theirs.users)


@pytest.mark.parametrize(
    ("repeats", "left"),
    [("keep", "abbacab"), ("drop-consecutive", "abacab"), ("keep-first", "abc")],
)
def test_repeats(repeats, left):
    data = prepare(raw([("u", item) for item in "abbacab"]), Preparation(repeats=repeats))
    assert "".join(data.catalogue.ids(data.sequence)) == left


def test_equal_times_keep_the_order_of_the_file():
    data = prepare(raw([("u", item, 5) for item in "zayb"]))
    assert data.catalogue.ids(data.sequence).to_list() == ["z", "a", "y", "b"]


def test_without_times_the_order_of_the_file_is_the_order():
    data = prepare(raw([("u", "z"), ("v", "z"), ("u", "a"), ("u", "m")]))
    assert data.timestamps is None
    assert data.full_history(0).tolist() == [1, 2, 3]
    assert data.catalogue.frame["item_id"].to_list() == ["z", "a", "m"]


def test_each_step_is_recorded():
    rows = [
        ("a", "x", 1, 5), ("a", "x", 2, 5), ("a", "y", 3, 5), ("a", "w", 4, 1),
        ("b", "x", 1, 5), ("b", "y", 2, 5), ("b", "y", 2, 4),
        ("c", "x", 1, 5), ("c", "rare", 2, 5),
        ("d", "rarer", 2, 1),
    ]  # fmt: skip
    preparation = Preparation(min_rating=4, repeats="keep-first", item_core=2, min_length=2)
    data = prepare(raw(rows), preparation)
    steps = [
        (step["step"], step["users"], step["items"], step["interactions"], *step["dropped"].values())
        for step in data.meta["steps"]
    ]
    assert steps == [
        ("read", 4, 5, 10, 0, 0, 0),
        ("rating >= 4", 3, 3, 8, 1, 2, 2),
        ("repeats: keep-first", 3, 3, 6, 0, 0, 2),
        ("core: items 2, users 0", 3, 2, 5, 0, 1, 1),
        ("length >= 2", 2, 2, 4, 1, 0, 1),
        ("split: leave-one-out", 2, 2, 4, 0, 0, 0),
        ("catalogue", 2, 2, 4, 0, 0, 0),
    ]
    assert data.meta["preparation"] == {
        "min_rating": 4, "repeats": "keep-first", "item_core": 2, "user_core": 0, "min_length": 2,
        "split": "leave-one-out", "valid_from": None, "test_from": None,
    }  # fmt: skip
    for step in data.meta["steps"]:
        assert step["step"] in data.describe()


def test_dropping_items_may_bring_repeats_together():
    rows = [("u", "a", 1), ("u", "b", 2), ("u", "a", 3), ("v", "a", 1)]
    data = prepare(raw(rows), Preparation(repeats="drop-consecutive", item_core=2))
    assert data.sequence.tolist() == [1, 1]  # u: a (b gone, second a a repeat); v: a
    assert data.users["user_id"].to_list() == ["u", "v"]
    assert [(step["step"], step["dropped"]["interactions"]) for step in data.meta["steps"][1:-2]] == [
        ("repeats: drop-consecutive", 0),
        ("core: items 2, users 0", 1),
        ("repeats: drop-consecutive", 1),
    ]


def test_a_user_with_one_interaction_is_train_only_and_counted():
    data = prepare(raw([("once", "a"), ("u", "a"), ("u", "b"), ("u", "c")]))
    assert data.split.tolist() == [0, 0, 1, 2]
    assert data.meta["counts"]["users_under_3_interactions"] == 1
    assert "fewer than 3 interactions, all train: 1" in data.describe()


def test_items_of_the_table_without_interactions_follow_at_the_end():
    items = table(item_id=["cold2", "b", "cold1", "b"], text=["C2", "B", "C1", "other"], year=[1, 2, 3, 4])
    data = prepare(raw([("u", "a"), ("u", "b"), ("u", "a")], items))
    assert data.catalogue.frame.rows() == [
        ("a", None, None), ("b", "B", 2), ("cold2", "C2", 1), ("cold1", "C1", 3)
    ]  # fmt: skip
    counts = data.meta["counts"]
    assert (counts["items"], counts["items_without_interactions_kept"]) == (4, 2)
    assert counts["items_without_text"] == 1
    assert counts["doubled_rows_of_the_items_table"] == 1
    assert "1 doubled rows of the items table" in data.meta["steps"][-1]["note"]


def test_an_item_core_leaves_out_items_without_interactions():
    items = table(item_id=["cold", "a"], text=["C", "A"])
    data = prepare(raw([("u", "a"), ("v", "a"), ("v", "b")], items), Preparation(item_core=1))
    assert data.catalogue.frame.rows() == [("a", "A"), ("b", None)]
    assert data.meta["counts"]["items_without_interactions_left_out"] == 1


def test_an_items_table_in_another_dtype_is_matched():
    data = prepare(raw([(1, 7), (1, 8)], table(item_id=["8", "7"], text=["eight", "seven"])))
    assert data.catalogue.frame.rows() == [(7, "seven"), (8, "eight")]


@pytest.mark.parametrize(
    ("ids", "message"),
    [(["B07X"], "'B07X', but the interactions' item ids are whole numbers"), (["9"], "none of the 1 ids")],
)
def test_a_strange_items_table_is_refused(ids, message):
    with pytest.raises(UserError, match=message):
        prepare(raw([(1, 7), (1, 8)], table(item_id=ids, text=["?"])))


def test_the_sources_split_is_used_unless_another_is_asked_for():
    rows = [("u", "a"), ("u", "b"), ("u", "c"), ("v", "a"), ("v", "c")]
    source = raw(rows, split=pl.Series([0, 0, 2, 1, 1], dtype=pl.UInt8))
    assert prepare(source).split.tolist() == [0, 0, 2, 1, 1]
    assert prepare(source).meta["preparation"]["split"] == "given"
    assert prepare(source, Preparation(split="leave-one-out")).split.tolist() == [0, 1, 2, 0, 0]


@pytest.mark.parametrize(
    ("preparation", "message"),
    [
        (Preparation(min_rating=3), "min_rating needs a rating"),
        (Preparation(split="given"), "the given split needs a split"),
        (Preparation(valid_from="2020-01-01", test_from="2021-01-01"), "a split by time needs a timestamp"),
    ],
)
def test_what_the_source_lacks_is_named(preparation, message):
    with pytest.raises(UserError, match=message):
        prepare(raw([("u", "a"), ("u", "b")]), preparation)


def test_nothing_left_says_what_each_step_left():
    with pytest.raises(UserError) as error:
        prepare(raw([("u", "a", 1, 4), ("u", "b", 2, 2)]), Preparation(min_rating=3, item_core=2))
    assert str(error.value) == (
        "no interactions are left of made-up (read: 2 of 1 users and 2 items; rating >= 3: 1 of 1 users and "
        "1 items; core: items 2, users 0: 0 of 0 users and 0 items); loosen the filters"
    )


def test_an_empty_source_is_refused():
    empty = pl.DataFrame(schema={"user_id": pl.String, "item_id": pl.String})
    with pytest.raises(UserError, match="no interactions are left of void"):
        prepare(Raw(empty, None, "void", "test"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"repeats": "keepfirst"}, "repeats is 'keepfirst'; did you mean 'keep-first'?"),
        ({"split": "random"}, "split is 'random'; known are"),
        ({"item_core": -1}, "item_core is -1, but must be a whole number of at least 0"),
        ({"user_core": 1.5}, "user_core is 1.5"),
        ({"min_length": 0}, "min_length is 0, but must be a whole number of at least 1"),
        ({"split": "time"}, "valid_from is not set"),
        ({"test_from": "2020-01-01"}, "valid_from is not set"),
        ({"valid_from": "2020-01-01"}, "test_from is not set"),
        (
            {"split": "leave-one-out", "test_from": "2020-01-01"},
            "test_from is set, but the split is",
        ),
        ({"valid_from": "2021-01-01", "test_from": "2020-01-01"}, "not before test_from"),
        ({"valid_from": "soon", "test_from": "2020-01-01"}, "valid_from is 'soon', but must be a moment"),
        ({"min_rating": "high"}, "min_rating is 'high', but must be a number"),
    ],
)
def test_contradictory_preparations_are_refused(options, message):
    with pytest.raises(UserError, match=message):
        Preparation(**options)


PREPARE_MANY = """
import random, polars as pl
from slmrec.data import Dataset, Preparation
draw = random.Random(7).random
rows = [
    (f"u{int(draw() ** 2 * 9000)}", f"i{int(draw() ** 3 * 5000)}", int(draw() * 500)) for _ in range(60_000)
]
data = Dataset.from_frame(
    pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row"),
    preparation=Preparation(item_core=3, user_core=3, repeats="drop-consecutive"),
)
print(pl.thread_pool_size(), data.fingerprint)
"""


def test_threads_change_nothing():
    answers = [
        subprocess.run(
            [sys.executable, "-c", PREPARE_MANY],
            env=os.environ | {"POLARS_MAX_THREADS": threads},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        for threads in ("1", "5")
    ]
    assert [threads for threads, _ in answers] == ["1", "5"]
    assert answers[0][1] == answers[1][1]


def test_the_fingerprint_is_a_sha256_of_ids_and_arrays_on_every_machine():
    data = prepare(raw([("ü", 10), ("ü", 20), ("v", 10)]))
    written = b"String 2;" + (2).to_bytes(8, "little") + (1).to_bytes(8, "little") + "üv".encode()
    written += b"Int64 2;" + (10).to_bytes(8, "little") + (20).to_bytes(8, "little")
    written += b"".join(offset.to_bytes(8, "little") for offset in (0, 2, 3))
    written += b"".join(index.to_bytes(4, "little") for index in (1, 2, 1)) + bytes([0, 0, 0])
    assert data.fingerprint == hashlib.sha256(written).hexdigest()


def test_a_source_is_a_path_or_a_known_name(tmp_path, monkeypatch):
    path = tmp_path / "interactions.csv"
    path.write_text("who,item_id,timestamp\nu,b,1\nu,a,2\n")
    ours = prepare_source(str(path), "csv", {"user_id": "who"}, Preparation(repeats="keep-first"))
    assert ours.catalogue.ids(ours.sequence).to_list() == ["b", "a"]
    module = sys.modules["slmrec.data.prepare"]  # the name in the package is the function
    monkeypatch.setattr(module, "fetch", lambda name, report: path)
    theirs = prepare_source("ml-100k", columns={"user_id": "who"})
    assert theirs.fingerprint == ours.fingerprint
    with pytest.raises(UserError, match="nowhere does not exist"):
        prepare_source("nowhere")
