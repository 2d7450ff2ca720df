"""The items table that stands beside interactions: ``items.csv``, ``.tsv``, ``.parquet`` or ``.jsonl``."""

from pathlib import Path

from slmrec.data.readers import columnar, delimited, files, json_lines
from slmrec.data.readers.table import Table

OPENERS = {
    "items.csv": delimited.table,
    "items.tsv": delimited.table,
    "items.parquet": columnar.table,
    "items.jsonl": json_lines.table,
}


def items_table(folder: Path) -> Table | None:
    """Open the folder's items table (plain, .gz or .zst), or return None where there is none.

    Raises `UserError` if there are several, or it cannot be opened.
    """
    found = {path: opener for name, opener in OPENERS.items() for path in files.matching(folder, [name])}
    if not found:
        return None
    path = files.only(list(found), folder)
    return found[path](path)
