"""The k best against a full sort by score and then by row, on scores that are full of ties."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slmrec.runtime import ranking


@st.composite
def problems(draw):
    users, items, width = draw(st.integers(1, 5)), draw(st.integers(1, 40)), draw(st.integers(1, 3))
    small = st.integers(-2, 2)  # so that many scores are equal
    vectors = np.array(draw(st.lists(small, min_size=users * width, max_size=users * width)), dtype=np.float32)
    table = np.array(draw(st.lists(small, min_size=items * width, max_size=items * width)), dtype=np.float32)
    rows = st.integers(0, items - 1)
    excluded = draw(st.none() | st.lists(st.lists(rows, max_size=6), min_size=users, max_size=users))
    allowed = draw(st.none() | st.lists(rows, max_size=items))
    gains = st.lists(st.tuples(rows, small), max_size=6, unique_by=lambda pair: pair[0])
    added = draw(st.none() | st.lists(gains, min_size=users, max_size=users))
    k = draw(st.integers(1, 45))
    return vectors.reshape(users, width), table.reshape(items, width), k, excluded, allowed, added


@pytest.mark.parametrize(("users", "items"), [(256, 16_384), (2, 3)])
@settings(deadline=None)
@given(problem=problems())
def test_it_is_a_sort(users, items, problem):
    vectors, table, k, excluded, allowed, added = problem
    choices = {
        "excluded": None if excluded is None else [np.array(own, dtype=np.int64) for own in excluded],
        "allowed": None if allowed is None else np.array(allowed, dtype=np.int64),
    }
    gains = [np.array(own, dtype=np.float32).reshape(-1, 2) for own in added or ()]
    more = None if added is None else [(own[:, 0].astype(np.int64), own[:, 1]) for own in gains]
    dense = vectors @ table.T
    for row, own in zip(dense, gains, strict=False):
        row[own[:, 0].astype(np.int64)] += own[:, 1]
    with pytest.MonkeyPatch.context() as patch:  # blocks of every kind
        patch.setattr(ranking, "USERS", users)
        patch.setattr(ranking, "ITEMS", items)
        answers = [ranking.top_k(vectors, table, k, added=more, **choices), ranking.best_of(dense, k, **choices)]
    for scores, rows in answers:
        assert scores.shape == rows.shape == (len(vectors), k)
        for user, own in enumerate(dense):
            out = set() if excluded is None else set(excluded[user])
            competing = set(range(len(table)) if allowed is None else allowed) - out
            wanted = sorted((-float(own[row]), row) for row in competing)[:k]
            assert [(-score, row) for score, row in wanted] == list(
                zip(scores[user, : len(wanted)].tolist(), rows[user, : len(wanted)].tolist(), strict=True)
            )
            assert np.isneginf(scores[user, len(wanted) :]).all()
