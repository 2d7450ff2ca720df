"""Finding a source's file in a folder, and naming the data after it."""

from collections.abc import Iterable
from pathlib import Path

from slmrec.data.readers.text import SUFFIXES
from slmrec.errors import UserError

GENERIC = {"interactions", "ratings", "reviews", "sequences", "u", "train"}
"""File names that say nothing about the data; it is called like its folder then."""


def matching(source: Path, patterns: Iterable[str]) -> list[Path]:
    """Return a folder's files of these names (patterns such as ``*.inter``), plain or compressed, sorted."""
    wanted = [pattern + suffix for pattern in patterns for suffix in SUFFIXES]
    return sorted({path for pattern in wanted for path in source.glob(pattern) if path.is_file()})


def the_one(source: Path, patterns: Iterable[str]) -> Path:
    """Return ``source`` if it is a file, else the only file of these names in the folder.

    Raises `UserError` if there is none, or more than one.
    """
    if not source.is_dir():
        return source
    patterns = list(patterns)
    found = matching(source, patterns)
    if not found:
        raise UserError(f"the folder {source} holds no {' or '.join(patterns)} (plain, .gz or .zst)")
    return only(found, source)


def only(found: list[Path], folder: Path) -> Path:
    """Return the single element. Raises `UserError` naming them if there are several."""
    if len(found) > 1:
        listed = ", ".join(path.name for path in found)
        raise UserError(f"the folder {folder} holds several files that could be meant ({listed}); name one of them")
    return found[0]


def uncompressed(path: Path) -> Path:
    """Return the path without the suffix of a compression."""
    return path.with_suffix("") if path.suffix in SUFFIXES[1:] else path


def stem(path: Path) -> str:
    """Return a file's name without the suffixes of its format and compression."""
    return uncompressed(path).stem


def data_name(source: Path) -> str:
    """Return what to call the data: its folder's name, or its file's where that says something."""
    source = source.resolve()
    return source.name if source.is_dir() else source.parent.name if stem(source) in GENERIC else stem(source)
