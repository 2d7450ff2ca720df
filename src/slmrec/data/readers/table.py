"""A file with named columns, whatever its format."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from slmrec.data.place import Place


@dataclass(frozen=True)
class Table:
    """A file with named columns, of which nothing but the names has been read yet."""

    path: Path
    names: list[str]
    """Its columns; a text file may have a name twice."""
    place: Place
    """Names its rows in messages."""
    load: Callable[[Collection[str]], pl.DataFrame]
    """Reads the columns of these names."""
    note: str = ""
    """What to add to the path in messages on columns."""
