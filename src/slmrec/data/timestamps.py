"""Times as sources write them, brought to one form: Int64 microseconds since 1970 (UTC)."""

import numpy as np
import polars as pl

from slmrec.data.place import FRAME, Place
from slmrec.errors import UserError

# A number of seconds stays under 1e11 until the year 5138, and one of milliseconds passes it in 1973.
UNITS = ("s", "ms", "us", "ns")
BOUNDS = (1e11, 1e14, 1e17)
CLEAR = 1e8
"""From here on a number's unit can be told (seconds of 1973); smaller ones (0, running counts) go along."""

ISO_FORMATS = (
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%dT%H:%M:%S%.f%#z",
    "%Y-%m-%d %H:%M:%S%.f%#z",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M%#z",
    "%Y-%m-%d %H:%M%#z",
)


def to_microseconds(series: pl.Series, place: Place = FRAME) -> tuple[pl.Series, str]:
    """Return the times as Int64 microseconds since the epoch, and how the source wrote them.

    Numbers are seconds, milliseconds, microseconds or nanoseconds by their magnitude (one unit a column);
    strings are such numbers or ISO 8601; columns of dates and datetimes are taken as they are. A time without
    a zone is UTC. The second value is one of ``s ms us ns iso date datetime``.

    Raises `UserError` naming the first row that holds no time, or another unit than the rows before it.
    """
    dtype = series.dtype
    if dtype == pl.String:
        series = series.str.strip_chars()
        known = series.drop_nulls()
        if len(known) and known.head(1).cast(pl.Float64, strict=False).is_null()[0]:
            return _checked(_parse_iso(series), series, place), "iso"
        integers = series.cast(pl.Int64, strict=False)
        exact = integers.null_count() == series.null_count()
        return _numbers(integers if exact else series.cast(pl.Float64, strict=False), series, place)
    if dtype == pl.Date:
        return _checked(series.cast(pl.Datetime("us")).dt.epoch("us"), series, place), "date"
    if dtype == pl.Datetime:
        return _checked(series.dt.epoch("us"), series, place), "datetime"
    if dtype.is_integer():
        return _numbers(series.cast(pl.Int64, strict=False), series, place)
    if dtype.is_float() or dtype.is_decimal():
        return _numbers(series.cast(pl.Float64), series, place)
    raise UserError(
        f"column '{series.name}' of {place.source} holds {dtype} values, which are not times; give numbers "
        "since 1970, ISO 8601 strings or datetimes"
    )


def moment(text: str, name: str) -> int:
    """Return an ISO 8601 moment as microseconds since the epoch; ``name`` says in the error whose it is."""
    parsed = _parse_iso(pl.Series([text.strip()], dtype=pl.String))[0]
    if parsed is None:
        raise UserError(f"{name} is {text!r}, but must be a moment such as 2024-01-31 or 2024-01-31T12:00:00")
    return parsed


def iso(micros: int) -> str:
    """Return a moment in microseconds since the epoch as ISO 8601, to the second."""
    return str(np.datetime64(int(micros) // 1_000_000, "s"))


def _parse_iso(series: pl.Series) -> pl.Series:
    attempts = [series.str.to_date("%Y-%m-%d", strict=False).cast(pl.Datetime("us")).dt.epoch("us")]
    for form in ISO_FORMATS:
        if attempts[-1].null_count() == 0:
            return attempts[-1]
        parsed = series.str.to_datetime(form, strict=False, time_unit="us")
        attempts.append(attempts[-1].fill_null(parsed.dt.epoch("us")))
    return attempts[-1]


def _numbers(numbers: pl.Series, written: pl.Series, place: Place) -> tuple[pl.Series, str]:
    if numbers.dtype.is_float():
        numbers = numbers.set(~numbers.is_finite(), None)
    numbers = _checked(numbers, written, place)
    size = numbers.abs()
    units = np.searchsorted(BOUNDS, size.to_numpy(), side="right")
    clear = (size >= CLEAR).arg_true()
    if not len(clear):
        return (numbers * 1_000_000).cast(pl.Int64), "s"
    clear_units = units[clear.to_numpy()]
    unit = UNITS[clear_units[0]]
    others = np.flatnonzero(clear_units != clear_units[0])
    if len(others):
        first, other = clear[0], clear[int(others[0])]
        raise UserError(
            f"{place.row(other)} has {written.name} {written[other]}, which reads as {UNITS[units[other]]}, "
            f"but {place.row(first)} has {written[first]}, which reads as {unit}; write all times in one unit"
        )
    if unit == "ns":
        return (numbers // 1000).cast(pl.Int64), unit
    factor = {"s": 1_000_000, "ms": 1000, "us": 1}[unit]
    scaled = numbers * factor
    return (scaled.round() if scaled.dtype.is_float() else scaled).cast(pl.Int64), unit


def _checked(times: pl.Series, written: pl.Series, place: Place) -> pl.Series:
    if times.null_count():
        bad = times.is_null().arg_max()
        assert bad is not None
        found = "no value" if written[bad] in (None, "") else repr(written[bad])
        raise UserError(
            f"{place.row(bad)} has {found} as {written.name}, which is not a time; give seconds, "
            "milliseconds, microseconds or nanoseconds since 1970, or ISO 8601 such as 2024-01-31T12:00:00"
        )
    return times
