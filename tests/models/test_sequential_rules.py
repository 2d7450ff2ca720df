"""Sequential rules against a small example worked out by hand, and against counting them one by one."""

from collections import defaultdict

import numpy as np
import polars as pl
import pytest
import torch

from slmrec.data import Dataset, Preparation
from slmrec.errors import UserError
from slmrec.evaluation import evaluate
from slmrec.models import ItemKNN, SequentialRules, load
from slmrec.training.counting import train_neighbours
from slmrec.training.options import SequentialRulesOptions

TRAIN = {"u1": "abc", "u2": "abb", "u3": "ca"}
"""Items of three users' training events; two more of each are set aside."""


@pytest.fixture(scope="module")
def data() -> Dataset:
    rows = [(user, item, time) for user, items in TRAIN.items() for time, item in enumerate(items + "ee")]
    frame = pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row")
    return Dataset.from_frame(frame, preparation=Preparation(min_length=1))


def scores(model: SequentialRules, items: str) -> dict[str, float]:
    found = model.score([model.catalogue.index(list(items))])[0].tolist()
    return dict(zip(model.catalogue.ids(range(1, 5)).to_list(), found, strict=True))


def test_a_small_example_by_hand(data):
    """Of a: b after one event twice, c after two once, b after two once. Of b: c and b once each. Of c: a once."""
    model = SequentialRules.from_data(data, window=2, decay=0.5)
    assert scores(model, "a") == pytest.approx({"a": 0, "b": 2.5 / 3, "c": 0.5 / 3, "e": 0})
    assert scores(model, "b") == pytest.approx({"a": 0, "b": 0.5, "c": 0.5, "e": 0})
    assert scores(model, "ab") == pytest.approx({"a": 0, "b": 0.5 + 2.5 / 6, "c": 0.5 + 0.5 / 6, "e": 0})
    chain = SequentialRules.from_data(data, window=1)  # the first-order Markov chain
    assert scores(chain, "a") == pytest.approx({"a": 0, "b": 1, "c": 0, "e": 0})
    assert scores(chain, "c") == pytest.approx({"a": 1, "b": 0, "c": 0, "e": 0})
    one = SequentialRules.from_data(data, window=2, neighbours=1)
    assert scores(one, "a") == pytest.approx({"a": 0, "b": 2.5 / 3, "c": 0, "e": 0})


def test_rules_are_those_counted_one_by_one():
    """Random histories: users end where their events do, and no rule reaches from one to the next."""
    rng = np.random.default_rng(0)
    rows = [(user, int(rng.integers(12)), time) for user in range(40) for time in range(rng.integers(3, 12))]
    data = Dataset.from_frame(pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row"))
    counts: dict[int, dict[int, float]] = defaultdict(lambda: defaultdict(float))
    for sequence in data.train_sequences():
        for p in range(len(sequence)):
            for q in range(p + 1, min(p + 4, len(sequence))):
                counts[sequence[p]][sequence[q]] += 1 / (q - p)
    model = SequentialRules.from_data(data, window=3)
    for item in range(1, data.num_items + 1):
        total = sum(counts[item].values())
        wanted = [counts[item][other] / total if total else 0.0 for other in range(1, data.num_items + 1)]
        np.testing.assert_allclose(model.score([np.array([item])])[0].numpy(), wanted, atol=1e-6)


def test_order_counts_where_item_knn_knows_none(cycle, tmp_path):
    """On a ring every item has one successor: rules point forward, cosines both ways."""
    made = train_neighbours(cycle, SequentialRulesOptions(), tmp_path / "m")
    model = load(tmp_path / "m")
    assert isinstance(model, SequentialRules)
    assert torch.equal(model.weights, made.weights)
    assert evaluate(model, cycle).metrics["HR@1"] > 0.9
    alike = ItemKNN.from_data(cycle)
    assert evaluate(model, cycle).metrics["HR@1"] > evaluate(alike, cycle).metrics["HR@1"]


def test_wrong_options_are_refused():
    with pytest.raises(UserError, match="window is 0, but must be at least 1"):
        SequentialRulesOptions(window=0)
