"""The data set: frames of every kind in, arrays against plain Python, and what may befall its folder."""

import json
import shutil
from collections import Counter
from datetime import date

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slmrec.data import Dataset, Preparation
from slmrec.errors import UserError

ROWS = {
    "user_id": ["u1", "u2", "u1", "u2", "u1", "u3", "u1"],
    "item_id": ["02", "01", "01", "03", "04", "05", "01"],
    "timestamp": [10, 10, 20, 30, 40, 50, 60],
}

ITEMS = sorted(set(ROWS["item_id"]))


@pytest.fixture
def data() -> Dataset:
    items = pl.DataFrame({"item_id": ["01", "09"], "text": ["one", "nine"]})
    return Dataset.from_frame(pl.DataFrame(ROWS), items=items)


def test_arrays_of_a_small_data_set(data):
    assert data.name == "frame"
    assert data.users["user_id"].to_list() == ["u1", "u2", "u3"]
    assert data.catalogue.frame["item_id"].to_list() == ["02", "01", "03", "04", "05", "09"]
    assert (data.num_users, data.num_items, data.num_interactions) == (3, 6, 7)
    assert data.offsets.tolist() == [0, 4, 6, 7]
    assert data.sequence.tolist() == [1, 2, 4, 2, 2, 3, 5]
    assert data.split.tolist() == [0, 0, 1, 2, 0, 0, 0]
    assert data.timestamps.tolist() == [second * 1_000_000 for second in (10, 20, 40, 60, 10, 30, 50)]
    dtypes = [array.dtype for array in (data.offsets, data.sequence, data.split, data.timestamps)]
    assert dtypes == [np.int64, np.int32, np.uint8, np.int64]


