"""CSV and its relatives: one interaction a line under a header.

Accepted: a file, or a folder with ``interactions.csv`` or ``.tsv``; plain, .gz or .zst; UTF-8. The
separator (comma, tab, semicolon or bar) is recognised from the header. `user_id` and `item_id` must be
there, `timestamp` and `rating` may be, under their names, the other spellings of
`slmrec.data.readers.spelling`, or as the column mapping says. Ids stay strings. Titles come from a table
`items.csv|tsv|parquet|jsonl` beside (`item_id` and `text`, or a title with year, brand and genres), or from
a column that the mapping calls `text`.
"""

from collections.abc import Mapping
from pathlib import Path

from slmrec.data.raw import Raw
from slmrec.data.readers import beside, delimited, files, interactions, spelling, text
from slmrec.errors import UserError

PATTERNS = ("interactions.csv", "interactions.tsv")
ENDINGS = (".csv", ".tsv")


def recognises(path: Path) -> bool:
    """Tell whether this is a folder with such a file, or a file called so or with a fitting header."""
    if path.is_dir():
        return bool(files.matching(path, PATTERNS))
    if files.uncompressed(path).suffix in ENDINGS:
        return True
    try:
        return bool(text.peek(path)) and spelling.recognised(delimited.header(path, delimited.sniff(path)))
    except UserError:
        return False


def read(path: Path, columns: Mapping[str, str] | None = None) -> Raw:
    """Read the interactions and the items beside them; see the module for what is accepted.

    Raises `UserError` naming the file and line of whatever is wrong.
    """
    file = files.the_one(path, PATTERNS)
    table = delimited.table(file)
    return interactions.from_table(table, beside.items_table(file.parent), columns, files.data_name(path), "csv")
