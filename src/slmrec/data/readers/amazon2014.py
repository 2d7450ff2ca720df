"""Amazon reviews of 2014: see `slmrec.data.readers.amazon` for what is accepted."""

from collections.abc import Mapping
from pathlib import Path

from slmrec.data.raw import Raw
from slmrec.data.readers import amazon

RELEASE = amazon.Release(
    format="amazon2014",
    columns={"user_id": "reviewerID", "item_id": "asin", "rating": "overall", "timestamp": "unixReviewTime"},
    telling="helpful",
    brand="brand",
    categories="categories",
)


def recognises(path: Path) -> bool:
    """Tell whether this is a file of such reviews, or a folder with one."""
    return amazon.recognises(path, RELEASE)


def read(path: Path, columns: Mapping[str, str] | None = None) -> Raw:
    """Read the reviews and the metadata beside them. Raises `UserError` as `amazon.read` does."""
    return amazon.read(path, RELEASE, columns)