def test_views_of_a_small_data_set(data):
    assert [events.tolist() for events in data.train_sequences()] == [[1, 2], [2, 3], [5]]
    valid, test = data.cases("valid"), data.cases("test")
    assert (valid.users.tolist(), valid.positions.tolist()) == ([0], [2])
    assert (test.users.tolist(), test.positions.tolist()) == ([0], [3])
    assert data.history(0, 3).tolist() == [1, 2, 4]
    assert data.full_history(0).tolist() == [1, 2, 4, 2]
    assert data.item_counts().tolist() == [0, 1, 2, 1, 0, 1, 0]
    assert data.user_index("u3") == 2
    with pytest.raises(UserError, match="user 'u4' is not among the 3 users of frame"):
        data.user_index("u4")


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 6), st.integers(0, 9)), min_size=3, max_size=40).filter(
        lambda rows: len({min(time // 4, 2) for _, _, time in rows}) == 3
    )
)
def test_views_agree_with_plain_python(rows):
    by_time = Preparation(valid_from="1970-01-01T00:00:04", test_from="1970-01-01T00:00:08")
    frame = pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row")
    data = Dataset.from_frame(frame, preparation=by_time)
    number = {item: index for index, item in enumerate(dict.fromkeys(row[1] for row in rows), start=1)}
    histories = {user: [] for user, _, _ in rows}
    for user, item, time in sorted(rows, key=lambda row: row[2]):
        histories[user].append((number[item], time))

    train = [[item for item, time in history if time < 4] for history in histories.values()]
    assert [events.tolist() for events in data.train_sequences()] == [events for events in train if events]
    assert data.item_counts().tolist() == [
        Counter(item for events in train for item in events)[index] for index in range(len(number) + 1)
    ]
    for name, first, last in (("valid", 4, 8), ("test", 8, 99)):
        expected = [
            (user, [earlier for earlier, _ in history[:place]], item)
            for user, history in enumerate(histories.values())
            for place, (item, time) in enumerate(history)
            if place and first <= time < last
        ]
        cases = data.cases(name)
        assert len(cases) == len(expected)
        assert [
            (user, data.history(user, position).tolist(), data.sequence[position])
            for user, position in zip(cases.users, cases.positions, strict=True)
        ] == expected


@pytest.mark.parametrize(
    "convert",
    [
        pl.DataFrame,
        pl.LazyFrame,
        pd.DataFrame,
        pa.table,
        lambda rows: pl.DataFrame(rows).cast({"user_id": pl.Categorical, "item_id": pl.Enum(ITEMS)}),
        lambda rows: pd.DataFrame(rows).astype({"user_id": "category", "item_id": "category"}),
        lambda rows: pd.DataFrame(rows).set_index(np.arange(9, 9 + len(rows["item_id"]))).astype({"item_id": object}),
    ],
)
def test_every_kind_of_frame_gives_the_same(convert):
    table = {"user_id": ["-"] * len(ITEMS), "item_id": ITEMS, "text": [f"item {item}" for item in ITEMS]}
    ours = Dataset.from_frame(pl.DataFrame(ROWS), items=pl.DataFrame(table))
    theirs = Dataset.from_frame(convert(ROWS), items=convert(table))
    assert theirs.fingerprint == ours.fingerprint
    assert theirs.timestamps.tolist() == ours.timestamps.tolist()
    assert theirs.catalogue.frame["text"].equals(ours.catalogue.frame["text"])


def test_integers_stay_integers(tmp_path):
    frame = pd.DataFrame({"user_id": [5, 5], "item_id": np.array([200, 100], dtype=np.uint16)})
    data = Dataset.from_frame(frame)
    assert data.catalogue.frame.schema["item_id"] == pl.Int64
    assert data.catalogue.frame["item_id"].to_list() == [200, 100]
    assert data.user_index(5) == data.user_index("5") == 0
    data.save(tmp_path / "data")
    assert Dataset.load(tmp_path / "data").catalogue.frame.schema["item_id"] == pl.Int64


def test_other_names_by_a_mapping_and_the_usual_ones_without():
    days = [date(2020, 1, day) for day in (3, 2, 1)]
    frame = pl.DataFrame({"customer": ["c"] * 3, "sku": ["x", "y", "z"], "datetime": days})
    data = Dataset.from_frame(
        frame.with_columns(weight=pl.Series([1, 5, 5])),
        columns={"user_id": "customer", "item_id": "sku"},
        items=pl.DataFrame({"sku": ["y"], "title": ["Why"]}),
        preparation=Preparation(min_rating=2),
    )
    assert data.catalogue.texts(data.sequence) == ["z", "Why"]
    assert data.timestamps.tolist() == [
        1_577_836_800_000_000,
        1_577_923_200_000_000,
    ]  # date -u -d 2020-01-01 +%s


@pytest.mark.parametrize(
    ("change", "columns", "message"),
    [
        ({"item_id": None}, None, "no column 'item_id', only user_id, timestamp; map item_id"),
        ({}, {"item_id": "itemid"}, "no column 'itemid' .did you mean 'item_id'"),
        ({}, {"timestamp": "when"}, "no column 'when'"),
        ({}, {"item": "item_id"}, "'item', which is no column of ours; did you mean 'item_id'"),
        ({}, {"item_id": "user_id", "user_id": "user_id"}, "'user_id' to both item_id and user_id"),
        ({"item_id": ["a", "b", None, "c", "d", "", "e"]}, None, "row 3 .* has no item_id .*one of 2"),
        ({"user_id": [1.0, 2.0, float("nan"), 1.0, 1.0, 1.0, 1.0]}, None, "row 3 .* as user_id"),
        ({"user_id": [1.0, 2.5, 2.0, 1.0, 1.0, 1.0, 1.0]}, None, "row 2 of the frame has 2.5 as user_id"),
        ({"user_id": [date(2020, 1, 1)] * 7}, None, "'user_id' of the frame holds Date values; ids are"),
        ({"timestamp": ["1", "2", "3", "4", "soon", "6", "7"]}, None, "row 5 .* has 'soon' as timestamp"),
        ({"rating": ["1", "2", "3", "x", "5", "6", "7"]}, None, "row 4 of the frame has 'x' as rating"),
    ],
)  # fmt: skip
def test_wrong_frames_are_refused_in_one_sentence(change, columns, message):
    rows = {name: values for name, values in (ROWS | change).items() if values is not None}
    with pytest.raises(UserError, match=message):
        Dataset.from_frame(pl.DataFrame(rows), columns=columns)


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame([["u", "a", "b"]], columns=["user_id", "item_id", "item_id"]),
        pa.Table.from_arrays([pa.array(["u"])] * 3, names=["user_id", "item_id", "item_id"]),
        pl.LazyFrame({"user_id": ["u"]}).select("item_id"),
        17,
    ],
)
def test_doubled_columns_and_no_frames_are_refused(frame):
    with pytest.raises(UserError, match=r"^the frame cannot be read: "):
        Dataset.from_frame(frame)


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ({"item_id": ["01"]}, "the items table has no column 'text'"),
        ({"text": ["one"]}, "the items table has no column 'item_id'"),
        ({"item_id": ["01", None], "text": ["one", "?"]}, "row 2 of the items table has no item_id"),
    ],
)
def test_wrong_items_tables_are_refused(items, message):
    with pytest.raises(UserError, match=message):
        Dataset.from_frame(pl.DataFrame(ROWS), items=pl.DataFrame(items))


