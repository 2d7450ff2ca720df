"""Splits, against tables written by hand."""

import numpy as np
import polars as pl
import pytest

from slmrec.data.split import as_given, by_time, leave_one_out
from slmrec.errors import UserError

USERS = pl.Series(["a", "b", "c"])


def test_the_last_is_test_and_the_one_before_valid_from_three_events_on():
    split = leave_one_out(np.array([0, 1, 3, 6, 10]))
    assert split.dtype == np.uint8
    assert split.tolist() == [0, 0, 0, 0, 1, 2, 0, 0, 1, 2]


def test_moments_belong_to_what_they_begin():
    times = np.array([9, 10, 19, 20, 21])
    assert by_time(times, valid_from=10, test_from=20).tolist() == [0, 1, 1, 2, 2]


@pytest.mark.parametrize(
    ("valid_from", "test_from", "empty"), [(0, 15, "train"), (15, 16, "valid"), (15, 1000, "test")]
)
def test_an_empty_part_is_refused_with_the_times_there_are(valid_from, test_from, empty):
    with pytest.raises(UserError, match=f"no interaction is {empty} .* from 1970-01-01T00:00:00 to 1970"):
        by_time(np.array([0, 10, 14, 20, 40]), valid_from, test_from)


def test_a_given_split_may_begin_anew_with_each_user():
    split = np.array([0, 1, 2, 0, 2, 1], dtype=np.uint8)
    assert as_given(split, np.array([0, 3, 5, 6]), USERS).tolist() == split.tolist()


def test_a_given_split_that_goes_back_is_refused():
    split = np.array([0, 2, 0, 2, 1, 2], dtype=np.uint8)
    with pytest.raises(UserError, match="puts a valid interaction of user 'b' after a test one"):
        as_given(split, np.array([0, 2, 5, 6]), USERS)
