"""Amazon reviews of 2023: see `slmrec.data.readers.amazon` for what is accepted."""

from collections.abc import Mapping
from pathlib import Path

from slmrec.data.raw import Raw
from slmrec.data.readers import amazon

RELEASE = amazon.Release(
    format="amazon2023",
    columns={"user_id": "user_id", "item_id": "parent_asin", "rating": "rating", "timestamp": "timestamp"},
    telling="helpful_vote",
    brand="store",
    categories="categories",
)


def recognises(path: Path) -> bool:
    """Tell whether this is a file of such reviews, or a folder with one."""
    return amazon.recognises(path, RELEASE)


def read(path: Path, columns: Mapping[str, str] | None = None) -> Raw:
    """Read the reviews and the metadata beside them. Raises `UserError` as `amazon.read` does."""
    return amazon.read(path, RELEASE, columns)
