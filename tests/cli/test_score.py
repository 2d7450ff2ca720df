"""`slmrec score`, and the precision that three commands take."""

import polars as pl
import pytest
import torch

from slmrec import engine, scoring
from slmrec.cli.main import main
from slmrec.models import load


@pytest.fixture
def histories(tmp_path):
    frame = pl.DataFrame({"user_id": ["a", "b"], "history": [["003", "004"], ["010"]]})
    frame.write_parquet(tmp_path / "in.parquet")
    return tmp_path / "in.parquet"


def test_writes_what_the_api_gives(house, histories, tmp_path, capsys):
    words = ["score", str(house.student), "--histories", str(histories), "--out", str(tmp_path / "out"), "-k", "4"]
    assert main(words) == 0
    assert capsys.readouterr().out == f"2 users scored into {tmp_path / 'out'}\n"
    wanted = load(house.student).recommend({"a": ["003", "004"], "b": ["010"]}, k=4)
    found = pl.read_parquet(tmp_path / "out" / "part-00000.parquet")
    assert found.select("user_id", "item_id").equals(wanted.select("user_id", "item_id"))


def test_it_runs_where_the_precision_says(house, histories, tmp_path, monkeypatch):
    """On an accelerator, if there is one: here a device without memory stands for it."""
    seen = []
    monkeypatch.setattr(engine, "device_of", lambda precision: torch.device("meta" if precision == "fp32" else "cpu"))
    monkeypatch.setattr(scoring, "score_parquet", lambda model, *_, **__: seen.append(model.device.type) or 0)
    for precision in ("fp32", "int8"):
        words = ["score", str(house.student), "--histories", str(histories), "--out", str(tmp_path / precision)]
        assert main([*words, "--precision", precision]) == 0
    assert seen == ["meta", "cpu"]


def test_a_reduced_precision_changes_scores_where_it_can_be_had(house, histories, tmp_path, capsys):
    scores = []
    for precision in ("fp32", "int8"):
        out = tmp_path / precision
        words = ["score", str(house.student), "--histories", str(histories), "--out", str(out)]
        assert main([*words, "--precision", precision]) == 0
        scores.append(pl.read_parquet(out / "part-00000.parquet")["score"])
    assert not scores[0].equals(scores[1])
    words = ["recommend", str(house.sasrec), "--history", "003", "--precision", "int8"]
    assert main(words) == 2
    assert "precision 'int8' is for LLM recommenders; a model of kind sasrec runs in fp32" in capsys.readouterr().err
    assert main(["evaluate", str(house.student), "--data", str(house.data), "--precision", "int8"]) == 0
