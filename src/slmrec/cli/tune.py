"""`slmrec tune`: search for a kind's best options on the validation split."""

import argparse
from functools import partial
from typing import Any

from slmrec.cli import flags
from slmrec.cli.arguments import add_data, add_item_table, add_out, check_inputs, check_out, count, item_table, seed
from slmrec.cli.progress import watching
from slmrec.cli.train import KINDS, SECTION

EXAMPLES = """\
examples:
  slmrec tune sasrec --data data/ml-100k --trials 30 --out tuned/sasrec
  slmrec tune sasrec --data data/ml-100k --trials 30 --out tuned/text --item-text minilm-l6 --hidden-size 128
  slmrec train sasrec --data data/ml-100k --recipe tuned/sasrec/best.toml --out models/sasrec

A key that is given keeps its value; the others of the search vary. DIR then holds best.toml, the best trial's model and
trials.json. Type the same command again to go on, with a larger --trials for more.
"""
INTERRUPTED = "ended trials and the last checkpoint are kept in {out}; type the same command to go on"


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "tune",
        help="search for a kind's best options",
        usage="slmrec tune KIND --data DIR --out DIR [--trials N] [--recipe NAME|FILE.toml] [--KEY VALUE] …",
        description="Search for a kind's best options on the validation split, by Optuna.",
        epilog=EXAMPLES,
    )
    kinds = parser.add_subparsers(prog="slmrec tune", metavar="KIND", required=True, title="kinds", dest="kind")
    for kind, section in SECTION.items():
        kind_parser = kinds.add_parser(
            kind,
            help=KINDS[kind],
            usage=f"slmrec tune {kind} --data DIR --out DIR [--trials N]"
            + (" [--item-table MODEL]" if kind == "llm" else "")
            + " [--recipe NAME|FILE.toml] [--KEY VALUE] …",
            description=f"Search for the best options of {kind}: {KINDS[kind]}.",
            epilog=EXAMPLES,
            complete=partial(flags.add, sections=(section,)),
        )
        add_data(kind_parser)
        add_out(kind_parser, "DIR", "folder of the search")
        kind_parser.add_argument("--trials", type=count, default=20, metavar="N", help="in all (default: 20)")
        kind_parser.add_argument("--seed", type=seed, default=0, metavar="N", help="of the search (default: 0)")
        if kind == "llm":
            add_item_table(kind_parser, "random vectors")
    parser.set_defaults(run=run, interrupted=INTERRUPTED)


def run(arguments: argparse.Namespace) -> None:
    """Do it."""
    check_inputs([getattr(arguments, "item_table", None)], [arguments.data])  # of an LLM alone
    section = SECTION[arguments.kind]
    options: Any = flags.section(arguments, section)
    fixed = [name.removeprefix(f"{section}.") for name in flags.overrides(arguments)]
    check_out(arguments.out, "search.json")
    from slmrec.data import Dataset
    from slmrec.tuning import METRIC, tune

    data = Dataset.load(arguments.data)
    items = item_table(arguments.item_table, data) if arguments.kind == "llm" else None
    with watching() as progress:
        found = tune(
            data,
            section,
            options,
            arguments.out,
            trials=arguments.trials,
            monitor=progress,
            fixed=fixed,
            items=items,
            seed=arguments.seed,
        )
    print(f"valid {METRIC}  options")
    for trial in found[:5]:
        value = trial[f"valid_{METRIC}"]
        told = ", ".join(f"{key} {number:.4g}" for key, number in trial["values"].items())
        print(f"{'diverged' if value is None else f'{value:.4f}':13}  {told}")
    print(f"\nbest: {arguments.out / 'best.toml'}, its model: {arguments.out / 'model'}")
