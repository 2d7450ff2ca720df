"""`slmrec recommend`: the next items for one history."""

import argparse
import json
import sys
from pathlib import Path

from slmrec.cli import show
from slmrec.cli.arguments import add_data, add_precision, check_inputs, count, ids
from slmrec.errors import UserError

EXAMPLES = """\
examples:
  slmrec recommend runs/ml-100k/student --history "50,181,172" -k 5
  slmrec recommend runs/ml-100k/student --user 196 --data runs/ml-100k/data --deny 1,2 --json
"""
INTERRUPTED = "nothing was written"


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "recommend",
        help="recommend the next items for a history or a known user",
        usage='slmrec recommend MODEL (--history "ID,ID,…" | --user ID --data DIR) [-k N] [--deny ID,ID,…]\n'
        "                        [--allow ID,ID,…] [--precision fp32|bf16|int8|int4] [--keep-seen]\n"
        "                        [--skip-unknown] [--json]",
        description="Recommend the next items from a model folder, best first.",
        epilog=EXAMPLES,
    )
    parser.add_argument("model", type=Path, metavar="MODEL", help="model folder")
    whose = parser.add_mutually_exclusive_group(required=True)
    whose.add_argument("--history", type=ids, metavar="ID,ID,…", help="item ids, oldest first; of any user")
    whose.add_argument("--user", metavar="ID", help="user of the data folder")
    add_data(parser, required=False)
    parser.add_argument("-k", type=count, default=10, metavar="N", help="how many (default: %(default)s)")
    parser.add_argument("--deny", type=ids, metavar="ID,ID,…", help="never recommend these items")
    parser.add_argument("--allow", type=ids, metavar="ID,ID,…", help="recommend only these items")
    add_precision(parser)
    parser.add_argument("--keep-seen", action="store_true", help="recommend items of the history too")
    parser.add_argument(
        "--skip-unknown", action="store_true", help="go on without items of the history that the model lacks"
    )
    parser.add_argument("--json", action="store_true", help="print a JSON list: item_id, score, rank, text")
    parser.set_defaults(run=run, interrupted=INTERRUPTED)


def run(arguments: argparse.Namespace) -> None:
    """Do it."""
    if (arguments.user is None) != (arguments.data is None):
        given, missing = ("--user", "--data") if arguments.data is None else ("--data", "--user")
        raise UserError(f"{given} was given without {missing}; give both, or --history alone")
    check_inputs([arguments.model], [arguments.data])
    from slmrec.data import Dataset
    from slmrec.models import load

    model = load(arguments.model).use_precision(arguments.precision)
    data = Dataset.load(arguments.data) if arguments.data else None
    frame = model.recommend(
        None if arguments.history is None else [arguments.history],
        users=None if arguments.user is None else [arguments.user],
        data=data,
        k=arguments.k,
        exclude_seen=not arguments.keep_seen,
        allow=arguments.allow,
        deny=arguments.deny,
        unknown="skip" if arguments.skip_unknown else "error",
    )
    if arguments.history:
        unknown = len(arguments.history) - len(model.catalogue.index(arguments.history, unknown="skip"))
        if unknown:
            print(f"slmrec: {unknown} items of the history are unknown and were left out", file=sys.stderr)
    texts = model.catalogue.texts(model.catalogue.index(frame["item_id"]))
    rows = frame.select("item_id", "score", "rank").to_dicts()
    found = [row | {"text": text} for row, text in zip(rows, texts, strict=True)]
    print(json.dumps(found, indent=1, ensure_ascii=False) if arguments.json else show.recommendations(found))
