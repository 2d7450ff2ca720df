"""The approximate index against the exact search it stands in for."""

import sys

import numpy as np
import pytest
import torch

from slmrec.engine import ItemIndex, top_k
from slmrec.errors import UserError

from .conftest import random_histories


@pytest.fixture(scope="module")
def clustered():
    """4,000 items around 50 centres, and 64 users near them."""
    torch.manual_seed(0)
    centres = torch.randn(50, 8)
    table = centres[torch.randint(50, (4000,))] + 0.2 * torch.randn(4000, 8)
    return table, centres[torch.randint(50, (64,))] + 0.1 * torch.randn(64, 8)


@pytest.fixture(scope="module")
def index(clustered):
    return ItemIndex(*clustered, recall=0.95)


def shared(found: torch.Tensor, exact: torch.Tensor) -> float:
    return float(np.mean([len(set(a) & set(b)) / len(b) for a, b in zip(found.tolist(), exact.tolist(), strict=True)]))


def test_its_recall_is_what_it_says_and_what_was_asked_for(index, clustered):
    table, users = clustered
    exact = top_k(users, table, 10)[1]
    assert index.recall == pytest.approx(shared(index.top_k(users, 10)[1], exact))
    assert index.recall >= 0.95
    assert index.searched < 0.5


def test_filters_hold_and_lists_are_full(index, clustered):
    table, users = clustered
    excluded = list(top_k(users, table, 30)[1].numpy())
    allowed = np.arange(0, 4000, 2)
    for options in ({"excluded": excluded}, {"allowed": allowed}, {"excluded": excluded, "allowed": allowed}):
        scores, rows = index.top_k(users, 10, **options)
        assert torch.isfinite(scores).all()
        assert (scores.diff(dim=1) <= 0).all()
        torch.testing.assert_close(scores, (users[:, None] * table[rows]).sum(-1))
        for user, own in enumerate(rows.numpy()):
            assert len(set(own)) == 10
            if "excluded" in options:
                assert not set(own) & set(excluded[user])
            if "allowed" in options:
                assert set(own) <= set(allowed)
        assert shared(rows, top_k(users, table, 10, **options)[1]) > 0.85


def test_few_allowed_items_and_long_lists_are_exact(index, clustered):
    table, users = clustered
    few = np.arange(17)
    for k, allowed in ((20, few), (4000, None)):
        ours, exact = index.top_k(users, k, allowed=allowed), top_k(users, table, k, allowed=allowed)
        torch.testing.assert_close(ours[0], exact[0])


def test_a_model_takes_it(model, cycle):
    histories = random_histories(5, 30, 9)
    exact = model.recommend([cycle.catalogue.ids(history).to_list() for history in histories], k=3)
    try:
        assert model.build_index(histories, recall=1.0).recall == 1
        found = model.recommend([cycle.catalogue.ids(history).to_list() for history in histories], k=3)
    finally:
        model.index = None
    assert found.select("user_id", "item_id").equals(exact.select("user_id", "item_id"))


def test_without_faiss_it_says_how_to_get_it(clustered, monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(UserError, match=r"pip install 'slmrec\[ann\]'"):
        ItemIndex(*clustered)
