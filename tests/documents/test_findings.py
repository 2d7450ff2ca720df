"""What README.md's sentences are filled with, on results made up here."""

import importlib
import json
from pathlib import Path

import pytest


@pytest.fixture
def findings(monkeypatch, tmp_path):
    """The module, over a folder of its own."""
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    module = importlib.import_module("findings")
    monkeypatch.setattr(module.claims, "STUDIES", tmp_path)
    return module


def compared(**other) -> dict:
    """A comparison as a study's JSON has it: .055 against .05."""
    found = {"model": "ours", "baseline": "theirs", "seeds": [2, 2], "baseline_mean": 0.05, "difference": 0.005}
    return found | {"low": -0.001, "high": 0.0125, "p_corrected": 0.00349} | other


def test_a_difference_is_told_in_percent_of_the_baseline(findings):
    told = findings.Difference(compared())
    assert told.percent == "+10.0\N{NO-BREAK SPACE}%"
    assert told.interval == "-2.0 to +25.0\N{NO-BREAK SPACE}%"
    assert told.p == "p = .0035"


@pytest.mark.parametrize(
    ("seeds", "said"), [([1, 1], "one seed"), ([2, 2], "two seeds"), ([2, 3], "two and three seeds")]
)
def test_seeds_are_told_once_where_both_have_as_many(findings, seeds, said):
    assert findings.Difference(compared(seeds=seeds)).seeds == said


def test_a_pair_and_a_score_are_those_of_the_study(findings, tmp_path):
    other = compared(model="another", difference=0.01)
    rare = compared(difference=-0.02)
    models = {"ours": {"mean": {"NDCG@10": 0.05496}}}
    data = {"comparisons": [other, compared()], "comparisons_cold": [rare], "models": models}
    (tmp_path / "study.json").write_text(json.dumps({"data": {"films": data}}))
    assert findings.score("study", "ours") == ".0550"
    assert findings.difference("study", "ours", "theirs").percent == "+10.0\N{NO-BREAK SPACE}%"
    assert findings.difference("study", "ours", "theirs", rare=True).percent == "-40.0\N{NO-BREAK SPACE}%"
    with pytest.raises(ValueError, match="not enough values"):
        findings.difference("study", "theirs", "ours")  # never compared: no sentence about it
