"""Models that score together: against the mean of log-probabilities, which must rank alike."""

import numpy as np
import polars as pl
import pytest
import torch

from slmrec.errors import UserError
from slmrec.evaluation import evaluate
from slmrec.models import Ensemble, ItemKNN, Popularity, SASRec, SASRecConfig, SequentialRules, TextKNN, load

from ..conftest import build


def member(data, seed: int) -> SASRec:
    torch.manual_seed(seed)
    model = SASRec(SASRecConfig(num_items=data.num_items, hidden_size=8, initializer_range=0.5)).eval()
    model.catalogue = data.catalogue
    return model


def test_the_mean_of_scores_ranks_as_the_mean_of_log_probabilities(cycle):
    members = [member(cycle, seed) for seed in range(3)]
    histories = [np.array([1, 2, 3]), np.array([7])]
    ours = Ensemble.of(members).score(histories)
    theirs = torch.stack([m.score(histories).log_softmax(dim=1) for m in members]).mean(dim=0)
    torch.testing.assert_close(ours.log_softmax(dim=1), theirs.log_softmax(dim=1))
    one = Ensemble.of(members[:1]).score(histories)
    torch.testing.assert_close(one, members[0].score(histories))


def test_weights_count_and_a_member_of_none_is_not_asked(cycle):
    one, other, silent = members = [member(cycle, seed) for seed in range(3)]
    silent.score = None  # whoever asks it fails
    together = Ensemble.of(members, [0.5, 2.0, 0.0])
    history = np.array([3, 1, 2])
    wanted = 0.5 * one.score([history]) + 2.0 * other.score([history])
    torch.testing.assert_close(together.score([history]), wanted)
    read = (torch.tensor([[3, 1, 2]]), torch.tensor([3]), torch.arange(1, cycle.num_items + 1))
    torch.testing.assert_close(together.position_scores(*read)[:, 2], wanted)


@pytest.mark.parametrize("weights", [[1.0], [1.0, -0.1], [0.0, 0.0], []])
def test_weights_that_make_no_sense_are_refused(cycle, weights):
    with pytest.raises(ValueError, match="must be 2, none negative and not all 0"):
        Ensemble.of([member(cycle, 0), member(cycle, 1)], weights)


def test_it_is_evaluated_like_a_model(cycle):
    members = [member(cycle, seed) for seed in range(2)]
    found = evaluate(Ensemble.of(members), cycle)
    assert found.kind == "ensemble"
    assert found.parameters["total"] == 2 * members[0].parameter_counts()["total"]


def test_members_must_rank_the_same_items(cycle):
    other = member(cycle, 0)
    other.catalogue = type(cycle.catalogue)(cycle.catalogue.frame.reverse())
    with pytest.raises(UserError, match="members 0 and 1"):
        Ensemble.of([member(cycle, 0), other])
    with pytest.raises(UserError, match="at least one member"):
        Ensemble.of([])


def test_a_folder_gives_back_members_of_every_kind(cycle, llama, tmp_path):
    members = [member(cycle, 0), SequentialRules.from_data(cycle), build(cycle, llama), Popularity.from_data(cycle)]
    together = Ensemble.of(members, [0.5, 0.7, 0.2, 0.1])
    inner = Ensemble.of([together, member(cycle, 1)])  # an ensemble is a model like any other
    inner.save_pretrained(tmp_path / "model")
    again = load(tmp_path / "model")
    histories = [np.array([1, 2, 3]), np.array([7])]
    wanted = sum(w * m.log_scores(histories) for m, w in zip(members, together.weights, strict=True))
    wanted = (wanted + member(cycle, 1).score(histories)) / 2
    torch.testing.assert_close(again.score(histories), wanted)
    assert [found.kind for found in again.members[0].members] == [one.kind for one in members]
    assert again.members[0].members[0].catalogue is again.catalogue
    read = (torch.tensor([[1, 2, 3]]), torch.tensor([3]), torch.arange(1, cycle.num_items + 1))
    torch.testing.assert_close(again.position_scores(*read)[0, -1], wanted[0])
    known = cycle.catalogue.ids([1, 2])
    best = again.recommend([list(known)], k=3, exclude_seen=False)["item_id"]
    order = again.score([np.array([1, 2])])[0].argsort(descending=True)[:3]
    assert best.to_list() == list(cycle.catalogue.ids(order.numpy() + 1))


def test_items_are_as_alike_as_the_member_that_counts_most_says(cycle):
    one, other = member(cycle, 0), SequentialRules.from_data(cycle)
    items = torch.tensor([1, 5])
    for weights, most in (([0.9, 0.1], one), ([0.1, 0.9], other)):
        assert torch.equal(Ensemble.of([one, other], weights).similarities(items), most.similarities(items))


def test_new_items_come_into_every_member_or_none(cycle, tmp_path):
    vectors = torch.randn(cycle.num_items, 6, generator=torch.Generator().manual_seed(0))
    near, far = (TextKNN.from_data(cycle, vectors, "mine.parquet", neighbours=k) for k in (3, 6))
    new = pl.DataFrame({"item_id": ["n1"], "vector": [vectors[7].tolist()]})
    by_ids = Ensemble.of([near, SequentialRules.from_data(cycle), member(cycle, 0)])
    with pytest.raises(UserError, match="the sasrec in this ensemble knows items by their ids alone"):
        by_ids.add_items(new)
    assert by_ids.known_by_text is None
    assert len(by_ids.catalogue) == len(near.catalogue) == cycle.num_items
    nobody = Ensemble.of([SequentialRules.from_data(cycle), ItemKNN.from_data(cycle)])
    with pytest.raises(UserError, match="this ensemble model has no item table with text"):
        nobody.add_items(new)
    together = Ensemble.of([near, far])
    together.add_items(new)
    together.save_pretrained(tmp_path / "model")
    again = load(tmp_path / "model")
    assert again.recommend([[cycle.catalogue.ids([8])[0]]], k=1)["item_id"].to_list() == ["n1"]


def test_neighbours_make_room_for_items_that_others_know(cycle, tmp_path):
    """What rules say of known items stays, and of a new one they say as little as of any that nothing points to."""
    vectors = torch.randn(cycle.num_items, 6, generator=torch.Generator().manual_seed(0))
    texts, rules = TextKNN.from_data(cycle, vectors, "mine.parquet"), SequentialRules.from_data(cycle)
    histories = [np.array([1, 2, 3]), np.array([7])]
    before = rules.score(histories)
    together = Ensemble.of([rules, texts], [0.6, 0.4])
    assert together.known_by_text == ("mine.parquet", 6)
    together.add_items(pl.DataFrame({"item_id": ["n1", "n2"], "vector": vectors[[7, 9]].tolist()}))
    together.save_pretrained(tmp_path / "model")
    again = load(tmp_path / "model")
    known, added = again.members[0].score([*histories, np.array([21])]).split([cycle.num_items, 2], dim=1)
    torch.testing.assert_close(known[:2], before)
    assert not added.any()
    assert not known[2].any()  # a new item points nowhere
    assert (
        again.members[0]
        .position_scores(torch.tensor([[1, 21]]), torch.tensor([2]), torch.arange(1, 23))
        .isfinite()
        .all()
    )
    found = again.recommend([list(cycle.catalogue.ids([8]))], k=cycle.num_items)["item_id"].to_list()
    assert found.index("n1") < 3  # the text of item 8
    assert len(again.catalogue) == cycle.num_items + 2
