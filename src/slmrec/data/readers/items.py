"""The items: their text out of several columns, and their ids in the form that the interactions have."""

from collections.abc import Mapping

import polars as pl

from slmrec.data.place import Place
from slmrec.data.raw import items_frame
from slmrec.data.readers import spelling
from slmrec.data.readers.table import Table
from slmrec.errors import UserError

DETAILS = {
    "year": ("year", "releaseyear"),
    "brand": ("brand", "store", "artist", "author", "authors"),
    "group": ("genres", "genre", "class", "categories", "category"),
}
"""Columns that join the title in the text, spelled as in `spelling.SPELLINGS`; the first that is there."""


def text_of(title: pl.Expr, *details: pl.Expr, year: pl.Expr | None = None) -> pl.Expr:
    """Return ``title (year) | detail | detail`` of String columns, without what is null or blank.

    The year is left out where the title ends in one. Null where nothing is known.
    """
    title, *parts = (part.str.strip_chars().replace("", None) for part in (title, *details))
    if year is not None:
        dated = title.str.contains(r"\(\d{4}\)$") | year.is_null()
        title = pl.when(dated).then(title).otherwise(pl.format("{} ({})", title, year))
    return pl.concat_str([title, *parts], separator=" | ", ignore_nulls=True)


def described(frame: pl.DataFrame, place: Place, mapping: Mapping[str, str] | None = None) -> pl.DataFrame:
    """Return an items table of any source as `Raw.items`, the first of rows with the same id.

    The text is the column `text` (or the one mapped to it); where there is none, `text_of` the title and what
    there is of `DETAILS`. All columns are kept as attributes.

    Raises `UserError` if there is no item_id, no text and no title, or a row without an id.
    """
    mapping = {ours: theirs for ours, theirs in (mapping or {}).items() if theirs in frame.columns}
    mapping = {ours: theirs for ours, theirs in mapping.items() if ours in ("item_id", "text")}
    found = spelling.resolve(frame.columns, mapping, place.source, required=("item_id",), optional=())
    if "text" not in found and "text" not in frame.columns:
        title = spelling.resolve(frame.columns, {}, place.source, required=("text",), optional=())["text"]
        year, brand, group = (_first(frame, DETAILS[detail]) for detail in ("year", "brand", "group"))
        text = text_of(pl.col(title), *(detail for detail in (brand, group) if detail is not None), year=year)
        frame = frame.with_columns(text.alias("text"))
    return items_frame(frame, place, found).unique("item_id", keep="first", maintain_order=True)


def of_table(
    table: Table | None, interactions: pl.DataFrame, mapping: Mapping[str, str] | None = None
) -> pl.DataFrame | None:
    """Return the table as `described` and `fitting` do; None where there is none."""
    if table is None:
        return None
    described_items = described(table.load(table.names), table.place, mapping)
    return fitting(described_items, interactions, str(table.path))


def fitting(items: pl.DataFrame, interactions: pl.DataFrame, source: str) -> pl.DataFrame:
    """Return the items with their ids in the interactions' dtype.

    Raises `UserError` if an id cannot be one of the interactions', or if none of the items occurs there: then
    the table belongs to other data, or its ids are written differently.
    """
    dtype = interactions.schema["item_id"]
    ids = items["item_id"].cast(dtype, strict=False)
    if ids.null_count():
        other = items["item_id"].filter(ids.is_null())[0]
        raise UserError(f"{source} has the item_id '{other}', but the interactions' are integers; write both alike")
    used = interactions["item_id"].unique()
    if not ids.is_in(used.implode()).any():
        raise UserError(
            f"none of the {len(items)} items in {source} occurs in the interactions (the first is "
            f"'{ids[0]}' there and '{used[0]}' here); write the ids alike, or move that file away to go "
            "without texts"
        )
    return items.with_columns(ids)


def _first(frame: pl.DataFrame, wanted: tuple[str, ...]) -> pl.Expr | None:
    found = {spelling.plain(name): name for name in frame.columns}
    name = next((found[spelled] for spelled in wanted if spelled in found), None)
    if name is None:
        return None
    column = pl.col(name)
    return column.list.join(", ") if isinstance(frame.schema[name], pl.List) else column.cast(pl.String)
