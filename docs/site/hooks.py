"""Pages of the site that are made while it is built: the commands' help, and the changelog at the repository's root."""

import argparse
import contextlib
import io
import os
from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from slmrec.cli.main import main, parser

ROOT = Path(__file__).parents[2]
WIDTH = 92
"""Columns that the help is wrapped at."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what stands nowhere as a file of docs/."""
    files.append(File.generated(config, "commands.md", content=commands_page()))
    files.append(File.generated(config, "changelog.md", content=(ROOT / "CHANGELOG.md").read_text(encoding="utf-8")))
    return files


def commands_page() -> str:
    """Every command's help, as it prints it."""
    os.environ["COLUMNS"] = str(WIDTH + 2)
    parts = ["# Commands", "", "What `slmrec COMMAND --help` prints. Options may be written with `-` or `_`."]
    for words in _commands(parser(), ()):
        told = io.StringIO()
        with contextlib.redirect_stdout(told), contextlib.suppress(SystemExit):  # which ends every help page
            main([*words, "--help"])
        parts += ["", f"## slmrec {' '.join(words)}", "", "```text", told.getvalue().rstrip(), "```"]
    return "\n".join(parts) + "\n"


def _commands(root: argparse.ArgumentParser, above: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for action in root._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, its_parser in action.choices.items():
                yield (*above, name)
                yield from _commands(its_parser, (*above, name))
