"""Where a row stands, in the words of whoever looks for it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """Names the rows of a source in messages: ``line 4 of ratings.csv``."""

    source: str
    """The file, or what else the rows came from."""
    unit: str = "row"
    """What the source calls one of its rows."""
    first: int = 1
    """Number of the first row: 2 for the lines of a file with a header."""

    def row(self, index: int) -> str:
        """Name the row with this 0-based index."""
        return f"{self.unit} {index + self.first} of {self.source}"


FRAME = Place("the frame")
ITEMS_TABLE = Place("the items table")
