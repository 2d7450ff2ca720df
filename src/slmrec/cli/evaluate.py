"""`slmrec evaluate`: models side by side under one protocol."""

import argparse
from collections import Counter
from pathlib import Path

from slmrec.cli import show
from slmrec.cli.arguments import add_data, add_precision, check_catalogue, check_inputs, check_out_file, seed
from slmrec.cli.progress import watching

EXAMPLES = """\
examples:
  slmrec evaluate models/sasrec models/student --data data/ml-100k
  slmrec evaluate runs/ml-100k/student --data runs/ml-100k/data --split valid --json student.json
  slmrec evaluate models/student --data data/ml-100k --protocol sampled    # only to compare with a paper
"""
INTERRUPTED = "nothing was written; type the same command to start again"


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "evaluate",
        help="rank a split with one or more models and print their metrics side by side",
        usage="slmrec evaluate MODEL… --data DIR [--split valid|test] [--protocol full|sampled]\n"
        "                       [--seen masked|kept] [--precision fp32|bf16|int8|int4] [--seed N] [--json FILE]",
        description="Rank every target of a split and print HR, NDCG and MRR; ties count against the model.",
        epilog=EXAMPLES,
    )
    parser.add_argument("models", type=Path, nargs="+", metavar="MODEL", help="model folder")
    add_data(parser)
    parser.add_argument(
        "--split", choices=("valid", "test"), default="test", help="whose targets (default: %(default)s)"
    )
    parser.add_argument(
        "--protocol",
        choices=("full", "sampled"),
        default="full",
        help="rank among all items, or among 999 drawn ones as the paper does (default: %(default)s)",
    )
    parser.add_argument(
        "--seen",
        choices=("masked", "kept"),
        default="masked",
        help="take a user's earlier items out of the ranking, or leave them in (default: %(default)s)",
    )
    parser.add_argument(
        "--seed", type=seed, default=0, metavar="N", help="draws the sampled items (default: %(default)s)"
    )
    add_precision(parser)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there as well")
    parser.set_defaults(run=run, interrupted=INTERRUPTED)


def run(arguments: argparse.Namespace) -> None:
    """Do it."""
    check_inputs(arguments.models, [arguments.data])
    if arguments.json:
        check_out_file(arguments.json)
    from torch import nn

    from slmrec.data import Dataset
    from slmrec.engine import device_of
    from slmrec.evaluation import evaluate
    from slmrec.files import write_json
    from slmrec.models import load

    data = Dataset.load(arguments.data)
    models = {}
    for folder, name in _names(arguments.models).items():
        placed = nn.Module.to(load(folder), device_of(arguments.precision))
        models[name] = placed.use_precision(arguments.precision)
        check_catalogue(models[name], folder, data)
    found = []
    with watching() as progress:
        for number, (name, model) in enumerate(models.items(), start=1):
            progress.stage(number, len(models), f"Evaluating {name} on {data.name}")
            evaluation = evaluate(
                model,
                data,
                arguments.split,
                arguments.protocol,
                arguments.seen,
                name=name,
                seed=arguments.seed,
                progress=progress.progress,
            )
            found.append(evaluation.to_json())
    if arguments.json:
        write_json(arguments.json, found)
    print(show.evaluations(found))


def _names(folders: list[Path]) -> dict[Path, str]:
    """A name for each: its folder's, or its path where two folders are called the same."""
    names = {folder: folder.absolute().name for folder in folders}
    uses = Counter(names.values())
    return {folder: name if uses[name] == 1 else str(folder) for folder, name in names.items()}
