"""`slmrec score`: the next items of every user of a Parquet file."""

import argparse
from pathlib import Path

from slmrec.cli.arguments import add_out, add_precision, check_inputs, check_out, count
from slmrec.cli.progress import watching

EXAMPLES = """\
examples:
  slmrec score runs/ml-100k/student --histories users.parquet --out scores -k 20
  slmrec score runs/ml-100k/student --histories users.parquet --out scores8 --precision int8
"""
INTERRUPTED = "whole shards are kept; type the same command to go on"


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "score",
        help="recommend for every user of a Parquet file",
        usage="slmrec score MODEL --histories FILE --out DIR [-k N] [--precision fp32|bf16|int8|int4]\n"
        "                    [--keep-seen] [--skip-unknown]",
        description="Read `user_id` and `history` (a list of item ids, oldest first) from a Parquet file and write "
        "`user_id, item_id, score, rank` in shards.",
        epilog=EXAMPLES,
    )
    parser.add_argument("model", type=Path, metavar="MODEL", help="model folder")
    parser.add_argument("--histories", type=Path, required=True, metavar="FILE", help="Parquet file")
    add_out(parser, "DIR", "folder of the shards")
    parser.add_argument("-k", type=count, default=10, metavar="N", help="items a user (default: %(default)s)")
    add_precision(parser)
    parser.add_argument("--keep-seen", action="store_true", help="recommend items of the history too")
    parser.add_argument("--skip-unknown", action="store_true", help="go on without items that the model lacks")
    parser.set_defaults(run=run, interrupted=INTERRUPTED)


def run(arguments: argparse.Namespace) -> None:
    """Do it."""
    check_inputs([arguments.model])
    check_out(arguments.out, "score.json")
    from torch import nn

    from slmrec.engine import device_of
    from slmrec.models import load
    from slmrec.scoring import score_parquet

    placed = nn.Module.to(load(arguments.model), device_of(arguments.precision))
    model = placed.use_precision(arguments.precision)
    with watching() as progress:
        progress.stage(1, 1, f"Scoring {arguments.histories.name}")
        users = score_parquet(
            model,
            arguments.histories,
            arguments.out,
            arguments.k,
            exclude_seen=not arguments.keep_seen,
            unknown="skip" if arguments.skip_unknown else "error",
            progress=progress.progress,
        )
    print(f"{users:,} users scored into {arguments.out}")
