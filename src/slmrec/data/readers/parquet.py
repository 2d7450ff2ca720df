"""Parquet: one interaction a row.

Accepted: a file, or a folder with ``interactions.parquet``. Columns, their mapping and the items table
beside are those of `slmrec.data.readers.csv`; ids are strings or integers and stay what they are.
"""

from collections.abc import Mapping
from pathlib import Path

from slmrec.data.raw import Raw
from slmrec.data.readers import beside, columnar, files, interactions

PATTERNS = ("interactions.parquet",)


def recognises(path: Path) -> bool:
    """Tell whether this is a folder with such a file, or a file that begins like Parquet or is called so."""
    if path.is_dir():
        return bool(files.matching(path, PATTERNS))
    return path.suffix == ".parquet" or columnar.is_parquet(path)


def read(path: Path, columns: Mapping[str, str] | None = None) -> Raw:
    """Read the interactions and the items beside them.

    Raises `UserError` naming the file and row of whatever is wrong.
    """
    file = files.the_one(path, PATTERNS)
    table = columnar.table(file)
    return interactions.from_table(table, beside.items_table(file.parent), columns, files.data_name(path), "parquet")