def test_blank_text_is_no_text():
    items = pl.DataFrame({"item_id": ["01", "02"], "text": [" ", " two "]})
    data = Dataset.from_frame(pl.DataFrame(ROWS), items=items)
    assert data.catalogue.frame["text"].to_list()[:2] == ["two", None]


def test_a_saved_data_set_is_the_same(data, tmp_path):
    folder = tmp_path / "new" / "data"
    data.save(folder)
    loaded = Dataset.load(folder)
    for name in ("offsets", "sequence", "split", "timestamps"):
        ours, theirs = getattr(data, name), getattr(loaded, name)
        assert ours.tolist() == theirs.tolist()
        assert ours.dtype == theirs.dtype
        assert theirs.flags.writeable  # torch warns of arrays that are not
    assert loaded.users.equals(data.users)
    assert loaded.catalogue.frame.equals(data.catalogue.frame)
    assert (loaded.name, loaded.meta, loaded.fingerprint) == (data.name, data.meta, data.fingerprint)
    assert loaded.describe() == data.describe()
    assert sorted(path.name for path in folder.iterdir()) == [
        "dataset.json", "interactions.parquet", "items.parquet", "users.parquet"
    ]  # fmt: skip
    assert [path.name for path in folder.parent.iterdir()] == ["data"]


def test_a_data_set_without_times_is_saved_without(tmp_path):
    data = Dataset.from_frame(pl.DataFrame(ROWS).drop("timestamp"))
    data.save(tmp_path / "data")
    assert Dataset.load(tmp_path / "data").timestamps is None
    assert "none given, file order" in data.describe()


