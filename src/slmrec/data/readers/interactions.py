"""Interactions out of a table with named columns, and the items' texts that belong to them."""

from collections.abc import Mapping

from slmrec.data.raw import Raw, checked_mapping, interactions_frame
from slmrec.data.readers import items, spelling
from slmrec.data.readers.table import Table


def from_table(table: Table, beside: Table | None, columns: Mapping[str, str] | None, name: str, format: str) -> Raw:
    """Return a table's interactions, with items from the table beside it.

    Only the columns needed are loaded. `text` may be mapped to a column of the interactions: then an item's
    text is the first one there, and no table beside is read, unless that has the column too.

    Raises `UserError` for columns that are missing, doubled or ambiguous, and whatever is wrong with a row.
    """
    mapping = checked_mapping(columns)
    text_beside = beside is not None and mapping.get("text") in (None, *beside.names)
    sought = {ours: theirs for ours, theirs in mapping.items() if ours != "text" or not text_beside}
    found = spelling.resolve(table.names, sought, f"{table.path}{table.note}")
    text = found.pop("text", None)
    interactions, unit = interactions_frame(table.load(found.values()), table.place, found)
    if text is None:
        described = items.of_table(beside, interactions, mapping)
    else:
        own = {"item_id": found["item_id"], "text": text}
        described = items.described(table.load(own.values()).drop_nulls(text), table.place, own)
    return Raw(interactions, described, name, format, unit)
