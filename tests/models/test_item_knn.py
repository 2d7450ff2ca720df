"""Item-kNN against a small example worked out by hand, and against scikit-learn's cosines."""

import numpy as np
import polars as pl
import pytest
import torch
from sklearn.metrics.pairwise import cosine_similarity

from slmrec.data import Dataset, Preparation
from slmrec.errors import UserError
from slmrec.evaluation import evaluate
from slmrec.models import ItemKNN, Popularity, item_knn, load
from slmrec.scoring import score_parquet
from slmrec.training.counting import train_neighbours
from slmrec.training.options import ItemKNNOptions

TRAIN = {"u1": "abc", "u2": "abb", "u3": "bcd", "u4": "ad"}
"""Items of four users' training events; two more of each are set aside."""


@pytest.fixture(scope="module")
def data() -> Dataset:
    """a: u1 u2 u4, b: u1 u2 u3, c: u1 u3, d: u3 u4; e only in what is set aside."""
    rows = [(user, item, time) for user, items in TRAIN.items() for time, item in enumerate(items + "ee")]
    frame = pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row")
    found = Dataset.from_frame(frame, preparation=Preparation(min_length=1))
    assert [len(sequence) for sequence in found.train_sequences()] == [3, 3, 3, 2]
    return found


def scores(model: ItemKNN, items: str) -> dict[str, float]:
    found = model.score([model.catalogue.index(list(items))])[0].tolist()
    return dict(zip(model.catalogue.ids(range(1, 6)).to_list(), found, strict=True))


def test_a_small_example_by_hand(data):
    model = ItemKNN.from_data(data, neighbours=4)
    ab, ac, ad = 2 / 3, 1 / 6**0.5, 1 / 6**0.5
    bc, bd, cd = 2 / 6**0.5, 1 / 6**0.5, 1 / 2
    assert scores(model, "a") == pytest.approx({"a": 0, "b": ab, "c": ac, "d": ad, "e": 0})
    assert scores(model, "ba") == pytest.approx({"a": ab, "b": ab, "c": ac + bc, "d": ad + bd, "e": 0})
    recent = ItemKNN.from_data(data, neighbours=4, decay=0.5)
    wanted = {"a": ab / 2 + ac, "b": ab / 4 + bc, "c": ac / 4 + bc / 2, "d": ad / 4 + bd / 2 + cd, "e": 0}
    assert scores(recent, "abc") == pytest.approx(wanted)
    shrunk = ItemKNN.from_data(data, neighbours=4, shrinkage=2.0)
    assert scores(shrunk, "a") == pytest.approx(
        {"a": 0, "b": 2 / (3 + 2), "c": 1 / (6**0.5 + 2), "d": 1 / (6**0.5 + 2), "e": 0}
    )
    one = ItemKNN.from_data(data, neighbours=1)
    assert scores(one, "c") == pytest.approx({"a": 0, "b": bc, "c": 0, "d": 0, "e": 0})
    window = ItemKNN.from_data(data, neighbours=4, max_length=1)
    assert scores(window, "bbba") == scores(window, "a")


