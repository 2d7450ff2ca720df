"""Which interactions are trained on, which validate, which test. Users' events stand oldest first."""

import numpy as np
import polars as pl

from slmrec.data.timestamps import iso
from slmrec.errors import UserError

SPLITS = {"train": 0, "valid": 1, "test": 2}
"""How the splits are spelled in arrays and files."""


def leave_one_out(offsets: np.ndarray) -> np.ndarray:
    """Return (E,) uint8: each user's last event is test, the one before valid; fewer than 3 events are train.

    ``offsets``: (U + 1,) where the users' events begin and end.
    """
    split = np.zeros(offsets[-1], dtype=np.uint8)
    ends = offsets[1:][np.diff(offsets) >= len(SPLITS)]
    split[ends - 2] = SPLITS["valid"]
    split[ends - 1] = SPLITS["test"]
    return split


def by_time(timestamps: np.ndarray, valid_from: int, test_from: int) -> np.ndarray:
    """Return (E,) uint8: train before ``valid_from``, valid before ``test_from``, then test (microseconds).

    Raises `UserError` if one of the three would be empty.
    """
    split = np.searchsorted([valid_from, test_from], timestamps, side="right").astype(np.uint8)
    for (name, _), size in zip(SPLITS.items(), np.bincount(split, minlength=len(SPLITS)), strict=True):
        if size == 0:
            raise UserError(
                f"no interaction is {name} with valid_from {iso(valid_from)} and test_from {iso(test_from)}: "
                f"they run from {iso(timestamps.min())} to {iso(timestamps.max())}; choose moments between"
            )
    return split


def as_given(split: np.ndarray, offsets: np.ndarray, user_ids: pl.Series) -> np.ndarray:
    """Return the source's own split (E,) uint8 after a look whether it goes forward in every user's history.

    Raises `UserError` naming the first user with, say, a train event after a test event.
    """
    backwards = np.diff(split.astype(np.int8)) < 0
    backwards[offsets[1:-1] - 1] = False  # the step from one user to the next
    if backwards.any():
        position = int(backwards.argmax())
        earlier, later = (list(SPLITS)[value] for value in split[position : position + 2])
        user = int(np.searchsorted(offsets, position, side="right")) - 1
        raise UserError(
            f"the source's split puts a {later} interaction of user '{user_ids[user]}' after a {earlier} "
            "one, so a history would hold what came later; split by leave-one-out or time instead"
        )
    return split
