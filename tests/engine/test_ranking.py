"""Top-k, blocked and of whole scores, against sorting everything."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from slmrec.engine import ranking


@settings(max_examples=60, deadline=None)
@given(st.data())
@pytest.mark.parametrize("whole", [False, True])
def test_equals_sorting_all_scores(whole, data):
    rng = np.random.default_rng(data.draw(st.integers(0, 10_000)))
    users, items, k = (data.draw(st.integers(1, most)) for most in (9, 50, 12))
    vectors, table = rng.normal(size=(users, 4)), rng.normal(size=(items, 4))
    excluded = allowed = None
    if data.draw(st.booleans()):
        excluded = [rng.integers(0, items, size=rng.integers(0, 6)) for _ in range(users)]  # repeats happen
    if data.draw(st.booleans()):
        allowed = rng.permutation(items)[: data.draw(st.integers(0, items))]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranking, "USERS", data.draw(st.integers(1, 5)))
        patch.setattr(ranking, "ITEMS", data.draw(st.integers(1, 20)))
        if whole:
            given = torch.from_numpy(vectors @ table.T)
            scores, rows = ranking.best_of(given, k, excluded=excluded, allowed=allowed)
        else:
            scores, rows = ranking.top_k(
                torch.from_numpy(vectors), torch.from_numpy(table), k, excluded=excluded, allowed=allowed
            )
    assert scores.shape == rows.shape == (users, k)
    for user in range(users):
        own = vectors[user] @ table.T
        eligible = set(range(items) if allowed is None else allowed.tolist())
        eligible -= set() if excluded is None else set(excluded[user].tolist())
        wanted = sorted(eligible, key=lambda item: -own[item])[:k]
        found = torch.isfinite(scores[user])
        assert rows[user][found].tolist() == wanted
        np.testing.assert_allclose(scores[user][found], own[wanted])
        assert not found[len(wanted) :].any()


def test_no_users_times_items_is_ever_held():
    table = torch.randn(3 * ranking.ITEMS, 2)
    largest = 0

    class Watch(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            nonlocal largest
            result = func(*args, **(kwargs or {}))
            if isinstance(result, torch.Tensor):
                largest = max(largest, result.numel())
            return result

    with Watch():
        ranking.top_k(torch.randn(300, 2), table, 5)
    assert largest <= ranking.USERS * ranking.ITEMS
