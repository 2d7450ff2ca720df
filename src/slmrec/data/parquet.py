"""Parquet files read and written with errors for the user."""

from pathlib import Path

import polars as pl

from slmrec.errors import UserError


def read_parquet(path: Path, remedy: str = "") -> pl.DataFrame:
    """Read a file.

    Args:
        path: the file.
        remedy: what to do where it cannot be read; empty: make its folder, which is one of ours, again.

    Raises:
        UserError: it is missing or damaged.
    """
    remedy = remedy or f"make {path.parent} again"
    try:
        return pl.read_parquet(path)
    except FileNotFoundError:
        raise UserError(f"{path} is missing; {remedy}") from None
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        raise UserError(f"{path} is damaged or no Parquet ({error}); {remedy}") from error


def write_parquet(frame: pl.DataFrame, path: Path) -> None:
    """Write a file. Raises `UserError` if the disk is full or may not be written to."""
    try:
        frame.write_parquet(path)
    except (pl.exceptions.ComputeError, OSError) as error:  # a full disk is a ComputeError to Polars
        raise UserError(f"cannot write {path} ({error}); make room or choose another place") from error
