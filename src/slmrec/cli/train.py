"""`slmrec train`: one model of a kind."""

import argparse
from functools import partial
from typing import Any

from slmrec.cli import flags, show
from slmrec.cli.arguments import add_data, add_item_table, add_out, check_inputs, check_out, item_table, model_of_items
from slmrec.cli.progress import watching

KINDS = {
    "popularity": "the items that occur most often: the floor",
    "item-knn": "items that the history's users also have, recent ones counting most",
    "sequential-rules": "items that come soon after those of the history",
    "text-knn": "items whose text is like that of the history's items",
    "gru4rec": "a recurrent network over items",
    "caser": "convolutions over the last few items",
    "bert4rec": "a transformer that sees both sides of an item left out",
    "sasrec": "a transformer over items: the bar, and the source of item tables",
    "esasrec": "SASRec with gated blocks and a gated feed-forward",
    "llm": "a recommender on the first layers of a language model: the teacher",
}
SECTION = {kind: kind.replace("-", "_") for kind in KINDS if kind not in ("popularity", "llm")} | {"llm": "teacher"}
"""The section of a recipe that a kind's options come from."""
EXAMPLES = """\
examples:
  slmrec train popularity --data data/ml-100k --out models/popularity
  slmrec train sasrec --data data/ml-100k --out models/sasrec --hidden-size 128 --training.epochs 50
  slmrec train item-knn --data data/ml-100k --out models/item-knn --neighbours 50
  slmrec train llm --data data/ml-100k --out models/teacher --item-table models/sasrec --layers 8
"""
INTERRUPTED = "the last checkpoint, if any, is kept beside {out}; type the same command to go on from there"


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "train",
        help=f"train one model: {', '.join(KINDS)}",
        usage="slmrec train KIND --data DIR --out MODEL [--recipe NAME|FILE.toml] [--KEY VALUE] …",
        description="Train one model on the train split; the weights that do best on valid are kept.",
        epilog=f"{EXAMPLES}\noptions of a kind: slmrec train KIND --help",
    )
    kinds = parser.add_subparsers(prog="slmrec train", metavar="KIND", required=True, title="kinds", dest="kind")
    for kind, what in KINDS.items():
        complete = partial(flags.add, sections=(SECTION[kind],)) if kind in SECTION else None
        kind_parser = kinds.add_parser(
            kind,
            help=what,
            usage=f"slmrec train {kind} --data DIR --out MODEL"
            + (" [--item-table MODEL]" if kind == "llm" else "")
            + (" [--recipe NAME|FILE.toml] [--KEY VALUE] …" if complete else ""),
            description=f"Train {kind}: {what}.",
            epilog=EXAMPLES,
            complete=complete,
        )
        add_data(kind_parser)
        add_out(kind_parser, "MODEL", "model folder to write")
        if kind == "llm":
            add_item_table(kind_parser, "random vectors")
    parser.set_defaults(run=run, interrupted=INTERRUPTED)


def run(arguments: argparse.Namespace) -> None:
    """Do it."""
    check_inputs([getattr(arguments, "item_table", None)], [arguments.data])  # of an LLM alone
    kind, out = arguments.kind, arguments.out
    options: Any = flags.section(arguments, SECTION[kind]) if kind in SECTION else None
    check_out(out, "config.json")
    from slmrec.busy import estimating
    from slmrec.data import Dataset
    from slmrec.models.backbone import check_backbone
    from slmrec.training.cost import classic_cost, llm_cost
    from slmrec.training.options import ClassicOptions
    from slmrec.training.train import train

    data = Dataset.load(arguments.data)
    with watching() as progress:
        progress.stage(1, 1, f"Training {kind} on {data.name}")
        table = None
        if kind == "llm":
            # A residual one adds to the model itself, the others begin from its item table.
            taken = model_of_items if options.residual else item_table
            table = taken(arguments.item_table, data)
        if kind == "llm":
            config = check_backbone(options.backbone, options.layers, progress.say)
            with estimating(progress.say):
                progress.say(f"to train: {llm_cost(data, options, config)}")
        elif isinstance(options, ClassicOptions):
            with estimating(progress.say):
                progress.say(f"to train: {classic_cost(data, options)}")
        train(data, options, out, table, progress.progress)
    print(show.training(out))
