"""MovieLens in its three layouts, recognised by their content.

Accepted: a folder or ratings file of 100K (``u.data``, titles in ``u.item``), of 1M and 10M (``ratings.dat``,
``movies.dat``), or of 20M, 25M and latest (``ratings.csv``, ``movies.csv``); plain, .gz or .zst. The titles
may be missing; the text is ``Toy Story (1995) | Animation, Children's, Comedy``. Titles that are not UTF-8
are Latin-1.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from slmrec.data.raw import Raw, interactions_frame, items_frame
from slmrec.data.readers import files, items, spelling, text
from slmrec.data.readers.delimited import Dialect
from slmrec.data.readers.delimited import place as lines_of
from slmrec.data.readers.delimited import read as read_fields
from slmrec.errors import UserError


@dataclass(frozen=True)
class Layout:
    """One of the ways MovieLens is written."""

    begin: str
    """Pattern of the ratings' first line."""
    ratings: Dialect
    titles_file: str
    """Stands beside the ratings."""
    titles: Dialect
    titles_width: int
    """Fields a line of the titles file; the first two are id and title."""


LAYOUTS = {
    "u.data": Layout(r"\d+\t\d+\t[1-5]\t\d+", Dialect("\t"), "u.item", Dialect("|", latin1=True), 24),
    "ratings.dat": Layout(r"\d+::\d+::[\d.]+::\d+", Dialect("::"), "movies.dat", Dialect("::", latin1=True), 3),
    "ratings.csv": Layout(
        "userId,movieId,rating,timestamp",
        Dialect(",", quoted=True, header=True),
        "movies.csv",
        Dialect(",", quoted=True, header=True),
        3,
    ),
}
FIELDS = {"user_id": 0, "item_id": 1, "rating": 2, "timestamp": 3}
GENRES = (
    *("Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama", "Fantasy"),
    *("Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western"),
)
"""What the flags in ``u.item`` stand for, in their order."""
FIRST_FLAG = 6
"""Position of the first genre's flag in ``u.item``; the flag before it is that of no known genre."""


def recognises(path: Path) -> bool:
    """Tell whether this is a ratings file of MovieLens by its first line, or a folder with one."""
    return bool(_ratings(path))


def read(path: Path, columns: Mapping[str, str] | None = None) -> Raw:
    """Read the ratings and the titles beside them.

    Raises `UserError` naming the file and line of whatever is wrong, and for a column mapping.
    """
    spelling.refuse_mapping(columns, "movielens")
    found = _ratings(path)
    if not found:
        raise UserError(f"{path} is not, and holds no, MovieLens ratings ({', '.join(LAYOUTS)})")
    file = files.only(list(found), path)
    layout = found[file]
    table = None
    titles = files.matching(file.parent, [layout.titles_file])
    if titles:
        table = _titles(files.only(titles, file.parent), layout)
    place = lines_of(file, layout.ratings)
    interactions, unit = interactions_frame(read_fields(file, layout.ratings, len(FIELDS), FIELDS), place)
    if table is not None:
        table = items.fitting(table, interactions, str(titles[0]))
    return Raw(interactions, table, files.data_name(path), "movielens", unit)


def _ratings(path: Path) -> dict[Path, Layout]:
    """Return the ratings files that ``path`` is or holds.

    A name that says enough will do, so that `read` can say which line is wrong.
    """
    candidates = files.matching(path, LAYOUTS) if path.is_dir() else [path]
    found = {}
    for file in candidates:
        begin = "".join(text.peek(file)[:1]).rstrip("\r")
        fitting = [layout for layout in LAYOUTS.values() if re.fullmatch(layout.begin, begin)]
        name = files.uncompressed(file).name
        if fitting:
            found[file] = fitting[0]
        elif name in LAYOUTS and not LAYOUTS[name].ratings.header:
            found[file] = LAYOUTS[name]
    return found


def _titles(file: Path, layout: Layout) -> pl.DataFrame:
    fields = {"item_id": 0, "title": 1}
    if layout.titles_file == "u.item":
        flags = {genre: FIRST_FLAG + number for number, genre in enumerate(GENRES)}
        listed = [pl.when(pl.col(genre) == "1").then(pl.lit(genre)) for genre in GENRES]
        genres = pl.concat_str(listed, separator=", ", ignore_nulls=True).replace("", None)
    else:
        flags = {"genres": 2}
        genres = pl.col("genres").replace("(no genres listed)", None).str.replace_all("|", ", ", literal=True)
    frame = read_fields(file, layout.titles, layout.titles_width, fields | flags)
    frame = frame.select(
        "item_id",
        "title",
        pl.col("title").str.extract(r"\((\d{4})\)\s*$").cast(pl.Int32).alias("year"),
        genres.alias("genres"),
    )
    text_column = items.text_of(pl.col("title"), pl.col("genres")).alias("text")
    return items_frame(frame.with_columns(text_column), lines_of(file, layout.titles))
