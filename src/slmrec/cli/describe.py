"""`slmrec data describe`: what a data folder holds."""

import argparse
from pathlib import Path

from slmrec.cli.arguments import check_inputs

EXAMPLES = """\
example:
  slmrec data describe data/ml-100k
"""
INTERRUPTED = "nothing was changed"


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "describe",
        help="say what a data folder holds and how it was made",
        usage="slmrec data describe DIR",
        description="Counts, history lengths, time range, splits, and what each step of preparation left.",
        epilog=EXAMPLES,
    )
    parser.add_argument("data", type=Path, metavar="DIR", help="data folder")
    parser.set_defaults(run=run, interrupted=INTERRUPTED)


def run(arguments: argparse.Namespace) -> None:
    """Do it."""
    check_inputs(data=[arguments.data])
    from slmrec.data import Dataset

    print(Dataset.load(arguments.data).describe())
