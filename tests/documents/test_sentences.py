"""What the sentences of README.md and docs/tasks are filled with, on results made up here."""

import importlib
import json
from pathlib import Path

import pytest


@pytest.fixture
def sentences(monkeypatch, tmp_path):
    """The module, over a folder of its own."""
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    module = importlib.import_module("sentences")
    monkeypatch.setattr(module.claims, "STUDIES", tmp_path)
    return module


def compared(**other) -> dict:
    """A comparison as a study's JSON has it: .055 against .05."""
    found = {"model": "ours", "baseline": "theirs", "seeds": [2, 2], "baseline_mean": 0.05, "difference": 0.005}
    return found | {"low": -0.001, "high": 0.0125, "p_corrected": 0.00349} | other


def test_a_difference_is_told_in_percent_of_the_baseline(sentences):
    told = sentences.Difference(compared())
    assert told.percent == "+10.0\N{NO-BREAK SPACE}%"
    assert told.interval == "-2.0 to +25.0\N{NO-BREAK SPACE}%"
    assert told.p == "p = .0035"


def test_words_stand_as_long_as_the_numbers_say_so(sentences):
    """The claims page's rule: a corrected p below .05 and an interval without zero, or else level."""
    sure = compared(low=0.001)
    assert sentences.Difference(sure).ahead("is better") == "is better"
    assert sentences.Difference(compared()).level("does as well") == "does as well"
    assert sentences.Difference(sure | {"p_corrected": 0.06}).level("does as well") == "does as well"
    worse = sentences.Difference(compared(difference=-0.005, low=-0.01, high=-0.001))
    assert worse.behind("is worse") == "is worse"
    with pytest.raises(ValueError, match=r"'is better'.*'ours'.*'theirs' is behind"):
        worse.ahead("is better")


@pytest.mark.parametrize(
    ("seeds", "said"), [([1, 1], "one seed"), ([2, 2], "two seeds"), ([2, 3], "two and three seeds")]
)
def test_seeds_are_told_once_where_both_have_as_many(sentences, seeds, said):
    assert sentences.Difference(compared(seeds=seeds)).seeds == said


def test_a_pair_and_a_score_are_those_of_the_study(sentences, tmp_path):
    other = compared(model="another", difference=0.01)
    rare = compared(difference=-0.02)
    few = {"1-5": {"cases": 9, "NDCG@10": 0.021}}
    models = {
        "ours": {"mean": {"NDCG@10": 0.05496}, "target_count": few, "cold_targets": 7, "seeds": {"0": {}, "1": {}}}
    }
    data = {"comparisons": [other, compared()], "comparisons_cold": [rare], "models": models}
    (tmp_path / "study.json").write_text(json.dumps({"data": {"films": data}}))
    assert sentences.score("study", "ours") == ".0550"
    assert sentences.score("study", "ours", "1-5") == ".0210"
    assert sentences.new("study") == 7
    assert sentences.seeds("study", "ours") == "two seeds"
    assert sentences.difference("study", "ours", "theirs").percent == "+10.0\N{NO-BREAK SPACE}%"
    assert sentences.difference("study", "ours", "theirs", rare=True).percent == "-40.0\N{NO-BREAK SPACE}%"
    with pytest.raises(ValueError, match="not enough values"):
        sentences.difference("study", "theirs", "ours")  # never compared: no sentence about it


def test_points_follow_each_other_and_paragraphs_stand_apart(sentences, monkeypatch, tmp_path):
    monkeypatch.setattr(sentences, "__file__", str(tmp_path / "sentences.py"))
    monkeypatch.setattr(sentences.claims, "result_of", lambda name: {})
    monkeypatch.setattr(sentences.claims, "users_per_second", dict)
    (tmp_path / "sentences").mkdir()
    text = f"One\nparagraph.\n\n{'word ' * 30}\n\n- a point\n- another\n\n## More\n- last"
    (tmp_path / "sentences" / "text.md.jinja").write_text(text)
    assert sentences.sentences("text") == [
        "One paragraph.",
        "",
        ("word " * 24).strip(),
        ("word " * 6).strip(),
        "",
        "- a point",
        "- another",
        "",
        "## More",
        "",
        "- last",
    ]
