"""Which of a file's columns is which of ours.

A column is found, in this order: under the name that a mapping gives, under our own name, under our name in
another spelling (`userId`, `User-ID`), under one of `SPELLINGS`. Upper and lower case, ``_``, ``-`` and
blanks do not matter for the last two. Several columns that fit equally well are an error; a mapping
decides.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

from slmrec.data.raw import checked_mapping
from slmrec.errors import UserError, nearest

SPELLINGS = {
    "user_id": ("user", "uid", "reviewer", "reviewerid", "visitorid", "customerid", "session", "sessionid"),
    "item_id": ("item", "iid", "movieid", "productid", "product", "asin", "parentasin", "articleid", "sku"),
    "timestamp": ("datetime", "time", "ts", "date", "eventtime", "unixreviewtime"),
    "rating": ("weight", "ratings", "overall", "score", "stars"),
    "text": ("title", "name", "itemname", "itemtitle", "productname", "producttitle", "movietitle"),
}
"""Other names under which our columns are recognised, written small and without separators."""


def resolve(
    names: Sequence[str],
    mapping: Mapping[str, str] | None,
    source: str,
    required: Iterable[str] = ("user_id", "item_id"),
    optional: Iterable[str] = ("timestamp", "rating"),
) -> dict[str, str]:
    """Return the source's column for each of our names that it has.

    Args:
        names: the source's columns.
        mapping: the source's column for our name, where the user says so; those must exist.
        source: what to call the source in messages.
        required: our names that must be found.
        optional: our names that may be.

    Raises `UserError` for a column that is missing, doubled, or not to be told from another; and for a
    mapping with a name that is not ours, or one column given twice.
    """
    mapping = checked_mapping(mapping)
    required = [*required, *(ours for ours in mapping if ours not in required)]
    found: dict[str, str] = {}
    for ours in dict.fromkeys([*required, *optional]):
        theirs = mapping[ours] if ours in mapping else _recognised(ours, names, mapping, source)
        if theirs is not None and theirs in names:
            if names.count(theirs) > 1:
                raise UserError(f"{source} has {names.count(theirs)} columns called '{theirs}'; rename all but one")
            found[ours] = theirs
        elif ours in required:
            raise UserError(_missing(ours, theirs, names, source))
    return found


def recognised(names: Sequence[str]) -> bool:
    """Tell whether a user and an item column are among the names."""
    return all(_fitting(ours, names) for ours in ("user_id", "item_id"))


def has_text(names: Sequence[str], mapping: Mapping[str, str] | None) -> bool:
    """Tell whether there is a text or title column among the names."""
    return bool(_fitting("text", names)) or (mapping or {}).get("text") in names


def plain(name: str) -> str:
    """Return the name as `SPELLINGS` has it: small, without blanks, ``_`` and ``-``."""
    return re.sub(r"[\s_-]", "", name.casefold())


def refuse_mapping(mapping: Mapping[str, str] | None, format: str) -> None:
    """Raise `UserError` if there is a mapping, as the columns of this format are fixed."""
    if mapping:
        raise UserError(
            f"the columns of format {format} are fixed, so '{next(iter(mapping.values()))}' cannot be "
            "mapped; drop the column mapping, or name the format csv, parquet, jsonl or recbole"
        )


def _recognised(ours: str, names: Sequence[str], mapping: Mapping[str, str], source: str) -> str | None:
    fitting = _fitting(ours, [name for name in names if name not in mapping.values()])
    if len(fitting) > 1:
        listed = " and ".join(f"'{name}'" for name in fitting)
        raise UserError(f"{source} has {listed}, and either could be {ours}; say which with a column mapping")
    return fitting[0] if fitting else None


def _fitting(ours: str, names: Sequence[str]) -> list[str]:
    for accepted in ({ours}, {plain(ours)}, set(SPELLINGS[ours])):
        fitting = [name for name in dict.fromkeys(names) if name in accepted or plain(name) in accepted]
        if fitting:
            return fitting
    return []


def _missing(ours: str, theirs: str | None, names: Sequence[str], source: str) -> str:
    listed = ", ".join(f"'{name}'" for name in names)
    if all(re.fullmatch(r"[\d.:TZ+-]*\d[\d.:TZ+-]*", name) for name in names):
        return f"{source} begins with {listed}, which is data and no header; name the columns in a first line"
    close = nearest(theirs or ours, names).partition("; known")[0]
    wanted = f"no column '{theirs}', which should be {ours}" if theirs else f"no column for {ours}"
    return f"{source} has {wanted}; its columns are {listed}{close}; say with a column mapping which one is {ours}"
