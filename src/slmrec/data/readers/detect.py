"""Which reader a source needs, recognised from its content or named."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from slmrec.data.raw import Raw
from slmrec.data.readers import (
    amazon2014,
    amazon2018,
    amazon2023,
    columnar,
    csv,
    jsonl,
    movielens,
    parquet,
    recbole,
    sequences,
    sessions,
    text,
    yoochoose,
)
from slmrec.errors import UserError, nearest


class Reader(Protocol):
    """A format's module."""

    def recognises(self, path: Path) -> bool:
        """Tell from the first lines whether `read` is meant for this file or folder; never raise."""

    def read(self, path: Path, columns: Mapping[str, str] | None = None) -> Raw:
        """Read the source; raise `UserError` for whatever is wrong with it."""


FORMATS: Mapping[str, Reader] = MappingProxyType(
    {
        "recbole": recbole,
        "movielens": movielens,
        "amazon2014": amazon2014,
        "amazon2018": amazon2018,
        "amazon2023": amazon2023,
        "yoochoose": yoochoose,
        "sequences": sequences,
        "sessions": sessions,
        "csv": csv,
        "parquet": parquet,
        "jsonl": jsonl,
    }
)
GENERIC = ("csv", "parquet", "jsonl")
"""Formats that fit much of what the others are meant for: they are tried after them."""
MAPPABLE = ("recbole", *GENERIC)
"""Formats whose columns can be mapped."""
LOOKED_FOR = (
    "NAME.inter, u.data, ratings.dat, ratings.csv of MovieLens, Amazon reviews (.json, .jsonl), "
    "yoochoose-clicks.dat, sequences.txt, train.txt with test.txt, interactions.csv, .tsv, .parquet or "
    ".jsonl"
)


def read_source(path: Path | str, format: str | None = None, columns: Mapping[str, str] | None = None) -> Raw:
    """Read interactions and items from a file or folder.

    Args:
        path: the file or folder.
        format: a name of `FORMATS`; unset: recognised from the content.
        columns: the source's column for our name (`user_id`, `item_id`, `timestamp`, `rating`, `text`); for
            csv, parquet, jsonl and recbole.

    Raises `UserError` if the path is missing, the format is unknown or cannot be told, or anything in the
    content is wrong.
    """
    path = Path(path)
    if format is not None and format not in FORMATS:
        raise UserError(f"there is no format '{format}'{nearest(format, FORMATS)}")
    if not path.exists():
        raise UserError(_missing(path))
    if path.is_file() and not columnar.is_parquet(path):
        text.head(path)
    return FORMATS[format or _recognised(path, columns)].read(path, columns)


def _recognised(path: Path, columns: Mapping[str, str] | None) -> str:
    special = [name for name in FORMATS if name not in GENERIC and (not columns or name in MAPPABLE)]
    for names in (special, GENERIC):
        fitting = [name for name in names if FORMATS[name].recognises(path)]
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            raise UserError(f"{path} could be of format {' or '.join(fitting)}; name the format")
    if path.is_dir():
        raise UserError(
            f"the folder {path} holds nothing that is recognised; looked for {LOOKED_FOR}; name a file, "
            f"and its format ({', '.join(FORMATS)})"
        )
    begin = text.shown(next(iter(text.peek(path)), ""))
    raise UserError(
        f"the format of {path} is not recognised from its beginning '{begin}'; name it: {', '.join(FORMATS)}"
    )


def _missing(path: Path) -> str:
    siblings = [sibling.name for sibling in path.parent.iterdir()] if path.parent.is_dir() else []
    close = nearest(path.name, siblings).partition("; known")[0]
    return f"{path} does not exist{close or '; give an existing file or folder'}"
