"""What every text reader stands on: plain, gzip or Zstandard bytes, checked to be UTF-8 text."""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import pyarrow as pa

from slmrec.data.place import Place
from slmrec.errors import UserError

HEAD = 1 << 20
"""Bytes looked at to recognise a file."""
COMPRESSIONS = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
SUFFIXES = ("", ".gz", ".zst")
FOREIGN = {
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"%PDF": "a PDF document",
    b"PK\x03\x04": "a zip archive (or spreadsheet); unpack it or save it as CSV",
    b"BZh": "a bzip2 file; unpack it first",
    b"7z\xbc\xaf": "a 7-Zip archive; unpack it first",
    b"\xfd7zXZ": "an xz file; unpack it first",
    b"PAR1": "a Parquet file; read it as format parquet",
    b"SQLite format 3": "an SQLite database",
    b"\xff\xfe": "UTF-16 text; save it as UTF-8",
    b"\xfe\xff": "UTF-16 text; save it as UTF-8",
}


@dataclass(frozen=True)
class Lines(Place):
    """Rows of a text file; a row's line is looked up in the file only when a message names it."""

    unit: str = "line"
    numbers: Callable[[], Iterator[int]] = field(kw_only=True)
    """Gives the line number of every row in turn."""

    def row(self, index: int) -> str:
        line = next(islice(self.numbers(), index, None))
        return f"{self.unit} {line} of {self.source}"


def compression(path: Path) -> str | None:
    """Return ``gzip`` or ``zstd`` if the file begins like one (whatever its name), else None."""
    with path.open("rb") as file:
        begin = file.read(4)
    return next((name for magic, name in COMPRESSIONS.items() if begin.startswith(magic)), None)


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn what the operating system or a decompressor says about ``path`` into a `UserError`."""
    try:
        yield
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist") from error
    except PermissionError as error:
        raise UserError(f"{path} may not be read (permission denied)") from error
    except OSError as error:
        if packed := compression(path):
            raise UserError(
                f"{path} is a cut-off or damaged {packed} file ({error}); fetch or make it again"
            ) from error
        raise UserError(f"{path} cannot be read ({error})") from error


def read_bytes(path: Path, size: int | None = None) -> bytes:
    """Return the file's bytes, decompressed; only the first ``size`` where that is given.

    Raises `UserError` if the file is missing, may not be read, or is damaged.
    """
    with readable(path), pa.input_stream(str(path), compression=compression(path)) as stream:
        return stream.read() if size is None else stream.read(size)


@contextmanager
def open_text(path: Path) -> Iterator[io.TextIOWrapper]:
    """Open the file decompressed; what is not UTF-8 in it becomes surrogates (see `is_utf8`)."""
    with readable(path), pa.input_stream(str(path), compression=compression(path)) as stream:
        yield io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="\n")


def is_utf8(line: str) -> bool:
    """Tell whether a line of `open_text` was UTF-8 in the file."""
    try:
        line.encode()
    except UnicodeEncodeError:
        return False
    return True


def head(path: Path) -> list[str]:
    """Return the first lines, without their ends: whole ones, of at most the first `HEAD` bytes.

    Raises `UserError` if the file is missing, empty, damaged, or not UTF-8 text.
    """
    begin = read_bytes(path, HEAD)
    if not begin.strip():
        raise UserError(f"{path} is empty; give a file with data in it")
    for magic, what in FOREIGN.items():
        if begin.startswith(magic):
            raise UserError(f"{path} is not plain text but {what}")
    if b"\0" in begin:
        raise UserError(f"{path} is not text but binary (a zero byte at offset {begin.index(0)}); give UTF-8 text")
    if b"\r" in begin and b"\n" not in begin:
        raise UserError(f"{path} ends its lines with carriage returns alone; save it with line feeds")
    if len(begin) == HEAD:
        begin = begin[: begin.rfind(b"\n") + 1 or HEAD]
    return _decoded(path, begin).removesuffix("\n").split("\n")


def peek(path: Path) -> list[str]:
    """Return what `head` does, or no lines at all where it would raise: for recognising a format."""
    try:
        return head(path)
    except UserError:
        return []


def lines(path: Path) -> list[str]:
    """Return all lines of a text file, without their ends and without blank lines at its end.

    Raises `UserError` as `head` does, naming the first line that is not UTF-8.
    """
    head(path)
    return [line.removesuffix("\r") for line in _decoded(path, read_bytes(path)).rstrip().split("\n")]


def not_utf8(path: Path, line: int) -> UserError:
    """The error for a line that is not UTF-8."""
    return UserError(f"line {line} of {path} is not UTF-8 text; convert the file to UTF-8")


def shown(line: str) -> str:
    """Shorten a line for a message."""
    line = line.strip().encode("utf-8", "replace").decode().replace("\t", "\\t")
    return line if len(line) <= 80 else line[:79] + "…"


def _decoded(path: Path, content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # A head without a line end may stop inside a character.
        if error.end == len(content) == HEAD:
            return content[: error.start].decode("utf-8-sig")
        raise not_utf8(path, content.count(b"\n", 0, error.start) + 1) from error
