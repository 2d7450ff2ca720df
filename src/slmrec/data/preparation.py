"""The recipe of a preparation: one frozen dataclass, the only home of these defaults."""

from dataclasses import dataclass, fields
from typing import Literal, get_args

from slmrec.data.timestamps import moment
from slmrec.errors import UserError, nearest

Repeats = Literal["keep", "drop-consecutive", "keep-first"]
SplitRule = Literal["auto", "leave-one-out", "time", "given"]


@dataclass(frozen=True)
class Preparation:
    """What is kept of a source and how it is divided, in the order in which it is done."""

    min_rating: float | None = None
    """Interactions rated below this, or not rated, are dropped; unset: ratings are not looked at."""
    repeats: Repeats = "keep"
    """A user's repeated interactions with an item: keep all, drop those that directly follow one with the
    same item, or keep only the first."""
    item_core: int = 0
    """Fewest interactions of an item, reached together with `user_core` by dropping until nothing changes.
    0: no limit, and items of the items table without any interaction stay in the catalogue; otherwise such
    items have too few as well and leave it."""
    user_core: int = 0
    """Fewest interactions of a user, see `item_core`. 0: no limit."""
    min_length: int = 1
    """Users with a shorter history are dropped at the end, once, whatever that does to `item_core`."""
    split: SplitRule = "auto"
    """leave-one-out: a user's last interaction is test and the one before it valid, but all are train where
    there are fewer than 3. time: by `valid_from` and `test_from`. given: as the source says. auto: time if
    these moments are set, else given if the source has a split, else leave-one-out."""
    valid_from: str | None = None
    """First moment of the valid split, ISO 8601, UTC unless it names a zone (split by time only)."""
    test_from: str | None = None
    """First moment of the test split, like `valid_from`."""

    def __post_init__(self) -> None:
        for name, choices in (("repeats", get_args(Repeats)), ("split", get_args(SplitRule))):
            if getattr(self, name) not in choices:
                raise UserError(f"{name} is '{getattr(self, name)}'{nearest(str(getattr(self, name)), choices)}")
        if not isinstance(self.min_rating, int | float | None):
            raise UserError(f"min_rating is {self.min_rating!r}, but must be a number")
        for name, least in (("item_core", 0), ("user_core", 0), ("min_length", 1)):
            value = getattr(self, name)
            if not isinstance(value, int) or value < least:
                raise UserError(f"{name} is {value!r}, but must be a whole number of at least {least}")
        moments = {name: getattr(self, name) for name in ("valid_from", "test_from")}
        given = [name for name, value in moments.items() if value is not None]
        if self.split in ("leave-one-out", "given") and given:
            raise UserError(f"{given[0]} is set, but the split is {self.split}; drop it or split by time")
        if (self.split == "time" or given) and len(given) < 2:
            missing = next(name for name in moments if name not in given)
            raise UserError(f"a split by time needs valid_from and test_from, but {missing} is not set")
        if given and self.moments[0] >= self.moments[1]:
            raise UserError(f"valid_from {self.valid_from} is not before test_from {self.test_from}; swap them")

    @property
    def moments(self) -> tuple[int, int]:
        """`valid_from` and `test_from` as microseconds since the epoch."""
        assert self.valid_from is not None
        assert self.test_from is not None
        return moment(self.valid_from, "valid_from"), moment(self.test_from, "test_from")

    def to_dict(self) -> dict[str, object]:
        """Return the fields by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}
