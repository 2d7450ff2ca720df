"""RecBole's atomic files: tab-separated, with a type after each column's name.

Accepted: a ``.inter`` file, or a folder with one; the ``.item`` file of the same name beside it gives the
texts: ``title (year) | brand | genres`` from the columns called so (see `items.DETAILS`), all of them kept.
An ``.item`` file without titles is not read. Columns are found as in CSV, and a mapping names them without
their type. Plain, .gz or .zst.
"""

import glob
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import polars as pl

from slmrec.data.raw import Raw
from slmrec.data.readers import delimited, files, interactions, items, spelling, text
from slmrec.data.readers.table import Table
from slmrec.errors import UserError

PATTERNS = ("*.inter",)
TYPES = {"token", "token_seq", "float", "float_seq"}
DIALECT = delimited.Dialect("\t", header=True)


def recognises(path: Path) -> bool:
    """Tell whether this is a folder with a ``.inter`` file, or a file whose header has names with types."""
    if path.is_dir():
        return bool(files.matching(path, PATTERNS))
    begin = text.peek(path)[:1]
    return bool(begin) and all(field.rpartition(":")[2] in TYPES for field in begin[0].strip().split("\t"))


def read(path: Path, columns: Mapping[str, str] | None = None) -> Raw:
    """Read the interactions and the items of the ``.item`` file beside them.

    Raises `UserError` naming the file and line of whatever is wrong.
    """
    file = files.the_one(path, PATTERNS)
    beside = files.matching(file.parent, [f"{glob.escape(files.stem(file))}.item"])
    items_table = _table(files.only(beside, file.parent)) if beside else None
    if items_table is not None and not spelling.has_text(items_table.names, columns):
        items_table = None
    return interactions.from_table(_table(file), items_table, columns, files.data_name(path), "recbole")


def _table(path: Path) -> Table:
    fields = delimited.header(path, DIALECT)
    if len(fields) == 1:
        raise UserError(
            f"the header of {path} holds no tab, but reads '{text.shown(fields[0])}'; separate the columns by tabs"
        )
    for field in fields:
        if field.rpartition(":")[2] not in TYPES:
            raise UserError(
                f"the header of {path} has the field '{text.shown(field)}', but RecBole's are "
                f"tab-separated and end in a type ({', '.join(sorted(TYPES))}), as user_id:token does"
            )
    names = [field.rpartition(":")[0] for field in fields]
    groups = [
        name
        for name, field in zip(names, fields, strict=True)
        if field.endswith(":token_seq") and spelling.plain(name) in items.DETAILS["group"]
    ]
    table = delimited.table(path, DIALECT, names)
    return replace(table, load=lambda wanted: _spelled_out(table.load(wanted), groups))


def _spelled_out(frame: pl.DataFrame, groups: list[str]) -> pl.DataFrame:
    """Write sequences of tokens (``Animation Comedy``) as lists are read (``Animation, Comedy``)."""
    bare = [name for name in groups if name in frame.columns and not frame[name].str.contains(",", literal=True).any()]
    return frame.with_columns(pl.col(bare).str.replace_all(" ", ", ", literal=True))
