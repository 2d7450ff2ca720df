"""Text-kNN against the formula written out in NumPy, on vectors given in a Parquet file."""

import numpy as np
import polars as pl
import pytest
import torch

from slmrec.data import Dataset
from slmrec.errors import UserError
from slmrec.models import TextKNN, load, text_knn
from slmrec.models.whitening import whiten, whitening
from slmrec.training.counting import train_neighbours
from slmrec.training.options import TextKNNOptions


@pytest.fixture(scope="module")
def vectors(cycle) -> torch.Tensor:
    """One item has no text."""
    found = torch.randn(cycle.num_items, 6, generator=torch.Generator().manual_seed(0))
    found[4] = 0
    return found


@pytest.mark.parametrize("together", [1024, 7])
def test_weights_are_a_softmax_of_the_whitened_cosines(cycle, vectors, together, monkeypatch):
    monkeypatch.setattr(text_knn, "TOGETHER", together)
    model = TextKNN.from_data(cycle, vectors, neighbours=5, temperature=0.2)
    check_weights(model, whiten(vectors, whitening(vectors)).numpy())


def check_weights(model: TextKNN, texts: np.ndarray) -> None:
    """Each item votes for its five nearest by (N, e) whitened texts, by the softmax at 0.2; item 4 has no text."""
    for item in range(len(texts)):
        found = model.score([np.array([item + 1])])[0].numpy()
        if item == 4:
            assert not found.any()
            continue
        cosines = texts @ texts[item] / np.linalg.norm(texts[item])
        cosines[[item, 4]] = -np.inf
        nearest = np.argsort(-cosines)[:5]
        shares = np.exp(cosines[nearest] / 0.2)
        wanted = np.zeros(len(texts))
        wanted[nearest] = shares / shares.sum()
        np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_new_items_stand_among_the_old_ones(cycle, vectors, tmp_path):
    """Their texts are whitened as the old ones' were, and every item's neighbours are found anew."""
    model = TextKNN.from_data(cycle, vectors, "mine.parquet", neighbours=5, temperature=0.2)
    new = torch.randn(3, 6, generator=torch.Generator().manual_seed(1))
    new[1] = vectors[7]  # nobody's text but an old item's
    model.add_items(pl.DataFrame({"item_id": ["n1", "n2", "n3"], "vector": new.tolist()}))
    model.save_pretrained(tmp_path / "m")
    again = load(tmp_path / "m")
    check_weights(again, whiten(torch.cat([vectors, new]), whitening(vectors)).numpy())
    assert again.recommend([[cycle.catalogue.ids([8])[0]]], k=1)["item_id"].to_list() == ["n2"]
    with pytest.raises(UserError, match="vectors have 2 numbers, the model's 6"):
        again.add_items(pl.DataFrame({"item_id": ["n4"], "vector": [[1.0, 2.0]]}))


def test_an_item_that_training_never_saw_is_found_by_its_text(tmp_path):
    """Item n stands in nobody's training events; its text is that of item a."""
    rows = [(user, item, time) for user in range(6) for time, item in enumerate("abcdef"[user % 3 :] + "n")]
    data = Dataset.from_frame(pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row"))
    new = int(data.catalogue.index(["n"])[0])
    assert data.item_counts()[new] == 0
    generator = np.random.default_rng(0)
    vectors = {item: generator.normal(size=8) for item in "abcdef"}
    vectors["n"] = vectors["a"] + 0.01
    path = tmp_path / "vectors.parquet"
    pl.DataFrame({"item_id": list(vectors), "vector": [v.tolist() for v in vectors.values()]}).write_parquet(path)
    train_neighbours(data, TextKNNOptions(item_text=str(path)), tmp_path / "m")
    model = load(tmp_path / "m")
    assert isinstance(model, TextKNN)
    assert model.recommend([["a"]], k=1)["item_id"].to_list() == ["n"]


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"temperature": 0.0}, r"temperature is 0\.0, but must be above 0"),
        ({"item_text": ""}, "item_text is empty"),
    ],
)
def test_wrong_options_are_refused(values, sentence):
    with pytest.raises(UserError, match=sentence):
        TextKNNOptions(**values)
