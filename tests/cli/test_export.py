"""`slmrec export`: a bundle that answers as `slmrec recommend` does, and what is printed."""

import json

import pytest

from slmrec.cli.main import main
from slmrec.models import load
from slmrec.runtime import Bundle


def test_a_bundle_answers_as_its_model(house, tmp_path, capsys):
    out = tmp_path / "bundle"
    words = ["export", str(house.sasrec), "--to", "onnx", "--out", str(out), "--data", str(house.data)]
    assert main(words) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith(f"{out}: sasrec, 30 items, fp32, 0.")
    assert "parity on every test case of clicks: 40 of 40 lists of ten as torch's but for ties, 100.00%" in printed[1]
    assert printed[2].startswith("NDCG@10: ")
    assert printed[2].endswith("(+0.0000)")
    assert printed[3].startswith("latency of 10 events: median ")
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["name"] == "bundle"
    history = ["003", "004"]
    found = Bundle.load(out).recommend([history], k=5)[0]
    assert [one.item_id for one in found] == load(house.sasrec).recommend([history], k=5)["item_id"].to_list()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--to", "onnx", "--precision", "bf16"], "no bf16 products on CPUs"),
        (["--to", "tflite"], "invalid choice: 'tflite'"),
        ([], "--to"),
    ],
)
def test_mistakes(words, message, house, tmp_path, capsys):
    assert main(["export", str(house.sasrec), "--out", str(tmp_path / "out"), *words]) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_kind_without_user_vectors(house, tmp_path, capsys):
    assert main(["export", str(house.popularity), "--to", "onnx", "--out", str(tmp_path / "out")]) == 2
    assert "a model of kind popularity makes no user vectors" in capsys.readouterr().err
