"""Numbers in the documents are those of the committed results."""

import runpy
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_tables_are_what_the_results_give(monkeypatch):
    script = ROOT / "benchmarks" / "tables.py"
    monkeypatch.syspath_prepend(script.parent)
    monkeypatch.setattr(sys, "argv", [str(script), "--check"])
    runpy.run_path(str(script), run_name="__main__")  # exits with what differs
