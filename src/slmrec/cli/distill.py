"""`slmrec distill`: a student from a deep teacher, block by block, or from any teachers by their scores."""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slmrec.cli import flags, show
from slmrec.cli.arguments import (
    add_data,
    add_item_table,
    add_out,
    check_catalogue,
    check_form,
    check_inputs,
    check_out,
    count,
    item_table,
    positive,
)
from slmrec.cli.parser import Parser
from slmrec.cli.progress import Progress, watching
from slmrec.errors import UserError

if TYPE_CHECKING:
    from slmrec.data import Dataset
    from slmrec.models.items import ItemTable

EXAMPLES = """\
examples:
  slmrec distill --teacher models/teacher --data data/ml-100k --layers 4 --blocks 4 --out models/student
  slmrec distill --teacher models/teacher --data data/ml-100k --layers 2 --blocks 2 --out models/small \\
      --lambda1 0.5 --training.epochs 5
  slmrec distill --teacher models/teacher --data data/ml-100k --budget-ms 10 --out models/fast
  slmrec distill --teacher models/sasrec0 models/sasrec1 models/teacher --data data/ml-100k \\
      --kind sasrec --out models/taught
"""
KINDS = ("llm", "sasrec", "gru4rec", "caser", "esasrec")
"""Kinds of students."""
INTERRUPTED = "the last checkpoint, if any, is kept beside {out}; type the same command to go on from there"


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "distill",
        help="train a student of one or more models",
        usage="slmrec distill --teacher MODEL… --data DIR --out MODEL [--kind KIND] [--layers N --blocks B]\n"
        "                      [--budget-ms MS] [--budget-parameters N] [--item-table MODEL]\n"
        "                      [--recipe NAME|FILE.toml] [--KEY VALUE] …",
        description="Train a student whose states follow its llm teacher's, block by block; or, where there are "
        "several teachers, or teacher or student is no llm, one that scores as its teachers do (form scores).",
        epilog=EXAMPLES,
        complete=_complete,
    )
    parser.add_argument("--teacher", type=Path, nargs="+", required=True, metavar="MODEL", help="model folders")
    parser.add_argument(
        "--kind", choices=KINDS, default="llm", help=f"the student's kind: {', '.join(KINDS)} (default: %(default)s)"
    )
    add_data(parser)
    add_out(parser, "MODEL", "model folder to write")
    add_item_table(parser, "the llm teacher's")
    parser.add_argument(
        "--budget-ms",
        type=positive,
        metavar="MS",
        help="the deepest llm student whose requests take at most this long each, measured here on one thread",
    )
    parser.add_argument(
        "--budget-parameters", type=count, metavar="N", help="the deepest llm student that holds at most so many"
    )
    parser.set_defaults(run=run, interrupted=INTERRUPTED)


def _complete(parser: Parser, args: Sequence[str]) -> None:
    pairs = list(pairwise(args))
    asked = [kind for kind in KINDS if f"--kind={kind}" in args or ("--kind", kind) in pairs]
    flags.add(parser, args, sections=(_section((asked or ["llm"])[0]), "distillation"))


def _section(kind: str) -> str:
    """The section of a recipe that a student's options come from."""
    return "student" if kind == "llm" else kind


