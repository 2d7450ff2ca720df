"""Variations of a data set: what they change, and above all what they leave."""

import numpy as np
import pytest

from slmrec.data.variations import share_of_users, shuffled
from slmrec.errors import UserError


def test_shuffling_loses_the_order_of_training_and_nothing_else(cycle):
    changed = shuffled(cycle, seed=1)
    assert changed.fingerprint != cycle.fingerprint
    assert (changed.split == cycle.split).all()
    held_out = cycle.split > 0
    assert (changed.sequence[held_out] == cycle.sequence[held_out]).all()
    differing = 0
    for ours, theirs in zip(changed.train_sequences(), cycle.train_sequences(), strict=True):
        assert sorted(ours) == sorted(theirs)
        differing += bool((ours != theirs).any())
    assert differing > len(cycle.users) / 2
    assert shuffled(cycle, seed=1).fingerprint == changed.fingerprint
    assert shuffled(cycle, seed=2).fingerprint != changed.fingerprint


def test_a_share_of_users_keeps_their_events_and_the_catalogue(cycle):
    half, quarter = share_of_users(cycle, 0.5), share_of_users(cycle, 0.25)
    assert half.num_users == 30
    assert half.num_items == cycle.num_items
    assert set(quarter.users["user_id"]) < set(half.users["user_id"])
    for user in half.users["user_id"]:
        ours, theirs = half.full_history(half.user_index(user)), cycle.full_history(cycle.user_index(user))
        assert np.array_equal(ours, theirs)
    assert len(half.split) == len(half.sequence) == half.offsets[-1]
    assert share_of_users(cycle, 1.0).fingerprint == cycle.fingerprint


@pytest.mark.parametrize("share", [0, -0.1, 1.1, 0.001])
def test_impossible_shares_are_refused(cycle, share):
    with pytest.raises(UserError, match="share"):
        share_of_users(cycle, share)
