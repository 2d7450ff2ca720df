"""Our own Parquet files, read and written with errors for the user."""

from pathlib import Path

import polars as pl

from slmrec.errors import UserError


def read_parquet(path: Path) -> pl.DataFrame:
    """Read a file that `write_parquet` wrote. Raises `UserError` if it is missing or damaged."""
    try:
        return pl.read_parquet(path)
    except FileNotFoundError:
        raise UserError(f"{path} is missing; make {path.parent} again") from None
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        raise UserError(f"{path} is damaged ({error}); make {path.parent} again") from error


def write_parquet(frame: pl.DataFrame, path: Path) -> None:
    """Write a file. Raises `UserError` if the disk is full or may not be written to."""
    try:
        frame.write_parquet(path)
    except (pl.exceptions.ComputeError, OSError) as error:  # a full disk is a ComputeError to Polars
        raise UserError(f"cannot write {path} ({error}); make room or choose another place") from error
