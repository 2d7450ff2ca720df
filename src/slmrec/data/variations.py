"""A data set with something taken out of its training split, to see what it is worth; valid and test stay."""

from dataclasses import replace

import numpy as np

from slmrec.data.dataset import Dataset
from slmrec.errors import UserError


def shuffled(data: Dataset, seed: int = 0) -> Dataset:
    """Return the data with each user's train events in an order drawn by the seed."""
    generator = np.random.default_rng(seed)
    sequence = data.sequence.copy()
    for start, length in zip(data.offsets[:-1].tolist(), data.train_lengths.tolist(), strict=True):
        generator.shuffle(sequence[start : start + length])
    return replace(data, name=f"{data.name}, shuffled", sequence=sequence, timestamps=None)


def share_of_users(data: Dataset, share: float, seed: int = 0) -> Dataset:
    """Return a share of the users, drawn by the seed, with all their events; the catalogue stays whole.

    A larger share holds the users of every smaller one of the same seed.

    Raises `UserError` if the share is not above 0 and at most 1, or too small for a single user.
    """
    if not 0 < share <= 1:
        raise UserError(f"the share of users is {share}, but must be above 0 and at most 1")
    number = int(share * data.num_users)
    if not number:
        raise UserError(f"a share of {share} of {data.num_users} users is not one user; choose a larger one")
    users = np.sort(np.random.default_rng(seed).permutation(data.num_users)[:number])
    lengths = np.diff(data.offsets)
    events = np.repeat(np.isin(np.arange(data.num_users), users), lengths)
    return replace(
        data,
        name=f"{data.name}, {share:.0%} of users",
        users=data.users[users],
        offsets=np.concatenate([[0], np.cumsum(lengths[users])]),
        sequence=data.sequence[events],
        split=data.split[events],
        timestamps=None if data.timestamps is None else data.timestamps[events],
    )
