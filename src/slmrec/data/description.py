"""A data set in words and numbers, for the one who is about to use it."""

from typing import TYPE_CHECKING

import numpy as np

from slmrec.data.timestamps import iso

if TYPE_CHECKING:
    from slmrec.data.dataset import Dataset


def describe(data: "Dataset") -> str:
    """Return counts, lengths, time range, split sizes, cold targets, and the table of preparation steps."""
    users, items, events = data.num_users, data.num_items, data.num_interactions
    lengths = np.diff(data.offsets)
    counts = data.item_counts()
    lines = [
        f"{data.name} ({data.meta['format']}), fingerprint {data.fingerprint[:12]}",
        f"  {users:,} users, {items:,} items, {events:,} interactions, density {events / (users * items):.4%}",
        f"  history lengths: {lengths.min():,} to {lengths.max():,}, median {np.median(lengths):,.0f}, "
        f"mean {lengths.mean():.1f}",
        f"  times: {_time_range(data)}",
    ]
    sizes = np.bincount(data.split, minlength=3)
    lines.append(f"  split: {sizes[0]:,} train, {sizes[1]:,} valid, {sizes[2]:,} test")
    for split in ("valid", "test"):
        targets = data.sequence[data.cases(split).positions]
        cold = int((counts[targets] == 0).sum())
        lines.append(f"  {split}: {len(targets):,} cases, {cold:,} with a target never seen in train")
    return "\n".join([*lines, "", *_steps_table(data.meta["steps"])])


def _time_range(data: "Dataset") -> str:
    if data.timestamps is None:
        return "none given, file order"
    first, last = data.timestamps.min(), data.timestamps.max()
    return f"{iso(first)} to {iso(last)} (in the source: {data.meta['timestamp_unit']})"


def _steps_table(steps: list[dict]) -> list[str]:
    sizes = ("users", "items", "interactions")
    rows = [["step", *sizes, "dropped users", *sizes[1:], ""]]
    for step in steps:
        numbers = [step[size] for size in sizes] + [step["dropped"][size] for size in sizes]
        rows.append([step["step"], *(f"{number:,}" for number in numbers), step["note"]])
    name, *numeric, _ = (max(map(len, column)) for column in zip(*rows, strict=True))
    return ["  ".join([row[0].ljust(name), *map(str.rjust, row[1:-1], numeric), row[-1]]).rstrip() for row in rows]


def in_a_sentence(data: "Dataset") -> str:
    """The data set in one sentence, for cards."""
    return f"{data.name}: {data.num_users:,} users, {data.num_items:,} items, {data.num_interactions:,} interactions."
