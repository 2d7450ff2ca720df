"""Batch scoring against `recommend`, cut off and resumed, and with input that cannot be used."""

import polars as pl
import pytest
import torch

from slmrec import scoring
from slmrec.errors import UserError
from slmrec.models import SASRec, SASRecConfig
from slmrec.scoring import score_parquet


@pytest.fixture(scope="module")
def model(cycle):
    torch.manual_seed(0)
    model = SASRec(SASRecConfig(num_items=20, max_length=7, hidden_size=8)).eval()
    model.catalogue = cycle.catalogue
    return model


@pytest.fixture
def histories(cycle, tmp_path, monkeypatch):
    monkeypatch.setattr(scoring, "SHARD", 16)
    frame = pl.DataFrame(
        {
            "user_id": cycle.users["user_id"],
            "history": [cycle.catalogue.ids(cycle.full_history(user)).to_list() for user in range(cycle.num_users)],
        }
    )
    frame.write_parquet(tmp_path / "in.parquet", row_group_size=7)
    return tmp_path / "in.parquet"


def test_gives_what_recommend_gives(model, histories, tmp_path):
    told = []
    users = score_parquet(model, histories, tmp_path / "out", 3, progress=lambda *at: told.append(at[:2]))
    frame = pl.read_parquet(histories)
    wanted = model.recommend(dict(frame.iter_rows()), k=3)
    found = pl.read_parquet(tmp_path / "out" / "part-*.parquet")
    assert users == len(frame) == 60
    assert told == [(16, 60), (32, 60), (48, 60), (60, 60)]
    assert found.select("user_id", "item_id").equals(wanted.select("user_id", "item_id"))
    assert found["rank"].to_list() == wanted["rank"].to_list()
    torch.testing.assert_close(found["score"].to_torch(), wanted["score"].to_torch())


def test_cut_off_and_resumed_it_ends_with_the_same_files(model, histories, tmp_path):
    def stop(done, total, note):
        if done == 32:
            raise KeyboardInterrupt

    whole, cut = tmp_path / "whole", tmp_path / "cut"
    score_parquet(model, histories, whole, 3)
    with pytest.raises(KeyboardInterrupt):
        score_parquet(model, histories, cut, 3, progress=stop)
    kept = {path.name: path.stat().st_mtime_ns for path in cut.glob("part-*")}
    assert len(kept) == 2
    assert score_parquet(model, histories, cut, 3) == 60
    assert {path.name: path.read_bytes() for path in cut.iterdir()} == {
        path.name: path.read_bytes() for path in whole.iterdir()
    }
    assert all((cut / name).stat().st_mtime_ns == at for name, at in kept.items())
    with pytest.raises(UserError, match="another model, input or k"):
        score_parquet(model, histories, cut, 4)
    size = histories.stat().st_size
    content = bytearray(histories.read_bytes())
    content[10] ^= 1  # another file of the same size and rows
    histories.write_bytes(content)
    assert histories.stat().st_size == size
    with pytest.raises(UserError, match="another model, input or k"):
        score_parquet(model, histories, cut, 3)


def test_unknown_items_and_empty_histories_are_named_or_skipped(model, tmp_path):
    path = tmp_path / "in.parquet"
    pl.DataFrame({"user_id": [1, 2, 3], "history": [["000"], ["zzz", "001"], []]}).write_parquet(path)
    with pytest.raises(UserError, match=r"in.parquet, row 2: the history of user 2 holds item 'zzz'"):
        score_parquet(model, path, tmp_path / "a")
    assert score_parquet(model, path, tmp_path / "b", unknown="skip") == 2
    found = pl.read_parquet(tmp_path / "b" / "part-00000.parquet")
    assert found["user_id"].unique(maintain_order=True).to_list() == [1, 2]
    pl.DataFrame({"user_id": [1, 9], "history": [["000"], []]}).write_parquet(path)
    with pytest.raises(UserError, match="row 2: the history of user 9 is empty"):
        score_parquet(model, path, tmp_path / "c")
    pl.DataFrame({"user_id": [1], "history": [["000"]]}).write_parquet(path)
    assert score_parquet(model, path, tmp_path / "c") == 1  # corrected; nothing of the first try is in the way


def test_files_that_cannot_be_used(model, tmp_path):
    with pytest.raises(UserError, match="there is no file"):
        score_parquet(model, tmp_path / "none.parquet", tmp_path / "out")
    (tmp_path / "text.parquet").write_text("no parquet")
    with pytest.raises(UserError, match="no Parquet file"):
        score_parquet(model, tmp_path / "text.parquet", tmp_path / "out")
    pl.DataFrame({"user": [1], "history": [["000"]]}).write_parquet(tmp_path / "named.parquet")
    with pytest.raises(UserError, match="it needs one `user_id`"):
        score_parquet(model, tmp_path / "named.parquet", tmp_path / "out")
    pl.DataFrame({"user_id": [1], "history": ["000"]}).write_parquet(tmp_path / "flat.parquet")
    with pytest.raises(UserError, match="must hold lists of item ids"):
        score_parquet(model, tmp_path / "flat.parquet", tmp_path / "out")
    assert not (tmp_path / "out").exists()
