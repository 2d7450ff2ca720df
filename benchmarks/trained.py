"""Models that a benchmark trains: each once, whatever else of it is run again."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

from slmrec.training.options import ClassicOptions, NeighboursOptions


def folder(work: Path, name: str, options: ClassicOptions | NeighboursOptions) -> Path:
    """Where a model of these options stands; other options have another folder."""
    return work / f"{name}-{hashlib.sha256(json.dumps(asdict(options)).encode()).hexdigest()[:10]}"


def is_made(folder: Path) -> bool:
    """Whether a model stands there."""
    return (folder / "config.json").exists()


def tell(done: int, total: int, note: str) -> None:
    """Progress on one line."""
    print(done, total, note, end="\r", flush=True)
