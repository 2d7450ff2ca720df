"""Ready sessions with a given split: ``train.txt`` and ``test.txt``, the item ids of one session a line.

Accepted: a folder with both (plain, .gz or .zst) and optionally an items table. A session is a user called
``train-1``, ``test-1`` after its line. Validation is the last tenth of the train sessions, in file order.
Ids are strings; there are no times.
"""

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from slmrec.data.raw import Raw
from slmrec.data.readers import beside, files, id_lists, items, spelling, text
from slmrec.errors import UserError

TRAIN, TEST = "train.txt", "test.txt"
VALID_FRACTION = 0.1
"""Share of the train sessions, at their end, that becomes the validation split."""


def recognises(path: Path) -> bool:
    """Tell whether this is a folder with both files, whose lines do not begin with a user's number."""
    found = [files.matching(path, [name]) for name in (TRAIN, TEST)] if path.is_dir() else []
    return bool(found) and all(found) and not all(id_lists.numbered(text.peek(file[0])) for file in found)


def read(path: Path, columns: Mapping[str, str] | None = None) -> Raw:
    """Read the sessions of both files.

    Raises `UserError` naming a line that is blank or has other separators than blanks, if a file is
    missing, if there are too few sessions to set some aside, and for a column mapping.
    """
    spelling.refuse_mapping(columns, "sessions")
    if not path.is_dir():
        raise UserError(f"{path} is one file, but sessions are a folder with {TRAIN} and {TEST}; give the folder")
    train, test = (_lists(files.the_one(path, [name])) for name in (TRAIN, TEST))
    valid = round(len(train) * VALID_FRACTION)
    if not valid:
        raise UserError(f"{path} has {len(train)} train sessions, of which no tenth can be set aside; give 5 or more")
    frame = pl.concat([_sessions(train, "train"), _sessions(test, "test")])
    split = pl.Series("split", [0] * (len(train) - valid) + [1] * valid + [2] * len(test), dtype=pl.UInt8)
    frame = frame.with_columns(split).explode("item_id")
    table = beside.items_table(path)
    return Raw(frame, items.of_table(table, frame), files.data_name(path), "sessions")


def _lists(path: Path) -> pl.Series:
    lists = id_lists.read(path, least=1)
    id_lists.check_ids(lists, path, "[^,;|]+", "separate the ids by blanks")
    return lists


def _sessions(lists: pl.Series, name: str) -> pl.DataFrame:
    numbers = pl.int_range(1, len(lists) + 1, eager=True)
    return pl.DataFrame({"user_id": f"{name}-" + numbers.cast(pl.String), "item_id": lists})
