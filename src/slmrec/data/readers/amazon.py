"""What the readers of Amazon's reviews share; each release has its own names and its own module.

Accepted: a file of reviews (JSON lines), or a folder with one; the metadata file beside it
(``meta_Beauty.json.gz`` for ``reviews_Beauty_5.json.gz``) gives texts, ``title | brand | last category``;
plain, .gz or .zst. The metadata of 2014 is written as Python dicts, which is read too.
"""

import ast
import html
import json
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from slmrec.data.raw import Raw, interactions_frame, items_frame
from slmrec.data.readers import files, items, json_lines, spelling, text
from slmrec.errors import UserError

ENDINGS = ("*.json", "*.jsonl")
METADATA = "meta_"
"""How the names of metadata files begin."""


@dataclass(frozen=True)
class Release:
    """The keys of one release."""

    format: str
    columns: Mapping[str, str]
    """The review's key for each of our columns."""
    telling: str
    """A key of the reviews that the other releases lack."""
    brand: str
    """The metadata's key of the brand; the title's is `title` in all."""
    categories: str
    """The metadata's key of the categories."""


def recognises(path: Path, release: Release) -> bool:
    """Tell whether this is a file whose first line is a review of the release, or a folder with one."""
    return bool(_reviews(path, release))


def read(path: Path, release: Release, columns: Mapping[str, str] | None) -> Raw:
    """Read the reviews, in the order of the file, and the metadata beside them.

    Raises `UserError` naming the file and line of whatever is wrong, and for a column mapping.
    """
    spelling.refuse_mapping(columns, release.format)
    found = _reviews(path, release) if path.is_dir() else [path]
    if not found:
        raise UserError(
            f"the folder {path} holds no reviews of {release.format}: a .json or .jsonl file of objects "
            f"with {', '.join(release.columns.values())}"
        )
    reviews = files.only(found, path)
    metadata = _metadata_of(reviews)
    place = json_lines.place(reviews)
    present = json_lines.keys(reviews)
    found_columns = spelling.resolve(present, release.columns, str(reviews))
    frame = json_lines.read(reviews, found_columns.values())
    interactions, unit = interactions_frame(frame, place, found_columns)
    table = None
    if metadata is not None:
        table = items.fitting(_items(metadata, release), interactions, str(metadata))
    name = files.data_name(path if path.is_dir() else reviews)
    return Raw(interactions, table, name, release.format, unit)


def _reviews(path: Path, release: Release) -> list[Path]:
    candidates = files.matching(path, ENDINGS) if path.is_dir() else [path]
    return [file for file in candidates if _is_review(text.peek(file)[:1], release)]


def _is_review(begin: list[str], release: Release) -> bool:
    try:
        review = json.loads("".join(begin))
    except ValueError:
        return False
    return isinstance(review, dict) and {*release.columns.values(), release.telling} <= review.keys()


def _metadata_of(reviews: Path) -> Path | None:
    """Return the metadata of the same category, or the only metadata beside the reviews."""
    beside = files.matching(reviews.parent, [METADATA + ending for ending in ENDINGS])
    category = re.sub(r"^reviews_|_\d+$", "", files.stem(reviews))
    same = [file for file in beside if files.stem(file) == METADATA + category]
    found = same or beside
    return files.only(found, reviews.parent) if found else None


def _items(path: Path, release: Release) -> pl.DataFrame:
    """Return `item_id`, `text`, `title`, `brand`, `categories` (``Beauty > Nails``) of a metadata file."""
    keys = (release.columns["item_id"], "title", release.brand, release.categories)
    rows = [(number, *(entry.get(key) for key in keys)) for number, entry in _entries(path)]
    lines, ids, titles, brands, categories = zip(*rows, strict=True)
    paths = [_path(value) for value in categories]
    frame = pl.DataFrame(
        {
            "item_id": ids,
            "title": [_title(value) for value in titles],
            "brand": [_tidy(value) for value in brands],
            "categories": [" > ".join(path) or None for path in paths],
            "category": [path[-1] if path else None for path in paths],
        },
        schema=dict.fromkeys(("item_id", "title", "brand", "categories", "category"), pl.String),
    )
    described = items.text_of(pl.col("title"), pl.col("brand"), pl.col("category")).alias("text")
    frame = frame.with_columns(described).drop("category")
    place = text.Lines(str(path), numbers=lambda: iter(lines))
    return items_frame(frame, place).unique("item_id", keep="first", maintain_order=True)


def _entries(path: Path) -> Iterator[tuple[int, dict]]:
    text.head(path)
    for number, line in json_lines.filled_lines(path):
        yield number, _entry(path, number, line)


def _entry(path: Path, number: int, line: str) -> dict:
    try:
        entry = json.loads(line)
    except ValueError:
        try:
            with warnings.catch_warnings(action="ignore"):  # of Python on backslashes in the texts
                entry = ast.literal_eval(line.strip())
        except (ValueError, SyntaxError) as error:
            raise UserError(
                f"line {number} of {path} is neither JSON nor a Python dict: '{text.shown(line)}'; correct that line"
            ) from error
    if not isinstance(entry, dict):
        raise UserError(f"line {number} of {path} is no object: '{text.shown(line)}'; write one object a line")
    return entry


def _tidy(value: object) -> str | None:
    """Return the text without markup, entities and needless blanks; None if it is none or nothing is left."""
    if not isinstance(value, str):
        return None
    return " ".join(re.sub(r"<[^>]*>", " ", html.unescape(value)).split()) or None


def _title(value: object) -> str | None:
    # Some titles of 2018 are a page's script by mistake.
    return None if isinstance(value, str) and "getTime" in value else _tidy(value)


def _path(categories: object) -> list[str]:
    """Return the names from the widest category to the narrowest; of several paths (2014) the first."""
    if isinstance(categories, list) and categories and isinstance(categories[0], list):
        categories = categories[0]
    names = categories if isinstance(categories, list) else [categories]
    return [name for name in map(_tidy, names) if name]
