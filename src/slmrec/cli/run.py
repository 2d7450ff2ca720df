"""`slmrec run`: the main job from a source to the report."""

import argparse
from collections.abc import Sequence

from slmrec.cli import flags, show
from slmrec.cli.arguments import add_out, add_source, check_form, check_out
from slmrec.cli.parser import Parser
from slmrec.cli.progress import watching
from slmrec.files import read_json

EXAMPLES = """\
examples:
  slmrec run ml-100k --out runs/ml-100k
  slmrec run ml-100k --out runs/paper --recipe paper
  slmrec run clicks.parquet --out runs/clicks --recipe taught
  slmrec run clicks.csv --out runs/clicks --recipe mine.toml --teacher.layers 12 --student.training.epochs 3

RUN then holds data/, a model folder for each model, metrics.json and report.html. A run that was cut off
goes on where it was when the same command is typed again.
"""
INTERRUPTED = "finished stages and the last checkpoint are kept in {out}; type the same command to go on"


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "run",
        help="the whole job: prepare, classic model, teacher, students, evaluation, report",
        usage="slmrec run SOURCE --out RUN [--recipe NAME|FILE.toml] [--SECTION.KEY VALUE] …",
        description="Prepare a source, train item-kNN, SASRec, a deep LLM recommender and two shallow students of it\n"
        "(one by cross-entropy alone, one distilled), put item-kNN and sequential rules beside SASRec and beside the\n"
        "distilled student, evaluate all side by side on test and write a report. Recipe taught has more teachers,\n"
        "among them text-kNN and several SASRecs, and teaches a SASRec, too.",
        epilog=EXAMPLES,
        complete=_complete,
    )
    add_source(parser)
    add_out(parser, "RUN", "run folder to write or to go on with")
    parser.set_defaults(run=run, interrupted=INTERRUPTED)


def _complete(parser: Parser, args: Sequence[str]) -> None:
    from slmrec.recipe import RUN_SECTIONS

    flags.add(parser, args, sections=RUN_SECTIONS, prefixed=True)


def run(arguments: argparse.Namespace) -> None:
    """Do it."""
    from slmrec.recipe import load_recipe

    recipe = load_recipe(arguments.recipe, flags.overrides(arguments))
    check_form(flags.overrides(arguments), recipe.distillation.form)
    check_out(arguments.out, "run.json")
    from slmrec import pipeline

    with watching() as progress:
        out = pipeline.run(
            arguments.source,
            arguments.out,
            recipe,
            recipe_name=arguments.recipe,
            format=arguments.format,
            columns=dict(arguments.column),
            monitor=progress,
        )
    print(show.evaluations(read_json(out / "metrics.json", "run folder")))
    print(f"\nreport: {out / 'report.html'}")
