"""A data set in words and numbers, for the one who is about to use it."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from slmrec.data.dataset import Dataset


def describe(data: "Dataset") -> str:
    """Return counts, lengths, time range, split sizes, cold targets, and the table of preparation steps."""
    users, items, events = data.num_users, data.num_items, data.num_interactions
    lengths = np.diff(data.offsets)
    counts = data.item_counts()
    lines = [
        f"{data.name} ({data.meta['format']}), fingerprint {data.fingerprint[:12]}",
        f"  {users:,} users, {items:,} items, {events:,} interactions, "
        f"density {events / (users * items):.4%}",
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
    first, last = (_moment(int(micros)) for micros in (data.timestamps.min(), data.timestamps.max()))
    return f"{first} to {last} (source: {data.meta['timestamp_unit']})"


def _moment(micros: int) -> str:
    try:
        return datetime.fromtimestamp(micros // 1_000_000, UTC).isoformat(sep=" ", timespec="minutes")[:16]
    except (ValueError, OverflowError):  # beyond the year 9999
        return f"{micros / 1e6:.0f} s"


def _steps_table(steps: list[dict]) -> list[str]:
    header = ("step", "users", "items", "interactions", "dropped", "")
    rows = [
        (
            step["step"],
            f"{step['users']:,}",
            f"{step['items']:,}",
            f"{step['interactions']:,}",
            f"{step['dropped']['interactions']:,}",
            step["note"],
        )
        for step in steps
    ]
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    return [
        "  ".join(
            cell.ljust(width) if column in (0, 5) else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in [header, *rows]
    ]
