"""The catalogue, against a small table written by hand."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from slmrec.data import PADDING, Catalogue
from slmrec.errors import UserError


@pytest.fixture
def strings() -> Catalogue:
    return Catalogue(pl.DataFrame({"item_id": ["007", "7", "ä,b"], "text": ["Bond", None, "Ä"], "year": [1, 2, 3]}))


@pytest.fixture
def integers() -> Catalogue:
    return Catalogue(pl.DataFrame({"item_id": [30, -1, 7], "text": ["x", "y", None]}))


def test_indices_begin_after_padding(strings):
    assert PADDING == 0
    assert len(strings) == 3
    assert strings.index(["7", "ä,b", "007", "7"]).tolist() == [2, 3, 1, 2]
    assert strings.index([]).dtype == np.int32


def test_leading_zeros_tell_strings_apart_and_integers_may_be_spelled(strings, integers):
    assert strings.index([7]).tolist() == [2]
    assert integers.index(["30", -1, np.int32(7)]).tolist() == [1, 2, 3]
    with pytest.raises(UserError, match="'007'"):
        integers.index(["007"])


def test_unknown_ids_are_named_or_skipped(strings):
    with pytest.raises(UserError, match="2 of 3 items are not in the catalogue of 3: 'no', '8'; "):
        strings.index(["no", "7", 8])
    assert strings.index(["no", "7", 8], unknown="skip").tolist() == [2]
    with pytest.raises(UserError, match=r"'4', …"):
        strings.index(range(7))


def test_ids_and_texts_of_indices(strings, integers):
    assert strings.ids(np.array([3, 1], dtype=np.int32)).to_list() == ["ä,b", "007"]
    assert strings.texts([1, 2, 2]) == ["Bond", "7", "7"]
    assert integers.ids([2]).dtype == pl.Int64
    assert integers.texts([3]) == ["7"]
    assert strings.texts([]) == []


@pytest.mark.parametrize("index", [PADDING, -1, 4])
def test_an_index_of_no_item_is_a_fault(strings, index):
    with pytest.raises(IndexError, match=r"1\.\.3"):
        strings.ids([1, index])


def test_a_saved_catalogue_is_the_same(strings, tmp_path):
    strings.save(tmp_path / "items.parquet")
    assert Catalogue.load(tmp_path / "items.parquet").frame.equals(strings.frame)
    assert [path.name for path in tmp_path.iterdir()] == ["items.parquet"]


@pytest.mark.parametrize(
    "frame",
    [
        pl.DataFrame({"item_id": ["a"]}),
        pl.DataFrame({"item_id": [1.5], "text": ["a"]}),
        pl.DataFrame({"item_id": ["a", "a"], "text": ["b", "c"]}),
        pl.DataFrame({"item_id": ["a", None], "text": ["b", "c"]}),
    ],
)
def test_what_is_no_catalogue_is_refused(frame, tmp_path):
    with pytest.raises(UserError, match="item_id"):
        Catalogue(frame)
    frame.write_parquet(tmp_path / "items.parquet")
    with pytest.raises(UserError, match=r"items\.parquet is no items table of ours"):
        Catalogue.load(tmp_path / "items.parquet")


def test_a_missing_or_damaged_file_is_named(strings, tmp_path):
    path = tmp_path / "items.parquet"
    with pytest.raises(UserError, match=r"items\.parquet is missing"):
        Catalogue.load(path)
    strings.save(path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(UserError, match=r"items\.parquet is damaged"):
        Catalogue.load(path)


def test_a_full_disk_leaves_nothing(strings, tmp_path, monkeypatch):
    def full(frame: pl.DataFrame, path: Path) -> None:
        path.write_bytes(b"PAR1")
        raise pl.exceptions.ComputeError("No space left on device (os error 28)")

    monkeypatch.setattr(pl.DataFrame, "write_parquet", full)
    with pytest.raises(UserError, match=r"cannot write .*No space left"):
        strings.save(tmp_path / "items.parquet")
    assert list(tmp_path.iterdir()) == []