def run(arguments: argparse.Namespace) -> None:
    """Do it."""
    check_inputs([*arguments.teacher, arguments.item_table], [arguments.data])
    out, student = arguments.out, flags.section(arguments, _section(arguments.kind))
    several = len(arguments.teacher) > 1 or arguments.kind != "llm"  # and where one teacher is no llm, as seen below
    distillation = flags.section(arguments, "distillation", **({"form": "scores"} if several else {}))
    if out.resolve() in [folder.resolve() for folder in arguments.teacher]:
        raise UserError(f"--out is {out}, the teacher itself; choose another path")
    if arguments.item_table and distillation.start != "pretrained":
        raise UserError(
            f"start is {distillation.start}, which takes the teacher's item table; drop --item-table or the start"
        )
    budget = (arguments.budget_ms, arguments.budget_parameters)
    if arguments.kind != "llm":
        if arguments.item_table:
            raise UserError(f"--item-table is for an llm student; one of kind {arguments.kind} starts its own")
        if any(budget):
            raise UserError(f"a budget picks an llm student's depth; one of kind {arguments.kind} has its own options")
    if arguments.kind == "llm":
        student.check_start(distillation.start)
    check_out(out, "config.json")
    from slmrec.busy import estimating
    from slmrec.data import Dataset
    from slmrec.models import SLMRec, load
    from slmrec.models.backbone import check_backbone
    from slmrec.training.build import student_shape
    from slmrec.training.cost import classic_cost, llm_cost
    from slmrec.training.distillation import check_pair
    from slmrec.training.score_distillation import check_teachers
    from slmrec.training.train import distill, distill_scores

    teachers = [load(folder) for folder in arguments.teacher]
    data = Dataset.load(arguments.data)
    for teacher, folder in zip(teachers, arguments.teacher, strict=True):
        check_catalogue(teacher, folder, data)
    if several or teachers[0].kind != "slmrec":
        asked = flags.overrides(arguments).get("distillation.form", "scores")
        if asked != "scores":
            raise UserError(
                f"form '{asked}' has the states of an llm student follow those of one llm teacher, and these are not; "
                "drop --form, and the student follows its teachers' scores"
            )
        distillation = replace(distillation, form="scores")
    check_form(flags.overrides(arguments), distillation.form)
    by_scores = distillation.form == "scores"
    deep = next((teacher for teacher in teachers if isinstance(teacher, SLMRec)), None)
    table = item_table(arguments.item_table, data)
    start = table if table is not None or deep is None else deep.items
    shape = student
    with watching() as progress:
        names = ", ".join(folder.name for folder in arguments.teacher)
        progress.stage(1, 1, f"Teaching {arguments.kind} by {names} on {data.name}")
        if arguments.kind == "llm":
            if deep is None:
                shape = student.beside(flags.section(arguments, "teacher"))
            else:
                shape = student_shape(deep, student)
            config = check_backbone(shape.backbone, None, progress.say)
            if any(budget):
                deepest = config.num_hidden_layers if by_scores or deep is None else deep.num_layers
                every = 1 if by_scores else distillation.blocks
                layers = _within(budget, data, shape, start, range(every, deepest + 1, every), progress)
                student, shape = replace(student, layers=layers), replace(shape, layers=layers)
        if by_scores:
            check_teachers(teachers, data.catalogue, shape.max_length)
            with estimating(progress.say):
                if arguments.kind == "llm":
                    cost = llm_cost(data, shape, check_backbone(shape.backbone, shape.layers))
                else:
                    cost = classic_cost(data, shape)
                progress.say(f"to train, its teachers' part not counted: {cost}")
            distill_scores(teachers, data, out, shape, distillation, start, progress.progress)
        else:
            assert deep is not None
            check_pair(deep, student.layers, distillation.blocks, student.width)
            with estimating(progress.say):
                above = replace(shape, layers=deep.num_layers)  # as wide, or its states could not be followed
                cost = llm_cost(data, shape, config, above, distillation.blocks, distillation.online)
                progress.say(f"to train: {cost}")
            distill(deep, data, out, student, distillation, table, progress.progress)
    print(show.training(out))


def _within(
    budget: tuple[float | None, int | None],
    data: "Dataset",
    shape: Any,
    items: "ItemTable | None",
    depths: Sequence[int],
    progress: Progress,
) -> int:
    """The deepest student that the budget allows."""
    from slmrec.training.budget import depth_within, layer_cost

    measured = layer_cost(data, shape, items)
    layers = depth_within(measured, depths, milliseconds=budget[0], parameters=budget[1])
    takes, holds = measured.of(layers)
    progress.say(f"the budget allows {layers} layers: {takes:.1f} ms a request, {holds:,} parameters")
    return layers
