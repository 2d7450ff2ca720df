"""Numbers in the documents are those of the committed results, and the README's commands exist."""

import re
import subprocess
import sys
from pathlib import Path

from slmrec.cli.main import parser

ROOT = Path(__file__).parents[1]


def test_tables_are_what_the_results_give():
    told = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "tables.py", "--check"], capture_output=True, text=True
    )
    assert told.returncode == 0, told.stderr


def test_the_readmes_commands_are_understood():
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    commands = [line.split("#")[0].split() for block in blocks for line in block.splitlines()]
    ours = [[word.strip('"') for word in words[1:]] for words in commands if words and words[0] == "slmrec"]
    assert len(ours) >= 2
    for words in ours:
        parser().parse_args(words)
    targets = {words[1] for words in commands if words and words[0] == "make"}
    assert targets <= set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.M))
