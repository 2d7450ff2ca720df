"""S3-Rec's sequences: ``user item item ...`` a line, oldest first, integers from 1; no times.

Accepted: the file, or a folder with ``sequences.txt``; plain, .gz or .zst. A table `items.tsv` (or .csv,
.parquet, .jsonl) beside gives the texts: `item_id`, `text` and attributes. Ids are strings.
"""

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from slmrec.data.raw import Raw
from slmrec.data.readers import beside, files, id_lists, items, spelling, text
from slmrec.errors import UserError

PATTERNS = ("sequences.txt",)


def recognises(path: Path) -> bool:
    """Tell whether this is a folder with ``sequences.txt``, or a file called so or of numbered lines."""
    if path.is_dir():
        return bool(files.matching(path, PATTERNS))
    begin = text.peek(path)
    integers = all(token.isdecimal() for line in begin for token in line.split())
    return files.uncompressed(path).name in PATTERNS or (integers and id_lists.numbered(begin))


def read(path: Path, columns: Mapping[str, str] | None = None) -> Raw:
    """Read the sequences and the items beside them.

    Raises `UserError` naming the line that has fewer than two ids, a user that has a line already, or an id
    that is not an integer; and for a column mapping.
    """
    spelling.refuse_mapping(columns, "sequences")
    file = files.the_one(path, PATTERNS)
    table = beside.items_table(file.parent)
    lists = id_lists.read(file, least=2)
    id_lists.check_ids(lists, file, r"\d+", "in this format ids are integers separated by blanks")
    users = lists.list.first().alias("user_id")
    again = (~users.is_first_distinct()).arg_true()
    if len(again):
        user = users[again[0]]
        first = users.to_list().index(user)
        raise UserError(
            f"line {again[0] + 1} of {file} is of user {user}, who has line {first + 1} already; join the two lines"
        )
    frame = pl.DataFrame([users, lists.list.slice(1).alias("item_id")]).explode("item_id")
    return Raw(frame, items.of_table(table, frame), files.data_name(path), "sequences")
