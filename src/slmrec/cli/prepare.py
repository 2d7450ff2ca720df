"""`slmrec data prepare`: from raw interactions to a data folder."""

import argparse
from functools import partial

from slmrec.cli import flags
from slmrec.cli.arguments import add_out, add_source, check_out
from slmrec.cli.progress import watching

EXAMPLES = """\
examples:
  slmrec data prepare ml-100k --out data/ml-100k
  slmrec data prepare clicks.csv --out data/clicks --column user_id=visitor --column item_id=product
  slmrec data prepare reviews.jsonl.gz --format amazon2018 --out data/reviews --item-core 5 --user-core 5
"""
INTERRUPTED = "no data folder was written (downloads are kept); type the same command to start again"


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "prepare",
        help="read, filter and split interactions into a data folder",
        usage="slmrec data prepare SOURCE --out DIR [--format NAME] [--column OURS=THEIRS] … [--KEY VALUE] …",
        description="Read a source in any known format, filter and split it, and say what each step dropped.",
        epilog=EXAMPLES,
        complete=partial(flags.add, sections=("preparation",)),
    )
    add_source(parser)
    add_out(parser, "DIR", "data folder to write")
    parser.set_defaults(run=run, interrupted=INTERRUPTED)


def run(arguments: argparse.Namespace) -> None:
    """Do it."""
    preparation = flags.section(arguments, "preparation")
    check_out(arguments.out, "dataset.json")
    from slmrec.data import prepare_source

    with watching() as progress:
        progress.stage(1, 1, f"Preparing {arguments.source}")
        data = prepare_source(arguments.source, arguments.format, dict(arguments.column), preparation)
        data.save(arguments.out)
    print(data.describe())
