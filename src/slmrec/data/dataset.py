"""The prepared data: users' histories as flat arrays, and their folder on disk."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import polars as pl
import pyarrow as pa

from slmrec.data.catalogue import Catalogue
from slmrec.data.description import describe
from slmrec.data.parquet import read_parquet, write_parquet
from slmrec.data.place import FRAME, ITEMS_TABLE, Place
from slmrec.data.preparation import Preparation
from slmrec.data.raw import Raw, interactions_frame, items_frame
from slmrec.data.split import SPLITS
from slmrec.errors import UserError
from slmrec.files import read_json, whole_folder, write_json

if TYPE_CHECKING:
    import pandas as pd

    Frame: TypeAlias = pl.DataFrame | pl.LazyFrame | pa.Table | pd.DataFrame

FORMAT = {"format": "slmrec-dataset", "version": 1}
TABLES = ("interactions.parquet", "users.parquet", "items.parquet")
FILES = ("dataset.json", *TABLES)


@dataclass(frozen=True)
class Cases:
    """Events to predict: the target is ``sequence[position]``, its history all earlier events of the user."""

    users: np.ndarray
    """(C,) int32 user indices."""
    positions: np.ndarray
    """(C,) int64 positions in `Dataset.sequence`, ascending."""

    def __len__(self) -> int:
        return len(self.users)


@dataclass(frozen=True, eq=False)
class Dataset:
    """Users' interactions, oldest first, each of one split; U users, E interactions, N items."""

    name: str
    """What the data is called."""
    users: pl.DataFrame
    """`user_id` (String or Int64); the user with index u (0-based) is row u."""
    catalogue: Catalogue
    """All items, the cold ones included: those only in valid or test, and those never interacted with."""
    offsets: np.ndarray
    """(U + 1,) int64; user u's events are ``sequence[offsets[u]:offsets[u + 1]]``."""
    sequence: np.ndarray
    """(E,) int32 item indices, users one after the other, each user's events oldest first."""
    split: np.ndarray
    """(E,) uint8: 0 train, 1 valid, 2 test; within a user never decreasing."""
    timestamps: np.ndarray | None
    """(E,) int64 microseconds since the epoch; None where the source has no times."""
    meta: dict[str, Any]
    """`source`, `format`, `timestamp_unit`, `preparation` (its fields), `steps` (what each left and dropped),
    `counts`."""

    @property
    def num_users(self) -> int:
        return len(self.users)

    @property
    def num_items(self) -> int:
        return len(self.catalogue)

    @property
    def num_interactions(self) -> int:
        return len(self.sequence)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of ids, histories and splits; the same on every machine."""
        digest = hashlib.sha256()
        for ids in (self.users["user_id"], self.catalogue.frame["item_id"]):
            digest.update(f"{ids.dtype} {len(ids)};".encode())
            if ids.dtype == pl.String:
                digest.update(ids.str.len_bytes().to_numpy().astype("<i8").tobytes())
                digest.update(ids.str.join("").item().encode())
            else:
                digest.update(ids.to_numpy().astype("<i8").tobytes())
        for array, dtype in ((self.offsets, "<i8"), (self.sequence, "<i4"), (self.split, "u1")):
            digest.update(array.astype(dtype, copy=False).data)
        return digest.hexdigest()

    @classmethod
    def from_frame(
        cls,
        df: "Frame",
        *,
        columns: Mapping[str, str] | None = None,
        items: "Frame | None" = None,
        preparation: Preparation | None = None,
        name: str = "frame",
    ) -> "Dataset":
        """Prepare a Polars (eager or lazy), pandas or Arrow frame of interactions, in the order of its rows.

        Args:
            df: `user_id`, `item_id`, optionally `timestamp` (or `datetime`) and `rating` (or `weight`). Ids
                are strings or integers and stay what they are.
            columns: the frames' column for our name, where it differs.
            items: `item_id` and `text` (or `title`), and any attributes to keep.
            preparation: what to keep and how to split; unset: `Preparation()`.
            name: what the data is called.

        Raises `UserError` for a missing or doubled column, null ids, times that are none, and whatever
        `prepare` refuses.
        """
        from slmrec.data.prepare import prepare  # it builds Datasets

        interactions, unit = interactions_frame(_polars(df, FRAME), FRAME, columns)
        table = None if items is None else items_frame(_polars(items, ITEMS_TABLE), ITEMS_TABLE, columns)
        return prepare(Raw(interactions, table, name, "frame", unit), preparation)

    @classmethod
    def load(cls, folder: Path | str) -> "Dataset":
        """Read a folder that `save` wrote.

        Raises `UserError` if it is missing, foreign, of another version, or damaged (its content does not
        give the fingerprint it was saved with).
        """
        folder = Path(folder)
        described = _read_description(folder)
        frames = {name: read_parquet(folder / name) for name in TABLES}
        events, users = frames["interactions.parquet"], frames["users.parquet"]
        lengths = np.bincount(events["user"].to_numpy(), minlength=len(users))
        data = cls(
            name=described["name"],
            users=users,
            catalogue=Catalogue(frames["items.parquet"]),
            offsets=np.concatenate([[0], np.cumsum(lengths)]),
            sequence=events["item"].to_numpy(writable=True),  # torch warns of arrays it may not write to
            split=events["split"].to_numpy(writable=True),
            timestamps=events["timestamp"].to_numpy(writable=True) if "timestamp" in events.columns else None,
            meta=described["meta"],
        )
        if data.fingerprint != described["fingerprint"]:
            raise UserError(f"the data in {folder} is not what its dataset.json says; prepare it again")
        return data

    def save(self, folder: Path | str) -> None:
        """Write dataset.json, interactions.parquet, users.parquet and items.parquet: all of them or nothing.

        An older data folder is replaced. Raises `UserError` if ``folder`` holds anything else or cannot be
        written.
        """
        folder = Path(folder)
        strangers = set(folder.iterdir()) - {folder / name for name in FILES} if folder.is_dir() else set()
        if strangers:
            raise UserError(f"{folder} holds '{min(strangers).name}', which is not ours; name a new or empty folder")
        users = np.repeat(np.arange(self.num_users, dtype=np.int32), np.diff(self.offsets))
        events = {"user": users, "item": self.sequence, "split": self.split}
        if self.timestamps is not None:
            events["timestamp"] = self.timestamps
        try:
            with whole_folder(folder, FILES[0]) as scratch:
                write_parquet(pl.DataFrame(events), scratch / "interactions.parquet")
                write_parquet(self.users, scratch / "users.parquet")
                self.catalogue.save(scratch / "items.parquet")
                described = {
                    **FORMAT,
                    "name": self.name,
                    "fingerprint": self.fingerprint,
                    "meta": self.meta,
                    "files": {name: _sha256(scratch / name) for name in TABLES},
                }
                write_json(scratch / "dataset.json", described)
        except OSError as error:
            raise UserError(f"cannot write {folder} ({error}); make room or choose another place") from error

    @cached_property
    def train_lengths(self) -> np.ndarray:
        """(U,) int64: train events of each user, the first ones of the user's history."""
        train = np.concatenate([[0], np.cumsum(self.split == SPLITS["train"], dtype=np.int64)])
        return train[self.offsets[1:]] - train[self.offsets[:-1]]

    def train_sequences(self) -> list[np.ndarray]:
        """Return the train events of every user that has any: (length,) int32 item indices, oldest first."""
        starts = self.offsets[:-1].tolist()
        return [
            self.sequence[start : start + length]
            for start, length in zip(starts, self.train_lengths.tolist(), strict=True)
            if length
        ]

    def cases(self, split: Literal["valid", "test"]) -> Cases:
        """Return every event of the split that has at least one earlier event of its user."""
        users = np.repeat(np.arange(self.num_users, dtype=np.int32), np.diff(self.offsets))
        wanted = self.split == SPLITS[split]
        wanted[self.offsets[:-1]] = False
        positions = np.flatnonzero(wanted)
        return Cases(users[positions], positions)

    def history(self, user: int, position: int) -> np.ndarray:
        """Return the user's item indices before an absolute position of `sequence`, oldest first."""
        return self.sequence[self.offsets[user] : position]

    def full_history(self, user: int) -> np.ndarray:
        """Return all of the user's item indices, oldest first: what a recommendation starts from."""
        return self.sequence[self.offsets[user] : self.offsets[user + 1]]

    def user_index(self, user_id: object) -> int:
        """Return the index of an external user id. Raises `UserError` if it is unknown."""
        index = self._user_index.get(str(user_id))
        if index is None:
            raise UserError(
                f"user '{user_id}' is not among the {self.num_users} users of {self.name}; give a known "
                "user, or the user's history instead"
            )
        return index

    @cached_property
    def _user_index(self) -> dict[str, int]:
        spelled = self.users["user_id"].cast(pl.String).to_list()
        return {user_id: index for index, user_id in enumerate(spelled)}

    def item_counts(self) -> np.ndarray:
        """Return (N + 1,) int64: how often each item index occurs in train; 0 for `PADDING`."""
        return np.bincount(self.sequence[self.split == SPLITS["train"]], minlength=self.num_items + 1)

    def describe(self) -> str:
        """Say in a few lines what the data is and what each step of its preparation left."""
        return describe(self)


