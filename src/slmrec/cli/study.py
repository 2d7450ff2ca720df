"""`slmrec study`: a grid of trainings that answers one question."""

import argparse
import shlex
from functools import partial
from pathlib import Path

from slmrec.cli import flags
from slmrec.cli.arguments import add_out, check_inputs, count
from slmrec.cli.progress import watching
from slmrec.files import read_json, write_text
from slmrec.studies.names import STUDIES

SECTIONS = (
    *("item_knn", "sequential_rules", "text_knn", "gru4rec", "caser", "bert4rec", "sasrec", "esasrec"),
    *("teacher", "student", "distillation"),
)
EXAMPLES = """\
examples:
  slmrec study ablation --data data/ml-100k --seeds 3 --out studies
  slmrec study models --data data/beauty data/sports --out studies --model 'SASRec + text' --model SASRec
  slmrec study layers --data data/ml-100k --out studies --recipe paper --teacher.training.epochs 1
  slmrec study kd --data data/ml-100k --out studies --jobs 8

DIR then holds STUDY.json, STUDY.md with its plots, and the models. What is finished is never done again, also by
another study that shares it; a study that was cut off goes on when the same command is typed again.
"""
INTERRUPTED = "finished models and the last checkpoint are kept in {out}; type the same command to go on"


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "study",
        help="a grid of trainings that answers one question, with several seeds",
        usage="slmrec study NAME --data DIR… --out DIR [--seeds N] [--jobs N] [--model NAME]…\n"
        "                    [--recipe NAME|FILE.toml] [--SECTION.KEY VALUE] …",
        description="Train and test every model of a study with every seed, and compare them.",
        epilog=f"{_studies()}\n{EXAMPLES}",
        complete=partial(flags.add, sections=SECTIONS, prefixed=True),
    )
    parser.add_argument("study", metavar="NAME", help="the study, see below")
    parser.add_argument("--data", type=Path, nargs="+", required=True, metavar="DIR", help="data folders")
    parser.add_argument("--seeds", type=count, default=3, metavar="N", help="seeds of each model (default: 3)")
    parser.add_argument(
        "--model", action="append", default=[], metavar="NAME", help="only this model and what it needs; repeatable"
    )
    parser.add_argument(
        "--jobs",
        type=count,
        default=1,
        metavar="N",
        help="trainings at once, which share an accelerator or divide the cores (default: 1)",
    )
    parser.add_argument("--plan", action="store_true", help="tell what would be done and how long it takes, then stop")
    add_out(parser, "DIR", "folder of all studies")
    parser.set_defaults(run=run, interrupted=INTERRUPTED)


def run(arguments: argparse.Namespace) -> None:
    """Do it."""
    check_inputs(data=arguments.data)
    from slmrec.data import Dataset
    from slmrec.recipe import load_recipe
    from slmrec.studies.page import pages
    from slmrec.studies.plan import named_study
    from slmrec.studies.runner import plan_study, run_study

    asked = named_study(arguments.study, load_recipe(arguments.recipe, flags.overrides(arguments)))
    if arguments.model:
        asked = asked.only(arguments.model)
    data_sets = [Dataset.load(folder) for folder in arguments.data]
    with watching() as progress:
        if arguments.plan:
            plan_study(asked, data_sets, arguments.seeds, arguments.out, progress)
            return
        path = run_study(
            asked, data_sets, arguments.seeds, arguments.out, progress, _command(arguments), arguments.jobs
        )
    written = pages(read_json(path, "study"))
    for name, text in written.items():
        write_text(arguments.out / name, text)
    print(written[f"{asked.name}.md"])
    print(f"results: {path}")


def _command(arguments: argparse.Namespace) -> str:
    """What was typed, as another machine would type it: data by name alone, and without the place of the results."""
    words = ["slmrec", "study", arguments.study, "--data", *(folder.name for folder in arguments.data)]
    words += ["--seeds", str(arguments.seeds)]
    words += [word for name in arguments.model for word in ("--model", name)]
    words += ["--recipe", Path(arguments.recipe).name] if arguments.recipe != flags.DEFAULT else []
    for key, value in flags.overrides(arguments).items():
        words += ["--" + key.replace("_", "-"), flags.spell(value)]
    return shlex.join(words)


def _studies() -> str:
    return "studies:\n" + "\n".join(f"  {name:14}{about}" for name, about in STUDIES.items()) + "\n"
