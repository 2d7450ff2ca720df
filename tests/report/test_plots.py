"""Where the labels of a plot stand."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from slmrec.report.plots import apart

LEVELS = st.lists(st.floats(0, 0.9), min_size=1, max_size=12).map(sorted)


@given(LEVELS)
def test_labels_stand_apart_and_below_the_top(levels: list[float]):
    heights = apart([(level, "") for level in levels], 0.08, 1.0)
    assert all(upper - lower >= 0.08 - 1e-6 for lower, upper in itertools.pairwise(heights))
    assert max(heights) <= 1.0


def test_labels_that_have_room_stand_where_they_belong():
    assert apart([(0.1, ""), (0.5, ""), (0.9, "")], 0.08, 1.0) == [0.1, 0.5, 0.9]
