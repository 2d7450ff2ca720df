"""`slmrec items add`: new items into a trained model, by their text."""

import argparse
from pathlib import Path

from slmrec.cli.arguments import check_inputs, check_out

EXAMPLES = """\
examples:
  slmrec items add models/student new.parquet
  slmrec items add models/student new.parquet --out models/student-with-new
"""
INTERRUPTED = "the model is as it was"


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "add",
        help="let new items be recommended by a trained model, by their text",
        usage="slmrec items add MODEL FILE [--out MODEL]",
        description="Read `item_id` and `text` of new items from a Parquet file and put them into a model that was "
        "trained with item_text, or a text-knn. Nothing is trained; known items keep their ids and vectors.",
        epilog=EXAMPLES,
    )
    parser.add_argument("model", type=Path, metavar="MODEL", help="model folder")
    parser.add_argument("file", type=Path, metavar="FILE", help="Parquet file of the new items")
    parser.add_argument("--out", type=Path, metavar="MODEL", help="model folder to write (default: the same)")
    parser.set_defaults(run=run, interrupted=INTERRUPTED)


def run(arguments: argparse.Namespace) -> None:
    """Do it."""
    check_inputs([arguments.model])
    out = arguments.out or arguments.model
    check_out(out, "config.json")
    from slmrec.data.parquet import read_parquet
    from slmrec.files import read_json
    from slmrec.models import load

    model = load(arguments.model)
    before = len(model.catalogue)
    model.add_items(read_parquet(arguments.file, "give a Parquet file with item_id and text"))
    training = read_json(arguments.model / "training.json", "model folder")
    model.save_pretrained(out, {"training": training})
    print(f"{len(model.catalogue) - before:,} items added to {before:,} in {out}")
