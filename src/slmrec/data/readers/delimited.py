"""Records of delimited text (CSV and its relatives) as String columns.

Polars parses; only when it stumbles, or an empty last field could be a missing one, is the file read once
more in plain Python to say which line is at fault.
"""

import csv
import io
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import polars as pl

from slmrec.data.readers import text
from slmrec.data.readers.table import Table
from slmrec.errors import UserError

SEPARATORS = {",": "comma", "\t": "tab", ";": "semicolon", "|": "bar"}
"""The separators recognised from a header."""
STAND_IN = "\x1f"
"""Replaces a separator of several characters, which Polars does not know: ASCII's own unit separator."""

csv.field_size_limit(1 << 30)  # the module's own limit of 128 KiB is less than the longest texts


@dataclass(frozen=True)
class Dialect:
    """How a delimited text file is written."""

    separator: str
    """One character, or several where `quoted` is false."""
    quoted: bool = False
    """Whether ``"`` encloses fields; otherwise it is a character like any other."""
    header: bool = False
    """Whether the first line names the columns."""
    latin1: bool = False
    """Whether a file that is not UTF-8 is taken as Latin-1."""


def sniff(path: Path) -> Dialect:
    """Return the dialect of a file with a header: the separator that its header holds most often.

    ``"`` encloses fields; in a tab-separated file only if it does so in the first lines, as there it more
    often is a character like any other.

    Raises `UserError` if the file is no text or its header holds none of `SEPARATORS`.
    """
    begin = text.head(path)
    names_line = next(line for line in begin if line.strip())
    separator = max(SEPARATORS, key=names_line.count)
    if separator not in names_line:
        names = ", ".join(SEPARATORS.values())
        raise UserError(
            f"the header of {path} holds no separator ({names}), but reads '{text.shown(names_line)}'; "
            "separate the columns by commas"
        )
    quoted = separator != "\t" or _encloses(fields=[field for line in begin for field in line.split("\t")])
    return Dialect(separator, quoted, header=True)


def table(path: Path, dialect: Dialect | None = None, names: list[str] | None = None) -> Table:
    """Open a file with a header as a table.

    Args:
        path: plain, .gz or .zst.
        dialect: how it is written; unset: `sniff`.
        names: what its columns are called; unset: as in the header.

    Raises `UserError` as `sniff` does.
    """
    dialect = dialect or sniff(path)
    names = names or header(path, dialect)

    def load(wanted: Collection[str]) -> pl.DataFrame:
        return read(path, dialect, len(names), {name: names.index(name) for name in wanted})

    separator = SEPARATORS.get(dialect.separator, dialect.separator)
    return Table(path, names, place(path, dialect), load, note=f" ({separator}-separated)")


def header(path: Path, dialect: Dialect) -> list[str]:
    """Return the column names in the file's first line, blanks around them removed."""
    _, names = next(_records(path, replace(dialect, header=False)))
    return [name.strip() for name in names]


def place(path: Path, dialect: Dialect) -> text.Lines:
    """Return what names the lines of the file's records in messages."""
    return text.Lines(str(path), numbers=lambda: (line for line, _ in _records(path, dialect)))


def read(path: Path, dialect: Dialect, width: int, fields: Mapping[str, int]) -> pl.DataFrame:
    """Return some fields of every record as String columns, null where empty; blank lines are skipped.

    Args:
        path: plain, .gz or .zst.
        dialect: how the file is written.
        width: how many fields each record has.
        fields: the position (from 0) of each field wanted, by the name its column gets.

    Raises `UserError` naming the line where a record has another number of fields, is not UTF-8, or has an
    unclosed quote; and if the file holds no record.
    """
    if not dialect.latin1:
        text.head(path)
    first = next(_records(path, dialect), None)
    if first is None:
        raise UserError(f"{path} holds a header and no rows; give a file with data in it")
    try:
        with text.readable(path):
            frame = _scan(path, dialect, width, fields, skip=first[0] - 1)
    except pl.exceptions.PolarsError as error:
        _refuse_bad_line(path, dialect, width)
        raise UserError(f"{path} cannot be read as delimited text ({error})") from error
    if frame["last is empty"].any():
        _refuse_bad_line(path, dialect, width)
        frame = frame.filter(~pl.all_horizontal(pl.col(*fields).is_null(), "last is empty"))
    return frame.drop("last is empty")


