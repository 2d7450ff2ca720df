"""Prepare 10 million interactions within 60 s and 4 GiB on 2 cores.

    python benchmarks/prepare.py [--interactions N] [--out FILE]

Generates a Parquet file (popularity and activity skewed, times in whole days so that many are equal, string
ids, ratings) and an items table beside it, then prepares them in a fresh process: read, rating threshold,
order, repeats, 5-core, leave-one-out, numbering, catalogue, data folder. The files come from the page cache,
as they have just been written. Writes the seconds of each part, the peak of resident memory, and provenance.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import numpy as np
import polars as pl

SEED = 0
CORES = 2
LIMITS = {"seconds": 60, "peak_gib": 4}
RESULT = Path(__file__).parent / "results" / "prepare.json"
RECIPE = {"min_rating": 2, "repeats": "drop-consecutive", "item_core": 5, "user_core": 5}


def generate(folder: Path, interactions: int) -> None:
    """Write ``interactions`` by a tenth as many users with a fiftieth as many items, and the items' texts."""
    rng = np.random.default_rng(SEED)
    num_users, num_items = interactions // 10, interactions // 50
    users = (rng.beta(0.7, 2, interactions) * num_users).astype(np.int64)
    items = (num_items ** rng.random(interactions)).astype(np.int64)  # popularity falls with 1 / rank
    pl.DataFrame(
        {
            "user_id": pl.Series(rng.permutation(num_users)[users]),
            "item_id": pl.Series(rng.permutation(num_items)[items - 1]),
            "timestamp": 1_300_000_000 // 86_400 * 86_400 + rng.integers(0, 2_000, interactions) * 86_400,
            "rating": rng.integers(1, 6, interactions).astype(np.float64),
        }
    ).with_columns(
        pl.format("A{}", pl.col("user_id").cast(pl.String).str.pad_start(13, "0")),
        pl.format("B{}", pl.col("item_id").cast(pl.String).str.pad_start(9, "0")),
    ).write_parquet(folder / "interactions.parquet")
    ids = pl.DataFrame({"item_id": [f"B{item:09}" for item in range(num_items)]})
    ids.with_columns(title=pl.format("An item that is called {}", "item_id")).write_parquet(folder / "items.parquet")


def measure(folder: Path) -> dict:
    """Prepare the generated source, in this process, and read the data folder back."""
    start = time.perf_counter()
    from slmrec.data import Dataset, Preparation, prepare, read_source

    marks = {"import": time.perf_counter()}
    raw = read_source(folder)
    marks["read"] = time.perf_counter()
    data = prepare(raw, Preparation(**RECIPE))
    marks["prepare"] = time.perf_counter()
    data.save(folder / "data")
    marks["save"] = time.perf_counter()
    peak, cpu = _peak_gib(), time.process_time()
    Dataset.load(folder / "data")
    marks["load"] = time.perf_counter()
    parts = dict(zip(marks, np.diff([start, *marks.values()]).round(2).tolist(), strict=True))
    return {
        "seconds": round(marks["save"] - start, 2),
        "cpu_seconds": round(cpu, 2),
        "peak_gib": round(peak, 2),
        "seconds_by_part": parts,
        "threads": pl.thread_pool_size(),
        "fingerprint": data.fingerprint,
        "steps": data.meta["steps"],
    }


def _peak_gib() -> float:
    """Of this program alone; getrusage would count what its parent held before."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 2**20


def provenance(load: float) -> dict:
    """Say what the numbers were measured with."""
    root = Path(__file__).parent
    processors = Path("/proc/cpuinfo").read_text().splitlines()
    git = {"cwd": root, "capture_output": True, "text": True, "check": True}
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": subprocess.run(["git", "describe", "--always", "--dirty", "--abbrev=12"], **git).stdout.strip(),
        "machine": {
            "cpu": next(line.split(": ")[1] for line in processors if line.startswith("model name")),
            "cores_used": CORES,
            "load_before": load,
            "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
            "system": platform.platform(),
        },
        "versions": {"python": platform.python_version()}
        | {name: metadata.version(name) for name in ("polars", "numpy", "pyarrow")},
    }


def main() -> None:
    """Generate, measure in a fresh process on two cores, write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--interactions", type=int, default=10_000_000)
    parser.add_argument("--out", type=Path, default=RESULT)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments.measure)))
        return
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder), arguments.interactions)
        load = os.getloadavg()[0]  # other work on the machine makes the seconds longer
        size = sum(path.stat().st_size for path in Path(folder).iterdir())
        answer = subprocess.run(
            [sys.executable, __file__, "--measure", folder], capture_output=True, text=True, check=True
        )
    result = {
        "interactions": arguments.interactions,
        "source_mb": round(size / 1e6),
        "seed": SEED,
        "recipe": RECIPE,
        "limits": LIMITS,
        **json.loads(answer.stdout),
        **provenance(load),
    }
    arguments.out.parent.mkdir(exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))
    missed = [name for name, limit in LIMITS.items() if result[name] > limit]
    if missed:
        sys.exit(f"over the limit: {', '.join(missed)}")


if __name__ == "__main__":
    main()
