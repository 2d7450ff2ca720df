"""Parquet files as tables."""

from collections.abc import Collection
from pathlib import Path

import polars as pl

from slmrec.data.place import Place
from slmrec.data.readers import text
from slmrec.data.readers.table import Table
from slmrec.errors import UserError

MAGIC = b"PAR1"


def is_parquet(path: Path) -> bool:
    """Tell whether a file begins like Parquet."""
    with text.readable(path), path.open("rb") as file:
        return file.read(4) == MAGIC


def table(path: Path) -> Table:
    """Open a Parquet file as a table. Raises `UserError` if it is none, or is damaged."""
    if not is_parquet(path):
        raise UserError(f"{path} is not a Parquet file (it does not begin with {MAGIC.decode()}); name its format")
    try:
        scan = pl.scan_parquet(path, glob=False)
        names = scan.collect_schema().names()
    except pl.exceptions.PolarsError as error:
        raise UserError(f"{path} is a damaged or cut-off Parquet file ({error}); fetch or make it again") from error

    def load(wanted: Collection[str]) -> pl.DataFrame:
        try:
            frame = scan.select(wanted).collect(engine="streaming")
        except pl.exceptions.PolarsError as error:
            raise UserError(f"{path} is a damaged Parquet file ({error}); fetch or make it again") from error
        if frame.is_empty():
            raise UserError(f"{path} holds columns and no rows; give a file with data in it")
        return frame

    return Table(path, names, Place(str(path)), load)
