"""JSON lines: one object with an interaction a line.

Accepted: a file, or a folder with ``interactions.jsonl``; plain, .gz or .zst. Keys, their mapping and the
items table beside are those of `slmrec.data.readers.csv`; ids that are numbers become strings.
"""

from collections.abc import Mapping
from pathlib import Path

from slmrec.data.raw import Raw
from slmrec.data.readers import beside, files, interactions, json_lines, text

PATTERNS = ("interactions.jsonl", "interactions.ndjson", "interactions.json")
ENDINGS = (".jsonl", ".ndjson", ".json")


def recognises(path: Path) -> bool:
    """Tell whether this is a folder with such a file, or a file called so or beginning with a JSON object."""
    if path.is_dir():
        return bool(files.matching(path, PATTERNS))
    begin = text.peek(path)[:1]
    return files.uncompressed(path).suffix in ENDINGS or bool(begin and begin[0].startswith("{"))


def read(path: Path, columns: Mapping[str, str] | None = None) -> Raw:
    """Read the interactions and the items beside them.

    Raises `UserError` naming the file and line of whatever is wrong.
    """
    file = files.the_one(path, PATTERNS)
    table = json_lines.table(file)
    return interactions.from_table(table, beside.items_table(file.parent), columns, files.data_name(path), "jsonl")
