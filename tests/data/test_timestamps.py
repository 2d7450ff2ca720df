"""Times, against the standard library's datetime."""

from datetime import UTC, date, datetime, timedelta, timezone

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slmrec.data.place import Place
from slmrec.data.timestamps import iso, moment, to_microseconds
from slmrec.errors import UserError

MOMENTS = [datetime(1998, 4, 22, 3, 10, 38, tzinfo=UTC), datetime(2023, 9, 1, 12, 0, 0, 250_000, tzinfo=UTC)]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def micros(when: datetime) -> int:
    return (when - EPOCH) // timedelta(microseconds=1)


@given(
    st.lists(st.datetimes(datetime(1980, 1, 1), datetime(2200, 1, 1)), min_size=1),
    st.sampled_from([("s", 10**6), ("ms", 10**3), ("us", 1)]),
    st.sampled_from([pl.Int64, pl.Float64, pl.String]),
)
def test_units_are_told_by_magnitude(whens, unit, dtype):
    name, size = unit
    numbers = [micros(when.replace(tzinfo=UTC)) // size for when in whens]
    times, found = to_microseconds(pl.Series("t", numbers).cast(dtype))
    assert found == name
    assert times.to_list() == [number * size for number in numbers]
    assert times.dtype == pl.Int64


def test_nanoseconds_fractions_and_small_counts():
    times, unit = to_microseconds(pl.Series([1_600_000_000_123_456_789]))
    assert (times.to_list(), unit) == ([1_600_000_000_123_456], "ns")
    times, unit = to_microseconds(pl.Series(["1396861869.5"]))
    assert (times.to_list(), unit) == ([1_396_861_869_500_000], "s")
    times, unit = to_microseconds(pl.Series([0, -5, 3]))
    assert (times.to_list(), unit) == ([0, -5_000_000, 3_000_000], "s")


@pytest.mark.parametrize(
    "form",
    [
        "{:%Y-%m-%dT%H:%M:%S.%fZ}",
        "{:%Y-%m-%d %H:%M:%S.%f}",
        "{:%Y-%m-%dT%H:%M:%S.%f+00:00}",
        "{:%Y-%m-%dT%H:%M:%S.%f+0000}",
        " {:%Y-%m-%dT%H:%M:%S.%f} ",
    ],
)
def test_iso_strings(form):
    times, unit = to_microseconds(pl.Series([form.format(when) for when in MOMENTS]))
    assert unit == "iso"
    assert times.to_list() == [micros(when) for when in MOMENTS]


def test_iso_strings_of_several_kinds_and_zones():
    times, _ = to_microseconds(
        pl.Series(
            [
                "2020-02-29",
                "2020-02-29T01:00+01:00",
                "2020-02-29 00:00",
                "2020-02-28T19:00:00-05:00",
                "2020-02-29T00:00:00Z",
            ]
        )
    )
    assert set(times) == {micros(datetime(2020, 2, 29, tzinfo=UTC))}


def test_columns_of_dates_and_datetimes():
    day = micros(datetime(2020, 2, 29, tzinfo=UTC))
    assert to_microseconds(pl.Series([date(2020, 2, 29)]))[0].to_list() == [day]
    for unit in ("ms", "us", "ns"):
        series = pl.Series(MOMENTS).cast(pl.Datetime(unit))
        assert to_microseconds(series)[0].to_list() == [micros(when) for when in MOMENTS]
    zoned = pl.Series([datetime(2020, 2, 29, 2, tzinfo=timezone(timedelta(hours=2)))]).dt.convert_time_zone(
        "Asia/Tokyo"
    )
    times, unit = to_microseconds(zoned)
    assert (times.to_list(), unit) == ([day], "datetime")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1_600_000_000, None], "line 3 of x.csv has no value as when, which is not a time"),
        ([1.6e9, float("nan")], "line 3 of x.csv has nan as when"),
        (["2020-01-01", "01/02/2020"], "line 3 of x.csv has '01/02/2020' as when"),
        (["yesterday", "2020-01-01"], "line 2 of x.csv has 'yesterday' as when"),
        (["1600000000", "2020-01-01"], "line 3 of x.csv has '2020-01-01' as when"),
        (["2020-01-01", ""], "line 3 of x.csv has no value as when"),
        (["2020-02-30", "2020-01-01"], "line 2 of x.csv has '2020-02-30' as when"),
        ([1_600_000_000_000, 1_600_000_000], "line 3 .* reads as s, but line 2 .* reads as ms"),
        ([True, False], "holds Boolean values, which are not times"),
        ([None, None], "holds Null values, which are not times"),
    ],
)  # fmt: skip
def test_what_is_no_time_is_named(values, message):
    with pytest.raises(UserError, match=message):
        to_microseconds(pl.Series("when", values), Place("x.csv", "line", 2))


def test_moments_of_a_recipe():
    assert moment("2020-02-29", "valid_from") == micros(datetime(2020, 2, 29, tzinfo=UTC))
    assert iso(moment("2020-02-29T13:14:15+01:00", "valid_from")) == "2020-02-29T12:14:15"
    with pytest.raises(UserError, match="valid_from is 'soon'"):
        moment("soon", "valid_from")