@pytest.mark.parametrize("pairs", [20_000_000, 50])
def test_similarities_are_scikit_learns_cosines(pairs, monkeypatch):
    """Random users; the blocks that items are compared in change nothing."""
    monkeypatch.setattr(item_knn, "PAIRS", pairs)
    rng = np.random.default_rng(0)
    rows = [(user, int(rng.integers(30) ** 2 // 30), time) for user in range(50) for time in range(rng.integers(3, 15))]
    frame = pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row")
    data = Dataset.from_frame(frame)
    has = np.zeros((50, data.num_items))
    for user, sequence in enumerate(data.train_sequences()):
        has[user, sequence - 1] = 1
    theirs = cosine_similarity(has.T)
    np.fill_diagonal(theirs, 0)
    ours = ItemKNN.from_data(data, neighbours=100).score([np.array([item]) for item in range(1, data.num_items + 1)])
    np.testing.assert_allclose(ours.numpy(), theirs, atol=1e-6)
    few = ItemKNN.from_data(data, neighbours=5)
    best = np.sort(theirs, axis=1)[:, :-6:-1]
    np.testing.assert_allclose(few.weights[1:].numpy(), best, atol=1e-6)


def test_recommends_compares_and_comes_back_from_its_folder(data, tmp_path):
    options = ItemKNNOptions(neighbours=2, shrinkage=0.0, decay=0.5)
    made = train_neighbours(data, options, tmp_path / "m")
    model = load(tmp_path / "m")
    assert isinstance(model, ItemKNN)
    assert scores(model, "abc") == scores(made, "abc")
    found = model.recommend([["a", "b"]], k=5)
    assert found["item_id"].to_list() == ["c", "d", "e"]
    assert found["score"].to_list() == pytest.approx([2 / 6**0.5 + 0.5 / 6**0.5, 0.0, 0.0])
    assert model.recommend([["a", "b"]], allow=["d"])["item_id"].to_list() == ["d"]
    similar = model.similar_items(["c", "e"], k=4)
    assert similar["target_item_id"].to_list() == ["c", "c"]  # two are kept of c, none are known of e
    assert similar["item_id"].to_list() == ["b", "d"]
    assert similar["score"].to_list() == pytest.approx([2 / 6**0.5, 1 / 2])
    assert similar["rank"].to_list() == [1, 2]
    assert model.parameter_counts()["trained"] == 2 * 4  # a to d have two each
    with pytest.raises(UserError, match="has no item table with text"):
        model.add_items(pl.DataFrame({"item_id": ["n"]}))
    with pytest.raises(UserError, match="a model of kind popularity does not compare items"):
        Popularity.from_data(data).similar_items(["c"])
    with pytest.raises(UserError, match="a model of kind item-knn runs in fp32"):
        model.use_precision("bf16")


def test_many_users_some_at_a_time(data, tmp_path, monkeypatch):
    model = ItemKNN.from_data(data, neighbours=4, decay=0.9)
    histories = [model.catalogue.index(list(items)) for items in ("a", "bcd", "abcdab", "c", "da")]
    whole = model.top_k(histories, 2)
    monkeypatch.setattr("slmrec.models.base.SCORES", 10)  # two users of five items
    for ours, theirs in zip(model.top_k(histories, 2), whole, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    frame = pl.DataFrame({"user_id": [1, 2], "history": [["a"], ["b", "c"]]})
    frame.write_parquet(tmp_path / "h.parquet")
    assert score_parquet(model, tmp_path / "h.parquet", tmp_path / "out", k=2) == 2
    written = pl.read_parquet(tmp_path / "out" / "part-00000.parquet")
    alone = model.recommend({1: ["a"], 2: ["b", "c"]}, k=2)
    assert written["item_id"].to_list() == alone["item_id"].to_list()


def test_the_next_of_a_ring_is_found_by_recency(cycle):
    """Neighbours before and after an item are as alike; only what is seen already and decay point forward."""
    model = ItemKNN.from_data(cycle, neighbours=6, decay=0.5)
    assert evaluate(model, cycle).metrics["HR@1"] > 0.9
    assert evaluate(Popularity.from_data(cycle), cycle).metrics["HR@1"] < 0.3


def test_position_scores_are_logarithms_of_the_scores_and_their_mean(data):
    model = ItemKNN.from_data(data, neighbours=3, decay=0.7)
    a, b, c, d, e = data.catalogue.index(list("abcde")).tolist()
    input_ids, candidates = torch.tensor([[a, b, c], [e, d, 0]]), torch.tensor([a, c, e])
    found = model.position_scores(input_ids, torch.tensor([3, 2]), candidates)
    for row, length in ((0, 3), (1, 2)):
        for end in range(1, length + 1):
            whole = model.score([input_ids[row, :end].numpy()])[0]
            if whole.any():
                wanted = (whole + whole.mean()).log()[candidates - 1]
                torch.testing.assert_close(found[row, end - 1], wanted)
            else:  # e has no neighbours: all items alike
                assert end == 1
                assert (found[row, 0] == found[row, 0, 0]).all()
                assert found[row, 0].isfinite().all()
    popular = Popularity.from_data(data)
    found = popular.position_scores(input_ids, torch.tensor([3, 2]), candidates)
    assert found.shape == (2, 3, 3)
    torch.testing.assert_close(found[1, 0].exp(), torch.tensor([4.0, 3.0, 1.0]))  # one more than a's, c's, e's events


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"neighbours": 0}, "neighbours is 0, but must be at least 1"),
        ({"shrinkage": -1.0}, r"shrinkage is -1\.0, but cannot be negative"),
        ({"decay": 0.0}, r"decay is 0\.0, but must be above 0"),
        ({"decay": 1.1}, r"decay is 1\.1, but must be above 0"),
    ],
)
def test_wrong_options_are_refused(values, sentence):
    with pytest.raises(UserError, match=sentence):
        ItemKNNOptions(**values)


def test_log_scores_are_the_last_positions(data):
    for model in (ItemKNN.from_data(data, decay=0.5), Popularity.from_data(data)):
        histories = [np.array([1, 2, 3]), np.array([4])]
        every = torch.arange(1, data.num_items + 1)
        for history, ours in zip(histories, model.log_scores(histories), strict=True):
            theirs = model.position_scores(torch.from_numpy(history)[None], torch.tensor([len(history)]), every)[0, -1]
            torch.testing.assert_close(ours.log_softmax(0), theirs.log_softmax(0))
