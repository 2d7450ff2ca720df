"""`slmrec combine`: trained models as one."""

import argparse
from pathlib import Path

from slmrec.cli.arguments import add_data, add_out, check_catalogue, check_inputs, check_out
from slmrec.errors import UserError

EXAMPLES = """\
examples:
  slmrec combine models/sasrec models/rules --data data/ml-100k --out models/both
  slmrec combine runs/ml-100k/student models/rules models/gru4rec --data runs/ml-100k/data --out models/three
"""
INTERRUPTED = "nothing was written; type the same command to start again"


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "combine",
        help="put trained models together into one that scores by all of them",
        usage="slmrec combine MODEL MODEL… --data DIR --out MODEL",
        description="Put trained models into one folder. An item's score is the weighted sum of its log-probabilities, "
        "with the weights that suit the validation split best; a model that adds nothing is left out. Nothing is "
        "trained, and a request costs what it costs the models together.",
        epilog=EXAMPLES,
    )
    parser.add_argument("models", type=Path, nargs="+", metavar="MODEL", help="model folders, two or more")
    add_data(parser)
    add_out(parser, "MODEL", "model folder to write")
    parser.set_defaults(run=run, interrupted=INTERRUPTED)


def run(arguments: argparse.Namespace) -> None:
    """Do it."""
    check_inputs(arguments.models, [arguments.data])
    folders, out = arguments.models, arguments.out
    check_out(out, "config.json")
    if out.resolve() in [folder.resolve() for folder in folders]:
        raise UserError(f"--out is {out}, one of the models itself; choose another path")
    from slmrec.data import Dataset
    from slmrec.files import read_json
    from slmrec.models import load
    from slmrec.training.combine import combine

    models, data = [load(folder) for folder in folders], Dataset.load(arguments.data)
    for model, folder in zip(models, folders, strict=True):
        check_catalogue(model, folder, data)
    combine(models, data, out)
    weights = read_json(out / "training.json", "model folder")["weights"]
    print(f"{out}: what each counts, by the validation split of {data.name}")
    for folder, weight in zip(folders, weights, strict=True):
        print(f"  {folder}  {weight:.3g}" + ("" if weight else ", so it is left out"))