def _polars(df: "Frame", place: Place) -> pl.DataFrame:
    try:
        return df.collect() if isinstance(df, pl.LazyFrame) else pl.DataFrame(df)
    except (TypeError, ValueError, pa.ArrowException, pl.exceptions.PolarsError) as error:
        raise UserError(f"{place.source} cannot be read: {error}") from error


def _read_description(folder: Path) -> dict[str, Any]:
    """Return dataset.json once the folder is known to be ours and its files to be what was saved."""
    if not folder.is_dir():
        raise UserError(f"there is no data folder at {folder}; make one with `slmrec data prepare`")
    described = read_json(folder / "dataset.json", "data folder")
    if not isinstance(described, dict) or described.get("format") != FORMAT["format"]:
        raise UserError(f"{folder} is not a data folder of ours; make one with `slmrec data prepare`")
    if described.get("version") != FORMAT["version"]:
        raise UserError(
            f"{folder} is of version {described.get('version')}, this slmrec reads {FORMAT['version']}; "
            "prepare the data again"
        )
    missing = {"name", "fingerprint", "meta", "files"} - described.keys()
    if missing:
        raise UserError(f"{folder / 'dataset.json'} lacks '{min(missing)}'; prepare the data again")
    for name in TABLES:
        if not (folder / name).is_file():
            raise UserError(f"the data folder {folder} lacks {name}; prepare the data again")
        if _sha256(folder / name) != described["files"].get(name):
            raise UserError(f"{folder / name} is damaged: it is not what was saved; prepare the data again")
    return described


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
