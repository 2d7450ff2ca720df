"""What commands print: aligned tables for people."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from slmrec.cli.progress import duration
from slmrec.files import read_json


def aligned(rows: Sequence[Sequence[str]], left: Sequence[int]) -> str:
    """Rows, the header first, as lines of columns; those in ``left`` are flush left, the others right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if place in left else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def evaluations(found: Sequence[Mapping[str, Any]]) -> str:
    """Evaluations in their JSON form, all of one data set and protocol, a model a row."""
    first = found[0]
    metrics = list(first["metrics"])
    head = (
        f"{first['data']}, {first['split']} split, {first['protocol']} ranking, seen items {first['seen']}: "
        f"{first['users']:,} users, {first['cases']:,} cases, {first['cold_targets']:,} of them cold"
    )
    rows = [["model", "kind", *metrics, "parameters", "seconds"]]
    for one in found:
        numbers = [f"{one['metrics'][name]:.4f}" for name in metrics]
        rows.append([one["model"], one["kind"], *numbers, f"{one['parameters']['total']:,}", f"{one['seconds']:.1f}"])
    return f"{head}\n{aligned(rows, left=(0, 1))}"


def recommendations(found: Sequence[Mapping[str, Any]]) -> str:
    """Recommendations in their JSON form."""
    rows = [["rank", "score", "item_id", "text"]]
    rows += [[str(one["rank"]), f"{one['score']:.4f}", str(one["item_id"]), one["text"]] for one in found]
    return aligned(rows, left=(2, 3))


def bundle(folder: Path, manifest: Mapping[str, Any]) -> str:
    """What an export wrote and measured."""
    size = sum(file["bytes"] for file in manifest["files"].values()) / 1e6
    parity, latency = manifest["parity"], manifest["latency"]
    lines = [
        f"{folder}: {manifest['kind']}, {manifest['num_items']:,} items, {manifest['precision']}, {size:.1f} MB",
        f"parity on {parity['on']}: {parity['same_except_ties']:,} of {parity['histories']:,} lists of ten as torch's "
        f"but for ties, {parity['overlap@10']:.2%} of their items shared",
    ]
    if "change_of_NDCG@10" in parity:
        lines.append(
            f"NDCG@10: {parity['bundle_NDCG@10']:.4f}, torch's {parity['torch_NDCG@10']:.4f} "
            f"({parity['change_of_NDCG@10']:+.4f})"
        )
    lines.append(
        f"latency of {latency['events']} events: median {latency['median_ms']:.2f} ms, 95th percentile "
        f"{latency['p95_ms']:.2f} ms, one thread"
    )
    return "\n".join(lines)


def web(folder: Path, written: Mapping[str, Any]) -> str:
    """What an export for the browser wrote, and how to open it."""
    names = ", ".join(f"{model['name']} ({model['precision']})" for model in written["models"])
    return (
        f"{folder}: {names}, {written['bytes'] / 1e6:.1f} MB\n"
        f"python -m http.server --bind 127.0.0.1 --directory {folder}   # then open http://127.0.0.1:8000"
    )


def training(folder: Path) -> str:
    """How the training of a model folder went, in one line."""
    told = read_json(folder / "training.json", "trained model folder")
    best = max((row["valid_NDCG@10"] for row in told["log"] if "valid_NDCG@10" in row), default=None)
    line = f"{folder}: {told['steps']:,} steps in {duration(told['seconds'])}"
    if best is None:
        return line
    return f"{line}, best after epoch {told['best_epoch']:g} with valid NDCG@10 {best:.4f}"
