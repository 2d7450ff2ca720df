"""Where a result comes from: commit, machine, versions, time."""

import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from slmrec.pipeline import machine


def provenance() -> dict[str, Any]:
    """What every result file says of itself; a `+` after the commit means that the tree had changes."""
    here = Path(__file__).parent
    git = ["git", "-C", str(here)]
    commit = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)
    changed = subprocess.run(
        [*git, "status", "--porcelain", "--", "../src"], capture_output=True, text=True, check=True
    )
    return {
        "commit": commit.stdout.strip() + ("+" if changed.stdout.strip() else ""),
        "machine": machine(),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }
