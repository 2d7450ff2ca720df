"""Text files with a list of ids a line, separated by blanks."""

from itertools import pairwise
from pathlib import Path

import polars as pl

from slmrec.data.readers import text
from slmrec.errors import UserError


def read(path: Path, least: int) -> pl.Series:
    """Return every line's ids, a List(String) series.

    Raises `UserError` naming the first line with fewer than ``least`` ids.
    """
    lists = pl.Series("ids", text.lines(path)).str.extract_all(r"\S+")
    short = (lists.list.len() < least).arg_true()
    if len(short):
        found = text.shown(" ".join(lists[short[0]])) or "nothing"
        raise UserError(
            f"line {short[0] + 1} of {path} holds {found}, but needs at least {least} ids; correct or remove it"
        )
    return lists


def check_ids(lists: pl.Series, path: Path, pattern: str, advice: str) -> None:
    """Raise `UserError` naming the first line with an id that does not match the whole ``pattern``."""
    ids = pl.DataFrame({"line": pl.int_range(1, len(lists) + 1, eager=True), "id": lists}).explode("id")
    bad = ids.filter(~pl.col("id").str.contains(f"^{pattern}$"))
    if len(bad):
        raise UserError(f"line {bad['line'][0]} of {path} has the id '{text.shown(bad['id'][0])}'; {advice}")


def numbered(lines: list[str]) -> bool:
    """Tell whether every line begins with the number after the one of the line before: a user's number."""
    begins = [line.split(maxsplit=1)[:1] for line in lines]
    numbers = [int(begin[0]) for begin in begins if begin and begin[0].isdecimal()]
    return 1 < len(begins) == len(numbers) and all(after == before + 1 for before, after in pairwise(numbers))