def test_an_older_data_folder_is_replaced_and_an_empty_one_filled(data, tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    Dataset.from_frame(pl.DataFrame({"user_id": [1], "item_id": [1]})).save(folder)
    data.save(folder)
    assert Dataset.load(folder).fingerprint == data.fingerprint


@pytest.mark.parametrize("names", [["thesis.txt"], ["dataset.json", "notes.md"], ["thesis.txt", "dataset.json"]])
def test_a_folder_with_anything_else_is_never_touched(data, tmp_path, names):
    folder = tmp_path / "data"
    folder.mkdir()
    for name in names:
        (folder / name).write_text("precious")
    with pytest.raises(UserError, match="not ours"):
        data.save(folder)
    assert sorted(path.name for path in folder.iterdir()) == sorted(names)
    assert {(folder / name).read_text() for name in names} == {"precious"}
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_a_file_in_the_way_is_never_touched(data, tmp_path):
    (tmp_path / "data").write_text("precious")
    with pytest.raises(UserError, match="is a file"):
        data.save(tmp_path / "data")
    assert (tmp_path / "data").read_text() == "precious"


@pytest.mark.parametrize(
    "error", [pl.exceptions.ComputeError("No space left"), OSError(28, "No space left"), KeyboardInterrupt()]
)
def test_a_full_disk_or_an_interruption_leaves_the_old_folder(data, tmp_path, monkeypatch, error):
    folder = tmp_path / "data"
    data.save(folder)
    write = pl.DataFrame.write_parquet

    def fail_at_users(frame: pl.DataFrame, path) -> None:
        write(frame, path)
        if "users" in path.name:
            raise error

    monkeypatch.setattr(pl.DataFrame, "write_parquet", fail_at_users)
    other = Dataset.from_frame(pl.DataFrame({"user_id": [1], "item_id": [1]}))
    for target in (folder, tmp_path / "fresh"):
        with pytest.raises(KeyboardInterrupt if isinstance(error, KeyboardInterrupt) else UserError):
            other.save(target)
    assert [path.name for path in tmp_path.iterdir()] == ["data"]
    assert Dataset.load(folder).fingerprint == data.fingerprint


@pytest.mark.parametrize("name", ["interactions.parquet", "users.parquet", "items.parquet", "dataset.json"])
@pytest.mark.parametrize("harm", ["missing", "truncated", "flipped", "empty"])
def test_a_damaged_folder_is_refused_by_the_name_of_the_file(data, tmp_path, name, harm):
    data.save(tmp_path / "data")
    path = tmp_path / "data" / name
    whole = path.read_bytes()
    match harm:
        case "missing":
            path.unlink()
        case "truncated":
            path.write_bytes(whole[: len(whole) // 2])
        case "flipped":
            path.write_bytes(whole[:9] + bytes([whole[9] ^ 1]) + whole[10:])
        case "empty":
            path.write_bytes(b"")
    with pytest.raises(UserError, match=name.replace(".", r"\.") if harm != "flipped" else "data"):
        Dataset.load(tmp_path / "data")


def test_tables_that_disagree_are_refused(data, tmp_path):
    data.save(tmp_path / "data")
    path = tmp_path / "data" / "dataset.json"
    described = json.loads(path.read_text())
    path.write_text(json.dumps(described | {"fingerprint": "0" * 64}))
    with pytest.raises(UserError, match=r"is not what its dataset\.json says"):
        Dataset.load(tmp_path / "data")
    path.write_text(json.dumps(described | {"version": 2}))
    with pytest.raises(UserError, match="is of version 2, this slmrec reads 1"):
        Dataset.load(tmp_path / "data")
    del described["meta"]
    path.write_text(json.dumps(described))
    with pytest.raises(UserError, match="lacks 'meta'"):
        Dataset.load(tmp_path / "data")


def test_foreign_and_missing_folders_are_refused(tmp_path):
    with pytest.raises(UserError, match="there is no data folder at"):
        Dataset.load(tmp_path / "nowhere")
    (tmp_path / "dataset.json").write_text('{"name": "theirs"}')
    with pytest.raises(UserError, match="is not a data folder of ours"):
        Dataset.load(tmp_path)
    (tmp_path / "dataset.json").unlink()
    with pytest.raises(UserError, match=r"dataset\.json is missing"):
        Dataset.load(tmp_path)
    shutil.rmtree(tmp_path)


def test_the_description_says_what_there_is():
    rows = {
        "user_id": list("aaaabbbb"),
        "item_id": list("xyzvxyxw"),
        "timestamp": [f"2020-01-0{d}" for d in range(1, 9)],
    }
    text = Dataset.from_frame(pl.DataFrame(rows), name="tiny").describe()
    for part in (
        "tiny (frame)",
        "2 users, 5 items, 8 interactions, density 80.0000%",
        "history lengths: 4 to 4, median 4, mean 4.0",
        "2020-01-01T00:00:00 to 2020-01-08T00:00:00 (in the source: iso)",
        "4 train, 2 valid, 2 test",
        "valid: 2 cases, 1 with a target never seen in train",  # z is new to train, x is not
        "test: 2 cases, 2 with a target never seen in train",  # v and w
    ):
        assert part in text
