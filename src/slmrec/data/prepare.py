"""From a raw source to a data set: filters, order, split and numbers for users and items.

The order of the steps: rating threshold; each user's interactions by time, at equal times in file order;
repeats and k-core, in turn until neither drops anything; least length; split; catalogue.

Users and items are numbered in the order in which the source first names them, skipping those that were
dropped; items without any interaction follow in the order of the items table. Nothing depends on threads,
platform or the spelling of ids.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from slmrec.data.catalogue import Catalogue
from slmrec.data.dataset import Dataset
from slmrec.data.preparation import Preparation, SplitRule
from slmrec.data.raw import Raw
from slmrec.data.readers import read_source
from slmrec.data.sources import KNOWN, fetch
from slmrec.data.split import SPLITS, as_given, by_time, leave_one_out
from slmrec.errors import UserError


def prepare(raw: Raw, preparation: Preparation | None = None) -> Dataset:
    """Filter, order, split and number a source; unset ``preparation``: `Preparation()`.

    Raises `UserError` if the source lacks what the preparation needs, if nothing is left (with what each step
    left), if a split by time is empty, or if a given split contradicts the order of time.
    """
    preparation = _settled(preparation or Preparation(), raw)
    user_codes, user_ids = _encode(raw.interactions["user_id"])
    item_codes, item_ids = _encode(raw.interactions["item_id"])
    events = raw.interactions.drop("user_id", "item_id").with_columns(user=user_codes, item=item_codes)

    steps = Steps(raw.name)
    steps.record("read", events)
    events = _filter(events, preparation, steps)

    users, kept_users = _renumber(events["user"].to_numpy())
    sequence, kept_items = _renumber(events["item"].to_numpy())
    user_ids = user_ids.gather(kept_users)
    offsets = np.concatenate([[0], np.cumsum(np.bincount(users), dtype=np.int64)])
    timestamps = events["timestamp"].to_numpy() if "timestamp" in events.columns else None
    match preparation.split:
        case "time":
            split = by_time(events["timestamp"].to_numpy(), *preparation.moments)
        case "given":
            split = as_given(events["split"].to_numpy(), offsets, user_ids)
        case _:
            split = leave_one_out(offsets)
    sizes = dict(zip(SPLITS, np.bincount(split, minlength=len(SPLITS)).tolist(), strict=True))
    short = int((np.diff(offsets) < len(SPLITS)).sum())
    note = ", ".join(f"{size:,} {name}" for name, size in sizes.items())
    if preparation.split == "leave-one-out" and short:
        note += f"; users with fewer than {len(SPLITS)} interactions, all train: {short:,}"
    steps.record(f"split: {preparation.split}", events, note)

    frame, item_counts = _item_table(item_ids.gather(kept_items), raw.items, keep_cold=preparation.item_core == 0)
    note = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in item_counts.items() if count)
    steps.add("catalogue", len(user_ids), len(frame), len(events), note)
    meta = {
        "source": raw.name,
        "format": raw.format,
        "timestamp_unit": raw.timestamp_unit,
        "preparation": preparation.to_dict(),
        "steps": steps.table,
        "counts": {"users": len(user_ids), "items": len(frame), "interactions": len(events)}
        | sizes
        | {"users_under_3_interactions": short}
        | item_counts,
    }
    return Dataset(
        name=raw.name,
        users=pl.DataFrame({"user_id": user_ids}),
        catalogue=Catalogue(frame),
        offsets=offsets,
        sequence=(sequence + 1).astype(np.int32),
        split=split,
        timestamps=timestamps,
        meta=meta,
    )


def prepare_source(
    source: str,
    format: str | None = None,
    columns: Mapping[str, str] | None = None,
    preparation: Preparation | None = None,
    report: Callable[[str], None] | None = None,
) -> Dataset:
    """Fetch a source if it is a known name (one of `KNOWN`), else take it for a path; read and prepare it.

    ``format`` and ``columns`` are those of `read_source`, ``report`` that of `fetch`. Raises `UserError` for
    whatever fetching, reading or preparing refuses.
    """
    path = fetch(source, report) if source in KNOWN else Path(source)
    return prepare(read_source(path, format, columns), preparation)


class Steps:
    """What each step of a preparation left and dropped."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.table: list[dict[str, Any]] = []

    def record(self, step: str, events: pl.DataFrame, note: str = "") -> None:
        """Note what the step left in ``events`` (`user`, `item`), unless it only confirms an earlier round.

        Raises `UserError` if nothing is left.
        """
        repeated = any(row["step"] == step for row in self.table)
        if repeated and len(events) == self.table[-1]["interactions"]:
            return
        self.add(step, events["user"].n_unique(), events["item"].n_unique(), len(events), note)
        if events.is_empty():
            history = "; ".join(
                f"{row['step']}: {row['interactions']:,} of {row['users']:,} users and {row['items']:,} items"
                for row in self.table
            )
            raise UserError(f"no interactions are left of {self.name} ({history}); loosen the filters")

    def add(self, step: str, users: int, items: int, interactions: int, note: str) -> None:
        """Note what is left; what was dropped is told from the step before."""
        left = {"users": users, "items": items, "interactions": interactions}
        before = self.table[-1] if self.table else left
        dropped = {name: max(0, before[name] - count) for name, count in left.items()}
        self.table.append({"step": step, **left, "dropped": dropped, "note": note})


