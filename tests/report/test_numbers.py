"""Spelling of numbers against what a person would write."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slmrec.report import numbers


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (numbers.metric(0.04711), "0.0471"),
        (numbers.signed(-0.00123), "−0.0012"),
        (numbers.signed(0.00123), "+0.0012"),
        (numbers.count(99287), "99,287"),
        (numbers.compact(14_591_680), "14.6 M"),
        (numbers.compact(183_488), "183 k"),
        (numbers.compact(999_950), "1.0 M"),
        (numbers.compact(0), "0"),
        (numbers.percent(0.98), "98 %"),
        (numbers.percent(-0.06), "6 %"),
        (numbers.percent(0.0915), "9.2 %"),
        (numbers.rate(4490.4), "4,490"),
        (numbers.rate(44.13), "44.1"),
        (numbers.duration(0.0), "0 s"),
        (numbers.duration(0.213), "0.21 s"),
        (numbers.duration(9.99), "10 s"),
        (numbers.duration(59.7), "1 min"),
        (numbers.duration(133.2), "2 min 13 s"),
        (numbers.duration(7260), "2 h 1 min"),
    ],
)
def test_spelling(written: str, expected: str):
    assert written.replace("\u202f", " ") == expected


@given(st.floats(0, 1e6))
def test_no_duration_has_sixty_of_anything_or_an_exponent(seconds: float):
    said = numbers.duration(seconds)
    assert not {"60\u202fs", "60\u202fmin"} & {" ".join(said.split(" ")[-1:])}
    assert "e+" not in said
