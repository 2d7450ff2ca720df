"""What every reader returns, and how a source's columns become ours."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from slmrec.data.place import FRAME, ITEMS_TABLE, Place
from slmrec.data.timestamps import to_microseconds
from slmrec.errors import UserError, nearest

ALIASES = {"timestamp": "datetime", "rating": "weight", "text": "title"}
"""A second name under which a column is found without a mapping."""
COLUMNS = ("user_id", "item_id", "timestamp", "rating", "text")
"""The names a column mapping may speak of."""


@dataclass(frozen=True)
class Raw:
    """Interactions and items as a source gives them, before any preparation."""

    interactions: pl.DataFrame
    """`user_id`, `item_id` (String, or Int64 where the source has integers) and optionally `timestamp` (Int64
    microseconds since the epoch), `rating` (Float64), `split` (UInt8: 0 train, 1 valid, 2 test). No nulls but
    in `rating`; row order is file order."""
    items: pl.DataFrame | None
    """`item_id`, `text` (String, null where unknown) and any attribute columns."""
    name: str
    """What the data is called, e.g. ``ml-100k``."""
    format: str
    """The reader's format, e.g. ``movielens``."""
    timestamp_unit: str | None = None
    """How the source writes times (see `to_microseconds`); None where it has none."""


def interactions_frame(
    frame: pl.DataFrame, place: Place = FRAME, columns: Mapping[str, str] | None = None
) -> tuple[pl.DataFrame, str | None]:
    """Return the frame's columns as `Raw.interactions` wants them, and the unit of its times.

    ``columns`` maps our names to the frame's; `timestamp` and `rating` are optional unless mapped, and found
    as `datetime` and `weight` too.

    Raises `UserError` for a column that is missing or mapped twice, and naming the first row with a null id,
    a rating that is no number or a time that is no time.
    """
    columns = checked_mapping(columns)
    user_column = _column(frame, "user_id", columns, place)
    item_column = _column(frame, "item_id", columns, place)
    series = [_ids(frame[user_column], place, "user_id"), _ids(frame[item_column], place, "item_id")]
    unit = None
    if time_column := _optional_column(frame, "timestamp", columns, place):
        times, unit = to_microseconds(frame[time_column], place)
        series.append(times.alias("timestamp"))
    if rating_column := _optional_column(frame, "rating", columns, place):
        series.append(_ratings(frame[rating_column], place))
    return pl.DataFrame(series), unit


def items_frame(
    frame: pl.DataFrame, place: Place = ITEMS_TABLE, columns: Mapping[str, str] | None = None
) -> pl.DataFrame:
    """Return the frame as `Raw.items`: `item_id`, `text` (also found as `title`), then its other columns.

    A mapped column that this frame lacks is looked for under our own name. Blank text becomes null. Raises
    `UserError` for a missing column or naming the first row with a null id.
    """
    columns = {ours: theirs for ours, theirs in checked_mapping(columns).items() if theirs in frame.columns}
    item_column = _column(frame, "item_id", columns, place)
    text_column = _optional_column(frame, "text", columns, place) or _column(frame, "text", columns, place)
    text = pl.col(text_column).cast(pl.String).str.strip_chars().replace("", None).alias("text")
    others = [name for name in frame.columns if name not in (item_column, text_column, "item_id", "text")]
    return frame.select(text, *others).insert_column(0, _ids(frame[item_column], place, "item_id"))


def checked_mapping(columns: Mapping[str, str] | None) -> dict[str, str]:
    """Return the mapping as a dict. Raises `UserError` for a name not ours, or a column given twice."""
    columns = dict(columns or {})
    taken: dict[str, str] = {}
    for ours, theirs in columns.items():
        if ours not in COLUMNS:
            raise UserError(f"the column mapping names '{ours}', which is no column of ours{nearest(ours, COLUMNS)}")
        if theirs in taken:
            raise UserError(
                f"the column mapping gives '{theirs}' to both {taken[theirs]} and {ours}; map each to its own column"
            )
        taken[theirs] = ours
    return columns


def _column(frame: pl.DataFrame, ours: str, columns: Mapping[str, str], place: Place) -> str:
    wanted = columns.get(ours, ours)
    if wanted not in frame.columns:
        close = difflib.get_close_matches(wanted, frame.columns, n=1)
        guess = f" (did you mean '{close[0]}'?)" if close else ""
        raise UserError(
            f"{place.source} has no column '{wanted}'{guess}, only {', '.join(frame.columns)}; map {ours} to "
            "the one that holds it"
        )
    return wanted


def _optional_column(frame: pl.DataFrame, ours: str, columns: Mapping[str, str], place: Place) -> str | None:
    if ours in columns:
        return _column(frame, ours, columns, place)
    return next((name for name in (ours, ALIASES[ours]) if name in frame.columns), None)


def _ids(series: pl.Series, place: Place, name: str) -> pl.Series:
    dtype = series.dtype
    if dtype in (pl.String, pl.Categorical, pl.Enum):
        ids = series.cast(pl.String).replace("", None)
    elif dtype.is_integer():
        ids = series.cast(pl.Int64, strict=False)
    elif dtype.is_float():  # what pandas makes of integers among missing values
        ids = series.set(series != series.floor(), None).cast(pl.Int64, strict=False)
    elif dtype == pl.Null:
        ids = series.cast(pl.String)
    else:
        raise UserError(f"column '{series.name}' of {place.source} holds {dtype} values; ids are strings or integers")
    if ids.null_count():
        bad = ids.is_null().arg_max()
        assert bad is not None
        found = "no" if series[bad] in (None, "") else f"{series[bad]!r} as"
        raise UserError(
            f"{place.row(bad)} has {found} {name} (column '{series.name}'), one of {ids.null_count()} such "
            "rows; ids are strings or whole numbers: fill them in or remove those rows"
        )
    return ids.alias(name)


def _ratings(series: pl.Series, place: Place) -> pl.Series:
    ratings = series.cast(pl.Float64, strict=False).fill_nan(None)
    bad = (ratings.is_null() & series.is_not_null() & (series.cast(pl.String) != "NaN")).arg_true()
    if len(bad):
        raise UserError(f"{place.row(bad[0])} has {series[bad[0]]!r} as {series.name}, which is not a number")
    return ratings.alias("rating")