def _settled(preparation: Preparation, raw: Raw) -> Preparation:
    """Choose the split of "auto", and refuse what the source has no column for."""
    split = preparation.split
    if split == "auto":
        given: SplitRule = "given" if "split" in raw.interactions.columns else "leave-one-out"
        split = "time" if preparation.valid_from is not None else given
    for needed, column, what in (
        (preparation.min_rating is not None, "rating", "min_rating"),
        (split == "time", "timestamp", "a split by time"),
        (split == "given", "split", "the given split"),
    ):
        if needed and column not in raw.interactions.columns:
            raise UserError(
                f"{what} needs a {column} of each interaction, but {raw.name} has none; map the column that "
                "holds it, or prepare without"
            )
    return replace(preparation, split=split)


def _encode(ids: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Return a number from 0 for each id, and the ids by number: the order in which they first appear."""
    known = ids.unique(maintain_order=True)
    numbered = known.to_frame("id").with_row_index("code")
    codes = ids.to_frame("id").join(numbered, on="id", how="left", maintain_order="left")["code"]
    return codes, known


def _filter(events: pl.DataFrame, preparation: Preparation, steps: Steps) -> pl.DataFrame:
    """Return the events that are kept, sorted by user and, within a user, oldest first."""
    if preparation.min_rating is not None:
        events = events.filter(pl.col("rating") >= preparation.min_rating)
        steps.record(f"rating >= {preparation.min_rating:g}", events)
    by = [name for name in ("user", "timestamp") if name in events.columns]
    # maintain_order: the file's order decides at equal times. Ordering ties by item id would leak the target.
    events = events.select(pl.exclude("rating")).sort(by, maintain_order=True)

    settled = False
    while not settled:  # dropping an item can bring two interactions with another together: a new repeat
        if preparation.repeats != "keep":
            events = _drop_repeats(events, preparation.repeats)
            steps.record(f"repeats: {preparation.repeats}", events)
        before = len(events)
        if preparation.item_core or preparation.user_core:
            events = events.filter(_core(events, preparation.item_core, preparation.user_core))
            steps.record(f"core: items {preparation.item_core}, users {preparation.user_core}", events)
        settled = preparation.repeats != "drop-consecutive" or len(events) == before

    if preparation.min_length > 1:
        events = events.filter(pl.len().over("user") >= preparation.min_length)
        steps.record(f"length >= {preparation.min_length}", events)
    return events


def _drop_repeats(events: pl.DataFrame, repeats: str) -> pl.DataFrame:
    if repeats == "keep-first":
        return events.unique(["user", "item"], keep="first", maintain_order=True)
    same = (pl.col("user") == pl.col("user").shift()) & (pl.col("item") == pl.col("item").shift())
    return events.filter(~same.fill_null(False))


def _core(events: pl.DataFrame, item_core: int, user_core: int) -> pl.Series:
    """Return which events stay when items and users with too few are dropped until none has."""
    users, items = events["user"].to_numpy(), events["item"].to_numpy()
    rows = np.arange(len(events))
    while True:
        enough = (np.bincount(items)[items] >= item_core) & (np.bincount(users)[users] >= user_core)
        if enough.all():
            break
        users, items, rows = users[enough], items[enough], rows[enough]
    kept = np.zeros(len(events), dtype=bool)
    kept[rows] = True
    return pl.Series(kept)


def _renumber(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the codes without gaps, in the same order, and which codes those were."""
    present = np.bincount(codes) > 0
    return (np.cumsum(present) - 1)[codes], np.flatnonzero(present)


def _item_table(ids: pl.Series, items: pl.DataFrame | None, keep_cold: bool) -> tuple[pl.DataFrame, dict[str, int]]:
    """Return the catalogue's frame: the data's items, then those never interacted with; and counts."""
    known = pl.DataFrame({"item_id": ids})
    if items is None:
        items = known.clear().with_columns(text=pl.lit(None, pl.String))
    items = items.with_columns(_same_dtype(items["item_id"], ids))
    table = items.unique("item_id", keep="first", maintain_order=True)
    cold = table.join(known, on="item_id", how="anti", maintain_order="left")
    if len(table) and len(cold) == len(table):
        raise UserError(
            f"none of the {len(table):,} ids of the items table occurs in the interactions: it has "
            f"'{table['item_id'][0]}', they have '{ids[0]}'; give the table of these items"
        )
    frame = known.join(table, on="item_id", how="left", maintain_order="left")
    if keep_cold:
        frame = pl.concat([frame, cold])
    return frame, {
        "items_without_interactions_kept": len(cold) if keep_cold else 0,
        "items_without_interactions_left_out": 0 if keep_cold else len(cold),
        "items_without_text": frame["text"].null_count(),
        "doubled_rows_of_the_items_table": len(items) - len(table),
    }


def _same_dtype(table_ids: pl.Series, ids: pl.Series) -> pl.Series:
    """Return the items table's ids in the dtype that the interactions have."""
    same = table_ids.cast(ids.dtype, strict=False)
    if same.null_count():
        bad = table_ids.filter(same.is_null())[0]
        raise UserError(
            f"the items table has the id '{bad}', but the interactions' item ids are whole numbers; give the "
            "table of these items"
        )
    return same
