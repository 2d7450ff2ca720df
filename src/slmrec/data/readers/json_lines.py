"""JSON lines (one object a line) as String columns."""

import json
from collections.abc import Collection, Iterator
from pathlib import Path

import polars as pl

from slmrec.data.readers import text
from slmrec.data.readers.table import Table
from slmrec.errors import UserError


def table(path: Path) -> Table:
    """Open a file of JSON objects as a table: its columns are the `keys`."""
    return Table(path, keys(path), place(path), lambda wanted: read(path, wanted))


def keys(path: Path) -> list[str]:
    """Return the keys of the objects in the first lines, in order of appearance.

    Raises `UserError` if the file is no text or a line is not a JSON object.
    """
    begin = text.head(path)
    if begin[0].lstrip().startswith("["):
        raise UserError(f"{path} begins with '[': a JSON array; write JSON lines, one object a line")
    found: dict[str, None] = {}
    for number, line in enumerate(begin, start=1):
        if line.strip():
            found |= dict.fromkeys(_parsed(path, number, line))
    return list(found)


def place(path: Path) -> text.Lines:
    """Return what names the lines of the file's objects in messages."""
    return text.Lines(str(path), numbers=lambda: (number for number, _ in filled_lines(path)))


def read(path: Path, wanted: Collection[str]) -> pl.DataFrame:
    """Return the values of some keys as String columns: null where absent.

    Lists of strings become one string (``["a", "b"]`` becomes ``a, b``), other nested values their JSON.

    Raises `UserError` naming the first line that is not a JSON object.
    """
    text.head(path)
    # An open file, as a path would be taken for a pattern.
    try:
        with text.readable(path), path.open("rb") as file:
            scan = pl.scan_ndjson(file, schema=dict.fromkeys(wanted, pl.String))
            return scan.with_columns(_joined(pl.col(key)) for key in wanted).collect(engine="streaming")
    except pl.exceptions.PolarsError as error:
        for number, line in filled_lines(path):
            _parsed(path, number, line)
        raise UserError(f"{path} cannot be read as JSON lines ({error})") from error


def filled_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield every line that is not blank, with its number. Raises `UserError` where it is not UTF-8."""
    with text.open_text(path) as file:
        for number, line in enumerate(file, start=1):
            if not text.is_utf8(line):
                raise text.not_utf8(path, number)
            if line.strip():
                yield number, line


def _joined(values: pl.Expr) -> pl.Expr:
    inner = values.str.strip_prefix('["').str.strip_suffix('"]').str.replace_all('", "', ", ", literal=True)
    is_list = values.str.starts_with('["') & values.str.ends_with('"]')
    return pl.when(is_list).then(inner.str.replace_all('\\"', '"', literal=True)).otherwise(values)


def _parsed(path: Path, number: int, line: str) -> dict:
    try:
        value = json.loads(line)
    except ValueError as error:
        raise UserError(
            f"line {number} of {path} is not JSON ({error}): '{text.shown(line)}'; correct that line"
        ) from error
    if not isinstance(value, dict):
        raise UserError(f"line {number} of {path} is JSON but no object: '{text.shown(line)}'; write one object a line")
    return value
