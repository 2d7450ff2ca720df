"""YooChoose clicks: ``session,ISO time,item,category`` a line, without a header.

Accepted: the file, or a folder with ``yoochoose-clicks.dat``; plain, .gz or .zst. A session is a user; the
category is the page's, not the item's, and is not read. There are no texts.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from slmrec.data.raw import Raw, interactions_frame
from slmrec.data.readers import delimited, files, spelling, text

PATTERNS = ("yoochoose-clicks.dat",)
DIALECT = delimited.Dialect(",")
WIDTH = 4
FIELDS = {"user_id": 0, "timestamp": 1, "item_id": 2}
LINE = re.compile(r"\d+,\d{4}-\d\d-\d\dT[\d:.]+Z,\d+,\w+\r?")


def recognises(path: Path) -> bool:
    """Tell whether this is a folder with ``yoochoose-clicks.dat``, or a file beginning with such a click."""
    if path.is_dir():
        return bool(files.matching(path, PATTERNS))
    begin = text.peek(path)[:1]
    return bool(begin and LINE.fullmatch(begin[0]))


def read(path: Path, columns: Mapping[str, str] | None = None) -> Raw:
    """Read the clicks.

    Raises `UserError` naming the file and line of whatever is wrong, and for a column mapping.
    """
    spelling.refuse_mapping(columns, "yoochoose")
    file = files.the_one(path, PATTERNS)
    frame = delimited.read(file, DIALECT, WIDTH, FIELDS)
    interactions, unit = interactions_frame(frame, delimited.place(file, DIALECT))
    return Raw(interactions, None, files.data_name(path), "yoochoose", unit)