def _encloses(fields: list[str]) -> bool:
    with_quotes = [field.rstrip("\r") for field in fields if field.startswith('"')]
    return bool(with_quotes) and all(re.fullmatch(r'"([^"]|"")*"', field) for field in with_quotes)


def _scan(path: Path, dialect: Dialect, width: int, fields: Mapping[str, int], skip: int) -> pl.DataFrame:
    names = [f"field {position}" for position in range(width)]
    scan = pl.scan_csv(
        _source(path, dialect),
        has_header=False,
        skip_lines=skip,
        schema=dict.fromkeys(names, pl.String),
        separator=dialect.separator if len(dialect.separator) == 1 else STAND_IN,
        quote_char='"' if dialect.quoted else None,
        glob=False,
    )
    wanted = [pl.col(names[position]).alias(name) for name, position in fields.items()]
    # With the projection pushed down, records with too many fields would pass unseen.
    return scan.select(*wanted, pl.col(names[-1]).is_null().alias("last is empty")).collect(
        engine="streaming", optimizations=pl.QueryOptFlags(projection_pushdown=False)
    )


def _source(path: Path, dialect: Dialect) -> Path | io.BytesIO:
    if len(dialect.separator) == 1 and not dialect.latin1:
        return path
    content = text.read_bytes(path)
    if dialect.latin1:
        try:
            content.decode()
        except UnicodeDecodeError:
            content = content.decode("latin-1").encode()
    if len(dialect.separator) > 1:
        content = content.replace(dialect.separator.encode(), STAND_IN.encode())
    return io.BytesIO(content)


def _records(path: Path, dialect: Dialect) -> Iterator[tuple[int, list[str]]]:
    """Yield every record after the header, with the number of its first line; blank lines are skipped."""
    with text.open_text(path) as file:
        records = _quoted(path, file, dialect) if dialect.quoted else _plain(file, dialect)
        yield from islice(records, int(dialect.header), None)


def _plain(file: io.TextIOWrapper, dialect: Dialect) -> Iterator[tuple[int, list[str]]]:
    for number, line in enumerate(file, start=1):
        if line := line.rstrip("\r\n"):
            yield number, line.split(dialect.separator)


def _quoted(path: Path, file: io.TextIOWrapper, dialect: Dialect) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(file, delimiter=dialect.separator, strict=True)
    number = 1
    while True:
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise UserError(
                f"line {number} of {path} is not a whole record ({error}); look for a quote that is not closed"
            ) from error
        if fields:
            yield number, fields
        number = reader.line_num + 1


def _refuse_bad_line(path: Path, dialect: Dialect, width: int) -> None:
    for number, fields in _records(path, dialect):
        if not dialect.latin1 and not all(map(text.is_utf8, fields)):
            raise text.not_utf8(path, number)
        if len(fields) != width:
            raise UserError(_ragged(path, dialect, width, number, fields))
        if not any(fields):
            raise UserError(f"line {number} of {path} has only empty fields; fill them in or remove the line")


def _ragged(path: Path, dialect: Dialect, width: int, number: int, fields: list[str]) -> str:
    separator = SEPARATORS.get(dialect.separator, f"'{dialect.separator}'")
    wanted = f"the header's {width}" if dialect.header else f"{width}"
    message = f"line {number} of {path}, split at every {separator}, gives {len(fields)} instead of {wanted} fields"
    line = dialect.separator.join(fields)
    others = [name for other, name in SEPARATORS.items() if other != dialect.separator and other in line]
    if len(fields) == 1 and others:
        return f"{message}; it holds a {others[0]} instead: separate all lines alike"
    return f"{message}: '{text.shown(line)}'; correct that line"
